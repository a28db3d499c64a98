"""Why each index is there: access patterns whose plans used it, a key it keeps unique, a foreign key it serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import psycopg

from data_platform.model.database import Database, ForeignKey, Index, Name, Table
from data_platform.schema.prove.result import IndexUse, Measured
from data_platform.sql.text import identifier, relation_literal


def index_uses(
    connection: psycopg.Connection[Any],
    database: Database,
    patterns: Sequence[Measured],
    followers: Mapping[Name, Mapping[str, str]],
) -> Iterator[IndexUse]:
    """One entry for each index that no constraint owns; those of partitions that follow their parent's count as it.

    `followers` are for each partitioned table the names of such indexes, and which of its own they follow.
    """
    following = {name for names in followers.values() for name in names}
    for table in database.tables:
        for index in table.indexes:
            if table.partition_of and index.name in following:
                continue
            theirs = {name for name, own in followers.get(table.name, {}).items() if own == index.name}
            yield IndexUse(
                table=table.name,
                index=index.name,
                bytes=_size(connection, Name(table.name.schema, index.name)),
                reasons=tuple(_reasons(table, index, patterns, theirs | {index.name})),
            )


def _reasons(table: Table, index: Index, patterns: Sequence[Measured], names: Set[str]) -> Iterator[str]:
    for measured in patterns:
        usable = {
            name
            for relation, name in measured.usable_indexes
            if table.partition_by or relation == table.name.name
        }
        if names & set(measured.indexes):
            yield f"access pattern `{measured.pattern.name}`"
        elif names & usable:
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
    parts = f"SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree({relation}::regclass)"  # noqa: S608
    query = f"SELECT coalesce(({parts}), pg_relation_size({relation}::regclass))"
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])
