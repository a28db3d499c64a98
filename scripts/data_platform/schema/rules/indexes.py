"""Rules about indexes: each has a reason, and none does another's work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.model.database import Index, IndexElement, Table
from data_platform.schema.rules.cover import all_indexes, columns_in, key_of, normal, searched
from data_platform.schema.rules.foreign_keys import supports
from data_platform.schema.rules.reading import Use
from data_platform.schema.rules.remedies import drop_index, referring
from data_platform.schema.rules.rule import Hit, on_index, rule
from data_platform.schema.rules.subject import Subject

_SPARINGLY = "Index strategically, not excessively"
_PATH_OPERATORS = frozenset({"@>", "@?", "@@"})


@rule(
    "duplicate-index", "error", "Two indexes alike cost every write twice and serve nothing more.", _SPARINGLY
)
def duplicate_index(subject: Subject) -> Iterator[Hit]:
    for table, index, other in _superfluous(subject):
        if _covers(index, other):
            message = f"`{index.name}` is the same as `{other.name}`"
            remedy = drop_index(table, index.name) + referring(subject, table, index.name)
            yield on_index(table, index, message, f"remove `{index.name}`", remedy)


@rule(
    "redundant-index",
    "warning",
    "An index that begins like a longer one is served by it, and costs every write.",
    _SPARINGLY,
)
def redundant_index(subject: Subject) -> Iterator[Hit]:
    for table, index, other in _superfluous(subject):
        if not _covers(index, other):
            message = f"`{other.name}` serves all that `{index.name}` serves"
            remedy = drop_index(table, index.name)
            yield on_index(table, index, message, f"remove `{index.name}`", remedy)


def _superfluous(subject: Subject) -> Iterator[tuple[Table, Index, Index]]:
    """Every index that can go, with one that does its work."""
    for table in subject.tables:
        # Of two alike the unique one stays, then one with another task, then the one behind a key, which comes first.
        tasks = (table.replica_identity, table.cluster_on)
        late = {key.name for key in table.uniques if key.deferral != "not deferrable"}
        indexes = sorted(
            (replace(i, unique=False) if i.name in late else i for i in all_indexes(table)),
            key=lambda index: (not index.unique, index.name not in tasks),
        )
        for place, index in enumerate(indexes):
            others = [
                other
                for other_place, other in enumerate(indexes)
                if other_place != place
                and _covers(other, index)
                and (other_place < place or not _covers(index, other))
            ]
            if others:
                yield table, index, others[0]


def _covers(index: Index, other: Index) -> bool:
    """Whether `index` does all that `other` does."""
    whole = len(index.elements) == len(other.elements)
    unique = not other.unique or (
        index.unique and whole and index.nulls_not_distinct >= other.nulls_not_distinct
    )
    columns = {*index.include, *(element.column for element in index.elements)}
    return (
        unique
        and index.method == other.method
        and (index.method == "btree" or (whole and index.options == other.options))
        and set(other.include) <= columns
        and _predicate(index) == _predicate(other)
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
        if not any(_touches(use, table, index) for use in uses):
            leading = " or ".join(f"`{key_of(element)}`" for element in searched(index))
            message = f"`{index.name}` has no reason: no access pattern filters, joins or sorts by {leading}"
            yield on_index(
                table, index, message, "declare the access pattern that needs it, or remove the index"
            )


def unexplained(subject: Subject) -> Iterator[tuple[Table, Index]]:
    """The indexes that no key or constraint needs, and whose comment does not say what they are for."""
    for table in subject.tables:
        for index in table.indexes:
            needed = index.unique or any(supports(index, key) for key in table.foreign_keys)
            if not needed and not index.comment:
                yield table, index


def _touches(use: Use, table: Table, index: Index) -> bool:
    return use.table.name == table.name and any(
        _columns(element) <= use.touched for element in searched(index)
    )


def _columns(element: IndexElement) -> frozenset[str]:
    return frozenset({element.column}) if element.column is not None else columns_in(element.expression or "")


@rule(
    "jsonb-path-ops",
    "info",
    "A GIN index that only answers @>, @? and @@ is smaller and faster with jsonb_path_ops.",
    "GIN: JSONB, arrays, full-text",
)
def jsonb_path_ops(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for index in table.indexes:
            for element in index.elements if index.method == "gin" else ():
                if element.column is None or element.opclass:
                    continue
                is_jsonb = subject.type_name(table.column(element.column)) == "jsonb"
                asked = _operators(subject, table, element.column)
                if is_jsonb and asked and asked <= _PATH_OPERATORS:
                    message = f"the access patterns ask `{element.column}` by {', '.join(sorted(asked))} only"
                    yield on_index(
                        table, index, message, f"{{column: {element.column}, opclass: jsonb_path_ops}}"
                    )


def _operators(subject: Subject, table: Table, column: str) -> set[str]:
    uses = [use for query in subject.queries for use in query.uses if use.table.name == table.name]
    return {c.operator for use in uses for c in use.conditions if c.column == column and c.kind == "search"}
