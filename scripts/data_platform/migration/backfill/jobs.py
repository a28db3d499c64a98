"""Fills of a plan as jobs for `postgres.backfill`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from data_platform.migration.plan.fill import statement
from data_platform.migration.plan.step import Fill
from data_platform.migration.plan.text import spoken
from data_platform.postgres.backfill.job import EVERY_ROW, Job
from data_platform.spec.backfill import Backfill


def jobs_of(fills: Iterable[Fill]) -> tuple[Job, ...]:
    """One job a fill, in order."""
    return tuple(
        Job(
            table=fill.table,
            what=what(fill),
            statement=partial(statement, fill),
            needed=fill.needed,
            key=fill.key,
        )
        for fill in fills
    )


def what(fill: Fill) -> str:
    """`orders: amount_new`, or `orders into orders__new`."""
    if fill.into is not None:
        return f"{spoken(fill.table)} into {spoken(fill.into)}"
    return f"{spoken(fill.table)}: {', '.join(column for column, _ in fill.values)}"


def fills_of(backfills: Iterable[Backfill]) -> tuple[Fill, ...]:
    """The operations `backfill` of a change as fills."""
    return tuple(
        Fill(
            table=one.table,
            values=one.values,
            needed=one.where or EVERY_ROW,
            key=one.key,
            into=one.into,
        )
        for one in backfills
    )
