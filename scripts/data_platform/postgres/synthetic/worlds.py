"""The worlds of a table: the ways in which its rows satisfy all its checks, and how often each occurs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from data_platform.postgres.synthetic import trees
from data_platform.postgres.synthetic.checks import CheckReader
from data_platform.postgres.synthetic.facts import (
    ANYTHING,
    NO_FACTS,
    Bound,
    Derived,
    Facts,
    World,
    about,
    combine,
    every,
    text_fits,
)
from data_platform.postgres.synthetic.keys import Key
from data_platform.postgres.synthetic.kinds import LINEAR, Kind
from data_platform.postgres.synthetic.subject import Subject, Unfillable
from data_platform.sql.text import expression_tree

_NARROW = LINEAR | {"boolean", "enum"}


def possible_worlds(subject: Subject) -> tuple[World, ...]:
    """The worlds that the checks of table and domains, NOT NULL and given values leave; Unfillable if none."""
    parts = [(check.name, subject.reader.read(check.expression)) for check in subject.table.checks]
    parts += [("NOT NULL", (_not_null(subject),)), ("the given values", (_given(subject),))]
    parts += [(name, _of_domain(subject, kind, name)) for name, kind in subject.kinds.items() if kind.checks]
    parts += [(key.name, _split(subject, key)) for key in subject.keys if _needs_split(subject, key)]
    worlds: tuple[World, ...] = (ANYTHING,)
    for name, part in parts:
        worlds = every([worlds, part])
        if not worlds:
            raise Unfillable(f"no values were found that satisfy {name}")
    return tuple(_hinted(subject, world) for world in worlds)


def _not_null(subject: Subject) -> World:
    key = subject.table.primary_key
    solid = {name for name in subject.columns if not subject.may_be_null(name)} | set(
        key.columns if key else ()
    )
    return World({name: Facts(null=False) for name in subject.columns if name in solid})


def _given(subject: Subject) -> World:
    pins = {name: value for name, value in subject.setting.pins.items() if name in subject.columns}
    facts = {
        name: Facts(null=True) if value is None else Facts(null=False, only=(value,))
        for name, value in pins.items()
    }
    return World({**facts, **{name: Facts(null=True) for name in subject.empty}})


def _of_domain(subject: Subject, kind: Kind, column: str) -> tuple[World, ...]:
    """What the checks of a domain say of a column of it."""
    reader = CheckReader({"value": kind}, subject.setting.fold)
    worlds = every(reader.read(expression) for expression in kind.checks)
    return tuple(replace(world, facts={column: world.of("value")}) for world in worlds)


def inner_facts(subject: Subject, kind: Kind) -> Facts:
    """The same for a value inside an array or a composite: one of the alternatives will do."""
    return next((world.of("value") for world in _of_domain(subject, kind, "value")), NO_FACTS)


def _needs_split(subject: Subject, key: Key) -> bool:
    """Whether a partial key would cost too many rows if it bound them all: no column of it is wide."""
    own = [name for name in key.columns if name in subject.kinds and not subject.refers(name)]
    return key.where is not None and all(subject.kinds[name].base in _NARROW for name in own)


def _split(subject: Subject, key: Key) -> tuple[World, ...]:
    """The worlds in which a partial key binds, and those in which it does not."""
    binding = subject.reader.read(key.where or "true")
    free = [world for world in subject.reader.opposite(key.where or "true") if world.sure]
    exempt = tuple(replace(world, exempt=frozenset({key.name})) for world in free)
    return (*binding, *exempt) if all(world.sure for world in binding) else (ANYTHING,)


def _hinted(subject: Subject, world: World) -> World:
    """With the limits of hints, where they do not contradict the checks."""
    for name, kind in subject.kinds.items():
        hint = subject.hint(name)
        if kind.base in LINEAR:
            lows = frozenset({Bound(hint.minimum)} if hint.minimum else ())
            highs = frozenset({Bound(hint.maximum)} if hint.maximum else ())
            world = combine(world, about(name, Facts(lows=lows, highs=highs))) or world
    return world


def weights_of(subject: Subject, worlds: Sequence[World]) -> tuple[float, ...]:
    """How often each world occurs: a status as often as its hint says, and NULL where only some worlds have it."""
    weights = tuple(_weight(subject, world, worlds) for world in worlds)
    return weights if any(weights) else (1.0,) * len(worlds)


def _weight(subject: Subject, world: World, worlds: Sequence[World]) -> float:
    weight = 1.0
    for name in subject.columns:
        hint, facts = subject.hint(name), world.of(name)
        if hint.values:
            total = sum(share for _, share in hint.values)
            weight *= sum(share for value, share in hint.values if is_allowed(value, facts)) / total
        if hint.null_fraction is not None and {other.of(name).null for other in worlds} == {True, False}:
            weight *= hint.null_fraction if facts.null else 1 - hint.null_fraction
    return weight


def is_allowed(value: str, facts: Facts) -> bool:
    """Whether a hinted value obeys what is known; bounds of numbers are left to the server."""
    return not facts.null and text_fits(value, replace(facts, lows=frozenset(), highs=frozenset()))


def derived_columns(subject: Subject, worlds: Sequence[World]) -> tuple[Derived, ...]:
    """Columns that the server computes from others, in every world the same."""
    common = frozenset.intersection(*(world.derived for world in worlds))
    chosen: dict[str, Derived] = {}
    for derived in sorted(common, key=lambda item: (item.column, item.expression)):
        used = trees.columns(expression_tree(derived.expression))
        if not used & chosen.keys() and derived.column not in subject.setting.pins:
            chosen.setdefault(derived.column, derived)
    return tuple(chosen.values())
