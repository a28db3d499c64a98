"""One spec run by `pipeline run` and by the rendered projects of other engines, and what the target holds in each."""

from __future__ import annotations

import hashlib
import runpy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines import duckdb as duckdb_project
from data_platform.pipeline.engines import spark as spark_project
from data_platform.pipeline.engines.look import look
from data_platform.pipeline.engines.prove import normal
from data_platform.pipeline.engines.types import Engine
from data_platform.postgres.server import Database, Server
from data_platform.spec import document
from pipeline.running import ask, do, spec_of


@dataclass(frozen=True)
class Compared:
    """`verdict`: same, refused (a finding says why), stops (the engine says why), or DIFFERS, which nobody is told."""

    verdict: str
    rows: int = 0
    digest: str = ""
    told: str = ""


class There:
    """An engine with the tables of one spec; `session` is Spark's."""

    def __init__(self, engine: Engine, folder: Path, session: Any = None) -> None:
        self.engine, self.folder, self.session = engine, folder, session
        self.project = folder / f"project-{engine}"
        self.warehouse = folder / f"warehouse-{engine}"
        for one in (self.project, self.warehouse):
            shutil.rmtree(one, ignore_errors=True)
        self.warehouse.mkdir()

    def render(self, server: Server, text: str) -> str:
        """Why not; empty where the project is written."""
        spec = spec_of(self.folder, text)
        try:
            job, found, _ = look(
                server,
                document.read(self.folder / "spec.yaml"),
                spec,
                self.engine,
                ["compared"],
                verify=False,
            )
            errors = [f"{one.message} ({one.fix})" for one in found if one.severity == "error"]
            if errors:
                return errors[0]
            made = (spark_project if self.engine == "spark" else duckdb_project).render(job)
        except UsageProblem as problem:
            return str(problem)
        for name, body in made.files.items():
            (self.project / name).parent.mkdir(parents=True, exist_ok=True)
            (self.project / name).write_text(body, encoding="utf-8")
        self.script = runpy.run_path(str(self.project / "pipeline.py"), run_name="rendered")
        return ""

    def run(self) -> None:
        if self.engine == "spark":
            self.script["run"](self.session, str(self.folder), str(self.warehouse))
            return
        with duckdb.connect(str(self.warehouse / "w.duckdb")) as connection:
            self.script["run"](connection, self.folder)

    def rows(self, names: Sequence[str]) -> list[tuple[Any, ...]]:
        if self.engine == "spark":
            frame = self.script["table"](self.session, str(self.warehouse), "shop.t")
            zoned = {name for name, kind in frame.dtypes if kind == "timestamp"}
            told = [f"unix_micros(`{one}`)" if one in zoned else f"`{one}`" for one in names]
            return shown(frame.selectExpr(*told).collect())
        with duckdb.connect(str(self.warehouse / "w.duckdb")) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            described = connection.execute("DESCRIBE shop.t").fetchall()
            zoned = {row[0] for row in described if row[1] == "TIMESTAMP WITH TIME ZONE"}
            told = [f'epoch_us("{one}")' if one in zoned else f'"{one}"' for one in names]
            return shown(connection.execute(f"SELECT {', '.join(told)} FROM shop.t").fetchall())


def shown(rows: Any) -> list[tuple[Any, ...]]:
    """Rows in order; a time with a zone as microseconds."""
    return sorted((tuple(normal(_micros(one)) for one in row) for row in rows), key=str)


def _micros(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo:
        return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return value


def digest(rows: Sequence[tuple[Any, ...]]) -> str:
    return hashlib.sha256("\n".join(map(repr, rows)).encode()).hexdigest()[:12]


def here(database: Database) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The target in PostgreSQL: its columns and its rows."""
    names = [
        name
        for (name,) in ask(
            database,
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'shop' AND table_name = 't'"
            " AND column_name <> 'valid' ORDER BY ordinal_position",
        )
    ]
    listed = ", ".join(f'"{one}"' for one in names)
    return names, shown(ask(database, f"SELECT {listed} FROM shop.t"))


def forget(database: Database) -> None:
    """As if no pipeline had run."""
    ask(database, "DROP SCHEMA IF EXISTS shop, dpe_pipeline CASCADE")


def compare(server: Server, database: Database, text: str, engines: Sequence[There]) -> dict[str, Compared]:
    """The spec once on each engine, over the files that are in the folder."""
    forget(database)
    try:
        do(database, engines[0].folder, text)
    except (psycopg.Error, UsageProblem) as error:
        return {one.engine: Compared("PostgreSQL refuses", told=str(error)) for one in engines}
    names, expected = here(database)
    return {one.engine: _compared(server, one, text, names, expected) for one in engines}


def _compared(
    server: Server, there: There, text: str, names: list[str], expected: list[tuple[Any, ...]]
) -> Compared:
    refused = there.render(server, text)
    if refused:
        return Compared("refused", told=refused)
    try:
        there.run()
        found = there.rows(names)
    except Exception as fault:  # whatever the engine raises is loud
        return Compared(
            "stops", told=next((line for line in str(fault).splitlines() if line.strip()), repr(fault))
        )
    told = "" if found == expected else difference(names, expected, found)
    return Compared("DIFFERS" if told else "same", len(found), digest(found), told)


def difference(names: list[str], expected: list[tuple[Any, ...]], found: list[tuple[Any, ...]]) -> str:
    missing = [row for row in expected if row not in found][:1]
    other = [row for row in found if row not in expected][:1]
    return f"{len(expected)} rows and {len(found)}; of {names} here {missing}, there {other}"
