"""Reading a slot over the replication protocol: transactions in the order of their commits, long ones in parts.

The protocol and not pg_logical_slot_peek_changes: a peek decodes anew what the peek before it gave, so small batches of
a long stream take quadratic time; here the WAL is read once, and only what was kept is confirmed.
"""

from __future__ import annotations

import select
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq import ExecStatus

from data_platform.postgres.pipelines.sessions import Passing, telling
from data_platform.postgres.replication.decoding import (
    Begin,
    Change,
    Commit,
    Message,
    Table,
    decode,
    lsn_text,
)
from data_platform.postgres.replication.slots import quoted, source_session
from data_platform.sql.text import literal, phrase

_PATIENCE_SECONDS = 10.0
_SILENCE_SECONDS = 300.0
_ASK_SECONDS = 0.05
_DATA = struct.Struct("!cqqq")
_ALIVE = struct.Struct("!cqqb")
_STATUS = struct.Struct("!cqqqqb")
_EPOCH = 946_684_800
"""PostgreSQL counts microseconds from 2000 on."""


@dataclass(frozen=True)
class Part:
    """What a transaction did, in its order; a Table says what the changes behind it look like.

    `commit` is where its commit stands, `end` the place behind it; None where more of the transaction follows.
    """

    commit: int
    items: tuple[Table | Change, ...]
    end: int | None


class Reader:
    """An open stream. `confirm` tells the source what it need not keep any more."""

    def __init__(self, session: psycopg.Connection[Any], conninfo: str, start: int) -> None:
        self._session = session
        self._conninfo = conninfo
        self._confirmed = start

    def parts(self, until: int, longest: int) -> Iterator[Part]:
        """Of the transactions that were committed before this place of the WAL, none of more than `longest` items."""
        items: list[Table | Change] = []
        commit = 0
        with telling(self._conninfo):
            for message in self._messages(until):
                if isinstance(message, Begin):
                    if message.lsn >= until:
                        return
                    items, commit = [], message.lsn
                elif isinstance(message, Commit):
                    yield Part(commit, tuple(items), message.end)
                    if message.end >= until:
                        return
                else:
                    items.append(message)
                    if len(items) >= longest:
                        yield Part(commit, tuple(items), None)
                        items = []

    def confirm(self, lsn: int) -> None:
        """Everything before it is kept for good."""
        self._confirmed = lsn
        with telling(self._conninfo):
            self._say(ask=False)

    def _messages(self, until: int) -> Iterator[Message]:
        """Up to a sign of life that says that all before that place was sent."""
        inside, heard = False, time.monotonic()
        self._say(ask=True)
        while True:
            raw = self._next()
            if raw is None:
                if time.monotonic() - heard > _SILENCE_SECONDS:
                    raise Passing(f"the source has sent nothing for {_SILENCE_SECONDS:.0f} s")
                self._say(ask=True)
                continue
            heard = time.monotonic()
            if raw[:1] == b"w":
                message = decode(raw[_DATA.size :])
                if message is not None:
                    inside = not isinstance(message, Commit)
                    yield message
            elif raw[:1] == b"k":
                _, end, _, ask = _ALIVE.unpack(raw)
                if end >= until and not inside:
                    return
                if ask:
                    self._say(ask=False)

    def _next(self) -> bytes | None:
        """The next message; None where there is none for a while. Passing where the stream ends."""
        connection = self._session.pgconn
        size, raw = connection.get_copy_data(1)
        if size > 0:
            return bytes(raw)
        if size == 0:
            if not select.select([connection.socket], [], [], _ASK_SECONDS)[0]:
                return None
            connection.consume_input()
            size, raw = connection.get_copy_data(1)
            if size > 0:
                return bytes(raw)
            if size == 0:
                return self._next() if select.select([connection.socket], [], [], 0)[0] else None
        result = connection.get_result()
        if result is not None and result.status == ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(result)
        raise Passing("the source has ended the change stream", try_="the same command again")

    def _say(self, *, ask: bool) -> None:
        now = int((time.time() - _EPOCH) * 1_000_000)
        at = self._confirmed
        self._session.pgconn.put_copy_data(_STATUS.pack(b"r", at, at, at, now, ask))
        self._session.pgconn.flush()

    def close(self) -> None:
        """Say that it is over, and let the source read that and what was confirmed."""
        connection = self._session.pgconn
        connection.put_copy_end()
        connection.flush()
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline:
            size, _ = connection.get_copy_data(1)
            if size < 0:
                return
            if size == 0:
                select.select([connection.socket], [], [], 0.1)
                connection.consume_input()


@contextmanager
def reading(conninfo: str, slot: str, publication: str, start: int) -> Iterator[Reader]:
    """The slot's stream from this place on. Raises what `telling` raises, Passing while another one reads it."""
    session = source_session(conninfo, replication=True)
    try:
        with telling(conninfo):
            _start(session, slot, publication, start)
        reader = Reader(session, conninfo, start)
        yield reader
        with suppress(psycopg.Error):
            reader.close()
    finally:
        session.close()


def _start(session: psycopg.Connection[Any], slot: str, publication: str, start: int) -> None:
    statement = phrase(
        "START_REPLICATION SLOT {slot} LOGICAL "
        + lsn_text(start)
        + " (proto_version '1', publication_names {names})",
        slot=quoted(slot),
        names=literal(quoted(publication)),
    )
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        result = session.pgconn.exec_(statement.encode())
        if result.status == ExecStatus.COPY_BOTH:
            return
        problem = errors.error_from_result(result)
        if not isinstance(problem, errors.ObjectInUse) or time.monotonic() > deadline:
            raise problem
        time.sleep(0.1)
