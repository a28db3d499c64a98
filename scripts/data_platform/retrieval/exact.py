"""Exact nearest neighbours in memory: the truth that an index is measured against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_platform.postgres.vectors.settings import Distance

Matrix = NDArray[np.float32]

_BLOCK = 2_000_000
"""Distances held at a time, of a block of queries to all rows: 8 MB of float32."""


@dataclass(frozen=True)
class Truth:
    """The k nearest rows of each query, nearest first, and how far they are."""

    ids: NDArray[np.int64]
    distances: NDArray[np.float64]

    @property
    def k(self) -> int:
        return int(self.ids.shape[1])


def nearest(queries: Matrix, values: Matrix, distance: Distance, k: int) -> Truth:
    """Every row compared with every query. Distances as pgvector's operators give them, in double precision.

    A row without direction (zero, with cosine) is never near. `k` is at most the number of rows.
    """
    k = min(k, len(values))
    # Euclidean distance does not care where zero is, single precision does.
    middle = values.mean(axis=0, dtype=np.float64).astype(np.float32) if distance == "l2" else np.float32(0)
    prepared, base = _prepared(values - middle, distance), _prepared(queries - middle, distance)
    squares = np.einsum("ij,ij->i", prepared, prepared) if distance == "l2" else None
    step = max(1, _BLOCK // max(len(values), 1))
    ids = np.empty((len(queries), k), dtype=np.int64)
    for start in range(0, len(queries), step):
        block = base[start : start + step] @ prepared.T
        scores = block if squares is None else block - squares / 2
        # A few more than k: single precision may exchange rows at the edge, which double precision puts right.
        wide = min(k + 16, len(values))
        near = np.argpartition(-scores, wide - 1, axis=1)[:, :wide]
        for row, candidates in enumerate(near):
            exact = distances(queries[start + row], values[candidates], distance)
            ids[start + row] = candidates[np.lexsort((candidates, exact))[:k]]
    return Truth(
        ids, np.array([distances(q, values[i], distance) for q, i in zip(queries, ids, strict=True)])
    )


def distances(query: Matrix, rows: Matrix, distance: Distance) -> NDArray[np.float64]:
    """From one query to each of the rows: cosine distance, Euclidean distance or negative inner product."""
    wide, one = rows.astype(np.float64), query.astype(np.float64)
    if distance == "l2":
        return np.asarray(np.sqrt(((wide - one) ** 2).sum(axis=1)))
    inner = wide @ one
    if distance == "ip":
        return np.asarray(-inner)
    norms = np.linalg.norm(wide, axis=1) * np.linalg.norm(one)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(norms > 0, 1 - inner / norms, np.inf))


def _prepared(values: Matrix, distance: Distance) -> Matrix:
    if distance != "cosine":
        return np.ascontiguousarray(values, dtype=np.float32)
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(norms > 0, norms, 1), dtype=np.float32)
