"""Foreign keys, once all tables are known; each brings the index on its referencing columns unless one serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from data_platform.model.database import Column, ForeignKey, Index, IndexElement, Name, Table
from data_platform.spec.document import Path_
from data_platform.spec.model.context import Context, near
from data_platform.spec.model.scope import TableScope
from data_platform.sql import types
from data_platform.sql.text import NotSql

_SAME_FAMILY = (
    frozenset({"int2", "int4", "int8", "numeric"}),
    frozenset({"text", "varchar", "bpchar", "name", "citext"}),
    frozenset({"float4", "float8"}),
    frozenset({"date", "timestamp", "timestamptz"}),
)


@dataclass(frozen=True)
class _Reference:
    """A foreign key as the spec has it, at a column or in `foreign_keys`."""

    path: Path_
    table_path: Path_
    columns: tuple[str, ...]
    columns_path: Path_
    table: str
    target_columns: tuple[str, ...] | None
    target_path: Path_
    spec: Mapping[str, Any]


def add_foreign_keys(
    context: Context, scopes: Mapping[Name, TableScope], tables: Mapping[Name, Table]
) -> dict[Name, Table]:
    """The tables with their foreign keys, the types of columns that only `references` gives, and the indexes."""
    resolved = {name: list(_resolve(context, scopes[name], tables)) for name in tables}
    typed = _with_inherited_types(context, scopes, tables, resolved)
    done = {}
    for name, table in typed.items():
        keys = [
            (reference, key)
            for reference, key in resolved[name]
            if _fits(context, reference, key, table, typed)
        ]
        foreign_keys = tuple(sorted((key for _, key in keys), key=lambda key: key.name))
        wanted = [key for reference, key in keys if reference.spec.get("index", True)]
        done[name] = _with_indexes(context, replace(table, foreign_keys=foreign_keys), wanted)
    return done


def _references(scope: TableScope) -> Iterator[_Reference]:
    for name, value in scope.spec.get("columns", {}).items():
        if isinstance(value, dict) and "references" in value:
            spec = value["references"]
            path: Path_ = (*scope.path, "columns", name, "references")
            target = (spec["column"],) if "column" in spec else None
            yield _Reference(
                path, (*path, "table"), (name,), path, spec["table"], target, (*path, "column"), spec
            )
    for number, spec in enumerate(scope.spec.get("foreign_keys", ())):
        path = (*scope.path, "foreign_keys", str(number))
        target_spec = (
            spec["references"] if isinstance(spec["references"], dict) else {"table": spec["references"]}
        )
        columns = tuple(target_spec["columns"]) if "columns" in target_spec else None
        yield _Reference(
            path,
            (*path, "references"),
            tuple(spec["columns"]),
            (*path, "columns"),
            target_spec["table"],
            columns,
            (*path, "references", "columns"),
            spec,
        )


def _resolve(
    context: Context, scope: TableScope, tables: Mapping[Name, Table]
) -> Iterator[tuple[_Reference, ForeignKey]]:
    for reference in _references(scope):
        target = context.name(reference.table, reference.table_path)
        if target is None:
            continue
        if target not in tables:
            message = f"no table `{reference.table}` in this model"
            names = [str(n) for n in tables] + [n.name for n in tables]
            context.error(
                reference.table_path,
                "spec-unknown-table",
                message,
                near(reference.table, names) or "add it under `tables:`",
            )
            continue
        columns_known = context.known_columns(reference.columns, scope.column_names, reference.columns_path)
        target_columns = _target_columns(context, reference, tables[target], tables)
        set_columns = tuple(reference.spec.get("set_columns", ()))
        if set_columns:
            context.needs_version(15, "ON DELETE SET … (columns)", reference.path)
            context.known_columns(set_columns, reference.columns, (*reference.path, "set_columns"))
        if target_columns is None or not columns_known:
            continue
        name = scope.constraint_name(reference.spec.get("name"), *reference.columns, "fkey")
        yield (
            reference,
            ForeignKey(
                name=name,
                columns=reference.columns,
                target=target,
                target_columns=target_columns,
                match_full=reference.spec.get("match") == "full",
                **scope.fields(ForeignKey, reference.spec, reference.path),
            ),
        )


def _target_columns(
    context: Context, reference: _Reference, target: Table, tables: Mapping[Name, Table]
) -> tuple[str, ...] | None:
    if reference.target_columns is None:
        if target.primary_key is None:
            message = f"`{target.name}` has no primary key to refer to"
            context.error(
                reference.path, "spec-foreign-key", message, "name the columns of a unique key of it"
            )
            return None
        columns = target.primary_key.columns
    else:
        columns = reference.target_columns
        names = [column.name for column in target.columns]
        if not all([context.known_column(name, names, reference.target_path) for name in columns]):
            return None
    if len(columns) != len(reference.columns):
        message = (
            f"{len(reference.columns)} referencing and {len(columns)} referenced columns "
            f"({', '.join(reference.columns)} → {', '.join(columns)})"
        )
        context.error(reference.path, "spec-foreign-key", message, "name as many columns on both sides")
        return None
    if set(columns) not in _unique_sets(target, tables):
        message = f"({', '.join(columns)}) is no unique key of `{target.name}`"
        fix = "declare it under `unique:` there"
        partial = [set(_plain(index)) for index in target.indexes if index.unique and index.where]
        if set(columns) in partial:
            message += ": with soft delete it is unique among living rows only"
            fix = "unique: {columns: […], include_deleted: true}, or refer to the primary key"
        context.error(reference.path, "spec-foreign-key", message, fix)
        return None
    return columns


def _unique_sets(table: Table, tables: Mapping[Name, Table]) -> list[set[str]]:
    """The sets of columns that are unique in `table`; a partition has its parent's keys too."""
    above = tables.get(table.partition_of.table) if table.partition_of else None
    keys = _unique_sets(above, tables) if above else []
    keys += [
        set(key.columns)
        for key in (table.primary_key, *table.uniques)
        if key and key.deferral == "not deferrable"
    ]
    whole = [index for index in table.indexes if index.unique and not index.where]
    return keys + [set(_plain(index)) for index in whole if all(element.column for element in index.elements)]


def _plain(index: Index) -> tuple[str, ...]:
    return tuple(element.column for element in index.elements if element.column)


def _with_inherited_types(
    context: Context,
    scopes: Mapping[Name, TableScope],
    tables: Mapping[Name, Table],
    resolved: Mapping[Name, list[tuple[_Reference, ForeignKey]]],
) -> dict[Name, Table]:
    """Gives a column without a type the type of the column it refers to, through chains of references."""
    sources: dict[tuple[Name, str], tuple[Name, str]] = {}
    for name, references in resolved.items():
        for _, key in references:
            for own, target in zip(key.columns, key.target_columns, strict=True):
                sources.setdefault((name, own), (key.target, target))
    for name, table in tables.items():
        for parent in scopes[name].place.parents:
            for column in table.columns:
                sources.setdefault((name, column.name), (parent, column.name))

    def type_of(place: tuple[Name, str]) -> str:
        seen = set()
        while place not in seen:
            seen.add(place)
            found = next((column for column in tables[place[0]].columns if column.name == place[1]), None)
            if found is None or found.type or place not in sources:
                return found.type if found else ""
            place = sources[place]
        return ""

    def typed(name: Name, column: Column) -> Column:
        if column.type:
            return column
        type_ = type_of((name, column.name))
        if not type_:
            path = (*scopes[name].path, "columns", column.name)
            has_reference = column.name in dict(scopes[name].marked("references"))
            declared = column.name in scopes[name].column_specs
            if declared and (not has_reference or (name, column.name) in sources):
                message = f"`{column.name}` has no `type:`, and no reference gives it one"
                context.error(path, "spec-missing-key", message, f"{column.name}: text")
        return replace(column, type=type_)

    return {
        name: replace(table, columns=tuple(typed(name, column) for column in table.columns))
        for name, table in tables.items()
    }


def _fits(
    context: Context, reference: _Reference, key: ForeignKey, table: Table, tables: Mapping[Name, Table]
) -> bool:
    """Whether types agree and the actions are possible; notes an error for each that is not."""
    before = len(context.findings)
    for name, target_name in zip(key.columns, key.target_columns, strict=True):
        own, other = table.column(name), tables[key.target].column(target_name)
        if own.type and other.type and not _comparable(own.type, other.type):
            message = f"`{name}` is {own.type}, `{key.target.name}.{target_name}` is {other.type}"
            context.error(reference.path, "spec-foreign-key", message, f"type: {other.type}")
    for event, action in (("on_delete", key.on_delete), ("on_update", key.on_update)):
        affected = key.set_columns if event == "on_delete" and key.set_columns else key.columns
        for name in affected:
            column = table.column(name)
            fixed = not column.nullable or (table.primary_key and name in table.primary_key.columns)
            if action == "set null" and fixed and not context.imported:
                message = f"`{event}: set null` cannot work: `{name}` is NOT NULL"
                context.error(
                    (*reference.path, event), "spec-foreign-key", message, "nullable: true, or another action"
                )
            changes = ("set null", "set default", *(["cascade"] if event == "on_update" else []))
            if column.generated and action in changes:
                message = f"`{event}: {action}` cannot change the generated column `{name}`"
                context.error((*reference.path, event), "spec-foreign-key", message, "no action or restrict")
    return len(context.findings) == before


def _comparable(left: str, right: str) -> bool:
    try:
        names = {types.reference(left).name, types.reference(right).name}
    except NotSql:
        return True
    if len(names) == 1 or any(names <= family for family in _SAME_FAMILY):
        return True
    # Types of the model or of an extension (a domain over uuid, say): the server will tell.
    return not names <= types.BUILT_IN


def _with_indexes(context: Context, table: Table, keys: list[ForeignKey]) -> Table:
    indexes = list(table.indexes)
    for key in keys:
        if served(table, indexes, key.columns):
            continue
        name = context.namer(table.name.schema).invent(table.name.name, *key.columns, "idx")
        indexes.append(
            Index(name=name, elements=tuple(IndexElement(column=column) for column in key.columns))
        )
    return replace(table, indexes=tuple(sorted(indexes, key=lambda index: index.name)))


def served(table: Table, indexes: Iterable[Index], columns: tuple[str, ...]) -> bool:
    """Whether an index or key leads with these columns, in any order, over all rows."""
    leading = [key.columns for key in (table.primary_key, *table.uniques) if key]
    leading += [
        tuple(element.column or "" for element in index.elements)
        for index in indexes
        if index.method == "btree" and index.where in (None, *(f"{column} IS NOT NULL" for column in columns))
    ]
    return any(set(columns) == set(names[: len(columns)]) for names in leading)
