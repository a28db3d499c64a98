"""A report as data: a title that says the finding, a verdict, and blocks. Knows nothing of Markdown or HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Code:
    """A span whose text came from the user or their database; shown as code, never read as markup."""

    text: str


Inline: TypeAlias = "str | Code | tuple[str | Code, ...]"
"""Plain words of ours, a code span, or a run of both."""


@dataclass(frozen=True)
class Heading:
    """The title of a section."""

    text: str


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
    """Preformatted text in a named language."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Table:
    """At most seven columns; numeric columns are aligned right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Inline, ...], ...]
    numeric: frozenset[int] = frozenset()


State = Literal["proven", "failed", "not checked"]


@dataclass(frozen=True)
class Check:
    """One line of a checklist: what was claimed, what became of it, and why."""

    claim: str
    state: State
    reason: Inline


@dataclass(frozen=True)
class Checklist:
    """Claims with their states."""

    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Bars:
    """Labelled quantities drawn to one scale; a table where pictures cannot be."""

    unit: str
    bars: tuple[tuple[Inline, float], ...]


Piece: TypeAlias = Heading | Paragraph | Bullets | Block | Table | Checklist | Bars


@dataclass(frozen=True)
class Report:
    """What a person reads. `verdict` is one bold line; `good` colours it where there is colour."""

    title: str
    verdict: str
    good: bool
    pieces: tuple[Piece, ...]
