"""A column, or a function of one, compared with a constant: length(x) <= 20, x % 5 = 0, jsonb_typeof(x) = 'object'."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from data_platform.postgres.synthetic import trees
from data_platform.postgres.synthetic.facts import CALENDAR, Bound, Facts, every, some, strict
from data_platform.postgres.synthetic.kinds import LINEAR, MOMENTS, MULTIRANGES, RANGES
from data_platform.postgres.synthetic.sums import Sums
from data_platform.postgres.synthetic.terms import (
    DUNNO,
    HOLDS,
    NO,
    TRIMS,
    YES,
    Terms,
    Worlds,
    known,
    limited,
    matching,
)
from data_platform.postgres.synthetic.trees import Node

_LENGTHS = frozenset(
    {
        "length",
        "char_length",
        "character_length",
        "octet_length",
        "cardinality",
        "array_length",
        "jsonb_array_length",
        "json_array_length",
    }
)


class Comparisons:
    """Reads comparisons with constants, and the operators of JSON, arrays and ranges."""

    def __init__(self, terms: Terms, sums: Sums) -> None:
        self._terms = terms
        self._sums = sums

    def compare(self, left: Node, operator: str, value: str) -> Worlds:
        """`left operator value`."""
        column = self._terms.column(left)
        if column is not None:
            return self._of_column(column, operator, value)
        name, args = trees.function(left)
        if name and args:
            return self._of_call(name, args, operator, value)
        step = trees.operation(left)
        if step and step[0] == "%":
            return self._of_call("mod", step[1:], operator, value)
        return self._sums.compare_with(left, operator, value) or DUNNO

    def one_of(self, left: Node, values: list[str]) -> Worlds:
        """`left` equals one of the values."""
        column = self._terms.text_column(left)
        if column is not None:
            return known(column, Facts(only=tuple(self._terms.normal(column, value) for value in values)))
        return some(self.compare(left, "=", value) for value in values)

    def _of_column(self, column: str, operator: str, value: str) -> Worlds:
        value, kind = self._terms.normal(column, value), self._terms.kinds[column]
        if kind.base == "boolean" and operator == "<>":
            return limited(column, "=", "false" if value == "true" else "true")
        if kind.base == "enum" and operator not in ("=", "<>") and value in kind.labels:
            place = kind.labels.index(value)
            kept = tuple(label for i, label in enumerate(kind.labels) if HOLDS[operator](i, place))
            return known(column, Facts(only=kept))
        return limited(column, operator, value)

    # Functions of a column.

    def _of_call(self, name: str, args: Sequence[Node], operator: str, value: str) -> Worlds:
        if name == "coalesce" and len(args) == 2:
            return self._coalesce(args[0], args[1], operator, value)
        if name in ("extract", "date_part") and len(args) == 2:
            return self._calendar(args[0], args[1], operator, value)
        if name in ("position", "strpos") and len(args) == 2:
            return self._position(args[0], args[1], operator, value)
        column = self._terms.text_column(args[0])
        if column is None:
            return DUNNO
        if name in _LENGTHS:
            return _length(column, operator, value)
        if name == "mod" and (operator, value) == ("=", "0"):
            step = self._terms.constant(args[1])
            return known(column, Facts(multiple_of=int(step))) if step and step.isdigit() else DUNNO
        return self._of_one(name, column, operator, value)

    def _of_one(self, name: str, column: str, operator: str, value: str) -> Worlds:
        base = self._terms.kinds[column].base
        if name in TRIMS and (operator, value) == ("<>", ""):
            return known(column, Facts(shortest=1))
        if name in ("lower", "upper"):
            # Of a range it is a bound, and bounds of ranges are kept; of a text only equality says something.
            ranged = base in RANGES or base in MULTIRANGES
            return limited(column, operator, value) if ranged != (operator in ("=", "<>")) else DUNNO
        if name in ("jsonb_typeof", "json_typeof") and operator == "=":
            return known(column, Facts(json_type=value))
        if name == "abs" and operator in ("<", "<="):
            low, high = Bound(f"-{value}", operator == "<"), Bound(value, operator == "<")
            return known(column, Facts(lows=frozenset({low}), highs=frozenset({high})))
        return DUNNO

    def _coalesce(self, subject: Node, other: Node, operator: str, value: str) -> Worlds:
        column, default = self._terms.column(subject), self._terms.constant(other)
        if column is None or default is None:
            return DUNNO
        given = every([self.compare(subject, operator, value), known(column, Facts(null=False))])
        return some([given, known(column, Facts(null=True))]) if _holds(default, operator, value) else given

    def _calendar(self, part: Node, subject: Node, operator: str, value: str) -> Worlds:
        column, name = self._terms.column(subject), trees.literal(part)
        if column is None or name not in CALENDAR or self._terms.kinds[column].base not in MOMENTS:
            return DUNNO
        return known(column, Facts(calendar=frozenset({(name, operator, value)})))

    def _position(self, subject: Node, other: Node, operator: str, value: str) -> Worlds:
        """Something before, then the needle."""
        column, needle = self._terms.column(subject), trees.literal(other)
        if column is None or not needle or operator not in (">", ">="):
            return DUNNO
        before = int(value) - (operator == ">=")
        start = f"^[^{re.escape(needle[0])}]{{{before},}}" if before > 0 else ""
        return matching(column, start + re.escape(needle))

    # Operators of JSON, arrays and ranges.

    def contains(self, left: Node, operator: str, right: Node) -> Worlds:
        """`left ? key`, `left <@ right`, `left @> right`, `left && right`."""
        column = self._terms.column(left)
        if column is None:
            return DUNNO
        if operator == "?":
            return self.json_key(left, right)
        base = self._terms.kinds[column].base
        if base == "array" and operator in ("<@", "@>", "&&"):
            return self._of_array(column, operator, right)
        if base in LINEAR and operator == "<@":
            return _within(column, self._terms.constant(right) or "")
        return DUNNO

    def _of_array(self, column: str, operator: str, right: Node) -> Worlds:
        quoted = [_quoted(value) for value in self._terms.values(right) or ()]
        if not quoted:
            return DUNNO
        whole, ones = "{" + ",".join(quoted) + "}", tuple("{" + value + "}" for value in quoted)
        return known(column, Facts(only=(whole,) if operator == "@>" else (*ones, whole)))

    def json_key(self, subject: Node, key: Node) -> Worlds:
        """The world in which a JSON object has a key."""
        column, name = self._terms.column(subject), trees.literal(key)
        if column is None or name is None:
            return DUNNO
        return known(column, Facts(json_type="object", json_keys=frozenset({name})))

    def json_step_is_not_null(self, node: Node) -> Worlds:
        """`x ->> 'key' IS NOT NULL`."""
        step = trees.operation(node)
        return strict(self.json_key(step[1], step[2])) if step and step[0] in ("->", "->>") else DUNNO


def _length(column: str, operator: str, value: str) -> Worlds:
    if not value.isdigit():
        return YES if operator in (">", ">=", "<>") else DUNNO
    size = int(value)
    match operator:
        case "=":
            return known(column, Facts(shortest=size, longest=size))
        case "<" | "<=":
            return known(column, Facts(longest=size - (operator == "<")))
        case ">" | ">=":
            return known(column, Facts(shortest=size + (operator == ">")))
        case _:
            return known(column, Facts(shortest=size + 1))


def _holds(left: str, operator: str, right: str) -> bool:
    """Whether a comparison of two constants holds: of numbers if they are such, else of texts."""
    try:
        difference = Fraction(left) - Fraction(right)
    except ValueError:
        return HOLDS[operator]((left > right) - (left < right), 0)
    return HOLDS[operator](difference.numerator, 0)


def _within(column: str, text: str) -> Worlds:
    """`x <@ '[1,5)'`."""
    found = re.fullmatch(r"([\[(])\"?([^\",]*)\"?,\"?([^\",]*)\"?([\])])", text)
    if not found:
        return DUNNO
    low = [limited(column, ">=" if found[1] == "[" else ">", found[2])] if found[2] else []
    high = [limited(column, "<=" if found[4] == "]" else "<", found[3])] if found[3] else []
    return every([*low, *high]) or NO


def _quoted(item: str) -> str:
    return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'
