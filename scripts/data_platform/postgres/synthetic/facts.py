"""What the values of a column must obey, and what whole rows must: the result of reading CHECK constraints.

A `World` is one way in which a row can be valid; a table with `CHECK ((a IS NULL) <> (b IS NULL))` has two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from types import MappingProxyType
from typing import Literal

from data_platform.postgres.synthetic.pattern import in_python

Comparison = Literal["<", "<=", "<>", "="]


@dataclass(frozen=True)
class Bound:
    """A limit, as PostgreSQL input text; `strict` leaves the limit itself out."""

    text: str
    strict: bool = False


@dataclass(frozen=True)
class Pattern:
    """A regular expression that must match, or (not `wanted`) must not."""

    regex: str
    wanted: bool = True
    ignore_case: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known about one column's values. Apart from `null`, facts speak of the values that are not NULL.

    `shortest` and `longest` count characters of a text, items of an array.
    """

    null: bool | None = None
    only: tuple[str, ...] | None = None
    never: frozenset[str] = frozenset()
    lows: frozenset[Bound] = frozenset()
    highs: frozenset[Bound] = frozenset()
    shortest: int = 0
    longest: int | None = None
    patterns: frozenset[Pattern] = frozenset()
    multiple_of: int = 1
    json_type: str | None = None
    json_keys: frozenset[str] = frozenset()
    calendar: frozenset[tuple[str, str, str]] = frozenset()
    """Parts of a date: ("day", "=", "1") is extract(day FROM x) = 1."""

    def possible(self) -> bool:
        """Whether nothing contradicts itself at first sight."""
        if self.null:
            return True
        return self.only != () and (self.longest is None or self.shortest <= self.longest)


NO_FACTS = Facts()
CALENDAR = frozenset({"year", "quarter", "month", "week", "day", "dow", "isodow", "doy"})
"""The parts of a date that facts speak of."""


def both(a: Facts, b: Facts) -> Facts | None:
    """What holds when `a` and `b` do; None if that cannot be. A column that must be NULL forgets the rest."""
    if a.null is not None and b.null is not None and a.null != b.null:
        return None
    null = a.null if a.null is not None else b.null
    if a.json_type and b.json_type and a.json_type != b.json_type:
        return Facts(null=True) if null is not False else None
    never = a.never | b.never
    longest = [limit for limit in (a.longest, b.longest) if limit is not None]
    merged = Facts(
        null=null,
        only=_common(a.only, b.only, never),
        never=never,
        lows=a.lows | b.lows,
        highs=a.highs | b.highs,
        shortest=max(a.shortest, b.shortest),
        longest=min(longest, default=None),
        patterns=a.patterns | b.patterns,
        multiple_of=lcm(a.multiple_of, b.multiple_of),
        json_type=a.json_type or b.json_type,
        json_keys=a.json_keys | b.json_keys,
        calendar=a.calendar | b.calendar,
    )
    if merged.null:
        return Facts(null=True)
    if merged.possible():
        return merged
    return Facts(null=True) if null is None else None


def _common(
    a: tuple[str, ...] | None, b: tuple[str, ...] | None, never: frozenset[str]
) -> tuple[str, ...] | None:
    if a is None and b is None:
        return None
    values = a if a is not None else b or ()
    return tuple(v for v in values if (b is None or v in b) and v not in never)


@dataclass(frozen=True)
class Relation:
    """`left` compared with `right`, two columns: `left + gap <= right`. `gap` is in the type's unit (µs for times)."""

    left: str
    comparison: Comparison
    right: str
    gap: Fraction = Fraction(0)


@dataclass(frozen=True)
class Derived:
    """`column` equals `expression`, SQL text over other columns; the server computes it."""

    column: str
    expression: str


@dataclass(frozen=True)
class World:
    """One way to satisfy the checks. `sure` is False when a part was not understood, so that rows may still fail.

    `exempt` names the partial unique keys whose predicate is false here.
    """

    facts: Mapping[str, Facts] = field(default_factory=lambda: MappingProxyType({}))
    relations: frozenset[Relation] = frozenset()
    derived: frozenset[Derived] = frozenset()
    sure: bool = True
    exempt: frozenset[str] = frozenset()

    def of(self, column: str) -> Facts:
        """The facts about `column`."""
        return self.facts.get(column, NO_FACTS)


ANYTHING = World()
UNKNOWN = World(sure=False)
MOST_WORLDS = 96
"""More alternatives than this are cut: enough of them stay for rows to be valid and varied."""


def about(column: str, facts: Facts) -> World:
    """The world in which just this is known."""
    return World({column: facts})


def combine(a: World, b: World) -> World | None:
    """The world in which both hold; None if there is none."""
    facts = dict(a.facts)
    for column, more in b.facts.items():
        merged = both(facts.get(column, NO_FACTS), more)
        if merged is None:
            return None
        facts[column] = merged
    return World(
        facts, a.relations | b.relations, a.derived | b.derived, a.sure and b.sure, a.exempt | b.exempt
    )


def every(parts: Iterable[tuple[World, ...]]) -> tuple[World, ...]:
    """All worlds in which one alternative of each part holds: a conjunction."""
    worlds: tuple[World, ...] = (ANYTHING,)
    for part in parts:
        merged = (combine(a, b) for a in worlds for b in part)
        worlds = _distinct(world for world in merged if world)[:MOST_WORLDS]
    return worlds


def some(parts: Iterable[tuple[World, ...]]) -> tuple[World, ...]:
    """The worlds of a disjunction. Those that were not understood are left out if another one was."""
    worlds = _distinct(world for part in parts for world in part)
    sure = tuple(world for world in worlds if world.sure)
    return tuple(world for world in sure or worlds if not _implied(world, sure or worlds))


def _distinct(worlds: Iterable[World]) -> tuple[World, ...]:
    kept: list[World] = []
    for world in worlds:
        if world not in kept:
            kept.append(world)
    return tuple(kept)


def _implied(world: World, others: tuple[World, ...]) -> bool:
    """Whether `x IS NULL` alone is the world, and another one speaks of x only and lets it be NULL anyway."""
    if world.relations or world.derived or len(world.facts) != 1:
        return False
    ((column, facts),) = world.facts.items()
    if facts.null is not True:
        return False
    return any(
        set(other.facts) == {column} and other.facts[column].null is None and not other.derived
        for other in others
        if other is not world
    )


def text_fits(text: str, facts: Facts) -> bool:
    """Whether `text` obeys what `facts` say about texts, as far as Python can tell; the server has the last word."""
    if facts.only is not None and text not in facts.only:
        return False
    if text in facts.never or len(text) < facts.shortest:
        return False
    if facts.longest is not None and len(text) > facts.longest:
        return False
    if any(not _above(text, bound) for bound in facts.lows):
        return False
    if any(not _above(bound.text, Bound(text, bound.strict)) for bound in facts.highs):
        return False
    return all(_matches(text, pattern) for pattern in facts.patterns)


def _above(text: str, low: Bound) -> bool:
    return text > low.text or (text == low.text and not low.strict)


def _matches(text: str, pattern: Pattern) -> bool:
    compiled = in_python(pattern.regex, pattern.ignore_case)
    return compiled is not None and (compiled.search(text) is not None) == pattern.wanted


def strict(worlds: Iterable[World]) -> tuple[World, ...]:
    """The worlds without the rows that pass only because something is NULL."""
    return tuple(filter(None, (combine(world, _present(world)) for world in worlds)))


def _present(world: World) -> World:
    known = {column for column, facts in world.facts.items() if facts.null is None}
    related = {column for relation in world.relations for column in (relation.left, relation.right)}
    return World({column: Facts(null=False) for column in sorted(known | related)})
