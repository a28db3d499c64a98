"""The bounds of partitions, read: which rows fall between two ranges, and which remainders nobody takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

from data_platform.schema.rules import trees
from data_platform.sql.text import NotSql, parse

Point: TypeAlias = tuple[str, ...]
"""One end of a range as PostgreSQL writes it, an expression for each key."""


class Gap(NamedTuple):
    """From where to where nothing takes a row; both None where the order of the ranges cannot be told."""

    start: str | None
    end: str | None


@dataclass(frozen=True)
class _Range:
    start: Point
    end: Point


def gaps(bounds: Iterable[str]) -> Iterator[Gap]:
    """What ranges leave open between the first and the last of them.

    Where each but the last ends as another begins there is no gap, whatever the type; to name one, ends are compared.
    """
    ranges = [found for bound in bounds if (found := _range(bound)) is not None]
    starts, ends = {found.start for found in ranges}, {found.end for found in ranges}
    if len(ends - starts) < 2:
        return
    keys = {point: _key(point) for point in starts | ends}
    if any(key is None for key in keys.values()):
        yield Gap(None, None)
        return
    try:
        ordered = sorted(ranges, key=lambda found: keys[found.start] or ())
        pairs = [
            (one.end, other.start)
            for one, other in pairwise(ordered)
            if (keys[one.end] or ()) < (keys[other.start] or ())
        ]
    except TypeError:  # a date beside a number
        pairs = []
        yield Gap(None, None)
    yield from (Gap(", ".join(one), ", ".join(other)) for one, other in pairs)


def _range(bound: str) -> _Range | None:
    spec = _spec(bound)
    if spec is None or not spec.lowerdatums or not spec.upperdatums:
        return None
    return _Range(*(tuple(_text(item) for item in side) for side in (spec.lowerdatums, spec.upperdatums)))


def _text(node: Any) -> str:
    text = trees.printed(node)
    return text.upper() if text.lower() in ("minvalue", "maxvalue") else text


def _key(point: Point) -> tuple[Any, ...] | None:
    """The point in a form that sorts; None where its values do not."""
    keys = [_sortable(text) for text in point]
    return None if None in keys else tuple(keys)


def _sortable(text: str) -> tuple[int, Any] | None:
    if text in ("MINVALUE", "MAXVALUE"):
        return (-1, 0) if text == "MINVALUE" else (1, 0)
    value = text.strip("'")
    try:
        return (0, Decimal(value))
    except InvalidOperation:
        pass
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (0, moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def missing_remainders(bounds: Iterable[str]) -> tuple[tuple[int, int], ...]:
    """(modulus, remainder) of the hash values that no partition takes."""
    specs = [spec for bound in bounds if (spec := _spec(bound)) is not None and spec.modulus]
    whole = max((spec.modulus for spec in specs), default=0)
    taken = {n for spec in specs for n in range(spec.remainder, whole, spec.modulus)}
    return tuple((whole, remainder) for remainder in range(whole) if remainder not in taken)


def _spec(bound: str) -> Any | None:
    try:
        (statement,) = parse(f"CREATE TABLE a PARTITION OF b {bound}").stmts
    except (NotSql, ValueError):
        return None
    return statement.stmt.create_stmt.partbound
