r"""The walk through the files: what each piece is, and to whom it is handed.

Statements go to the runner by what `decide` says. Transactions are not kept: everything commits by itself, and SET
LOCAL lasts until COMMIT by being undone there. Of psql's commands only includes, \connect and \q have an effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from postgast import pg_query_pb2 as pb

from data_platform.errors import UsageProblem
from data_platform.postgres.load.cases import Statement
from data_platform.postgres.load.decide import Decision, Way, decide
from data_platform.postgres.load.messages import Note, first_line, place
from data_platform.postgres.load.runner import Runner
from data_platform.postgres.load.script import Script, included
from data_platform.postgres.load.sessions import LIMITS
from data_platform.postgres.load.substitutes import text_of
from data_platform.sql.script import Piece, as_bytes, pieces
from data_platform.sql.text import NotSql, identifier, parse

Progress = Callable[[str, float], None]

_STEP = 100
_ROWS = re.compile(r"(?:insert|update|delete|merge|truncate)\b", re.IGNORECASE)
"""Known by their first word: of a file full of INSERTs not one has to be parsed."""

_SENT = (";", "", r"\g", r"\gx", r"\;")
_SILENT = frozenset(
    {
        "restrict",
        "unrestrict",
        "echo",
        "qecho",
        "warn",
        "timing",
        "pset",
        "a",
        "t",
        "x",
        "f",
        "H",
        "p",
        "encoding",
    }
    | {
        ".",
        "?",
        "h",
        "help",
        "d",
        "dt",
        "l",
        "z",
        "conninfo",
        "prompt",
        "errverbose",
        "unset",
        "",
        "r",
        "reset",
        ";",
    }
    | {"g", "gx", "bind", "parse", "close", "html", "C", "T"}
)
_CONDITIONS = ("if", "elif", "else", "endif")


@dataclass
class Walk:
    """One load's way through its scripts."""

    runner: Runner
    total: int
    with_rows: bool
    progress: Progress
    rows_skipped: int = 0
    _done: int = 0
    _in_transaction: bool = False
    _local: dict[str, str | None] = field(default_factory=dict)
    """Settings as they were before a SET LOCAL."""

    def file(self, script: Script) -> None:
        """Load a file and what it includes. Raises UsageProblem at the first thing that does not go through."""
        raw = as_bytes(script.text)
        try:
            for number, piece in enumerate(pieces(raw)):
                if number % _STEP == 0 and not script.depth:
                    self.progress(script.file, (self._done + piece.offset) / max(1, self.total))
                if piece.kind == "meta" and piece.command in ("q", "quit"):
                    self._note(script, piece, "the rest of the file is not read, as psql would not")
                    break
                self._piece(script, raw, piece)
        except NotSql as error:
            line = raw.count(b"\n", 0, error.offset or 0) + 1
            raise UsageProblem(str(error), where=f"{script.file}:{line}") from None
        self.runner.flush()
        self._done += 0 if script.depth else len(raw)

    def _piece(self, script: Script, raw: bytes, piece: Piece) -> None:
        if piece.kind == "meta":
            self._meta(script, piece)
        elif piece.ended_by in (r"\r", r"\reset"):
            return
        elif piece.ended_by.split(" ")[0] not in _SENT:
            self._note(script, piece, f"{piece.ended_by} is not followed")
        elif not self.with_rows and (piece.kind == "copy" or _ROWS.match(piece.text)):
            self.rows_skipped += _rows(raw, piece)
        else:
            self._statement(script, raw, piece)
            if piece.ended_by.startswith(r"\g "):
                self._note(script, piece, "its result is written nowhere")

    def _statement(self, script: Script, raw: bytes, piece: Piece) -> None:
        node = _tree(script.file, piece)
        if node is None:
            return
        statement = Statement(script.file, piece, node)
        decision = decide(node)
        if piece.kind == "copy":
            start, end = piece.data
            rows = raw[start:end]
            self.runner.copy(
                statement, rows if piece.encoding == "utf-8" else rows.decode(piece.encoding).encode()
            )
        elif decision.way is Way.ROWS and not self.with_rows:
            self.rows_skipped += 1
        else:
            self._follow(decision, statement)

    def _follow(self, decision: Decision, statement: Statement) -> None:
        if decision.way in (Way.RUN, Way.ROWS):
            self.runner.add(statement)
        elif decision.way is Way.PRIVILEGED:
            self.runner.run_privileged(statement)
        elif decision.way is Way.EXTENSION:
            self.runner.create_extension(statement)
        elif decision.way is Way.ROLE:
            self.runner.role_statement(statement)
        elif decision.way is Way.SETTING:
            self._setting(statement, statement.node.variable_set_stmt)
        elif decision.way is Way.SKIP:
            self.runner.leave_out(statement, decision.why)
        elif decision.way is Way.REFUSE:
            where = place(statement.file, statement.piece)
            raise UsageProblem(
                decision.why, where=where, try_="take out what is rolled back, and the ROLLBACK"
            )
        elif decision.way is Way.COMMIT:
            self._commit()
        elif statement.node.HasField("transaction_stmt"):
            self._in_transaction |= statement.node.transaction_stmt.kind in (
                pb.TRANS_STMT_BEGIN,
                pb.TRANS_STMT_START,
            )

    # --- settings ---

    def _setting(self, statement: Statement, stmt: Any) -> None:
        if stmt.name in LIMITS:
            return
        if stmt.name == "standard_conforming_strings" and _value(stmt) in ("off", "false", "0", "no"):
            where = place(statement.file, statement.piece)
            raise UsageProblem("strings with backslash escapes of old are not read", where=where)
        if stmt.name in ("role", "session_authorization"):
            taken = _value(stmt)
            self.runner.run_as(
                statement, f"SET ROLE {identifier(taken)}" if taken not in ("", "none") else "RESET ROLE"
            )
        elif not stmt.is_local:
            self.runner.add(statement)
        elif self._in_transaction and stmt.kind != pb.VAR_SET_MULTI:  # that is about the transaction itself
            self._until_commit(statement, stmt.name)

    def _until_commit(self, statement: Statement, name: str) -> None:
        self.runner.flush()
        before = self.runner.user.setting(name)
        for_session = pb.Node()
        for_session.CopyFrom(statement.node)
        for_session.variable_set_stmt.is_local = False
        if self.runner.run_as(statement, text_of(for_session)):
            self._local.setdefault(name, before)

    def _commit(self) -> None:
        if self._local:
            self.runner.flush()
            for name, value in self._local.items():
                self.runner.user.set(name, value)
            self._local.clear()
        self._in_transaction = False

    # --- commands of psql ---

    def _meta(self, script: Script, piece: Piece) -> None:
        name = piece.command
        if name in ("i", "ir", "include", "include_relative"):
            self.file(included(script, piece.argument, where=place(script.file, piece)))
        elif name in ("c", "connect"):
            self.runner.new_session()
            self._note(script, piece, "everything is loaded into one database")
        elif name in _CONDITIONS:
            raise UsageProblem(
                f"\\{name} is not decided here",
                where=place(script.file, piece),
                try_="give the file with the statements that should run",
            )
        elif (
            name == "set" and piece.argument.split(" ")[0].isupper()
        ):  # psql's own variables: ON_ERROR_STOP …
            return
        elif name not in _SILENT and not name.startswith("d"):
            self._note(script, piece, "commands of psql are not followed")

    def _note(self, script: Script, piece: Piece, why: str) -> None:
        self.runner.notes.append(Note(script.file, piece.line, first_line(piece), why))


def _tree(file: str, piece: Piece) -> pb.Node | None:
    """The statement's tree; empty when it is too deep for us to read, None when there is nothing but comments."""
    try:
        statements = parse(piece.text).stmts
    except NotSql as error:
        if error.offset is None:
            return pb.Node()
        where = place(file, piece, error.offset + 1)
        raise UsageProblem(
            f"{error}\n  statement: {first_line(piece)}", where=where, try_=_advice(piece)
        ) from None
    if len(statements) > 1:
        raise UsageProblem("more than one statement before a semicolon", where=place(file, piece))
    return statements[0].stmt if statements else None


def _advice(piece: Piece) -> str | None:
    variable = re.search(r"(?<!:):(?:'\w+'|\"\w+\"|[A-Za-z_]\w*)", piece.text)
    return f"psql's variables ({variable[0]}) are not filled in: write the value" if variable else None


def _value(stmt: Any) -> str:
    """The first value of a SET, in lower case only where it is a word of ours; "" for RESET and DEFAULT."""
    if stmt.kind != pb.VAR_SET_VALUE or not stmt.args:
        return ""
    constant = stmt.args[0].a_const
    return str(constant.sval.sval) or str(constant.ival.ival)


def _rows(raw: bytes, piece: Piece) -> int:
    """Rows of COPY; a statement counts as one."""
    if piece.kind != "copy":
        return 1
    start, end = piece.data
    return raw.count(b"\n", start, end) + (start < end and raw[end - 1 : end] != b"\n")
