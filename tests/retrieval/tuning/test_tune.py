"""Tuning on a real server: the target is met on queries it did not see, and what cannot be met is said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from data_platform.errors import UsageProblem
from data_platform.postgres.server import Server
from data_platform.postgres.vectors.bench import bench
from data_platform.retrieval.exact import Matrix, nearest
from data_platform.retrieval.metrics import recall
from data_platform.retrieval.tuning.contrast import RANDOM, contrast
from data_platform.retrieval.tuning.rows import parted
from data_platform.retrieval.tuning.told import report, result
from data_platform.retrieval.tuning.trial import Goal, Tuned
from data_platform.retrieval.tuning.tune import tune

Run = Callable[[Matrix, Goal], Tuned]


def curved(rows: int, *, dimensions: int = 64, basis: int = 12, seed: int = 1) -> Matrix:
    """Rows near a bent surface of few dimensions, as embeddings are."""
    drawn = np.random.default_rng(seed)
    directions = drawn.normal(size=(basis, dimensions))
    bent = np.tanh(drawn.normal(size=(rows, basis)) @ directions / 3)
    return (bent + 0.05 * drawn.normal(size=bent.shape)).astype(np.float32)


@pytest.fixture
def run(server: Server) -> Run:
    def tuned(values: Matrix, goal: Goal) -> Tuned:
        vectors, _ = parted(values, None, "cosine", k=goal.k)
        return tune(vectors, goal, lambda v, q: bench(server, v, q, "cosine"), lambda what, share: None)

    return tuned


def test_the_target_holds_on_queries_of_our_own(server: Server, run: Run) -> None:
    values = curved(9_000)
    tuned = run(values[:8_000], Goal(recall=0.9))
    assert tuned.reachable
    assert tuned.index.method == "hnsw"
    assert tuned.cpu_ms < tuned.exact_cpu_ms
    others = values[8_000:]
    with bench(server, values[:8_000], others, "cosine") as table:
        table.build(tuned.index, memory_mb=64)
        ids = table.ask(tuned.search, k=10, count=len(others)).ids
    truth = nearest(others, values[:8_000], "cosine", 10)
    found = np.array([len(set(a) & set(b)) / 10 for a, b in zip(ids, truth.ids, strict=True)])
    assert found.mean() >= 0.9


def test_filters_are_measured_both_ways(run: Run) -> None:
    tuned = run(curved(12_000), Goal(recall=0.9))
    assert tuned.filtering is not None
    told = result(tuned)["filters"]
    assert {one["selectivity"] for one in told} == {0.2, 0.05, 0.01, 0.001}
    taken = [one for one in told if one["chosen"]]
    assert len(taken) == 4
    assert all(one["rows"] == one["wanted"] for one in taken)
    assert all(one["recall"]["value"] >= 0.9 for one in taken)
    rare = next(one for one in taken if one["selectivity"] == 0.01)
    assert rare["strategy"] == "prefilter"


def test_random_vectors_are_refused_with_the_reason(run: Run) -> None:
    random = np.random.default_rng(1).normal(size=(6_000, 256)).astype(np.float32)
    tuned = run(random, Goal())
    assert not tuned.reachable
    assert "as in random vectors" in tuned.because
    assert tuned.contrast.ratio > RANDOM
    assert "out of reach" in str(report(tuned, "here", "again").title)


def test_random_vectors_that_lie_outside_of_the_table_are_refused_too(run: Run) -> None:
    """An exact search of rows above 2 kB is so slow that a walk over half of them looks cheap beside it."""
    random = np.random.default_rng(1).normal(size=(3_000, 600)).astype(np.float32)
    tuned = run(random, Goal())
    assert not tuned.reachable
    assert "as in random vectors" in tuned.because


def test_few_texts_are_no_random_vectors(run: Run) -> None:
    """Of some hundred real texts the nearest are hardly nearer than any others either."""
    few = curved(500, dimensions=384, basis=40)
    vectors, _ = parted(few, None, "cosine", k=10)
    truth = nearest(vectors.queries, vectors.values, "cosine", 10)
    assert contrast(vectors.queries, vectors.values, truth, "cosine").ratio > RANDOM
    tuned = run(few, Goal())
    assert tuned.reachable
    assert tuned.index.method == "none"


def test_few_rows_need_no_index(run: Run) -> None:
    tuned = run(curved(400), Goal())
    assert tuned.reachable
    assert tuned.index.method == "none"
    assert tuned.recall.value == 1.0
    assert result(tuned)["chosen"]["index"] == "none"


def test_limits_are_kept_or_said(run: Run) -> None:
    values = curved(5_000)
    assert "--max-latency" in run(values, Goal(recall=0.9, max_latency_ms=0.001)).because
    assert "--max-memory" in run(values, Goal(recall=0.9, max_memory_bytes=1000)).because


def test_contrast_tells_structure_from_noise() -> None:
    for values, random in (
        (curved(3_000, dimensions=256), False),
        (np.random.default_rng(1).normal(size=(3_000, 256)), True),
    ):
        rows = values.astype(np.float32)
        truth = nearest(rows[:100], rows[100:], "cosine", 10)
        assert (contrast(rows[:100], rows[100:], truth, "cosine").ratio > RANDOM) == random


def test_rows_without_direction_are_left_out_and_told() -> None:
    values = curved(200)
    values[7] = 0
    vectors, notes = parted(values, values[10:60], "cosine", k=5)
    assert len(vectors.values) == 199
    assert any("row 8" in note for note in notes)
    assert recall(np.zeros((1, 1)), np.zeros((1, 1))) == 1


def test_rows_too_close_for_half_precision_get_full_precision(run: Run) -> None:
    """20,000 directions in space: the halves of neighbours are the same, and no ef_search finds more than 0.94."""
    tuned = run(np.random.default_rng(1).normal(size=(20_000, 3)).astype(np.float32), Goal())
    assert tuned.reachable
    assert tuned.index.type == "vector"


def test_queries_too_large_for_half_precision_are_asked_in_full(server: Server) -> None:
    values = curved(2_000)
    vectors, _ = parted(values, curved(100, seed=2) * 1e6, "cosine", k=5)
    tuned = tune(vectors, Goal(), lambda v, q: bench(server, v, q, "cosine"), lambda what, share: None)
    assert tuned.index.type == "vector"


def test_copies_of_a_row_have_no_dimension() -> None:
    rows = np.repeat(curved(100), 30, axis=0)
    asked = curved(50, seed=2)
    truth = nearest(asked, rows, "cosine", 10)
    assert contrast(asked, rows, truth, "cosine").intrinsic_dimension == 0


def test_fifty_rows_are_enough_to_say_that_no_index_is_needed(run: Run) -> None:
    tuned = run(curved(50), Goal())
    assert tuned.reachable
    assert (tuned.index.method, tuned.recall.queries) == ("none", 8)


def test_too_little_to_say_anything() -> None:
    with pytest.raises(UsageProblem, match="say nothing about recall"):
        parted(curved(30), None, "l2", k=10)
