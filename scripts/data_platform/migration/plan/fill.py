"""A fill as SQL that any tool runs: one DO block that goes through the table in short transactions.

How it stays out of the clients' way: a batch takes its locks in the order of the key, waits 100 ms at most for a
lock of another's, and is tried again with fewer rows where it did not get one (a thousand times, which is about seven
minutes); its size follows the time that batches take.

A copy (`into`) takes each row FOR SHARE before it inserts it. A client that is updating or deleting the row is waited
for, and what it left is copied; one that comes later waits for the copy to commit, so a trigger of its that carries
the change over finds the row already there. Neither can be undone by the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data_platform.migration.plan.step import Fill
from data_platform.sql.templates import render
from data_platform.sql.text import (
    Sql,
    body,
    identifier,
    identifiers,
    joined,
    qualified_name,
    relation_literal,
)


def batches(fill: Fill) -> tuple[Sql, ...]:
    """One statement that fills every row, for a session outside any transaction and with statement_timeout = 0.

    Before PostgreSQL 14 each batch of a table without a key reads the whole table.
    """
    block = _by_key(fill) if fill.key else _by_page(fill)
    return (Sql(f"DO {body(block)}"),)


def statement(fill: Fill, rows: Sql) -> Sql:
    """What fills those of `rows`, a condition, that need it."""
    common = {"table": fill.table, "rows": rows, "needed": fill.needed}
    if fill.into is not None:
        columns, values = zip(*fill.values, strict=True)
        return render("migration/fill_copy.sql.j2", into=fill.into, columns=columns, values=values, **common)
    assignments = [Sql(f"{identifier(column)} = {value}") for column, value in fill.values]
    return render("migration/fill_update.sql.j2", assignments=assignments, **common)


def _by_key(fill: Fill) -> Sql:
    key = identifiers(fill.key)
    firsts, lasts, ends = (_variables(name, fill.key) for name in ("dpe_first", "dpe_last", "dpe_end"))
    rows = f"({key}) >= ({joined(', ', firsts)}) AND ({key}) <= ({joined(', ', lasts)})"
    return render(
        "migration/fill_by_key.sql.j2",
        table=fill.table,
        title=f"{fill.table}",
        key=fill.key,
        descending=[Sql(f"{identifier(column)} DESC") for column in fill.key],
        variables=joined(";\n    ", _declared(fill, firsts, lasts, ends)),
        firsts=firsts,
        lasts=lasts,
        ends=ends,
        statement=statement(fill, Sql(rows)),
    )


def _variables(name: str, key: Sequence[str]) -> list[Sql]:
    """Names that no column of the user's has, by their prefix."""
    return [Sql(f"{name}_{number}") for number in range(1, len(key) + 1)]


def _declared(fill: Fill, *variables: Sequence[Sql]) -> Iterator[Sql]:
    """Each of the type and collation of its column."""
    for names in variables:
        for name, column in zip(names, fill.key, strict=True):
            yield Sql(f"{name} {qualified_name(fill.table)}.{identifier(column)}%TYPE")


def _by_page(fill: Fill) -> Sql:
    low, high = "format('(%s,0)', dpe_page)::tid", "format('(%s,0)', dpe_page + dpe_size)::tid"
    return render(
        "migration/fill_by_page.sql.j2",
        table=fill.table,
        title=f"{fill.table}",
        pages=render("migration/pages.sql.j2", relation=relation_literal(fill.table)),
        statement=statement(fill, Sql(f"ctid >= {low} AND ctid < {high}")),
    )
