"""What a drop is no loss of: columns that another table has in the new schema."""

from __future__ import annotations

from dataclasses import replace

from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import spoken
from data_platform.model.database import Name


def without_loss(pair: Pair, step: Step, *, table: Name, column: str | None = None) -> Step:
    """A step that drops what has moved: nothing is lost with it."""
    to = next(to for to, come in pair.hints.moved.items() if come[0] == table and column in (None, come[1]))
    where = spoken(to[0], to[1]) if column is not None else spoken(to[0])
    return replace(
        step, lost=(), keep=None, reason=f"Its values are in {where} now; only the catalog changes."
    )


def moved_columns(pair: Pair) -> frozenset[tuple[Name, str]]:
    """Columns of the old schema that are in another table of the new one."""
    return frozenset(pair.hints.moved.values())


def moved_tables(pair: Pair) -> frozenset[Name]:
    """Tables of the old schema whose columns are another table's now."""
    kept = {table.name for table in pair.after.tables}
    return frozenset(come[0] for come in pair.hints.moved.values() if come[0] not in kept)
