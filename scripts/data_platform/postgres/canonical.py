"""A design's database with every type and expression as the server would print it, so that catalogs can be compared.

`total>=0` and `CHECK ((total >= (0)::numeric))` are the same constraint in two spellings, and only the server knows
the second. Each type, default, check, index key and predicate is therefore given to the server alone, on a bare copy of
its table, in a transaction that is rolled back; the texts that come back replace the author's. Structure is never taken
from the server: what the catalog must equal is still what the design says. These statements are written here and not
by the renderer, so that a fault there cannot hide itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.model.database import (
    Check,
    Column,
    Composite,
    Database,
    Domain,
    Enum,
    Exclusion,
    Extension,
    Generated,
    Index,
    IndexElement,
    Table,
    Type,
)
from data_platform.model.design import Design
from data_platform.postgres.catalog import Connection, read
from data_platform.sql.text import dotted, expression, identifier, identifiers, qualified, type_name

_SCHEMA = "dpe canonical"


def canonical(connection: Connection, design: Design) -> Database:
    """The design's database in the server's spelling. Its types and extensions must exist in the connection's database.

    Raises psycopg.Error for an expression or a type that the server refuses.
    """
    database = design.database
    types = sorted(database.types, key=lambda type_: type_.name)
    with connection.transaction(force_rollback=True):
        connection.execute(f"CREATE SCHEMA {identifier(_SCHEMA)}")
        connection.execute(f"SET LOCAL search_path TO {identifiers(design.search_path)}")
        for number, type_ in enumerate(types):
            for sql in _type_pieces(number, type_):
                connection.execute(sql)
        for number, table in enumerate(database.tables):
            for sql in _table_pieces(number, table):
                connection.execute(sql)
        found = read(connection)
    spelled = {type_.name.name: type_ for type_ in found.types if type_.name.schema == _SCHEMA}
    tables = {table.name.name: table for table in found.tables if table.name.schema == _SCHEMA}
    return Database(
        extensions=tuple(_extension(extension, found) for extension in database.extensions),
        schemas=database.schemas,
        types=tuple(_type(type_, spelled.get(f"y{number}")) for number, type_ in enumerate(types)),
        functions=database.functions,
        tables=tuple(_table(table, tables[f"t{number}"]) for number, table in enumerate(database.tables)),
    )


def _type_pieces(number: int, type_: Type) -> Iterator[str]:
    name = qualified(_SCHEMA, f"y{number}")
    match type_:
        case Composite():
            fields = ", ".join(f"{identifier(part.name)} {type_name(part.type)}" for part in type_.attributes)
            yield f"CREATE TYPE {name} AS ({fields})"
        case Domain():
            yield f"CREATE DOMAIN {name} AS {type_name(type_.base)}" + _collation(type_.collation)
            if type_.default is not None:
                yield f"ALTER DOMAIN {name} SET DEFAULT ({expression(type_.default)})"
            for position, check in enumerate(type_.checks):
                yield f"ALTER DOMAIN {name} ADD CONSTRAINT c{position} CHECK ({expression(check.expression)})"


def _table_pieces(number: int, table: Table) -> Iterator[str]:
    name = qualified(_SCHEMA, f"t{number}")
    columns = [f"{identifier(c.name)} {type_name(c.type)}{_collation(c.collation)}" for c in table.columns]
    yield f"CREATE TABLE {name} ({', '.join(columns)})"
    for position, column in enumerate(table.columns):
        if column.default is not None:
            yield f"ALTER TABLE {name} ALTER {identifier(column.name)} SET DEFAULT ({expression(column.default)})"
        if column.generated is not None:
            text = expression(column.generated.expression)
            extra = identifier(_generated_name(position))
            yield f"ALTER TABLE {name} ADD {extra} {type_name(column.type)} GENERATED ALWAYS AS ({text}) STORED"
    for position, check in enumerate(table.checks):
        yield f"ALTER TABLE {name} ADD CONSTRAINT c{position} CHECK ({expression(check.expression)})"
    keys = [(index.method, index.elements, index.where) for index in table.indexes]
    keys += [
        (part.method, tuple(item.element for item in part.elements), part.where) for part in table.exclusions
    ]
    for position, (method, elements, where) in enumerate(keys):
        listed = ", ".join(_element_piece(element) for element in elements)
        predicate = f" WHERE {expression(where)}" if where is not None else ""
        index = identifier(_index_name(number, position))
        yield f"CREATE INDEX {index} ON {name} USING {identifier(method)} ({listed}){predicate}"


def _element_piece(element: IndexElement) -> str:
    if element.column is not None:
        key = str(identifier(element.column))
    else:
        assert element.expression is not None
        key = f"({expression(element.expression)})"
    opclass = f" {dotted(element.opclass)}" if element.opclass else ""
    return key + _collation(element.collation) + opclass


def _collation(name: str | None) -> str:
    return f" COLLATE {identifier(name)}" if name else ""


def _generated_name(position: int) -> str:
    return f"dpe generated {position}"


def _index_name(table: int, position: int) -> str:
    return f"dpe {table} {position:04}"


def _extension(extension: Extension, found: Database) -> Extension:
    schemas = {other.name: other.schema for other in found.extensions}
    return replace(extension, schema=extension.schema or schemas.get(extension.name))


def _type(type_: Type, spelled: Type | None) -> Type:
    match type_, spelled:
        case Domain(), Domain():
            checks = {check.name: check.expression for check in spelled.checks}
            return replace(
                type_,
                base=spelled.base,
                # A domain over a domain inherits its default, so this may be more than the author wrote.
                default=spelled.default,
                collation=spelled.collation,
                checks=tuple(
                    Check(name=check.name, expression=checks[f"c{position}"])
                    for position, check in enumerate(type_.checks)
                ),
                comment=type_.comment or None,
            )
        case Composite(), Composite():
            return replace(type_, attributes=spelled.attributes, comment=type_.comment or None)
        case Enum(), _:
            return replace(type_, comment=type_.comment or None)
        case _:
            return type_


def _table(table: Table, spelled: Table) -> Table:
    checks = {check.name: check.expression for check in spelled.checks}
    number = int(spelled.name.name.removeprefix("t"))
    indexes = {index.name: index for index in spelled.indexes}

    def index_at(position: int) -> Index:
        return indexes[_index_name(number, position)]

    return replace(
        table,
        columns=tuple(_column(column, position, spelled) for position, column in enumerate(table.columns)),
        checks=tuple(
            replace(check, expression=checks[f"c{position}"]) for position, check in enumerate(table.checks)
        ),
        indexes=tuple(_index(index, index_at(position)) for position, index in enumerate(table.indexes)),
        exclusions=tuple(
            _exclusion(part, index_at(len(table.indexes) + position))
            for position, part in enumerate(table.exclusions)
        ),
        comment=table.comment or None,
    )


def _column(column: Column, position: int, spelled: Table) -> Column:
    piece = spelled.column(column.name)
    generated = column.generated
    if generated is not None:
        text = spelled.column(_generated_name(position)).generated
        assert text is not None
        generated = Generated(expression=text.expression, stored=generated.stored)
    return replace(
        column,
        type=piece.type,
        default=_spelled(column.default, piece.default),
        generated=generated,
        collation=piece.collation,
        comment=column.comment or None,
    )


def _index(index: Index, spelled: Index) -> Index:
    return replace(
        index,
        elements=tuple(map(_element, index.elements, spelled.elements)),
        where=_spelled(index.where, spelled.where),
        comment=index.comment or None,
    )


def _exclusion(part: Exclusion, spelled: Index) -> Exclusion:
    return replace(
        part,
        elements=tuple(
            replace(item, element=_element(item.element, element))
            for item, element in zip(part.elements, spelled.elements, strict=True)
        ),
        where=_spelled(part.where, spelled.where),
    )


def _element(element: IndexElement, spelled: IndexElement) -> IndexElement:
    return replace(
        element,
        # `(total)` is an expression to the author and a column to the server.
        column=spelled.column,
        expression=spelled.expression,
        collation=spelled.collation,
        opclass=spelled.opclass,
    )


def _spelled(author: str | None, server: str | None) -> str | None:
    """The server's spelling of what the author wrote; nothing that the author did not write."""
    return server if author is not None else None
