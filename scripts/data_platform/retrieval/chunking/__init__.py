"""Documents cut into chunks whose offsets give back the source exactly.

- `document`: documents, chunks and their ids
- `borders`: where a text may be cut
- `measure`: characters or tokens
- `split`: the strategies
- `code`, `grammars`: that for source code
- `reading`: documents from files
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from data_platform.retrieval.chunking import split
from data_platform.retrieval.chunking.borders import trimmed, whole
from data_platform.retrieval.chunking.code import code
from data_platform.retrieval.chunking.document import Chunk, Document, Span, chunks_of
from data_platform.retrieval.chunking.measure import Characters, Ruler, Tokenizer
from data_platform.spec.retrieval import Chunking

__all__ = ["Chunk", "Document", "chunked"]


def chunked(
    document: Document,
    how: Chunking,
    tokenizer: Tokenizer | None = None,
    distances: split.Distances | None = None,
) -> tuple[Chunk, ...]:
    """The chunks of a document, none longer than `how.size`. With tokens the tokenizer must be given, for `semantic`
    also the distances.
    """
    ruler = tokenizer.ruler(document.text) if tokenizer is not None else Characters(document.text)
    spans = _spans(document, how, ruler, distances)
    if tokenizer is not None:
        # What was cut again may reach beyond the beginning of the next one, which overlaps it.
        spans = sorted(_counted(document, how, tokenizer, ruler, list(spans)), key=lambda span: span.start)
    return tuple(chunks_of(document, spans))


def _spans(
    document: Document, how: Chunking, ruler: Ruler, distances: split.Distances | None
) -> Iterable[Span]:
    text, size, overlap = document.text, how.size, how.overlap
    match how.strategy:
        case "fixed":
            return split.fixed(text, ruler, size, overlap)
        case "sentence":
            return split.by_sentence(text, ruler, size, overlap)
        case "semantic":
            if distances is None:
                raise ValueError("semantic chunks need distances")
            return split.semantic(text, ruler, size, overlap, distances)
        case "code":
            return code(document, ruler, size, overlap)
        case "markdown" if document.headings:
            return split.by_headings(document, ruler, size, overlap)
        case "markdown":
            return split.markdown(document, ruler, size, overlap)
        case "recursive":
            return split.recursive(text, ruler, size, overlap)


def _counted(
    document: Document, how: Chunking, tokenizer: Tokenizer, ruler: Ruler, spans: list[Span]
) -> Iterator[Span]:
    """With the tokens that each has when it stands alone; one that has more then than in the text is cut again."""
    texts = [document.text[span.start : span.end] for span in spans]
    for span, count in zip(spans, tokenizer.counts(texts), strict=True):
        if count <= how.size:
            yield replace(span, tokens=count)
            continue
        smaller = max(1, how.size - (count - how.size))
        for part in split.recursive(document.text, ruler, smaller, 0, span.start, span.end):
            yield from _fitting(document.text, tokenizer, replace(part, headings=span.headings), how.size)


def _fitting(text: str, tokenizer: Tokenizer, span: Span, size: int) -> Iterator[Span]:
    """The span where it fits when it stands alone, else its halves: a word too long for the tokenizer is one token in
    the text, and many in pieces.
    """
    (count,) = tokenizer.counts([text[span.start : span.end]])
    if count <= size or span.end - span.start < 2:
        yield replace(span, tokens=count)
        return
    middle = whole(text, (span.start + span.end) // 2, span.start)
    for start, end in ((span.start, middle), (middle, span.end)):
        first, last = trimmed(text, start, end)
        if first < last:
            yield from _fitting(text, tokenizer, replace(span, start=first, end=last), size)
