"""A database wherever it stands: in SQL files, on a live server, or in a model. All come out as the server spells them.

SQL and models are loaded into a scratch database first, as whoever has no privileges; a live server is only read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from data_platform.errors import UsageProblem
from data_platform.model.database import Database, Role
from data_platform.model.design import Design
from data_platform.postgres.catalog import Connection, read, secrets
from data_platform.postgres.connect import connect, resolve_dsn
from data_platform.postgres.load import Loaded, Script, load, read_script
from data_platform.postgres.server import Server
from data_platform.schema.places import places
from data_platform.schema.render import script

Source = Design | str | tuple[Script, ...]
"""A model, the address of a live server, or SQL."""
Progress = Callable[[str, float], None]
LIVE = ("postgresql://", "postgres://", "env:", "service:")
MODELS = (".yaml", ".yml")
OLDEST = 13
ROLE_ATTRIBUTES = ("LOGIN", "CREATEDB", "CREATEROLE", "REPLICATION", "SUPERUSER")
"""What roles are made without in a scratch cluster; a model says it all the same."""
SUPERUSER = "dpe_superuser"
"""Of the embedded server; what it owns belongs to whoever loads a model."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A database as it was read, and how it came to the server if it had to be loaded."""

    database: Database
    server_version: int
    """The major version."""
    loaded: Loaded | None = None
    secrets: Mapping[str, int] = field(default_factory=dict)
    """What holds passwords and is in no model, by kind."""


def is_live(source: str) -> bool:
    """Whether the text names a server."""
    return source.startswith(LIVE)


def is_model(source: str) -> bool:
    """Whether the text names a model spec."""
    return source.endswith(MODELS) and not is_live(source)


def shown(source: str) -> str:
    """The source for reports: a URL may hold a password, so it is not repeated."""
    return "env:NAME" if source.startswith(("postgresql://", "postgres://")) else source


def scripts(paths: Sequence[str]) -> tuple[Script, ...]:
    """The SQL files, and those of directories in the order of their names. Raises UsageProblem."""
    files: list[Path] = []
    for path in map(Path, paths):
        found = sorted(path.rglob("*.sql")) if path.is_dir() else [path]
        if not found:
            raise UsageProblem("no .sql file in this directory", where=str(path))
        files += found
    return tuple(read_script(file) for file in files)


def of_scripts(server: Server, given: Sequence[Script], step: Progress) -> Taken:
    """What the SQL makes. Raises UsageProblem with the place of what the server refuses."""
    with server.scratch_database() as database:
        loaded = load(database, given, progress=step)
        with connect(database.conninfo, read_only=True) as connection:
            found = read(connection, anonymous=[SUPERUSER], roles=loaded.roles)
            found = replace(found, roles=tuple(_as_said(role, loaded) for role in found.roles))
            return Taken(
                database=found,
                server_version=_major(connection),
                loaded=loaded,
                secrets=secrets(connection),
            )


def _as_said(role: Role, loaded: Loaded) -> Role:
    """The role with what the files let it do: in the scratch cluster it may do nothing."""
    said = dict(loaded.role_attributes).get(role.name, frozenset())
    return replace(
        role,
        login="LOGIN" in said,
        create_database="CREATEDB" in said,
        create_role="CREATEROLE" in said,
        replication="REPLICATION" in said,
        superuser="SUPERUSER" in said,
    )


def of_design(server: Server, design: Design, step: Progress) -> Taken:
    """What the model's DDL makes."""
    return of_scripts(server, [Script(f"the DDL of {design.file}", script(design, ""))], step)


def of_any(server: Server, source: Source, step: Progress) -> Database:
    """The database that a source names."""
    if isinstance(source, Design):
        return of_design(server, source, step).database
    return of_live(source).database if isinstance(source, str) else of_scripts(server, source, step).database


def of_live(dsn: str) -> Taken:
    """What a live server's database holds. Nothing is written there."""
    with connect(resolve_dsn(dsn), read_only=True) as connection:
        return Taken(
            database=read(connection), server_version=_major(connection), secrets=secrets(connection)
        )


def _major(connection: Connection) -> int:
    return connection.info.server_version // 10000


def design(store: str, taken: Taken, given: Sequence[Script] = ()) -> Design:
    """What was taken as a design; of a single file of SQL it knows where each table stands."""
    made = Design(store=store, server_version=max(OLDEST, taken.server_version), database=taken.database)
    if len(given) != 1:
        return made
    database = taken.database
    names = {
        section: tuple(part.name for part in getattr(database, section))
        for section in ("tables", "views", "materialized_views", "sequences", "functions")
    }
    return replace(
        made,
        file=given[0].file,
        marks=MappingProxyType(places(given[0].text, names)),
        table_keys=MappingProxyType({table.name: str(table.name) for table in database.tables}),
    )
