"""Specs of kind `retrieval`: documents, how they are cut, which model embeds them, and how they are to be found."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from data_platform.report.finding import Finding
from data_platform.spec.document import Document, Path_, SpecProblem
from data_platform.sql.text import NotSql, check_identifier, type_name

Strategy = Literal["fixed", "recursive", "sentence", "markdown", "code", "semantic"]
Provider = Literal["openai", "sentence-transformers", "onnx", "static", "precomputed"]
Distance = Literal["cosine", "l2", "ip"]
Unit = Literal["characters", "tokens"]

GIB = 1024**3
MOST_DENSE = 16_000
"""Dimensions of a column of type vector."""
MOST_INDEXED = 1_000
"""Numbers that are not zero of a sparsevec that HNSW takes."""
_UNITS = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": GIB, "TB": 1024 * GIB}
_OWN_COLUMNS = (
    "id",
    "chunk_id",
    "document_id",
    "embedding",
    "content",
    "ordinal",
    "search",
    "tokens",
    "query",
    "k",
    "words",
    "weight",
    "pool",
    "distance",
    "score",
    "content_hash",
    "start_offset",
    "end_offset",
    "heading_path",
    "uri",
    "stored",
)
"""Of a store's tables and points, and of its functions' arguments and results."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Files of documents. `fields` says which keys of a JSON line are what; `metadata` holds for all of them."""

    path: str
    format: str | None = None
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    metadata: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """How documents are cut. `size` and `overlap` count in `unit`; tokens are those of the tokenizer's file."""

    strategy: Strategy = "recursive"
    size: int = 1000
    overlap: int = 0
    unit: Unit = "characters"
    tokenizer: str | None = None


@dataclass(frozen=True, kw_only=True)
class Model:
    """What embeds. `price` is in USD for a million tokens; `non_zero` numbers of a vector at most are not zero."""

    name: str
    provider: Provider
    dimensions: int
    distance: Distance = "cosine"
    normalised: bool = True
    non_zero: int | None = None
    path: str | None = None
    tokenizer: str | None = None
    url: str | None = None
    key: str | None = None
    max_tokens: int = 512
    query_prefix: str = ""
    document_prefix: str = ""
    price: float | None = None


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A column that searches filter by. `selectivity` is the share of rows that a usual value leaves."""

    name: str
    type: str
    selectivity: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Tenants:
    """Whose rows they are: every search is for one of them."""

    column: str
    type: str = "uuid"
    count: int = 1
    row_security: bool = True


@dataclass(frozen=True, kw_only=True)
class Hybrid:
    """Keyword search beside the vectors: PostgreSQL's text search configuration, and the weight of its ranks."""

    language: str = "english"
    weight: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What searches must reach, and how much there is of everything."""

    rows_now: int = 100_000
    rows_in_a_year: int = 100_000
    per_second: float = 10.0
    latency_ms: float = 50.0
    recall: float = 0.95
    k: int = 10
    writes_per_second: float = 0.0
    memory_bytes: int = 8 * GIB


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """A retrieval spec, typed. `settings` are those that were measured: design fills in what is missing."""

    store: str
    name: str
    model: Model
    chunking: Chunking
    target: Literal["pgvector", "qdrant"] = "pgvector"
    server_version: int = 18
    sources: tuple[Source, ...] = ()
    needs: Needs = field(default_factory=Needs)
    filters: tuple[Filter, ...] = ()
    tenants: Tenants | None = None
    hybrid: Hybrid | None = None
    judgements: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    file: str = ""
    sha256: str = ""


def read_retrieval(document: Document) -> Retrieval:
    """The spec in a document that agrees with the schema of kind `retrieval`. SpecProblem with every mistake."""
    data: Mapping[str, Any] = document.data
    findings = tuple(_mistakes(document))
    if findings:
        raise SpecProblem(findings)
    tenants, hybrid, settings = data.get("tenants"), data.get("hybrid"), data.get("settings", {})
    return Retrieval(
        store=data["store"],
        name=data["name"],
        model=Model(**data["model"]),
        chunking=Chunking(**data.get("chunking", {})),
        target=data.get("target", "pgvector"),
        server_version=data.get("server_version", 18),
        sources=tuple(Source(**one) for one in data.get("sources", ())),
        needs=_needs(data),
        filters=tuple(Filter(**one) for one in data.get("filters", ())),
        tenants=Tenants(**tenants) if tenants else None,
        hybrid=_hybrid(hybrid, settings) if hybrid else None,
        judgements=MappingProxyType(dict(data.get("judgements", {}))),
        settings=MappingProxyType(dict(settings)),
        file=document.file,
        sha256=document.sha256,
    )


def _needs(data: Mapping[str, Any]) -> Needs:
    rows, queries = data.get("rows", {}), data.get("queries", {})
    now = rows.get("now", Needs.rows_now)
    return Needs(
        rows_now=now,
        rows_in_a_year=rows.get("in_a_year", now),
        per_second=queries.get("per_second", Needs.per_second),
        latency_ms=queries.get("latency_ms", Needs.latency_ms),
        recall=queries.get("recall", Needs.recall),
        k=queries.get("k", Needs.k),
        writes_per_second=data.get("writes_per_second", Needs.writes_per_second),
        memory_bytes=size_of(str(data.get("memory", "8 GB"))) or Needs.memory_bytes,
    )


def size_of(text: str) -> int | None:
    """Bytes of `8 GB` or `512MB`; None for what is no size. Units are powers of 1024, as PostgreSQL has them."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B)\s*", text, re.IGNORECASE)
    return round(float(found[1]) * _UNITS[found[2].upper()]) if found else None


# --- what the schema cannot say ---


def _mistakes(document: Document) -> Iterator[Finding]:
    data: Mapping[str, Any] = document.data
    yield from _names(document, data)
    chunking, model = data.get("chunking", {}), data["model"]
    size, overlap = chunking.get("size", Chunking.size), chunking.get("overlap", 0)
    if overlap >= size:
        yield document.error(
            ("chunking", "overlap"),
            "spec-chunking",
            f"an overlap of {overlap} leaves nothing new in chunks of {size}",
            "less than half of size",
        )
    if chunking.get("unit") == "tokens" and "tokenizer" not in chunking and "tokenizer" not in model:
        yield document.error(
            ("chunking", "unit"),
            "spec-chunking",
            "tokens of which tokenizer?",
            "tokenizer: path/to/tokenizer.json",
        )
    needed = {
        "openai": "url",
        "onnx": "path",
        "sentence-transformers": "path",
        "static": "path",
        "precomputed": "path",
    }
    wanted = needed[model["provider"]]
    if wanted not in model:
        yield document.error(
            ("model",),
            "spec-model",
            f"a model of provider {model['provider']} needs `{wanted}:`",
            f"{wanted}: …",
        )
    yield from _sparse(document, data)
    if "memory" in data and size_of(str(data["memory"])) is None:
        yield document.error(("memory",), "spec-size", f"`{data['memory']}` is no size", "8 GB")


def _sparse(document: Document, data: Mapping[str, Any]) -> Iterator[Finding]:
    """Vectors of which most numbers are zero, and what fits such ones only."""
    model, settings = data["model"], data.get("settings", {})
    non_zero, type_ = model.get("non_zero"), settings.get("type")
    if non_zero is None:
        if model["dimensions"] > MOST_DENSE:
            yield document.error(
                ("model", "dimensions"),
                "spec-model",
                f"a vector has at most {MOST_DENSE:,} dimensions",
                "fewer; where most numbers are zero, `non_zero:` with how many are not",
            )
        if type_ == "sparsevec":
            yield document.error(
                ("settings", "type"), "spec-model", "sparsevec without `model: {non_zero: …}`", "another type"
            )
        return
    if model["provider"] != "precomputed":
        expected = "provider: precomputed, whose file has {indices: [ … ], values: [ … ]}"
        yield document.error(
            ("model", "non_zero"), "spec-model", f"models of provider {model['provider']} are dense", expected
        )
    if type_ not in (None, "sparsevec"):
        yield document.error(
            ("settings", "type"),
            "spec-model",
            f"an index of {type_} over vectors that are mostly zero",
            "sparsevec",
        )
    if settings.get("index") == "ivfflat":
        yield document.error(("settings", "index"), "spec-model", "IVFFlat takes no sparsevec", "hnsw, none")
    if settings.get("index") == "hnsw" and non_zero > MOST_INDEXED:
        yield document.error(
            ("settings", "index"),
            "spec-model",
            f"HNSW takes {MOST_INDEXED:,} numbers that are not zero, not {non_zero:,}",
            "none",
        )
    inner = model.get("distance", Model.distance) == "ip" or model.get("normalised", Model.normalised)
    if data.get("target") == "qdrant" and not (inner and model.get("distance") != "l2"):
        yield document.error(
            ("model", "distance"),
            "spec-model",
            "Qdrant compares vectors that are mostly zero by inner product only",
            "distance: ip, or cosine with normalised: true",
        )


def _names(document: Document, data: Mapping[str, Any]) -> Iterator[Finding]:
    """Names that become SQL, and types that columns get."""
    tenant = data.get("tenants") or {}
    named: list[tuple[Path_, str]] = [(("name",), data["name"])]
    named += [(("tenants", "column"), tenant["column"])] if tenant else []
    named += [(("filters", str(n), "name"), one["name"]) for n, one in enumerate(data.get("filters", ()))]
    seen: set[str] = set()
    for path, name in named:
        try:
            check_identifier(name)
        except NotSql as problem:
            yield document.error(path, "spec-name", f"`{name}`: {problem}", "a name for PostgreSQL")
        if "%" in name:
            yield document.error(
                path, "spec-name", f"`{name}`: clients read % as a placeholder", "a name without %"
            )
        if path[0] != "name" and name in _OWN_COLUMNS:
            yield document.error(path, "spec-name", f"every store has a `{name}` of its own", "another name")
        if name in seen:
            yield document.error(path, "spec-duplicate", f"`{name}` is here twice", "rename one")
        seen.add(name)
    typed: list[tuple[Path_, str]] = [(("tenants", "type"), tenant.get("type", "uuid"))] if tenant else []
    typed += [(("filters", str(n), "type"), one["type"]) for n, one in enumerate(data.get("filters", ()))]
    for path, text in typed:
        try:
            type_name(text)
        except NotSql as problem:
            yield document.error(path, "spec-type", f"`{text}`: {problem}", "text, integer, date, uuid …")


def _hybrid(given: Any, settings: Mapping[str, Any]) -> Hybrid:
    """A weight that was measured goes before the one that was thought of."""
    measured = {"weight": settings["weight"]} if "weight" in settings else {}
    return Hybrid(**{**(given if isinstance(given, dict) else {}), **measured})
