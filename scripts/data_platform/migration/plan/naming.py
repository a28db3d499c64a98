"""Which columns a constraint or an index is about, and the same part over columns of other names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.model.database import (
    Check,
    Constraint,
    Exclusion,
    ForeignKey,
    Index,
    IndexElement,
    PrimaryKey,
    Unique,
)
from data_platform.sql.statements import column_references
from data_platform.sql.text import NotSql, expression_tree

Part = TypeVar("Part", PrimaryKey, Unique, Check, Exclusion, Index, ForeignKey)


def columns_of(part: Constraint | Index) -> frozenset[str]:
    """The columns of its own table that it names, those in expressions included."""
    return frozenset(_columns(part))


def _columns(part: Constraint | Index) -> Iterator[str]:
    match part:
        case Check():
            yield from named_in(part.expression)
        case ForeignKey():
            yield from part.columns
        case PrimaryKey() | Unique():
            yield from (*part.columns, *part.include)
        case Index():
            yield from _of_elements(part.elements)
            yield from (*part.include, *named_in(part.where))
        case Exclusion():
            yield from _of_elements(item.element for item in part.elements)
            yield from (*part.include, *named_in(part.where))


def _of_elements(elements: Iterable[IndexElement]) -> Iterator[str]:
    for element in elements:
        if element.column is not None:
            yield element.column
        yield from named_in(element.expression)


def named_in(text: str | None) -> tuple[str, ...]:
    """The columns that an expression names."""
    if text is None:
        return ()
    try:
        return tuple(parts[-1] for parts in column_references(expression_tree(text)))
    except NotSql:
        return ()


def over(part: Part, columns: Mapping[str, str], name: str) -> Part:
    """The part over columns of other names, itself called `name`, without its comment."""
    changes: dict[str, Any] = {"name": name, "comment": None}
    match part:
        case Check():
            changes["expression"] = _text(part.expression, columns)
        case ForeignKey():
            changes["columns"] = _names(part.columns, columns)
            changes["set_columns"] = _names(part.set_columns, columns)
        case PrimaryKey() | Unique():
            changes |= {"columns": _names(part.columns, columns), "include": _names(part.include, columns)}
        case Index():
            changes |= {
                "elements": tuple(_element(element, columns) for element in part.elements),
                "include": _names(part.include, columns),
                "where": _optional(part.where, columns),
            }
        case Exclusion():
            changes |= {
                "elements": tuple(
                    replace(item, element=_element(item.element, columns)) for item in part.elements
                ),
                "include": _names(part.include, columns),
                "where": _optional(part.where, columns),
            }
    return replace(part, **changes)


def _names(names: tuple[str, ...], columns: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(columns.get(name, name) for name in names)


def _element(element: IndexElement, columns: Mapping[str, str]) -> IndexElement:
    column = element.column if element.column is None else columns.get(element.column, element.column)
    return replace(element, column=column, expression=_optional(element.expression, columns))


def _optional(text: str | None, columns: Mapping[str, str]) -> str | None:
    return None if text is None else _text(text, columns)


def _text(text: str, columns: Mapping[str, str]) -> str:
    """The expression with other names for its columns, as the grammar's own printer writes it."""
    if not set(named_in(text)) & columns.keys():
        return text
    tree = postgast.parse(f"SELECT ({text})")
    for node in postgast.find_nodes(tree, pb.ColumnRef):
        last = node.fields[-1]
        if last.HasField("string"):
            last.string.sval = columns.get(last.string.sval, last.string.sval)
    return str(postgast.deparse(tree)).removeprefix("SELECT ")
