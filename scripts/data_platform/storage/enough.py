"""Whether PostgreSQL alone is enough, and when it ends: its own limits against the need's numbers and growth."""

from __future__ import annotations

from dataclasses import dataclass

from data_platform.spec.storage import Need
from data_platform.storage.catalogue import Catalogue, Criterion, Fact, System
from data_platform.storage.demand import GROWING, asks, demand, limit, years_until
from data_platform.storage.rank import ENOUGH, mark

HOME = "PostgreSQL"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A number that grows, and where PostgreSQL ends for it. `years` is None when it is not reached."""

    criterion: Criterion
    system: System
    fact: Fact
    now: float
    at_horizon: float
    most: float
    years: float | None

    @property
    def headroom(self) -> float:
        """How many times today's number fits into the limit."""
        return self.most / self.now if self.now else float("inf")


@dataclass(frozen=True, kw_only=True)
class Enough:
    """The answer. `with_` names what it needs inside: JSONB, pgvector. `lacking` is what it cannot do."""

    enough: bool
    with_: tuple[str, ...]
    lacking: tuple[tuple[Criterion, Fact], ...]
    limits: tuple[Limit, ...]
    for_main_job: bool
    """Whether it is enough but for jobs that a second system may do beside it."""

    @property
    def until(self) -> Limit | None:
        """The limit that comes first; without growth, the nearest one."""
        reached = [found for found in self.limits if found.years is not None]
        if reached:
            return min(reached, key=lambda found: found.years or 0)
        return min(self.limits, key=lambda found: found.headroom, default=None)


def enough(need: Need, known: Catalogue) -> Enough:
    """PostgreSQL with what belongs to it (JSONB, pgvector) against every criterion that the need asks."""
    criteria = [c for c in known.criteria if not c.preference and asks(need, c)]
    best = {c.id: _best(c, need, known) for c in criteria}
    lacking = tuple((c, best[c.id][1]) for c in criteria if best[c.id][2] < ENOUGH)
    used = {best[c.id][0].name for c in criteria} - {HOME}
    return Enough(
        enough=not lacking,
        with_=tuple(system.name for system in known.systems if system.name in used),
        lacking=lacking,
        limits=tuple(_limit(c, best[c.id], need) for c in criteria if c.id in GROWING),
        for_main_job=all(c.part is not None and c.core_for != need.data for c, _ in lacking),
    )


def _best(criterion: Criterion, need: Need, known: Catalogue) -> tuple[System, Fact, int]:
    """The member of PostgreSQL that does this best, plain PostgreSQL if it does it as well."""
    members = [s for s in known.relatives(known.system(HOME)) if s.inside >= ENOUGH]
    judged = [(s, s.facts[criterion.id], mark(s.facts[criterion.id], criterion, need)) for s in members]
    return max(judged, key=lambda each: (each[2], limit(each[1], need, criterion.id) or 0, -each[0].order))


def _limit(criterion: Criterion, best: tuple[System, Fact, int], need: Need) -> Limit:
    system, fact, _ = best
    most = limit(fact, need, criterion.id)
    assert most is not None, f"{system.name}: what grows has a limit"
    return Limit(
        criterion=criterion,
        system=system,
        fact=fact,
        now=float(demand(need, criterion.id)),
        at_horizon=float(demand(need, criterion.id, need.years)),
        most=most,
        years=years_until(need, criterion.id, most),
    )
