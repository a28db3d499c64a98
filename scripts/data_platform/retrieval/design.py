"""From a spec to a setting, each choice with its reason and with what that rests on.

Settings that were measured (`settings:` of the spec, from `dpe retrieval tune`) are taken as they are. The rest is what
pgvector's limits and page layout say, and defaults that are marked as assumed: recall depends on the vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from data_platform.postgres.vectors.settings import Index, Method, Search, VectorType
from data_platform.retrieval.sizing import (
    build_bytes,
    free_m,
    heap_bytes,
    hnsw_bytes,
    in_row,
    ivfflat_build_bytes,
    ivfflat_bytes,
    stored,
)
from data_platform.spec.retrieval import GIB, MOST_INDEXED, Model, Retrieval, Tenants

Evidence = Literal["measured", "documented", "assumed"]

_LIMITS: dict[VectorType, int] = {"halfvec": 4_000, "bit": 64_000}
_SPARSE_COST = 4
"""A number that is not zero costs as much to compare as so many of a dense vector: its place is compared, too."""
_EXACT_ELEMENTS = 2_000_000
"""Numbers that a search without an index may compare: about a millisecond each million on a present-day core."""
_USUAL_M, _MOST_M = 16, 32
_PREFILTER_SHARE = 0.025
_LEAST_PREFILTER, _MOST_PREFILTER = 1_000, 20_000
_MEMORY_SHARE = 0.6
"""Of the server's memory, for the index: the rest is for the other data and the sessions."""
_BUILD_SHARE = 0.5
"""Of the server's memory, for a build: searches go on beside it."""
_MB = 1024 * 1024


@dataclass(frozen=True)
class Choice:
    """What was chosen, why, and on what that rests."""

    what: str
    chosen: str
    why: str
    evidence: Evidence


@dataclass(frozen=True)
class Design:
    """The setting of a store, and what it costs."""

    index: Index
    search: Search
    prefilter_rows: int
    maintenance_mb: int
    workers: int
    index_bytes: int
    heap_bytes: int
    plain: bool
    """Vectors in the row itself, not out of line."""
    one_machine_rows: int
    """From how many rows on the index is larger than its share of the server's memory."""
    partitions: int
    choices: tuple[Choice, ...]


def design(spec: Retrieval) -> Design:
    """The setting for the rows in a year."""
    given = spec.settings
    rows, width = spec.needs.rows_in_a_year, spec.model.dimensions
    model = spec.model
    type_: VectorType = given.get("type") or _type(model)
    method: Method = given.get("index") or _method(rows, model)
    m = int(given.get("m") or _m(model, type_))
    index = Index(
        method=method,
        type=type_,
        m=m,
        ef_construction=int(given.get("ef_construction") or max(64, 2 * m)),
        lists=int(given.get("lists") or max(1, min(rows // 1000, 32_768))),
        centred=bool(given.get("centred", type_ == "bit")),
    )
    ef = int(given.get("ef_search") or max(100, 4 * spec.needs.k))
    rerank = int(given.get("rerank") or (max(ef, 20 * spec.needs.k) if type_ == "bit" else 0))
    search = Search(
        ef_search=ef, probes=int(given.get("probes") or max(1, round(index.lists**0.5))), rerank=rerank
    )
    most = _most_rows(spec, type_, m)
    partitions = 0 if method == "none" or rows <= most or not most else -(-rows // most) * 2
    return Design(
        index=index,
        search=search,
        prefilter_rows=int(given.get("prefilter_rows") or _prefilter(rows)),
        maintenance_mb=min(_build_mb(rows // (partitions or 1), index, model), _room_mb(spec)),
        workers=2,
        index_bytes=_index_bytes(index, rows, model),
        heap_bytes=heap_bytes(rows, width, spec),
        plain=stored(model) > 1_900 and in_row(stored(model)),
        one_machine_rows=most,
        partitions=partitions,
        choices=tuple(_choices(spec, index, search, rows, most)),
    )


def _type(model: Model) -> VectorType:
    if model.non_zero:
        return "sparsevec"
    return "halfvec" if model.dimensions <= _LIMITS["halfvec"] else "bit"


def _m(model: Model, type_: VectorType) -> int:
    """More links find more; up to the page's step they cost no byte on disk."""
    return min(free_m(model.dimensions, type_, _USUAL_M, model.non_zero or 0), _MOST_M)


def _index_bytes(index: Index, rows: int, model: Model) -> int:
    match index.method:
        case "hnsw":
            return hnsw_bytes(rows, index.type, model.dimensions, index.m, model.non_zero or 0)
        case "ivfflat":
            return ivfflat_bytes(rows, index.type, model.dimensions, index.lists)
        case "none":
            return 0


def _method(rows: int, model: Model) -> Method:
    compared = _SPARSE_COST * model.non_zero if model.non_zero else model.dimensions
    unfit = model.non_zero is not None and model.non_zero > MOST_INDEXED
    return "none" if unfit or rows * compared <= _EXACT_ELEMENTS else "hnsw"


def _prefilter(rows: int) -> int:
    return max(_LEAST_PREFILTER, min(_MOST_PREFILTER, round(rows * _PREFILTER_SHARE)))


def _build_mb(rows: int, index: Index, model: Model) -> int:
    """For a graph that never leaves memory while it is built, or for the search of centres."""
    match index.method:
        case "hnsw":
            size, non_zero = model.dimensions, model.non_zero or 0
            need = build_bytes(rows, index.type, size, index.m, parallel=True, non_zero=non_zero)
        case "ivfflat":
            need = ivfflat_build_bytes(rows, index.type, model.dimensions, index.lists)
        case "none":
            need = 0
    return max(64, round(1.05 * need / _MB) + 16)


def _room_mb(spec: Retrieval) -> int:
    return max(64, round(spec.needs.memory_bytes * _BUILD_SHARE / _MB))


def _most_rows(spec: Retrieval, type_: VectorType, m: int) -> int:
    """Rows whose index fits into its share of the memory."""
    one = hnsw_bytes(100_000, type_, spec.model.dimensions, m, spec.model.non_zero or 0) / 100_000
    return int(spec.needs.memory_bytes * _MEMORY_SHARE / one)


def _choices(spec: Retrieval, index: Index, search: Search, rows: int, most: int) -> Iterator[Choice]:
    def taken(key: str, what: str, chosen: str, why: str, evidence: Evidence) -> Choice:
        """As it was measured where the spec has the setting, else for this reason."""
        if key in spec.settings:
            return Choice(what, chosen, "as tune has measured", "measured")
        return Choice(what, chosen, why, evidence)

    if index.method == "none":
        yield taken("index", "index", "none", *_why_none(rows, spec.model))
        return
    yield taken("type", "type of the index", index.type, _why_type(index.type, spec.model), "documented")
    yield taken("index", "index", index.method, _why_index(spec), "documented")
    if index.method == "hnsw":
        why = f"pgvector's m is {_USUAL_M}; with {index.m} the index takes no page more"
        yield taken("m", "m, ef_construction", f"{index.m}, {index.ef_construction}", why, "documented")
        why = "a guess: recall depends on your vectors, so tune it"
        yield taken("ef_search", "ef_search", str(search.ef_search), why, "assumed")
        yield from _build(spec, _build_mb(rows, index, spec.model))
    if search.rerank:
        why = "bits of the vectors less their mean find them, the full vectors put them in order"
        yield Choice("candidates", str(search.rerank), why, "documented")
    if spec.filters or spec.tenants:
        most_compared = int(spec.settings.get("prefilter_rows") or _prefilter(rows))
        why = "an estimate decides each time: few rows are compared, else the index is read on until k rows pass"
        yield taken("prefilter_rows", "filters", f"compare all up to {most_compared:,} rows", why, "assumed")
    if spec.tenants:
        yield Choice("tenants", *_tenants(spec.tenants), "documented")
    why = f"then the index is larger than {_MEMORY_SHARE:.0%} of {spec.needs.memory_bytes / GIB:.0f} GB"
    yield Choice("one machine", f"up to {most:,} rows", why, "documented")


def _build(spec: Retrieval, needed_mb: int) -> Iterator[Choice]:
    if needed_mb > _room_mb(spec):
        why = (
            f"half of the server's memory; {needed_mb:,} MB would hold the whole graph, and what does not fit is built"
            " several times slower"
        )
        yield Choice("build", f"{_room_mb(spec):,} MB", why, "documented")


def _why_none(rows: int, model: Model) -> tuple[str, Evidence]:
    if model.non_zero and model.non_zero > MOST_INDEXED:
        return (
            f"HNSW takes {MOST_INDEXED:,} numbers that are not zero at most, these have {model.non_zero:,}",
            "documented",
        )
    numbers = model.non_zero or model.dimensions
    return (
        f"{rows:,} rows of {numbers:,} numbers are compared in about a millisecond or two, and nothing is missed",
        "assumed",
    )


def _why_type(type_: VectorType, model: Model) -> str:
    width = model.dimensions
    if type_ == "sparsevec":
        return f"{model.non_zero:,} of {width:,} numbers at most are not zero: only these are stored and compared"
    if type_ == "halfvec":
        return "half the size of vector; the full vectors stay in the table"
    return f"HNSW takes {_LIMITS['halfvec']:,} dimensions at most of halfvec; {width:,} fit as bits only"


def _tenants(tenants: Tenants) -> tuple[str, str]:
    if tenants.row_security:
        return "row security", "the server adds the tenant to each search, so that none can be forgotten"
    return "a filter", "each search has to pass its tenant: nothing else keeps tenants apart"


def _why_index(spec: Retrieval) -> str:
    writes = spec.needs.writes_per_second
    more = f"; {writes:g} writes a second each insert into it" if writes else ""
    return f"the best recall for its time, and it needs no rows to begin with{more}"
