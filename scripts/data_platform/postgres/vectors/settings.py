"""What is chosen for an index and for a search: the words of pgvector's documentation as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Distance = Literal["cosine", "l2", "ip"]
VectorType = Literal["vector", "halfvec", "bit", "sparsevec"]
Method = Literal["hnsw", "ivfflat", "none"]
Scan = Literal["off", "relaxed_order", "strict_order"]

OPERATORS: dict[Distance, str] = {"cosine": "<=>", "l2": "<->", "ip": "<#>"}
_SUFFIXES: dict[Distance, str] = {"cosine": "cosine_ops", "l2": "l2_ops", "ip": "ip_ops"}

MOST_EF_SEARCH = 1000
"""pgvector's own limit of hnsw.ef_search."""


@dataclass(frozen=True)
class Index:
    """One index. `centred`: of a quantized one, the bits are those of the vector less the mean of all vectors."""

    method: Method = "hnsw"
    type: VectorType = "vector"
    m: int = 16
    ef_construction: int = 64
    lists: int = 0
    centred: bool = False

    def __str__(self) -> str:
        match self.method:
            case "hnsw":
                options = f"m {self.m}, ef_construction {self.ef_construction}"
            case "ivfflat":
                options = f"lists {self.lists}"
            case _:
                return "no index"
        centred = ", centred" if self.centred else ""
        return f"{self.method} on {self.type} ({options}{centred})"


@dataclass(frozen=True)
class Search:
    """How an index is asked. `rerank`: so many candidates are ordered again by their full vectors; 0 is none."""

    ef_search: int = 40
    probes: int = 1
    rerank: int = 0
    scan: Scan = "off"
    max_scan_tuples: int = 20_000


def operator_class(type_: VectorType, distance: Distance) -> str:
    """The operator class that serves the distance; bits are compared by Hamming distance whatever the distance."""
    return "bit_hamming_ops" if type_ == "bit" else f"{type_}_{_SUFFIXES[distance]}"
