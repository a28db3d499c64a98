"""Strategies: how a text becomes spans, in order. Together they hold all of the text but white space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from data_platform.retrieval.chunking.borders import border, past_space, sentences, trimmed, whole
from data_platform.retrieval.chunking.document import Document, Span
from data_platform.retrieval.chunking.measure import Ruler

Distances = Callable[[Sequence[str]], Sequence[float]]
"""How far each text is from the one after it, by meaning."""

_FARTHEST = 0.9
"""Sentences whose distance to the next is among the upper tenth end a semantic chunk."""


def fixed(text: str, ruler: Ruler, size: int, overlap: int) -> Iterator[Span]:
    """Every `size`, wherever that is, but not inside a character."""
    yield from _windows(text, ruler, size, overlap, lambda start, end: whole(text, end, start))


def recursive(
    text: str, ruler: Ruler, size: int, overlap: int, start: int = 0, stop: int | None = None
) -> Iterator[Span]:
    """At the best border within reach: paragraph, line, sentence, word."""
    yield from _windows(text, ruler, size, overlap, lambda a, b: border(text, a, b), start, stop)


def _windows(
    text: str,
    ruler: Ruler,
    size: int,
    overlap: int,
    cut: Callable[[int, int], int],
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Span]:
    stop = len(text) if stop is None else stop
    while start < stop:
        start = past_space(text, start, stop)
        if start >= stop:
            return
        reach = ruler.reach(start, size)
        end = stop if reach >= stop else min(cut(start, reach), stop)
        first, last = trimmed(text, start, end)
        if first < last:
            yield Span(start=first, end=last)
        if end >= stop:
            return
        start = _overlapped(text, ruler, start, end, overlap)


def _overlapped(text: str, ruler: Ruler, start: int, end: int, overlap: int) -> int:
    """Where the next one begins: `overlap` before the end, at the beginning of a word, and after this one's start."""
    if not overlap:
        return end
    back = max(ruler.back(end, overlap), start + 1)
    if back < end and not text[back - 1].isspace():
        space = text.find(" ", back, end)
        back = space + 1 if space >= 0 else whole(text, back, start)
    return back if start < back < end else end


def packed(
    text: str,
    ruler: Ruler,
    size: int,
    overlap: int,
    pieces: Iterable[tuple[int, int]],
    headings: tuple[str, ...] = (),
) -> Iterator[Span]:
    """Neighbouring pieces together as long as they fit; one that does not fit alone is cut at its best borders."""
    held: list[tuple[int, int]] = []
    for start, end in pieces:
        if held and ruler.length(held[0][0], end) > size:
            yield from _closed(text, held, headings)
            held = _kept(ruler, held, overlap, end, size)
        if ruler.length(*trimmed(text, start, end)) > size:
            yield from _closed(text, held, headings)
            held = []
            for span in recursive(text, ruler, size, overlap, start, end):
                yield Span(start=span.start, end=span.end, headings=headings)
        else:
            held.append((start, end))
    yield from _closed(text, held, headings)


def _closed(text: str, held: Sequence[tuple[int, int]], headings: tuple[str, ...]) -> Iterator[Span]:
    if held:
        start, end = trimmed(text, held[0][0], held[-1][1])
        if start < end:
            yield Span(start=start, end=end, headings=headings)


def _kept(
    ruler: Ruler, held: list[tuple[int, int]], overlap: int, end: int, size: int
) -> list[tuple[int, int]]:
    """The last pieces that fit into the overlap, if the next one still fits with them. Without one none, not even a
    piece that is no token at all.
    """
    kept: list[tuple[int, int]] = []
    for piece in reversed(held[1:] if overlap else []):
        if ruler.length(piece[0], held[-1][1]) > overlap or ruler.length(piece[0], end) > size:
            break
        kept.insert(0, piece)
    return kept


def by_sentence(text: str, ruler: Ruler, size: int, overlap: int) -> Iterator[Span]:
    """Whole sentences."""
    yield from packed(text, ruler, size, overlap, sentences(text))


def semantic(text: str, ruler: Ruler, size: int, overlap: int, distances: Distances) -> Iterator[Span]:
    """Whole sentences, cut where one is farther from the next than nine tenths of them are."""
    pieces = list(sentences(text))
    if len(pieces) < 3:
        yield from packed(text, ruler, size, overlap, pieces)
        return
    far = distances([text[a:b] for a, b in pieces])
    limit = sorted(far)[int(_FARTHEST * (len(far) - 1))]
    group: list[tuple[int, int]] = []
    for number, piece in enumerate(pieces):
        group.append(piece)
        if number < len(far) and far[number] > limit:
            yield from packed(text, ruler, size, overlap, group)
            group = []
    yield from packed(text, ruler, size, overlap, group)


# --- structure ---


def markdown(document: Document, ruler: Ruler, size: int, overlap: int) -> Iterator[Span]:
    """Section by section with its headings; blocks (paragraphs, lists, tables, fences) whole where they fit."""
    from markdown_it import MarkdownIt  # noqa: PLC0415

    text = document.text
    lines = _line_starts(text)
    tokens = MarkdownIt("commonmark", {"maxNesting": 20}).enable("table").parse(_same_length(text))
    top = [
        (token, tokens[n + 1].content if n + 1 < len(tokens) else "")
        for n, token in enumerate(tokens)
        if token.level == 0 and token.map
    ]
    starts = [*(lines[token.map[0]] for token, _ in top if token.map), len(text)]
    path: list[tuple[int, str]] = []
    # What comes first and makes no block, link definitions and the like, is one all the same.
    blocks: list[tuple[int, int]] = [(0, starts[0])] if starts[0] else []
    bare = False  # a heading with nothing under it stays with the one that follows
    for number, (token, words) in enumerate(top):
        start, end = starts[number], starts[number + 1]
        if token.type == "heading_open":
            if not bare:
                yield from packed(text, ruler, size, overlap, blocks, _words(path))
                blocks = []
            level = int(token.tag[1:])
            path = [*(one for one in path if one[0] < level), (level, words)]
        bare = token.type == "heading_open"
        blocks.append((start, end))
    yield from packed(text, ruler, size, overlap, blocks, _words(path))


def _same_length(text: str) -> str:
    """As markdown-it counts lines: by \\n alone, so that lone CRs and NULs do not move anything."""
    return text.replace("\0", "\ufffd").replace("\r\n", " \n").replace("\r", " ")


def _line_starts(text: str) -> list[int]:
    starts = [0]
    found = text.find("\n")
    while found >= 0:
        starts.append(found + 1)
        found = text.find("\n", found + 1)
    return [*starts, len(text), len(text)]


def _words(path: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(words for _, words in path)


def by_headings(document: Document, ruler: Ruler, size: int, overlap: int) -> Iterator[Span]:
    """Sections of a text whose reader has found the headings, as HTML's."""
    text, path = document.text, list[tuple[int, str]]()
    marks = [*document.headings, (len(text), 0, "")]
    if marks[0][0] > 0:
        yield from _section(text, ruler, size, overlap, 0, marks[0][0], path)
    for (start, level, words), (end, _, _) in pairwise(marks):
        path = [*(one for one in path if one[0] < level), (level, words)]
        yield from _section(text, ruler, size, overlap, start, end, path)


def _section(
    text: str, ruler: Ruler, size: int, overlap: int, start: int, end: int, path: Sequence[tuple[int, str]]
) -> Iterator[Span]:
    for span in recursive(text, ruler, size, overlap, start, end):
        yield Span(start=span.start, end=span.end, headings=_words(path))
