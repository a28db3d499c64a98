"""Why each index is there: access patterns whose plans used it, a key it keeps unique, a foreign key it serves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from data_platform.model.database import Database, ForeignKey, Index, Name, Table
from data_platform.schema.prove.result import IndexUse, Measured
from data_platform.sql.text import identifier, relation_literal


def index_uses(
    connection: psycopg.Connection[Any], database: Database, patterns: Sequence[Measured]
) -> Iterator[IndexUse]:
    """One entry for each index that no constraint owns."""
    for table in database.tables:
        for index in table.indexes:
            yield IndexUse(
                table=table.name,
                index=index.name,
                bytes=_size(connection, Name(table.name.schema, index.name)),
                reasons=tuple(_reasons(table, index, patterns)),
            )


def _reasons(table: Table, index: Index, patterns: Sequence[Measured]) -> Iterator[str]:
    for measured in patterns:
        if index.name in measured.indexes:
            yield f"access pattern `{measured.pattern.name}`"
        elif (table.name.name, index.name) in measured.usable_indexes:
            yield f"access pattern `{measured.pattern.name}`, once the table is larger"
    if index.unique:
        yield "keeps a key unique"
    leading = [element.column for element in index.elements]
    for key in table.foreign_keys:
        leads = set(key.columns) == set(leading[: len(key.columns)]) and index.method == "btree"
        if leads and (index.where is None or index.where in _holds_all_references(key)):
            yield f"foreign key `{key.name}`"


def _holds_all_references(key: ForeignKey) -> set[str]:
    """Predicates, as the server prints them, that leave out only rows that refer to nothing."""
    return {f"({identifier(column)} IS NOT NULL)" for column in key.columns}


def _size(connection: psycopg.Connection[Any], name: Name) -> int:
    relation = relation_literal(name)
    row = connection.execute(f"SELECT pg_relation_size({relation}::regclass)".encode()).fetchone()
    assert row is not None
    return int(row[0])
