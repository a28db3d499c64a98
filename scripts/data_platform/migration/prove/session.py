"""The migration's own session: runs a statement as a tool would, as an owner without privileges.

What PostgreSQL keeps for superusers (extensions, roles) goes through the allow-list of `postgres.load`; what cannot be
run here at all is said, and not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import postgast
import psycopg
from postgast import pg_query_pb2 as pb
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.migration.files import Statement
from data_platform.migration.prove.result import ServerError
from data_platform.postgres.connect import connect
from data_platform.postgres.load import runner_for
from data_platform.postgres.load.cases import NAME_ROLES
from data_platform.postgres.load.cases import Statement as Loadable
from data_platform.postgres.load.decide import Way, decide, kind_of
from data_platform.postgres.load.runner import Runner
from data_platform.postgres.load.sessions import open_sessions
from data_platform.postgres.scratch import Database
from data_platform.sql.script import Piece

Connection = psycopg.Connection[Any]

STATEMENT_SECONDS = 900
"""Longer than that no statement runs; a migration's own statement_timeout goes before."""
NEEDS_NO_TRANSACTION = ("25001", "2D000", "25P01")
"""The server wants the statement outside a transaction block, or it ends transactions itself."""

_MAINTENANCE = ("vacuum_stmt", "reindex_stmt", "check_point_stmt")
_CHANGES = ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt")
_READS = ("select_stmt", "create_table_as_stmt", "refresh_mat_view_stmt", *_CHANGES)
_READ = """
SELECT relid::bigint, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_catalog.pg_stat_xact_user_tables
 WHERE seq_tup_read + coalesce(idx_tup_fetch, 0) > 0
"""
"""Rows that this session has read of each table and not yet reported to the server's statistics."""
_APART = (Way.EXTENSION, Way.ROLE, Way.PRIVILEGED)


def runs_apart(statement: Statement) -> bool:
    """Whether it goes through the loader's session, and so is in no transaction of ours."""
    return decide(statement.node).way in _APART


def sets(statement: Statement) -> bool:
    """Whether it may change a setting of the session."""
    if statement.node.HasField("variable_set_stmt"):
        return True
    calls = postgast.find_nodes(statement.node, pb.FuncCall) if statement.node.HasField("select_stmt") else ()
    return any(call.funcname[-1].string.sval == "set_config" for call in calls)


@dataclass
class Answer:
    """What came of one statement."""

    messages: list[str] = field(default_factory=list)
    error: ServerError | None = None
    skipped: str | None = None
    rows: int = 0
    """Changed by an INSERT, UPDATE, DELETE or MERGE."""
    read: dict[int, int] = field(default_factory=dict)
    """Rows that it read of each table, where it shares a transaction with others."""


@dataclass
class Session:
    """One connection to one database; open with `open_session`."""

    connection: Connection
    database: Database
    notes: list[str] = field(default_factory=list)
    stubs: dict[str, bool] = field(default_factory=dict)
    """Extensions that are not on this server, and whether the stand-in is empty."""
    lock_timeout_s: float = 0.0
    _heard: list[str] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)
    _loader: Runner | None = None

    @property
    def pid(self) -> int:
        return self.connection.info.backend_pid

    @property
    def in_transaction(self) -> bool:
        return self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE

    def prepare(self, statement: Statement) -> None:
        """Make the roles that a statement names; to be called outside a transaction."""
        if kind_of(statement.node) in NAME_ROLES:
            loader = self._runner()
            for role in postgast.find_nodes(statement.node, pb.RoleSpec):
                if role.roletype == pb.ROLESPEC_CSTRING:
                    with suppress(psycopg.Error):
                        loader.roles.ensure(role.rolename)

    def run(self, statement: Statement) -> Answer:
        """Run it in whatever transaction is open."""
        decision = decide(statement.node)
        kind = kind_of(statement.node)
        if kind == "variable_set_stmt" and statement.node.variable_set_stmt.name == "client_min_messages":
            return Answer(skipped="the proof needs the server's messages")
        if kind == "copy_stmt" and statement.node.copy_stmt.is_from:
            if statement.node.copy_stmt.filename:
                return Answer(skipped="COPY from a file or a program of the server is not run")
            return self._copied(statement)
        if decision.way is Way.SKIP and kind not in _MAINTENANCE:
            return Answer(skipped=decision.why)
        if decision.way is Way.EXTENSION or (decision.way in _APART and not self.in_transaction):
            return self._apart(statement)
        answer = (
            self._counted(statement) if kind in _READS and self.in_transaction else self._execute(statement)
        )
        if answer.error is None and sets(statement):
            self.note_settings()
        return answer

    def note_settings(self) -> None:
        """Look at the settings again: they have changed, or a transaction's end has undone that."""
        self.lock_timeout_s = self._lock_timeout()

    def execute(self, text: str) -> ServerError | None:
        """BEGIN, COMMIT, ROLLBACK of ours."""
        try:
            self.connection.execute(text.encode())
        except psycopg.Error as error:
            return refused(error)
        return None

    def _counted(self, statement: Statement) -> Answer:
        before = self._rows_read()
        answer = self._execute(statement)
        if answer.error is None:
            read = {table: rows - before.get(table, 0) for table, rows in self._rows_read().items()}
            answer.read = {table: rows for table, rows in read.items() if rows > 0}
        return answer

    def _rows_read(self) -> dict[int, int]:
        try:
            return dict(self.connection.execute(_READ, prepare=False).fetchall())
        except psycopg.Error:  # the transaction has failed before
            return {}

    def _copied(self, statement: Statement) -> Answer:
        """COPY … FROM stdin with the rows that follow it in the file, unless they do not go with those made up here."""
        self._heard.clear()
        try:
            with self.connection.transaction(), self.connection.cursor() as cursor:
                with cursor.copy(statement.sql.encode()) as copy:
                    copy.write(statement.rows)
                return Answer(list(self._heard), rows=max(0, cursor.rowcount))
        except (psycopg.errors.UniqueViolation, psycopg.errors.ForeignKeyViolation) as error:
            return Answer(skipped=f"its rows do not go with the synthetic ones: {refused(error).message}")
        except psycopg.Error as error:
            return Answer(list(self._heard), refused(error, statement))

    def _execute(self, statement: Statement) -> Answer:
        self._heard.clear()
        try:
            cursor = self.connection.execute(statement.sql.encode(), prepare=False)
        except psycopg.Error as error:
            return Answer(list(self._heard), refused(error, statement))
        changes = kind_of(statement.node) in _CHANGES
        return Answer(list(self._heard), rows=max(0, cursor.rowcount) if changes else 0)

    def _lock_timeout(self) -> float:
        try:
            row = self.connection.execute("SHOW lock_timeout").fetchone()
        except psycopg.Error:
            return self.lock_timeout_s
        return seconds_of(str(row[0])) if row else 0.0

    def _apart(self, statement: Statement) -> Answer:
        """Through the loader, which has a session of its own."""
        loader = self._runner()
        noted = len(loader.notes)
        piece = Piece("statement", statement.sql, statement.line, statement.column, statement.offset)
        loadable = Loadable(statement.file, piece, statement.node)
        way = decide(statement.node).way
        try:
            if way is Way.EXTENSION:
                loader.create_extension(loadable)
                own_extensions(self.database)
            elif way is Way.ROLE:
                loader.role_statement(loadable)
            else:
                loader.run_privileged(loadable)
            loader.flush()
        except (UsageProblem, EnvironmentProblem) as problem:
            cause = problem.__context__
            if way is Way.EXTENSION:
                self.stubs[statement.node.create_extension_stmt.extname] = True
            if isinstance(cause, psycopg.Error):
                return Answer(error=refused(cause, statement))
            return Answer(error=ServerError(sqlstate="?", message=problem.what))
        self.stubs.update(loader.stubs)
        notes = [note.why for note in loader.notes[noted:]]
        return Answer(skipped="; ".join(notes) or None)

    def _runner(self) -> Runner:
        if self._loader is None:
            user, admin = self._stack.enter_context(open_sessions(self.database))
            self._loader = runner_for(self.database, user, admin)
        return self._loader

    def _hear(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "DEBUG" and diagnostic.message_primary:
            self._heard.append(diagnostic.message_primary)


@contextmanager
def open_session(database: Database) -> Iterator[Session]:
    """A session in autocommit that hears the server's debug messages."""
    given = str(conninfo_to_dict(database.conninfo).get("options") or "")
    options = f"{given} -c client_min_messages=debug1 -c application_name=dpe_migration".strip()
    conninfo = make_conninfo(database.conninfo, options=options)
    with connect(
        conninfo, read_only=False, statement_timeout_ms=STATEMENT_SECONDS * 1000, lock_timeout_ms=0
    ) as connection:
        connection.prepare_threshold = None
        session = Session(connection, database)
        connection.add_notice_handler(session._hear)
        with session._stack:
            yield session


def own_extensions(database: Database) -> None:
    """Give the extensions of a scratch database to its owner, who then may drop them: a migration's role may.

    There is no ALTER EXTENSION … OWNER TO.
    """
    with connect(database.admin_conninfo, read_only=False) as admin:
        admin.execute(_OWN_EXTENSIONS)


_OWN_EXTENSIONS = """
UPDATE pg_catalog.pg_extension SET extowner = datdba
  FROM pg_catalog.pg_database WHERE datname = current_database() AND extname <> 'plpgsql' AND extowner <> datdba
"""


def refused(error: psycopg.Error, statement: Statement | None = None) -> ServerError:
    """The server's error, with its place in the file where it says one."""
    message = error.diag.message_primary or str(error).strip() or type(error).__name__
    line = column = None
    position = error.diag.statement_position
    if statement is not None and position and position.isdecimal():
        piece = Piece("statement", statement.sql, statement.line, statement.column, statement.offset)
        line, column = piece.place(int(position) - 1)
    return ServerError(sqlstate=error.sqlstate or "08006", message=message, line=line, column=column)


_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "us": 1e-6}


def seconds_of(setting: str) -> float:
    """A time as SHOW prints it ("0", "50ms", "1min") in seconds."""
    digits = setting.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = _UNITS.get(setting[len(digits) :], 0.001)
    return float(digits or 0) * unit
