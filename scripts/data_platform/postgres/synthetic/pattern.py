"""Strings that match a regular expression, numbered: the common part of PostgreSQL's syntax, without lookaround.

A pattern is taken apart into runs of characters, sequences and choices. Each can count its strings by length, and so
find the n-th string without making the others.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from data_platform.postgres.synthetic.space import HUGE

_LOWER = "abcdefghijklmnopqrstuvwxyz"
_UPPER = _LOWER.upper()
_DIGITS = "0123456789"
_USUAL = _LOWER + _DIGITS
"""What stands for "any character" and what a negated class chooses from first."""
_PRINTABLE = _USUAL + _UPPER + " -_.,:;!?'\"@#$%&*()+=/<>[]{}|^~`\\"
_CLASSES = {
    "alpha": _LOWER + _UPPER,
    "lower": _LOWER,
    "upper": _UPPER,
    "digit": _DIGITS,
    "alnum": _LOWER + _UPPER + _DIGITS,
    "xdigit": _DIGITS + "abcdefABCDEF",
    "space": " ",
    "blank": " ",
    "punct": "-_.,:;!?",
    "word": _USUAL + _UPPER + "_",
}
_ESCAPES = {"d": _DIGITS, "w": _USUAL + _UPPER + "_", "s": " ", "n": "\n", "t": "\t", "r": "\r"}
_NEGATED = {"D": _DIGITS, "W": _USUAL + _UPPER + "_", "S": " \t\n\r"}
_EDGES = "mMyAZbB"
_MORE = 12
"""How often an unlimited repetition goes on after its minimum."""
_LONGEST = 200


class UnknownPattern(ValueError):
    """Syntax that is not generated for."""


@dataclass(frozen=True)
class Run:
    """Between `low` and `high` characters of an alphabet."""

    alphabet: str
    low: int = 1
    high: int = 1

    def counts(self, limit: int) -> list[int]:
        """How many strings there are of each length up to `limit`."""
        return _powers(len(self.alphabet), self.low, self.high, limit)

    def text(self, length: int, number: int, limit: int) -> str:
        """The `number`-th string of that length."""
        characters: list[str] = []
        for _ in range(length):
            number, place = divmod(number, len(self.alphabet))
            characters.append(self.alphabet[place])
        return "".join(characters)


@lru_cache(maxsize=4096)
def _powers(letters: int, low: int, high: int, limit: int) -> list[int]:
    return [letters**n if low <= n <= high else 0 for n in range(limit + 1)]


@dataclass(eq=False)
class Pair:
    """One part after the other."""

    first: Part
    second: Part

    def counts(self, limit: int) -> list[int]:
        if not hasattr(self, "_counts"):
            a, b = self.first.counts(limit), self.second.counts(limit)
            self._counts = [sum(a[i] * b[n - i] for i in range(n + 1) if a[i]) for n in range(limit + 1)]
        return self._counts

    def text(self, length: int, number: int, limit: int) -> str:
        a, b = self.first.counts(limit), self.second.counts(limit)
        for size in range(length + 1):
            ways = a[size] * b[length - size]
            if number < ways:
                first, second = divmod(number, b[length - size])
                return self.first.text(size, first, limit) + self.second.text(length - size, second, limit)
            number -= ways
        raise IndexError(number)


@dataclass(eq=False)
class Choice:
    """One of several parts."""

    options: tuple[Part, ...]

    def counts(self, limit: int) -> list[int]:
        if not hasattr(self, "_counts"):
            parts = [option.counts(limit) for option in self.options]
            self._counts = [sum(column) for column in zip(*parts, strict=True)]
        return self._counts

    def text(self, length: int, number: int, limit: int) -> str:
        for option in self.options:
            ways = option.counts(limit)[length]
            if number < ways:
                return option.text(length, number, limit)
            number -= ways
        raise IndexError(number)


Part = Run | Pair | Choice
_EMPTY = Run("a", 0, 0)


@dataclass(eq=False)
class Matching:
    """A space of strings of `shortest` … `longest` characters that match a part."""

    part: Part
    shortest: int
    longest: int

    @cached_property
    def _by_length(self) -> list[tuple[int, int]]:
        """Lengths and how many strings have them; those with plenty come first, so that texts are not all short."""
        counts = self.part.counts(self.longest)
        found = [(n, ways) for n, ways in enumerate(counts) if ways and n >= self.shortest]
        return sorted(found, key=lambda pair: (pair[1] < 10**6, pair[0]))

    @cached_property
    def size(self) -> int:
        return min(HUGE, sum(ways for _, ways in self._by_length))

    @property
    def natural(self) -> int:
        return min(self.size, 1000)

    def texts(self, numbers: Sequence[int]) -> list[str]:
        return [self._text(number) for number in numbers]

    @lru_cache(maxsize=4096)  # noqa: B019 - the space lives as long as its table's plan
    def _text(self, number: int) -> str:
        for length, ways in self._by_length:
            if number < ways:
                # Neighbours should not look alike: a stride that shares no factor with most counts.
                return self.part.text(
                    length, number * 2_654_435_761 % ways if ways % 2_654_435_761 else number, self.longest
                )
            number -= ways
        raise IndexError(number)


def matching(regex: str, shortest: int, longest: int | None, *, fold: bool = False) -> Matching:
    """The strings that match `regex`; with `fold` no two that differ only in case. UnknownPattern if it cannot."""
    part = _Parser(regex, fold).parse()
    return Matching(part, shortest, min(_LONGEST, longest if longest is not None else _LONGEST))


class _Parser:
    def __init__(self, regex: str, fold: bool) -> None:
        self._text = regex.removeprefix("(?i)")
        self._at = 0
        self._fold = fold

    def parse(self) -> Part:
        part = self._choice()
        if self._at < len(self._text):
            raise UnknownPattern(self._text)
        return part

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        character = self._peek()
        if not character:
            raise UnknownPattern(self._text)
        self._at += 1
        return character

    def _choice(self) -> Part:
        options = [self._sequence()]
        while self._peek() == "|":
            self._take()
            options.append(self._sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Part:
        parts: list[Part] = []
        while self._peek() and self._peek() not in "|)":
            parts.append(self._repeated(self._atom()))
        return _in_a_row(parts)

    def _atom(self) -> Part:
        character = self._take()
        match character:
            case "^" | "$":
                return _EMPTY
            case ".":
                return Run(_USUAL)
            case "[":
                return Run(self._class())
            case "(":
                return self._group()
            case "\\":
                return self._escape()
            case "*" | "+" | "?" | "{":
                raise UnknownPattern(self._text)
            case _:
                return Run(character)

    def _group(self) -> Part:
        if self._peek() == "?":
            self._take()
            if self._take() != ":":
                raise UnknownPattern(self._text)
        part = self._choice()
        if self._take() != ")":
            raise UnknownPattern(self._text)
        return part

    def _escape(self) -> Part:
        letter = self._take()
        if letter in _EDGES:
            return _EMPTY
        if letter in _ESCAPES:
            return Run(self._folded(_ESCAPES[letter]))
        if letter in _NEGATED:
            return Run(self._folded(_without(_NEGATED[letter])))
        if letter.isalnum():
            raise UnknownPattern(self._text)
        return Run(letter)

    def _class(self) -> str:
        negated = self._peek() == "^" and bool(self._take())
        characters = "" if self._peek() != "]" else self._take()
        while self._peek() != "]":
            characters += self._class_item()
        self._take()
        return self._folded(_without(characters) if negated else "".join(dict.fromkeys(characters)))

    def _class_item(self) -> str:
        if self._text.startswith("[:", self._at):
            name, _, _ = self._text[self._at + 2 :].partition(":]")
            self._at += len(name) + 4
            if name not in _CLASSES:
                raise UnknownPattern(self._text)
            return _CLASSES[name]
        first = self._take()
        if first == "\\":
            letter = self._take()
            return _ESCAPES.get(letter, letter)
        if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
            self._take()
            last = self._take()
            if last == "\\":
                last = self._take()
            return "".join(map(chr, range(ord(first), min(ord(last), ord(first) + 500) + 1)))
        return first

    def _folded(self, alphabet: str) -> str:
        if not self._fold:
            return alphabet
        return "".join({character.lower(): character for character in reversed(alphabet)}.values())

    def _repeated(self, part: Part) -> Part:
        while self._peek() and self._peek() in "*+?{":
            low, high = self._quantifier()
            if self._peek() == "?":
                self._take()
            part = _repeat(part, low, high)
        return part

    def _quantifier(self) -> tuple[int, int]:
        match self._take():
            case "*":
                return 0, _MORE
            case "+":
                return 1, 1 + _MORE
            case "?":
                return 0, 1
        found = re.compile(r"(\d+)(,?)(\d*)\}").match(self._text, self._at)
        if not found:
            raise UnknownPattern(self._text)
        self._at = found.end()
        low = int(found[1])
        if not found[2]:
            return low, low
        return low, int(found[3]) if found[3] else low + _MORE


def _repeat(part: Part, low: int, high: int) -> Part:
    if isinstance(part, Run) and (part.low, part.high) == (1, 1):
        return Run(part.alphabet, low, high)
    optional: Part = _EMPTY
    for _ in range(min(high - low, _MORE)):
        optional = Choice((_EMPTY, Pair(part, optional)))
    return _in_a_row([*[part] * low, optional])


def _in_a_row(parts: list[Part]) -> Part:
    if not parts:
        return _EMPTY
    whole = parts[-1]
    for part in reversed(parts[:-1]):
        whole = Pair(part, whole)
    return whole


def _without(characters: str) -> str:
    left = [character for character in _USUAL if character not in characters]
    return "".join(left or [character for character in _PRINTABLE if character not in characters])


@lru_cache(maxsize=512)
def in_python(regex: str, ignore_case: bool) -> re.Pattern[str] | None:
    """The same expression for Python's `re`, as near as it comes; None if it cannot be read."""
    spelled = re.sub(r"\[:(\w+):\]", lambda found: re.escape(_CLASSES.get(found[1], "")), regex)
    spelled = re.sub(r"\\[mMy]", r"\\b", spelled)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(spelled, re.IGNORECASE if ignore_case else 0)
    except re.error:
        return None
