"""A report as one HTML file: no network, no scripts; for light and dark screens, phones and paper.

The template escapes everything it prints. Its own style is named in the page's Content-Security-Policy by its
hash, so that no other style, script, image or connection works, whatever the data hold.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from data_platform.report.document import (
    BLOCKS,
    Bars,
    Code,
    Curve,
    Heading,
    Inline,
    Piece,
    Report,
    Series,
    Strong,
    Timeline,
    shown,
    shown_block,
    shown_words,
    spans,
)
from data_platform.resources import resource

_LONG_REPORT = 4
"""From this many sections on, a line of links to them follows the verdict."""


def page(report: Report) -> str:
    """The whole page. The same report gives the same bytes."""
    sections = _sections(report.pieces)
    titled = [section for section in sections if section.heading]
    template = html_environment().get_template("report/page.html.j2")
    return template.render(
        report=report, sections=sections, contents=titled if len(titled) >= _LONG_REPORT else ()
    )


@dataclass(frozen=True)
class _Section:
    """A heading and what follows it; the pieces before the first heading have none."""

    number: int
    heading: Heading | None
    pieces: tuple[Piece, ...]


def _sections(pieces: tuple[Piece, ...]) -> tuple[_Section, ...]:
    grouped: list[tuple[Heading | None, list[Piece]]] = [(None, [])]
    for piece in pieces:
        if isinstance(piece, Heading):
            grouped.append((piece, []))
        else:
            grouped[-1][1].append(piece)
    return tuple(
        _Section(number, heading, tuple(rest))
        for number, (heading, rest) in enumerate(grouped)
        if heading or rest
    )


@lru_cache
def html_environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(resource("templates")),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(_FILTERS)
    return environment


def _kind(value: object) -> str:
    """The name of a piece's or a span's class, by which the template chooses how to draw it."""
    return type(value).__name__.lower() if isinstance(value, Piece | Code | Strong) else "words"


def _one_line(inline: Inline) -> str:
    """What a reader sees, without markup: for the title of the window."""
    return "".join(shown(span) if isinstance(span, Code) else _words(span) for span in spans(inline))


def _words(span: str | Strong) -> str:
    return shown_words(span if isinstance(span, str) else span.text)


def _breakable(text: str) -> list[str]:
    """`text` in parts, between which a narrow column may break it: at separators and in very long words."""
    return _PARTS.findall(text)


_PARTS = re.compile(r"\S{1,24}?[_./:,]+(?=[^\W\d_])|\S{1,24}\s*|\s+", re.DOTALL)


def _lengths(bars: Bars) -> list[tuple[Inline, str, str]]:
    """Label, percentage and figure of every bar."""
    lengths = (f"{share * 100:.2f}%" for share in bars.shares())
    return list(zip((label for label, _ in bars.bars), lengths, bars.figures(), strict=True))


_SHORTEST = 0.15
"""Percent of the axis that the shortest stretch takes, so that it can be seen."""


def _drawn(timeline: Timeline, lane: int) -> list[tuple[str, str, str, str]]:
    """Left edge, width, what it blocks, and a text, for each stretch of a lane; the weakest first, beneath all."""
    stretches = sorted(
        (s for s in timeline.stretches if s.lane == lane), key=lambda s: -BLOCKS.index(s.blocks)
    )
    return [
        (
            f"{timeline.share(stretch.start) * 100:.2f}%",
            f"{max(_SHORTEST, (timeline.share(stretch.end) - timeline.share(stretch.start)) * 100):.2f}%",
            stretch.blocks.replace(" ", "-"),
            f"{stretch.label}, {stretch.cause}: {stretch.end - stretch.start:.3f} s, blocks {stretch.blocks}",
        )
        for stretch in stretches
    ]


def _waits(timeline: Timeline, series: Series) -> list[tuple[str, str, str, str]]:
    """Left edge, width, top and height of each question, drawn from when it was asked to when it was answered."""
    slowest = timeline.slowest or 1.0
    return [
        (
            f"{timeline.share(start) * 100:.2f}%",
            f"{max(_SHORTEST, (timeline.share(start + took) - timeline.share(start)) * 100):.2f}%",
            f"{(1 - took / slowest) * 100:.1f}%",
            f"{max(1.0, took / slowest * 100):.1f}%",
        )
        for start, took in series.points
        if 0 <= start <= timeline.seconds
    ]


def _paths(curve: Curve) -> list[tuple[str, str, str, list[tuple[str, str]]]]:
    """Name, class, path and marks of every line, in hundredths of the picture."""
    found = []
    for number, line in enumerate(curve.lines):
        marks = [(f"{x * 100:.2f}", f"{y * 100:.2f}") for x, y in map(curve.place, line.points)]
        path = "M" + " L".join(" ".join(mark) for mark in marks)
        found.append((line.name, "chosen" if line.chosen else f"other-{number % 4}", path, marks))
    return found


def _level(curve: Curve) -> str:
    """Where the wanted level is."""
    return f"{curve.place((0.0, curve.wanted))[1] * 100:.2f}"


def _scale(curve: Curve) -> tuple[str, str, str]:
    """The ends of the axes, as they are written: least and most of y, most of x."""
    _, right, low, high = curve.ends
    return f"{low:.3f}", f"{high:.3f}", f"{right:.2f}"


def _ticks(timeline: Timeline) -> list[tuple[str, str]]:
    """Places and labels of the axis: five at most, with the decimals that tell them apart."""
    decimals = 3 if timeline.seconds < 0.1 else 2 if timeline.seconds < 5 else 1
    return [(f"{n * 25}%", f"{timeline.seconds * n / 4:.{decimals}f} s") for n in range(5)]


def _begun(timeline: Timeline) -> list[tuple[str, str]]:
    """Places and labels of the marks."""
    return [(f"{timeline.share(moment) * 100:.2f}%", label) for moment, label in timeline.marks]


def _fingerprint(style: str) -> str:
    """The hash by which a Content-Security-Policy allows exactly this style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


_FILTERS: Mapping[str, Callable[..., Any]] = {
    "begun": _begun,
    "breakable": _breakable,
    "drawn": _drawn,
    "fingerprint": _fingerprint,
    "kind": _kind,
    "lengths": _lengths,
    "level": _level,
    "one_line": _one_line,
    "paths": _paths,
    "scale": _scale,
    "shown": shown,
    "shown_block": shown_block,
    "spans": spans,
    "ticks": _ticks,
    "waits": _waits,
    "words": _words,
}
