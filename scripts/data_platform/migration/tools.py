"""What migration tools say in a file: which part of it runs, and in which transaction.

Tools look at lines, not at SQL, so their marks are found in lines too. A part that does not run is blanked, so that
lines and columns stay those of the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Direction = Literal["up", "down"]
Wrapping = Literal["none", "file", "string"]
"""Each statement by itself; the file in one transaction; or the file sent as one string, which is one transaction of
its own where it holds more than one statement."""

_MARKS = re.compile(
    rb"^[ \t]*--[ \t]*(?://[ \t]*)?"
    rb"(?:(?P<direction>\+(?:goose|migrate|micrate)[ \t]+(?:Up|Down)\b|migrate:(?:up|down)\b|@UNDO\b)(?P<options>.*)"
    rb"|(?P<changeset>changeset[ \t]+\S+:\S+.*))$",
    re.IGNORECASE | re.MULTILINE,
)
_LEAVES = (
    re.compile(
        rb"^[ \t]*--[ \t]*\+(?:goose|micrate)[ \t]+NO[ \t]+TRANSACTION\b", re.IGNORECASE | re.MULTILINE
    ),
    re.compile(rb"^[ \t]*--[ \t]*\+migrate[ \t]+Up\b.*\bnotransaction\b", re.IGNORECASE | re.MULTILINE),
    re.compile(rb"^[ \t]*--[ \t]*atlas:txmode[ \t]+none\b", re.MULTILINE),
    re.compile(rb"^[ \t]*(?:--[ \t]*)?disable_ddl_transaction!", re.MULTILINE),
    re.compile(
        rb"^[ \t]*--[ \t]*(?:flyway:[ \t]*)?executeInTransaction[ \t]*=[ \t]*false\b",
        re.IGNORECASE | re.MULTILINE,
    ),
    re.compile(
        rb"^[ \t]*--[ \t]*(?:transactional|transaction)[ \t]*[:=][ \t]*(?:false|none|off|no)\b",
        re.IGNORECASE | re.MULTILINE,
    ),
)
_LEAVES_AS_ONE_STRING = (
    re.compile(
        rb"^[ \t]*--[ \t]*migrate:(?:up|down)\b.*\btransaction:[ \t]*false\b", re.IGNORECASE | re.MULTILINE
    ),
    re.compile(rb"\A[ \t]*--[ \t]*no-transaction\b", re.IGNORECASE),
)
_ONE_TRANSACTION_A_FILE = re.compile(
    rb"--[ \t]*(?:\+goose|\+migrate|\+micrate|migrate:up|atlas:|liquibase formatted)", re.IGNORECASE
)
_VERSIONED = re.compile(r"[VR][0-9._]*__.+\.sql\Z")
"""Flyway's names."""
_UNDO = re.compile(r"(?:\A|[._-])(?:down|undo|rollback|revert)\.sql\Z|\AU[0-9._]+__.+\.sql\Z", re.IGNORECASE)
_NOT_A_LINE_END = re.compile(rb"[^\r\n]")


@dataclass(frozen=True)
class Part:
    """A run of bytes of a file that shares one way into transactions."""

    start: int
    end: int
    leaves: bool = False
    """The tool runs it outside a transaction though it would wrap others."""


def is_undo(name: str) -> bool:
    """Whether a file of this name takes a migration back: `x.down.sql`, `U2__x.sql`, `x.rollback.sql`."""
    return _UNDO.search(name) is not None


def wraps(name: str, raw: bytes) -> bool:
    """Whether the tool that the file is for would run it in a transaction unless told otherwise."""
    return _ONE_TRANSACTION_A_FILE.search(raw) is not None or _VERSIONED.match(name) is not None


def leaves(raw: bytes) -> Wrapping:
    """What the file asks for instead of its tool's transaction; "file" if it asks for nothing."""
    if b"--" not in raw and b"!" not in raw:
        return "file"
    if any(mark.search(raw) for mark in _LEAVES_AS_ONE_STRING):
        return "string"
    return "none" if any(mark.search(raw) for mark in _LEAVES) else "file"


def parts(raw: bytes, direction: Direction) -> tuple[tuple[Part, ...], bool]:
    """The parts of a file that run in this direction, and whether the file has marks for directions at all.

    A file without marks is one part. Each changeset of a Liquibase file is one.
    """
    marks = list(_MARKS.finditer(raw)) if b"--" in raw else []
    if not marks:
        return (Part(0, len(raw)),), False
    if marks[0]["changeset"]:
        ends = [mark.start() for mark in marks[1:]] + [len(raw)]
        found = (_changeset(mark, end) for mark, end in zip(marks, ends, strict=True))
        return tuple(found), False
    return tuple(_directed(raw, marks, direction)), True


def _changeset(mark: re.Match[bytes], end: int) -> Part:
    return Part(mark.start(), end, leaves=b"runintransaction:false" in mark[0].lower().replace(b" ", b""))


def _directed(raw: bytes, marks: list[re.Match[bytes]], direction: Direction) -> list[Part]:
    found = []
    if direction == "up" and marks[0]["direction"].upper() == b"@UNDO":
        found.append(Part(0, marks[0].start()))
    ends = [mark.start() for mark in marks[1:]] + [len(raw)]
    for mark, end in zip(marks, ends, strict=True):
        goes: Direction = "up" if mark["direction"].lower().endswith(b"up") else "down"
        if goes == direction:
            found.append(Part(mark.start(), end))
    return found


def only(raw: bytes, part: Part) -> bytes:
    """The file with everything outside the part blanked, line ends kept."""
    before, after = raw[: part.start], raw[part.end :]
    return _NOT_A_LINE_END.sub(b" ", before) + raw[part.start : part.end] + _NOT_A_LINE_END.sub(b" ", after)
