"""Columns compared with columns: a < b, end_at >= start_at + '15 min', total = quantity * price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from data_platform.postgres.synthetic import trees
from data_platform.postgres.synthetic.facts import Comparison, Derived, Facts, Relation, World
from data_platform.postgres.synthetic.kinds import TEXTS
from data_platform.postgres.synthetic.linear import DAY, microseconds
from data_platform.postgres.synthetic.terms import DUNNO, MIRROR, NO, TRIMS, Terms, Worlds, known, matching
from data_platform.postgres.synthetic.trees import Node

_START_OF = {
    "month": (("day", "=", "1"),),
    "quarter": (("day", "=", "1"), ("quarter_month", "=", "1")),
    "year": (("day", "=", "1"), ("month", "=", "1")),
    "week": (("isodow", "=", "1"),),
    "day": (),
    "hour": (),
    "minute": (),
    "second": (),
}


@dataclass(frozen=True)
class Sum:
    """Columns with their factors and a constant, in the unit of the columns' family."""

    factors: Mapping[str, int]
    constant: Fraction

    def __sub__(self, other: Sum) -> Sum:
        factors = dict(self.factors)
        for column, factor in other.factors.items():
            factors[column] = factors.get(column, 0) - factor
        return Sum(
            {column: factor for column, factor in factors.items() if factor}, self.constant - other.constant
        )

    def __neg__(self) -> Sum:
        return Sum({}, Fraction(0)) - self


class Sums:
    """Reads comparisons in which more than one column takes part."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def compare(self, left: Node, operator: str, right: Node) -> Worlds:
        """`left operator right`, both with columns."""
        return (
            self._normal_form(left, operator, right)
            or self._related(left, operator, right)
            or self._derived(left, operator, right)
            or DUNNO
        )

    def compare_with(self, left: Node, operator: str, value: str) -> Worlds:
        """`left operator constant`, such as `end_at - start_at <= '8 hours'`."""
        days = self._in_days(left)
        total = self._sum(left, days)
        try:
            amount = self._amount(value, days)
        except ValueError:
            return DUNNO
        return self._relation(total - Sum({}, amount), operator) if total else DUNNO

    def _normal_form(self, left: Node, operator: str, right: Node) -> Worlds:
        """lower(x) = x, btrim(x) = x, date_trunc('month', x) = x."""
        for call, other in ((left, right), (right, left)):
            name, args = trees.function(call)
            column = self._terms.column(other)
            if operator == "=" and args and column is not None and column in trees.columns(call):
                return self._unchanged(name, args, column)
        return NO

    def _unchanged(self, name: str, args: list[Node], column: str) -> Worlds:
        base = self._terms.kinds[column].base
        if name in ("lower", "upper") and base in TEXTS:
            return matching(column, "[A-Z]" if name == "lower" else "[a-z]", wanted=False)
        if name in TRIMS and len(args) == 1:
            return matching(column, r"^\s|\s$", wanted=False)
        part = trees.literal(args[0])
        if name == "date_trunc" and part in _START_OF:
            midnight = () if base == "date" else (("hour", "=", "0"),)
            return known(column, Facts(calendar=frozenset({*_START_OF[part], *midnight})))
        return NO

    def _related(self, left: Node, operator: str, right: Node) -> Worlds:
        days = self._in_days(left) or self._in_days(right)
        a, b = self._sum(left, days), self._sum(right, days)
        return self._relation(a - b, operator) if a and b else NO

    def _relation(self, total: Sum, operator: str) -> Worlds:
        """`a - b + constant operator 0` for two columns on the same kind of line."""
        if operator in (">", ">="):
            total, operator = -total, MIRROR[operator]
        if sorted(total.factors.values()) != [-1, 1] or (total.constant and operator in ("=", "<>")):
            return NO
        (left,) = (column for column, factor in total.factors.items() if factor == 1)
        (right,) = (column for column, factor in total.factors.items() if factor == -1)
        relation = Relation(left, cast(Comparison, operator), right, total.constant)
        return (World(relations=frozenset({relation})),)

    def _derived(self, left: Node, operator: str, right: Node) -> Worlds:
        """`total = quantity * price`: the server computes the column."""
        for target, value in ((left, right), (right, left)):
            column = self._terms.column(target)
            if operator == "=" and column is not None and column not in trees.columns(value):
                return (World(derived=frozenset({Derived(column, trees.source(value))})),)
        return NO

    def _sum(self, node: Node, days: bool) -> Sum | None:
        """The sum that `node` is; None if it is something else."""
        column = self._terms.column(node)
        if column is not None:
            return Sum({column: 1}, Fraction(0))
        step = trees.operation(node)
        if step is not None and step[0] in ("+", "-"):
            a, b = self._sum(step[1], days), self._sum(step[2], days)
            return None if a is None or b is None else a - (b if step[0] == "-" else -b)
        value = self._terms.constant(node)
        try:
            return None if value is None else Sum({}, self._amount(value, days))
        except ValueError:
            return None

    def _in_days(self, node: Node) -> bool:
        """Whether plain numbers in it are days, because a date is among its columns."""
        return any(
            c in self._terms.kinds and self._terms.kinds[c].base == "date" for c in trees.columns(node)
        )

    def _amount(self, value: str, days: bool) -> Fraction:
        """A number, or a length of time in microseconds; ValueError if it is neither."""
        try:
            return Fraction(value) * (DAY if days else 1)
        except ValueError:
            return Fraction(microseconds(value))
