"""Where a text may be cut: the best border within reach, found by searching back from the end."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

PARAGRAPHS = ("\n\n", "\r\n\r\n")
SEPARATORS = (*PARAGRAPHS, "\n", "。", "！", "？", ". ", "! ", "? ", "; ", ", ", " ", "、", "\u3000")
"""From the best border to the worst; the cut comes after them."""

_JOINERS = "\u200d\ufe0f\ufe0e"
_SENTENCE = re.compile(r"""(?:[.!?…]+["'”’)\]]*(?=\s)|[。！？]+["'”’」』）]*|\n\s*\n)\s*""")
_SOLID = re.compile(r"\S")
_SHORT = re.compile(
    r"(?:\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|No|Fig|al|Inc|Ltd|Jr|Sr|approx))\.\Z"
)


def border(text: str, start: int, end: int) -> int:
    """The best place to cut at or before `end` and after the middle of start … end; never inside a character."""
    if end >= len(text):
        return len(text)
    middle = start + (end - start) // 2
    for separator in SEPARATORS:
        found = text.rfind(separator, middle, end)
        if found >= 0:
            return found + len(separator)
    return whole(text, end, start)


def whole(text: str, at: int, after: int) -> int:
    """`at`, moved back so that no character is taken apart: combining marks, joined emoji, CR LF."""
    place = at
    while place > after + 1 and _joined(text, place):
        place -= 1
    return place if place > after else at


def _joined(text: str, at: int) -> bool:
    """Whether what stands at `at` belongs to what stands before it."""
    if at >= len(text):
        return False
    here, before = text[at], text[at - 1]
    if before == "\r" and here == "\n":
        return True
    if here in _JOINERS or before == "\u200d" or "\U0001f3fb" <= here <= "\U0001f3ff":
        return True
    return (ord(here) > 0x2FF and unicodedata.combining(here) != 0) or unicodedata.category(here) in (
        "Mn",
        "Me",
        "Mc",
    )


def sentences(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Sentences with the white space after them, one after the other: all of the text is in one of them."""
    stop = len(text) if end is None else end
    begun = start
    for found in _SENTENCE.finditer(text, start, stop):
        if _SHORT.search(text, max(begun, found.start() - 8), found.start() + 1):
            continue
        yield begun, found.end()
        begun = found.end()
    if begun < stop:
        yield begun, stop


def past_space(text: str, start: int, stop: int) -> int:
    """The first place from `start` on that is no white space."""
    found = _SOLID.search(text, start, stop)
    return found.start() if found else stop


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Without white space at its ends."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))
