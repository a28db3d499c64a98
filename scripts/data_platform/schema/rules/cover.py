"""Which index can serve which condition of a query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from data_platform.model.database import Index, IndexElement, PrimaryKey, Table, Unique
from data_platform.schema.rules.reading import Condition, Use
from data_platform.schema.rules.trees import column_of, conjuncts, plain, sides
from data_platform.sql.statements import column_references
from data_platform.sql.text import NotSql, expression_tree

SEARCHED = frozenset({"equality", "range", "like", "search"})
"""Kinds of condition by which an index finds rows."""

_ANY_POSITION = frozenset({"gin", "brin"})
_VECTOR = frozenset({"hnsw", "ivfflat"})
_KEYS_ONLY = frozenset({"?", "?|", "?&"})


def all_indexes(table: Table) -> Iterator[Index]:
    """The indexes behind the table's keys and exclusion constraints, then the others that can be used."""
    if table.primary_key is not None:
        yield _behind(table.primary_key, nulls_not_distinct=False)
    for key in table.uniques:
        yield _behind(key, nulls_not_distinct=key.nulls_not_distinct)
    for exclusion in table.exclusions:
        elements = tuple(item.element for item in exclusion.elements)
        yield Index(
            name=exclusion.name,
            elements=elements,
            method=exclusion.method,
            where=exclusion.where,
            include=exclusion.include,
        )
    yield from (index for index in table.indexes if not index.only)


def _behind(key: PrimaryKey | Unique, *, nulls_not_distinct: bool) -> Index:
    return Index(
        name=key.name,
        elements=_elements(key.columns),
        method="gist" if key.without_overlaps else "btree",
        unique=True,
        include=key.include,
        nulls_not_distinct=nulls_not_distinct,
    )


def _elements(names: Iterable[str]) -> tuple[IndexElement, ...]:
    return tuple(IndexElement(column=name) for name in names)


@lru_cache(maxsize=4096)
def normal(expression: str) -> str:
    """An expression as PostgreSQL prints it, so that two spellings of it are one.

    One that is too deep to look into stays as it is.
    """
    try:
        return plain(expression_tree(expression))
    except NotSql:
        return expression


@lru_cache(maxsize=4096)
def columns_in(expression: str) -> frozenset[str]:
    """The columns in an expression; none where it is too deep to look into."""
    try:
        return frozenset(names[-1] for names in column_references(expression_tree(expression)))
    except NotSql:
        return frozenset()


def key_of(element: IndexElement) -> str:
    """What the element indexes, in the form of a condition's key."""
    return element.column if element.column is not None else normal(element.expression or "")


def searched(index: Index) -> tuple[IndexElement, ...]:
    """The elements by which the index can be entered."""
    return index.elements if index.method in _ANY_POSITION else index.elements[:1]


@lru_cache(maxsize=4096)
def conditions_of(predicate: str | None) -> tuple[tuple[str, frozenset[str]], ...]:
    """Each condition of an index's predicate, with its columns."""
    if predicate is None:
        return ()
    try:
        parts = [plain(part) for part in conjuncts(expression_tree(predicate))]
    except NotSql:
        return ((predicate, frozenset()),)
    return tuple((part, columns_in(part)) for part in parts)


@lru_cache(maxsize=4096)
def required(predicate: str | None) -> frozenset[str]:
    """The columns that are NULL in no row of a partial index: its predicate says so, or compares them."""
    try:
        parts = list(conjuncts(expression_tree(predicate))) if predicate else []
    except NotSql:
        return frozenset()
    kept = [side for part in parts for side in sides(part) if side.kind != "other"]
    known = [side.key for side in kept if side.operator != "IS NULL"]
    return frozenset(name for key in known if (name := column_of(key)) is not None)


def missing(index: Index, use: Use) -> tuple[str, ...]:
    """The conditions of a partial index that the query does not imply.

    One whose columns the query compares with constants counts as implied: the planner may see that it is.
    """
    certain = [condition for condition in use.conditions if condition.certain]
    said = {condition.text for condition in certain}
    known = {condition.column for condition in certain if condition.kind in SEARCHED}
    constant = {condition.column for condition in certain if condition.constant}
    return tuple(
        text
        for text, columns in conditions_of(index.where)
        if text not in said
        and not (text.endswith("IS NOT NULL") and columns <= known)
        and not (columns and columns <= constant)
    )


def fits(index: Index, condition: Condition) -> bool:
    """Whether the index can be entered by the condition, in a query that asks for its rows only."""
    return any(
        key_of(element) == condition.key and _method_fits(index, element, condition)
        for element in searched(index)
    )


def _method_fits(index: Index, element: IndexElement, condition: Condition) -> bool:
    opclass = element.opclass or ""
    if index.method in _VECTOR:
        return False
    if condition.kind == "like":
        return "trgm" in opclass or (not condition.hides_beginning and index.method == "btree")
    if condition.kind == "search":
        by_path = opclass.endswith("jsonb_path_ops") and condition.operator in _KEYS_ONLY
        return index.method not in ("btree", "hash") and not by_path
    if "trgm" in opclass:
        return False
    return condition.kind == "equality" or (condition.kind in ("range", "null") and index.method != "hash")


def served(use: Use, condition: Condition) -> bool:
    """Whether an index finds the rows of the condition in this query."""
    return any(fits(index, condition) and not missing(index, use) for index in all_indexes(use.table))


def narrowed(use: Use) -> bool:
    """Whether an index finds the rows by an equality, so that any other condition filters few."""
    equalities = (c for c in use.conditions if c.certain and c.kind == "equality")
    return any(served(use, condition) for condition in equalities)
