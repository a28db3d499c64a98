"""How long a piece of text is: in characters, or in tokens of a tokenizer's file."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from data_platform.errors import EnvironmentProblem, UsageProblem

_BLOCK = 20_000
"""Characters that are read into tokens at a time; cut at white space, where no token goes across."""


class Ruler(Protocol):
    """Measures pieces of one text."""

    def length(self, start: int, end: int) -> int:
        """Of the piece."""

    def reach(self, start: int, size: int) -> int:
        """The farthest end of a piece from `start` on that is no longer than `size`; after `start` if there is text."""

    def back(self, end: int, size: int) -> int:
        """The earliest start of a piece up to `end` that is no longer than `size`."""


@dataclass(frozen=True)
class Characters:
    """By code points."""

    text: str

    def length(self, start: int, end: int) -> int:
        return end - start

    def reach(self, start: int, size: int) -> int:
        return min(len(self.text), start + size)

    def back(self, end: int, size: int) -> int:
        return max(0, end - size)


@dataclass(frozen=True)
class Tokens:
    """By tokens, as they stand in the whole text: `starts` and `ends` are theirs."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def length(self, start: int, end: int) -> int:
        return bisect_left(self.starts, end) - bisect_right(self.ends, start)

    def reach(self, start: int, size: int) -> int:
        first = bisect_right(self.ends, start)
        return self.starts[first + size] if first + size < len(self.starts) else len(self.text)

    def back(self, end: int, size: int) -> int:
        last = bisect_left(self.starts, end)
        return self.starts[max(0, last - size)] if self.starts else 0


@dataclass(frozen=True)
class Tokenizer:
    """A `tokenizer.json` of the tokenizers library."""

    inner: Any

    def ruler(self, text: str) -> Tokens:
        """The tokens of a text."""
        starts: list[int] = []
        ends: list[int] = []
        places = list(_blocks(text))
        read = self.inner.encode_batch([text[a:b] for a, b in places], add_special_tokens=False)
        for (offset, _), encoded in zip(places, read, strict=True):
            for start, end in encoded.offsets:
                # Bytes of one character may be several tokens: they begin where the first does.
                starts.append(offset + start)
                ends.append(offset + max(end, start))
        return Tokens(text, starts, ends)

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text alone, without those that a model adds at its ends."""
        return [len(one.ids) for one in self.inner.encode_batch(list(texts), add_special_tokens=False)]


def _blocks(text: str) -> list[tuple[int, int]]:
    places, start = [], 0
    while start < len(text):
        end = min(len(text), start + _BLOCK)
        if end < len(text):
            space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
            end = space if space > start else end
        places.append((start, end))
        start = end
    return places


def tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a file. UsageProblem for what is none; EnvironmentProblem without the library."""
    try:
        import tokenizers  # noqa: PLC0415
    except ImportError:
        raise EnvironmentProblem(
            "no library to count tokens with", expected="tokenizers", try_="dpe setup --extra embeddings"
        ) from None
    if not path.is_file():
        raise UsageProblem("there is no such tokenizer", where=str(path), expected="a tokenizer.json")
    try:
        inner = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no class of its own
        raise UsageProblem(f"no tokenizer: {error}", where=str(path), expected="a tokenizer.json") from None
    inner.no_truncation()
    inner.no_padding()
    return Tokenizer(inner)
