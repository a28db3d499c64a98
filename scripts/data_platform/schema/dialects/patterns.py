"""Regular expressions and LIKE patterns: what means the same in every engine, and its spelling there."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ESCAPED_SIGN = re.compile(r"\\[!-/:-@\[-`{-~]")
_CLASS = re.compile(r"\\[dswDSWntr]")
_BRACKET = re.compile(r"\[\^?\]?(?:[^\]\\\[&]|&(?!&)|\\[dswntr]|\\[!-/:-@\[-`{-~])*\]")
_QUANTIFIER = re.compile(r"(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??")
_GROUP = re.compile(r"\((?:\?:)?(?!\?)")
_PLAIN = re.compile(r"[^\\\[\](){}*+?.^$|]")
_BEYOND_ASCII = re.compile(r"\\[dswDSW]")


class NotPortable(ValueError):
    """A pattern that engines read in different ways."""


@dataclass(frozen=True)
class Portable:
    """A regular expression that PostgreSQL, PCRE, ICU and RE2 read alike."""

    pattern: str
    beyond_ascii: bool
    """It holds classes such as \\s, which differ beyond ASCII."""


def portable_regex(pattern: str, *, end: str) -> Portable:
    """`pattern` with `end` for the end of the text, which `$` is in PostgreSQL but not in every engine."""
    if pattern.startswith(("*", "+", "?", "{")):
        raise NotPortable("the regular expression begins with a quantifier")
    pieces: list[str] = []
    position = 0
    dot = False
    while position < len(pattern):
        piece = _piece(pattern, position)
        position += len(piece)
        dot |= piece == "."
        pieces.append(end if piece == "$" else piece)
    # PostgreSQL's dot matches a line break.
    return Portable(("(?s)" if dot else "") + "".join(pieces), bool(_BEYOND_ASCII.search(pattern)))


def _piece(pattern: str, position: int) -> str:
    if pattern[position] in ".^$|)":
        return pattern[position]
    for form in (_PLAIN, _BRACKET, _QUANTIFIER, _GROUP, _CLASS, _ESCAPED_SIGN):
        if found := form.match(pattern, position):
            if form is _BRACKET and ("--" in found[0] or "[:" in found[0]):
                break
            return found[0]
    raise NotPortable(
        f"the regular expression is not read alike from `{pattern[position : position + 8]}` on"
    )


_GLOB_PIECE = re.compile(
    r"(\[\^?[A-Za-z0-9 _.,:;@#%+=-]+\]|[A-Za-z0-9 _,:;@#%=-]|\\[.+*?$^])(?:\{([0-9]{1,3})\})?"
)


def regex_as_glob(pattern: str) -> str | None:
    """A regular expression of a fixed length, such as `^[A-Z]{3}$`, as SQLite's GLOB; None for any other."""
    if not (pattern.startswith("^") and pattern.endswith("$")):
        return None
    pieces: list[str] = []
    position, end = 1, len(pattern) - 1
    while position < end:
        found = _GLOB_PIECE.match(pattern, position, end)
        if found is None:
            return None
        piece = found[1].removeprefix("\\")
        pieces += [f"[{piece}]" if piece in ("*", "?") else piece] * int(found[2] or 1)
        position = found.end()
    return "".join(pieces)


_ONE_CLASS = re.compile(
    r"\^\[(\^?)([A-Za-z0-9 _.,:;@#%+=-]+)\](?:(?P<many>[+*])|\{(?P<low>[0-9]+),(?P<high>[0-9]*)\})\$"
)


@dataclass(frozen=True)
class OneClass:
    """A regular expression such as `^[a-z]{2,9}$`: which character may not be there, and how many there may be."""

    forbidden: str
    low: int
    high: int | None


def regex_of_one_class(pattern: str) -> OneClass | None:
    """`pattern` as a GLOB for a text that it refuses, and the length of those it takes; None for any other."""
    found = _ONE_CLASS.match(pattern)
    if found is None or found.end() != len(pattern):
        return None
    negated, characters = found[1], found[2]
    low = int(found["low"]) if found["low"] else int(found["many"] == "+")
    forbidden = f"*[{'' if negated else '^'}{characters}]*"
    return OneClass(forbidden, low, int(found["high"]) if found["high"] else None)


def like_pieces(pattern: str, escape: str = "\\") -> list[tuple[str, bool]]:
    """(character, whether it is a wildcard) of a LIKE pattern."""
    pieces: list[tuple[str, bool]] = []
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            following = next(characters, None)
            if following is None:
                raise NotPortable("the LIKE pattern ends with its escape character")
            pieces.append((following, False))
        else:
            pieces.append((character, character in "%_"))
    return pieces


def as_glob(pattern: str) -> str:
    """A LIKE pattern as SQLite's GLOB, which minds case as PostgreSQL's LIKE does."""
    wild = {"%": "*", "_": "?"}
    return "".join(
        wild[character] if special else (f"[{character}]" if character in "*?[" else character)
        for character, special in like_pieces(pattern)
    )


def has_escapes(pattern: str) -> bool:
    """Whether a LIKE pattern needs an escape character."""
    return any(character in "%_\\" and not special for character, special in like_pieces(pattern))
