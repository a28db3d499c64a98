"""What both diagrams say of a table: what it is called, which columns are keys, what is unique."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from data_platform.model.database import ForeignKey, Name, Table
from data_platform.model.design import Design
from data_platform.sql.text import qualified

_LIVING = "deleted_at IS NULL"
"""The predicate of our soft deletion."""


def names(design: Design, shown: Callable[[str], str]) -> dict[Name, str]:
    """What each table is called, as `shown` spells it: with its schema if that is not the default one."""
    tables = [table.name for table in design.database.tables]
    short = {name: shown(name.name if name.schema == design.default_schema else str(name)) for name in tables}
    count = Counter(short.values())
    return {
        name: text if count[text] == 1 else shown(qualified(name.schema, name.name))
        for name, text in short.items()
    }


def marks(table: Table, column: str) -> Iterator[str]:
    """PK, FK and UK, as far as they hold of a column; UK if it is unique by itself, be it among living rows only."""
    key = table.primary_key.columns if table.primary_key else ()
    if column in key:
        yield "PK"
    if any(column in reference.columns for reference in table.foreign_keys):
        yield "FK"
    if key != (column,) and (column,) in (*_keys(table), *_keys(table, _LIVING)):
        yield "UK"


def foreign_keys(design: Design) -> Iterator[tuple[Table, ForeignKey]]:
    """Every foreign key whose target is in the model, with its table."""
    known = {table.name for table in design.database.tables}
    for table in design.database.tables:
        for key in table.foreign_keys:
            if key.target in known:
                yield table, key


def is_unique(table: Table, columns: Sequence[str]) -> bool:
    """Whether no two rows agree in `columns`, by a key or by a unique index over all rows."""
    return any(set(key) <= set(columns) for key in _keys(table))


def _keys(table: Table, where: str | None = None) -> Iterator[tuple[str, ...]]:
    """The columns of each key that holds over all rows, or of each unique index over those with the predicate."""
    if table.primary_key and where is None:
        yield table.primary_key.columns
    if where is None:
        yield from (key.columns for key in table.uniques)
    for index in table.indexes:
        named = tuple(element.column for element in index.elements if element.column)
        if index.unique and index.where == where and len(named) == len(index.elements):
            yield named
