"""A document, and the pieces that it is cut into.

Offsets count Unicode code points of the document's text, from 0; `text[start:end]` is the chunk, always.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

NAMESPACE = uuid.UUID("6f0c52a2-5b1e-5d0e-9d0b-3f7e0a3c9c41")
"""Of all ids: an id is made of what it names, so that a second run makes the same ones."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A text with its address. `metadata` holds the values of filters."""

    uri: str
    text: str
    title: str = ""
    media_type: str = "text/plain"
    metadata: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    tenant: str = ""
    headings: tuple[tuple[int, int, str], ...] = ()
    """(offset, level, words) of headings that the reader has found; Markdown's are found when it is cut."""

    @cached_property
    def id(self) -> uuid.UUID:
        """Of its address, whatever it says."""
        return uuid.uuid5(NAMESPACE, f"{self.tenant}\n{self.uri}")

    @cached_property
    def content_hash(self) -> bytes:
        """Of everything that is stored of it."""
        rest = json.dumps([self.title, dict(self.metadata)], sort_keys=True, default=str, ensure_ascii=False)
        return hashlib.sha256(f"{rest}\n{self.text}".encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, kw_only=True)
class Span:
    """Where a chunk stands, below which headings, and of how many tokens it is, where tokens were counted."""

    start: int
    end: int
    headings: tuple[str, ...] = ()
    tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A piece of a document. `id` stays while its text does, wherever in the document that moves."""

    id: uuid.UUID
    ordinal: int
    start: int
    end: int
    text: str
    headings: tuple[str, ...]
    tokens: int | None
    content_hash: bytes
    """SHA-256 of the text, by which its embedding is remembered."""


def whole_characters(text: str) -> str:
    """The text with U+FFFD for halves of surrogate pairs, as JSON may hold them: they are no characters, and neither a
    database nor a tokenizer takes them. Every other character stays in its place.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= one <= "\udfff" else one for one in text)
    return text


def hash_of(text: str) -> bytes:
    """SHA-256 of the text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def chunks_of(document: Document, spans: Iterable[Span]) -> Iterator[Chunk]:
    """The spans with their texts and ids; equal texts of one document are told apart by their number."""
    seen: dict[str, int] = {}
    for ordinal, span in enumerate(spans):
        text = document.text[span.start : span.end]
        hash_ = hash_of(text)
        digest = hash_.hex()
        number = seen[digest] = seen.get(digest, -1) + 1
        yield Chunk(
            id=uuid.uuid5(document.id, f"{digest}:{number}"),
            ordinal=ordinal,
            start=span.start,
            end=span.end,
            text=text,
            headings=span.headings,
            tokens=span.tokens,
            content_hash=hash_,
        )
