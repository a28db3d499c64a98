"""What several tests of stores begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from data_platform.postgres.server import Database, Server


@pytest.fixture
def vectors(server: Server) -> Iterator[Database]:
    """An empty database with the extension."""
    with server.scratch_database(extensions=["vector"]) as fresh:
        yield fresh
