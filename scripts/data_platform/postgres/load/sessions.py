"""The two sessions of a load: the scratch owner's, where all that a file says runs, and the admin's for the rest.

Neither ever waits for the other: whatever one began has ended before the other goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.postgres.connect import connect
from data_platform.postgres.load.privileged import Privileged
from data_platform.postgres.scratch import Database
from data_platform.sql.text import Sql, identifiers

_REFUSED_GRANTS = ("01006", "01007")
"""The warnings that nothing was revoked or granted."""


class RefusedError(Exception):
    """What the admin session ran would have given away more than it may; it was rolled back."""


class User:
    """The scratch owner's session."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        connection.prepare_threshold = None
        connection.add_notice_handler(self._notice)
        self.grant_refused = False

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        self.grant_refused |= diagnostic.sqlstate in _REFUSED_GRANTS

    def run(self, statement: str) -> None:
        """One statement in its own transaction."""
        self.grant_refused = False
        self.connection.execute(statement.encode())

    def run_all(self, statements: Sequence[str]) -> None:
        """All of them in one transaction, on one journey to the server; on an error none has happened."""
        self.grant_refused = False
        with _one_journey(self.connection):
            for statement in statements:
                self.connection.execute(statement.encode())

    def schemas(self) -> Sql:
        """The session's search path as it resolves now, for SET; the admin's user has another "$user"."""
        row = self.connection.execute("SELECT pg_catalog.current_schemas(false)").fetchone()
        return identifiers(row[0]) if row and row[0] else Sql("''")

    def role(self) -> str:
        """The role that the session has taken."""
        row = self.connection.execute("SELECT current_user").fetchone()
        return str(row[0]) if row else ""

    def setting(self, name: str) -> str | None:
        """A setting's value; None when it has none."""
        row = self.connection.execute("SELECT pg_catalog.current_setting(%s, true)", [name]).fetchone()
        return row[0] if row else None

    def set(self, name: str, value: str | None) -> None:
        """Give a setting a value for the session."""
        self.connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", [name, value])

    def restart(self) -> None:
        """As if the session had just begun."""
        self.connection.execute("DISCARD ALL")


class Admin:
    """The session of the role that made the scratch database. It names nothing of a file's but in `run`."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        connection.execute("SET search_path = pg_catalog, pg_temp")

    def finds(self, query: str, name: str | None = None) -> bool:
        """Whether a query of ours finds a row."""
        parameters = None if name is None else [name]
        return self.connection.execute(query.encode(), parameters).fetchone() is not None

    def is_superuser(self) -> bool:
        """Whether the session may do anything."""
        return self.connection.info.parameter_status("is_superuser") == "on"

    def event_triggers_rest(self) -> bool:
        """Whether event triggers never fire on this server, unless a superuser asks for it."""
        row = self.connection.execute("SELECT current_setting('event_triggers', true)").fetchone()
        return row == ("off",)

    def run_all(self, statements: Sequence[str], how: Privileged, schemas: Sql) -> None:
        """Like `run` for several that are all looked at in the same way, on one journey to the server."""
        with self.connection.transaction(), _one_journey(self.connection):
            self.connection.execute(f"SET LOCAL search_path = {schemas}".encode())
            for statement in statements:
                self.connection.execute(statement.encode())
            self.connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
            if self.finds(how.violations):
                raise RefusedError

    def run(self, statement: str, how: Privileged, schemas: Sql, role: Sql) -> None:
        """A statement from the allow-list. Names in it mean what they mean to the file; ours never do."""
        with self.connection.transaction():
            self.connection.execute(f"SET LOCAL search_path = {schemas}".encode())
            self.connection.execute((how.text or statement).encode())
            for target in how.hand_over:
                self.connection.execute(f"ALTER {target} OWNER TO {role}".encode())
            self.connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
            if how.violations and self.finds(how.violations):
                raise RefusedError


@contextmanager
def _one_journey(connection: psycopg.Connection) -> Iterator[None]:
    """A pipeline that raises what went wrong first; psycopg's own would log whatever comes after."""
    first: Exception | None = None
    with connection.pipeline():
        try:
            yield
        except (psycopg.Error, RefusedError) as error:
            first = error
    if first:
        raise first


@contextmanager
def open_sessions(database: Database) -> Iterator[tuple[User, Admin]]:
    """Both sessions of a scratch database, closed when the block ends."""
    given = conninfo_to_dict(database.conninfo).get("options") or ""
    # So that a DO block's CREATE ROLE makes the scratch owner a member; servers before 16 have no such setting.
    with connect(database.admin_conninfo, read_only=False) as admin:
        self_grant = "-c createrole_self_grant=set,inherit" if admin.info.server_version >= 160000 else ""
        conninfo = make_conninfo(database.conninfo, options=f"{given} {self_grant}".strip())
        with connect(conninfo, read_only=False) as user:
            yield User(user), Admin(admin)
