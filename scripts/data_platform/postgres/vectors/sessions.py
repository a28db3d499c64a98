"""Sessions on a store: what the server refuses is told as a problem of ours, and one load or switch runs at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector import SparseVector
from pgvector.psycopg import register_vector
from psycopg.adapt import Dumper
from psycopg.pq import Format

from data_platform.errors import EnvironmentProblem, Problem, UsageProblem
from data_platform.postgres.connect import connect, redacted

Vector = NDArray[np.float32] | SparseVector

_HEAD = struct.Struct(">HH")
_LOCK = 7_364_511_230
"""Of one load or switch at a time, whatever the store."""


@contextmanager
def writing(conninfo: str) -> Iterator[psycopg.Connection[Any]]:
    """A session that may write, with vectors.

    Raises UsageProblem where the database has no pgvector, or for a value that is none of its type;
    EnvironmentProblem where the server or its disk says no.
    """
    with connect(conninfo, read_only=False, statement_timeout_ms=0) as connection:
        with_vectors(connection)
        with telling(conninfo):
            yield connection


def with_vectors(connection: psycopg.Connection[Any]) -> None:
    """Vectors as arrays. UsageProblem where the database has no pgvector."""
    try:
        register_vector(connection)
    except psycopg.ProgrammingError:
        raise UsageProblem("the database has no pgvector", try_="dpe retrieval load --create") from None
    known = connection.adapters.types["vector"]
    connection.adapters.register_dumper(np.ndarray, type("ArrayDumper", (_ArrayDumper,), {"oid": known.oid}))


def sparse(vector: NDArray[np.float32]) -> SparseVector:
    """As sparsevec has it: the numbers that are not zero, with their places."""
    places = np.flatnonzero(vector)
    return SparseVector(dict(zip(places.tolist(), vector[places].tolist(), strict=True)), len(vector))


class _ArrayDumper(Dumper):
    """An array in pgvector's binary form (dimensions and zero as 16 bits, then the numbers, most significant byte
    first) in one step, which takes less than half as long as pgvector's own, for each row of a load.
    """

    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        return _HEAD.pack(len(obj), 0) + np.asarray(obj, dtype=">f4").tobytes()


@contextmanager
def telling(conninfo: str) -> Iterator[None]:
    """Errors of the server as problems of ours."""
    try:
        yield
    except psycopg.Error as error:
        raise problem_of(error, redacted(conninfo)) from error


def problem_of(error: psycopg.Error, where: str) -> Problem:
    """UsageProblem for a wrong value, EnvironmentProblem for all else: a disk that is full has its own answer."""
    said = error.diag.message_primary or str(error).strip()
    if isinstance(error, psycopg.DataError):
        return UsageProblem(f"the server refuses: {said}", where=where)
    if isinstance(error, psycopg.errors.DiskFull):
        return EnvironmentProblem(
            f"the server's disk is full: {said}",
            where=where,
            try_="make room on the server's disk, then the same command again: what was committed is kept",
        )
    again = "the same command again: what was committed is kept"
    if isinstance(error, psycopg.OperationalError) and error.sqlstate in (None, "57P01", "57P02"):
        return EnvironmentProblem(
            f"the server broke off: {said.splitlines()[0]}",
            where=where,
            expected="a server that runs: a full disk of its own log, pg_wal, is one thing that stops it",
            try_=f"do what the server's log says is missing; then {again}",
        )
    return EnvironmentProblem(f"the server refuses: {said}", where=where, try_=again)


@contextmanager
def alone(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """No load or switch beside this one. EnvironmentProblem while there is."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
    if not row or not row[0]:
        raise EnvironmentProblem("another load is running", try_="wait until it is done")
    try:
        yield
    finally:
        if not connection.closed and not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
