"""Rules about indexes: each has a reason, and none does another's work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.model.database import Index, IndexElement, Table
from data_platform.schema.rules.cover import all_indexes, key_of, normal
from data_platform.schema.rules.keys import supports
from data_platform.schema.rules.reading import Use
from data_platform.schema.rules.rule import Hit, Subject, on_index, rule
from data_platform.sql.statements import column_references
from data_platform.sql.text import expression_tree

_SPARINGLY = "Index strategically, not excessively"
_PATH_OPERATORS = frozenset({"@>", "@?", "@@"})


@rule(
    "duplicate-index", "error", "Two indexes alike cost every write twice and serve nothing more.", _SPARINGLY
)
def duplicate_index(subject: Subject) -> Iterator[Hit]:
    for table, index, other in _pairs(subject):
        if _covers(index, other):
            message = f"`{index.name}` is the same as `{other.name}`"
            yield on_index(table, index, message, f"remove `{index.name}`")


@rule(
    "redundant-index",
    "warning",
    "An index that begins like a longer one is served by it, and costs every write.",
    _SPARINGLY,
)
def redundant_index(subject: Subject) -> Iterator[Hit]:
    for table, index, other in _pairs(subject):
        if not _covers(index, other):
            message = f"`{index.name}` is the beginning of `{other.name}`, which serves its queries too"
            yield on_index(
                table, index, message, f"remove `{index.name}`, unless it is measured to be worth its writes"
            )


def _pairs(subject: Subject) -> Iterator[tuple[Table, Index, Index]]:
    """Every index that can go, with the first one that does its work."""
    for table in subject.tables:
        indexes = list(all_indexes(table))
        for place, index in enumerate(indexes):
            for other_place, other in enumerate(indexes):
                # Of two alike the key before the index, the unique before the plain, the first before the second stays.
                first = (not other.unique, other_place) < (not index.unique, place)
                if other is not index and _covers(other, index) and (first or not _covers(index, other)):
                    yield table, index, other
                    break


def _covers(index: Index, other: Index) -> bool:
    """Whether `index` does all that `other` does."""
    whole = len(index.elements) == len(other.elements)
    unique = not other.unique or (
        index.unique and whole and index.nulls_not_distinct >= other.nulls_not_distinct
    )
    same_rows = _predicate(index) == _predicate(other)
    columns = {*index.include, *(element.column for element in index.elements)}
    return (
        unique
        and same_rows
        and index.method == other.method
        and set(other.include) <= columns
        and (index.method == "btree" or (whole and index.options == other.options))
        and _begins(index.elements, other.elements)
    )


def _predicate(index: Index) -> str | None:
    return normal(index.where) if index.where else None


def _begins(elements: tuple[IndexElement, ...], other: tuple[IndexElement, ...]) -> bool:
    leading = [_spelled(element) for element in elements[: len(other)]]
    wanted = [_spelled(element) for element in other]
    # A btree reads backwards as well as forwards.
    backwards = [replace(e, descending=not e.descending, nulls_first=not e.nulls_first) for e in wanted]
    return leading in (wanted, backwards)


def _spelled(element: IndexElement) -> IndexElement:
    return element if element.expression is None else replace(element, expression=normal(element.expression))


@rule(
    "index-without-reason",
    "warning",
    "An index that no query, key or constraint needs costs every write and earns nothing.",
    _SPARINGLY,
)
def index_without_reason(subject: Subject) -> Iterator[Hit]:
    if not subject.queries:
        return  # no-access-patterns says it once
    uses = [use for query in subject.queries for use in query.uses]
    for table, index in unexplained(subject):
        leading = " or ".join(f"`{key_of(element)}`" for element in _searched(index))
        if not any(_touches(use, table, index) for use in uses):
            message = f"no access pattern filters, joins or sorts `{table.name}` by {leading}, so `{index.name}` has no reason"
            yield on_index(table, index, message, "add the access pattern that needs it, or remove the index")


def unexplained(subject: Subject) -> Iterator[tuple[Table, Index]]:
    """The indexes that no key or constraint needs."""
    for table in subject.tables:
        for index in table.indexes:
            if not index.unique and not any(supports(index, key) for key in table.foreign_keys):
                yield table, index


def _touches(use: Use, table: Table, index: Index) -> bool:
    return use.table.name == table.name and any(
        _columns(element) <= use.touched for element in _searched(index)
    )


def _searched(index: Index) -> tuple[IndexElement, ...]:
    return index.elements if index.method in ("gin", "brin") else index.elements[:1]


def _columns(element: IndexElement) -> set[str]:
    if element.column is not None:
        return {element.column}
    return {names[-1] for names in column_references(expression_tree(element.expression or ""))}


@rule(
    "jsonb-path-ops",
    "info",
    "A GIN index that only answers @>, @? and @@ is smaller and faster with jsonb_path_ops.",
    "GIN: JSONB, arrays, full-text",
)
def jsonb_path_ops(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for index in table.indexes:
            for element in index.elements:
                if index.method != "gin" or element.opclass or not element.column:
                    continue
                is_jsonb = subject.type_name(table.column(element.column)) == "jsonb"
                asked = _operators(subject, table, element.column)
                if is_jsonb and asked and asked <= _PATH_OPERATORS:
                    message = (
                        f"the access patterns search `{element.column}` by {', '.join(sorted(asked))} only"
                    )
                    yield on_index(
                        table, index, message, f"{{column: {element.column}, opclass: jsonb_path_ops}}"
                    )


def _operators(subject: Subject, table: Table, column: str) -> set[str]:
    uses = [use for query in subject.queries for use in query.uses if use.table.name == table.name]
    return {c.operator for use in uses for c in use.conditions if c.column == column and c.kind == "search"}
