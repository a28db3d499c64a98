"""Pipelines of tests: a spec's text and a folder, run on a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from data_platform.pipeline.run import Ran, run
from data_platform.pipeline.streams import Place
from data_platform.postgres.server import Database
from data_platform.spec import document, validate
from data_platform.spec.pipeline import Pipeline, read_pipeline

HEAD = "kind: pipeline\nstore: Shop DB\nname: p\n"


def spec_of(folder: Path, text: str) -> Pipeline:
    """The spec, read from a file in the folder, as the command reads it."""
    path = folder / "spec.yaml"
    path.write_text(HEAD + text)
    read = document.read(path)
    validate.check(read, "pipeline")
    return read_pipeline(read)


def do(database: Database, folder: Path, text: str, **how: Any) -> Ran:
    """One run of it."""
    place = Place(
        database.conninfo,
        folder,
        **{name: value for name, value in how.items() if name != "dry_run"},
    )
    return run(spec_of(folder, text), place, dry_run=how.get("dry_run", False))


def ask(database: Database, query: str) -> list[Any]:
    """Rows of a query, committed."""
    with psycopg.connect(database.conninfo) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def held(database: Database) -> list[Any]:
    """What is in quarantine."""
    return ask(database, "SELECT number, reasons FROM dpe_pipeline.quarantine ORDER BY unit, number")
