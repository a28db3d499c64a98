"""Types whose values are written from a number alone: UUIDs, geometry, addresses, documents."""

from __future__ import annotations

from collections.abc import Callable

from data_platform.postgres.synthetic import words
from data_platform.postgres.synthetic.space import HUGE, Space, Written

_GOLDEN = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""An odd number: multiplying by it modulo a power of two scatters numbers and loses none."""

_BRANCHES = 12
"""How many children a label has."""


def scattered(number: int, bits: int) -> int:
    """A number of that many bits that looks random; different for different numbers."""
    return (number + 1) * _GOLDEN & ((1 << bits) - 1)


def _uuid(number: int) -> str:
    bits = scattered(number, 122)
    return _uuid_text(bits >> 74, 4, bits >> 62 & 0xFFF, bits & (1 << 62) - 1)


def _uuid7(number: int) -> str:
    """A version 7 UUID whose time part grows with the number: one a second, as if made in the last two years."""
    bits = scattered(number, 74)
    return _uuid_text(1_720_000_000_000 + number % 60_000_000 * 1000, 7, bits >> 62, bits & (1 << 62) - 1)


def uuid7_space() -> Space:
    """Version 7 UUIDs in rising order."""
    return Written(HUGE, _uuid7)


def _uuid_text(high: int, version: int, middle: int, low: int) -> str:
    text = f"{high << 80 | version << 76 | middle << 64 | 2 << 62 | low:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _point(number: int) -> str:
    bits = scattered(number, 62)
    return f"({(bits >> 31) / 1e6:.6f},{(bits & 0x7FFFFFFF) / 1e6:.6f})"


def _box(number: int) -> str:
    bits = scattered(number, 62)
    x, y = (bits >> 31) / 1e6, (bits & 0x7FFFFFFF) / 1e6
    return f"({x + 2:.6f},{y + 3:.6f}),({x:.6f},{y:.6f})"


def _polygon(number: int) -> str:
    x, y = scattered(number, 62) >> 31, number % 1_000_000
    return f"(({x},{y}),({x + 4},{y}),({x + 4},{y + 3}))"


def _mac(bits: int) -> Callable[[int], str]:
    def write(number: int) -> str:
        text = f"{scattered(number, bits):0{bits // 4}x}"
        return ":".join(text[i : i + 2] for i in range(0, len(text), 2))

    return write


def address(number: int) -> str:
    bits = scattered(number, 24)
    return f"10.{bits >> 16}.{bits >> 8 & 255}.{bits & 255}"


def _document(number: int) -> str:
    noun, adjective = words.NOUNS[number % len(words.NOUNS)], words.ADJECTIVES[number % len(words.ADJECTIVES)]
    return f"'{noun}':2 '{adjective}':1 'n{number}':3"


def _label_path(number: int) -> str:
    """A path below that of a smaller number: the numbers below any limit are a whole forest."""
    labels: list[str] = []
    while number >= 0:
        labels.append(words.NOUNS[number % _BRANCHES])
        number = number // _BRANCHES - 1
    return ".".join(reversed(labels))


WRITERS: dict[str, Callable[[int], str]] = {
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
    "tsquery": lambda n: f"'{words.NOUNS[n % len(words.NOUNS)]}' & 'n{n}'",
    "pg_lsn": lambda n: f"{n >> 32:X}/{n & 0xFFFFFFFF:X}",
    "xid8": str,
    "pg_snapshot": lambda n: f"{n + 3}:{n + 3}:",
    "hstore": lambda n: f'"color"=>"{words.COLORS[n % len(words.COLORS)]}", "number"=>"{n}"',
    "ltree": _label_path,
    "lquery": lambda n: f"top.*.n{n}",
    "ltxtquery": lambda n: f"{words.NOUNS[n % len(words.NOUNS)]} & n{n}",
    "xml": lambda n: f"<item><name>{words.NOUNS[n % len(words.NOUNS)]}</name><number>{n}</number></item>",
    "jsonpath": lambda n: f"$.items[{n % 1000}].n{n}",
    "cube": lambda n: f"({n % 1000},{n // 1000})",
}
