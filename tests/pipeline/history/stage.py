"""Batches brought into a real dimension."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psycopg

from data_platform.model.database import Name
from data_platform.pipeline.history import COUNTS, Dimension, dimension_tables, merge
from data_platform.sql.text import Sql

from .reference import Seen

STAGE = Sql("pg_temp.stage")
NOW = Sql("now()")
Connection = psycopg.Connection[Any]


def dimension(type_: Any = 2, **given: Any) -> Dimension:
    """Two columns of key, with a name that needs quotes, and two attributes."""
    settings: dict[str, Any] = {
        "table": Name("public", 'Shop "s"'),
        "key": {"country": Sql("text"), "No.": Sql("integer")},
        "attributes": {"a": Sql("integer"), "b": Sql("json")},
        "type": type_,
        "effective": "since",
        "time": Sql("bigint"),
        "tombstone": "is gone",
    }
    return Dimension(**{**settings, **given})


def run(connection: Connection, statements: Sequence[Sql]) -> Any:
    """The statements, one by one; the row that the last returns."""
    for statement in statements:
        cursor = connection.execute(statement.encode())
    return cursor.fetchone() if cursor.description else None


def made(connection: Connection, given: Dimension) -> Dimension:
    connection.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    run(connection, dimension_tables(given))
    return given


def bring(connection: Connection, given: Dimension, batch: Sequence[Seen], at: Sql = NOW) -> dict[str, int]:
    """One batch in a transaction; what was counted, which adds up."""
    with connection.transaction():
        connection.execute(
            'CREATE TEMP TABLE stage (country text, "No." int, a int, b json, since bigint, "is gone" bool,'
            " _row bigint GENERATED ALWAYS AS IDENTITY) ON COMMIT DROP"
        )
        with (
            closing(connection.cursor()) as cursor,
            cursor.copy('COPY pg_temp.stage (country, "No.", a, b, since, "is gone") FROM STDIN') as copy,
        ):
            for row in batch:
                copy.write_row((*row.key, *row.values, row.at, row.gone or None))
        counts = dict(zip(COUNTS, run(connection, merge(given, STAGE, at)), strict=True))
    assert sum(counts.values()) - counts["missing"] == len(batch), counts
    return counts


def held(connection: Connection, given: Dimension) -> set[tuple[Any, ...]]:
    """The table's rows as `Reference` tells them."""
    columns = 'country, "No.", a, b::text, valid_from'
    if given.type != 1:
        last = "current_a, current_b::text" if given.type == 6 else "NULL, NULL"
        columns += f", valid_to, {last}"
    rows = connection.execute(f'SELECT {columns} FROM "Shop ""s"""').fetchall()
    assert len(rows) == len(set(rows))
    return set(rows)


def places(connection: Connection, given: Dimension) -> list[Any]:
    """Where each row lies: the same only if nothing was written."""
    tables = ['"Shop ""s"""', *(['"Shop ""s""_marks"'] if given.remembers else [])]
    return [connection.execute(f"SELECT ctid, xmin FROM {table}").fetchall() for table in tables]
