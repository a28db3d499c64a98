"""What was cut, for a program and for a person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from data_platform.report.document import Bullets, Code, Heading, Inline, Paragraph, Piece, Report, Table
from data_platform.retrieval.chunking.document import Chunk, Document
from data_platform.spec.retrieval import Chunking

Cut = Sequence[tuple[Document, tuple[Chunk, ...]]]
_SHOWN = 20
"""Chunks that an answer holds; all of them are in the file of --output."""
_SAMPLES = 5


def lines(found: Cut) -> Iterator[str]:
    """One JSON object a chunk."""
    for document, chunks in found:
        for chunk in chunks:
            yield json.dumps(_told(document, chunk), ensure_ascii=False) + "\n"


def _told(document: Document, chunk: Chunk) -> dict[str, Any]:
    return {
        "id": str(chunk.id),
        "document": document.uri,
        "ordinal": chunk.ordinal,
        "start": chunk.start,
        "end": chunk.end,
        "headings": list(chunk.headings),
        "tokens": chunk.tokens,
        "text": chunk.text,
    }


def result(found: Cut, how: Chunking, *, some: bool) -> dict[str, Any]:
    """The `result` of the JSON envelope; `some` chunks where they are in no file."""
    sizes = sorted(_sizes(found, how))
    told: dict[str, Any] = {
        "strategy": how.strategy,
        "unit": how.unit,
        "size": how.size,
        "overlap": how.overlap,
        "documents": len(found),
        "empty": [document.uri for document, chunks in found if not chunks],
        "chunks": len(sizes),
        "sizes": {name: sizes[place] for name, place in _places(len(sizes))},
    }
    if some:
        every = [_told(document, chunk) for document, chunks in found for chunk in chunks]
        told |= {"shown": every[:_SHOWN], "more": max(0, len(every) - _SHOWN)}
    return told


def _sizes(found: Cut, how: Chunking) -> Iterator[int]:
    for _, chunks in found:
        for chunk in chunks:
            yield chunk.tokens if how.unit == "tokens" and chunk.tokens is not None else len(chunk.text)


def _places(count: int) -> list[tuple[str, int]]:
    if not count:
        return []
    return [("smallest", 0), ("median", count // 2), ("largest", count - 1)]


def report(found: Cut, how: Chunking, repeat: str, written: tuple[str, ...]) -> Report:
    """How many, how large, and a few to look at."""
    sizes = sorted(_sizes(found, how))
    named = dict(_places(len(sizes)))
    spread = ", ".join(f"{name} {sizes[place]:,}" for name, place in named.items())
    return Report(
        title=f"{len(sizes):,} chunks of {len(found):,} documents",
        verdict="done." if sizes else "there is nothing to cut.",
        good=bool(sizes) or None,
        summary=f"Sizes in {how.unit}: {spread}; {how.size:,} is the most." if sizes else "",
        pieces=(*_samples(found), *_empty(found), *_after(written, repeat)),
    )


def _samples(found: Cut) -> tuple[Piece, ...]:
    every = [(document, chunk) for document, chunks in found for chunk in chunks]
    step = max(1, len(every) // _SAMPLES)
    rows = tuple(_row(document, chunk) for document, chunk in every[::step][:_SAMPLES])
    columns = ("document", "from", "to", "headings", "begins with")
    return (Heading("Some of them"), Table(columns, rows, frozenset({1, 2}))) if rows else ()


def _row(document: Document, chunk: Chunk) -> tuple[Inline, ...]:
    return (
        Code(document.uri),
        f"{chunk.start:,}",
        f"{chunk.end:,}",
        Code(" › ".join(chunk.headings)) if chunk.headings else "–",
        Code(chunk.text[:40]),
    )


def _empty(found: Cut) -> tuple[Piece, ...]:
    empty = tuple(Code(document.uri) for document, chunks in found if not chunks)
    return (Heading("Without any text"), Bullets(empty[:_SHOWN])) if empty else ()


def _after(written: tuple[str, ...], repeat: str) -> tuple[Piece, ...]:
    where = (Paragraph(("All of them are in ", Code(written[0]), ".")),) if written else ()
    return (*where, Paragraph(("Repeat: ", Code(repeat), ".")))
