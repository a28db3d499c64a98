"""Generated columns in keys: no value can be given to them, so the columns that they are made of get one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data_platform.model.database import Table
from data_platform.schema.prove.attempts import Row
from data_platform.schema.prove.breaking import columns_in


def is_generated(table: Table, columns: Sequence[str]) -> bool:
    """Whether any of them is."""
    return any(table.column(name).generated for name in columns)


def sources(table: Table, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns, or what those that are generated are made of."""
    return tuple(dict.fromkeys(source for name in columns for source in _made_of(table, name)))


def _made_of(table: Table, name: str) -> list[str]:
    generated = table.column(name).generated
    return columns_in(generated.expression, table) if generated else [name]


def assignments(table: Table, columns: Sequence[str], values: Sequence[str | None]) -> Iterator[Row]:
    """Values that can be given so that the columns may come to have `values`, the likeliest first.

    For a generated one: the value for each of its sources that has its type, NULL for the others; then without that.
    """
    pairs = list(zip(columns, values, strict=True))
    given: dict[str, str | None] = {}
    tests: dict[str, str | None] = {}
    for name, value in pairs:
        for source in _made_of(table, name):
            if table.column(source).type == table.column(name).type:
                given[source] = value
            elif table.column(source).nullable:
                tests[source] = None
    yield {**tests, **given}
    if tests:
        yield given
