"""Rows of MySQL and MariaDB, written as PostgreSQL's COPY text while they come; nothing is held but one batch."""

from __future__ import annotations

import datetime
import decimal
import importlib
import os
import urllib.parse
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.postgres.pipelines.sessions import Passing
from data_platform.postgres.pipelines.staging import Stream
from data_platform.spec.pipeline import Source
from data_platform.sql.text import Sql

_BATCH = 10_000
_TYPES = {
    "tinyint": "smallint",
    "smallint": "smallint",
    "mediumint": "integer",
    "int": "integer",
    "bigint": "bigint",
    "float": "real",
    "double": "double precision",
    "date": "date",
    "datetime": "timestamp",
    "timestamp": "timestamptz",
    "time": "interval",
    "year": "smallint",
    "json": "jsonb",
    "bit": "bytea",
}
_ZONED = ("timestamptz", "timestamp with time zone")
"""Of these the session's zone is said, which is UTC: the target's may be another one."""
_BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def columns_of(source: Source) -> dict[str, Sql]:
    """The declared columns, else those of the table with PostgreSQL's types. UsageProblem where there is no table."""
    if source.columns:
        return dict(source.columns)
    if source.table is None:
        raise UsageProblem(
            f"what types has the query of `{source.name}`?", expected="columns: {id: bigint, …}"
        )
    with closing(_connect(source)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type, column_type, numeric_precision, numeric_scale"
            " FROM information_schema.columns WHERE table_schema = coalesce(%s, database()) AND table_name = %s"
            " ORDER BY ordinal_position",
            [_schema(source), source.table.name],
        )
        rows = cursor.fetchall()
    if not rows:
        raise UsageProblem(f"there is no table {source.table.name}", where=f"source `{source.name}`")
    return {name: _type(*rest) for name, *rest in rows}


def _type(data: str, column: str, precision: int | None, scale: int | None) -> Sql:
    if data == "decimal":
        return Sql(f"numeric({precision}, {scale})")
    if data == "tinyint" and column == "tinyint(1)":
        return Sql("boolean")
    if data in _BYTES:
        return Sql("bytea")
    wider = {"smallint": "integer", "int": "bigint", "mediumint": "integer", "bigint": "numeric(20)"}
    if column.endswith("unsigned") and data in wider:
        return Sql(wider[data])
    return Sql(_TYPES.get(data, "text"))


def stream(source: Source) -> Stream:
    """The rows of the table or query, in one snapshot."""
    columns = tuple(columns_of(source))
    return Stream(columns=columns, options=Sql("(FORMAT text)"), blocks=lambda: _blocks(source, columns))


def _blocks(source: Source, columns: tuple[str, ...]) -> Iterator[bytes]:
    cursors = importlib.import_module("pymysql.cursors")
    kinds = columns_of(source)
    truths = [kinds[name] == "boolean" for name in columns]
    zones = [str(kinds[name]) in _ZONED for name in columns]
    listed = ", ".join(f"`{name.replace('`', '``')}`" for name in columns)
    from_ = f"({source.query}) q" if source.query else _table(source)
    with closing(_connect(source)) as connection, connection.cursor(cursors.SSCursor) as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        cursor.execute(f"SELECT {listed} FROM {from_}")  # noqa: S608 - quoted names, and the spec's own SELECT
        while rows := cursor.fetchmany(_BATCH):
            yield "".join(_line(row, truths, zones) for row in rows).encode()


def _line(row: tuple[Any, ...], truths: list[bool], zones: list[bool]) -> str:
    values = (
        bool(v) if t and v is not None else f"{v}+00" if z and isinstance(v, datetime.datetime) else v
        for v, t, z in zip(row, truths, zones, strict=True)
    )
    return "\t".join(map(_text, values)) + "\n"


def _text(value: Any) -> str:
    """A value in COPY's text format."""
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        return f"\\\\x{value.hex()}"
    if isinstance(value, datetime.timedelta):
        return f"{value.total_seconds()} seconds"
    if isinstance(value, int | float | decimal.Decimal | datetime.date):
        return str(value)
    return str(value).translate(_ESCAPES)


def _schema(source: Source) -> str | None:
    return source.table.schema if source.table and source.table.schema != "public" else None


def _table(source: Source) -> str:
    assert source.table is not None
    parts = [part for part in (_schema(source), source.table.name) if part]
    return ".".join(f"`{part.replace('`', '``')}`" for part in parts)


def _connect(source: Source) -> Any:
    try:
        pymysql = importlib.import_module("pymysql")
    except ImportError:
        raise EnvironmentProblem("reading MySQL needs a package", try_="dpe setup --extra mysql") from None
    assert source.dsn is not None
    url = urllib.parse.urlsplit(os.environ[source.dsn.removeprefix("env:")])
    query = dict(urllib.parse.parse_qsl(url.query))
    try:
        return pymysql.connect(
            host=url.hostname or "localhost",
            port=url.port or 3306,
            user=urllib.parse.unquote(url.username or ""),
            password=urllib.parse.unquote(url.password or ""),
            database=url.path.strip("/") or None,
            unix_socket=query.get("unix_socket"),
            charset="utf8mb4",
            init_command="SET time_zone = '+00:00'",
        )
    except pymysql.err.OperationalError as error:
        raise Passing(f"cannot connect: {error.args[1]}", where=f"source `{source.name}`") from None
