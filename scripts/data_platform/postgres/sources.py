"""A database wherever it stands: in SQL files, on a live server, or in a model. All come out as the server spells them.

SQL and models are loaded into a scratch database first, as whoever has no privileges; a live server is only read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType

from data_platform.ddl import script
from data_platform.errors import UsageProblem
from data_platform.model.database import Database, Role
from data_platform.model.design import Design
from data_platform.postgres.catalog import Connection, left_out, read
from data_platform.postgres.cluster import SUPERUSER
from data_platform.postgres.connect import LIVE, connect, resolve_dsn
from data_platform.postgres.load import Loaded, Script, drop_roles, load, read_script
from data_platform.postgres.server import Server, embedded_server
from data_platform.sql.places import places

Source = Design | str | tuple[Script, ...]
"""A model, the address of a live server, or SQL."""
Progress = Callable[[str, float], None]
MODELS = (".yaml", ".yml")
OLDEST = 13
"""The first server version that a model may be for."""
ROLE_ATTRIBUTES = ("LOGIN", "CREATEDB", "CREATEROLE", "REPLICATION", "SUPERUSER")
"""What roles are made without in a scratch cluster; a model says it all the same."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A database as it was read, and how it came to the server if it had to be loaded."""

    database: Database
    server_version: int
    """The major version."""
    loaded: Loaded | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    """What the database has and no model holds, by kind: what holds passwords, invalid indexes."""


def is_live(source: str) -> bool:
    """Whether the text names a server."""
    return source.startswith(LIVE)


def is_model(source: str) -> bool:
    """Whether the text names a model spec."""
    return source.endswith(MODELS) and not is_live(source)


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
    """What the SQL makes; statements that only a superuser's server could run stay as they are written.

    Raises UsageProblem with the place of what the server refuses.

    Roles are the cluster's: two sources that are read at the same time want a server each.
    """
    with server.scratch_database() as database:
        loaded = load(database, given, progress=step)
        with connect(database.conninfo, read_only=True) as connection:
            found = read(connection, anonymous=[SUPERUSER], roles=loaded.roles)
            taken = Taken(
                database=replace(
                    found,
                    roles=tuple(_as_said(role, loaded) for role in found.roles),
                    raw=(*found.raw, *(note.kept for note in loaded.skipped if note.kept)),
                ),
                server_version=_major(connection),
                loaded=loaded,
                left_out=left_out(connection),
            )
    drop_roles(server.conninfo, loaded.roles)
    return taken


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


def of_live(dsn: str, beside: Database | None = None) -> Taken:
    """What a live server's database holds. Nothing is written there.

    Where the database `beside` it names no owner, whoever owns the live one's objects is no difference, and not named.
    """
    with connect(resolve_dsn(dsn), read_only=True) as connection:
        found = read(connection, own_is_anonymous=False)
        if beside is not None and not _owners(beside):
            found = read(connection, anonymous=_owners(found))
        return Taken(database=found, server_version=_major(connection), left_out=left_out(connection))


def _owners(database: Database) -> set[str]:
    parts = (part for section in fields(Database) for part in getattr(database, section.name))
    return {owner for part in parts if (owner := getattr(part, "owner", None)) is not None}


def of_source(source: Source, step: Progress) -> Database:
    """The database that a source names, loaded on a server of its own if it must be."""
    if isinstance(source, str):
        return of_live(source).database
    with embedded_server() as server:
        taken = (
            of_design(server, source, step)
            if isinstance(source, Design)
            else of_scripts(server, source, step)
        )
    return taken.database


def of_both(before: Source, after: Source, step: Progress) -> tuple[Database, Database]:
    """Two databases to compare."""
    if isinstance(before, str) and not isinstance(after, str):
        loaded = of_source(after, step)
        return of_live(before, loaded).database, loaded
    if isinstance(after, str) and not isinstance(before, str):
        loaded = of_source(before, step)
        return loaded, of_live(after, loaded).database
    # At the same time: servers do most of the work.
    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(of_source, source, step) for source in (before, after))
        return first.result(), second.result()


def _major(connection: Connection) -> int:
    return connection.info.server_version // 10000


def design(store: str, taken: Taken, given: Sequence[Script] = ()) -> Design:
    """What was taken as a design; of SQL it knows in which file and line each object is made."""
    made = Design(store=store, server_version=max(OLDEST, taken.server_version), database=taken.database)
    if not given:
        return made
    database = taken.database
    names = {
        section: tuple(part.name for part in getattr(database, section))
        for section in ("tables", "views", "materialized_views", "sequences", "functions")
    }
    # The first file that makes an object is where it stands.
    found = [places(script.text, names, script.file) for script in given]
    return replace(
        made,
        file=given[0].file if len(given) == 1 else "",
        marks=MappingProxyType({path: mark for marks in reversed(found) for path, mark in marks.items()}),
        table_keys=MappingProxyType({table.name: str(table.name) for table in database.tables}),
    )
