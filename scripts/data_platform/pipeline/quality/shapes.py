"""Shapes of texts, `AA99 9AA` of `SW12 3AB`: each ASCII letter and digit as its class. And the pattern they share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

_CLASSES = {"A": "[A-Z]", "a": "[a-z]", "9": "[0-9]"}
_RUN = re.compile(r"A+|a+|9+|.", re.DOTALL)
_MOST = 3
_LONGEST = 100


def commonest(shapes: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """The commonest with runs of letters as `a` and of digits as `9`, and how often they are there."""
    counts: Counter[str] = Counter()
    for shape, times in shapes:
        counts[re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", shape))] += times
    return tuple(sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:_MOST])


def pattern(shapes: Sequence[str]) -> str | None:
    """The regular expression of texts of these shapes, runs as long as they are there.

    None where they differ in more than the length of runs, and where it would say too little: words of any length.
    """
    parts = [_RUN.findall(shape) for shape in shapes]
    kinds = {tuple(run[0] for run in runs) for runs in parts}
    if len(kinds) != 1:
        return None
    (kind,) = kinds
    lengths = [(min(map(len, runs)), max(map(len, runs))) for runs in zip(*parts, strict=True)]
    says_much = "9" in kind or ({"A", "a"} & set(kind) and all(low == high for low, high in lengths))
    if not says_much or not all(_is_plain(one) for one in kind):
        return None
    found = "".join(
        _CLASSES.get(one, one if one.isalnum() or one in " _-" else f"\\{one}") + _times(*length)
        for one, length in zip(kind, lengths, strict=True)
    )
    return f"^{found}$" if len(found) <= _LONGEST else None


def _is_plain(character: str) -> bool:
    return character.isascii() and character.isprintable()


def _times(low: int, high: int) -> str:
    if low != high:
        return f"{{{low},{high}}}"
    return f"{{{low}}}" if low > 1 else ""
