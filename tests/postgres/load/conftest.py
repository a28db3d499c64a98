"""Loading in tests: a text into the test's database, and what is in it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from data_platform.postgres.load import Loaded, Script, load
from data_platform.postgres.server import Database

Load = Callable[..., Loaded]
Ask = Callable[..., Any]


@pytest.fixture
def run(database: Database) -> Load:
    """Load texts as files called one.sql, two.sql … into the test's database."""

    def loads(*texts: str | bytes, **options: Any) -> Loaded:
        names = ("one.sql", "two.sql", "three.sql")
        return load(database, [Script(*both) for both in zip(names, texts, strict=False)], **options)

    return loads


@pytest.fixture
def ask(database: Database) -> Iterator[Ask]:
    """The first column of the first row of a query, asked as the scratch owner in a session of its own."""
    with psycopg.connect(database.conninfo, autocommit=True) as connection:

        def asks(query: str, *parameters: object) -> Any:
            row = connection.execute(query.encode(), parameters or None).fetchone()
            return row[0] if row else None

        yield asks
