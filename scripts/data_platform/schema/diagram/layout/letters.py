"""How much room a name takes, from the widths of letters in common sans-serif fonts; and names made to fit."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, combinations

_WORDS = re.compile(r"[^_\-. ]+[_\-. ]*|[_\-. ]+")
_LARGEST, _SMALLEST = 46.0, 9.0
LINE = 1.12
"""From line to line, in sizes of the letters."""
_MOST_LINES = 4


def extent(text: str) -> float:
    """The width of `text` in sizes of its letters, rather too large than too small."""
    return sum(_advance(character) for character in text)


def _advance(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    if character in "ijlI.,:'|!frt-":
        return 0.4
    return 0.88 if character in "mwMW@%" or character.isupper() else 0.61


def shortened(text: str, width: float) -> str:
    """`text`, cut so that it is at most `width` sizes wide."""
    if extent(text) <= width:
        return text
    kept, used = "", 1.0
    for character in text:
        used += _advance(character)
        if used > width:
            break
        kept += character
    return kept + "…"


def fitted(text: str, width: float, height: float) -> tuple[float, tuple[str, ...]]:
    """The size of letters, and `text` in lines broken after separators, so that it fills the room but no more."""
    words = _WORDS.findall(text) or [text]
    best: tuple[float, tuple[str, ...]] = (0.0, (text,))
    for count in range(1, _MOST_LINES + 1):
        lines = _broken(words, count)
        size = min(_LARGEST, width / max(map(extent, lines)), height / (len(lines) * LINE))
        if size > best[0] + 0.5:
            best = (size, lines)
    size, lines = best
    if size >= _SMALLEST:
        return round(size - 0.05, 1), lines
    return _SMALLEST, tuple(shortened(line, width / _SMALLEST) for line in lines)


def _broken(words: Sequence[str], count: int) -> tuple[str, ...]:
    """`words` in at most `count` lines, the longest of them as short as it can be."""
    sizes = [extent(word) for word in words]
    ends = [0.0, *accumulate(sizes)]
    limits = sorted({end - start for start, end in combinations(ends, 2)})
    enough = bisect_left(limits, True, key=lambda limit: len(_filled(words, sizes, limit)) <= count)
    return _filled(words, sizes, limits[enough])


def _filled(words: Sequence[str], sizes: Sequence[float], limit: float) -> tuple[str, ...]:
    """`words` in lines of at most `limit`, or of one word."""
    lines, used = [""], 0.0
    for word, size in zip(words, sizes, strict=True):
        if lines[-1] and used + size > limit + 1e-9:
            lines.append("")
            used = 0.0
        lines[-1] += word
        used += size
    return tuple(lines)
