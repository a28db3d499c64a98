"""The measurements of a store, in order: recall against exact search, judged answers, filters, time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data_platform.postgres.vectors.ask import Mode, Session
from data_platform.postgres.vectors.cold import Cold
from data_platform.retrieval.evaluation.judgements import Query, graded
from data_platform.retrieval.metrics import METRICS, Difference, Interval, interval, paired, recall

Vector = NDArray[np.float32]
Tell = Callable[[str, float], None]
Strategy = Literal["prefilter", "iterative"]

SHARES = (0.2, 0.05, 0.01, 0.001)
"""Of the rows: values of a filter are looked for that leave about so many."""


@dataclass(frozen=True)
class Metric:
    """One figure of one way to search."""

    name: str
    mode: Mode
    k: int
    found: Interval


@dataclass(frozen=True)
class Compared:
    """How much better one way is than another by nDCG, on the same queries."""

    first: Mode
    second: Mode
    difference: Difference


@dataclass(frozen=True)
class Filtered:
    """Searches with one value of a filter: recall, and the fewest rows that came of k (or of all that there are)."""

    name: str
    value: Any
    share: float
    recall: Interval
    rows: int
    wanted: int
    strategy: Strategy
    """What so many passing rows are to be searched by: comparing all of them, or reading the index on."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured."""

    rows: int
    k: int
    metrics: tuple[Metric, ...]
    compared: tuple[Compared, ...] = ()
    filters: tuple[Filtered, ...] = ()
    latency_ms: tuple[float, float, float] | None = None
    first_ms: float | None = None
    """The median of questions that were asked for the first time."""
    cold: Cold | None = None
    """Questions with empty caches."""
    per_second: float | None = None
    clients: int = 0
    cpu_ms: float | None = None
    known_items: bool = False
    short: tuple[str, ...] = field(default=())
    """Filters whose searches gave fewer rows than there are."""


def recall_of(
    one: Session, questions: Sequence[tuple[Vector, str]], k: int, filters: Mapping[str, Any] | None = None
) -> tuple[Interval, int, int]:
    """Recall@k against exact search, the fewest rows, and how many there should have been."""
    figures, rows, wanted = [], [], []
    for vector, words in questions:
        truth = one.exact(vector, k, filters)
        hits = one.ask("vector", vector, words, k, filters)
        rows.append(len(hits))
        wanted.append(len(truth))
        if len(truth):
            got = np.full(len(truth), np.inf)
            got[: len(hits)] = [hit.score for hit in hits[: len(truth)]]
            figures.append(float(recall(got[None], truth[None])[0]))
    return interval(figures), min(rows, default=0), min(wanted, default=0)


def judged(
    one: Session, queries: Sequence[Query], vectors: Sequence[Vector], modes: Sequence[Mode], k: int
) -> tuple[tuple[Metric, ...], tuple[Compared, ...]]:
    """Every metric of every mode on the same queries; documents count once each, at their best chunk."""
    figures: dict[tuple[str, Mode], list[float]] = {}
    for mode in modes:
        for query, vector in zip(queries, vectors, strict=True):
            # Several chunks may be of one document: more are asked for than documents are wanted.
            found = graded(query, one.uris(one.ask(mode, vector, query.text, 5 * k)))
            for name, measure in METRICS.items():
                figures.setdefault((name, mode), []).append(measure(found, query.grades, k))
    metrics = tuple(Metric(name, mode, k, interval(each)) for (name, mode), each in figures.items())
    compared = tuple(
        Compared(a, b, paired(figures[("ndcg", a)], figures[("ndcg", b)])) for a, b in combinations(modes, 2)
    )
    return metrics, compared


def ndcg_of(
    one: Session, mode: Mode, weight: float, queries: Sequence[Query], vectors: Sequence[Vector], k: int
) -> list[float]:
    """nDCG of each query with this weight of the words."""
    return [
        METRICS["ndcg"](
            graded(query, one.uris(one.ask(mode, vector, query.text, 5 * k, None, weight))), query.grades, k
        )
        for query, vector in zip(queries, vectors, strict=True)
    ]


def filtered(
    one: Session, columns: Sequence[str], questions: Sequence[tuple[Vector, str]], k: int, compared: int
) -> tuple[Filtered, ...]:
    """Each filter with common and rare values. Up to `compared` rows that pass all of them are to be compared."""
    found = []
    for column in columns:
        for value in one.values_of(column, SHARES):
            measured, rows, wanted = recall_of(one, questions, k, {column: value.value})
            strategy: Strategy = "prefilter" if value.rows <= compared else "iterative"
            found.append(Filtered(column, value.value, value.share, measured, rows, wanted, strategy))
    return tuple(found)


def cpu_of(one: Session, mode: Mode, questions: Sequence[tuple[Vector, str]], k: int) -> float | None:
    """Milliseconds of processor time a search, where the server runs here."""
    before = one.cpu_seconds()
    for vector, words in questions:
        one.ask(mode, vector, words, k)
    after = one.cpu_seconds()
    return None if before is None or after is None else 1000 * (after - before) / max(1, len(questions))
