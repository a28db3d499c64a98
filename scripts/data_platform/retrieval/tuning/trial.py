"""What tuning aims at, what it tried, and what came out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from data_platform.postgres.vectors.settings import Distance, Index, Search
from data_platform.retrieval.metrics import Interval
from data_platform.retrieval.tuning.filters import Filtering

Stage = Literal["sample", "all rows", "held out"]


@dataclass(frozen=True)
class Goal:
    """What the user needs: recall at k, and limits where there are some."""

    recall: float = 0.95
    k: int = 10
    max_latency_ms: float | None = None
    """Of the slowest of twenty searches (p95), one at a time, as a client sees it."""
    max_memory_bytes: int | None = None
    """For the index, which should stay in memory."""


@dataclass(frozen=True)
class Trial:
    """One setting that was run. `cpu_ms` is the server's processor time for a search, in milliseconds."""

    stage: Stage
    rows: int
    index: Index
    search: Search
    recall: Interval
    cpu_ms: float


@dataclass(frozen=True)
class Build:
    """One index that was built."""

    stage: Stage
    rows: int
    index: Index
    seconds: float
    size_bytes: int
    spilled: bool


@dataclass(frozen=True)
class Contrast:
    """Whether near means anything: how far the k-th neighbour is, over how far any row is (medians), and the
    dimension that the distances to the neighbours behave like (maximum likelihood; Levina and Bickel, 2004)."""

    ratio: float
    intrinsic_dimension: float


@dataclass(frozen=True)
class Tuned:
    """The outcome. Without `reachable` the setting is the best that there was, and `because` says what is missing."""

    goal: Goal
    distance: Distance
    rows: int
    dimensions: int
    non_zero: int
    """Numbers of a row that are not zero, on average."""
    contrast: Contrast
    index: Index
    search: Search
    recall: Interval
    cpu_ms: float
    exact_cpu_ms: float
    latency_ms: tuple[float, float, float] | None = None
    """p50, p95 and p99 of single searches on the held-out queries."""
    size_bytes: int = 0
    build_seconds: float = 0.0
    spilled: bool = False
    visited: float = 0.0
    """Share of the rows that a search looks at: in a graph a page is read for each of them, wherever it lies."""
    reachable: bool = True
    because: str = ""
    filtering: Filtering | None = None
    tried: tuple[Trial, ...] = ()
    builds: tuple[Build, ...] = ()
    notes: tuple[str, ...] = field(default=())
