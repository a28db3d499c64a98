"""Columns that another table has in the new schema, which ones really go there, and what a drop is then no loss of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from data_platform.migration.plan.hints import Column
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import spoken
from data_platform.model.database import Name, Table


def carried(pair: Pair) -> Mapping[Column, Column]:
    """The moves whose both ends are there, of tables with keys that match: (new table, name) → (old table, name).

    Whatever else the author told is not copied, so to drop it is a loss like any other.
    """
    old, new = _columns(pair.before.tables), _columns(pair.after.tables)
    return {
        to: come
        for to, come in pair.hints.moved.items()
        if to in new and come in old and _key(new[to]) == _key(old[come]) != 0
    }


def _columns(tables: Iterable[Table]) -> dict[Column, Table]:
    return {(table.name, column.name): table for table in tables for column in table.columns}


def _key(table: Table) -> int:
    return len(table.primary_key.columns) if table.primary_key else 0


def without_loss(pair: Pair, step: Step, *, table: Name, column: str | None = None) -> Step:
    """A step that drops what has moved: nothing is lost with it."""
    to = next(to for to, come in carried(pair).items() if come[0] == table and column in (None, come[1]))
    where = spoken(to[0], to[1]) if column is not None else spoken(to[0])
    return replace(
        step, lost=(), keep=None, reason=f"Its values are in {where} now; only the catalog changes."
    )


def moved_columns(pair: Pair) -> frozenset[tuple[Name, str]]:
    """Columns of the old schema that are in another table of the new one."""
    return frozenset(carried(pair).values())


def moved_tables(pair: Pair) -> frozenset[Name]:
    """Tables of the old schema whose columns are another table's now."""
    kept = {table.name for table in pair.after.tables}
    return frozenset(come[0] for come in carried(pair).values() if come[0] not in kept)
