"""A report as GitHub-flavoured Markdown that reads well raw, too.

Everything is escaped here and nowhere else: words of ours cannot become markup by accident, and what came
from a database stands in a code span or a fenced block that it cannot leave.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from data_platform.report.document import (
    Bars,
    Block,
    Bullets,
    Check,
    Checklist,
    Code,
    Curve,
    Heading,
    Inline,
    Paragraph,
    Piece,
    Report,
    Span,
    State,
    Strong,
    Table,
    Timeline,
    shown,
    shown_block,
    shown_words,
    spans,
)

MOST_COLUMNS = 7
"""More than this nobody reads in Markdown; the rest belongs into JSON or HTML."""

_WIDEST_PADDING = 48
"""Columns are padded to their widest cell up to here, so that one long query does not blow up every row."""

_BAR_WIDTH = 24
_EIGHTHS = " ▏▎▍▌▋▊▉"

_BOXES: dict[State, str] = {
    "proven": "- [x] ",
    "failed": "- [ ] ✗ **failed** ",
    "not checked": "- [ ] – **not checked** ",
}


def markdown(report: Report) -> str:
    """The whole report, ending in a line break. The same report gives the same bytes.

    Raises ValueError for a table of more than seven columns.
    """
    verdict = _words(f"Verdict: {_sentence(report.verdict)}")
    head = f"**{verdict}** {_inline(report.summary)}".rstrip(" ")
    return "\n\n".join([f"# {_title(report.title)}", head, *map(_piece, report.pieces)]) + "\n"


# Pieces ---------------------------------------------------------------------------------------------------


def _piece(piece: Piece) -> str:
    match piece:
        case Heading(text):
            return f"## {_title(text)}"
        case Paragraph(text):
            return _line(text)
        case Bullets(items):
            return "\n".join(f"- {_line(item)}" for item in items)
        case Block(text, language):
            return _fenced(text, language)
        case Table():
            return _table(piece)
        case Checklist():
            return _checklist(piece)
        case Bars():
            return _bars(piece)
        case Timeline():
            return _timeline(piece)
        case Curve():
            return _curve(piece)


def _fenced(text: str, language: str) -> str:
    text = shown_block(text)
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{_NOT_LANGUAGE.sub('', language)}\n{text}\n{fence}"


_NOT_LANGUAGE = re.compile(r"[^A-Za-z0-9+#.-]")


def _table(table: Table) -> str:
    if len(table.columns) > MOST_COLUMNS:
        raise ValueError(f"a table has {len(table.columns)} columns; Markdown shows at most {MOST_COLUMNS}")
    return _grid(table.columns, [[_cell(cell) for cell in row] for row in table.rows], table.numeric)


def _bars(bars: Bars) -> str:
    rows = [
        [_cell(label), figure, _bar(share)]
        for (label, _), figure, share in zip(bars.bars, bars.figures(), bars.shares(), strict=True)
    ]
    return _grid(("", bars.unit, ""), rows, frozenset({1}))


def _curve(curve: Curve) -> str:
    """Of each line its first and last point, and the first that reaches what is wanted."""
    rows = []
    for line in curve.lines:
        there = next((point for point in line.points if point[1] >= curve.wanted), None)
        ends = (line.points[0], line.points[-1], there)
        rows.append(
            (
                line.name,
                *(f"{y:.3f} at {x:.3f}" if (x, y) != (0, 0) else "–" for x, y in (e or (0, 0) for e in ends)),
            )
        )
    columns = ("", "least", "most", f"first at {curve.wanted:g} or more")
    return f"{curve.y} for {curve.x}:\n\n" + _table(Table(columns, tuple(rows)))


_MOST_STRETCHES = 30


def _timeline(timeline: Timeline) -> str:
    """The stretches as a table, the longest where there are many."""
    longest = sorted(timeline.stretches, key=lambda stretch: stretch.start - stretch.end)[:_MOST_STRETCHES]
    rows = [
        (
            timeline.lanes[stretch.lane],
            stretch.label,
            stretch.cause,
            f"{stretch.start:.3f}",
            f"{stretch.end - stretch.start:.3f}",
            stretch.blocks,
        )
        for stretch in sorted(longest, key=lambda stretch: (stretch.start, stretch.lane))
    ]
    columns = ("relation", "lock", "taken by", "from s", "for s", "blocks")
    table = _table(Table(columns, tuple(rows), frozenset({3, 4})))
    left_out = len(timeline.stretches) - len(longest)
    return f"{table}\n\n{left_out} shorter ones are left out." if left_out else table


def _bar(share: float) -> str:
    eighths = max(round(share * _BAR_WIDTH * 8), 1 if share else 0)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _checklist(checklist: Checklist) -> str:
    if not checklist.checks:
        return "Nothing to check."
    counts = ", ".join(f"{count} {state}" for state, count in checklist.counts())
    return "\n".join([f"{counts}:", "", *map(_check, checklist.checks)])


def _check(check: Check) -> str:
    claim, reason = _inline(check.claim).removesuffix("."), _inline(check.reason)
    return _BOXES[check.state] + (f"{claim}: {reason}" if reason else claim)


# Tables ---------------------------------------------------------------------------------------------------


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: frozenset[int]) -> str:
    header = [_cell(column) for column in columns]
    widths = [_padding(cells) for cells in zip(header, *rows, strict=True)]
    rules = ["-" * (width - 1) + (":" if n in numeric else "-") for n, width in enumerate(widths)]
    lines = (
        (
            _padded(cell, width, right=n in numeric)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, rules, *rows)
    )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _padding(cells: Iterable[str]) -> int:
    widths = [_width(cell) for cell in cells]
    return max([3, *(width for width in widths if width <= _WIDEST_PADDING)])


def _padded(cell: str, width: int, *, right: bool) -> str:
    blank = " " * (width - _width(cell))
    return blank + cell if right else cell + blank


def _width(text: str) -> int:
    """The columns of a terminal that `text` takes, nearly: wide characters count two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cell(inline: Inline) -> str:
    # A pipe ends a cell even inside a code span; the backslash is taken away first, whatever is before it.
    return _inline(inline).replace("|", r"\|")


# Spans ----------------------------------------------------------------------------------------------------


def _title(inline: Inline) -> str:
    """A run in a heading, whose last hashes a parser would take for the heading's end."""
    return re.sub(r"(?:^|(?<=\s))#+$", r"\\\g<0>", _inline(inline))


def _line(inline: Inline) -> str:
    """A run where a block could begin: nothing of it starts a list, a quote, a heading or a rule."""
    return _BLOCK_START.sub(r"\g<number>\\\g<mark>", _inline(inline))


_BLOCK_START = re.compile(
    r"""
    ^(?: (?P<number>[0-9]{1,9}(?=[.)](\s|$)))   # an ordered list
       | (?=[-+](\s|$) | -[-\s]*$)              # a list, a rule
       | (?=> | \#+(\s|$))                      # a quote, a heading
    )(?P<mark>.)
    """,
    re.VERBOSE,
)


def _inline(inline: Inline) -> str:
    return "".join(map(_span, spans(inline))).strip(" ")


def _span(span: Span) -> str:
    if isinstance(span, Code):
        return _code(shown(span))
    if isinstance(span, Strong):
        return f"**{_words(span.text).strip()}**" if span.text.strip() else " "
    return _words(span)


def _code(text: str) -> str:
    """A code span from which exactly `text` is read back; the empty text is shown as one space."""
    fence = "`" * (_longest_run(text) + 1)
    # A parser takes one space off both ends if both are there, unless there is nothing but spaces.
    stripped = text.startswith(" ") and text.endswith(" ") and text.strip(" ")
    pad = " " if not text or stripped or text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad if text else ''}{fence}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _words(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", shown_words(text))


_MARKUP = re.compile(
    r"""
      [\\`*\[~$]                   # escapes, code, emphasis, links, strikethrough, GitHub's mathematics
    | (?<![^\W_])_ | _(?![^\W_])   # emphasis; between two letters, as in snake_case, it is none
    | <(?=[A-Za-z/!?])             # HTML; a lone "less than" is none
    | &(?=\#?\w+;)                 # entities
    """,
    re.VERBOSE,
)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
