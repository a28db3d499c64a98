"""Projects of tools that transform within PostgreSQL: rendered, their sources landed, and the rows that came of it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from data_platform.pipeline.engines.look import as_it_is
from data_platform.pipeline.run import run
from data_platform.pipeline.streams import Place
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database, Server
from data_platform.spec import document
from data_platform.spec.pipeline import read_pipeline
from pipeline.running import ask, spec_of


def rendered(tool: ModuleType, server: Server, folder: Path, text: str) -> Path:
    """The project, written beside the spec, with the run that lands the sources."""
    spec = spec_of(folder, text)
    read = document.read(folder / "spec.yaml")
    given = {one["name"]: one for one in read.data["sources"]}
    output = folder / "project"
    made = tool.render(as_it_is(server, spec, ["made in a test"]), given, output)
    for name, body in made.files.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text(body)
    return output


def environment_of(database: Database) -> dict[str, str]:
    """What the tools read their connection from."""
    parts = conninfo_to_dict(database.conninfo)
    names = {
        "PGHOST": "host",
        "PGPORT": "port",
        "PGUSER": "user",
        "PGPASSWORD": "password",
        "PGDATABASE": "dbname",
    }
    return {name: str(parts[part]) for name, part in names.items()}


def land(database: Database, folder: Path) -> None:
    with connect(database.conninfo, read_only=False, autocommit=True) as connection:
        connection.execute((folder / "landing.sql").read_bytes())
    spec = read_pipeline(document.read(folder / "landing.yaml"))
    run(spec, Place(database.conninfo, folder))


def rows(database: Database, columns: list[str]) -> list[Any]:
    return sorted(ask(database, f"SELECT {', '.join(columns)} FROM shop.t"), key=str)


def columns_of(database: Database) -> list[str]:
    found = ask(
        database,
        "SELECT quote_ident(column_name) FROM information_schema.columns WHERE table_schema = 'shop'"
        " AND table_name = 't' AND column_name <> 'valid' ORDER BY ordinal_position",
    )
    return [name for (name,) in found]
