"""Servers to prove things on: a throwaway one of our own, or scratch databases on a live one.

    with open_server(dsn) as server, server.scratch_database() as database:
        psycopg.connect(database.conninfo)

The throwaway one is in `cluster`, what is made on either in `scratch`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import make_conninfo

from data_platform.postgres.binaries import NEWEST
from data_platform.postgres.cluster import running_cluster
from data_platform.postgres.connect import APPLICATION_NAME, connect, resolve_dsn
from data_platform.postgres.extensions import PROVABLE_EXTENSIONS, STUB
from data_platform.postgres.scratch import Database, checked_rights, open_scratch_database

__all__ = [
    "PROVABLE_EXTENSIONS",
    "Database",
    "Server",
    "available_extensions",
    "embedded_server",
    "open_server",
]


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL; `conninfo` is its maintenance database as a role that may create databases."""

    conninfo: str = field(repr=False)
    version: str
    version_num: int
    embedded: bool

    def describe(self) -> str:
        """For reports: what the numbers were measured on."""
        if not self.embedded:
            return f"PostgreSQL {self.version} (live server)"
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
        return f"PostgreSQL {self.version} (embedded), {cores} cores"

    def scratch_database(self, *, extensions: Sequence[str] = ()) -> AbstractContextManager[Database]:
        """A new database, dropped with all sessions in it when the block ends, however it ends.

        If our role may create roles, a temporary one owns the database (login valid for a day) and is
        dropped with it. If not, our role owns it, and untrusted SQL is kept from the server's files and
        programs but not from other databases of that role. A process killed by SIGKILL leaves database and
        role on a live server; both are called dpe_ and 16 hexadecimal digits.
        Raises EnvironmentProblem when one of these cannot be made, or an extension is not one of
        `PROVABLE_EXTENSIONS`; what the block raises passes unchanged.
        """
        return open_scratch_database(self.conninfo, extensions, disposable=self.embedded)


def available_extensions(server: Server) -> Mapping[str, str]:
    """Extensions that could be created on this server, with their default versions; stubs are none."""
    query = (
        "SELECT name, coalesce(default_version, '') FROM pg_available_extensions"
        " WHERE comment IS DISTINCT FROM %s ORDER BY name"
    )
    with connect(server.conninfo, read_only=True) as connection:
        return dict(connection.execute(query, [STUB]).fetchall())


@contextmanager
def open_server(dsn: str | None) -> Iterator[Server]:
    """The live server that `dsn` names (see `resolve_dsn`), or an embedded one when it is None.

    A live server is never stopped; nothing is changed on it but scratch databases and their roles.
    Raises UsageProblem or EnvironmentProblem, the latter also when the role lacks or has too many privileges.
    """
    if dsn is None:
        with embedded_server() as server:
            yield server
    else:
        yield _live_server(make_conninfo(resolve_dsn(dsn), application_name=APPLICATION_NAME))


@contextmanager
def embedded_server(
    *, settings: Mapping[str, str] | None = None, major: int | None = None
) -> Iterator[Server]:
    """A PostgreSQL of our own, reached by a Unix socket only, stopped and removed when the block ends.

    `settings` go before ours, which are for speed and repeatable proofs, not for keeping data (fsync is off).
    `major` is a version, where a package has it. For logical decoding set wal_level and max_wal_senders; statistics
    come from ANALYZE only.
    Raises EnvironmentProblem: no package, no permission, a full disk, a setting that PostgreSQL refuses.
    """
    with running_cluster(settings or {}, major or NEWEST) as conninfo:
        with connect(conninfo, read_only=True) as connection:
            server = _described(connection, conninfo, embedded=True)
        yield server


def _live_server(conninfo: str) -> Server:
    with connect(conninfo, read_only=False) as connection:
        checked_rights(connection, conninfo)
        return _described(connection, conninfo, embedded=False)


def _described(connection: psycopg.Connection, conninfo: str, *, embedded: bool) -> Server:
    """Version "18.6", without the packager's remarks that may follow it."""
    version = (connection.info.parameter_status("server_version") or "").split(" ")[0]
    return Server(conninfo, version, connection.info.server_version, embedded)
