"""A report as data: a title that says the finding, a verdict, and pieces. Knows nothing of Markdown or HTML.

What came from the user or their database is a `Code`; all other text is ours. The two writers, `markdown` and
`html`, show both through the functions at the end of this module, so that a report reads the same in either.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Code:
    """A span whose text came from the user or their database; shown as code, never read as markup."""

    text: str


@dataclass(frozen=True)
class Strong:
    """Words of ours that must not be overlooked, such as the one figure that misses its target."""

    text: str


Span: TypeAlias = str | Code | Strong
"""Plain words of ours, theirs as code, or ours with weight."""

Inline: TypeAlias = Span | tuple[Span, ...]
"""One span or a run of them."""


def words(text: str) -> Inline:
    """A message with `names` in backticks as words and code spans; as one code span if they do not pair up."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return Code(text)
    return tuple(Code(part) if number % 2 else part for number, part in enumerate(parts) if part)


@dataclass(frozen=True)
class Heading:
    """The title of a section."""

    text: Inline


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: Inline


@dataclass(frozen=True)
class Bullets:
    """An unordered list."""

    items: tuple[Inline, ...]


@dataclass(frozen=True)
class Block:
    """Preformatted text in a named language, shown whole."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Table:
    """At most seven columns in Markdown, any number in HTML; numeric columns are aligned right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Inline, ...], ...]
    numeric: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("a table needs a column")
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row has {len(row)} cells, its table {len(self.columns)} columns")


State = Literal["proven", "failed", "not checked"]

STATES: tuple[State, ...] = ("proven", "failed", "not checked")


@dataclass(frozen=True)
class Check:
    """One line of a checklist: what was claimed, what became of it, and why."""

    claim: Inline
    state: State
    reason: Inline


@dataclass(frozen=True)
class Checklist:
    """Claims with their states."""

    checks: tuple[Check, ...]

    def counts(self) -> tuple[tuple[State, int], ...]:
        """How many checks are in each state that occurs."""
        states = [check.state for check in self.checks]
        return tuple((state, states.count(state)) for state in STATES if state in states)


@dataclass(frozen=True)
class Bars:
    """Labelled quantities drawn to one scale that starts at zero; a table where pictures cannot be."""

    unit: str
    bars: tuple[tuple[Inline, float], ...]

    def __post_init__(self) -> None:
        for _, value in self.bars:
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"a bar cannot be {value} long")

    def shares(self) -> tuple[float, ...]:
        """Each bar's length as a part of the longest, 0 to 1."""
        longest = max((value for _, value in self.bars), default=0.0)
        return tuple(value / longest if longest else 0.0 for _, value in self.bars)

    def figures(self) -> tuple[str, ...]:
        """The quantities, all with the decimals that the smallest needs for two digits, at most three."""
        values = [value for _, value in self.bars]
        decimals = 0 if all(float(value).is_integer() for value in values) else max(map(_decimals, values))
        return tuple(f"{value:,.{decimals}f}" for value in values)


def _decimals(value: float) -> int:
    return min(3, max(1, 1 - math.floor(math.log10(value)))) if value else 1


Blocks = Literal["reads and writes", "writes", "schema changes", "nothing"]
"""What a lock keeps others from."""

BLOCKS: tuple[Blocks, ...] = ("reads and writes", "writes", "schema changes", "nothing")


@dataclass(frozen=True)
class Stretch:
    """A lock on the relation of a lane, from second to second; `label` is its mode, `cause` who took it."""

    lane: int
    start: float
    end: float
    label: str
    blocks: Blocks
    cause: str


@dataclass(frozen=True)
class Series:
    """Questions of one kind of client: when each was asked and how many seconds its answer took."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Timeline:
    """Locks over time, one lane a relation, with what clients waited below; a table where pictures cannot be.

    `marks` say when what began. Times are seconds from the first of them.
    """

    lanes: tuple[Inline, ...]
    stretches: tuple[Stretch, ...]
    marks: tuple[tuple[float, str], ...]
    series: tuple[Series, ...]
    seconds: float

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ValueError("a timeline needs a duration")
        for stretch in self.stretches:
            if not 0 <= stretch.lane < len(self.lanes):
                raise ValueError(f"there is no lane {stretch.lane}")

    def share(self, moment: float) -> float:
        """Where on the axis a moment is, 0 to 1."""
        return min(1.0, max(0.0, moment / self.seconds))

    @property
    def slowest(self) -> float:
        """The longest answer, in seconds."""
        return max((took for series in self.series for _, took in series.points), default=0.0)


@dataclass(frozen=True)
class Line:
    """Measured points of one thing, from left to right; `chosen` is drawn heavier."""

    name: str
    points: tuple[tuple[float, float], ...]
    chosen: bool = False


@dataclass(frozen=True)
class Curve:
    """What is gained (`y`) for what is paid (`x`), a line for each thing, with the level that is wanted; a table where
    pictures cannot be.
    """

    x: str
    y: str
    lines: tuple[Line, ...]
    wanted: float

    def __post_init__(self) -> None:
        if not self.lines or not all(line.points for line in self.lines):
            raise ValueError("a curve needs points")

    @property
    def ends(self) -> tuple[float, float, float, float]:
        """The least and the most of x, which begins at zero, and of y."""
        every = [point for line in self.lines for point in line.points]
        heights = [self.wanted, *(y for _, y in every)]
        return 0.0, max(x for x, _ in every) or 1.0, min(heights), max(heights)

    def place(self, point: tuple[float, float]) -> tuple[float, float]:
        """Where a point is, 0 to 1 from the left and from the top."""
        left, right, low, high = self.ends
        return (point[0] - left) / (right - left), 1 - (point[1] - low) / ((high - low) or 1.0)


Piece: TypeAlias = Heading | Paragraph | Bullets | Block | Table | Checklist | Bars | Timeline | Curve


@dataclass(frozen=True)
class Report:
    """What a person reads.

    `verdict` is a word or a line of ours, set in bold; `summary` follows with the figures that matter.
    `good` colours the verdict where there is colour; None is for one that could not be reached.
    """

    title: Inline
    verdict: str
    good: bool | None
    pieces: tuple[Piece, ...]
    summary: Inline = ""


# What both writers show ------------------------------------------------------------------------------------

LONGEST_CODE = 240
"""Characters of a `Code` that are shown; the rest gives way to an ellipsis. A `Block` has no such limit."""

_HIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\ufffe\uffff\U000e0000-\U000e007f]"
)
"""Controls, line and paragraph separators, zero-width and direction marks, tags, halves of surrogate pairs.

A fixed list and not Unicode's categories, so that every Python shows the same bytes.
"""

_KEPT_IN_BLOCKS = "\n\t"


def spans(inline: Inline) -> tuple[Span, ...]:
    """`inline` as a run without empty words, in which no two neighbours are of one kind.

    A space comes between two code spans that touch, as they could be read as one.
    """
    run = inline if isinstance(inline, tuple) else (inline,)
    merged: list[Span] = []
    for kind, neighbours in groupby((span for span in run if span not in ("", Strong(""))), key=_kind):
        if kind is Code:
            merged.extend(chain.from_iterable((span, " ") for span in neighbours))
            merged.pop()
        else:
            text = plain(tuple(neighbours))
            merged.append(Strong(text) if kind is Strong else text)
    return tuple(merged)


def _kind(span: Span) -> type:
    return type(span) if isinstance(span, Code | Strong) else str


def plain(inline: Inline) -> str:
    """The text alone, with nothing replaced: for JSON, not for showing."""
    run = inline if isinstance(inline, tuple) else (inline,)
    return "".join(span if isinstance(span, str) else span.text for span in run)


def shown(span: Code) -> str:
    """The text of a code span: one line, bounded, and with nothing that hides or moves other text.

    A line break becomes ↵, a tab ⇥, another control character its picture (␀), a mark without a shape its
    number (‹U+202E›).
    """
    text = span.text.replace("\r\n", "\n")
    if len(text) > LONGEST_CODE:
        text = text[: LONGEST_CODE - 1] + "…"
    return _HIDDEN.sub(_picture, text)


def shown_block(text: str) -> str:
    """The text of a block: as `shown`, but whole, and with its line breaks and tabs."""
    text = text.replace("\r\n", "\n").removesuffix("\n")
    return _HIDDEN.sub(lambda match: match[0] if match[0] in _KEPT_IN_BLOCKS else _picture(match), text)


def shown_words(text: str) -> str:
    """Words of ours: on one line, and with nothing that hides or moves other text."""
    return _HIDDEN.sub(_picture, re.sub(r"[ \t\r\n]+", " ", text))


def _picture(match: re.Match[str]) -> str:
    character = match[0]
    if character in _PICTURES:
        return _PICTURES[character]
    return f"‹U+{ord(character):04X}›"


_PICTURES = {chr(code): chr(0x2400 + code) for code in range(32)} | {"\x7f": "␡", "\n": "↵", "\t": "⇥"}
