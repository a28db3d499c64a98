"""Migration files as their tools run them: statements with their place and their transaction.

    for statement in read(["migrations/"], "wrapped"):
        statement.file, statement.line, statement.transaction, statement.node

`read` wants files that parse; `scan` also says what in a file is not SQL, and goes on after it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from postgast import pg_query_pb2 as pb

from data_platform.errors import UsageProblem
from data_platform.migration.tools import Direction, Wrapping, is_undo, leaves, only, parts, wraps
from data_platform.sql.lexer import after_space
from data_platform.sql.script import Piece, as_bytes, pieces
from data_platform.sql.text import NotSql, parse

Transaction = Literal["as-written", "wrapped", "auto"]
"""Each statement commits by itself but where the file says BEGIN; each file is one transaction; or what the tool that
the file is for would do, as far as the file shows it."""


@dataclass(frozen=True)
class Statement:
    """One statement of a migration. `line` and `column` count from 1, `number` over all files.

    Statements with the same `transaction` share one; None runs outside any and commits by itself.
    """

    sql: str
    file: str
    line: int
    column: int
    number: int
    transaction: int | None
    node: pb.Node
    offset: int = 0
    """Where it begins in the file, in bytes."""
    rows: bytes = field(default=b"", repr=False)
    """What follows COPY … FROM stdin in the file, in UTF-8."""


@dataclass(frozen=True)
class Fault:
    """What in a file is no SQL (`error`) or nothing that a server runs (a psql command)."""

    line: int
    column: int
    message: str
    error: bool = True


@dataclass(frozen=True)
class Script:
    """One file as it runs."""

    file: str
    raw: bytes
    statements: tuple[Statement, ...]
    faults: tuple[Fault, ...]
    wrapping: Wrapping


def read(
    paths: Sequence[str], transaction: Transaction = "auto", direction: Direction = "up"
) -> tuple[Statement, ...]:
    """The statements of files, directories (in the order of versions) and "-" (stdin).

    Raises UsageProblem, with the place, for what is no SQL and for files that are not there.
    """
    found: list[Statement] = []
    for script in scan(paths, transaction, direction):
        for fault in script.faults:
            if fault.error:
                raise UsageProblem(fault.message, where=f"{script.file}:{fault.line}:{fault.column}")
        found += script.statements
    return tuple(found)


def scan(
    paths: Sequence[str], transaction: Transaction = "auto", direction: Direction = "up"
) -> Iterator[Script]:
    """The files one after the other, each as far as it can be read."""
    counter = _Counter()
    for name, raw in _sources(paths, direction):
        yield read_bytes(name, raw, transaction, direction, counter)


class _Counter:
    """The last number of a statement and of a transaction that was given."""

    def __init__(self) -> None:
        self.statement = 0
        self.transaction = 0


def read_bytes(
    name: str,
    raw: bytes,
    transaction: Transaction = "auto",
    direction: Direction = "up",
    counter: _Counter | None = None,
) -> Script:
    """One file from memory."""
    raw = as_bytes(raw)
    wrapping = _wrapping(name, raw, transaction)
    running, directed = parts(raw, direction)
    if direction == "down" and not directed and not is_undo(Path(name).name):
        running = ()
    walk = _Walk(name, counter or _Counter())
    for part in running:
        whole = part.start == 0 and part.end == len(raw)
        walk.part(raw if whole else only(raw, part), "none" if part.leaves else wrapping)
    return Script(name, raw, tuple(walk.statements), tuple(walk.faults), wrapping)


def _wrapping(name: str, raw: bytes, transaction: Transaction) -> Wrapping:
    base = name.rpartition(os.sep)[2] if transaction == "auto" else ""
    if transaction == "as-written" or (transaction == "auto" and not wraps(base, raw)):
        return "none"
    return "none" if _configured_out(name) else leaves(raw)


def _configured_out(name: str) -> bool:
    """Whether Flyway's configuration beside the script takes it out of the transaction."""
    if not name.endswith(".sql") or "__" not in name:
        return False
    try:
        return (
            re.search(r"(?m)^\s*executeInTransaction\s*=\s*false", Path(f"{name}.conf").read_text())
            is not None
        )
    except OSError:
        return False


def _sources(paths: Sequence[str], direction: Direction) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        if path == "-":
            yield "<stdin>", sys.stdin.buffer.read()
            continue
        for file in _files(path, direction):
            try:
                with open(file, "rb") as opened:  # noqa: PTH123  thousands of files, and a Path takes as long as the file
                    yield file, opened.read()
            except OSError as error:
                raise UsageProblem(error.strerror or "cannot be read", where=file) from None


def _files(path: str, direction: Direction) -> list[str]:
    if not Path(path).is_dir():
        return [path]
    walked = ((folder, name) for folder, _, names in os.walk(path) for name in names if name.endswith(".sql"))
    found = sorted((os.path.join(*one) for one in walked), key=_version)  # noqa: PTH118
    if not found:
        raise UsageProblem("no .sql file in this directory", where=path)
    if direction == "up":
        return [file for file in found if not is_undo(file.rpartition(os.sep)[2])]
    return found[::-1]


_DIGITS = re.compile(r"([0-9]+)")


def _version(path: str) -> list[tuple[int, str]]:
    """Numbers in a name compare as numbers: 9_a before 10_b."""
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in _DIGITS.split(path)]


class _Walk:
    """Through the statements of one file, keeping which transaction is open."""

    def __init__(self, file: str, counter: _Counter) -> None:
        self.file = file
        self.counter = counter
        self.statements: list[Statement] = []
        self.faults: list[Fault] = []
        self.open: int | None = None

    def part(self, raw: bytes, wrapping: Wrapping) -> None:
        """One part of the file, with the transaction that the tool opens around it."""
        first = len(self.statements)
        self.open = None
        if wrapping != "none":
            self._begin()
        if not self._whole(raw):
            try:
                for piece in pieces(raw):
                    self._piece(piece, raw)
            except NotSql as error:
                self._fault_at(raw, error)
        if wrapping == "string" and len(self.statements) == first + 1:
            (alone,) = self.statements[first:]
            self.statements[first] = replace(alone, transaction=None)

    def _begin(self) -> None:
        self.counter.transaction += 1
        self.open = self.counter.transaction

    def _whole(self, raw: bytes) -> bool:
        """Parse a plain file at once, which is a lot faster; False for one that only psql's rules take apart."""
        if _NOT_PLAIN.search(raw):
            return False
        try:
            trees = parse(raw.decode()).stmts
        except (NotSql, UnicodeDecodeError):
            return False
        counted, line, line_start = 0, 1, 0
        for tree in trees:
            start = after_space(raw, tree.stmt_location)
            end = tree.stmt_location + tree.stmt_len if tree.stmt_len else len(raw.rstrip())
            newlines = raw.count(b"\n", counted, start)
            if newlines:
                line, line_start = line + newlines, raw.rfind(b"\n", counted, start) + 1
            counted = start
            column = len(raw[line_start:start].decode()) + 1
            self._statement(tree.stmt, raw[start:end].decode(), line, column, start)
        return True

    def _piece(self, piece: Piece, raw: bytes) -> None:
        if piece.kind == "meta":
            message = f"psql's `\\{piece.command}` is left out: only what a server runs is read"
            self.faults.append(Fault(piece.line, piece.column, message, error=False))
            return
        try:
            trees = parse(piece.text).stmts
        except NotSql as error:
            line, column = piece.place(error.offset or 0)
            self.faults.append(Fault(line, column, str(error)))
            return
        string = len(trees) > 1 and self.open is None
        if string:
            self._begin()
        for tree in trees:
            if len(trees) == 1:
                rows = _in_utf8(raw[slice(*piece.data)], piece.encoding)
                self._statement(tree.stmt, piece.text, piece.line, piece.column, piece.offset, rows)
            else:
                self._part_of(piece, tree)
        if string:
            self.open = None

    def _part_of(self, piece: Piece, tree: pb.RawStmt) -> None:
        """One of several statements that were sent as one string."""
        raw = piece.text.encode()
        end = tree.stmt_location + tree.stmt_len if tree.stmt_len else len(raw)
        start = after_space(raw, tree.stmt_location)
        line, column = piece.place(len(raw[:start].decode()))
        self._statement(tree.stmt, raw[start:end].decode().rstrip(), line, column, piece.offset + start)

    def _statement(
        self, node: pb.Node, sql: str, line: int, column: int, offset: int, rows: bytes = b""
    ) -> None:
        control = node.transaction_stmt.kind if node.HasField("transaction_stmt") else None
        if control in _BEGINS and self.open is None:
            self._begin()
        self.counter.statement += 1
        self.statements.append(
            Statement(sql, self.file, line, column, self.counter.statement, self.open, node, offset, rows)
        )
        if control in _ENDS:
            self.open = None
            if node.transaction_stmt.chain:
                self._begin()

    def _fault_at(self, raw: bytes, error: NotSql) -> None:
        before = raw[: error.offset or 0]
        column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
        self.faults.append(Fault(before.count(b"\n") + 1, column, str(error)))


def _in_utf8(rows: bytes, encoding: str) -> bytes:
    return rows if encoding == "utf-8" else rows.decode(encoding, "replace").encode()


_NOT_PLAIN = re.compile(rb"\\|\b(?:stdin|client_encoding|names)\b", re.IGNORECASE)
"""A command of psql, the rows of COPY, or another encoding."""
_BEGINS = (pb.TRANS_STMT_BEGIN, pb.TRANS_STMT_START)
_ENDS = (pb.TRANS_STMT_COMMIT, pb.TRANS_STMT_ROLLBACK, pb.TRANS_STMT_PREPARE)
