"""From a need to an answer: the first system, what it needs beside it, and which answer would change that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from data_platform.spec.storage import Need
from data_platform.storage.catalogue import Answer, Catalogue, System, catalogue
from data_platform.storage.demand import asks, settled
from data_platform.storage.enough import HOME, Enough, enough
from data_platform.storage.rank import ENOUGH, Judgement, Standing, first, mark, rank

PARTS = {"search": "search", "vectors": "nearest vectors", "cache": "cache"}
APART = {"vectors": "vectors", "text": "search"}
"""Kind of data → its main job, which a copy beside another system can do."""


@dataclass(frozen=True, kw_only=True)
class Companion:
    """A second system for one job. `system` is None when none of the thirteen can do it."""

    part: str
    system: str | None
    inside: bool
    because: str

    @property
    def job(self) -> str:
        """What it is for, in words."""
        return PARTS[self.part]

    @property
    def beside(self) -> str:
        """As it stands in an answer: `Redis as cache`."""
        return f"{self.system} {'as' if self.part == 'cache' else 'for'} {self.job}"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The first system, and the systems beside it."""

    system: str | None
    companions: tuple[Companion, ...] = ()

    @property
    def unmet(self) -> tuple[str, ...]:
        """Jobs that no system does."""
        return tuple(companion.job for companion in self.companions if companion.system is None)

    def __str__(self) -> str:
        if self.system is None:
            return "none of the 13 systems"
        found = [companion for companion in self.companions if companion.system]
        within = [str(companion.system) for companion in found if companion.inside]
        beside = [companion.beside for companion in found if not companion.inside]
        answer = " + ".join([" with ".join([self.system, *within]), *beside])
        return f"{answer}, but nothing for {' and '.join(self.unmet)}" if self.unmet else answer


@dataclass(frozen=True, kw_only=True)
class Change:
    """One answer taken one step, and what is chosen then."""

    answer: Answer
    before: Any
    after: Any
    choice: Choice


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The whole answer to a need."""

    need: Need
    choice: Choice
    standings: tuple[Standing, ...]
    enough: Enough
    would_change: tuple[Change, ...]
    would_add: tuple[Change, ...]
    """Steps that keep the first system and change only what stands beside it."""
    apart: bool = False
    """Whether no system does all of it, so that the records were ranked without their main job, which a copy does."""

    @property
    def short(self) -> tuple[Judgement, ...]:
        """What the first system does only beyond its limit, and no second one does for it."""
        if self.choice.system is None:
            return ()
        helped = {companion.part for companion in self.choice.companions}
        return tuple(
            j
            for j in self.standings[0].judgements
            if j.mark == 1 and j.criterion.numeric and j.criterion.part not in helped
        )

    @property
    def tied(self) -> tuple[str, ...]:
        """Systems with as many points as the first one; the order of `rank` decided."""
        able = [standing for standing in self.standings if not standing.excluded_by]
        return tuple(s.system.name for s in able[1:] if s.points == able[0].points)


def select(need: Need) -> Selection:
    """Rank the systems for a need, and rank them again for each answer changed by one step."""
    known = catalogue()
    need = settled(need)
    ranked = _ranked(need, known)
    choice = ranked.choice
    changes = [
        Change(answer=answer, before=before, after=after, choice=choose(changed))
        for answer, before, after, changed in steps(need, known)
    ]
    return Selection(
        need=need,
        choice=choice,
        standings=ranked.standings,
        enough=enough(need, known),
        apart=ranked.apart,
        would_change=tuple(c for c in changes if c.choice.system != choice.system),
        would_add=tuple(
            c for c in changes if c.choice.system == choice.system and str(c.choice) != str(choice)
        ),
    )


def choose(need: Need) -> Choice:
    """The choice alone, without what would change it."""
    return _ranked(settled(need), catalogue()).choice


@dataclass(frozen=True, kw_only=True)
class _Ranked:
    standings: tuple[Standing, ...]
    choice: Choice
    apart: bool = False


def _ranked(need: Need, known: Catalogue) -> _Ranked:
    """The ranking; if no system does the main job and the rest of it, that of the records with a copy beside them."""
    whole = _as_one(need, known)
    part = APART.get(need.data)
    if part is None or _does(part, whole.choice.system, need, known):
        return whole
    apart = _as_one(replace(need, data="relational"), known)
    done = apart.choice.system is not None and not apart.choice.unmet
    return replace(apart, apart=True) if done else whole


def _does(part: str, system: str | None, need: Need, known: Catalogue) -> bool:
    return system is not None and min(_marks(part, known.system(system), need, known)) >= ENOUGH


def _as_one(need: Need, known: Catalogue) -> _Ranked:
    standings = rank(need, known, HOME if enough(need, known).for_main_job else None)
    winner = first(standings)
    if winner is None:
        return _Ranked(standings=standings, choice=Choice(system=None))
    companions = _companions(standings, need, known)
    return _Ranked(standings=standings, choice=Choice(system=winner.system.name, companions=companions))


# --- what the first system leaves to a second one ---


def _companions(standings: tuple[Standing, ...], need: Need, known: Catalogue) -> tuple[Companion, ...]:
    """For each job that the first system does not do itself, the first in the ranking for that job alone."""
    winner = standings[0]
    # Searches by nearness are seldom asked twice.
    parts = [part for part in PARTS if (part, need.data) != ("cache", "vectors")]
    short = [part for part in parts if min(_marks(part, winner.system, need, known), default=ENOUGH) < ENOUGH]
    found = [_companion(part, standings, need, known) for part in short]
    return tuple(one for one in found if one.system is not None or one.part != APART.get(need.data))


def _marks(part: str, system: System, need: Need, known: Catalogue) -> list[int]:
    """The system's own marks for a job; none where the need does not ask for it."""
    asked = [c for c in known.criteria if c.part == part and asks(need, c)]
    return [mark(system.facts[c.id], c, need) for c in asked]


def _companion(part: str, standings: tuple[Standing, ...], need: Need, known: Catalogue) -> Companion:
    family = standings[0].system.family
    for standing in rank(_alone(part, need), known, family):
        system = standing.system
        able = not standing.excluded_by and min(_marks(part, system, need, known)) >= ENOUGH
        if able and _may_stand_beside(system, part, standings, need, known):
            because = next(j.because for j in standing.judgements if j.criterion.part == part)
            return Companion(part=part, system=system.name, inside=system.family == family, because=because)
    return Companion(part=part, system=None, inside=False, because="none of the 13 systems does this")


def _may_stand_beside(
    system: System, part: str, standings: tuple[Standing, ...], need: Need, known: Catalogue
) -> bool:
    """Not the first system or what that runs in; a cache is another server.

    What could have been the first system for its main job and was not is none beside it either.
    """
    winner = standings[0].system
    if system.name in (winner.name, winner.extends) or (part == "cache" and system.family == winner.family):
        return False
    main_job = any(c.part == part and c.core_for == need.data for c in known.criteria)
    return not main_job or any(s.system == system and s.excluded_by for s in standings)


def _alone(part: str, need: Need) -> Need:
    """The need of a copy that serves one job: it may be late, and it can be made again from the first system."""
    copy = replace(
        need,
        consistency="eventual",
        loss="regenerate",
        largest_bytes=0,
        added_rows_per_year=0,
        writes_per_second=0,
        search="none",
        documents=0,
        vectors=0,
    )
    if part == "cache":
        return replace(copy, data="key_value", queries="by_key", rows=0)
    quiet = replace(copy, queries="filter", reads_per_second=0, latency_ms=1000)
    if part == "search":
        return replace(quiet, data="text", rows=need.documents, documents=need.documents, search=need.search)
    bytes_each = 4 * need.dimensions
    return replace(quiet, data="vectors", rows=need.vectors, vectors=need.vectors, row_bytes=bytes_each)


# --- one step on an answer's scale ---


def steps(need: Need, known: Catalogue) -> Iterator[tuple[Answer, Any, Any, Need]]:
    """Every answer changed alone by one step: the answer, its value, the new value, the need with it."""
    for answer in known.answers.values():
        before = getattr(need, answer.key)
        for after in neighbours(answer, before):
            yield answer, before, after, replace(need, **{answer.key: after})


def neighbours(answer: Answer, value: Any) -> list[Any]:
    """The values one step away."""
    match answer.scale:
        case "any":
            return [other for other in answer.values if other != value]
        case "next":
            place = answer.values.index(value)
            return [answer.values[n] for n in (place - 1, place + 1) if 0 <= n < len(answer.values)]
        case "toggle":
            names = [system.name for system in catalogue().systems]
            return [tuple(name for name in names if (name in value) != (name == turned)) for turned in names]
        case _:
            return _scaled(value, answer.factor, answer.from_zero)


def _scaled(value: float, factor: int, from_zero: float) -> list[float]:
    if value == 0:
        return [from_zero]
    if isinstance(value, int):
        return [number for number in (value // factor, value * factor) if number > 0]
    return [value / factor, value * factor]
