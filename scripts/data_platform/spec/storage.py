"""Specs of kind `storage`: what a data store must do, as the answers that `dpe storage select` ranks by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from data_platform.spec.document import Document


@dataclass(frozen=True, kw_only=True)
class Need:
    """The answers; the JSON Schema says what each means. `growth_per_year` and its like are fractions."""

    data: str
    queries: str = "filter"
    rows: int = 1_000_000
    row_bytes: int = 500
    largest_bytes: int = 0
    growth_per_year: float = 0.0
    added_rows_per_year: int = 0
    years: int = 3
    reads_per_second: float = 100
    writes_per_second: float = 10
    load_growth_per_year: float = 0.0
    consistency: str = "transactions"
    loss: str = "none"
    latency_ms: float = 50
    search: str = "none"
    documents: int = 0
    vectors: int = 0
    dimensions: int = 768
    regions: str = "one"
    hosting: str = "any"
    licence: str = "any"
    operators: str = "part_time"
    cost: str = "balanced"
    memory_gb: int = 64
    runs: tuple[str, ...] = ()


ANSWERS = tuple(field.name for field in fields(Need))
"""The keys of a spec that are answers; the others say what it is and whose."""


@dataclass(frozen=True, kw_only=True)
class StorageNeed:
    """A storage spec, typed. `answered` are the keys that the user gave; the rest are defaults."""

    store: str | None
    need: Need
    answered: frozenset[str]
    file: str
    sha256: str


def read_storage(document: Document) -> StorageNeed:
    """The need in a document that agrees with the schema of kind `storage`."""
    data: Mapping[str, Any] = document.data
    given = {key: data[key] for key in ANSWERS if key in data}
    if "runs" in given:
        given["runs"] = tuple(given["runs"])
    return StorageNeed(
        store=data.get("store"),
        need=Need(**given),
        answered=frozenset(given),
        file=document.file,
        sha256=document.sha256,
    )
