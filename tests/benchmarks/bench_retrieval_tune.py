"""Tuning beside a full grid: processor time of both, and of a search with what each chose.

python tests/benchmarks/bench_retrieval_tune.py VECTORS [--distance cosine] [--limit N] [--target 0.95]

The grid builds m 8, 16, 32 × ef_construction 64, 128, 256 on `vector` and asks each with 12 values of ef_search; its
best is the cheapest setting whose mean recall on all queries reaches the target. Both run on servers of the same
settings, one after the other.
"""

# ruff: noqa: E402 - the path comes first
from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from data_platform.postgres.server import embedded_server
from data_platform.postgres.vectors.bench import bench, settings_for
from data_platform.postgres.vectors.settings import Index, Search
from data_platform.retrieval.exact import nearest
from data_platform.retrieval.tuning.rows import parted
from data_platform.retrieval.tuning.trial import Goal
from data_platform.retrieval.tuning.tune import Vectors, tune
from data_platform.retrieval.vectors import read_vectors

EFS = (10, 14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 640)


def cpu() -> float:
    """Seconds of this process and of its children that have ended, the servers among them."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def timed(work: Callable[[], object]) -> tuple[object, float, float]:
    """The result, seconds by the clock and of processors."""
    clock, used = time.perf_counter(), cpu()
    return work(), time.perf_counter() - clock, cpu() - used


def grid(vectors: Vectors, goal: Goal) -> tuple[Index, Search, float, float]:
    """The cheapest setting that reaches the goal: index, search, milliseconds, recall."""
    truth = nearest(vectors.queries, vectors.values, vectors.distance, goal.k)
    best: tuple[Index, Search, float, float] | None = None
    with (
        embedded_server(settings=settings_for(vectors.values)) as server,
        bench(server, vectors.values, vectors.queries, vectors.distance) as table,
    ):
        for m in (8, 16, 32):
            for ef_construction in (64, 128, 256):
                index = Index("hnsw", "vector", m=m, ef_construction=ef_construction)
                table.build(index, memory_mb=2048)
                for ef in EFS:
                    asked = table.ask(Search(ef_search=ef), k=goal.k, count=len(vectors.queries))
                    rows = zip(asked.ids, truth.ids, strict=True)
                    recall = float(np.mean([len(set(a) & set(b)) / goal.k for a, b in rows]))
                    if recall >= goal.recall and (best is None or asked.cpu_ms_per_query < best[2]):
                        best = (index, Search(ef_search=ef), asked.cpu_ms_per_query, recall)
    if best is None:
        sys.exit("no setting of the grid reaches the target")
    return best


def tuned(vectors: Vectors, goal: Goal) -> object:
    """The same as `dpe retrieval tune` does."""
    with embedded_server(settings=settings_for(vectors.values)) as server:
        return tune(
            vectors, goal, lambda v, q: bench(server, v, q, vectors.distance), lambda what, share: None
        )


def compared(vectors: Vectors, goal: Goal, one: tuple[Index, Search], other: tuple[Index, Search]) -> float:
    """How many times the other's processor time the one takes, asked in turns."""
    ratios = []
    with embedded_server(settings=settings_for(vectors.values)) as server:
        for _ in range(2):
            costs = []
            for index, search in (one, other):
                with bench(server, vectors.values, vectors.queries, vectors.distance) as table:
                    table.build(index, memory_mb=2048)
                    table.ask(search, k=goal.k, count=100)
                    asked = [
                        table.ask(search, k=goal.k, count=len(vectors.queries)).cpu_ms_per_query
                        for _ in range(3)
                    ]
                    costs.append(min(asked))
            ratios.append(costs[0] / costs[1])
    return float(np.median(ratios))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors")
    parser.add_argument("--distance", default="cosine", choices=("cosine", "l2", "ip"))
    parser.add_argument("--limit", type=int)
    parser.add_argument("--target", type=float, default=0.95)
    arguments = parser.parse_args()
    goal = Goal(recall=arguments.target)
    vectors, _ = parted(
        read_vectors(arguments.vectors, limit=arguments.limit).values, None, arguments.distance, k=10
    )
    found, clock, used = timed(lambda: tuned(vectors, goal))
    print(
        f"tune: {clock:.1f} s, {used:.1f} CPU s: {found.index}, ef_search {found.search.ef_search},"  # type: ignore[attr-defined]
        f" recall {found.recall.value:.4f} held out, {found.cpu_ms:.3f} ms"
    )  # type: ignore[attr-defined]
    best, grid_clock, grid_used = timed(lambda: grid(vectors, goal))
    index, search, cost, recall = best  # type: ignore[misc]
    print(
        f"grid: {grid_clock:.1f} s, {grid_used:.1f} CPU s: {index}, ef_search {search.ef_search},"
        f" recall {recall:.4f}, {cost:.3f} ms"
    )
    print(f"tuning took {used / grid_used:.3f} of the grid's processor time")
    if found.index.method != "none":  # type: ignore[attr-defined]
        ratio = compared(vectors, goal, (found.index, found.search), (index, search))  # type: ignore[attr-defined]
        print(f"a search with the chosen setting takes {ratio:.2f} of the grid's best")


if __name__ == "__main__":
    main()
