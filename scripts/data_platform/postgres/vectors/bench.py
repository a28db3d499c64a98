"""A table of vectors and a table of queries on a throwaway server, to try indexes and searches on.

    with bench(server, values, queries, distance) as table:
        built = table.build(Index(m=16))
        asked = table.ask(Search(ef_search=40), k=10, first=0, count=200)

All queries of one `ask` run in one statement, each as its own index scan, so that nothing but the search is
measured: neither the network nor the client.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import psutil
import psycopg
from numpy.typing import NDArray
from pgvector.psycopg import register_vector

from data_platform.postgres.connect import connect
from data_platform.postgres.server import Server
from data_platform.postgres.vectors.cpu import cpu_seconds
from data_platform.postgres.vectors.sessions import sparse
from data_platform.postgres.vectors.settings import OPERATORS, Distance, Index, Search, operator_class

Matrix = NDArray[np.float32]
Tell = Callable[[str, float], None]

_MB = 1024 * 1024
PARTS = 1000
"""Into so many parts of one size rows are drawn, for searches with filters."""
Strategy = Literal["prefilter", "index"]

_NO_LONGER_FITS = "no longer fits into maintenance_work_mem"


def settings_for(values: Matrix) -> dict[str, str]:
    """Settings of a server whose cache holds these rows and two indexes, up to a quarter of the memory."""
    wanted = 3 * values.nbytes + 128 * _MB
    room = psutil.virtual_memory().total // 4
    return {"shared_buffers": f"{max(128, min(wanted, room) // _MB)}MB"}


@dataclass(frozen=True)
class Built:
    """An index that was built. `spilled`: the graph did not fit into maintenance_work_mem, and the rest was slow."""

    index: Index
    seconds: float
    size_bytes: int
    spilled: bool


@dataclass(frozen=True)
class Asked:
    """Answers of one run: `ids[i, j]` is the j-th row found for the i-th query, -1 where fewer were found."""

    ids: NDArray[np.int64]
    cpu_s: float

    @property
    def cpu_ms_per_query(self) -> float:
        return 1000 * self.cpu_s / max(len(self.ids), 1)


@dataclass
class Bench:
    """The tables `items` and `queries` in a scratch database, with one session on them and at most one index."""

    connection: psycopg.Connection[Any]
    distance: Distance
    dimensions: int
    rows: int
    sparse: bool = False
    """Whether the columns are of type sparsevec."""
    index: Index | None = None
    notices: list[str] = field(default_factory=list)

    def build(self, index: Index, *, memory_mb: int, workers: int = 2) -> Built:
        """Replace the index by this one, with so much maintenance_work_mem (MB) and parallel workers."""
        self.drop()
        started = time.perf_counter()
        if index.method != "none":
            self._set("maintenance_work_mem", f"{memory_mb}MB")
            self._set("max_parallel_maintenance_workers", str(workers))
            self.connection.execute(self._index_sql(index))
        seconds = time.perf_counter() - started
        self.index = index
        spilled = any(_NO_LONGER_FITS in notice for notice in self.notices)
        return Built(index, seconds, self._size(), spilled)

    def drop(self) -> None:
        """No index."""
        self.notices.clear()
        self.connection.execute("DROP INDEX IF EXISTS items_embedding")
        self.index = None

    def ask(self, search: Search, *, k: int, first: int = 0, count: int) -> Asked:
        """The `k` nearest rows of the queries first … first + count - 1, in the order that the server gave them."""
        self._tune(search)
        before = cpu_seconds(self.connection.info.backend_pid)
        rows = self.connection.execute(
            self._ask_sql(search), [first, first + count, k], binary=True
        ).fetchall()
        used = cpu_seconds(self.connection.info.backend_pid) - before
        return Asked(_table_of(rows, first, count, k), used)

    def filtered(
        self, search: Search, strategy: Strategy, share: float, *, k: int, first: int = 0, count: int
    ) -> Asked:
        """The same among a `share` of the rows (those whose `part` is below it, which is drawn at random): all that
        pass are compared, or the index is read on until k of them have passed.
        """
        self._tune(replace(search, scan="relaxed_order"))
        self._set("enable_sort", "on" if strategy == "prefilter" else "off")
        nearest = self._prefiltered() if strategy == "prefilter" else self._passing_index(search)
        asked = "SELECT id, embedding FROM queries WHERE id >= %s::int4 AND id < %s::int4 ORDER BY id"
        sql = f"SELECT q.id, a.id FROM ({asked}) q CROSS JOIN LATERAL ({nearest}) a"  # noqa: S608
        limit = round(share * PARTS)
        before = cpu_seconds(self.connection.info.backend_pid)
        rows = self.connection.execute(sql, [first, first + count, limit, k], binary=True).fetchall()
        used = cpu_seconds(self.connection.info.backend_pid) - before
        self._set("enable_sort", "on")
        return Asked(_table_of(rows, first, count, k), used)

    def _prefiltered(self) -> str:
        exact = f"p.embedding {OPERATORS[self.distance]} q.embedding"
        # As the search function does it. WITH … AS MATERIALIZED would read the rows once for all queries.
        passing = "SELECT id, embedding FROM items WHERE part < %s::int4 OFFSET 0"
        return f"SELECT p.id FROM ({passing}) p ORDER BY {exact} LIMIT %s::int8"  # noqa: S608

    def _passing_index(self, search: Search) -> str:
        index = self.index or Index("none")
        operator = "<~>" if index.type == "bit" else OPERATORS[self.distance]
        mine, theirs = self._key("i.embedding", index), self._key("q.embedding", index)
        return f"SELECT i.id FROM items i WHERE i.part < %s::int4 ORDER BY {mine} {operator} {theirs} LIMIT %s::int8"  # noqa: S608

    def latencies(self, search: Search, *, k: int, first: int, count: int) -> NDArray[np.float64]:
        """Milliseconds of each of these queries asked alone, from the question to the last row at the client."""
        self._tune(search)
        sql = self._ask_sql(search)
        found = np.empty(count)
        for number in range(count):
            started = time.perf_counter()
            self.connection.execute(sql, [first + number, first + number + 1, k], binary=True).fetchall()
            found[number] = 1000 * (time.perf_counter() - started)
        return found

    def pages(self, search: Search, *, k: int, first: int = 0, count: int) -> int:
        """Pages read by the same, from the cache or not: a count that repeats where a time does not."""
        self._tune(search)
        explain = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {self._ask_sql(search)}"
        plan = self.connection.execute(explain, [first, first + count, k]).fetchone()
        top = plan[0][0]["Plan"] if plan else {}
        return int(top.get("Shared Hit Blocks", 0)) + int(top.get("Shared Read Blocks", 0))

    # --- SQL ---

    def _index_sql(self, index: Index) -> str:
        options = (
            f"m = {index.m}, ef_construction = {index.ef_construction}"
            if index.method == "hnsw"
            else f"lists = {index.lists}"
        )
        key = f"{self._key('embedding', index)} {operator_class(index.type, self.distance)}"
        return f"CREATE INDEX items_embedding ON items USING {index.method} ({key}) WITH ({options})"

    def _key(self, column: str, index: Index) -> str:
        """The indexed expression, and the same of a query."""
        match index.type:
            case "vector":
                return column
            case "sparsevec":
                return column if self.sparse else f"({column}::sparsevec({self.dimensions}))"
            case "halfvec":
                return f"({column}::halfvec({self.dimensions}))"
            case "bit":
                centred = f"{column} - {self._mean()}" if index.centred else column
                return f"(binary_quantize({centred})::bit({self.dimensions}))"

    def _ask_sql(self, search: Search) -> str:
        index = self.index or Index("none")
        operator = "<~>" if index.type == "bit" else OPERATORS[self.distance]
        mine, theirs = self._key("i.embedding", index), self._key("q.embedding", index)
        # Only names and numbers of ours are put in here.
        rows = "SELECT {} FROM items i ORDER BY " + f"{mine} {operator} {theirs} LIMIT "  # noqa: S608
        nearest = rows.format("i.id") + "%s::int8"
        if search.rerank:
            candidates = rows.format("i.id, i.embedding") + str(search.rerank)
            exact = f"c.embedding {OPERATORS[self.distance]} q.embedding"
            nearest = f"SELECT c.id FROM ({candidates}) c ORDER BY {exact} LIMIT %s::int8"  # noqa: S608
        asked = "SELECT id, embedding FROM queries WHERE id >= %s::int4 AND id < %s::int4 ORDER BY id"
        return f"SELECT q.id, a.id FROM ({asked}) q CROSS JOIN LATERAL ({nearest}) a"  # noqa: S608

    def _mean(self) -> str:
        row = self.connection.execute("SELECT mean::text FROM middle").fetchone()
        return f"'{row[0]}'::vector" if row else ""

    def _tune(self, search: Search) -> None:
        self._set("enable_seqscan", "on" if self.index is None or self.index.method == "none" else "off")
        self._set("hnsw.ef_search", str(search.ef_search))
        self._set("ivfflat.probes", str(search.probes))
        self._set("hnsw.iterative_scan", search.scan)
        self._set("hnsw.max_scan_tuples", str(search.max_scan_tuples))

    def _set(self, name: str, value: str) -> None:
        self.connection.execute("SELECT set_config(%s, %s, false)", [name, value])

    def _size(self) -> int:
        row = self.connection.execute(
            "SELECT coalesce(pg_relation_size(to_regclass('items_embedding')), 0)"
        ).fetchone()
        return int(row[0]) if row else 0


def parts_of(rows: int) -> NDArray[np.int64]:
    """The part of each row: as many rows in each as can be, drawn the same each time."""
    return np.asarray(np.random.default_rng(7).permutation(rows) * PARTS // max(rows, 1))


def _table_of(rows: Sequence[tuple[int, int]], first: int, count: int, k: int) -> NDArray[np.int64]:
    ids = np.full((count, k), -1, dtype=np.int64)
    filled = np.zeros(count, dtype=np.int64)
    for query, row in rows:
        place = query - first
        ids[place, filled[place]] = row
        filled[place] += 1
    return ids


@contextmanager
def bench(
    server: Server,
    values: Matrix,
    queries: Matrix,
    distance: Distance,
    tell: Tell | None = None,
    *,
    as_sparse: bool = False,
) -> Iterator[Bench]:
    """The tables with these rows (ids are row numbers), in a scratch database that is dropped when the block ends;
    `as_sparse` as sparsevec.
    """
    with (
        server.scratch_database(extensions=["vector"]) as database,
        closing_quietly(connect(database.conninfo, read_only=False, statement_timeout_ms=0)) as connection,
    ):
        register_vector(connection)
        made = Bench(connection, distance, values.shape[1], len(values), as_sparse)
        connection.add_notice_handler(lambda notice: made.notices.append(notice.message_primary or ""))
        _fill(connection, "items", values, tell, as_sparse)
        _fill(connection, "queries", queries, None, as_sparse)
        if not as_sparse:
            connection.execute("CREATE TABLE middle AS SELECT avg(embedding) AS mean FROM items")
        connection.execute("ALTER TABLE items ADD PRIMARY KEY (id)")
        connection.execute("CREATE INDEX items_part ON items (part)")
        connection.execute("VACUUM ANALYZE items, queries")
        # One process for each search: that is what is measured.
        connection.execute("SET max_parallel_workers_per_gather = 0")
        yield made


@contextmanager
def closing_quietly(connection: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """The connection, closed at the end whatever state it is in."""
    try:
        yield connection
    finally:
        with suppress(psycopg.Error):
            connection.close()


def _fill(
    connection: psycopg.Connection[Any], table: str, values: Matrix, tell: Tell | None, as_sparse: bool
) -> None:
    parts, type_ = parts_of(len(values)), "sparsevec" if as_sparse else "vector"
    connection.execute(
        f"CREATE TABLE {table} (id int4 NOT NULL, part int4 NOT NULL, embedding {type_}({values.shape[1]}) NOT NULL)"
    )
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} (id, part, embedding) FROM STDIN WITH (FORMAT binary)") as copy,
    ):
        copy.set_types(["int4", "int4", type_])
        for number, row in enumerate(values):
            copy.write_row((number, int(parts[number]), sparse(row) if as_sparse else row))
            if tell is not None and number % 10_000 == 0:
                tell(f"loading {table}", number / len(values))
