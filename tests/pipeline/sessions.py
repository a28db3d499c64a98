"""Statements of ours on a real connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from data_platform.sql.text import Sql

Connection = psycopg.Connection[Any]


def run(connection: Connection, statements: Sequence[Sql]) -> Any:
    """All of them in one transaction; the rows of the last."""
    with connection.transaction():
        for statement in statements:
            cursor = connection.execute(statement.encode())
    return cursor.fetchall() if cursor.description else None
