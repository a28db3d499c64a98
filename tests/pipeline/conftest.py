"""A connection to an empty database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from data_platform.postgres.server import Database
from pipeline.sessions import Connection


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with psycopg.connect(database.conninfo, autocommit=True) as opened:
        yield opened


@pytest.fixture
def together() -> Callable[..., None]:
    """`together(work, n)` calls work(0) … work(n - 1) at once and raises what one of them raised."""

    def start(work: Callable[[int], None], count: int) -> None:
        with ThreadPoolExecutor(count) as pool:
            for done in [pool.submit(work, number) for number in range(count)]:
                done.result(60)

    return start
