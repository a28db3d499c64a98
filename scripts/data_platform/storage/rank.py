"""The ranking: a mark from 0 to 3 for each criterion, times its weight, added up. A mark of 0 excludes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from data_platform.report.finding import Evidence
from data_platform.spec.storage import Need
from data_platform.storage.catalogue import Catalogue, Criterion, Fact, System
from data_platform.storage.demand import asks, demand, limit

BEST = 3
ENOUGH = 2
"""The least mark that says: this system does the job itself."""
TENFOLD = 10


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One criterion's mark for one system, and what it rests on."""

    criterion: Criterion
    mark: int
    because: str
    source: str
    evidence: Evidence
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A system with all its marks."""

    system: System
    judgements: tuple[Judgement, ...]

    @property
    def points(self) -> int:
        """The marks times their weights, added up."""
        return sum(judgement.mark * judgement.criterion.weight for judgement in self.judgements)

    @property
    def score(self) -> int:
        """The points as a percentage of the most that the need allows."""
        most = sum(BEST * judgement.criterion.weight for judgement in self.judgements)
        return round(100 * self.points / most)

    @property
    def excluded_by(self) -> tuple[Judgement, ...]:
        """The criteria that it cannot meet."""
        return tuple(j for j in self.judgements if j.mark == 0 and not j.criterion.preference)

    def mark(self, criterion: str) -> int:
        """Its mark for a criterion; 0 where that was not asked."""
        return next((j.mark for j in self.judgements if j.criterion.id == criterion), 0)


def rank(need: Need, known: Catalogue, home: str | None) -> tuple[Standing, ...]:
    """All systems, best first; excluded ones last. `home` is the server that is there already, if one is enough.

    Equal points: the better mark for the kind of data goes first, then a member of `home`, then the storage table's
    order.
    """
    criteria = [c for c in known.criteria if asks(need, c) and (c.id != "one_system" or home)]
    standings = [
        Standing(system=s, judgements=tuple(_judge(s, c, need, known, home) for c in criteria))
        for s in known.systems
    ]
    return tuple(sorted(standings, key=lambda s: _place(s, home)))


def _place(standing: Standing, home: str | None) -> tuple[bool, int, int, bool, int]:
    system = standing.system
    beside = system.family != home
    return bool(standing.excluded_by), -standing.points, -standing.mark("data"), beside, system.order


def _judge(system: System, criterion: Criterion, need: Need, known: Catalogue, home: str | None) -> Judgement:
    if criterion.id == "one_system":
        return _inside(system, criterion, home)
    if criterion.id == "runs":
        return _operated(system, criterion, need, known)
    fact = system.facts[criterion.id]
    own = mark(fact, criterion, need)
    if criterion.part is None or criterion.core_for == need.data or own >= ENOUGH:
        return _judgement(criterion, own, fact)
    if criterion.part == "cache" and need.data == "vectors":  # searches by nearness are seldom asked twice
        return _judgement(criterion, max(own, 1), fact)
    for relative in known.relatives(system):
        if relative.extends is None or criterion.part == "cache":
            continue
        theirs = relative.facts[criterion.id]
        if mark(theirs, criterion, need) >= ENOUGH:
            return _judgement(
                criterion, ENOUGH, theirs, f"{relative.name} does it in the same server: {theirs.because}"
            )
    return _judgement(criterion, 1, fact, f"needs a second system: {fact.because}")


def _judgement(criterion: Criterion, value: int, fact: Fact, because: str | None = None) -> Judgement:
    return Judgement(
        criterion=criterion,
        mark=value,
        because=because or fact.because,
        source=fact.source,
        evidence=fact.evidence,
        url=fact.url,
    )


def mark(fact: Fact, criterion: Criterion, need: Need) -> int:
    """The mark that a fact earns: by answer, or by number at the end of the need's years."""
    asked = demand(need, criterion.id, need.years)
    if fact.floor is not None:
        return _within(fact.floor, float(asked), criterion)
    most = limit(fact, need, criterion.id)
    return fact.marks[str(asked)] if most is None else _within(float(asked), most, criterion)


def _within(asked: float, most: float, criterion: Criterion) -> int:
    if asked <= most:
        return BEST
    return 1 if asked <= TENFOLD * most and not criterion.hard else 0


def _inside(system: System, criterion: Criterion, home: str | None) -> Judgement:
    at_home = system.family == home
    because = f"runs in the {home} that is there" if at_home else f"a second system beside {home}"
    return Judgement(
        criterion=criterion,
        mark=system.inside or BEST if at_home else 0,
        because=because,
        source=criterion.source,
        evidence="assumed",
    )


def _operated(system: System, criterion: Criterion, need: Need, known: Catalogue) -> Judgement:
    own = {system.name, *(other.name for other in known.relatives(system))} & set(need.runs)
    if system.name in own or (own and system.extends is None):
        value, because = BEST, "the team operates it today"
    elif own:
        value, because = system.inside, f"runs in the {system.extends} that the team operates today"
    else:
        value, because = 0, "the team does not operate it today"
    return Judgement(
        criterion=criterion, mark=value, because=because, source="the need itself", evidence="assumed"
    )


def first(standings: Iterable[Standing]) -> Standing | None:
    """The best system that nothing excludes."""
    return next((standing for standing in standings if not standing.excluded_by), None)
