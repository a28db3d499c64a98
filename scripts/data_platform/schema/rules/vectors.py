"""Rules about pgvector: what cannot be built, and what would be built and never used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data_platform.model.database import Index, IndexElement, Table
from data_platform.schema.rules.cover import columns_in, conditions_of, missing, narrowed
from data_platform.schema.rules.reading import Condition, Query, Use
from data_platform.schema.rules.rule import Hit, on_column, on_index, on_pattern, rule
from data_platform.schema.rules.subject import Subject
from data_platform.sql import types
from data_platform.sql.text import expression_tree

_RECOMMENDED = "HNSW index (recommended)"
_VECTORS = frozenset({"vector", "halfvec", "sparsevec"})
_LIMITS = {"vector": 2000, "halfvec": 4000}
_OPERATORS = {"l2": "<->", "ip": "<#>", "cosine": "<=>", "l1": "<+>", "hamming": "<~>", "jaccard": "<%>"}
_EXACT_IS_FAST = 10_000
"""Rows that a search without an index reads in a few milliseconds."""


@dataclass(frozen=True)
class _Key:
    """One key of an HNSW or IVFFlat index."""

    table: Table
    index: Index
    element: IndexElement
    type: types.TypeReference | None
    """None where an expression hides it."""

    @property
    def operator(self) -> str:
        """The distance that it serves."""
        words = (self.element.opclass or "").rpartition(".")[2].split("_")
        return _OPERATORS.get(words[1], "?") if len(words) == 3 else "<->"

    def holds(self, column: str) -> bool:
        """Whether it is over the column, bare or in an expression."""
        expression = self.element.expression
        return self.element.column == column or (expression is not None and column in columns_in(expression))


@dataclass(frozen=True)
class _Search:
    """A query that sorts by the distance of a column."""

    query: Query
    use: Use
    column: str
    operator: str


def _keys(subject: Subject) -> Iterator[_Key]:
    for table in () if subject.is_database else subject.tables:  # what is there could be made
        for index in table.indexes:
            for element in index.elements if index.method in ("hnsw", "ivfflat") else ():
                yield _Key(table, index, element, _type(subject, table, element))


def _type(subject: Subject, table: Table, element: IndexElement) -> types.TypeReference | None:
    if element.column is not None:
        return subject.type_of(table.column(element.column))
    tree = expression_tree(element.expression or "")
    if not tree.HasField("type_cast"):
        return None
    cast = tree.type_cast.type_name
    modifiers = tuple(str(item.a_const.ival.ival) for item in cast.typmods)
    return types.TypeReference(None, cast.names[-1].string.sval, modifiers, bool(cast.array_bounds))


def _searches(subject: Subject) -> Iterator[_Search]:
    for query in subject.queries:
        for use in (use for use in query.uses if use.table.holds_rows):
            for item in use.order[:1]:
                if item.column and item.distance and _is_vector(subject, use.table, item.column):
                    yield _Search(query, use, item.column, item.distance)


def _is_vector(subject: Subject, table: Table, column: str) -> bool:
    return subject.type_of(table.column(column)).name in _VECTORS


@rule(
    "vector-opclass",
    "error",
    "HNSW has no default operator class, and each class takes one type.",
    _RECOMMENDED,
)
def vector_opclass(subject: Subject) -> Iterator[Hit]:
    for key in _keys(subject):
        opclass = (key.element.opclass or "").rpartition(".")[2]
        name = key.type.name if key.type else "vector"
        fix = f"opclass: {name}_cosine_ops, or _l2_ops or _ip_ops: that of the operator in the queries"
        if not opclass and key.index.method == "hnsw":
            yield on_index(key.table, key.index, "an HNSW index needs an operator class", fix)
        elif opclass and key.type and name in _VECTORS and opclass.startswith(_other_vectors(name)):
            yield on_index(key.table, key.index, f"`{opclass}` does not take the type {name}", fix)


def _other_vectors(name: str) -> tuple[str, ...]:
    return tuple(f"{other}_" for other in _VECTORS if other != name)


@rule(
    "vector-dimension",
    "error",
    "A vector index needs a fixed dimension: at most 2,000 for vector, 4,000 for halfvec.",
    _RECOMMENDED,
)
def vector_dimension(subject: Subject) -> Iterator[Hit]:
    for key in _keys(subject):
        if key.type is None or key.type.name not in _LIMITS:
            continue
        limit = _LIMITS[key.type.name]
        size = next((int(modifier) for modifier in key.type.modifiers if modifier.isdecimal()), None)
        if size is None:
            fix = f"type: {key.type.name}(n), with the n of the embedding model"
            yield on_index(key.table, key.index, "the indexed vector has no dimension", fix)
        elif size > limit:
            message = f"an index holds at most {limit:,} dimensions of {key.type.name}, not {size:,}"
            half = size <= _LIMITS["halfvec"]
            fix = f"type: halfvec({size})" if half else "an embedding of fewer dimensions"
            yield on_index(key.table, key.index, message, fix)


@rule(
    "vector-operator",
    "warning",
    "A vector index serves the one distance of its operator class; by another all rows are read.",
    _RECOMMENDED,
)
def vector_operator(subject: Subject) -> Iterator[Hit]:
    for search in _searches(subject):
        keys = [key for key in _keys(subject) if key.table == search.use.table and key.holds(search.column)]
        if keys and search.operator not in {key.operator for key in keys}:
            listed = ", ".join(f"`{key.index.name}` is for {key.operator}" for key in keys)
            message = f"the query sorts by {search.operator}, but {listed}"
            yield on_pattern(search.query.pattern, message, "the same distance in both")


@rule(
    "vector-search-form",
    "warning",
    "A vector index serves ORDER BY column <=> value LIMIT n only: ascending, and nothing around it.",
    _RECOMMENDED,
)
def vector_search_form(subject: Subject) -> Iterator[Hit]:
    for query in subject.queries:
        for use in query.uses:
            for item in use.order[:1]:
                vectors = any(
                    _is_vector(subject, use.table, name) for name in item.columns & _names(use.table)
                )
                wrong = (
                    "an expression" if item.distance is None else "DESC" if item.descending else "no LIMIT"
                )
                if vectors and item.holds_distance and (wrong != "no LIMIT" or not use.limited):
                    message = f"no vector index can serve this ORDER BY: {wrong}"
                    fix = "ORDER BY column <=> value LIMIT n, with 1 - distance among the selected columns"
                    yield on_pattern(query.pattern, message, fix)


def _names(table: Table) -> set[str]:
    return {column.name for column in table.columns}


@rule(
    "vector-search-without-index",
    "warning",
    "Without a vector index each search computes the distance to every row.",
    _RECOMMENDED,
)
def vector_search_without_index(subject: Subject) -> Iterator[Hit]:
    for search in _searches(subject):
        use = search.use
        few = subject.design.rows.get(use.table.name, _EXACT_IS_FAST + 1) <= _EXACT_IS_FAST
        keys = [key for key in _keys(subject) if key.table == use.table and key.holds(search.column)]
        if not few and not narrowed(use) and all(missing(key.index, use) for key in keys):
            message = (
                f"no vector index of `{use.table.name}` serves ORDER BY {search.column} {search.operator} …"
            )
            kind = next(kind for kind, operator in _OPERATORS.items() if operator == search.operator)
            opclass = f"{subject.type_name(use.table.column(search.column))}_{kind}_ops"
            index = f"{{using: hnsw, columns: [{{column: {search.column}, opclass: {opclass}}}]}}"
            fix = f"tables.{use.table.name.name}.indexes: [{index}]"
            yield on_pattern(search.query.pattern, message, fix)


@rule(
    "filtered-vector-search",
    "warning",
    "A vector index finds the nearest rows first and filters then: fewer than LIMIT may be left.",
    _RECOMMENDED,
)
def filtered_vector_search(subject: Subject) -> Iterator[Hit]:
    for search in _searches(subject):
        use = search.use
        keys = [
            key
            for key in _keys(subject)
            if key.table == use.table and key.holds(search.column) and key.operator == search.operator
        ]
        usable = [key for key in keys if not missing(key.index, use)]
        if not usable or not use.limited or use.order[0].descending or _is_one_row(use):
            continue
        key = min(usable, key=lambda key: len(_filters(search, key.index)))
        filters = _filters(search, key.index)
        if filters:
            listed = " and ".join(f"`{condition.text}`" for condition in filters)
            message = f"{listed} filters what `{key.index.name}` found: fewer rows than LIMIT may be left"
            ways = [
                f"SET {key.index.method}.iterative_scan = relaxed_order (pgvector 0.8)",
                "the filter in WITH … AS MATERIALIZED, sorted outside",
            ]
            if all(condition.constant for condition in filters):
                where = " AND ".join(condition.text for condition in filters)
                ways.insert(0, f"an index with where: {where}")
            yield on_pattern(search.query.pattern, message, "; or ".join(ways))


def _filters(search: _Search, index: Index) -> tuple[Condition, ...]:
    """What the query asks of a row beyond its vector and the predicate of the index."""
    said = {text for text, _ in conditions_of(index.where)}
    texts = {
        condition.text: condition
        for condition in search.use.conditions
        if condition.certain
        and not condition.joins
        and condition.columns != {search.column}
        and condition.text not in said
    }
    return tuple(texts.values())


def _is_one_row(use: Use) -> bool:
    equal = {c.column for c in use.conditions if c.certain and c.kind == "equality" and not c.joins}
    keys = [key.columns for key in (use.table.primary_key, *use.table.uniques) if key]
    return any(set(columns) <= equal for columns in keys)


@rule(
    "ivfflat-before-data",
    "info",
    "IVFFlat takes its lists from the rows there are: made on an empty table, it finds little.",
    _RECOMMENDED,
)
def ivfflat_before_data(subject: Subject) -> Iterator[Hit]:
    for key in _keys(subject):
        if key.index.method == "ivfflat":
            message = f"`{key.index.name}` is made before there are rows to make its lists from"
            yield on_index(key.table, key.index, message, "using: hnsw; or REINDEX after the first load")


@rule(
    "vector-without-search",
    "info",
    "A vector that no query sorts by and no index holds is only stored.",
    _RECOMMENDED,
)
def vector_without_search(subject: Subject) -> Iterator[Hit]:
    if subject.is_database:
        return  # its queries are not known
    searched = {(search.use.table.name, search.column) for search in _searches(subject)}
    keys = list(_keys(subject))
    for table, column in subject.columns:
        indexed = any(key.table == table and key.holds(column.name) for key in keys)
        if (
            _is_vector(subject, table, column.name)
            and not indexed
            and (table.name, column.name) not in searched
        ):
            message = f"no access pattern searches `{column.name}`, and no index holds it"
            yield on_column(
                table, column.name, message, "an access pattern that searches it, and an HNSW index"
            )
