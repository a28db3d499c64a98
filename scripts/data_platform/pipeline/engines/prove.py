"""Every transform run on PostgreSQL and on the engine, on rows made to tell them apart, and compared."""

from __future__ import annotations

import datetime
import json
import math
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import psycopg

from data_platform.errors import EnvironmentProblem
from data_platform.pipeline.engines.dialects import Objection, Tables, write
from data_platform.pipeline.engines.running import Runner
from data_platform.pipeline.engines.tellers import Row, constants_of, ordered_by, rows_of
from data_platform.pipeline.engines.types import Engine
from data_platform.postgres.connect import connect
from data_platform.postgres.pipelines.reading import columns_of
from data_platform.postgres.server import Database
from data_platform.sql.text import Sql, identifier, joined, phrase

Verdict = Literal["same", "refused", "differs", "raises", "not run"]


@dataclass(frozen=True)
class Judged:
    """A transform on an engine. `rows` is how many were compared; `told` says what differs or what was raised."""

    name: str
    verdict: Verdict
    rows: int = 0
    told: str = ""
    objections: tuple[Objection, ...] = ()
    collated: tuple[Objection, ...] = ()


def typed(database: Database, sources: Tables, transforms: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The types of all sources and transforms, by name: asked of the server, on which they become tables and views."""
    _tables(database, sources)
    found = {name: dict(columns) for name, columns in sources.items()}
    with connect(database.conninfo, read_only=False, autocommit=True) as connection:
        for name, sql in transforms.items():
            view = phrase("CREATE VIEW {name} AS {sql}", name=identifier(name), sql=Sql(sql))
            try:
                connection.execute(view.encode())
            except psycopg.Error as error:
                raise EnvironmentProblem(
                    f"PostgreSQL refuses the transform `{name}`: {error.diag.message_primary}"
                ) from None
            columns = columns_of(database.conninfo, None, Sql(f"SELECT * FROM {identifier(name)}"))
            found[name] = {column: str(type_) for column, type_ in columns.items()}
    return found


def _tables(database: Database, sources: Tables) -> None:
    with connect(database.conninfo, read_only=False, autocommit=True) as connection:
        for name, columns in sources.items():
            parts = joined(", ", [Sql(f"{identifier(column)} {type_}") for column, type_ in columns.items()])
            connection.execute(
                phrase("CREATE TABLE {name} ({parts})", name=identifier(name), parts=parts).encode()
            )


def judge(
    database: Database, runner: Runner, sources: Tables, transforms: Mapping[str, str], tables: Tables
) -> list[Judged]:
    """Each transform, in order; one that reads what was refused or differs is not run.

    The database has what `typed` made there; `tables` is what it gave.
    """
    statements = list(transforms.values())
    ordered, constants = ordered_by(statements), constants_of(statements)
    made: list[Judged] = []
    for tame in (False, True):
        rows = {
            name: rows_of(columns, ordered, constants, f"{name} {tame}", tame=tame)
            for name, columns in sources.items()
        }
        _fill(database, sources, rows)
        runner.fill(sources, rows)
        made = list(_judged(database, runner, transforms, tables))
        if not any(one.verdict == "not run" and not one.objections for one in made):
            break
    return made


def _judged(
    database: Database, runner: Runner, transforms: Mapping[str, str], tables: Tables
) -> Iterator[Judged]:
    engine: Engine = runner.engine
    for name, sql in transforms.items():
        written = write(sql, engine, tables)
        if written.objections:
            yield Judged(name, "refused", objections=written.objections)
            continue
        expected = _rows(database, name)
        if isinstance(expected, str):
            yield Judged(name, "not run", told=f"PostgreSQL itself: {expected}")
            continue
        try:
            runner.view(name, written.sql)
            found = runner.rows(name, tables[name])
        except runner.faults as fault:
            yield Judged(name, "raises", told=_first_line(fault))
            continue
        told = _difference(expected, found)
        verdict: Verdict = "differs" if told else "same"
        yield Judged(name, verdict, len(expected), told, collated=written.collated)


def _first_line(fault: BaseException) -> str:
    return next((line for line in str(fault).splitlines() if line.strip()), type(fault).__name__)[:300]


def _fill(database: Database, sources: Tables, rows: Mapping[str, Sequence[Row]]) -> None:
    with connect(database.conninfo, read_only=False, autocommit=True) as connection:
        for name, columns in sources.items():
            connection.execute(phrase("TRUNCATE {name}", name=identifier(name)).encode())
            values = joined(", ", [Sql(f"%s::{type_}") for type_ in columns.values()])
            insert = phrase("INSERT INTO {name} VALUES ({values})", name=identifier(name), values=values)
            with connection.cursor() as cursor:
                cursor.executemany(insert.encode(), [list(row.values()) for row in rows[name]])


def _rows(database: Database, name: str) -> list[tuple[Any, ...]] | str:
    with connect(database.conninfo, read_only=False, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        try:
            return connection.execute(
                phrase("SELECT * FROM {name}", name=identifier(name)).encode()
            ).fetchall()
        except psycopg.DataError as error:
            return str(error.diag.message_primary)


# --- rows compared ---


def _difference(expected: Sequence[tuple[Any, ...]], found: Sequence[tuple[Any, ...]]) -> str:
    """What differs between two lists of rows in whatever order; empty where they are the same."""
    left, right = (Counter(tuple(map(normal, row)) for row in rows) for rows in (expected, found))
    if left == right:
        return ""
    here, there = list((left - right).elements()), list((right - left).elements())
    if not here or not there:
        return f"{len(expected)} rows on PostgreSQL, {len(found)} there; such as {_shown((here or there)[0])}"
    closest = max(there, key=lambda row: sum(a == b for a, b in zip(row, here[0], strict=False)))
    return f"{len(here)} of {len(expected)} rows: {_shown(here[0])} on PostgreSQL, {_shown(closest)} there"


def _shown(row: tuple[Any, ...]) -> str:
    return ("(" + ", ".join("NULL" if one is None else str(one) for one in row) + ")")[:160]


def normal(value: Any) -> Any:
    """A value as one that is equal where PostgreSQL's and the engine's say the same; doubles to 11 digits."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float | int | Decimal):
        return _number(value)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, datetime.date | uuid.UUID):
        return str(value)
    if isinstance(value, list | tuple):
        return tuple(map(normal, value))
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    return value


def _number(value: float | int | Decimal) -> Any:
    if isinstance(value, float):
        return value if not math.isfinite(value) else Decimal(f"{value:.11g}").normalize() + 0
    exact = Decimal(value)
    return (exact if abs(exact) > 1 << 50 else Decimal(f"{exact:.15g}")).normalize() + 0
