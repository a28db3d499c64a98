"""Types of vectors whose index is worth a trial."""

from __future__ import annotations

import numpy as np

from data_platform.postgres.vectors.settings import VectorType
from data_platform.retrieval.exact import Matrix
from data_platform.retrieval.sizing import payload
from data_platform.spec.retrieval import MOST_INDEXED

MOST_DIMENSIONS: dict[VectorType, int] = {"vector": 2_000, "halfvec": 4_000, "bit": 64_000}
"""That pgvector's HNSW and IVFFlat take."""
_LARGEST_HALF = 65_504.0
_BITS_WORTH_IT = 256
"""With fewer dimensions the bits say too little, and the full vector costs little anyway."""


def types(values: Matrix, *, sparse: bool = False) -> list[VectorType]:
    """Types whose index can hold these vectors, the one that is usually cheapest first. `sparse`: the column is of
    type sparsevec.
    """
    dimensions = values.shape[1]
    fitting: list[VectorType] = []
    if int(np.count_nonzero(values, axis=1).max(initial=0)) <= MOST_INDEXED and (
        sparse or payload("sparsevec", dimensions, non_zero(values)) < payload("halfvec", dimensions)
    ):
        fitting.append("sparsevec")
    if sparse:
        return fitting
    if dimensions <= MOST_DIMENSIONS["halfvec"] and float(np.abs(values).max(initial=0)) < _LARGEST_HALF:
        fitting.append("halfvec")
    if dimensions <= MOST_DIMENSIONS["vector"]:
        fitting.append("vector")
    if _BITS_WORTH_IT <= dimensions <= MOST_DIMENSIONS["bit"]:
        fitting.append("bit")
    return fitting


def non_zero(values: Matrix) -> int:
    """Numbers of a vector that are not zero, on average."""
    return int(np.ceil(np.count_nonzero(values) / max(1, len(values))))
