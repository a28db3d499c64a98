"""A server's catalog as a `Database`. Extension members and system schemas are left out.

Expressions and types come out as the server prints them with an empty search path, so every name in them that is not
PostgreSQL's own is qualified.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

from data_platform.model.database import (
    Action,
    Attribute,
    Check,
    Column,
    Composite,
    Database,
    Deferral,
    Domain,
    Enum,
    Exclusion,
    ExclusionElement,
    Extension,
    ForeignKey,
    Function,
    Generated,
    Index,
    IndexElement,
    Name,
    PrimaryKey,
    Table,
    Trigger,
    Type,
    Unique,
)
from data_platform.postgres.queries import query

Row = dict[str, Any]
Connection = psycopg.Connection[Any]

_ACTIONS: dict[str, Action] = {
    "a": "no action",
    "r": "restrict",
    "c": "cascade",
    "n": "set null",
    "d": "set default",
}
_DESCENDING, _NULLS_FIRST = 1, 2
"""Bits of pg_index.indoption."""
_BEFORE, _EVENTS = 2, ((4, "insert"), (16, "update"), (8, "delete"))
"""Bits of pg_trigger.tgtype."""


def read(connection: Connection) -> Database:
    """Everything in the connection's database that a model can hold."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SET LOCAL search_path TO ''")

        def rows(name: str, **values: Any) -> list[dict[str, Any]]:
            return cursor.execute(query(name), values or None).fetchall()

        tables = rows("tables")
        oids = [row["oid"] for row in tables]
        return Database(
            extensions=tuple(Extension(name=row["name"], schema=row["schema"]) for row in rows("extensions")),
            schemas=tuple(row["name"] for row in rows("schemas")),
            types=_types(rows("enums"), rows("domains"), rows("composites")),
            functions=tuple(_function(row) for row in rows("functions")),
            tables=_tables(
                tables,
                _by_table(rows("columns", tables=oids)),
                _by_table(rows("constraints", tables=oids)),
                _by_table(rows("indexes", tables=oids)),
                _by_table(rows("triggers", tables=oids)),
            ),
        )


def _by_table(rows: Iterable[Row]) -> Mapping[int, list[Row]]:
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["table_oid"]].append(row)
    return groups


def _types(enums: list[Row], domains: list[Row], composites: list[Row]) -> tuple[Type, ...]:
    made: list[Type] = [
        Enum(name=_name(row), labels=tuple(row["labels"] or ()), comment=row["comment"]) for row in enums
    ]
    made += [
        Domain(
            name=_name(row),
            base=row["base"],
            nullable=not row["not_null"],
            default=row["default_expression"],
            collation=row["collation"],
            checks=tuple(
                Check(name=name, expression=text) for name, text in sorted((row["checks"] or {}).items())
            ),
            comment=row["comment"],
        )
        for row in domains
    ]
    made += [
        Composite(
            name=_name(row),
            attributes=tuple(Attribute(name=name, type=type_) for name, type_ in row["attributes"] or ()),
            comment=row["comment"],
        )
        for row in composites
    ]
    return tuple(sorted(made, key=lambda type_: type_.name))


def _tables(
    tables: list[Row],
    columns: Mapping[int, list[Row]],
    constraints: Mapping[int, list[Row]],
    indexes: Mapping[int, list[Row]],
    triggers: Mapping[int, list[Row]],
) -> tuple[Table, ...]:
    return tuple(
        _table(row, *(rows.get(row["oid"], []) for rows in (columns, constraints, indexes, triggers)))
        for row in tables
    )


def _table(
    row: Row, columns: list[Row], constraints: list[Row], indexes: list[Row], triggers: list[Row]
) -> Table:
    by_oid = {index["oid"]: index for index in indexes}
    kinds = defaultdict(list)
    for constraint in constraints:
        kinds[constraint["kind"]].append(constraint)
    keys = [_primary_key(key) for key in kinds["p"]]
    return Table(
        name=_name(row),
        columns=tuple(_column(column) for column in columns),
        primary_key=keys[0] if keys else None,
        uniques=tuple(_unique(key, by_oid[key["index_oid"]]) for key in kinds["u"]),
        checks=tuple(Check(name=check["name"], expression=check["expression"]) for check in kinds["c"]),
        exclusions=tuple(_exclusion(part, by_oid[part["index_oid"]]) for part in kinds["x"]),
        foreign_keys=tuple(_foreign_key(key) for key in kinds["f"]),
        indexes=tuple(_index(index) for index in indexes if not index["of_constraint"]),
        triggers=tuple(_trigger(trigger) for trigger in triggers),
        comment=row["comment"],
    )


def _name(row: Row) -> Name:
    return Name(row["schema"], row["name"])


def _column(row: Row) -> Column:
    generated = row["generated"]
    return Column(
        name=row["name"],
        type=row["type"],
        nullable=not row["not_null"],
        default=None if generated else row["expression"],
        identity={"a": "always", "d": "by default"}.get(row["identity"]),  # type: ignore[arg-type]
        generated=Generated(expression=row["expression"], stored=generated == "s") if generated else None,
        collation=row["collation"],
        comment=row["comment"],
    )


def _deferral(row: Row) -> Deferral:
    if not row["deferrable"]:
        return "not deferrable"
    return "initially deferred" if row["deferred"] else "initially immediate"


def _primary_key(row: Row) -> PrimaryKey:
    return PrimaryKey(name=row["name"], columns=tuple(row["columns"]), deferral=_deferral(row))


def _unique(row: Row, index: Row) -> Unique:
    return Unique(
        name=row["name"],
        columns=tuple(row["columns"]),
        nulls_not_distinct=index["nulls_not_distinct"],
        include=tuple(index["include"] or ()),
        deferral=_deferral(row),
    )


def _exclusion(row: Row, index: Row) -> Exclusion:
    elements = [_element(element) for element in index["elements"]]
    return Exclusion(
        name=row["name"],
        method=index["method"],
        elements=tuple(
            ExclusionElement(element=element, operator=operator)
            for element, operator in zip(elements, row["operators"], strict=True)
        ),
        where=index["predicate"],
        deferral=_deferral(row),
    )


def _foreign_key(row: Row) -> ForeignKey:
    return ForeignKey(
        name=row["name"],
        columns=tuple(row["columns"]),
        target=Name(row["target_schema"], row["target_name"]),
        target_columns=tuple(row["target_columns"]),
        on_delete=_ACTIONS[row["on_delete"]],
        on_update=_ACTIONS[row["on_update"]],
        set_columns=tuple(row["set_columns"] or ()),
        match_full=row["match"] == "f",
        deferral=_deferral(row),
    )


def _index(row: Row) -> Index:
    options = [option.split("=", 1) for option in row["options"] or ()]
    return Index(
        name=row["name"],
        elements=tuple(_element(element) for element in row["elements"]),
        method=row["method"],
        unique=row["unique"],
        nulls_not_distinct=row["nulls_not_distinct"],
        include=tuple(row["include"] or ()),
        where=row["predicate"],
        options=tuple(sorted((key, value) for key, value in options)),
        comment=row["comment"],
    )


def _element(element: Row) -> IndexElement:
    collation = element["collation"]
    if element["column"] is None and element["expression_collation"] not in (None, "default"):
        collation = element["expression_collation"]
    return IndexElement(
        column=element["column"],
        expression=element["expression"],
        collation=collation,
        opclass=element["opclass"],
        descending=bool(element["option"] & _DESCENDING),
        nulls_first=bool(element["option"] & _NULLS_FIRST),
    )


def _trigger(row: Row) -> Trigger:
    return Trigger(
        name=row["name"],
        timing="before" if row["bits"] & _BEFORE else "after",
        events=tuple(event for bit, event in _EVENTS if row["bits"] & bit),  # type: ignore[misc]
        function=Name(row["function_schema"], row["function_name"]),
    )


def _function(row: Row) -> Function:
    return Function(name=_name(row), returns=row["returns"], language=row["language"], body=row["body"])
