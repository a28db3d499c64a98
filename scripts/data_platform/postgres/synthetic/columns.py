"""Plain columns: which values each may have in each world, and how they are drawn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial

from data_platform.postgres.synthetic.facts import Bound, Facts, World, both
from data_platform.postgres.synthetic.kinds import CLOCKS, MOMENTS
from data_platform.postgres.synthetic.scattered import uuid7_space
from data_platform.postgres.synthetic.space import Linear, Listed, Space
from data_platform.postgres.synthetic.stream import Draw, Rising
from data_platform.postgres.synthetic.subject import NO_HINT, Subject, Unfillable
from data_platform.postgres.synthetic.units import Choice, Plain
from data_platform.postgres.synthetic.values import space_of
from data_platform.postgres.synthetic.wish import NoValues, Wish
from data_platform.postgres.synthetic.worlds import inner_facts, is_allowed

NULL_SHARE = 0.1
"""How much of a nullable column is NULL when nothing else is said."""
_MOSTLY_NULL_SHARE = 0.9
_MOSTLY_NULL = re.compile(
    r"(deleted|archived|cancell?ed|revoked|removed|disabled|suspended|deactivated)_?(at|on|by|date|time)?"
)
_DAY = 86_400

Spaces = Mapping[str, Sequence[Space | None]]
"""Each column's space in each world; None where it is NULL."""


def spaces_of(subject: Subject, worlds: Sequence[World]) -> tuple[tuple[World, ...], Spaces]:
    """The worlds in which every column has values, and these; Unfillable if there is none."""
    kept: list[World] = []
    found: list[dict[str, Space | None]] = []
    problem = ""
    for world in worlds:
        try:
            found.append({name: _space(subject, name, world.of(name)) for name in subject.columns})
            kept.append(world)
        except NoValues as error:
            problem = str(error)
    if not kept:
        raise Unfillable(problem)
    return tuple(kept), {name: [spaces[name] for spaces in found] for name in subject.columns}


def _space(subject: Subject, column: str, facts: Facts) -> Space | None:
    if facts.null:
        return None
    try:
        return _hinted_space(subject, column, facts) or _typed_space(subject, column, facts)
    except NoValues as problem:
        if facts.null is None:
            return None
        raise NoValues(f"column {column}: {problem}") from None


def _hinted_space(subject: Subject, column: str, facts: Facts) -> Listed | None:
    allowed = [(value, share) for value, share in subject.hint(column).values if is_allowed(value, facts)]
    if not allowed or column in subject.setting.pins:
        return None
    values, weights = zip(*allowed, strict=True)
    return Listed(values, weights)


def _typed_space(subject: Subject, column: str, facts: Facts) -> Space:
    if facts.only is None and subject.is_uuid7(column):
        return uuid7_space()
    if facts.only is None and subject.is_serial(column):
        facts = both(facts, Facts(lows=frozenset({Bound("1")}))) or facts
    rows = subject.setting.rows
    keyed = any(column in key.columns for key in subject.keys)
    wish = Wish(
        column=column,
        table=subject.table.name.name,
        # The same for a fresh row as for the table, so that both count through the same space.
        distinct=rows + rows // 10 + 50 if keyed else 1,
        fold=any(column in key.folded for key in subject.keys),
        inner=partial(inner_facts, subject),
    )
    return space_of(subject.kinds[column], facts, wish)


def plain(subject: Subject, worlds: Sequence[World], spaces: Spaces, column: str) -> Plain:
    """The unit of a column on its own."""
    choices = tuple(
        None if space is None else _choice(subject, column, space, world)
        for space, world in zip(spaces[column], worlds, strict=True)
    )
    pace = max((_pace(subject, column, choice.space) for choice in choices if choice), default=1)
    return Plain(column, choices, subject.stream(column), pace)


def _choice(subject: Subject, column: str, space: Space, world: World) -> Choice:
    hint = subject.hint(column)
    if subject.is_clock(column) and hint == NO_HINT and isinstance(space, Linear):
        return Choice(space, Rising(space.natural, subject.setting.rows), null_share(subject, column, world))
    size = max(1, min(space.natural, hint.distinct or space.natural))
    weights = space.weights if isinstance(space, Listed) and hint.distinct is None else ()
    draw = Draw(size, weights=weights, skew=hint.skew)
    spread = space.natural // size if isinstance(space, Linear) and hint.distinct else 1
    return Choice(space, draw, null_share(subject, column, world), spread)


def _pace(subject: Subject, column: str, space: Space) -> int:
    """Times that are given out one after the other lie apart: readings of a device, days of an account."""
    if not isinstance(space, Linear) or subject.kinds[column].base not in MOMENTS | CLOCKS:
        return 1
    return max(1, min(space.natural // (2 * max(1, subject.setting.rows)), _DAY))


def null_share(subject: Subject, column: str, world: World) -> float:
    """How much of the column is NULL in a world. A fresh row has what the table mostly has."""
    facts = world.of(column)
    if facts.null is not None:
        return float(facts.null)
    if any(column in key.solid and key.name not in world.exempt for key in subject.keys):
        return 0.0
    share = subject.hint(column).null_fraction
    if share is None:
        share = _MOSTLY_NULL_SHARE if _MOSTLY_NULL.fullmatch(column.lower()) else NULL_SHARE
    return share if subject.setting.beyond is None else float(share > 0.5)
