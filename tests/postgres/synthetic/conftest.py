"""A filled database in one call: DDL in, the generator and what it did out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from data_platform.model.database import Database, Name
from data_platform.model.design import DataHint
from data_platform.postgres.catalog import read
from data_platform.postgres.server import Server
from data_platform.postgres.synthetic import Filled, Generator


@dataclass
class World:
    """A database after `fill`."""

    connection: psycopg.Connection[Any]
    database: Database
    generator: Generator
    filled: Mapping[str, Filled] = field(default_factory=dict)

    def all(self, query: str) -> list[Any]:
        """The rows of a query; a single column comes without its tuples."""
        rows = self.connection.execute(query).fetchall()
        return [row[0] if len(row) == 1 else row for row in rows]

    def one(self, query: str) -> Any:
        """The first row of a query."""
        return self.all(query)[0]

    def digest(self) -> dict[str, str]:
        """A digest of every table's text."""
        return {
            table.name.name: self.one(
                f"SELECT md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\"), ''))"
                f' FROM "{table.name.schema}"."{table.name.name}" t'
            )
            for table in self.database.tables
        }


Fill = Callable[..., World]


@pytest.fixture
def fill(server: Server) -> Iterator[Fill]:
    """Make a database from DDL and fill it; `rows` is a number for all tables or one for each."""
    with ExitStack() as stack:

        def make(
            ddl: str,
            rows: int | Mapping[str, int] = 100,
            *,
            hints: Mapping[tuple[str, str], DataHint] | None = None,
            seed: int = 1,
            extensions: Sequence[str] = (),
        ) -> World:
            scratch = stack.enter_context(server.scratch_database(extensions=extensions))
            connection = stack.enter_context(psycopg.connect(scratch.conninfo, autocommit=True))
            connection.execute(ddl)
            database = read(connection)
            wanted = {
                t.name: rows if isinstance(rows, int) else rows.get(t.name.name, 0) for t in database.tables
            }
            named = {(Name("public", table), column): hint for (table, column), hint in (hints or {}).items()}
            generator = Generator(database, wanted, named, seed)
            filled = generator.fill(connection)
            return World(connection, database, generator, {f.table.name: f for f in filled})

        yield make
