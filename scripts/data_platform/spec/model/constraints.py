"""Keys, checks and exclusions of one table. Foreign keys need all tables and are read after them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from data_platform.model.database import (
    Check,
    Exclusion,
    ExclusionElement,
    Index,
    IndexElement,
    PrimaryKey,
    Table,
    Unique,
)
from data_platform.spec.document import Path_
from data_platform.spec.model.codec import Object
from data_platform.spec.model.elements import read_element
from data_platform.spec.model.scope import TableScope
from data_platform.spec.model.values import Reading
from data_platform.sql.text import NotSql, operator

NOT_DELETED = "deleted_at IS NULL"


def primary_key(scope: TableScope) -> PrimaryKey | None:
    """The author's, wherever it stands, or that of the house rules."""
    spec = scope.spec.get("primary_key")
    path: Path_ = (*scope.path, "primary_key")
    marked = [name for name, _ in scope.marked("primary_key")]
    if spec is not None and marked:
        message = f"the key is here and at the column `{marked[0]}`"
        scope.context.error(path, "spec-conflict", message, "keep one of the two")
    if spec is None:
        by_rule = scope.rules.primary_key != "none" and "id" in scope.column_names
        columns = tuple(marked) or (("id",) if by_rule else ())
        return PrimaryKey(name=scope.relation_name(None, "pkey"), columns=columns) if columns else None
    given = spec if isinstance(spec, dict) else {"columns": spec}
    at = (*path, "columns") if isinstance(spec, dict) else path
    scope.context.known_columns(given["columns"], scope.column_names, at)
    return PrimaryKey(
        name=scope.relation_name(given.get("name"), "pkey"),
        columns=tuple(given["columns"]),
        **_with_included(scope, PrimaryKey, given, path),
    )


def uniques(scope: TableScope) -> tuple[list[Unique], list[Index]]:
    """Unique keys; with soft delete a unique index over the rows that are not deleted stands for the constraint."""
    constraints: list[Unique] = []
    indexes: list[Index] = []
    for path, spec in _unique_specs(scope):
        columns = tuple(spec["columns"])
        at = (*path, "columns") if "columns" in spec else path
        scope.context.known_columns(columns, scope.column_names, at)
        if spec.get("nulls_not_distinct"):
            scope.context.needs_version(15, "NULLS NOT DISTINCT", path)
        name = scope.relation_name(spec.get("name"), *columns, "key")
        fields = _with_included(scope, Unique, spec, path)
        among_living = scope.rules.soft_delete and "deleted_at" in scope.column_names
        if among_living and not spec.get("include_deleted") and "deferral" not in spec:
            elements = tuple(IndexElement(column=column) for column in columns)
            kept = {key: fields[key] for key in ("nulls_not_distinct", "include", "comment") if key in fields}
            indexes.append(Index(name=name, elements=elements, unique=True, where=NOT_DELETED, **kept))
        else:
            constraints.append(Unique(name=name, columns=columns, **fields))
    return constraints, indexes


def checks(scope: TableScope) -> list[Check]:
    """Checks with a name, and those at a column."""
    reading = Reading(scope.context, scope.column_names)
    made = [
        Check(name=name, **Object(Check).fields(reading, value, (*scope.path, "checks", name)))
        for name, value in scope.spec.get("checks", {}).items()
    ]
    for name, value in scope.marked("check"):
        expression = scope.expression(value, (*scope.path, "columns", name, "check"))
        made.append(Check(name=scope.constraint_name(None, name, "check"), expression=expression))
    return made


def exclusions(scope: TableScope) -> list[Exclusion]:
    """Exclusion constraints."""
    return [
        _exclusion(scope, spec, (*scope.path, "exclude", str(number)))
        for number, spec in enumerate(scope.spec.get("exclude", ()))
    ]


def _exclusion(scope: TableScope, spec: Mapping[str, Any], path: Path_) -> Exclusion:
    method = spec.get("using", "gist")
    elements = []
    for number, item in enumerate(spec["elements"]):
        at = (*path, "elements", str(number))
        try:
            operator(item["with"])
        except NotSql as problem:
            message = f"`{item['with']}`: {problem}"
            scope.context.error((*at, "with"), "spec-expression", message, "an operator such as = or &&")
        key = {name: value for name, value in item.items() if name != "with"}
        element = read_element(scope.context, key, at, scope.column_names, method)
        elements.append(ExclusionElement(element=element, operator=item["with"].strip()))
    columns = [part.element.column or "expr" for part in elements]
    return Exclusion(
        name=scope.relation_name(spec.get("name"), *columns, "excl"),
        method=method,
        elements=tuple(elements),
        **_with_included(scope, Exclusion, spec, path),
    )


def refuse_repeated_keys(scope: TableScope, key: PrimaryKey | None, made: list[Unique]) -> None:
    """PostgreSQL merges a UNIQUE that repeats another key without a word, and its name is gone."""
    seen = {key.columns: "the primary key"} if key else {}
    for unique in made:
        if unique.columns in seen and not scope.context.imported:
            message = f"the unique key ({', '.join(unique.columns)}) repeats {seen[unique.columns]}"
            scope.context.error((*scope.path, "unique"), "spec-duplicate", message, "remove it")
        seen[unique.columns] = f"`{unique.name}`"


def refuse_virtual_keys(scope: TableScope, table: Table) -> None:
    """No key or index may hold a virtual generated column (PostgreSQL 18, CREATE TABLE)."""
    virtual = {column.name for column in scope.columns if column.generated and not column.generated.stored}
    if not virtual:
        return
    held = [(key.name, key.columns) for key in (table.primary_key, *table.uniques) if key]
    held += [
        (index.name, tuple(element.column or "" for element in index.elements) + index.include)
        for index in table.indexes
    ]
    for name, columns in held:
        for column in sorted(virtual & set(columns)):
            message = f"`{name}` holds `{column}`, a virtual generated column, which cannot be indexed"
            fix = "stored: true, or an index on the expression itself"
            scope.context.error((*scope.path, "columns", column), "spec-conflict", message, fix)


def _with_included(scope: TableScope, cls: type[Any], spec: Any, path: Path_) -> dict[str, Any]:
    fields = scope.fields(cls, spec, path)
    scope.context.known_columns(fields.get("include", ()), scope.column_names, (*path, "include"))
    return fields


def _unique_specs(scope: TableScope) -> Iterator[tuple[Path_, Mapping[str, Any]]]:
    for name, value in scope.marked("unique"):
        if value:
            yield (*scope.path, "columns", name, "unique"), {"columns": [name]}
    for number, item in enumerate(scope.spec.get("unique", ())):
        path = (*scope.path, "unique", str(number))
        yield path, item if isinstance(item, dict) else {"columns": item}
