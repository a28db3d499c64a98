"""A partition that is built again: in the swap it leaves its parent, and the new one comes in its place.

Valid CHECKs of the bound, on the old and the new one, keep ATTACH from looking at rows, forth and back.
"""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.plan import joining
from data_platform.migration.plan.partitions import attach, detach, guards, unguarded
from data_platform.migration.plan.rebuilding.trees import Trees
from data_platform.migration.plan.step import Step
from data_platform.model.database import Database, ForeignKey, Name, Table
from data_platform.sql.text import Sql, qualified_name


def parent_of(database: Database, table: Table) -> Table | None:
    """The table that it is a partition of."""
    return next(
        (one for one in database.tables if table.partition_of and one.name == table.partition_of.table), None
    )


def keys_above(database: Database, table: Table) -> Iterator[ForeignKey]:
    """The foreign keys that it has from its parents."""
    while (parent := parent_of(database, table)) is not None:
        yield from parent.foreign_keys
        table = parent


def names_above(database: Database, table: Table) -> Iterator[Name]:
    """Its parents, the nearest first."""
    while (parent := parent_of(database, table)) is not None:
        yield parent.name
        table = parent


def within(trees: Trees) -> Iterator[Step]:
    """Before the swap: the old one's CHECK of its bound, and that DEFAULT has no row of it."""
    parent = parent_of(trees.old.database, trees.old.table)
    bound = joining.bound(parent, trees.old.table) if parent else None
    if parent is None or bound is None:
        return
    reason = "Says that every row is within the bound, so that the old partition can come back without a look at them."
    yield from joining.checked(trees.name, joining.bound_name(trees.old.table), bound, "backfill", reason)
    yield from guards(trees.pair, parent, trees.old.table, "backfill")


def detached(trees: Trees) -> Iterator[Sql]:
    """The old one, before the names are swapped. Clients lock the parent first, and so do we."""
    parent = parent_of(trees.old.database, trees.old.table)
    if parent is not None:
        yield Sql(f"LOCK TABLE ONLY {qualified_name(parent.name)} IN ACCESS EXCLUSIVE MODE")
        yield detach(parent.name, trees.name)


def attached(trees: Trees) -> Iterator[Sql]:
    """The new one, by its name."""
    if trees.new.table.partition_of is not None:
        yield attach(trees.new.table)


def released(trees: Trees) -> Iterator[Sql]:
    """The CHECKs have served."""
    parent = parent_of(trees.new.database, trees.new.table)
    if parent is not None:
        yield joining.check_dropped(trees.name, joining.bound_name(trees.new.table))
        yield from unguarded(trees.pair, parent, trees.new.table)


def held(trees: Trees) -> Iterator[Sql]:
    """The reverse."""
    parent = parent_of(trees.new.database, trees.new.table)
    bound = joining.bound(parent, trees.new.table) if parent else None
    if parent is not None and bound is not None:
        yield from joining.checking(trees.name, joining.bound_name(trees.new.table), bound)
        for step in guards(trees.pair, parent, trees.new.table, "contract"):
            yield from step.up
