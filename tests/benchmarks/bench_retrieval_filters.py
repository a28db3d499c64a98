"""A search with a filter beside the better of its two ways alone: processor time, rows and recall.

python tests/benchmarks/bench_retrieval_filters.py [--rows N] [--vectors FILE] [--distance cosine]

Stores as they are rendered, their threshold measured as `dpe retrieval tune` does, and filters that leave 20, 5, 1 and
0.1 % of the rows: one, two that are independent, two of which one holds the other, an array, an array with another, and
a tenant that row security adds, alone and with another. The search function, which estimates and then chooses, is
compared with the two ways written out, each of which knows beforehand that it is right and is planned anew each time,
as the function is. It exits with 1 where the function takes more than 1.2 times the better one, gives fewer than k
rows, or finds less than 0.95.
"""

# ruff: noqa: E402 - the path comes first
from __future__ import annotations

import argparse
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psycopg
from pgvector.psycopg import register_vector

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from data_platform.postgres.connect import connect
from data_platform.postgres.server import Server, embedded_server
from data_platform.postgres.vectors.apply import apply
from data_platform.postgres.vectors.bench import bench, parts_of, settings_for
from data_platform.postgres.vectors.cpu import cpu_seconds
from data_platform.postgres.vectors.settings import OPERATORS, Search
from data_platform.retrieval.design import design
from data_platform.retrieval.exact import nearest
from data_platform.retrieval.pgvector.names import names_of
from data_platform.retrieval.pgvector.store import files
from data_platform.retrieval.tuning.filters import SHARES, Ground, filtering
from data_platform.retrieval.vectors import read_vectors
from data_platform.spec.retrieval import Chunking, Filter, Model, Needs, Retrieval, Tenants

K, QUERIES, MOST, RECALL = 10, 200, 1.2, 0.95
NAMES = {share: f"f{round(share * 1000)}" for share in SHARES}
ASKED = 60
"""Queries of each way in a round; of a hopeless one a few only, as it would take all of the time."""
ROUNDS, FEW, HOPELESS_MS = 3, 15, 20.0


@dataclass(frozen=True)
class Data:
    """Rows, queries, and the values of the filters."""

    values: np.ndarray
    queries: np.ndarray
    distance: Any
    columns: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Case:
    """One search with filters: as arguments of the function, as a condition, and which rows pass."""

    name: str
    share: float
    arguments: str
    condition: str
    passing: np.ndarray
    tenant: str | None = None


def clustered(rows: int, width: int) -> np.ndarray:
    """Texts of some thousand topics, which lie near a few hundred directions."""
    drawn = np.random.default_rng(11)
    topics = drawn.normal(size=(rows // 50, 24)) @ drawn.normal(size=(24, width))
    noise = drawn.normal(size=(rows, 24)) @ drawn.normal(size=(24, width)) * 0.5
    made = topics[drawn.integers(0, len(topics), rows)] + noise + drawn.normal(size=(rows, width))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def columns_of(rows: int) -> dict[str, list[Any]]:
    """f…: one filter each, the rarer within the commoner. g, h: two that are rare only together. tags: arrays.
    tenant: one of some large ones, or of many small.
    """
    drawn, parts = np.random.default_rng(3), parts_of(rows)
    found: dict[str, list[Any]] = {
        name: [bool(part < round(share * 1000)) for part in parts] for share, name in NAMES.items()
    }
    roots = [share**0.5 for share in SHARES]
    for name in ("g", "h"):
        rest = 1 - sum(roots)
        found[name] = [int(n) for n in drawn.choice(len(roots) + 1, rows, p=[*roots, rest])]
    tags = [drawn.random(rows) < share for share in SHARES]
    own = drawn.integers(0, 1000, rows)
    found["tags"] = [
        [*(name for name, has in zip(NAMES.values(), tags, strict=True) if has[n]), f"x{own[n]}"]
        for n in range(rows)
    ]
    small = [f"small{n}" for n in range(100)]
    weights = [*SHARES, *[(1 - sum(SHARES)) / len(small)] * len(small)]
    found["tenant"] = [str(name) for name in drawn.choice([*NAMES.values(), *small], rows, p=weights)]
    return found


def spec_of(data: Data, name: str, **settings: Any) -> Retrieval:
    rows, width = data.values.shape
    filters = [Filter(name=one, type="boolean", selectivity=share) for share, one in NAMES.items()]
    filters += [Filter(name="g", type="integer"), Filter(name="h", type="integer")]
    shared = name == "shared"
    return Retrieval(
        store="-",
        name=name,
        model=Model(name="m", provider="precomputed", dimensions=width, distance=data.distance, path="-"),
        chunking=Chunking(),
        needs=Needs(rows_now=rows, rows_in_a_year=rows, k=K),
        filters=(Filter(name="g", type="integer"),)
        if shared
        else (*filters, Filter(name="tags", type="text[]")),
        tenants=Tenants(column="tenant", type="text", count=104) if shared else None,
        settings=settings,
    )


def cases(data: Data, name: str) -> Iterator[Case]:
    columns = {one: np.array(values, dtype=object) for one, values in data.columns.items()}
    for place, (share, flag) in enumerate(NAMES.items()):
        if name == "shared":
            mine = columns["tenant"] == flag
            yield Case("tenant", share, "g => NULL", "true", mine, flag)
            yield Case("tenant and one", share, "g => 0", "g = 0", mine & (columns["g"] == 0), flag)
            continue
        tagged = np.array([flag in one for one in data.columns["tags"]])
        yield Case("one", share, f"{flag} => true", flag, columns[flag] == True)  # noqa: E712
        both = (columns["g"] == place) & (columns["h"] == place)
        yield Case("two", share, f"g => {place}, h => {place}", f"g = {place} AND h = {place}", both)
        within = (columns[flag] == True) & (columns["f200"] == True)  # noqa: E712
        if flag != "f200":
            yield Case(
                "two, one within the other",
                share,
                f"f200 => true, {flag} => true",
                f"f200 AND {flag}",
                within,
            )
        yield Case("array", share, f"tags => ARRAY['{flag}']", f"tags && ARRAY['{flag}']", tagged)
        yield Case(
            "array and one",
            share,
            f"tags => ARRAY['{flag}'], g => 0",
            f"tags && ARRAY['{flag}'] AND g = 0",
            tagged & (columns["g"] == 0),
        )


def filled(connection: psycopg.Connection[Any], data: Data, spec: Retrieval) -> None:
    """Tables, rows, then indexes and functions."""
    made = files(spec, design(spec))
    apply(connection, made[:1])
    register_vector(connection)
    document = uuid.UUID(int=1)
    more = {"tenant": "-"} if spec.tenants else {}
    one = {"id": document, "uri": "all", "content_hash": b"", **more}
    connection.execute(
        f"INSERT INTO {spec.name}.documents ({', '.join(one)})"
        f" VALUES ({', '.join(['%s'] * len(one))})".encode(),
        list(one.values()),
    )
    ids = [uuid.UUID(int=number + 1) for number in range(len(data.values))]
    names = [*more, *(one.name for one in spec.filters)]
    types = ["text" for _ in more] + [
        {"boolean": "bool", "integer": "int4"}.get(one.type, one.type) for one in spec.filters
    ]
    given = list(zip(*(data.columns[one] for one in names), strict=True))
    copied(
        connection,
        f"{spec.name}.chunks",
        ["id", "document_id", "ordinal", "content", "content_hash", "start_offset", "end_offset", *names],
        ["uuid", "uuid", "int4", "text", "bytea", "int4", "int4", *types],
        ((id_, document, n, f"words {n}", b"", 0, 5, *given[n]) for n, id_ in enumerate(ids)),
    )
    table = f"{spec.name}.{names_of(spec).embeddings.name}"
    copied(
        connection,
        table,
        ["chunk_id", "embedding", *names],
        ["uuid", "vector", *types],
        ((id_, data.values[n], *given[n]) for n, id_ in enumerate(ids)),
    )
    connection.execute(f"VACUUM ANALYZE {spec.name}.chunks".encode())
    apply(connection, made[1:])
    connection.execute(f"VACUUM ANALYZE {table}".encode())


def copied(
    connection: psycopg.Connection[Any], table: str, columns: Sequence[str], types: Sequence[str], rows: Any
) -> None:
    sql = f"COPY {table} ({', '.join(columns)}) FROM STDIN WITH (FORMAT binary)".encode()
    with connection.cursor() as cursor, cursor.copy(sql) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def ways(spec: Retrieval, case: Case) -> Mapping[str, str]:
    """The function, and each way alone: statements with the parameters query and k."""
    table, operator = f"{spec.name}.{names_of(spec).embeddings.name}", OPERATORS[spec.model.distance]
    made = design(spec)
    key = "e.embedding" if made.index.type == "vector" else f"(e.embedding::halfvec({spec.model.dimensions}))"
    asked = "%(q)s::vector" if made.index.type == "vector" else f"%(q)s::halfvec({spec.model.dimensions})"
    rows = (
        "SELECT n.chunk_id, c.document_id, c.content, n.distance"
        f" FROM nearest n JOIN {spec.name}.chunks c ON c.id = n.chunk_id ORDER BY 4, 1"
    )
    return {
        "function": f"SELECT * FROM {spec.name}.{names_of(spec).search.name}"
        f"(%(q)s::vector, %(k)s, {case.arguments})",
        "compare": f"WITH nearest AS MATERIALIZED (SELECT p.chunk_id, p.embedding {operator} %(q)s::vector AS distance"
        f" FROM (SELECT e.chunk_id, e.embedding FROM {table} e WHERE {case.condition} OFFSET 0) p"
        f" ORDER BY 2 LIMIT %(k)s) {rows}",
        "index": f"WITH candidates AS MATERIALIZED (SELECT e.chunk_id, e.embedding {operator} %(q)s::vector AS distance"
        f" FROM {table} e WHERE {case.condition} ORDER BY {key} {operator} {asked} LIMIT %(k)s),"
        f" nearest AS (SELECT * FROM candidates ORDER BY distance LIMIT %(k)s) {rows}",
    }


class Asker:
    """One session that asks one query at a time, in any of the ways."""

    def __init__(self, connection: psycopg.Connection[Any], data: Data) -> None:
        self.connection, self.data = connection, data
        self.pid = connection.info.backend_pid

    def ask(self, way: str, sql: str, query: int) -> tuple[float, list[int]]:
        """Milliseconds of processor, and the row numbers that came."""
        self._set("enable_sort", "off" if way == "index" else "on")
        self._set("hnsw.iterative_scan", "relaxed_order" if way == "index" else "off")
        given = {"q": self.data.queries[query], "k": K}
        before = cpu_seconds(self.pid)
        rows = self.connection.execute(sql.encode(), given, binary=True, prepare=False).fetchall()
        return 1000 * (cpu_seconds(self.pid) - before), [row[0].int - 1 for row in rows]

    def _set(self, name: str, value: str) -> None:
        self.connection.execute("SELECT set_config(%s, %s, false)", [name, value])


@dataclass(frozen=True)
class Answered:
    """Of one way: processor time a query, mean recall, and the fewest rows beside those that there are."""

    cpu_ms: float
    recall: float
    rows: int
    wanted: int

    @property
    def good(self) -> bool:
        return self.recall >= RECALL and self.rows == self.wanted


def answers(asker: Asker, spec: Retrieval, case: Case) -> Mapping[str, Answered]:
    """All ways in turns, each with other queries than the one before it: what that has read is no help to it."""
    statements = ways(spec, case)
    asker.connection.execute("SELECT set_config('app.tenant', %s, false)", [case.tenant or ""])
    warm = {way: median(asker.ask(way, sql, n)[0] for n in range(6)) for way, sql in statements.items()}
    counts = {way: FEW if way != "function" and warm[way] > HOPELESS_MS else ASKED for way in statements}
    times: dict[str, list[float]] = {way: [] for way in statements}
    found: dict[str, dict[int, list[int]]] = {way: {} for way in statements}
    for turn in range(ROUNDS):
        used = dict.fromkeys(statements, 0.0)
        for number in range(ASKED):
            for place, (way, sql) in enumerate(statements.items()):
                if number < counts[way]:
                    query = (number + 67 * place + 41 * turn) % QUERIES
                    cost, found[way][query] = asker.ask(way, sql, query)
                    used[way] += cost
        for way in statements:
            times[way].append(used[way] / counts[way])
    return {way: answered(asker.data, case, median(times[way]), found[way]) for way in statements}


def answered(data: Data, case: Case, cpu_ms: float, found: Mapping[int, list[int]]) -> Answered:
    passing = np.flatnonzero(case.passing)
    truth = nearest(data.queries[list(found)], data.values[passing], data.distance, min(K, len(passing))).ids
    wanted = truth.shape[1]
    hits = [len(set(rows) & set(passing[ids])) for rows, ids in zip(found.values(), truth, strict=True)]
    return Answered(cpu_ms, float(np.mean(hits)) / wanted, min(map(len, found.values())), wanted)


def kept(asker: Asker, spec: Retrieval) -> bool:
    """Whether what was promised holds in every case."""
    good = True
    for case in cases(asker.data, spec.name):
        found = answers(asker, spec, case)
        best = min((found[way].cpu_ms for way in ("compare", "index") if found[way].good), default=np.nan)
        ratio = found["function"].cpu_ms / best
        good = good and ratio <= MOST and found["function"].good
        told = ", ".join(
            f"{way} {one.cpu_ms:.3f} ms (recall {one.recall:.3f}, {one.rows} of {one.wanted} rows)"
            for way, one in found.items()
        )
        print(
            f"{case.name}, {case.passing.mean():.2%}: {told}; function / best {ratio:.2f}",
            flush=True,
        )
    return good


def threshold(server: Server, data: Data, spec: Retrieval, ef_search: int) -> int:
    """As tune finds it: on a table of vectors alone."""
    index = design(spec).index
    with bench(server, data.values, data.queries, data.distance) as table:
        table.build(index, memory_mb=2048)
        search = Search(ef_search=ef_search)
        ground = Ground(data.values, parts_of(len(data.values)), data.queries, data.distance, search, K)
        found = filtering(table, ground, RECALL, lambda what, share: None)
    for one in found.trials:
        print(f"  tune: {one.share:.1%} {one.strategy}: {one.cpu_ms:.3f} ms, recall {one.recall.value:.3f}")
    return found.prefilter_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--vectors")
    parser.add_argument("--distance", default="cosine", choices=("cosine", "l2", "ip"))
    parser.add_argument("--ef-search", type=int, default=100)
    arguments = parser.parse_args()
    every = (
        read_vectors(arguments.vectors).values
        if arguments.vectors
        else clustered(arguments.rows + QUERIES, arguments.width)
    )
    every = every[np.random.default_rng(5).permutation(len(every))]
    values, queries = every[QUERIES:][: arguments.rows], every[:QUERIES]
    data = Data(values, queries, arguments.distance, columns_of(len(values)))
    good = True
    with embedded_server(settings=settings_for(values)) as server:
        settings = {"index": "hnsw", "ef_search": arguments.ef_search}
        rows = threshold(server, data, spec_of(data, "bench", **settings), arguments.ef_search)
        print(f"compare all up to {rows:,} rows")
        for name in ("bench", "shared"):
            spec = spec_of(data, name, **settings, prefilter_rows=rows)
            with (
                server.scratch_database(extensions=["vector"]) as database,
                connect(database.conninfo, read_only=False, statement_timeout_ms=0) as connection,
            ):
                connection.autocommit = True
                filled(connection, data, spec)
                connection.execute("SET max_parallel_workers_per_gather = 0")
                connection.execute(
                    "SELECT set_config('hnsw.ef_search', %s, false)", [str(arguments.ef_search)]
                )
                good = kept(Asker(connection, data), spec) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
