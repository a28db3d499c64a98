"""Rows for the tables that a migration touches and their parents: a few made one by one, the rest copied from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from data_platform.migration.prove.result import Filled
from data_platform.model.database import Database, Name, Table
from data_platform.model.design import DataHint
from data_platform.postgres.filling import (
    NotMultipliable,
    aside,
    fillable,
    indexes_afterwards,
    multiply,
    spreads,
)
from data_platform.postgres.synthetic import Generator
from data_platform.sql.text import qualified

Connection = psycopg.Connection[Any]
Progress = Callable[[str, float], None]

MADE = 10_000
"""Rows of a table that are made one by one; more are copies of these with new keys."""
PARENT_ROWS = 10_000
"""Of a table that only foreign keys lead to."""


@dataclass(frozen=True)
class Wish:
    """What to fill: the tables of `database`, which the rows must satisfy, with so many rows each."""

    database: Database
    rows: Mapping[Name, int]
    hints: Mapping[tuple[Name, str], DataHint]
    seed: int

    def scaled(self, most: int, share: float = 1.0) -> Wish:
        """With a share of the rows, and at most so many a table."""
        rows = {name: min(most, max(1, round(count * share))) for name, count in self.rows.items()}
        return replace(self, rows=rows)


def parents(database: Database, tables: frozenset[Name]) -> frozenset[Name]:
    """The tables, and all that foreign keys lead to from them; partitions by the table that holds their rows."""
    known = {table.name: table for table in database.tables}
    reached: set[Name] = set()
    waiting = [_root(known, name) for name in tables if name in known]
    while waiting:
        name = waiting.pop()
        if name in reached or name not in known:
            continue
        reached.add(name)
        waiting += [_root(known, key.target) for key in known[name].foreign_keys]
    return frozenset(name for name in reached if known[name].foreign is None)


def _root(known: Mapping[Name, Table], name: Name) -> Name:
    table = known.get(name)
    while table is not None and table.partition_of:
        name = table.partition_of.table
        table = known.get(name)
    return name


def fill(
    connection: Connection, wish: Wish, progress: Progress = lambda _what, _share: None
) -> tuple[Generator, tuple[Filled, ...]]:
    """Fill the tables, which are empty. The generator that made the rows can make one more."""
    stubborn: dict[Name, str] = {}
    while True:
        generator, filled, failed = _try(connection, wish, stubborn, progress)
        if not failed:
            return generator, filled
        stubborn.update(failed)
        _empty(connection, wish)


def _try(
    connection: Connection, wish: Wish, stubborn: Mapping[Name, str], progress: Progress
) -> tuple[Generator, tuple[Filled, ...], dict[Name, str]]:
    tables = [table for table in wish.database.tables if wish.rows.get(table.name)]
    many = {table.name: table for table in tables if _copied(table, wish, stubborn)}
    made = {name: min(MADE, count) if name in many else count for name, count in wish.rows.items()}
    failed: dict[Name, str] = {}
    counts: dict[Name, int] = {}
    with aside(connection), _without_indexes(connection, tables, wish):
        generator = Generator(fillable(connection, wish.database, wish.hints), made, wish.hints, wish.seed)
        done = generator.fill(connection, progress=lambda name, _rows: progress(f"filling {name}", 0.1))
        for one in done:
            if one.table in many and one.rows:
                progress(f"filling {one.table}", 0.2)
                try:
                    counts[one.table] = multiply(connection, many[one.table], wish.rows[one.table])
                except NotMultipliable as problem:
                    failed[one.table] = str(problem)
    filled = tuple(
        Filled(
            table=str(one.table),
            rows=counts.get(one.table, one.rows),
            wanted=wish.rows[one.table],
            note=one.note,
        )
        for one in done
        if wish.rows.get(one.table)
    )
    return generator, filled, failed


def _copied(table: Table, wish: Wish, stubborn: Mapping[Name, str]) -> bool:
    """Whether there are to be more rows than are made, and copies can be told apart by every key."""
    if wish.rows[table.name] <= MADE or table.name in stubborn or not table.holds_rows:
        return False
    try:
        spreads(table)
    except NotMultipliable:
        return False
    return True


@contextmanager
def _without_indexes(connection: Connection, tables: list[Table], wish: Wish) -> Iterator[None]:
    large = [table for table in tables if wish.rows[table.name] > MADE]
    with indexes_afterwards(connection, large):
        yield


def _empty(connection: Connection, wish: Wish) -> None:
    """Take the rows away again."""
    names = ", ".join(qualified(name.schema, name.name) for name in sorted(wish.rows))
    connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE".encode())


def settle(connection: Connection, wish: Wish) -> None:
    """As a table is that has been there for a while: visibility and statistics known."""
    for name in sorted(wish.rows):
        connection.execute(f"VACUUM (ANALYZE) {qualified(name.schema, name.name)}".encode())
