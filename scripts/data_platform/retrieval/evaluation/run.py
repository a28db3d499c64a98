"""An evaluation from a spec and a server: questions embedded, asked, compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_platform.errors import UsageProblem
from data_platform.postgres.vectors.ask import Mode, Store, latencies, per_second, session
from data_platform.postgres.vectors.cold import cold_latencies
from data_platform.postgres.vectors.settings import OPERATORS
from data_platform.retrieval.design import design
from data_platform.retrieval.embedding import embedder
from data_platform.retrieval.evaluation.evaluate import (
    Evaluation,
    Metric,
    cpu_of,
    filtered,
    judged,
    recall_of,
)
from data_platform.retrieval.evaluation.judgements import Query, known_items
from data_platform.retrieval.pgvector.names import names_of
from data_platform.spec.retrieval import Retrieval

Tell = Callable[[str, float], None]
_FILTER_QUESTIONS = 30
_COLD_QUESTIONS = 30


@dataclass(frozen=True)
class Extent:
    """How much is measured: questions, clients at once, and for how many seconds these ask."""

    sample: int = 200
    clients: int = 4
    seconds: float = 3.0
    caches: str | None = None
    """Connection of a role that may empty the server's cache; without one nothing is measured cold."""


def store_of(spec: Retrieval) -> Store:
    """Where the spec's store is."""
    names = names_of(spec)
    return Store(
        embeddings=names.embeddings,
        chunks=names.chunks,
        documents=names.documents,
        search=names.search,
        hybrid=names.hybrid if spec.hybrid else None,
        operator=OPERATORS[spec.model.distance],
        sparse=spec.model.non_zero is not None,
    )


def evaluate(
    conninfo: str,
    spec: Retrieval,
    folder: Path,
    queries: Sequence[Query] | None,
    extent: Extent,
    tell: Tell,
) -> Evaluation:
    """Measure the store. Without queries they are drawn from its documents. Raises UsageProblem for an empty store."""
    store, k, chosen = store_of(spec), spec.needs.k, design(spec)
    with session(conninfo, store) as one:
        rows = one.rows()
        if not rows:
            raise UsageProblem("the store is empty", try_="dpe retrieval load")
        asked = (
            _some(queries, extent.sample) if queries is not None else known_items(one.sample(extent.sample))
        )
        tell("embedding the questions", 0.1)
        vectors = list(embedder(spec.model, folder).embed([spec.model.query_prefix + q.text for q in asked]))
        questions = list(zip(vectors, (q.text for q in asked), strict=True))
        tell("asking for the first time", 0.2)
        first = latencies(one, "vector", questions, k)
        tell("comparing with exact search", 0.3)
        exact, _, _ = recall_of(one, questions, k)
        modes: tuple[Mode, ...] = ("vector", "keyword", "hybrid") if spec.hybrid else ("vector",)
        tell("judging", 0.5)
        metrics, compared = judged(one, asked, vectors, modes, k)
        tell("filters", 0.7)
        most = rows if chosen.index.method == "none" else chosen.prefilter_rows
        filters = filtered(one, [f.name for f in spec.filters], questions[:_FILTER_QUESTIONS], k, most)
        again = latencies(one, "vector", questions, k)
        cpu = cpu_of(one, "vector", questions, k)
    if extent.caches:
        tell("with empty caches", 0.8)
    cold = (
        cold_latencies(conninfo, extent.caches, store, questions[:_COLD_QUESTIONS], k)
        if extent.caches
        else None
    )
    tell(f"{extent.clients} clients at once", 0.9)
    p50, p95, p99 = (float(value) for value in np.quantile(again, (0.5, 0.95, 0.99)))
    return Evaluation(
        rows=rows,
        k=k,
        metrics=(Metric("exact_recall", "vector", k, exact), *metrics),
        compared=compared,
        filters=filters,
        latency_ms=(p50, p95, p99),
        first_ms=float(np.median(first)),
        cold=cold,
        per_second=per_second(conninfo, store, "vector", questions, k, extent.clients, extent.seconds),
        clients=extent.clients,
        cpu_ms=cpu,
        known_items=queries is None,
    )


def _some(queries: Sequence[Query], sample: int) -> list[Query]:
    """So many of them, drawn always alike."""
    if len(queries) <= sample:
        return list(queries)
    chosen = np.random.default_rng(1).permutation(len(queries))[:sample]
    return [queries[number] for number in sorted(chosen)]
