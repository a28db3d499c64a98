"""Indexes worth a trial for so many rows of so many dimensions."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.postgres.vectors.settings import Index, VectorType
from data_platform.retrieval.sizing import free_m

MOST_DIMENSIONS: dict[VectorType, int] = {"vector": 2_000, "halfvec": 4_000, "bit": 64_000}
"""That pgvector's HNSW and IVFFlat take."""
_MOST_M = 32
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


def graphs(dimensions: int, type_: VectorType) -> Iterator[Index]:
    """HNSW graphs of one type: m up to where it begins to cost pages, each with a usual and a careful build."""
    free = min(max(free_m(dimensions, type_, 16), 16), _MOST_M)
    for m in dict.fromkeys((free, 16)):
        yield Index("hnsw", type_, m=m, ef_construction=max(64, 2 * m), centred=type_ == "bit")
    yield Index("hnsw", type_, m=free, ef_construction=max(128, 4 * free), centred=type_ == "bit")
