"""Rules about pgvector: what cannot be built, and what would be built and never used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data_platform.model.database import Column, Index, IndexElement, Table
from data_platform.schema.rules.cover import narrowed, usable
from data_platform.schema.rules.reading import Query, Use
from data_platform.schema.rules.rule import Hit, Subject, on_column, on_index, on_pattern, rule
from data_platform.sql import types
from data_platform.sql.text import expression_tree

_RECOMMENDED = "HNSW index (recommended)"
_VECTORS = frozenset({"vector", "halfvec", "sparsevec"})
_LIMITS = {"vector": 2000, "halfvec": 4000}
_OPERATORS = {"l2": "<->", "ip": "<#>", "cosine": "<=>", "l1": "<+>", "hamming": "<~>", "jaccard": "<%>"}
_EXACT_IS_FAST = 10_000
"""Rows that a search without an index reads in a few milliseconds."""


@dataclass(frozen=True)
class _Vectors:
    """One key of an HNSW or IVFFlat index."""

    table: Table
    index: Index
    element: IndexElement
    type: types.TypeReference | None
    """None where an expression hides it."""

    @property
    def operator(self) -> str | None:
        """The distance that the operator class is for."""
        words = (self.element.opclass or "").rpartition(".")[2].split("_")
        return _OPERATORS.get(words[1]) if len(words) == 3 else None


def _indexed(subject: Subject) -> Iterator[_Vectors]:
    for table in subject.tables:
        for index in table.indexes:
            if index.method in ("hnsw", "ivfflat"):
                for element in index.elements:
                    yield _Vectors(table, index, element, _type(subject, table, element))


def _type(subject: Subject, table: Table, element: IndexElement) -> types.TypeReference | None:
    if element.column is not None:
        return subject.type_of(table.column(element.column))
    tree = expression_tree(element.expression or "")
    if not tree.HasField("type_cast"):
        return None
    name = tree.type_cast.type_name
    modifiers = tuple(str(item.a_const.ival.ival) for item in name.typmods)
    return types.TypeReference(None, name.names[-1].string.sval, modifiers, bool(name.array_bounds))


@rule(
    "vector-opclass",
    "error",
    "HNSW has no default operator class, and each class takes one type only.",
    _RECOMMENDED,
)
def vector_opclass(subject: Subject) -> Iterator[Hit]:
    for found in _indexed(subject):
        opclass = (found.element.opclass or "").rpartition(".")[2]
        name = found.type.name if found.type else "vector"
        fix = (
            f"opclass: {name}_cosine_ops (or _l2_ops, _ip_ops), the one of the operator that the queries use"
        )
        if not opclass and found.index.method == "hnsw":
            yield on_index(found.table, found.index, "an HNSW index needs an operator class", fix)
        elif opclass and found.type and name in _VECTORS and not opclass.startswith(f"{name}_"):
            yield on_index(found.table, found.index, f"`{opclass}` does not take the type {name}", fix)


@rule(
    "vector-dimension",
    "error",
    "An index needs a fixed dimension: at most 2,000 for vector, 4,000 for halfvec.",
    _RECOMMENDED,
)
def vector_dimension(subject: Subject) -> Iterator[Hit]:
    for found in _indexed(subject):
        limit = _LIMITS.get(found.type.name) if found.type else None
        if found.type is None or limit is None:
            continue
        size = found.type.modifiers[0] if found.type.modifiers else None
        if size is None:
            fix = f"type: {found.type.name}(n), n as the embedding model has it"
            yield on_index(found.table, found.index, "the indexed vector has no dimension", fix)
        elif int(size) > limit:
            fits = found.type.name == "vector" and int(size) <= _LIMITS["halfvec"]
            fix = (
                f"type: halfvec({size})"
                if fits
                else "fewer dimensions, or an index over a shorter first part"
            )
            message = f"an index holds at most {limit:,} dimensions of {found.type.name}, not {int(size):,}"
            yield on_index(found.table, found.index, message, fix)


@rule(
    "vector-operator",
    "warning",
    "A vector index serves the one distance of its operator class; another is searched exactly.",
    _RECOMMENDED,
)
def vector_operator(subject: Subject) -> Iterator[Hit]:
    for query, use, column, operator in _searches(subject):
        indexes = [v for v in _indexed(subject) if v.table == use.table and v.element.column == column]
        served = {vectors.operator or "<->" for vectors in indexes}
        if indexes and operator not in served:
            names = ", ".join(
                f"`{vectors.index.name}` is for {vectors.operator or '<->'}" for vectors in indexes
            )
            message = f"the query sorts by {operator}, but {names}"
            yield on_pattern(query.pattern, message, "the same distance in both")


@rule(
    "vector-search-form",
    "warning",
    "A vector index is used only for ORDER BY column <=> value LIMIT n, ascending, nothing around it.",
    _RECOMMENDED,
)
def vector_search_form(subject: Subject) -> Iterator[Hit]:
    for query in subject.queries:
        for use in query.uses:
            for item in use.order[:1]:
                if item.holds_distance and (item.distance is None or item.descending or not use.limited):
                    message = (
                        f"no index can serve ORDER BY {item.key if item.distance is None else 'distance'}"
                        + ("" if item.distance is None else " DESC" if item.descending else " without LIMIT")
                    )
                    fix = "ORDER BY column <=> :query LIMIT n; compute 1 - distance in the SELECT list"
                    yield on_pattern(query.pattern, message, fix)


@rule(
    "vector-search-without-index",
    "warning",
    "Without a vector index each search computes the distance to every row.",
    _RECOMMENDED,
)
def vector_search_without_index(subject: Subject) -> Iterator[Hit]:
    for query, use, column, operator in _searches(subject):
        few = subject.design.rows.get(use.table.name, _EXACT_IS_FAST + 1) <= _EXACT_IS_FAST
        indexes = [v for v in _indexed(subject) if v.table == use.table and _holds(v, column)]
        if few or narrowed(use) or any(usable(vectors.index, use) for vectors in indexes):
            continue
        message = f"no vector index of `{use.table.name}` serves the search by `{column} {operator}`"
        kind = next(name for name, sign in _OPERATORS.items() if sign == operator)
        name = subject.type_of(use.table.column(column)).name
        fix = f"indexes: [{{using: hnsw, columns: [{{column: {column}, opclass: {name}_{kind}_ops}}]}}]"
        yield on_pattern(query.pattern, message, fix)


def _searches(subject: Subject) -> Iterator[tuple[Query, Use, str, str]]:
    """Each query that sorts by a distance, with the vector's column and the operator."""
    for query in subject.queries:
        for use in query.uses:
            for item in use.order[:1]:
                is_vector = item.column and subject.type_of(use.table.column(item.column)).name in _VECTORS
                if is_vector and item.column and item.distance:
                    yield query, use, item.column, item.distance


def _holds(vectors: _Vectors, column: str) -> bool:
    return vectors.element.column == column or column in (vectors.element.expression or "")


@rule(
    "ivfflat-before-data",
    "info",
    "IVFFlat takes its lists from the rows there are; on an empty table its recall is poor.",
    _RECOMMENDED,
)
def ivfflat_before_data(subject: Subject) -> Iterator[Hit]:
    for found in _indexed(subject):
        if found.index.method == "ivfflat":
            message = f"`{found.index.name}` is made before there are rows to make its lists from"
            yield on_index(found.table, found.index, message, "using: hnsw; or REINDEX after the first load")


@rule(
    "vector-without-search",
    "info",
    "A vector that no query sorts by and no index holds is only stored.",
    _RECOMMENDED,
)
def vector_without_search(subject: Subject) -> Iterator[Hit]:
    searched = {(use.table.name, column) for _, use, column, _ in _searches(subject)}
    for table in subject.tables:
        for column in table.columns:
            indexed = any(v.table == table and _holds(v, column.name) for v in _indexed(subject))
            if _is_vector(subject, column) and not indexed and (table.name, column.name) not in searched:
                message = f"no access pattern searches `{column.name}`, and no index holds it"
                yield on_column(
                    table, column.name, message, "an access pattern that searches it, and an HNSW index"
                )


def _is_vector(subject: Subject, column: Column) -> bool:
    return subject.type_of(column).name in _VECTORS
