"""Loading in tests: a text into the test's database, and what is in it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from data_platform.postgres.load import Loaded, Script, drop_roles, load
from data_platform.postgres.server import Database, Server

Load = Callable[..., Loaded]
Ask = Callable[..., Any]


@pytest.fixture
def made(server: Server) -> Iterator[list[str]]:
    """Roles to drop once the test's database is gone, so that the next test makes them anew."""
    names: list[str] = []
    yield names
    drop_roles(server.conninfo, names)


@pytest.fixture
def run(made: list[str], database: Database) -> Load:
    """Load texts as files called one.sql, two.sql … into the test's database."""

    def loads(*texts: str | bytes, **options: Any) -> Loaded:
        names = ("one.sql", "two.sql", "three.sql")
        loaded = load(database, [Script(*both) for both in zip(names, texts, strict=False)], **options)
        made.extend(loaded.roles)
        return loaded

    return loads


@pytest.fixture
def ask(database: Database) -> Iterator[Ask]:
    """The first column of the first row of a query, asked as the scratch owner in a session of its own."""
    with psycopg.connect(database.conninfo, autocommit=True) as connection:

        def asks(query: str, *parameters: object) -> Any:
            row = connection.execute(query.encode(), parameters or None).fetchone()
            return row[0] if row else None

        yield asks
