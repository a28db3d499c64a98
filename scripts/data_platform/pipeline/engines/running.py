"""DuckDB and Spark, each in one class: tables of texts become typed, SELECTs become views, views give rows."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from data_platform.errors import EnvironmentProblem
from data_platform.pipeline.engines.dialects import Tables
from data_platform.pipeline.engines.tellers import Row, Value
from data_platform.pipeline.engines.types import Engine, plain, word

PACKAGES: Mapping[Engine, str] = {"duckdb": "duckdb", "spark": "pyspark"}
SPARK_SETTINGS: Mapping[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "true",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
}
"""What a session needs to compute as PostgreSQL does: errors instead of NULL, digits that are not cut."""


class Runner(Protocol):
    """An engine that is running."""

    engine: Engine
    faults: tuple[type[BaseException], ...]

    def fill(self, sources: Tables, rows: Mapping[str, Sequence[Row]]) -> None: ...
    def view(self, name: str, sql: str) -> None: ...
    def rows(self, name: str, columns: Mapping[str, str]) -> list[tuple[Any, ...]]: ...


def is_there(engine: Engine) -> bool:
    """Whether it can be imported, and for Spark whether there is Java."""
    import shutil  # noqa: PLC0415

    try:
        importlib.import_module(PACKAGES[engine])
    except ImportError:
        return False
    return engine == "duckdb" or bool(shutil.which("java") or os.environ.get("JAVA_HOME"))


@contextmanager
def running(engine: Engine) -> Iterator[Runner]:
    """A DuckDB in memory, or a Spark of two threads; EnvironmentProblem where it is not there."""
    if not is_there(engine):
        raise EnvironmentProblem(f"{engine} is not here", try_=f"dpe setup --extra {engine}")
    if engine == "duckdb":
        connection = importlib.import_module("duckdb").connect()
        with contextlib.closing(connection):
            yield DuckDb(connection)
        return
    session = spark_session()
    try:
        yield Spark(session)
    finally:
        session.stop()


def spark_session() -> Any:
    """Spark in this process, without its page and with as little of the machine as it can do with."""
    sql = importlib.import_module("pyspark.sql")
    logging.getLogger("SQLQueryContextLogger").disabled = True  # what it raises is told in our own words
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = sql.SparkSession.builder.master("local[1]").appName("dpe")
    settings = {**SPARK_SETTINGS, "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "1"}
    settings |= {
        "spark.driver.memory": "1g",
        "spark.log.level": "OFF",
        "spark.ui.showConsoleProgress": "false",
    }
    # Tiny tables: what compiling costs is never won back.
    settings |= {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
    settings |= {"spark.default.parallelism": "1", "spark.sql.adaptive.enabled": "false"}
    settings |= {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
    settings |= {"spark.sql.catalogImplementation": "in-memory"}
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


class DuckDb:
    """DuckDB's connection."""

    engine: Engine = "duckdb"

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.faults: tuple[type[BaseException], ...] = (importlib.import_module("duckdb").Error,)
        connection.execute("SET TimeZone = 'UTC'")

    def fill(self, sources: Tables, rows: Mapping[str, Sequence[Row]]) -> None:
        for name, columns in sources.items():
            listed = ", ".join(
                f"{quoted(column)} {word(type_, 'duckdb')}" for column, type_ in columns.items()
            )
            self.connection.execute(f"CREATE OR REPLACE TABLE {quoted(name)} ({listed})")
            marks = ", ".join(f"CAST(? AS {word(type_, 'duckdb')})" for type_ in columns.values())
            insert = f"INSERT INTO {quoted(name)} SELECT {marks}"
            self.connection.executemany(insert, [list(row.values()) for row in rows[name]])

    def view(self, name: str, sql: str) -> None:
        self.connection.execute(f"CREATE OR REPLACE VIEW {quoted(name)} AS {sql}")

    def rows(self, name: str, columns: Mapping[str, str]) -> list[tuple[Any, ...]]:
        listed = ", ".join(
            f"epoch_us({quoted(column)})" if plain(type_) == "timestamptz" else quoted(column)
            for column, type_ in columns.items()
        )
        found = self.connection.execute(f"SELECT {listed} FROM {quoted(name)}").fetchall()
        zoned = [plain(type_) == "timestamptz" for type_ in columns.values()]
        return [
            tuple(_instant(one) if z else one for one, z in zip(row, zoned, strict=True)) for row in found
        ]


def _instant(microseconds: int | None) -> datetime | None:
    if microseconds is None:
        return None
    whole, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(whole, UTC).replace(microsecond=rest)


class Spark:
    """A session of Spark."""

    engine: Engine = "spark"

    def __init__(self, session: Any) -> None:
        self.session = session
        errors = importlib.import_module("pyspark.errors")
        self.faults: tuple[type[BaseException], ...] = (errors.PySparkException,)

    def fill(self, sources: Tables, rows: Mapping[str, Sequence[Row]]) -> None:
        for name, columns in sources.items():
            texts = ", ".join(f"c{number}" for number, _ in enumerate(columns))
            casts = ", ".join(
                f"CAST(c{number} AS {word(type_, 'spark')}) AS {ticked(column)}"
                for number, (column, type_) in enumerate(columns.items())
            )
            listed = ", ".join(f"({', '.join(map(constant, row.values()))})" for row in rows[name])
            made = self.session.sql(f"SELECT {casts} FROM VALUES {listed} AS v ({texts})")
            made.cache().createOrReplaceTempView(ticked(name))

    def view(self, name: str, sql: str) -> None:
        self.session.sql(sql).createOrReplaceTempView(ticked(name))

    def rows(self, name: str, columns: Mapping[str, str]) -> list[tuple[Any, ...]]:
        zoned = [plain(type_) == "timestamptz" for type_ in columns.values()]
        found = self.session.table(ticked(name)).collect()
        # Spark gives a time with a zone as one of this machine's, without saying so.
        return [
            tuple(
                one.astimezone(UTC) if z and one is not None else one
                for one, z in zip(row, zoned, strict=True)
            )
            for row in found
        ]


def constant(value: Value) -> str:
    """A text for Spark, in which a backslash escapes."""
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return f"CAST(ARRAY({', '.join(map(constant, value))}) AS ARRAY<STRING>)"
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def quoted(name: str) -> str:
    """A name for DuckDB."""
    return '"' + name.replace('"', '""') + '"'


def ticked(name: str) -> str:
    """A name for Spark."""
    return "`" + name.replace("`", "``") + "`"
