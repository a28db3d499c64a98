"""Questions to a store, as an application asks them: by meaning, by words, by both; and exactly, to compare with."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import psutil
import psycopg
from numpy.typing import NDArray
from pgvector import SparseVector
from psycopg import sql

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.postgres.connect import connect
from data_platform.postgres.vectors.cpu import cpu_seconds
from data_platform.postgres.vectors.rights import refuse_hidden
from data_platform.postgres.vectors.sessions import Vector as Stored
from data_platform.postgres.vectors.sessions import sparse, telling, with_vectors

Vector = NDArray[np.float32]
Mode = Literal["vector", "keyword", "hybrid"]


@dataclass(frozen=True)
class Store:
    """The tables and functions of one store and model; `operator` is the distance's."""

    embeddings: Name
    chunks: Name
    documents: Name
    search: Name
    hybrid: Name | None
    operator: str
    sparse: bool = False
    """Whether its vectors are of type sparsevec."""


@dataclass(frozen=True)
class Hit:
    """A chunk that was found."""

    chunk: uuid.UUID
    document: uuid.UUID
    content: str
    score: float
    """Distance by meaning, or the fused score."""


@dataclass(frozen=True)
class Value:
    """A value that a filter has, and the share of rows that it leaves."""

    column: str
    value: Any
    share: float
    rows: int


class Session:
    """One read-only session on a store."""

    def __init__(self, connection: psycopg.Connection[Any], store: Store) -> None:
        self.connection, self.store = connection, store

    def ask(
        self,
        mode: Mode,
        vector: Vector,
        words: str,
        k: int,
        filters: Mapping[str, Any] | None = None,
        weight: float | None = None,
    ) -> list[Hit]:
        """The k best, the best first. `weight` is that of the words, where not the store's own."""
        given: dict[str, Any] = {"query": self._as_stored(vector), "k": k, **(filters or {})}
        function = self.store.search
        if mode != "vector":
            if self.store.hybrid is None:
                raise UsageProblem("the store has no keyword search", try_="hybrid: true in the spec")
            function = self.store.hybrid
            weight = 1.0 if mode == "keyword" else weight
            given |= {"words": words, "pool": max(50, k)} | ({} if weight is None else {"weight": weight})
        named = sql.SQL(", ").join(sql.SQL("{} => %s").format(sql.Identifier(name)) for name in given)
        called = sql.SQL("SELECT * FROM {}({})").format(_id(function), named)
        return [Hit(*row) for row in self.connection.execute(called, list(given.values()))]

    def exact(self, vector: Stored, k: int, filters: Mapping[str, Any] | None = None) -> NDArray[np.float64]:
        """Distances of the k nearest rows, every row compared."""
        given = filters or {}
        passing = sql.SQL(" AND ").join(
            sql.SQL("e.{} {} %s").format(
                sql.Identifier(name), sql.SQL("&&" if isinstance(value, list) else "=")
            )
            for name, value in given.items()
        )
        where = sql.SQL("WHERE {}").format(passing) if given else sql.SQL("")
        # The sum hides the expression from every index.
        query = sql.SQL(
            "SELECT e.embedding {} %s AS d FROM {} AS e {} ORDER BY (e.embedding {} %s) + 0 LIMIT %s"
        ).format(
            sql.SQL(self.store.operator), _id(self.store.embeddings), where, sql.SQL(self.store.operator)
        )
        asked = self._as_stored(vector)
        rows = self.connection.execute(query, [asked, *given.values(), asked, k]).fetchall()
        return np.array([row[0] for row in rows], dtype=np.float64)

    def distances(self, vector: Stored, chunks: Sequence[uuid.UUID]) -> NDArray[np.float64]:
        """Distances of these chunks, the least first; those that the store does not have are left out."""
        query = sql.SQL(
            "SELECT e.embedding {} %s AS d FROM {} AS e WHERE e.chunk_id = ANY (%s) ORDER BY d"
        ).format(sql.SQL(self.store.operator), _id(self.store.embeddings))
        rows = self.connection.execute(query, [self._as_stored(vector), list(chunks)]).fetchall()
        return np.array([row[0] for row in rows], dtype=np.float64)

    def _as_stored(self, vector: Stored) -> Stored:
        return sparse(vector) if self.store.sparse and not isinstance(vector, SparseVector) else vector

    def drawn(self, count: int) -> list[uuid.UUID]:
        """Ids of chunks with a vector, always the same ones: in the order of a hash of the id."""
        query = sql.SQL(
            "SELECT chunk_id FROM {} ORDER BY hashtextextended(chunk_id::text, 1) LIMIT %s"
        ).format(_id(self.store.embeddings))
        return [row[0] for row in self.connection.execute(query, [count])]

    def rows(self) -> int:
        """Vectors in the store."""
        row = self.connection.execute(
            sql.SQL("SELECT count(*) FROM {}").format(_id(self.store.embeddings))
        ).fetchone()
        return int(row[0]) if row else 0

    def uris(self, hits: Sequence[Hit]) -> list[str]:
        """The addresses of their documents, each once, the best first."""
        ids = list(dict.fromkeys(hit.document for hit in hits))
        query = sql.SQL("SELECT id, uri FROM {} WHERE id = ANY(%s)").format(_id(self.store.documents))
        named = dict(self.connection.execute(query, [ids]).fetchall())
        return [named[one] for one in ids if one in named]

    def values_of(self, column: str, wanted: Sequence[float]) -> list[Value]:
        """Values whose share of the rows is nearest to each wanted one."""
        array = sql.SQL(
            "SELECT t.typcategory = 'A' FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
            " WHERE a.attrelid = %s::regclass AND a.attname = %s"
        )
        table = _id(self.store.embeddings)
        row = self.connection.execute(array, [table.as_string(self.connection), column]).fetchone()
        source = sql.SQL(
            "{}, unnest({}) AS v" if row and row[0] else "{}, LATERAL (SELECT {}) AS x (v)"
        ).format(table, sql.Identifier(column))
        query = sql.SQL(
            "SELECT v, count(*) FROM {} WHERE v IS NOT NULL GROUP BY v ORDER BY count(*) DESC, v LIMIT 2000"
        )
        counted = self.connection.execute(query.format(source)).fetchall()
        rows = max(1, self.rows())
        found: dict[Any, Value] = {}
        for share in wanted if counted else ():
            value, count = min(counted, key=lambda one: abs(one[1] / rows - share))
            found[value] = Value(column, [value] if row and row[0] else value, count / rows, count)
        return list(found.values())

    def sample(self, count: int) -> list[tuple[str, str, str]]:
        """(content, address of the document, title) of chunks drawn by their id, which is random."""
        query = sql.SQL(
            "SELECT c.content, d.uri, d.title FROM {} c JOIN {} d ON d.id = c.document_id AND d.deleted_at IS NULL"
            " JOIN {} e ON e.chunk_id = c.id ORDER BY c.id LIMIT %s"
        ).format(_id(self.store.chunks), _id(self.store.documents), _id(self.store.embeddings))
        return [tuple(row) for row in self.connection.execute(query, [count])]

    def vectors(self, count: int) -> list[Vector]:
        """Vectors of chunks drawn by their id, which is random."""
        query = sql.SQL("SELECT embedding FROM {} ORDER BY chunk_id LIMIT %s").format(
            _id(self.store.embeddings)
        )
        return [
            row[0].to_numpy() if hasattr(row[0], "to_numpy") else row[0]
            for row in self.connection.execute(query, [count])
        ]

    def cpu_seconds(self) -> float | None:
        """Processor time of this session's process, where it runs on this machine."""
        host = self.connection.info.host
        if not (host.startswith("/") or host in ("localhost", "127.0.0.1", "::1")):
            return None
        try:
            return cpu_seconds(self.connection.info.backend_pid)
        except psutil.Error:  # another container's process, or one that is not ours to see
            return None


def _id(name: Name) -> sql.Identifier:
    return sql.Identifier(name.schema, name.name)


@contextmanager
def session(
    conninfo: str, store: Store, *, tenant: str | None = None, timeout_ms: int = 60_000
) -> Iterator[Session]:
    """A read-only session that sees every row, or those of `tenant`.

    Raises what `telling` does, and UsageProblem where the store is not there or row security hides its rows.
    """
    with connect(conninfo, read_only=True, statement_timeout_ms=timeout_ms) as connection:
        with_vectors(connection)
        with telling(conninfo):
            try:
                connection.execute(sql.SQL("SELECT FROM {} LIMIT 0").format(_id(store.embeddings)))
            except psycopg.errors.UndefinedTable:
                raise UsageProblem(
                    f"there is no store with `{store.embeddings}`", try_="dpe retrieval load --create"
                ) from None
            if tenant is None:
                refuse_hidden(connection, store.chunks.schema)
            else:
                connection.execute("SELECT set_config('app.tenant', %s, false)", [tenant])
            yield Session(connection, store)


def latencies(
    one: Session, mode: Mode, questions: Sequence[tuple[Vector, str]], k: int
) -> NDArray[np.float64]:
    """Milliseconds of each question asked alone, as a client sees it."""
    found = np.empty(len(questions))
    for number, (vector, words) in enumerate(questions):
        started = time.perf_counter()
        one.ask(mode, vector, words, k)
        found[number] = 1000 * (time.perf_counter() - started)
    return found


def per_second(
    conninfo: str,
    store: Store,
    mode: Mode,
    questions: Sequence[tuple[Vector, str]],
    k: int,
    clients: int,
    seconds: float,
) -> float:
    """Questions a second that so many clients at once get answered."""

    def client(number: int) -> int:
        done = 0
        with session(conninfo, store) as own:
            stop = time.perf_counter() + seconds
            while time.perf_counter() < stop:
                vector, words = questions[(number + done) % len(questions)]
                own.ask(mode, vector, words, k)
                done += 1
        return done

    with ThreadPoolExecutor(clients) as pool:
        return sum(pool.map(client, range(clients))) / seconds
