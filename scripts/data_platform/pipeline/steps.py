"""What one transaction of a run did."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from data_platform.pipeline.plan import Chain
from data_platform.pipeline.quality.verdicts import Verdict
from data_platform.postgres.pipelines.state import Counts


@dataclass(frozen=True)
class Step:
    """One transaction: what of the source went where. `told` are checks that do not hold and may."""

    source: str
    unit: str
    target: str
    counts: Counts
    way: str
    seconds: float
    told: tuple[Verdict, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    """Source and name of columns that nobody declared and that were left out."""


def step_of(chain: Chain, unit: str, counts: Counts, way: str, started: float) -> Step:
    """What a transaction did for one target, over the time since `started`."""
    sources = ", ".join(one.name for one in chain.sources)
    return Step(sources, unit, str(chain.target.table), counts, way, time.monotonic() - started)


def summed(steps: Iterable[Step]) -> list[Step]:
    """One for each target, of those that are parts of one transaction; each with the unit of the last."""
    found: dict[str, Step] = {}
    for one in steps:
        before = found.get(one.target, replace(one, counts=Counts(), seconds=0.0))
        found[one.target] = replace(
            one, counts=before.counts.plus(one.counts), seconds=before.seconds + one.seconds
        )
    return list(found.values())
