"""Intervals that never overlap, for exclusion constraints: the line is cut into slots, and each is used once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from data_platform.postgres.synthetic.facts import World
from data_platform.postgres.synthetic.keys import Key
from data_platform.postgres.synthetic.kinds import LINEAR, RANGES, Kind
from data_platform.postgres.synthetic.linear import SECOND, Scale, scale_of
from data_platform.postgres.synthetic.lines import limits
from data_platform.postgres.synthetic.space import HUGE
from data_platform.postgres.synthetic.subject import Subject
from data_platform.postgres.synthetic.units import Slots, Unit

_LONGEST_SLOT = {Fraction(SECOND): 7200}
"""In ticks: two hours for times; a few of whatever else there is."""
_FEW = 8


def slots(subject: Subject, worlds: Sequence[World], key: Key, owners: Mapping[str, Unit]) -> Slots | None:
    """The unit of the columns that must not overlap; None if they are not free or not on a line."""
    taken = {*owners, *subject.setting.pins}
    if any(column in taken or column not in subject.columns for column in key.overlap):
        return None
    base = subject.kinds[key.overlap[0]].base
    base = RANGES.get(base, base)
    if base not in LINEAR or any(world.of(column).null for world in worlds for column in key.overlap):
        return None
    scale = scale_of(Kind(base=base))
    low, high = _line(scale, worlds, key)
    wanted = 2 * (subject.setting.rows + (subject.setting.beyond or 0)) + 100
    least = max(
        (_ticks(r.gap, scale) for w in worlds for r in w.relations if r.left in key.overlap), default=0
    )
    slot = max(2, 2 * least + 2, min(_LONGEST_SLOT.get(scale.tick, _FEW), (scale.last - low) // wanted))
    size = max(1, min((high - low) // slot, HUGE))
    return Slots(key.overlap, scale, low, slot, max(1, least, slot // 2), size, subject.stream(*key.overlap))


def _line(scale: Scale, worlds: Sequence[World], key: Key) -> tuple[int, int]:
    """From where the plausible values begin, if that is allowed, to the end of what is."""
    found = [limits(scale, world.of(column)) for world in worlds for column in key.overlap]
    low, high = max(low for low, _ in found), min(high for _, high in found)
    return max(low, min(scale.first, high - 1)), high


def _ticks(gap: Fraction, scale: Scale) -> int:
    return max(0, scale.at_least(gap))
