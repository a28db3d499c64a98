"""The order of work: what an exact search costs, which type, how hard the data are, then the graph that fits them.

A cheap graph (m = 8) on all rows tells how hard the data are. Where a short list of candidates does for it, nothing
is quicker; where it needs a long one, a denser graph needs less of everything (measured on images, texts, words). So
one build or two do the work of a grid. The setting is chosen on one part of the queries and confirmed on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from data_platform.postgres.vectors.bench import Bench, parts_of
from data_platform.postgres.vectors.settings import MOST_EF_SEARCH, Distance, Index, Search, VectorType
from data_platform.retrieval.exact import Matrix, Truth, distances, nearest
from data_platform.retrieval.metrics import Interval, interval, recall
from data_platform.retrieval.sizing import build_bytes, free_m, hnsw_bytes
from data_platform.retrieval.tuning.candidates import halves_tell_apart, non_zero, types
from data_platform.retrieval.tuning.contrast import RANDOM, contrast, looks_random
from data_platform.retrieval.tuning.effort import Least, Reading, least, steps
from data_platform.retrieval.tuning.filters import Filtering, Ground, filtering
from data_platform.retrieval.tuning.trial import Build, Contrast, Goal, Stage, Trial, Tuned

_SPARSE_M = 8
_EASY_EF = 60
"""Up to here more links gain nothing: of 60,000 images m = 16 cost 8 % more than m = 8 and m = 24 a third more."""
_MOST_M = 32
_SAMPLE = 5_000
_NEARLY = 1.15
_NOT_WORTH_IT = 0.25
"""Milliseconds: for less nobody keeps an index."""
_EXACT_QUERIES = 5
_COUNTED = 50
"""Queries whose pages are counted: the count hardly varies."""
_MB = 1024 * 1024

Tell = Callable[[str, float], None]


Open = Callable[[Matrix, Matrix], AbstractContextManager[Bench]]
"""Makes a table of these rows and queries."""


@dataclass(frozen=True)
class Vectors:
    """What is tuned on: rows, the queries to choose with, and the queries to confirm with."""

    values: Matrix
    tuning: Matrix
    held_out: Matrix
    distance: Distance
    sparse: bool = False
    """Whether they are in columns of type sparsevec."""

    @cached_property
    def non_zero(self) -> int:
        """Numbers of a row that are not zero, on average."""
        return non_zero(self.values)

    @property
    def queries(self) -> Matrix:
        return np.concatenate([self.tuning, self.held_out])


@dataclass
class _Work:
    """One table under trial, with the truth about its queries and the record of what was tried."""

    table: Bench
    vectors: Vectors
    truth: Truth
    goal: Goal
    stage: Stage
    tried: list[Trial]
    builds: list[Build]
    seen: dict[tuple[Index, Search, int], Reading] = field(default_factory=dict)

    def build(self, index: Index) -> Build:
        rows, width = self.vectors.values.shape
        need = build_bytes(rows, index.type, width, index.m, parallel=True, non_zero=self.vectors.non_zero)
        made = self.table.build(index, memory_mb=max(64, round(1.05 * need / _MB) + 16))
        built = Build(self.stage, rows, index, made.seconds, made.size_bytes, made.spilled)
        self.builds.append(built)
        return built

    def read(self, index: Index, search: Search, first: int, count: int) -> Reading:
        asked = self.table.ask(search, k=self.goal.k, first=first, count=count)
        figures = recall(self._distances(asked.ids, first), self.truth.distances[first : first + count])
        return Reading(figures, asked.cpu_ms_per_query)

    def measure(self, index: Index, search: Search, count: int) -> Reading:
        """On the first `count` queries, once."""
        key = (index, search, count)
        if key not in self.seen:
            self.seen[key] = reading = self.read(index, search, 0, count)
            self.note(self.stage, index, search, reading)
        return self.seen[key]

    def note(self, stage: Stage, index: Index, search: Search, reading: Reading) -> None:
        rows = len(self.vectors.values)
        self.tried.append(Trial(stage, rows, index, search, interval(reading.figures), reading.cpu_ms))

    def least(self, index: Index, *, sure: bool) -> Least:
        """The shortest candidate list that reaches the goal with this index."""
        efforts = steps(self.goal.k, MOST_EF_SEARCH)
        count = len(self.vectors.tuning)
        return least(
            lambda effort, asked: self.measure(index, search_of(index, effort), asked),
            efforts,
            self.goal.recall,
            count,
            sure=sure,
        )

    def _distances(self, ids: NDArray[np.int64], first: int) -> NDArray[np.float64]:
        queries, values = self.vectors.queries[first : first + len(ids)], self.vectors.values
        found = [
            distances(q, values[np.maximum(row, 0)], self.vectors.distance)
            for q, row in zip(queries, ids, strict=True)
        ]
        return np.where(ids >= 0, np.array(found), np.inf)


def search_of(index: Index, effort: int) -> Search:
    """So much effort as this index spends it: bits are candidates only, which their full vectors put in order."""
    return Search(ef_search=effort, rerank=effort if index.type == "bit" else 0)


def tune(vectors: Vectors, goal: Goal, open_table: Open, tell: Tell) -> Tuned:
    """The cheapest setting that reaches the goal, from measurements on these vectors."""
    tried: list[Trial] = []
    builds: list[Build] = []
    tell("exact search", 0.02)
    truth = nearest(vectors.queries, vectors.values, vectors.distance, goal.k)
    near = contrast(vectors.queries, vectors.values, truth, vectors.distance)
    type_ = _type(vectors, truth, goal, open_table, tried, builds, tell)
    tell("loading", 0.2)
    with open_table(vectors.values, vectors.queries) as table:
        work = _Work(table, vectors, truth, goal, "all rows", tried, builds)
        exact = _exact(work)
        found = _graph(work, type_, near, exact, tell)
        return _confirmed(work, found, near, exact, tell)


# --- which type ---


def _type(
    vectors: Vectors,
    truth: Truth,
    goal: Goal,
    open_table: Open,
    tried: list[Trial],
    builds: list[Build],
    tell: Tell,
) -> VectorType:
    """The cheapest that fits, on a sample of the rows: whether half precision is quicker is up to the processor."""
    rows, width = vectors.values.shape
    fitting = [
        one
        for one in types(vectors.values, vectors.queries, sparse=vectors.sparse)
        if goal.max_memory_bytes is None
        or hnsw_bytes(rows, one, width, 16, vectors.non_zero) <= goal.max_memory_bytes
    ]
    full = [one for one in fitting if one != "bit"]
    if len(full) > 1 and "halfvec" in full:
        tell("which type", 0.1)
        if not halves_tell_apart(vectors.queries, vectors.values, truth, vectors.distance, goal.recall):
            full.remove("halfvec")
    if len(full) < 2:
        return next(iter(full or fitting), "bit")
    some = np.random.default_rng(1).permutation(rows)[: min(_SAMPLE, max(1_000, rows // 8))]
    sample = replace(vectors, values=vectors.values[some], held_out=vectors.held_out[:0])
    with open_table(sample.values, sample.queries) as table:
        near = nearest(sample.queries, sample.values, sample.distance, goal.k)
        work = _Work(table, sample, near, goal, "sample", tried, builds)
        costs = {one: _cost(work, Index("hnsw", one, m=_SPARSE_M)) for one in full}
    # On all rows the smaller one gains more than on a sample, which the processor's cache holds either way.
    return next(one for one in full if costs[one] <= _NEARLY * min(costs.values()))


def _cost(work: _Work, index: Index) -> float:
    work.build(index)
    search = search_of(index, 4 * work.goal.k)
    work.read(index, search, 0, min(50, len(work.vectors.tuning)))
    return work.measure(index, search, len(work.vectors.tuning)).cpu_ms


# --- which graph ---


@dataclass(frozen=True)
class _Found:
    index: Index
    least: Least
    build: Build | None
    because: str = ""


def _exact(work: _Work) -> float:
    """Milliseconds of processor time for a search through all rows."""
    count = min(_EXACT_QUERIES, len(work.vectors.tuning))
    work.table.build(Index("none"), memory_mb=64)
    work.read(Index("none"), Search(), 0, 1)
    return work.measure(Index("none"), Search(), count).cpu_ms


def _graph(work: _Work, type_: VectorType, near: Contrast, exact: float, tell: Tell) -> _Found:
    tell("first graph", 0.3)
    first = _tried(work, Index("hnsw", type_, m=_SPARSE_M, centred=type_ == "bit"), sure=True)
    if first.least.effort is not None and first.least.effort <= _EASY_EF:
        return first
    missing = work.goal.recall - float(first.least.reading.figures.mean())
    if first.least.effort is None and near.ratio > RANDOM and missing > 0.1:
        return first
    tell("second graph", 0.6)
    width = work.vectors.values.shape[1]
    m = max(16, min(free_m(width, type_, 16, work.vectors.non_zero), _MOST_M))
    careful = 64 if first.least.effort is not None else 200
    second = _tried(
        work,
        Index("hnsw", type_, m=m, ef_construction=max(careful, 2 * m), centred=type_ == "bit"),
        sure=True,
    )
    return _better(first, second)


def _tried(work: _Work, index: Index, *, sure: bool) -> _Found:
    built = work.build(index)
    return _Found(index, work.least(index, sure=sure), built)


def _better(first: _Found, second: _Found) -> _Found:
    """The one that reaches the goal for less. The second is what is built when both do for the same."""
    if first.least.effort is None or second.least.effort is None:
        return second if second.least.effort is not None or first.least.effort is None else first
    return first if first.least.reading.cpu_ms < second.least.reading.cpu_ms else second


# --- confirmation ---


def _confirmed(work: _Work, found: _Found, near: Contrast, exact: float, tell: Tell) -> Tuned:
    """The setting on the queries that it was not chosen with; a step more where their mean falls short."""
    tell("confirming", 0.9)
    if work.builds[-1].index != found.index:
        work.build(found.index)
    search, reading = _held_out(work, found)
    latency = work.table.latencies(
        search, k=work.goal.k, first=len(work.vectors.tuning), count=min(200, len(work.vectors.held_out))
    )
    p50, p95, p99 = (float(value) for value in np.quantile(latency, (0.5, 0.95, 0.99)))
    pages = work.table.pages(search, k=work.goal.k, count=(asked := min(_COUNTED, len(work.vectors.tuning))))
    built = next(build for build in reversed(work.builds) if build.index == found.index)
    rows, width = work.vectors.values.shape
    outcome = Tuned(
        goal=work.goal,
        distance=work.vectors.distance,
        rows=rows,
        dimensions=width,
        non_zero=work.vectors.non_zero,
        contrast=near,
        index=found.index,
        search=search,
        recall=interval(reading.figures),
        cpu_ms=reading.cpu_ms,
        exact_cpu_ms=exact,
        latency_ms=(p50, p95, p99),
        size_bytes=built.size_bytes,
        build_seconds=built.seconds,
        spilled=built.spilled,
        visited=min(1.0, pages / asked / rows),
        tried=tuple(work.tried),
        builds=tuple(work.builds),
    )
    judged = _judged(outcome, reached=found.least.effort is not None)
    if not judged.reachable or judged.index.method == "none":
        return judged
    return replace(judged, filtering=_filtering(work, search, tell))


def _filtering(work: _Work, search: Search, tell: Tell) -> Filtering:
    vectors = work.vectors
    parts = parts_of(len(vectors.values))
    ground = Ground(vectors.values, parts, vectors.queries, vectors.distance, search, work.goal.k)
    return filtering(work.table, ground, work.goal.recall, tell)


def _held_out(work: _Work, found: _Found) -> tuple[Search, Reading]:
    first, count = len(work.vectors.tuning), len(work.vectors.held_out)
    efforts = [e for e in steps(work.goal.k, MOST_EF_SEARCH) if e >= (found.least.effort or MOST_EF_SEARCH)]
    for effort in efforts:
        search = search_of(found.index, effort)
        work.read(found.index, search, first, min(50, count))  # the pages are in the cache as they were
        reading = work.read(found.index, search, first, count)
        work.note("held out", found.index, search, reading)
        if reading.figures.mean() >= work.goal.recall:
            break
    return search, reading


def _judged(outcome: Tuned, *, reached: bool) -> Tuned:
    goal = outcome.goal
    reached = reached and outcome.recall.value >= goal.recall
    if looks_random(outcome, reached=reached) or (not reached and outcome.cpu_ms < outcome.exact_cpu_ms):
        return replace(_as_exact(outcome), reachable=False, because=_why_not(outcome, reached))
    if not reached or outcome.exact_cpu_ms <= outcome.cpu_ms + _NOT_WORTH_IT:
        outcome = _as_exact(outcome)
    if goal.max_memory_bytes is not None and outcome.size_bytes > goal.max_memory_bytes:
        return replace(
            outcome,
            reachable=False,
            because=(
                f"the smallest index that was tried has {outcome.size_bytes / _MB:,.0f} MB, more than --max-memory"
            ),
        )
    slow = outcome.latency_ms[1] if outcome.latency_ms else outcome.exact_cpu_ms
    if goal.max_latency_ms is not None and slow > goal.max_latency_ms:
        return replace(
            outcome,
            reachable=False,
            because=f"one search in twenty takes {slow:.2f} ms or longer at this recall, more than --max-latency",
        )
    return outcome


def _as_exact(outcome: Tuned) -> Tuned:
    """No index: every row is compared, and nothing is missed."""
    all_found = Interval(1.0, 1.0, 1.0, outcome.recall.queries)
    return replace(
        outcome,
        index=Index("none"),
        search=Search(),
        recall=all_found,
        cpu_ms=outcome.exact_cpu_ms,
        latency_ms=None,
        size_bytes=0,
        build_seconds=0.0,
    )


def _why_not(outcome: Tuned, reached: bool) -> str:
    tried, found = f"{outcome.index}, ef_search {outcome.search.ef_search}", outcome.recall.value
    best = f"the best index tried ({tried}) has recall {found:.3f}"
    if reached:
        best += f" but looks at {outcome.visited:.0%} of the rows, and with more rows its recall falls"
    if outcome.contrast.ratio > RANDOM:
        return (
            f"{best}. These vectors have no neighbours to speak of: the {outcome.goal.k}th nearest row is"
            f" {outcome.contrast.ratio:.2f} times as far as any row, as in random vectors, and no graph helps there"
        )
    return f"{best}, and pgvector takes no ef_search above {MOST_EF_SEARCH}"
