"""SQL blocks run on a server: what comes of each is compared with what its file says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from data_platform.postgres.connect import connect
from data_platform.postgres.server import Server

from .blocks import Block, Step

NO_ROWS = "(no rows)"
NULL = "null"
_LIMIT_MS = 10_000


class Broken(AssertionError):
    """What a block did is not what its file says."""


@dataclass
class Document:
    """The blocks of one file and the database they run in, in order, each once, as far as somebody asked."""

    conninfo: str
    version: int
    blocks: Sequence[Block]
    failures: list[Broken | None] = field(default_factory=list)

    def check(self, number: int) -> None:
        """Run what comes before that block too, unless it has run. Raises Broken for that block only."""
        while len(self.failures) <= number:
            block = self.blocks[len(self.failures)]
            self.failures.append(None if self.too_old_for(block) else self._failure(block))
        if failure := self.failures[number]:
            raise failure

    def too_old_for(self, block: Block) -> bool:
        """Whether the server lacks what the block says that it needs."""
        return block.needs is not None and self.version < block.needs

    def _failure(self, block: Block) -> Broken | None:
        """In a session of its own: even DISCARD ALL leaves a trace of a setting such as app.tenant_id."""
        with closing(connect(self.conninfo, read_only=False, statement_timeout_ms=_LIMIT_MS)) as connection:
            try:
                _play(connection, block)
            except Broken as broken:
                return broken
        return None


@contextmanager
def open_document(server: Server, blocks: Sequence[Block]) -> Iterator[Document]:
    """A new database as a superuser, who may make the roles that row security is tried with; both are dropped."""
    with connect(server.conninfo, read_only=False) as admin:
        before = _roles(admin)
        try:
            with server.scratch_database() as database:
                yield Document(database.admin_conninfo, server.version_num // 10_000, blocks)
        finally:
            for role in _roles(admin) - before:
                admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def _roles(connection: psycopg.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}


def _play(connection: psycopg.Connection, block: Block) -> None:
    if block.wrong:
        _send(connection, "BEGIN")  # a wrong block leaves nothing behind
    last, result = "", None
    for step in block.steps:
        if step.key == "as":
            _ran(
                connection, block, step, sql.SQL("SET ROLE {}").format(sql.Identifier(step.text)).as_string()
            )
        elif step.key != "sql":
            _compare(connection, block, step, last, result)
        elif step is block.steps[-1] and block.wrong not in (None, "plan", "data"):
            _must_fail(connection, block, step)
        else:
            last, result = step.text, _ran(connection, block, step, step.text)
    if bool(block.wrong) == (connection.info.transaction_status == TransactionStatus.IDLE):
        raise Broken(f"{block.name}: a wrong block must not end its transaction, a right one must")


def _must_fail(connection: psycopg.Connection, block: Block, step: Step) -> None:
    result = _send(connection, step.text)
    state = _state(result) or "success"
    if state != block.wrong:
        raise Broken(f"{_place(block, step)}: {block.wrong} expected, got {state} {_message(result)}")


def _ran(connection: psycopg.Connection, block: Block, step: Step, text: str) -> PGresult:
    result = _send(connection, text)
    if state := _state(result):
        raise Broken(f"{_place(block, step)}: {state} {_message(result)}")
    return result


def _compare(
    connection: psycopg.Connection, block: Block, step: Step, last: str, result: PGresult | None
) -> None:
    if step.key == "expect":
        got = _rows(result) if result else ""
        matches = got == step.text
    else:
        got = _rows(_ran(connection, block, step, f"EXPLAIN (COSTS OFF) {last}"))
        matches = (step.text in got) == (step.key == "expect plan")
    if not matches:
        raise Broken(f"{_place(block, step)}: {step.key} {step.text!r}, got:\n{got}")


def _rows(result: PGresult) -> str:
    """A result as text, one row a line; a statement without a result gives its tag, such as `UPDATE 0`."""
    if not result.nfields:
        return (result.command_status or b"").decode()
    lines = [
        " | ".join(_value(result, row, column) for column in range(result.nfields))
        for row in range(result.ntuples)
    ]
    return "\n".join(lines) or NO_ROWS


def _value(result: PGresult, row: int, column: int) -> str:
    value = result.get_value(row, column)
    return NULL if value is None else value.decode()


def _send(connection: psycopg.Connection, text: str) -> PGresult:
    """By the simple protocol, whose results are the texts that psql would show."""
    return connection.pgconn.exec_(text.encode())


def _state(result: PGresult) -> str | None:
    if result.status not in (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE):
        return None
    return (result.error_field(DiagnosticField.SQLSTATE) or b"?????").decode()


def _message(result: PGresult) -> str:
    return (result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode()


def _place(block: Block, step: Step) -> str:
    return f"{block.path.name}:{step.line}"
