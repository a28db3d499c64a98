"""Types of vectors whose index is worth a trial."""

from __future__ import annotations

import numpy as np

from data_platform.postgres.vectors.settings import Distance, VectorType
from data_platform.retrieval.exact import Matrix, Truth, distances, nearest
from data_platform.retrieval.metrics import recall
from data_platform.retrieval.sizing import payload
from data_platform.spec.retrieval import MOST_INDEXED

MOST_DIMENSIONS: dict[VectorType, int] = {"vector": 2_000, "halfvec": 4_000, "bit": 64_000}
"""That pgvector's HNSW and IVFFlat take."""
_LARGEST_HALF = 65_504.0
_BITS_WORTH_IT = 256
"""With fewer dimensions the bits say too little, and the full vector costs little anyway."""

_ASKED = 100
_OF_THE_MISSES = 0.2
"""Of what the goal lets a search miss, so much may be missed by rounding."""


def types(values: Matrix, queries: Matrix | None = None, *, sparse: bool = False) -> list[VectorType]:
    """Types whose index can hold these vectors, and be asked with these, the one that is usually cheapest first.
    `sparse`: the column is of type sparsevec.
    """
    dimensions = values.shape[1]
    largest = max(float(np.abs(each).max(initial=0)) for each in (values, queries) if each is not None)
    fitting: list[VectorType] = []
    if int(np.count_nonzero(values, axis=1).max(initial=0)) <= MOST_INDEXED and (
        sparse or payload("sparsevec", dimensions, non_zero(values)) < payload("halfvec", dimensions)
    ):
        fitting.append("sparsevec")
    if sparse:
        return fitting
    if dimensions <= MOST_DIMENSIONS["halfvec"] and largest < _LARGEST_HALF:
        fitting.append("halfvec")
    if dimensions <= MOST_DIMENSIONS["vector"]:
        fitting.append("vector")
    if _BITS_WORTH_IT <= dimensions <= MOST_DIMENSIONS["bit"]:
        fitting.append("bit")
    return fitting


def non_zero(values: Matrix) -> int:
    """Numbers of a vector that are not zero, on average."""
    return int(np.ceil(np.count_nonzero(values) / max(1, len(values))))


def halves_tell_apart(queries: Matrix, values: Matrix, truth: Truth, distance: Distance, goal: float) -> bool:
    """Whether an exact search through the halves finds what it should. Where rows lie closer together than half
    precision tells apart (many rows of few dimensions, tiny numbers), no index over them does.
    """
    asked = queries[:_ASKED]
    # Of cosine an index makes the inner product of rows that it has brought to one length, as halves again.
    inside: Distance = "l2" if distance == "l2" else "ip"
    ids = nearest(_halved(asked, distance), _halved(values, distance), inside, truth.k).ids
    found = np.array([distances(q, values[near], distance) for q, near in zip(asked, ids, strict=True)])
    return bool(recall(found, truth.distances[:_ASKED]).mean() >= 1 - _OF_THE_MISSES * (1 - goal))


def _halved(values: Matrix, distance: Distance) -> Matrix:
    """As an index holds them."""
    found = values.astype(np.float16).astype(np.float32)
    if distance != "cosine":
        return found
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return (found / np.where(lengths > 0, lengths, 1)).astype(np.float16).astype(np.float32)
