"""A design's database with every type and expression as the server would print it, so that catalogs can be compared.

`total>=0` and `CHECK ((total >= (0)::numeric))` are the same constraint in two spellings, and only the server knows
the second. Each type, default, check, index key, predicate and query is therefore given to the server alone, on a bare
copy of its table, in a transaction that is rolled back; the texts that come back replace the author's. Structure is
never taken from the server: what the catalog must equal is still what the design says. Only what is a statement to the
author (rules and raw objects) is taken as the server prints it, if it is there.

pieces   the statements that make the copies
spelled  the design's parts with the texts that came back
access   grants and privileges, one by one, with objects named as the server does
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.model.database import Database, Extension, MaterializedView, Table, View
from data_platform.model.design import Design
from data_platform.postgres.canonical import access, pieces, spelled
from data_platform.postgres.catalog import Connection, read
from data_platform.sql.text import identifier, identifiers

__all__ = ["canonical", "comparable"]


def canonical(connection: Connection, design: Design, found: Database) -> Database:
    """The design's database in the server's spelling, to be compared with `comparable(found, design)`.

    The design's objects must exist in the connection's database, whose catalog is `found`.
    Raises psycopg.Error for an expression or a type that the server refuses.
    """
    database = design.database
    copies = spelled.Copies(_copied(connection, design))
    made = spelled.spelled(database, copies, found)
    return replace(
        made,
        extensions=tuple(_extension(extension, found) for extension in database.extensions),
        grants=access.each(access.named(connection, database.grants)),
        default_privileges=access.each_default(database.default_privileges),
        raw=found.raw if database.raw else (),
    )


def comparable(found: Database, design: Design) -> Database:
    """The catalog without a partition's keys and indexes that the design leaves to PostgreSQL."""
    listed = {table.name: table for table in design.database.tables if table.partition_of}
    tables = tuple(
        spelled.without_followers(table, listed[table.name]) if table.name in listed else table
        for table in found.tables
    )
    return replace(
        found,
        tables=tables,
        grants=access.each(found.grants),
        default_privileges=access.each_default(found.default_privileges),
    )


def _copied(connection: Connection, design: Design) -> Database:
    """What the server makes of the pieces."""
    database = design.database
    types = sorted(database.types, key=lambda type_: type_.name)
    with connection.transaction(force_rollback=True):
        connection.execute(f"CREATE SCHEMA {identifier(pieces.SCHEMA)}")
        connection.execute(f"SET LOCAL search_path TO {identifiers(design.search_path)}")
        connection.execute("SET LOCAL check_function_bodies TO off")
        for number, type_ in enumerate(types):
            for sql in pieces.type_pieces(number, type_):
                connection.execute(sql.encode())
        for number, table in enumerate(database.tables):
            for sql in pieces.table_pieces(number, table):
                connection.execute(sql.encode())
        for sql in _partitions(database.tables):
            connection.execute(sql.encode())
        views: tuple[View | MaterializedView, ...] = (*database.views, *database.materialized_views)
        for number, view in enumerate(views):
            for sql in pieces.view_pieces(number, view):
                connection.execute(sql.encode())
        for number, function in enumerate(database.functions):
            if function.language not in ("c", "internal"):
                connection.execute(pieces.function_piece(number, function).encode())
        return read(connection)


def _partitions(tables: tuple[Table, ...]) -> Iterator[str]:
    """Partitioned tables, then what is a partition of them."""
    numbers = {table.name: number for number, table in enumerate(tables)}
    for number, table in enumerate(tables):
        made = pieces.partitioned_piece(number, table)
        if made is not None:
            yield made
    for number, table in enumerate(tables):
        if table.partition_of is not None and table.partition_of.table in numbers:
            yield pieces.bound_piece(number, numbers[table.partition_of.table], table.partition_of.bound)


def _extension(extension: Extension, found: Database) -> Extension:
    schemas = {other.name: other.schema for other in found.extensions}
    return replace(extension, schema=extension.schema or schemas.get(extension.name))
