"""Which columns must differ from row to row: primary keys, unique constraints and indexes, exclusion constraints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from data_platform.model.database import Exclusion, IndexElement, Table
from data_platform.postgres.synthetic import trees
from data_platform.sql.text import NotSql, expression_tree

_FOLDING = frozenset({"lower", "upper"})
_RANGE_MAKERS = frozenset({"int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"})


@dataclass(frozen=True, kw_only=True)
class Key:
    """No two rows agree in all `columns` and overlap in the interval that `overlap` columns hold.

    `folded` columns must differ in more than case. `solid` columns take no NULL, because NULLs would count as equal.
    `overlap` is one range column, or the start and the end. `where` is a partial index's predicate.
    """

    name: str
    columns: tuple[str, ...]
    folded: frozenset[str] = frozenset()
    solid: frozenset[str] = frozenset()
    overlap: tuple[str, ...] = ()
    where: str | None = None


def keys_of(table: Table) -> tuple[Key, ...]:
    """All keys of a table, those over the fewest columns first. What has no such form is left to the server."""
    found = (key for key in _all(table) if key.columns or key.overlap)
    return tuple(sorted(found, key=lambda key: (len(key.columns) + len(key.overlap), key.name)))


def _all(table: Table) -> Iterator[Key]:
    if table.primary_key:
        name, columns = table.primary_key.name, table.primary_key.columns
        yield _key(table, name, [_column_element(c) for c in columns], solid=True)
    for unique in table.uniques:
        elements = [_column_element(c) for c in unique.columns]
        yield _key(table, unique.name, elements, solid=unique.nulls_not_distinct)
    for index in table.indexes:
        if index.unique:
            key = _key(table, index.name, list(index.elements), solid=index.nulls_not_distinct)
            yield replace(key, where=index.where)
    for exclusion in table.exclusions:
        yield from _exclusion(table, exclusion)


def _column_element(name: str) -> IndexElement:
    return IndexElement(column=name)


def _key(table: Table, name: str, elements: list[IndexElement], *, solid: bool) -> Key:
    columns: list[str] = []
    folded: set[str] = set()
    not_null: set[str] = set()
    for element in elements:
        used, call = _used(table, element)
        columns += used
        folded.update(used if call in _FOLDING else ())
        not_null.update(used if solid or call == "coalesce" else ())
    return Key(
        name=name,
        columns=tuple(dict.fromkeys(columns)),
        folded=frozenset(folded),
        solid=frozenset(not_null),
    )


def _used(table: Table, element: IndexElement) -> tuple[list[str], str]:
    """The stored columns behind an element, and the function around them; a generated column is its expression."""
    expression = element.expression
    if element.column is not None:
        generated = table.column(element.column).generated
        if generated is None:
            return [element.column], ""
        expression = generated.expression
    try:
        tree = expression_tree(expression or "")
    except NotSql:
        return [], ""
    names = {column.name for column in table.columns}
    return sorted(trees.columns(tree) & names), trees.function(tree)[0]


def _exclusion(table: Table, exclusion: Exclusion) -> Iterator[Key]:
    """`=` and at most one `&&` between ranges; others are left to the server."""
    equal = [part.element for part in exclusion.elements if part.operator == "="]
    overlapping = [part.element for part in exclusion.elements if part.operator == "&&"]
    if len(equal) + len(overlapping) < len(exclusion.elements) or len(overlapping) > 1:
        return
    key = _key(table, exclusion.name, equal, solid=False)
    if not overlapping:
        yield replace(key, where=exclusion.where)
        return
    columns = _interval_columns(overlapping[0])
    if columns:
        yield replace(key, overlap=columns)


def _interval_columns(element: IndexElement) -> tuple[str, ...]:
    if element.column is not None:
        return (element.column,)
    try:
        name, args = trees.function(expression_tree(element.expression or ""))
    except NotSql:
        return ()
    ends = [trees.column(arg) for arg in args[:2]]
    if name not in _RANGE_MAKERS or len(ends) != 2 or None in ends or ends[0] == ends[1]:
        return ()
    return tuple(end for end in ends if end is not None)
