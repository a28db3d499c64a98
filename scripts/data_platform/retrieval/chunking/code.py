"""Source code cut between its definitions: functions, classes and their methods whole where they fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from data_platform.retrieval.chunking.document import Document, Span
from data_platform.retrieval.chunking.grammars import Part, known, parts_of
from data_platform.retrieval.chunking.measure import Ruler
from data_platform.retrieval.chunking.split import packed

_ALONE = 4
"""A definition of more than this part of the size is a chunk of its own."""


def code(document: Document, ruler: Ruler, size: int, overlap: int) -> Iterator[Span]:
    """By the grammar of the language, with the qualified name as headings; where there is no grammar for the file's
    name, by where a line is not indented after a blank one.
    """
    text = document.text
    if known(document.uri):
        yield from _cut(text, ruler, size, overlap, parts_of(text, document.uri), ())
    else:
        yield from packed(text, ruler, size, overlap, _by_indentation(text))


def _cut(
    text: str, ruler: Ruler, size: int, overlap: int, parts: Sequence[Part], path: tuple[str, ...]
) -> Iterator[Span]:
    group: list[tuple[int, int]] = []
    for part in parts:
        length = ruler.length(part.start, part.end)
        if not part.name or length <= size // _ALONE:
            group += _blocks(text, part) if length > size else [(part.start, part.end)]
            continue
        yield from packed(text, ruler, size, overlap, group, path)
        group, below = [], (*path, part.name)
        if length > size and part.parts:
            yield from _cut(text, ruler, size, overlap, part.parts, below)
        else:
            yield from packed(text, ruler, size, overlap, _blocks(text, part), below)
    yield from packed(text, ruler, size, overlap, group, path)


def _blocks(text: str, part: Part) -> list[tuple[int, int]]:
    """Lines that follow a blank one begin each."""
    marks = [part.start]
    found = text.find("\n\n", part.start, part.end)
    while found >= 0:
        marks.append(found + 2)
        found = text.find("\n\n", found + 2, part.end)
    return [(a, b) for a, b in pairwise([*marks, part.end]) if a < b]


def _by_indentation(text: str) -> list[tuple[int, int]]:
    marks, lines = [0], text.split("\n")
    at, blank = 0, False
    for line in lines:
        if blank and line[:1].strip() and line[:1] not in ")}]":
            marks.append(at)
        blank = not line.strip()
        at += len(line) + 1
    return [(a, b) for a, b in pairwise([*marks, len(text)]) if a < b]
