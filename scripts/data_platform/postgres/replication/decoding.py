"""Messages of pgoutput, protocol version 1: bytes in, values out.

A value is its text as bytes, None for NULL, or UNCHANGED: a long value that an update left alone and that is not sent.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from data_platform.errors import EnvironmentProblem


class Unsent(Enum):
    """The only value of its type, so that a type checker can tell it from bytes."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unsent.UNCHANGED
Value = bytes | None | Literal[Unsent.UNCHANGED]
Values = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Begin:
    """A transaction begins; `lsn` is where its commit stands."""

    lsn: int


@dataclass(frozen=True, slots=True)
class Commit:
    """It ends; `end` is behind its commit, where the next one may stand."""

    end: int


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the stream has it. `is_key`: of the replica identity."""

    name: str
    type_oid: int
    modifier: int
    is_key: bool


@dataclass(frozen=True, slots=True)
class Table:
    """What a table is like from here on. `identity` is pg_class.relreplident."""

    oid: int
    schema: str
    name: str
    identity: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Insert:
    table: int
    new: Values


@dataclass(frozen=True, slots=True)
class Update:
    """`old` is there where the key changed or is long, and always with identity full (`whole`)."""

    table: int
    old: Values | None
    whole: bool
    new: Values


@dataclass(frozen=True, slots=True)
class Delete:
    """`old` has the columns of the replica identity; the others are None."""

    table: int
    old: Values


@dataclass(frozen=True, slots=True)
class Truncate:
    tables: tuple[int, ...]


Change = Insert | Update | Delete | Truncate
Message = Begin | Commit | Table | Change

_BEGIN = struct.Struct("!qqi")
_COMMIT = struct.Struct("!bqqq")
_LENGTH = struct.Struct("!i")
_SHORT = struct.Struct("!h")
_OID = struct.Struct("!I")
_COLUMN = struct.Struct("!Ii")
_TRUNCATE = struct.Struct("!ib")
_NOT_OURS = b"YOM"
"""Types, origins and messages of applications: nothing of a row."""


def decode(raw: bytes) -> Message | None:
    """One message; None for one that is not about rows. EnvironmentProblem for what the protocol does not have."""
    kind = raw[:1]
    if kind == b"I":
        return Insert(_OID.unpack_from(raw, 1)[0], _values(raw, 6)[0])
    if kind == b"U":
        return _update(raw)
    if kind == b"D":
        return Delete(_OID.unpack_from(raw, 1)[0], _values(raw, 6)[0])
    if kind == b"B":
        return Begin(_BEGIN.unpack_from(raw, 1)[0])
    if kind == b"C":
        return Commit(_COMMIT.unpack_from(raw, 1)[2])
    if kind == b"R":
        return _table(raw)
    if kind == b"T":
        count, _ = _TRUNCATE.unpack_from(raw, 1)
        return Truncate(struct.unpack_from(f"!{count}I", raw, 6))
    if kind in _NOT_OURS:
        return None
    raise EnvironmentProblem(f"the change stream has a message {kind!r} that its protocol does not know")


def _update(raw: bytes) -> Update:
    table = _OID.unpack_from(raw, 1)[0]
    old, at, kind = None, 5, raw[5:6]
    if kind in (b"K", b"O"):
        old, at = _values(raw, 6)
    return Update(table, old, kind == b"O", _values(raw, at + 1)[0])


def _values(raw: bytes, at: int) -> tuple[Values, int]:
    """The values of a row that begins there, and where it ends."""
    (count,) = _SHORT.unpack_from(raw, at)
    at += 2
    found: list[Value] = []
    for _ in range(count):
        kind = raw[at]
        at += 1
        if kind == 0x74:  # t
            (length,) = _LENGTH.unpack_from(raw, at)
            at += 4
            found.append(raw[at : at + length])
            at += length
        elif kind == 0x6E:  # n
            found.append(None)
        elif kind == 0x75:  # u
            found.append(UNCHANGED)
        else:
            raise EnvironmentProblem(f"the change stream has a value of kind {kind} that is not text")
    return tuple(found), at


def _table(raw: bytes) -> Table:
    oid = _OID.unpack_from(raw, 1)[0]
    schema, at = _string(raw, 5)
    name, at = _string(raw, at)
    identity = chr(raw[at])
    (count,) = _SHORT.unpack_from(raw, at + 1)
    at += 3
    columns = []
    for _ in range(count):
        is_key = bool(raw[at] & 1)
        column, at = _string(raw, at + 1)
        type_oid, modifier = _COLUMN.unpack_from(raw, at)
        at += _COLUMN.size
        columns.append(Column(column, type_oid, modifier, is_key))
    # An empty namespace is how the protocol writes pg_catalog.
    return Table(oid, schema or "pg_catalog", name, identity, tuple(columns))


def _string(raw: bytes, at: int) -> tuple[str, int]:
    end = raw.index(0, at)
    return raw[at:end].decode(), end + 1


def lsn_of(text: str) -> int:
    """A position in the WAL from the form 16/B374D848."""
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def lsn_text(lsn: int) -> str:
    """The form in which PostgreSQL writes a position."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
