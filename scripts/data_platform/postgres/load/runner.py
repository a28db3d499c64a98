"""Runs statements that have been decided on: ordinary ones in batches, and a remedy for each that does not go through.

The remedies: make what a file takes for granted (a role, a tablespace, an extension) and try again; run it in the admin
session when the allow-list has it; leave it out with a note when only a superuser may. Any other error ends the load.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import postgast
import psycopg
from postgast import pg_query_pb2 as pb

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.model.database import Raw
from data_platform.postgres.extensions import PROVABLE_EXTENSIONS, STUB
from data_platform.postgres.load.blocks import makes_roles, role_statements
from data_platform.postgres.load.cases import (
    BEFORE_OWNERS,
    DUPLICATE_OBJECT,
    DUPLICATE_SCHEMA,
    FOR_SUPERUSERS,
    INSUFFICIENT_PRIVILEGE,
    KEEP_SEARCH_PATH,
    MAKE,
    NAME_ROLES,
    SAY_MORE,
    UNDEFINED_OBJECT,
    Statement,
    may_call,
    missing,
    needs_its_own_transaction,
    only_drops,
    only_switches_triggers,
    said,
)
from data_platform.postgres.load.decide import kind_of
from data_platform.postgres.load.messages import UNDEFINED, Note, first_line, problem, tells_secret
from data_platform.postgres.load.privileged import Privileged, privileged
from data_platform.postgres.load.roles import Roles, make_tablespace
from data_platform.postgres.load.sessions import Admin, RefusedError, User
from data_platform.postgres.load.stubs import stub_for
from data_platform.postgres.load.substitutes import (
    SORTS_BY_CODE_POINT,
    Substitute,
    missing_collation,
    substitute,
    text_of,
)
from data_platform.sql.text import Sql, identifier

_BATCH = 200
_BATCH_CHARACTERS = 500_000
_MOST_REMEDIES = 50
_AVAILABLE = "SELECT FROM pg_available_extensions WHERE name = %s AND comment IS DISTINCT FROM %s"
"""Not counting the stubs of other loads on this server."""
_LEFT_OUT = "it needs a superuser, and may run or open more than the schema"


@dataclass
class Runner:
    """The sessions of a load with what it has made and left out so far.

    `stub_directory` is where an embedded server finds stub extensions; None on a live server, where nothing but
    extensions is made in the admin session.
    """

    user: User
    admin: Admin
    roles: Roles
    stub_directory: Path | None
    event_triggers_rest: bool
    notes: list[Note] = field(default_factory=list)
    stubs: dict[str, bool] = field(default_factory=dict)
    """Stub extensions, and whether each is empty."""
    statements: int = 0
    _batch: list[Statement] = field(default_factory=list)
    _owners: list[tuple[Statement, Privileged]] = field(default_factory=list)
    """Changes of owner that wait: one journey for many. What may be added meanwhile is `BEFORE_OWNERS`."""
    _provided: set[tuple[str, str]] = field(default_factory=set)
    _schemas: Sql | None = None

    def note(self, statement: Statement, why: str) -> None:
        """Put on record that a statement was left out or changed."""
        self.notes.append(Note(statement.file, statement.piece.line, first_line(statement.piece), why))

    def leave_out(self, statement: Statement, why: str) -> None:
        """Put on record that a statement was left out, whole if an object is missing now."""
        piece, kind = statement.piece, MAKE.get(statement.kind)
        kept = None
        if kind and not tells_secret(piece):
            kept = Raw(kind=kind, name=first_line(piece), sql=f"{piece.text.strip()};")
        self.notes.append(Note(statement.file, piece.line, first_line(piece), why, kept))

    def add(self, statement: Statement) -> None:
        """Run an ordinary statement, soon."""
        if statement.kind in NAME_ROLES:
            self._ensure_roles(statement.node)
        if statement.kind == "do_stmt" and makes_roles(statement.piece.text):
            self._roles_of_block(statement)
        if needs_its_own_transaction(statement.node):
            self.flush()
            self._one(statement)
            self._ran([statement])
            return
        if self._owners and statement.kind not in BEFORE_OWNERS:
            self.flush()
        self._batch.append(statement)
        if len(self._batch) >= _BATCH or len(statement.piece.text) > _BATCH_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        """Run what waits."""
        batch, self._batch = self._batch, []
        if batch:
            self._run_batch(batch)
        owners, self._owners = self._owners, []
        if owners:
            self._change_owners(owners)

    def _run_batch(self, batch: Sequence[Statement]) -> None:
        """All in one transaction, or, when something in it fails, one by one."""
        try:
            self.user.run_all([text for statement in batch for text in self._texts(statement)])
            again = [one for one in batch if self.user.grant_refused and one.kind == "grant_stmt"]
        except psycopg.Error:
            again = list(batch)
        for statement in again:
            self._one(statement)
        self._ran(batch)

    def _texts(self, statement: Statement) -> Iterator[str]:
        yield statement.piece.text
        if may_call(statement):
            yield self.user.limits

    def _change_owners(self, owners: Sequence[tuple[Statement, Privileged]]) -> None:
        schemas = self._search_path()
        try:
            self.admin.run_all([statement.piece.text for statement, _ in owners], owners[0][1], schemas)
            self._ran([statement for statement, _ in owners])
        except (psycopg.Error, RefusedError):
            for statement, how in owners:
                self._in_admin(statement, how)

    def run_as(self, statement: Statement, text: str) -> bool:
        """Run another text in place of a statement's own, at once; an error is noted, and the answer False."""
        self.flush()
        try:
            self._provide_and_run(statement, text)
            self._ran([statement])
        except psycopg.Error as error:
            self.note(statement, said(error))
            return False
        return True

    def copy(self, statement: Statement, rows: bytes | memoryview) -> None:
        """COPY … FROM stdin with these rows."""
        self.flush()
        try:
            self.user.copy(statement.piece.text, rows)
            self._ran([statement])
        except psycopg.Error as error:
            raise self._problem(error, statement) from None

    def run_privileged(self, statement: Statement) -> None:
        """Run in the admin session what the allow-list has; what it has not is noted."""
        how = privileged(statement.node, event_triggers_rest=self.event_triggers_rest)
        if how is None or self.stub_directory is None:
            self.leave_out(statement, _LEFT_OUT)
        elif how.owner and not self.roles.ensure(how.owner):
            self.note(statement, f"the role {how.owner} gets nothing here; the scratch owner keeps it")
        elif how.owner:
            self._owners.append((statement, how))
            if len(self._owners) >= _BATCH:
                self.flush()
        else:
            self.flush()
            self._in_admin(statement, how)

    def create_extension(self, statement: Statement) -> None:
        """CREATE EXTENSION as the file wants it, or a stub, or a note."""
        self.flush()
        stmt = statement.node.create_extension_stmt
        options = {option.def_elem.defname: option.def_elem.arg.string.sval for option in stmt.options}
        try:
            if not self._extension(stmt.extname, options.get("schema", "")):
                self.note(statement, f"the extension {stmt.extname} is not on this server")
            self._ran([statement])
        except psycopg.Error as error:
            raise self._problem(error, statement) from None

    def role_statement(self, statement: Statement) -> None:
        """CREATE ROLE, ALTER ROLE, GRANT role: rewritten."""
        self.flush()
        stmt = getattr(statement.node, statement.kind)
        try:
            left_out = (
                self.roles.grant(stmt) if statement.kind == "grant_role_stmt" else self.roles.create(stmt)
            )
        except psycopg.Error as error:
            raise self._problem(error, statement) from None
        if left_out:
            self.note(statement, left_out)
        self._ran([statement])

    def new_session(self) -> None:
        """What \\connect does to settings, roles taken and temporary tables."""
        self.flush()
        self.user.restart()
        self._schemas = None

    # --- one statement ---

    def _one(self, statement: Statement) -> None:
        try:
            self._provide_and_run(statement, statement.piece.text)
        except psycopg.Error as error:
            self._otherwise(error, statement)
            return
        if self.user.grant_refused and statement.kind == "grant_stmt":
            self._beyond_the_owner(statement, "the object belongs to the server")

    def _provide_and_run(self, statement: Statement, text: str) -> None:
        """Run; as long as it fails for want of something that we can make, make it and run again."""
        for _ in range(_MOST_REMEDIES):
            try:
                self.user.run(text)
                return
            except psycopg.Error as error:
                if not self._provide(statement, error):
                    raise
        self.user.run(text)

    def _provide(self, statement: Statement, error: psycopg.Error) -> bool:
        wanted = missing(error)
        if wanted is None or wanted in self._provided or self.stub_directory is None:
            return False
        self._provided.add(wanted)
        kind, name = wanted
        if kind == "role":
            return self.roles.ensure(name)
        if kind == "extension":
            return self._extension(name, "")
        if kind == "collation":
            return self._collation(statement, name)
        return make_tablespace(self.admin, name)

    def _collation(self, statement: Statement, name: str) -> bool:
        text = missing_collation(name)
        if text is None:
            return False
        self.admin.execute(text)
        self.note(statement, f"{name} is {SORTS_BY_CODE_POINT}")
        return True

    def _otherwise(self, error: psycopg.Error, statement: Statement) -> None:
        kind = statement.kind
        exists = kind == "create_schema_stmt" and error.sqlstate == DUPLICATE_SCHEMA
        if exists and statement.node.create_schema_stmt.schemaname == "public":
            return
        instead = substitute(statement, error.sqlstate) if self.stub_directory else None
        if instead:
            self._instead(statement, instead)
        elif kind in ("variable_set_stmt", "refresh_mat_view_stmt"):
            self.note(statement, said(error))
        elif error.sqlstate == DUPLICATE_OBJECT and kind == "do_stmt" and makes_roles(statement.piece.text):
            self.note(statement, "its roles are there")
        elif error.sqlstate == INSUFFICIENT_PRIVILEGE and (
            kind in FOR_SUPERUSERS or only_switches_triggers(statement)
        ):
            self._beyond_the_owner(statement, said(error))
        elif error.sqlstate in UNDEFINED and kind in SAY_MORE and self._left_something_out():
            self.note(statement, f"{said(error)}: left out before")
        elif error.sqlstate in UNDEFINED and only_drops(statement):
            self.note(statement, "there is nothing to drop")
        elif error.sqlstate == UNDEFINED_OBJECT and kind in NAME_ROLES and self.stub_directory is None:
            self.note(statement, said(error))
        else:
            raise self._problem(error, statement)

    def _roles_of_block(self, statement: Statement) -> None:
        """Make the roles of a DO block beforehand, without what they may not do here."""
        self.flush()
        for node in role_statements(statement.piece.text):
            left_out = self.roles.create(getattr(node, kind_of(node)))
            if left_out:
                self.note(statement, left_out)

    def _instead(self, statement: Statement, instead: Substitute) -> None:
        try:
            if instead.text:
                self._provide_and_run(statement, instead.text)
            if instead.afterwards is not None:
                how = Privileged(text=text_of(instead.afterwards))
                self.admin.run("", how, self._search_path(), Sql(""))
        except psycopg.Error as error:
            raise self._problem(error, statement) from None
        if instead.why:
            self.note(statement, instead.why)

    def _beyond_the_owner(self, statement: Statement, why: str) -> None:
        how = privileged(statement.node, event_triggers_rest=self.event_triggers_rest)
        if how is None or self.stub_directory is None:
            self.leave_out(statement, why)
        else:
            self._in_admin(statement, how)

    def _in_admin(self, statement: Statement, how: Privileged) -> None:
        role = identifier(self.user.role()) if how.hand_over else Sql("")
        try:
            self.admin.run(statement.piece.text, how, self._search_path(), role)
            self._ran([statement])
        except RefusedError:
            self.leave_out(statement, _LEFT_OUT)
        except psycopg.Error as error:
            if error.sqlstate == INSUFFICIENT_PRIVILEGE:
                self.leave_out(statement, said(error))
            elif error.sqlstate in UNDEFINED and self._left_something_out():
                self.note(statement, f"{said(error)}: left out before")
            else:
                raise self._problem(error, statement) from None
        if how.note:
            self.note(statement, how.note)

    def _left_something_out(self) -> bool:
        return any(note.what.upper().startswith("CREATE") for note in self.notes)

    def _extension(self, name: str, schema: str) -> bool:
        """Make the extension in the admin session, unless it is there; False when there is none to be had."""
        if self.admin.finds("SELECT FROM pg_extension WHERE extname = %s", name):
            return True
        available = self.admin.finds(_AVAILABLE, name, STUB)
        stub = None if available and name in PROVABLE_EXTENSIONS else stub_for(name)
        if stub and self.stub_directory:
            stub.write(self.stub_directory)
            self.stubs[name] = stub.empty
        elif not (available and name in PROVABLE_EXTENSIONS):
            return False
        where = f" SCHEMA {identifier(schema)}" if schema else ""
        cascade = "" if stub else " CASCADE"
        how = Privileged(text=f"CREATE EXTENSION {identifier(name)}{where}{cascade}")
        self.admin.run("", how, self._search_path(), Sql(""))
        return True

    def _search_path(self) -> Sql:
        if self._schemas is None:
            self._schemas = self.user.schemas()
        return self._schemas

    def _ensure_roles(self, node: pb.Node) -> None:
        for role in postgast.find_nodes(node, pb.RoleSpec):
            if role.roletype == pb.ROLESPEC_CSTRING:
                self.roles.ensure(role.rolename)

    def _ran(self, statements: Sequence[Statement]) -> None:
        self.statements += len(statements)
        if any(statement.kind not in KEEP_SEARCH_PATH for statement in statements):
            self._schemas = None

    def _problem(self, error: psycopg.Error, statement: Statement) -> UsageProblem | EnvironmentProblem:
        if self.user.connection.closed or self.admin.connection.closed:
            return EnvironmentProblem(f"the server ended the session: {error}", where=statement.file)
        empty = [name for name, is_empty in self.stubs.items() if is_empty]
        return problem(error, statement.file, statement.piece, empty, self.notes)
