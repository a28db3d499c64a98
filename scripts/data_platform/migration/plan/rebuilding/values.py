"""What the rows of a table that is built again are made of, and the key that an old row and its copy share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_platform.migration.plan.rebuilding.trees import Trees
from data_platform.migration.plan.text import beside
from data_platform.model.database import Column, Index, IndexElement, Name, Table
from data_platform.sql.text import Sql, expression, identifier, type_name

_WIDER = {"smallint": ("integer", "bigint"), "integer": ("bigint",)}
"""Types whose values stay different from each other when they are cast."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """A new column, and its value as an expression over the old ones; `source` is the one that it is, if it is one."""

    column: Column
    value: Sql
    source: Column | None


@dataclass(frozen=True, kw_only=True)
class Key:
    """What an old row and its copy are known by: columns of the new table, and the old ones that they are."""

    columns: tuple[str, ...]
    sources: tuple[str, ...]
    helper: Index | None = None
    """An index over them that the new table has only while it is built."""


def given(trees: Trees) -> tuple[Given, ...]:
    """Every new column that a value comes for; the others get their default."""
    return tuple(_given(trees))


def _given(trees: Trees) -> Iterator[Given]:
    table, hints = trees.name, trees.pair.hints
    old = {column.name: column for column in trees.old.table.columns}
    for column in trees.new.table.columns:
        former = old.get(hints.columns.get((table, column.name), column.name))
        value = hints.values.get((table, column.name))
        if column.generated is not None:
            continue
        if value is not None:
            yield Given(column=column, value=expression(value), source=None)
        elif former is not None:
            yield Given(column=column, value=_cast(former, column), source=former)


def _cast(old: Column, new: Column) -> Sql:
    name = identifier(old.name)
    return name if old.type == new.type else Sql(f"CAST({name} AS {type_name(new.type)})")


def left_out(trees: Trees) -> tuple[Column, ...]:
    """New columns that must have a value and get none."""
    has = {one.column.name for one in given(trees)}
    return tuple(
        column
        for column in trees.new.table.columns
        if column.name not in has
        and not column.nullable
        and column.default is None
        and column.generated is None
    )


def gone(trees: Trees) -> tuple[Column, ...]:
    """Old columns that the new table has not."""
    kept = {one.source.name for one in given(trees) if one.source is not None}
    kept |= {column.name for column in trees.new.table.columns}
    kept |= {old for (table, _), old in trees.pair.hints.columns.items() if table == trees.name}
    return tuple(column for column in trees.old.table.columns if column.name not in kept)


def same_columns(trees: Trees) -> bool:
    """Whether the new table has all columns of the old one, of the same types."""
    new = {(column.name, column.type) for column in trees.new.table.columns}
    return all((column.name, column.type) in new for column in trees.old.table.columns)


# --- the key ---


def shared_key(trees: Trees) -> Key | None:
    """A key of the new table that no two old rows share; None where there is none and none can be had."""
    same = {
        one.column.name: one.source.name for one in given(trees) if one.source is not None and _is_same(one)
    }
    unique = unique_keys(trees.old.table)
    for key in unique_keys(trees.new.table):
        sources = tuple(same.get(column, "") for column in key)
        if all(sources) and _narrowed(trees.old.table, sources, unique):
            return Key(columns=key, sources=sources)
    return _helped(trees, {source: column for column, source in same.items()}, unique)


def _is_same(one: Given) -> bool:
    """The value is the old one, and neither may be NULL."""
    assert one.source is not None
    return keeps_value(one) and not one.column.nullable and not one.source.nullable


def keeps_value(one: Given) -> bool:
    """Whether it is an old column, and different values stay different."""
    source = one.source
    return source is not None and (
        source.type == one.column.type or one.column.type in _WIDER.get(source.type, ())
    )


def _narrowed(table: Table, sources: Sequence[str], unique: Sequence[tuple[str, ...]]) -> bool:
    return any(set(key) <= set(sources) for key in unique)


def _helped(trees: Trees, columns: dict[str, str], unique: Sequence[tuple[str, ...]]) -> Key | None:
    """A key of the old table and the columns that the new one is partitioned by; an index over them for a while."""
    new = trees.new.table
    split = [element.column for table in trees.new.tables for element in _partition_key(table)]
    split = list(dict.fromkeys(split))
    if not set(split) <= set(columns.values()):
        return None
    for key in unique:
        if all(column in columns for column in key):
            wanted = tuple(dict.fromkeys([*(columns[column] for column in key), *map(str, split)]))
            back = {column: source for source, column in columns.items()}
            return Key(
                columns=wanted, sources=tuple(back[c] for c in wanted), helper=_helper(new.name, wanted)
            )
    return None


def _partition_key(table: Table) -> tuple[IndexElement, ...]:
    return table.partition_by.key if table.partition_by else ()


def _helper(table: Name, columns: tuple[str, ...]) -> Index:
    elements = tuple(IndexElement(column=column) for column in columns)
    return Index(name=beside(table.name, "key"), elements=elements, unique=True)


def unique_keys(table: Table) -> tuple[tuple[str, ...], ...]:
    """Its keys that hold for all rows at once: ON CONFLICT can name them."""
    return tuple(_unique_keys(table))


def _unique_keys(table: Table) -> Iterator[tuple[str, ...]]:
    for key in (table.primary_key, *table.uniques):
        if key is not None and key.deferral == "not deferrable" and not key.without_overlaps:
            yield key.columns
    for index in table.indexes:
        plain = all(element.column and not element.opclass for element in index.elements)
        if index.unique and index.where is None and index.method == "btree" and plain and not index.only:
            yield tuple(str(element.column) for element in index.elements)


# --- the way back ---


def way_back(trees: Trees) -> Key | None:
    """The key by which rows are carried back to the old table, None where its rows cannot be made of the new ones."""
    back = trees.reversed
    told = {column for table, column in back.pair.hints.values if table == trees.name}
    changed = {one.column.name for one in given(trees) if one.source is None}
    changed = {trees.pair.hints.columns.get((trees.name, name), name) for name in changed}
    for one in given(back):
        if one.column.name not in told and (one.column.name in changed or not keeps_value(one)):
            return None
    return None if left_out(back) else _own_key(back)


def _own_key(back: Trees) -> Key | None:
    """A key of the old table. The new one may hold two rows of it by then: one of them comes back."""
    same = {
        one.column.name: one.source.name for one in given(back) if one.source is not None and _is_same(one)
    }
    keys = (key for key in unique_keys(back.new.table) if all(column in same for column in key))
    return next((Key(columns=key, sources=tuple(same[column] for column in key)) for key in keys), None)
