"""Types whose values lie on a line (numbers, dates, times): whole ticks to text and back.

A tick is the step in which values are made: a cent for money, a second for a timestamp, a day for a date. Ticks count
from 0, or from REFERENCE_DAY's midnight for dates and timestamps. Lengths of ticks are compared in a unit that is the
same for every type of a family: 1 for numbers, a microsecond for times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil, floor

from data_platform.postgres.synthetic.kinds import CLOCKS, MOMENTS, WHOLE, Kind

REFERENCE_DAY = date(2026, 7, 1)
"""The "now" of synthetic data, fixed so that the same seed gives the same rows on any day."""

SECOND = 1_000_000
DAY = 86_400 * SECOND
_INTERVAL_UNITS = {
    "year": 365 * DAY,
    "mon": 30 * DAY,
    "month": 30 * DAY,
    "week": 7 * DAY,
    "day": DAY,
    "hour": 3600 * SECOND,
    "minute": 60 * SECOND,
    "min": 60 * SECOND,
    "second": SECOND,
    "sec": SECOND,
}


@dataclass(frozen=True)
class Scale:
    """How one type's values lie on the line.

    `tick` is a tick's length in the family's unit; `low` and `high` are the type's limits in ticks, inclusive;
    `first` and `last` the plausible part of them.
    """

    tick: Fraction
    low: int
    high: int
    first: int
    last: int
    write: Callable[[Sequence[int]], list[str]]
    parse: Callable[[str], Fraction]
    """A value's place in the family's unit; ValueError if the text is not of the form that the server prints."""

    def at_least(self, place: Fraction, strict: bool = False) -> int:
        """The first tick at or (`strict`) after `place`."""
        return floor(place / self.tick) + 1 if strict else ceil(place / self.tick)

    def at_most(self, place: Fraction, strict: bool = False) -> int:
        """The last tick at or (`strict`) before `place`."""
        return ceil(place / self.tick) - 1 if strict else floor(place / self.tick)


def scale_of(kind: Kind) -> Scale:
    """The scale of a linear kind (KeyError for others)."""
    if kind.base in WHOLE:
        limit = WHOLE[kind.base]
        return Scale(Fraction(1), -limit, limit - 1, 1, min(1000, limit - 1), _whole_texts, _number)
    if kind.base == "oid":
        return Scale(Fraction(1), 1, 2**32 - 1, 16384, 26383, _whole_texts, _number)
    if kind.base in MOMENTS:
        return _moment_scale(kind.base)
    if kind.base in CLOCKS:
        return _seconds_scale(0, 86_399, 6 * 3600, 22 * 3600, _CLOCK_WRITERS[kind.base], _clock)
    if kind.base == "interval":
        write, parse = _interval_texts, _interval
        return _seconds_scale(-(10**9), 10**9, 60, 8 * 3600, write, parse)
    return _decimal_scale(kind)


def _decimal_scale(kind: Kind) -> Scale:
    precision, digits = 15, 2
    if kind.base == "numeric" and kind.modifiers:
        precision, digits = kind.modifiers[0], (*kind.modifiers, 0)[1]
    if kind.base == "real":
        precision = 7  # a real tells 0.01 apart up to 131,072
    limit = min(10**precision - 1, 13_000_000 if kind.base == "real" else 10**precision)
    one = 10**digits if digits >= 0 else 1
    last = min(limit, 1000 * one)
    return Scale(
        Fraction(1, 10**digits) if digits >= 0 else Fraction(10**-digits),
        -limit,
        limit,
        1,
        last,
        _decimal_writer(digits),
        _number,
    )


def _moment_scale(base: str) -> Scale:
    if base == "date":
        low, high = (date(1, 1, 1) - REFERENCE_DAY).days, (date(9999, 12, 31) - REFERENCE_DAY).days
        return Scale(Fraction(DAY), low, high, -730, -1, _date_texts, _moment)
    low = (date(1, 1, 2) - REFERENCE_DAY).days * 86_400
    high = (date(9999, 12, 31) - REFERENCE_DAY).days * 86_400
    write = _stamp_texts if base == "timestamp without time zone" else _zoned_stamp_texts
    return Scale(Fraction(SECOND), low, high, -730 * 86_400, -1, write, _moment)


def _seconds_scale(
    low: int,
    high: int,
    first: int,
    last: int,
    write: Callable[[Sequence[int]], list[str]],
    parse: Callable[[str], Fraction],
) -> Scale:
    return Scale(Fraction(SECOND), low, high, first, last, write, parse)


# Ticks to texts, a column at a time.


def _whole_texts(ticks: Sequence[int]) -> list[str]:
    return list(map(str, ticks))


def _decimal_writer(digits: int) -> Callable[[Sequence[int]], list[str]]:
    if digits <= 0:
        zeros = "0" * -digits
        return lambda ticks: [f"{tick}{zeros}" if tick else "0" for tick in ticks]
    one = 10**digits

    def write(ticks: Sequence[int]) -> list[str]:
        return [
            f"{tick // one}.{tick % one:0{digits}d}"
            if tick >= 0
            else f"-{-tick // one}.{-tick % one:0{digits}d}"
            for tick in ticks
        ]

    return write


class _Memo(dict[int, str]):
    """Texts made once for each number."""

    def __init__(self, make: Callable[[int], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, number: int) -> str:
        self[number] = text = self._make(number)
        return text


_days = _Memo(lambda day: (REFERENCE_DAY + timedelta(days=day)).isoformat())
_clocks = _Memo(lambda second: f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}")


def _date_texts(ticks: Sequence[int]) -> list[str]:
    return [_days[tick] for tick in ticks]


def _stamp_texts(ticks: Sequence[int]) -> list[str]:
    return [f"{_days[tick // 86_400]} {_clocks[tick % 86_400]}" for tick in ticks]


def _zoned_stamp_texts(ticks: Sequence[int]) -> list[str]:
    return [f"{_days[tick // 86_400]} {_clocks[tick % 86_400]}+00" for tick in ticks]


def _clock_texts(ticks: Sequence[int]) -> list[str]:
    return [_clocks[tick] for tick in ticks]


def _zoned_clock_texts(ticks: Sequence[int]) -> list[str]:
    return [f"{_clocks[tick]}+00" for tick in ticks]


_CLOCK_WRITERS = {"time without time zone": _clock_texts, "time with time zone": _zoned_clock_texts}


def _interval_texts(ticks: Sequence[int]) -> list[str]:
    return [_clocks[tick] if tick >= 0 else f"-{_clocks[-tick]}" for tick in ticks]


def interval_texts(scale: Scale, starts: Sequence[int], ends: Sequence[int]) -> list[str]:
    """Half-open ranges."""
    return [f'["{a}","{b}")' for a, b in zip(scale.write(starts), scale.write(ends), strict=True)]


# Texts to places.


def _number(text: str) -> Fraction:
    try:
        return Fraction(Decimal(text.replace("$", "").replace(",", "")))
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError(text) from None


def _moment(text: str) -> Fraction:
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    zero = datetime.combine(REFERENCE_DAY, datetime.min.time(), UTC)
    return Fraction((moment - zero) // timedelta(microseconds=1))


def _clock(text: str) -> Fraction:
    found = re.match(r"(\d+):(\d+)(?::(\d+)(?:\.(\d+))?)?", text)
    if not found:
        raise ValueError(text)
    hours, minutes, seconds = int(found[1]), int(found[2]), int(found[3] or 0)
    fraction = int((found[4] or "0").ljust(6, "0")[:6])
    return Fraction((hours * 3600 + minutes * 60 + seconds) * SECOND + fraction)


def _interval(text: str) -> Fraction:
    return Fraction(microseconds(text))


def microseconds(text: str) -> int:
    """An interval's length as the server prints it: "1 day 02:00:00", a month as 30 days; ValueError if not one."""
    total, rest = 0, text.strip()
    for found in re.finditer(r"([+-]?\d+) ([a-z]+)", text):
        unit = _INTERVAL_UNITS.get(found[2].removesuffix("s"), _INTERVAL_UNITS.get(found[2]))
        if unit is None:
            raise ValueError(text)
        total += int(found[1]) * unit
        rest = rest.replace(found[0], "", 1).strip()
    if rest:
        sign = -1 if rest.startswith("-") else 1
        total += sign * int(_clock(rest.lstrip("+-")))
    return total
