"""Types of vectors whose index is worth a trial."""

from __future__ import annotations

from data_platform.postgres.vectors.settings import VectorType

MOST_DIMENSIONS: dict[VectorType, int] = {"vector": 2_000, "halfvec": 4_000, "bit": 64_000}
"""That pgvector's HNSW and IVFFlat take."""
_LARGEST_HALF = 65_504.0
_BITS_WORTH_IT = 256
"""With fewer dimensions the bits say too little, and the full vector costs little anyway."""


def types(dimensions: int, largest: float) -> list[VectorType]:
    """Types whose index can hold these vectors, the one that is usually cheapest first."""
    fitting: list[VectorType] = []
    if dimensions <= MOST_DIMENSIONS["halfvec"] and largest < _LARGEST_HALF:
        fitting.append("halfvec")
    if dimensions <= MOST_DIMENSIONS["vector"]:
        fitting.append("vector")
    if _BITS_WORTH_IT <= dimensions <= MOST_DIMENSIONS["bit"]:
        fitting.append("bit")
    return fitting
