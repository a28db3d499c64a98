"""Which index can serve which condition of a query."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from data_platform.model.database import Index, IndexElement, Table
from data_platform.schema.rules.reading import Condition, Use, conjuncts, plain
from data_platform.sql.statements import column_references
from data_platform.sql.text import expression_tree

_ANY_POSITION = frozenset({"gin", "brin"})
_VECTOR = frozenset({"hnsw", "ivfflat"})
_KEYS_ONLY = frozenset({"?", "?|", "?&"})


def all_indexes(table: Table) -> Iterator[Index]:
    """The table's indexes and those behind its keys and exclusion constraints."""
    for key in (table.primary_key, *table.uniques):
        if key is not None:
            elements = tuple(IndexElement(column=column) for column in key.columns)
            yield Index(name=key.name, elements=elements, unique=True)
    for exclusion in table.exclusions:
        elements = tuple(item.element for item in exclusion.elements)
        yield Index(name=exclusion.name, elements=elements, method=exclusion.method, where=exclusion.where)
    yield from table.indexes


@lru_cache(maxsize=4096)
def normal(expression: str) -> str:
    """An expression as PostgreSQL prints it, so that two spellings of it are one."""
    return plain(expression_tree(expression))


def key_of(element: IndexElement) -> str:
    """What the element indexes, in the form of a condition's key."""
    return element.column if element.column is not None else normal(element.expression or "")


@lru_cache(maxsize=4096)
def conditions_of(predicate: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """Each condition of an index's predicate, with its columns."""
    return tuple(
        (plain(part), frozenset(names[-1] for names in column_references(part)))
        for part in conjuncts(expression_tree(predicate))
    )


def usable(index: Index, use: Use) -> bool:
    """Whether the query says what a partial index's predicate asks."""
    return index.where is None or not missing(index, use)


def missing(index: Index, use: Use) -> tuple[str, ...]:
    """The conditions of a partial index that the query does not imply.

    A condition whose columns the query compares with constants counts as implied: the planner may see that it is.
    """
    said = {condition.text for condition in use.conditions if condition.certain}
    compared = {
        c.column for c in use.conditions if c.certain and c.kind in ("equality", "range", "like", "search")
    }
    constant = {c.column for c in use.conditions if c.certain and c.constant}
    return tuple(
        text
        for text, columns in conditions_of(index.where or "")
        if text not in said
        and not (text.endswith("IS NOT NULL") and columns <= compared)
        and not (columns and columns <= constant)
    )


def fits(index: Index, condition: Condition) -> bool:
    """Whether an index has the condition's key where it can be searched, by a method that can."""
    elements = index.elements if index.method in _ANY_POSITION else index.elements[:1]
    return any(
        key_of(element) == condition.key and _method_fits(index, element, condition) for element in elements
    )


def _method_fits(index: Index, element: IndexElement, condition: Condition) -> bool:
    opclass = element.opclass or ""
    if index.method in _VECTOR:
        return False
    if condition.kind == "like":
        return "trgm" in opclass or (not condition.leading_wildcard and index.method == "btree")
    if condition.kind == "search":
        by_path = opclass.endswith("jsonb_path_ops") and condition.operator in _KEYS_ONLY
        return index.method not in ("btree", "hash") and not by_path
    if condition.kind == "equality":
        return "trgm" not in opclass
    return condition.kind in ("range", "null") and index.method != "hash"


def serving(use: Use, condition: Condition) -> Iterator[Index]:
    """The indexes that can serve the condition in this query."""
    return (index for index in all_indexes(use.table) if fits(index, condition) and usable(index, use))


def served(use: Use, condition: Condition) -> bool:
    """Whether any index can."""
    return next(serving(use, condition), None) is not None


def narrowed(use: Use, *, but: Condition | None = None) -> bool:
    """Whether an index finds the rows by an equality, whatever the condition `but` adds."""
    return any(
        condition is not but and condition.certain and condition.kind == "equality" and served(use, condition)
        for condition in use.conditions
    )
