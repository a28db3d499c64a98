"""The leaves of a check: which column a node names, what a constant expression is worth, the limits they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from data_platform.postgres.synthetic import trees
from data_platform.postgres.synthetic.facts import ANYTHING, UNKNOWN, Bound, Facts, Pattern, World, about
from data_platform.postgres.synthetic.kinds import Kind
from data_platform.postgres.synthetic.trees import Node

Worlds = tuple[World, ...]
Fold = Callable[[str], str | None]
"""Computes an expression without columns: its value as text, or None."""

DUNNO: Worlds = (UNKNOWN,)
YES: Worlds = (ANYTHING,)
NO: Worlds = ()
INVERSE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "<>", "<>": "="}
MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
HOLDS: dict[str, Callable[[int, int], bool]] = {
    "<": int.__lt__,
    "<=": int.__le__,
    ">": int.__gt__,
    ">=": int.__ge__,
    "=": int.__eq__,
    "<>": int.__ne__,
}
TRIMS = frozenset({"btrim", "ltrim", "rtrim", "trim"})


class Terms:
    """The columns of a table, by kind, and the server's arithmetic."""

    def __init__(self, kinds: Mapping[str, Kind], fold: Fold) -> None:
        self.kinds = kinds
        self._fold = fold

    def column(self, node: Node) -> str | None:
        """The column of ours that `node` names, casts aside."""
        name = trees.column(node)
        return name if name in self.kinds else None

    def text_column(self, node: Node) -> str | None:
        """The same through lower(), upper() and trims: what they change, our texts do not have."""
        name, args = trees.function(node)
        return self.column(args[0]) if name in TRIMS | {"lower", "upper"} else self.column(node)

    def constant(self, node: Node) -> str | None:
        """The value of an expression without columns; the server computes what is more than a constant."""
        value = trees.literal(node)
        if value is not None or trees.columns(node):
            return value
        return self._fold(trees.source(node))

    def values(self, node: Node) -> list[str] | None:
        """The elements of an array or a list of constants."""
        elements = trees.items(node)
        if elements is not None:
            values = [self.constant(element) for element in elements]
            present = [value for value in values if value is not None]
            return present if len(present) == len(values) else None
        if trees.columns(node):
            return None
        listed = self._fold(f"array_to_string({trees.source(node)}, E'\\x01')")
        return None if listed is None else listed.split("\x01")

    def normal(self, column: str, value: str) -> str:
        """A value in the spelling that is used for the column's kind."""
        if self.kinds[column].base == "boolean":
            return "true" if value in ("true", "t", "yes", "on", "1") else "false"
        return value


def known(column: str, facts: Facts) -> Worlds:
    """The one world in which this holds."""
    return (about(column, facts),)


def matching(column: str, regex: str, *, wanted: bool = True, ignore_case: bool = False) -> Worlds:
    """The world in which a text matches, or does not."""
    return known(column, Facts(patterns=frozenset({Pattern(regex, wanted, ignore_case)})))


def limited(column: str, operator: str, value: str) -> Worlds:
    """The world in which `column operator value` holds."""
    match operator:
        case "=":
            return known(column, Facts(only=(value,)))
        case "<>":
            return known(column, Facts(never=frozenset({value})))
        case "<" | "<=":
            return known(column, Facts(highs=frozenset({Bound(value, operator == "<")})))
        case _:
            return known(column, Facts(lows=frozenset({Bound(value, operator == ">")})))
