"""Which vectors are rows, which queries choose a setting and which confirm it."""

from __future__ import annotations

import numpy as np

from data_platform.errors import UsageProblem
from data_platform.postgres.vectors.settings import Distance
from data_platform.retrieval.exact import Matrix
from data_platform.retrieval.tuning.tune import Vectors
from data_platform.retrieval.vectors import zero_rows
from data_platform.spec.retrieval import MOST_DENSE, MOST_INDEXED

MOST_QUERIES = 1_000
_TUNING_SHARE = 0.6
_FEWEST = 20


def parted(
    values: Matrix, queries: Matrix | None, distance: Distance, *, k: int, seed: int = 1, sparse: bool = False
) -> tuple[Vectors, tuple[str, ...]]:
    """Rows and queries of both kinds, with what has to be said about them. Without queries some rows become some.
    `sparse`: they are of type sparsevec.

    Raises UsageProblem for too few rows or queries to say anything about, or vectors that no index takes.
    """
    _refuse_large(values, sparse)
    notes: list[str] = []
    given = queries is not None
    values = _with_direction(values, distance, "rows", notes)
    mixed = np.random.default_rng(seed)
    if queries is None:
        count = min(MOST_QUERIES, max(len(values) // 5, min(_FEWEST, len(values) // 2)))
        order = mixed.permutation(len(values))
        queries, values = values[order[:count]], values[np.sort(order[count:])]
        notes.append(
            f"The {count:,} queries are rows of the file, left out of the table: where real queries differ from rows"
            f" (short questions, long texts), give them with --queries."
        )
    else:
        queries = _with_direction(queries, distance, "queries", notes)
        queries = queries[mixed.permutation(len(queries))[:MOST_QUERIES]]
    if len(values) < k or len(queries) < _FEWEST:
        raise UsageProblem(
            f"{len(values):,} rows and {len(queries):,} queries say nothing about recall",
            expected=f"at least {k} rows and {_FEWEST} queries",
            try_="more queries"
            if given and len(values) >= k
            else "no index: of so few rows an exact search reads all at once and misses nothing",
        )
    tuning = max(1, round(len(queries) * _TUNING_SHARE))
    return Vectors(values, queries[:tuning], queries[tuning:], distance, sparse), tuple(notes)


def _refuse_large(values: Matrix, sparse: bool) -> None:
    if not sparse and values.shape[1] > MOST_DENSE:
        raise UsageProblem(
            f"vectors of {values.shape[1]:,} dimensions", expected=f"at most {MOST_DENSE:,} (pgvector)"
        )
    most = int(np.count_nonzero(values, axis=1).max(initial=0))
    if sparse and most > MOST_INDEXED:
        raise UsageProblem(
            f"a vector of which {most:,} numbers are not zero; HNSW takes {MOST_INDEXED:,}",
            expected="nothing to tune; settings: {index: none}",
        )


def _with_direction(values: Matrix, distance: Distance, what: str, notes: list[str]) -> Matrix:
    """Without the vectors that a cosine distance is undefined for: pgvector indexes leave them out, too."""
    zero = zero_rows(values) if distance == "cosine" else np.empty(0, dtype=np.int64)
    if not len(zero):
        return values
    notes.append(
        f"{len(zero):,} {what} are zero in every dimension (the first is row {zero[0] + 1:,}); they have no cosine"
        f" distance and were left out. An index never finds them."
    )
    return np.delete(values, zero, axis=0)
