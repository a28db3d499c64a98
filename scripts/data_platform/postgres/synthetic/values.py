"""The space of a column: every built-in type, the extensions' types, and what the facts leave of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from data_platform.postgres.synthetic import words
from data_platform.postgres.synthetic.facts import Facts
from data_platform.postgres.synthetic.kinds import LINEAR, MULTIRANGES, RANGES, TEXTS, Kind
from data_platform.postgres.synthetic.lines import linear_space, range_space
from data_platform.postgres.synthetic.scattered import WRITERS, address, scattered
from data_platform.postgres.synthetic.space import HUGE, Joined, Listed, Mixed, Space, Written
from data_platform.postgres.synthetic.texts import text_space
from data_platform.postgres.synthetic.vectors import sparse_vector_space, vector_space
from data_platform.postgres.synthetic.wish import UnknownType, Wish, listed


def space_of(kind: Kind, facts: Facts, wish: Wish) -> Space:
    """The values of a column of that kind; NoValues if there are none."""
    if facts.only is not None:
        return listed(facts.only, facts)
    if kind.base in LINEAR:
        return linear_space(kind, facts, wish)
    if kind.base in TEXTS:
        return text_space(kind, facts, wish)
    if kind.base in _SPECIAL:
        return _SPECIAL[kind.base](kind, facts, wish)
    if kind.base in RANGES:
        return range_space(kind, facts, wish)
    if kind.base in MULTIRANGES:
        single = range_space(Kind(base=MULTIRANGES[kind.base]), facts, wish)
        return Joined((single,), lambda parts: "{" + parts[0] + "}")
    if kind.base in WRITERS:
        return Written(HUGE, WRITERS[kind.base])
    raise UnknownType(f"no generator for type {kind.base}")


def _boolean(kind: Kind, facts: Facts, wish: Wish) -> Space:
    return listed(("true", "false"), facts)


def _enum(kind: Kind, facts: Facts, wish: Wish) -> Space:
    return listed(kind.labels, facts)


def _one_byte(kind: Kind, facts: Facts, wish: Wish) -> Space:
    return listed(tuple("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"), facts)


def _bytes(kind: Kind, facts: Facts, wish: Wish) -> Space:
    longest = facts.longest if facts.longest is not None else max(16, facts.shortest)
    size = min(longest, max(facts.shortest, 16))
    bits = 8 * min(size, 16)
    if not size:
        return Listed(("\\x",))
    rest = "00" * (size - bits // 8)
    return Written(min(HUGE, 1 << bits), lambda n: f"\\x{scattered(n, bits):0{bits // 4}x}{rest}")


def _bits(kind: Kind, facts: Facts, wish: Wish) -> Space:
    width = kind.modifiers[0] if kind.modifiers else (1 if kind.base == "bit" else max(16, facts.shortest))
    low = min(width, 120)
    return Written(min(HUGE, 1 << low), lambda n: f"{scattered(n, low):0{low}b}".ljust(width, "0"))


def _network(kind: Kind, facts: Facts, wish: Wish) -> Space:
    if kind.base == "inet":
        return Written(2**24, address)
    return Written(2**24, lambda n: f"{address(n)}/32")


def _json(kind: Kind, facts: Facts, wish: Wish) -> Space:
    match facts.json_type:
        case "array":
            count = max(1, facts.shortest)
            more = ', "open"' * (count - 1)
            return Written(HUGE, lambda n: f'[{{"number": {n}}}{more}]' if count else "[]")
        case "string":
            return Written(HUGE, lambda n: f'"{words.NOUNS[n % len(words.NOUNS)]} {n}"')
        case "number":
            return Written(HUGE, str)
        case "boolean":
            return Listed(("true", "false"))
        case "null":
            return Listed(("null",))
    named = "".join(
        f'"{_json_text(key)}": "{words.NOUNS[i % len(words.NOUNS)]}", '
        for i, key in enumerate(sorted(facts.json_keys))
    )
    return Written(
        HUGE,
        lambda n: (
            f'{{{named}"color": "{words.COLORS[n % len(words.COLORS)]}", "size": {n % 50}, "number": {n}}}'
        ),
    )


def _json_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _array(kind: Kind, facts: Facts, wish: Wish) -> Space:
    assert kind.element is not None
    element = space_of(kind.element, wish.inner(kind.element), replace(wish, distinct=1))
    longest = facts.longest if facts.longest is not None else max(3, facts.shortest)
    shortest = min(longest, max(1, facts.shortest))
    if longest == 0:
        return Listed(("{}",))
    comma = ";" if kind.element.base == "box" else ","
    lengths = range(shortest, min(longest, max(shortest, 2)) + 1)
    return Mixed(tuple(Joined((element,) * length, partial(_array_text, comma)) for length in lengths))


def _array_text(comma: str, parts: tuple[str, ...]) -> str:
    return (
        "{" + comma.join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts) + "}"
    )


def _composite(kind: Kind, facts: Facts, wish: Wish) -> Space:
    parts = tuple(space_of(part, wish.inner(part), replace(wish, distinct=1)) for part in kind.attributes)
    return Joined(parts, _row_text) if parts else Listed(("()",))


def _row_text(parts: tuple[str, ...]) -> str:
    return "(" + ",".join('"' + part.replace("\\", "\\\\").replace('"', '""') + '"' for part in parts) + ")"


_SPECIAL: dict[str, Callable[[Kind, Facts, Wish], Space]] = {
    "boolean": _boolean,
    "enum": _enum,
    '"char"': _one_byte,
    "bytea": _bytes,
    "bit": _bits,
    "bit varying": _bits,
    "inet": _network,
    "cidr": _network,
    "json": _json,
    "jsonb": _json,
    "array": _array,
    "composite": _composite,
    "vector": vector_space,
    "halfvec": vector_space,
    "sparsevec": sparse_vector_space,
}
