"""Rows that a migration can take: the old schema with what the new one asks of the columns that both have.

A statement that only some rows pass (SET NOT NULL, a CHECK, a key) would fail on rows that were made for the old
schema alone. Whether production's pass is for its owner to say; what the statement does when they do can be measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from data_platform.model.database import (
    Check,
    Column,
    Database,
    Enum,
    Exclusion,
    Name,
    PrimaryKey,
    Table,
    Unique,
)
from data_platform.model.design import DataHint
from data_platform.sql.statements import column_references
from data_platform.sql.text import NotSql, parse


def conformed(
    before: Database, after: Database, bounds: Mapping[Name, str] = MappingProxyType({})
) -> Database:
    """`before`, stricter: NOT NULLs, checks, keys and foreign keys of `after` over columns that did not change type.

    `bounds` are conditions for the rows of tables that become partitions.
    """
    new = {table.name: table for table in after.tables}
    there = {table.name for table in before.tables}
    tables = tuple(_bound(_table(table, new.get(table.name), there), bounds) for table in before.tables)
    return replace(before, tables=tables)


def _table(old: Table, new: Table | None, there: Iterable[Name]) -> Table:
    if new is None:
        return old
    types = {column.name: column.type for column in new.columns}
    same = {column.name for column in old.columns if types.get(column.name) == column.type}
    known = {constraint.name for constraint in old.constraints}
    return replace(
        old,
        columns=tuple(_column(column, new) for column in old.columns),
        checks=(*old.checks, *(c for c in new.checks if c.name not in known and _within(c, same))),
        exclusions=(*old.exclusions, *(e for e in new.exclusions if e.name not in known and _over(e, same))),
        uniques=(*old.uniques, *_keys(old, new, same)),
        foreign_keys=(
            *old.foreign_keys,
            *(
                key
                for key in new.foreign_keys
                if key.name not in known and same.issuperset(key.columns) and key.target in there
            ),
        ),
    )


def _bound(table: Table, bounds: Mapping[Name, str]) -> Table:
    if table.name not in bounds:
        return table
    return replace(table, checks=(*table.checks, Check(name="dpe bounds", expression=bounds[table.name])))


def _column(column: Column, new: Table) -> Column:
    later = next((other for other in new.columns if other.name == column.name), None)
    if later is None or later.nullable or not column.nullable:
        return column
    return replace(column, nullable=False)


def _over(exclusion: Exclusion, columns: set[str]) -> bool:
    return all(part.element.column in columns for part in exclusion.elements)


def _within(check: Check, columns: set[str]) -> bool:
    try:
        (tree,) = parse(f"SELECT {check.expression}").stmts
    except (NotSql, ValueError):
        return False
    return columns.issuperset(parts[-1] for parts in column_references(tree.stmt))


def _keys(old: Table, new: Table, same: set[str]) -> Iterator[Unique]:
    """New keys over old columns, those of plain unique indexes among them."""
    had = {unique.columns for unique in old.uniques}
    had |= {old.primary_key.columns} if old.primary_key else set()
    keys: list[Unique | PrimaryKey] = [*new.uniques, *([new.primary_key] if new.primary_key else [])]
    found = {key.columns: key.name for key in keys}
    for index in new.indexes:
        columns = tuple(element.column or "" for element in index.elements)
        if index.unique and index.where is None and all(columns):
            found.setdefault(columns, index.name)
    for columns, name in found.items():
        if columns not in had and same.issuperset(columns):
            yield Unique(name=name, columns=columns)


_TEXTS: Mapping[str, tuple[str, ...]] = {
    "smallint": tuple(str(number) for number in range(1, 200)),
    "integer": tuple(str(number) for number in range(1, 200)),
    "bigint": tuple(str(number) for number in range(1, 200)),
    "numeric": tuple(f"{number}.5" for number in range(1, 200)),
    "boolean": ("true", "false"),
    "date": tuple(f"2025-03-{day:02}" for day in range(1, 29)),
    "timestamp with time zone": tuple(f"2025-03-{day:02} 08:15:00+00" for day in range(1, 29)),
    "timestamp without time zone": tuple(f"2025-03-{day:02} 08:15:00" for day in range(1, 29)),
    "uuid": tuple(f"00000000-0000-4000-8000-{number:012}" for number in range(1, 100)),
    "json": ("{}", '{"a": 1}'),
    "jsonb": ("{}", '{"a": 1}'),
    "inet": tuple(f"10.0.0.{number}" for number in range(1, 200)),
}


def hints(before: Database, after: Database) -> dict[tuple[Name, str], DataHint]:
    """Texts that can be read as the type that a text column gets."""
    new = {(table.name, column.name): column.type for table in after.tables for column in table.columns}
    enums = {str(type_.name): type_.labels for type_ in after.types if isinstance(type_, Enum)}
    found: dict[tuple[Name, str], DataHint] = {}
    for table in before.tables:
        for column in table.columns:
            later = new.get((table.name, column.name))
            if later is None or later == column.type or not column.type.startswith(("text", "character")):
                continue
            texts = _TEXTS.get(later.split("(")[0].strip()) or enums.get(later)
            if texts:
                found[table.name, column.name] = DataHint(values=tuple((text, 1.0) for text in texts))
    return found
