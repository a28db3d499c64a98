"""What one transaction of a run did."""

from __future__ import annotations

from dataclasses import dataclass

from data_platform.postgres.pipelines.state import Counts


@dataclass(frozen=True)
class Step:
    """One transaction: what of the source went where."""

    source: str
    unit: str
    target: str
    counts: Counts
    way: str
    seconds: float
