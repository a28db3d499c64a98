"""Rows of MySQL and MariaDB, written as PostgreSQL's COPY text while they come; nothing is held but one batch."""

from __future__ import annotations

import datetime
import decimal
import importlib
import os
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager
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
_TRUTHS = (0, 1)
"""Of tinyint(1), which is a number that is mostly a truth; 5 is none, and goes into quarantine."""
_PASSING = frozenset({1040, 1053, 1152, 1205, 1213, 2002, 2003, 2006, 2013})
"""Too many connections, a shutdown, a broken connection, a lock, a deadlock; a server that is away, or went."""
_NO_COLUMN = 1054
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
    with _asking(source) as connection, connection.cursor() as cursor:
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
    with _asking(source) as connection, connection.cursor(cursors.SSCursor) as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        cursor.execute(f"SELECT {listed} FROM {from_}")  # noqa: S608 - quoted names, and the spec's own SELECT
        while rows := cursor.fetchmany(_BATCH):
            yield "".join(_line(row, truths, zones) for row in rows).encode()


def _line(row: tuple[Any, ...], truths: list[bool], zones: list[bool]) -> str:
    values = (
        bool(v) if t and v in _TRUTHS else f"{v}+00" if z and isinstance(v, datetime.datetime) else v
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


@contextmanager
def _asking(source: Source) -> Iterator[Any]:
    with closing(_connect(source)) as connection, _telling(f"source `{source.name}`"):
        yield connection


def _connect(source: Source) -> Any:
    try:
        pymysql = importlib.import_module("pymysql")
    except ImportError:
        raise EnvironmentProblem("reading MySQL needs a package", try_="dpe setup --extra mysql") from None
    assert source.dsn is not None
    url = urllib.parse.urlsplit(os.environ[source.dsn.removeprefix("env:")])
    query = dict(urllib.parse.parse_qsl(url.query))
    where = f"source `{source.name}`"
    try:
        port = url.port or 3306
    except ValueError:
        raise UsageProblem("the address has no port from 1 to 65535", where=where) from None
    with _telling(where):
        return pymysql.connect(
            host=url.hostname or "localhost",
            port=port,
            user=urllib.parse.unquote(url.username or ""),
            password=urllib.parse.unquote(url.password or ""),
            database=url.path.strip("/") or None,
            unix_socket=query.get("unix_socket"),
            charset="utf8mb4",
            init_command="SET time_zone = '+00:00'",
        )


@contextmanager
def _telling(where: str) -> Iterator[None]:
    """Errors of the server: Passing for what may be gone the next time, UsageProblem for a statement, else the rest."""
    errors = importlib.import_module("pymysql.err")
    try:
        yield
    except errors.MySQLError as error:
        code, said = (*error.args, "", "")[:2]
        if code in _PASSING or isinstance(error, errors.InterfaceError):
            raise Passing(
                f"the server says: {said or code or 'the connection is lost'}", where=where
            ) from None
        is_ours = isinstance(error, errors.ProgrammingError | errors.DataError) or code == _NO_COLUMN
        kind = UsageProblem if is_ours else EnvironmentProblem
        raise kind(f"the server says: {said or code}", where=where) from None
