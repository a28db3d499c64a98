"""One real server for the whole run, one fresh database for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from data_platform.postgres.server import Database, Server, embedded_server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The embedded PostgreSQL that all tests share: make databases on it, do not change its settings."""
    with embedded_server() as running:
        yield running


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    """An empty database that this test may do anything to."""
    with server.scratch_database() as fresh:
        yield fresh
