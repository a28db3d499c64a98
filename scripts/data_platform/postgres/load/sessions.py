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
from data_platform.sql.text import Sql, identifiers, joined, literal

LIMITS = (
    *("statement_timeout", "lock_timeout", "transaction_timeout", "client_encoding"),
    *("idle_in_transaction_session_timeout", "idle_session_timeout"),
)
"""Settings of the session that a file does not change: its limits, and the encoding, which is that of the reader."""

_REFUSED_GRANTS = ("01006", "01007")
"""The warnings that nothing was revoked or granted."""


class RefusedError(Exception):
    """What the admin session ran would have given away more than it may; it was rolled back."""


class User:
    """The scratch owner's session.

    What a file calls can change any setting, `LIMITS` too. `limits` is SQL that sets them again: `run`, `run_all` and
    `copy` begin with it, and whoever gives `run_all` a statement that calls something puts it behind that.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.limits = Sql("")
        connection.prepare_threshold = None
        connection.add_notice_handler(self._notice)
        self.grant_refused = False

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        self.grant_refused |= diagnostic.sqlstate in _REFUSED_GRANTS

    def keep_limits(self) -> None:
        """Take the limits as they are now for those of the session."""
        query = (
            "SELECT name, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings WHERE name = ANY (%s)"
        )
        values = self.connection.execute(query, [list(LIMITS)]).fetchall()
        calls = [
            Sql(f"pg_catalog.set_config({literal(name)}, {literal(value)}, false)") for name, value in values
        ]
        self.limits = Sql(f"SELECT {joined(', ', calls)}")

    def run(self, statement: str) -> None:
        """One statement in its own transaction."""
        self.grant_refused = False
        self._set_limits()
        self.connection.execute(statement.encode())

    def copy(self, statement: str, rows: bytes | memoryview) -> None:
        """COPY … FROM stdin with these rows."""
        self._set_limits()
        with self.connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            copy.write(rows)

    def run_all(self, statements: Sequence[str]) -> None:
        """All of them in one transaction, on one journey to the server; on an error none has happened."""
        self.grant_refused = False
        with _one_journey(self.connection):
            self._set_limits()
            for statement in statements:
                self.connection.execute(statement.encode())

    def _set_limits(self) -> None:
        if self.limits:
            self.connection.execute(self.limits.encode())

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
    """The session of the role that made the scratch database.

    A file's statements run here only by `run` and `run_all`; in all others there is nothing of a file's but names,
    as identifiers or parameters.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        connection.execute("SET search_path = pg_catalog, pg_temp")

    def finds(self, query: str, *values: str) -> bool:
        """Whether a query of ours finds a row."""
        cursor = self.connection.execute(query.encode(), values or None, binary=True)
        return cursor.fetchone() is not None

    def execute(self, statement: str) -> None:
        """Run one statement. A text with more than one is refused by the server.

        Binary results, of which there are none, are what makes psycopg use the extended protocol.
        """
        self.connection.execute(statement.encode(), binary=True)

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
            self.execute(f"SET LOCAL search_path = {schemas}")
            for statement in statements:
                self.execute(statement)
            self._check(how)

    def run(self, statement: str, how: Privileged, schemas: Sql, role: Sql) -> None:
        """A statement from the allow-list. Names in it mean what they mean to the file; ours never do."""
        with self.connection.transaction():
            self.execute(f"SET LOCAL search_path = {schemas}")
            self.execute(how.text or statement)
            if how.hand_over:  # said or not, pg_catalog comes after the schema that something new is made in
                self.execute(f"SET LOCAL search_path = {schemas}, pg_catalog")
            for target in how.hand_over:
                self.execute(f"ALTER {target} OWNER TO {role}")
            self._check(how)

    def _check(self, how: Privileged) -> None:
        self.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        if any(self.finds(query) for query in how.checks):
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
