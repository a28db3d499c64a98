"""How large an index gets on disk and while it is built, from how pgvector lays out its pages.

An HNSW index keeps for each row an element tuple (the vector and where its row is) and a neighbour tuple (m links on
each level, 2 m on the lowest), always whole on a page of 8 kB and both on the same one where they fit (pgvector,
src/hnsw.h and src/hnswinsert.c).
"""

from __future__ import annotations

import math
from functools import cache

from data_platform.postgres.vectors.settings import VectorType
from data_platform.spec.retrieval import Model, Retrieval

PAGE = 8192
_PLAIN = 8_000
USABLE = 8160
"""Bytes for items on an index page: without the page's header and pgvector's own data at its end."""
_ITEM_ID = 4
_ELEMENT = 72
_NEIGHBOURS = 4
_LINK = 6
_MANY = 8
"""Rows on a page from which on their different sizes count for more than whole rows do."""
_INDEX_TUPLE = 8
_TUPLE, _UUID, _POINTER = 24, 16, 18
_FILTERS = {"boolean": 1, "integer": 4, "date": 4, "bigint": 8, "timestamptz": 8, "uuid": 16, "text[]": 32}
_TEXT = 8
"""Of a short word: assumed."""
_PIECE = 1996
"""Bytes of a value in one row of its TOAST table."""
_SAMPLE = 200
_BUILD_ROW = 195
_BUILD_LINK = 32
"""Bytes a row and a link cost while the graph is built in memory: measured."""


def payload(type_: VectorType, dimensions: int, non_zero: int = 0) -> int:
    """Bytes of one value as it is stored, its header included."""
    match type_:
        case "vector":
            return 8 + 4 * dimensions
        case "halfvec":
            return 8 + 2 * dimensions
        case "bit":
            return 8 + math.ceil(dimensions / 8)
        case "sparsevec":
            return 16 + 8 * non_zero


def element_bytes(type_: VectorType, dimensions: int, m: int, non_zero: int = 0) -> int:
    """Bytes that one row of an HNSW index takes on its page, in both tuples and their item ids."""
    element = _aligned(_ELEMENT + payload(type_, dimensions, non_zero) - 8) + _ITEM_ID
    neighbours = _aligned(_NEIGHBOURS + _LINK * 2 * m) + _ITEM_ID
    return element + neighbours


def rows_a_page(type_: VectorType, dimensions: int, m: int, non_zero: int = 0) -> int:
    """Whole rows on one page; 0 where a row's two tuples need a page each."""
    return USABLE // element_bytes(type_, dimensions, m, non_zero)


def free_m(dimensions: int, type_: VectorType, m: int, non_zero: int = 0) -> int:
    """The largest m that needs no page more than this one does."""
    now = rows_a_page(type_, dimensions, m, non_zero)
    found = m
    while found < 100 and rows_a_page(type_, dimensions, found + 1, non_zero) >= max(now, 1):
        found += 1
    return found if now else m


def hnsw_bytes(rows: int, type_: VectorType, dimensions: int, m: int, non_zero: int = 0) -> int:
    """The index on disk."""
    fitting = rows_a_page(type_, dimensions, m, non_zero)
    if fitting >= _MANY:
        # Rows on higher levels (one in m, then one in m² …) have m links more on each; half a row a page is left over.
        mean = element_bytes(type_, dimensions, m, non_zero) + _LINK * m / max(m - 1, 1)
        return (math.ceil(rows * mean / (USABLE - mean / 2)) + 1) * PAGE
    pages = math.ceil(rows / fitting) if fitting else 2 * rows
    return (pages + 1) * PAGE


def build_bytes(
    rows: int, type_: VectorType, dimensions: int, m: int, *, parallel: bool, non_zero: int = 0
) -> int:
    """maintenance_work_mem for a build that never leaves memory; a parallel one takes six per cent more."""
    graph = rows * (payload(type_, dimensions, non_zero) + _BUILD_LINK * m + _BUILD_ROW)
    return math.ceil(graph * (1.06 if parallel else 1.0))


def _aligned(size: int) -> int:
    return (size + 7) // 8 * 8


def ivfflat_bytes(rows: int, type_: VectorType, dimensions: int, lists: int) -> int:
    """The index on disk: each list has pages of its own, the last of them half full on average."""
    value = payload(type_, dimensions)
    fitting = USABLE // (_aligned(_INDEX_TUPLE + value) + _ITEM_ID)
    centres = math.ceil(lists * (_aligned(8 + value) + _ITEM_ID) / USABLE)
    return (max(lists, math.ceil(rows / fitting + lists / 2)) + centres + 1) * PAGE


def ivfflat_build_bytes(rows: int, type_: VectorType, dimensions: int, lists: int) -> int:
    """maintenance_work_mem without which a build of lists is refused: samples, centres and the distances between them
    (Elkan's k-means, pgvector, src/ivfkmeans.c).
    """
    samples = min(rows, max(50 * lists, 10_000))
    value = payload(type_, dimensions)
    return (samples + 2 * lists) * value + 4 * lists * (samples + lists + dimensions) + 8 * samples


# --- the table ---


def heap_bytes(rows: int, dimensions: int, spec: Retrieval) -> int:
    """The table of vectors with its key: tuple header, key, filters, the vector (in the row, or out of line)."""
    types = [one.type for one in spec.filters] + ([spec.tenants.type] if spec.tenants else [])
    row = _TUPLE + _UUID + sum(_FILTERS.get(one, _TEXT) for one in types)
    value = stored(spec.model, dimensions)
    if not in_row(value):
        return round(_out_of_line(value - 4) * rows) + _pages(rows, row + _POINTER) + _key_bytes(rows)
    return _pages(rows, row + value) + _key_bytes(rows)


def stored(model: Model, dimensions: int | None = None) -> int:
    """Bytes of one of its vectors in the table; of those that are mostly zero, the longest."""
    width = model.dimensions if dimensions is None else dimensions
    return payload("sparsevec", width, model.non_zero) if model.non_zero else payload("vector", width)


def in_row(value: int) -> bool:
    """Whether the table keeps vectors of so many bytes in the row: small ones by themselves, others as their storage
    is PLAIN.
    """
    return value <= _PLAIN


def _pages(rows: int, row: int) -> int:
    return math.ceil(rows / ((PAGE - 24) // (_aligned(row) + _ITEM_ID))) * PAGE


@cache
def _out_of_line(value: int) -> float:
    """Bytes in the TOAST table and its index for one value.

    It is cut into pieces, four to a page; a page with a last, smaller piece has room for three whole ones only, so
    the first rows are put on pages as the server does: on the page used last, else on the first with room.
    """
    full, rest = divmod(value, _PIECE)
    pieces = [_PIECE] * full + ([rest] if rest else [])
    room, at = [PAGE - 24], 0
    for piece in pieces * _SAMPLE:
        need = _aligned(_TUPLE + 12 + piece) + _ITEM_ID
        if room[at] < need:
            at = next((page for page, left in enumerate(room) if left >= need), len(room))
            room += [PAGE - 24] if at == len(room) else []
        room[at] -= need
    return len(room) / _SAMPLE * PAGE + len(pieces) * (16 + _ITEM_ID) / 0.9


def _key_bytes(rows: int) -> int:
    """A B-tree of uuids that come in no order: its pages are 70 % full."""
    return math.ceil(rows * (8 + _UUID + _ITEM_ID) / 0.7)
