"""The space of a column: every built-in type, the extensions' types, and what the facts leave of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from math import ceil, lcm
from random import Random

from data_platform.postgres.synthetic import words
from data_platform.postgres.synthetic.facts import NO_FACTS, Bound, Facts, text_fits
from data_platform.postgres.synthetic.kinds import LINEAR, MOMENTS, MULTIRANGES, RANGES, TEXTS, Kind
from data_platform.postgres.synthetic.linear import DAY, REFERENCE_DAY, Scale, interval_texts, scale_of
from data_platform.postgres.synthetic.pattern import UnknownPattern, matching
from data_platform.postgres.synthetic.space import (
    HUGE,
    Joined,
    Later,
    Linear,
    Listed,
    Phrases,
    Space,
    Written,
)

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_GOLDEN = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""An odd number: multiplying by it modulo a power of two scatters numbers and loses none."""


class NoValues(ValueError):
    """No value of the type can be made, or none that the facts allow. The message says which."""


class UnknownType(NoValues):
    """A type that there is no generator for."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a space is wanted for: its column's and table's names, and how many different values at least.

    `fold`: no two values may differ only in case. `inner` tells what the checks of a domain inside an array or a
    composite allow.
    """

    column: str = ""
    table: str = ""
    distinct: int = 1
    fold: bool = False
    inner: Callable[[Kind], Facts] = lambda _kind: NO_FACTS


def space_of(kind: Kind, facts: Facts, wish: Wish) -> Space:
    """The values of a column of that kind; NoValues if there are none."""
    if facts.only is not None:
        return _listed(facts.only, facts)
    if kind.base in LINEAR:
        return linear_space(kind, facts, wish)
    if kind.base in TEXTS:
        return _text_space(kind, facts, wish)
    if kind.base in _SPECIAL:
        return _SPECIAL[kind.base](kind, facts, wish)
    if kind.base in RANGES:
        return _range_space(kind, facts, wish)
    if kind.base in MULTIRANGES:
        single = _range_space(Kind(base=MULTIRANGES[kind.base]), facts, wish)
        return Joined((single,), lambda parts: "{" + parts[0] + "}")
    if kind.base in _WRITERS:
        return Written(HUGE, _WRITERS[kind.base])
    raise UnknownType(f"no generator for type {kind.base}")


def _listed(values: Sequence[str], facts: Facts) -> Listed:
    kept = tuple(value for value in values if value not in facts.never)
    if not kept:
        raise NoValues("its constraints leave no value")
    return Listed(kept)


# Numbers, dates, times.


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
    parts = [(a + 1, b - 1) for a, b in zip(edges, edges[1:], strict=False) if a + 1 < b]
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
        if len(found) >= max(distinct, 24):
            break
    return _listed(scale.write([day * per_day for day in found]), facts)


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


def _has_parts(day: date, facts: Facts) -> bool:
    return all(
        _COMPARE[operator](_PARTS.get(part, lambda _: 0)(day), float(value))
        for part, operator, value in facts.calendar
    )


# Texts.


def _text_space(kind: Kind, facts: Facts, wish: Wish) -> Space:
    longest = min((n for n in (kind.longest, facts.longest) if n is not None), default=None)
    fold = wish.fold or kind.base == "citext"
    facts = replace(facts, longest=longest, never=facts.never | {""})
    if kind.base == "character" and longest:
        facts = replace(facts, shortest=longest)  # what is shorter is padded, and looks different to a check
    fitting = []
    for candidate in _text_candidates(facts, replace(wish, fold=fold)):
        for space in _allowed(candidate, facts):
            if _serves(space, facts, wish.distinct):
                return space
            if _serves(space, facts, 1):
                fitting.append(space)
    if not fitting:
        raise NoValues("no text was found that its constraints allow")
    return max(fitting, key=lambda space: space.size)


def _allowed(space: Space, facts: Facts) -> list[Space]:
    """The space without the single values that a constraint forbids."""
    first = space.texts(range(min(space.size, _FIRST)))
    places = [place for place, text in enumerate(first) if text in facts.never]
    if not places:
        return [space]
    if space.size > _FIRST:
        return [Later(space, places[-1] + 1)]
    kept = tuple(text for text in first if text not in facts.never)
    return [Listed(kept)] if kept else []


_FIRST = 1000
"""How many values of a space are compared with those that are forbidden; beyond them they are too rare to matter."""


def _text_candidates(facts: Facts, wish: Wish) -> list[Space]:
    """From the most plausible to the most able."""
    named = words.candidates(wish.column, wish.table)
    cased = [_mapped(phrases, str.upper) for phrases in named] + [
        _mapped(phrases, str.lower) for phrases in named
    ]
    patterns = [pattern for pattern in facts.patterns if pattern.wanted]
    spaces: list[Space] = [limited for p in (*named, *cased) for limited in _limited(p, facts, wish.distinct)]
    if not patterns:
        return [*spaces, *_codes(facts, wish)]
    for pattern in sorted(patterns, key=lambda p: -len(p.regex)):
        try:
            spaces.append(matching(pattern.regex, facts.shortest, facts.longest, fold=wish.fold))
        except UnknownPattern:
            continue
    return [*spaces, *_codes(facts, wish)]


def _mapped(phrases: Phrases, change: Callable[[str], str]) -> Phrases:
    return replace(phrases, heads=tuple(map(change, phrases.heads)), tails=tuple(map(change, phrases.tails)))


def _limited(phrases: Phrases, facts: Facts, distinct: int) -> list[Phrases]:
    """Phrases of which `distinct` fit into the length, with room for the numbers that many need."""
    if facts.longest is None and not facts.shortest:
        return [phrases]
    longest = facts.longest if facts.longest is not None else 10**9
    for digits in range(len(str(distinct)) + 1):
        room = longest - digits - (len(phrases.gap) if digits else 0)
        kept = [
            (head, tail)
            for head, tail in zip(phrases.heads, phrases.tails, strict=True)
            if facts.shortest <= len(head) + len(tail) <= room
        ]
        if not kept:
            break
        size = len(kept) * (10**digits - 1 if digits else 1)
        if size >= max(distinct, min(12, len(phrases.heads))):
            heads, tails = zip(*kept, strict=True)
            return [Phrases(heads, tails, phrases.gap, size)]
    return []


def _codes(facts: Facts, wish: Wish) -> list[Space]:
    """Letters and digits of the allowed lengths; upper case joins in when there are too few of them otherwise."""
    longest = facts.longest if facts.longest is not None else max(12, facts.shortest)
    shortest = max(1, facts.shortest)
    if shortest > longest:
        return []
    alphabets = [_LETTERS, _LETTERS.upper()] + ([] if wish.fold else [_LETTERS + _LETTERS[:26].upper()])
    usual = min(longest, max(shortest, 8))
    fixed = [matching(f"[{alphabet}]{{{usual}}}", usual, usual) for alphabet in alphabets]
    spread = [
        matching(f"[{alphabet}]{{{shortest},{longest}}}", shortest, longest) for alphabet in alphabets[::2]
    ]
    return [*fixed, *spread]


def _serves(space: Space, facts: Facts, distinct: int) -> bool:
    if space.size < max(1, distinct):
        return False
    numbers = {*range(min(space.natural, 30)), space.natural - 1, min(space.size, max(distinct, 1)) - 1}
    return all(text_fits(text, facts) for text in space.texts(sorted(numbers)))


# Ranges.


def _range_space(kind: Kind, facts: Facts, wish: Wish) -> Space:
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


# Everything else, by type.


def _scattered(number: int, bits: int) -> int:
    """A number of that many bits that looks random; different for different numbers."""
    return (number + 1) * _GOLDEN & ((1 << bits) - 1)


def _uuid(number: int) -> str:
    bits = _scattered(number, 122)
    return _uuid_text(bits >> 74, 4, bits >> 62 & 0xFFF, bits & (1 << 62) - 1)


def uuid7(number: int) -> str:
    """A version 7 UUID whose time part grows with the number: one a second, as if made in the last two years."""
    bits = _scattered(number, 74)
    return _uuid_text(1_720_000_000_000 + number % 60_000_000 * 1000, 7, bits >> 62, bits & (1 << 62) - 1)


def uuid7_space() -> Space:
    """Version 7 UUIDs in rising order."""
    return Written(HUGE, uuid7)


def _uuid_text(high: int, version: int, middle: int, low: int) -> str:
    text = f"{high << 80 | version << 76 | middle << 64 | 2 << 62 | low:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _point(number: int) -> str:
    bits = _scattered(number, 62)
    return f"({(bits >> 31) / 1e6:.6f},{(bits & 0x7FFFFFFF) / 1e6:.6f})"


def _box(number: int) -> str:
    bits = _scattered(number, 62)
    x, y = (bits >> 31) / 1e6, (bits & 0x7FFFFFFF) / 1e6
    return f"({x + 2:.6f},{y + 3:.6f}),({x:.6f},{y:.6f})"


def _polygon(number: int) -> str:
    x, y = _scattered(number, 62) >> 31, number % 1_000_000
    return f"(({x},{y}),({x + 4},{y}),({x + 4},{y + 3}))"


def _mac(bits: int) -> Callable[[int], str]:
    def write(number: int) -> str:
        text = f"{_scattered(number, bits):0{bits // 4}x}"
        return ":".join(text[i : i + 2] for i in range(0, len(text), 2))

    return write


def _address(number: int) -> str:
    bits = _scattered(number, 24)
    return f"10.{bits >> 16}.{bits >> 8 & 255}.{bits & 255}"


_NOUNS, _ADJECTIVES = words.NOUNS, words.ADJECTIVES


def _document(number: int) -> str:
    return f"'{_NOUNS[number % len(_NOUNS)]}':2 '{_ADJECTIVES[number % len(_ADJECTIVES)]}':1 'n{number}':3"


_WRITERS: dict[str, Callable[[int], str]] = {
    "uuid": _uuid,
    "point": _point,
    "line": lambda n: f"{{{n % 1000 + 1},{n // 1000 % 10**6 + 1},{n // 10**9}}}",
    "lseg": lambda n: f"[{_point(n)},(0,0)]",
    "box": _box,
    "path": lambda n: f"[{_point(n)},(0,0),(1,1)]",
    "polygon": _polygon,
    "circle": lambda n: f"<{_point(n)},{n % 9 + 1}>",
    "macaddr": _mac(48),
    "macaddr8": _mac(64),
    "tsvector": _document,
    "tsquery": lambda n: f"'{_NOUNS[n % len(_NOUNS)]}' & 'n{n}'",
    "pg_lsn": lambda n: f"{n >> 32:X}/{n & 0xFFFFFFFF:X}",
    "xid8": str,
    "pg_snapshot": lambda n: f"{n + 3}:{n + 3}:",
    "hstore": lambda n: f'"color"=>"{words.COLORS[n % len(words.COLORS)]}", "number"=>"{n}"',
    "ltree": lambda n: f"top.{_NOUNS[n % len(_NOUNS)]}.n{n}",
    "lquery": lambda n: f"top.*.n{n}",
    "ltxtquery": lambda n: f"{_NOUNS[n % len(_NOUNS)]} & n{n}",
    "xml": lambda n: f"<item><name>{_NOUNS[n % len(_NOUNS)]}</name><number>{n}</number></item>",
    "jsonpath": lambda n: f"$.items[{n % 1000}].n{n}",
    "cube": lambda n: f"({n % 1000},{n // 1000})",
}


def _boolean(kind: Kind, facts: Facts, wish: Wish) -> Space:
    return _listed(("true", "false"), facts)


def _enum(kind: Kind, facts: Facts, wish: Wish) -> Space:
    return _listed(kind.labels, facts)


def _one_byte(kind: Kind, facts: Facts, wish: Wish) -> Space:
    return _listed(tuple("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"), facts)


def _bytes(kind: Kind, facts: Facts, wish: Wish) -> Space:
    longest = facts.longest if facts.longest is not None else max(16, facts.shortest)
    size = min(longest, max(facts.shortest, 16))
    bits = 8 * min(size, 16)
    if not size:
        return Listed(("\\x",))
    rest = "00" * (size - bits // 8)
    return Written(min(HUGE, 1 << bits), lambda n: f"\\x{_scattered(n, bits):0{bits // 4}x}{rest}")


def _bits(kind: Kind, facts: Facts, wish: Wish) -> Space:
    width = kind.modifiers[0] if kind.modifiers else (1 if kind.base == "bit" else max(16, facts.shortest))
    low = min(width, 120)
    return Written(min(HUGE, 1 << low), lambda n: f"{_scattered(n, low):0{low}b}".ljust(width, "0"))


def _network(kind: Kind, facts: Facts, wish: Wish) -> Space:
    if kind.base == "inet":
        return Written(2**24, _address)
    return Written(2**24, lambda n: f"{_address(n)}/32")


def _json(kind: Kind, facts: Facts, wish: Wish) -> Space:
    match facts.json_type:
        case "array":
            count = max(1, facts.shortest)
            more = ', "open"' * (count - 1)
            return Written(HUGE, lambda n: f'[{{"number": {n}}}{more}]' if count else "[]")
        case "string":
            return Written(HUGE, lambda n: f'"{_NOUNS[n % len(_NOUNS)]} {n}"')
        case "number":
            return Written(HUGE, str)
        case "boolean":
            return Listed(("true", "false"))
        case "null":
            return Listed(("null",))
    named = "".join(
        f'"{_json_text(key)}": "{_NOUNS[i % len(_NOUNS)]}", ' for i, key in enumerate(sorted(facts.json_keys))
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
    most = min(longest, max(shortest, 2))
    return Joined((element,) * most, lambda parts: _array_text(parts, shortest, comma))


def _array_text(parts: tuple[str, ...], shortest: int, comma: str) -> str:
    """Some arrays are shorter than others, by a rule that does not make two of them equal."""
    items = parts if len(parts[0]) % 3 else parts[:shortest]
    return (
        "{" + comma.join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in items) + "}"
    )


def _composite(kind: Kind, facts: Facts, wish: Wish) -> Space:
    parts = tuple(space_of(part, wish.inner(part), replace(wish, distinct=1)) for part in kind.attributes)
    return Joined(parts, _row_text) if parts else Listed(("()",))


def _row_text(parts: tuple[str, ...]) -> str:
    return "(" + ",".join('"' + part.replace("\\", "\\\\").replace('"', '""') + '"' for part in parts) + ")"


_CLUSTERS = 16
_PIECES, _VARIANTS = 24, 32


def _vector(kind: Kind, facts: Facts, wish: Wish) -> Space:
    """Points around a few centres, each put together from prepared pieces: about unit length, never zero."""
    dimensions = kind.modifiers[0] if kind.modifiers else 3
    pieces = min(_PIECES, dimensions)
    edges = [dimensions * i // pieces for i in range(pieces + 1)]
    prepared = _vector_pieces(edges, wish)
    bits = 5 * pieces
    used = min(bits, 62)

    def write(number: int) -> str:
        picks = _scattered(number, bits)
        centre = prepared[picks >> used // 2 & _CLUSTERS - 1]
        return "[" + ",".join([centre[i][picks >> 5 * i & _VARIANTS - 1] for i in range(pieces)]) + "]"

    return Written(1 << used, write)


def _vector_pieces(edges: list[int], wish: Wish) -> list[list[list[str]]]:
    random = Random(f"{wish.table}.{wish.column}")  # noqa: S311 - data, not secrets
    length = edges[-1] ** -0.5
    prepared: list[list[list[str]]] = []
    for _ in range(_CLUSTERS):
        centre = [random.gauss(0, length) for _ in range(edges[-1])]
        prepared.append(
            [
                [
                    ",".join(f"{x + random.gauss(0, 0.4 * length):.5f}" for x in centre[low:high])
                    for _ in range(_VARIANTS)
                ]
                for low, high in zip(edges, edges[1:], strict=False)
            ]
        )
    return prepared


def _sparse_vector(kind: Kind, facts: Facts, wish: Wish) -> Space:
    dimensions = kind.modifiers[0] if kind.modifiers else 3

    def write(number: int) -> str:
        places = sorted({number % dimensions, number // dimensions % dimensions, number * 7 % dimensions})
        return (
            "{"
            + ",".join(f"{place + 1}:{0.1 + number % 997 / 1000:.3f}" for place in places)
            + f"}}/{dimensions}"
        )

    return Written(dimensions, write)


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
    "vector": _vector,
    "halfvec": _vector,
    "sparsevec": _sparse_vector,
}
