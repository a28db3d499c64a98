r"""SQL files as psql reads them: statements, `\`-commands and the rows after COPY … FROM stdin, one after the other.

    for piece in pieces(Path("dump.sql").read_bytes()):
        piece.kind, piece.line, piece.text

Only ends are looked for (`lexer`); what a statement says is the grammar's business. Rows of COPY are passed over by a
search for their end, so that a dump's size hardly matters. Nothing is copied but the statements themselves.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from data_platform.sql.lexer import End, after_space, command_end, command_name, end_of_rows, end_of_statement
from data_platform.sql.text import NotSql, parse

Kind = Literal["statement", "copy", "meta"]


@dataclass(frozen=True)
class Piece:
    r"""One thing psql would do. `line` and `column` count from 1, `offset` and `data` are bytes from the file's start.

    A "copy" is a COPY … FROM stdin whose rows are at `data`; a "meta" is a `\`-command with its arguments.
    `ended_by` is what ended a statement: ";", a command such as `\gexec` with its arguments, or "" at the file's end.
    """

    kind: Kind
    text: str
    line: int
    column: int
    offset: int
    ended_by: str = ""
    data: tuple[int, int] = (0, 0)
    encoding: str = "utf-8"

    def place(self, index: int) -> tuple[int, int]:
        """Line and column in the file of the character `index` of the text."""
        before = self.text[:index]
        newlines = before.count("\n")
        if newlines:
            return self.line + newlines, len(before) - before.rfind("\n")
        return self.line, self.column + len(before)

    @property
    def command(self) -> str:
        r"""The name of a `\`-command, without its backslash."""
        return command_name(self.text.encode(), 0)

    @property
    def argument(self) -> str:
        r"""What follows the name of a `\`-command."""
        return self.text[len(self.command) + 1 :].strip()


def pieces(text: str | bytes) -> Iterator[Piece]:
    r"""The pieces of a file in order, comments and empty statements left out.

    Bytes are UTF-8, or what a `SET client_encoding` in them says from there on; offsets count in them.
    NotSql, with the offset in bytes, for bytes that are not in that encoding and for COPY that psql could not read.
    Whether a statement is SQL is not looked at: one that never ends is the last.
    """
    yield from _Reading(as_bytes(text)).pieces()


def as_bytes(text: str | bytes) -> bytes:
    """The bytes that a file's offsets count in: UTF-16 with its mark becomes UTF-8, all else stays as it is."""
    if isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return text.decode("utf-16", "replace").encode()
    return text


_BLANKS = " \t\r\n\f\v"
_COPY_STDIN = re.compile(rb"copy\b.*\bstdin\b", re.IGNORECASE | re.DOTALL)
_CLIENT_ENCODING = re.compile(
    r"set\s+(?:client_encoding\s*(?:=|\s+to\s)|names\s)\s*['\"]?([\w-]+)['\"]?\s*\Z", re.IGNORECASE
)
_BLANK_REST = re.compile(rb"[ \t\r]*(?:--[^\n]*)?(?:\n|\Z)")


class _Reading:
    """A walk through the bytes of one file, which counts lines as it goes."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.encoding = "utf-8"
        self.line, self.column = 1, 1
        self.counted = 0
        """The offset that `line` and `column` are of."""

    def pieces(self) -> Iterator[Piece]:
        position = len(codecs.BOM_UTF8) if self.raw.startswith(codecs.BOM_UTF8) else 0
        while (position := after_space(self.raw, position)) < len(self.raw):
            if self.raw[position] == ord(";"):
                position += 1
            elif self.raw[position] == ord("\\"):
                end, resume = command_end(self.raw, position)
                command = self._piece("meta", position, end)
                if command.command == "encoding" and command.argument:
                    self.encoding = _codec(command.argument, position)
                yield command
                position = resume
            else:
                end_of = end_of_statement(self.raw, position)
                statement = self._statement(position, end_of)
                yield from (self._piece("meta", *inside) for inside in end_of.inside)
                position = end_of.resume
                if _COPY_STDIN.match(self.raw, statement.offset, end_of.text) and _reads_stdin(statement):
                    statement, position = self._with_rows(statement, position)
                yield statement

    def _statement(self, start: int, end: End) -> Piece:
        piece = self._piece("statement", start, end.text, ended_by=end.ended_by, gaps=end.inside)
        encoding = _CLIENT_ENCODING.match(piece.text)
        if encoding:
            self.encoding = _codec(encoding[1], start)
        return piece

    def _with_rows(self, statement: Piece, resume: int) -> tuple[Piece, int]:
        """The COPY with the lines that follow it up to `\\.`, and where reading goes on."""
        first = _BLANK_REST.match(self.raw, resume)
        if first is None:
            raise NotSql("the rows of COPY … FROM stdin begin on the next line, this one goes on", resume)
        end, resume = end_of_rows(self.raw, first.end())
        return replace(statement, kind="copy", data=(first.end(), end)), resume

    def _piece(
        self, kind: Kind, start: int, end: int, *, ended_by: str = "", gaps: tuple[tuple[int, int], ...] = ()
    ) -> Piece:
        line, column = self._place(start)
        text = self.raw[start:end]
        for first, last in reversed(gaps):  # blank, so that places in the text stay places in the file
            text = text[: first - start] + b" " * (last - first) + text[last - start :]
        try:
            decoded = text.decode(self.encoding).rstrip(_BLANKS)
            return Piece(kind, decoded, line, column, start, ended_by, encoding=self.encoding)
        except UnicodeDecodeError as error:
            raise NotSql(f"not {self.encoding.upper()}: {error.reason}", start + error.start) from None

    def _place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, which is not before the last one that was asked for."""
        newlines = self.raw.count(b"\n", self.counted, offset)
        if newlines:
            self.line += newlines
            self.column = 1
            self.counted = self.raw.rfind(b"\n", 0, offset) + 1
        self.column += len(self.raw[self.counted : offset].decode(self.encoding, "replace"))
        self.counted = offset
        return self.line, self.column


def _reads_stdin(statement: Piece) -> bool:
    try:
        trees = parse(statement.text).stmts
    except NotSql:  # whoever runs it will hear of it
        return False
    copy = trees[0].stmt.copy_stmt if len(trees) == 1 and trees[0].stmt.HasField("copy_stmt") else None
    return copy is not None and copy.is_from and not copy.filename and not copy.is_program


def _codec(name: str, offset: int) -> str:
    """Python's name for a client encoding; NotSql for one whose letters may hold a quote or a backslash as a byte."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain in ("utf8", "unicode", "sqlascii"):
        return "utf-8"
    for known, python in ((r"win(\d+)", "cp{}"), (r"iso8859(\d)", "iso8859-{}"), (r"latin(\d+)", "latin{}")):
        found = re.fullmatch(known, plain)
        if found and _exists(python.format(found[1])):
            return python.format(found[1])
    if plain in ("koi8r", "koi8u", "euckr", "eucjp"):
        return {"koi8r": "koi8-r", "koi8u": "koi8-u", "euckr": "euc_kr", "eucjp": "euc_jp"}[plain]
    raise NotSql(f"files in the encoding {name} are not read; save it as UTF-8", offset)


def _exists(codec: str) -> bool:
    try:
        codecs.lookup(codec)
    except LookupError:
        return False
    return True
