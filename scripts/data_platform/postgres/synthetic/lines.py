"""Numbers, dates, times and ranges of them: what the facts leave of a scale, and which part of it is plausible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from math import ceil, lcm

from data_platform.postgres.synthetic.facts import Bound, Facts
from data_platform.postgres.synthetic.kinds import MOMENTS, RANGES, Kind
from data_platform.postgres.synthetic.linear import DAY, REFERENCE_DAY, Scale, interval_texts, scale_of
from data_platform.postgres.synthetic.space import HUGE, Linear, Listed, Space
from data_platform.postgres.synthetic.wish import NoValues, Wish, listed


def linear_space(kind: Kind, facts: Facts, wish: Wish) -> Linear | Listed:
    """The part of a scale that the facts leave."""
    scale = scale_of(kind)
    low, high = limits(scale, facts)
    step = _step(scale, facts.multiple_of)
    low = ceil(low / step) * step
    if low > high:
        raise NoValues("its constraints leave no value")
    if facts.calendar:
        return _calendar_days(scale, kind, facts, (low, high), wish.distinct)
    first, last = _plausible(scale, kind, wish.column.lower())
    if not low <= first <= high:
        # The usual values are out of reach: stay near the limit that is.
        first = low if first < low else max(low, high - (last - first))
    last = min(high, max(last, first + 100 * step if last <= first else last))
    first = -(-first // step) * step
    return Linear(scale, low, high, first, max(1, (last - first) // step + 1), step)


def limits(scale: Scale, facts: Facts) -> tuple[int, int]:
    """The lowest and highest tick that the facts allow; a bound that cannot be read is left to the server."""
    low, high = scale.low, scale.high
    for bound in facts.lows:
        place = _place(scale, bound)
        low = low if place is None else max(low, scale.at_least(place, bound.strict))
    for bound in facts.highs:
        place = _place(scale, bound)
        high = high if place is None else min(high, scale.at_most(place, bound.strict))
    return _past_forbidden(scale, facts, low, high)


def _place(scale: Scale, bound: Bound) -> Fraction | None:
    try:
        return scale.parse(bound.text)
    except ValueError:
        return None


def _past_forbidden(scale: Scale, facts: Facts, low: int, high: int) -> tuple[int, int]:
    """Of the parts between forbidden values, the one with most of the plausible values, or else the widest."""
    places = [_place(scale, Bound(text)) for text in sorted(facts.never)]
    ticks = sorted(
        int(place / scale.tick) for place in places if place is not None and not place % scale.tick
    )
    edges = [low - 1, *(tick for tick in ticks if low <= tick <= high), high + 1]
    parts = [(a + 1, b - 1) for a, b in pairwise(edges) if a + 1 < b]
    return max(
        parts or [(low, high)],
        key=lambda part: (min(part[1], scale.last) - max(part[0], scale.first), part[1] - part[0]),
    )


def _step(scale: Scale, multiple_of: int) -> int:
    """How many ticks lie between two multiples."""
    return (
        lcm(scale.tick.denominator, multiple_of * scale.tick.denominator) // scale.tick.numerator or 1
        if multiple_of > 1
        else 1
    )


def _plausible(scale: Scale, kind: Kind, name: str) -> tuple[int, int]:
    if kind.base in MOMENTS:
        day = 1 if kind.base == "date" else 86_400
        if "birth" in name or name == "dob":
            return -70 * 365 * day, -18 * 365 * day
        if any(word in name for word in ("expire", "expiry", "due", "valid_to", "valid_until")):
            return 30 * day, 730 * day
    one = scale.tick.denominator if kind.base in ("numeric", "real", "double precision", "money") else 1
    if name.startswith("lat"):
        return -60 * one, 60 * one
    if name.startswith(("lon", "lng")):
        return -180 * one, 180 * one
    if any(word in name for word in ("quantity", "qty", "stars", "rating", "attempts", "priority")):
        return one, 5 * one
    if any(word in name for word in ("percent", "rate", "discount", "score")):
        return 0, min(scale.last, 100 * one)
    if name in ("year", "release_year") and one == 1 and scale.high > 3000:
        return 1990, 2026
    if name in ("age",):
        return 18, 90
    return scale.first, scale.last


def _calendar_days(scale: Scale, kind: Kind, facts: Facts, limits_: tuple[int, int], distinct: int) -> Listed:
    """Days (midnights for timestamps) whose parts are as the facts say, the latest first."""
    if kind.base not in MOMENTS:
        raise NoValues("its constraints on parts of the time are not understood")
    per_day = int(Fraction(DAY) / scale.tick)
    first, last = -(-limits_[0] // per_day), limits_[1] // per_day
    found: list[int] = []
    newest = min(last, -1 if first < 0 else first + 730)
    for day in range(newest, max(first, newest - _MOST_DAYS) - 1, -1):
        if _has_parts(REFERENCE_DAY + timedelta(days=day), facts):
            found.append(day)
        if len(found) >= max(distinct, 400):
            break
    return listed(scale.write([day * per_day for day in found]), facts)


_MOST_DAYS = 300_000
_PARTS: dict[str, Callable[[date], int]] = {
    "year": lambda day: day.year,
    "month": lambda day: day.month,
    "day": lambda day: day.day,
    "dow": lambda day: day.isoweekday() % 7,
    "isodow": lambda day: day.isoweekday(),
    "quarter": lambda day: (day.month + 2) // 3,
    "quarter_month": lambda day: (day.month - 1) % 3 + 1,
    "week": lambda day: day.isocalendar().week,
    "doy": lambda day: day.timetuple().tm_yday,
}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _part(day: date, name: str) -> int:
    """A part of a day at midnight: all smaller parts are 0."""
    return _PARTS[name](day) if name in _PARTS else 0


def _has_parts(day: date, facts: Facts) -> bool:
    return all(_COMPARE[operator](_part(day, part), float(value)) for part, operator, value in facts.calendar)


# Ranges.


def range_space(kind: Kind, facts: Facts, wish: Wish) -> Space:
    """Ranges that are bounded on both sides and not empty."""
    scale = scale_of(Kind(base=RANGES[kind.base]))
    low, high = limits(scale, facts)
    widths = 1 if scale.tick >= DAY or kind.base.startswith("int") else 3600
    most = max(1, min(30, (high - low) // widths))
    if high <= low:
        raise NoValues("its constraints leave no value")
    first = min(max(scale.first, low), high - 1)
    lowers = Linear(scale, low, high - 1, first, max(1, min(scale.last, high - most * widths) - first + 1))

    def write(numbers: Sequence[int]) -> list[str]:
        starts = lowers.ticks([number // most for number in numbers])
        ends = [
            min(high, start + (number % most + 1) * widths)
            for start, number in zip(starts, numbers, strict=True)
        ]
        return interval_texts(scale, starts, ends)

    return Columnwise(min(HUGE, lowers.size * most), min(HUGE, lowers.natural * most), write)


@dataclass(frozen=True)
class Columnwise:
    """Values made by a function of a list of numbers."""

    size: int
    natural: int
    write: Callable[[Sequence[int]], list[str]]

    def texts(self, numbers: Sequence[int]) -> list[str]:
        return self.write(numbers)
