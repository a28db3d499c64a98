"""A table with rows made ready to be a partition: its bound as a valid CHECK, and all that its parent has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.ddl.around import around
from data_platform.migration.plan import columns
from data_platform.migration.plan.bounds import condition
from data_platform.migration.plan.columns import identity_clause
from data_platform.migration.plan.indexes import concurrently
from data_platform.migration.plan.not_null import NOT_NULL_CONSTRAINTS_SINCE, not_null_name, required
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.partitioned import key_on_index
from data_platform.migration.plan.replace import not_valid_then_validated
from data_platform.migration.plan.step import Phase, Refusal, Step
from data_platform.migration.plan.text import alter_column, alter_table, beside, slug
from data_platform.model.database import Check, Column, ForeignKey, Name, Table
from data_platform.sql.references import Reference
from data_platform.sql.text import Sql, identifier, literal, qualified_name, relation_literal

SHARED_IDENTITY_SINCE = 17
"""From then on partitions number their rows from their parent's identity, and must have none when they are attached."""


def prepared(pair: Pair, parent: Table, table: Table) -> Iterator[Step | Refusal]:
    """Everything that ATTACH would else do, or look at, under its lock."""
    old = next(one for one in pair.before.tables if one.name == table.name)
    there = {column.name: column for column in old.columns}
    for column in table.columns:
        if column.name not in there:
            yield from columns.added(
                pair, old, replace(column, identity=None, sequence=None, sequence_name=None)
            )
        elif there[column.name].nullable and not column.nullable:
            yield from required(table.name, column, pair.version, "backfill")
    yield from _indexes_and_keys(old, table)
    yield from _checks(pair, old, table)
    yield from _foreign_keys(parent, old, table)
    if found := bound(parent, table):
        yield from checked(
            table.name,
            bound_name(table),
            found,
            "backfill",
            "Says that every row is within the bound, for ATTACH to rely on. If some are not, validation fails (23514) "
            "and nothing is changed.",
        )


def _indexes_and_keys(old: Table, table: Table) -> Iterator[Step]:
    names = {part.name for part in (old.primary_key, *old.uniques, *old.indexes) if part}
    for index in table.indexes:
        if index.name not in names:
            yield concurrently(table.name, index, "expand")
    for key in (table.primary_key, *table.uniques):
        if key is not None and key.name not in names:
            yield from key_on_index(table.name, key, "backfill")


def _checks(pair: Pair, old: Table, table: Table) -> Iterator[Step]:
    there = {check.name for check in old.checks} | {new for _, new in _renamed_checks(pair, old, table)}
    for check in _wanted_checks(pair, table):
        if check.name not in there:
            yield from not_valid_then_validated(table.name, check, check.validated, "backfill")


def _wanted_checks(pair: Pair, table: Table) -> tuple[Check, ...]:
    """Its own and its parents', which must have the same names."""
    return around(pair.after, frozenset(), pair.version).checks(table)


def _renamed_checks(pair: Pair, old: Table, table: Table) -> Iterator[tuple[str, str]]:
    wanted = _wanted_checks(pair, table)
    kept = {check.name for check in wanted}
    free = [check for check in old.checks if check.name not in kept]
    for check in wanted:
        same = next((one for one in free if one.expression == check.expression), None)
        if same is not None and check.name not in {one.name for one in old.checks}:
            free.remove(same)
            yield same.name, check.name


def _renamed_not_nulls(pair: Pair, old: Table, table: Table) -> Iterator[tuple[str, str]]:
    """From 18 on a partition's NOT NULLs have the names of its parent's."""
    if pair.version < NOT_NULL_CONSTRAINTS_SINCE:
        return
    before = {column.name: column for column in old.columns}
    for column in around(pair.after, frozenset(), pair.version).columns(table):
        former = before.get(column.name, column)
        if not column.nullable and not former.nullable:
            names = not_null_name(old.name, former), not_null_name(table.name, column)
            if names[0] != names[1]:
                yield names


def renames(pair: Pair, table: Table, *, back: bool = False) -> Iterator[Sql]:
    """Constraints that get the names of the parent's, or their own again."""
    old = next(one for one in pair.before.tables if one.name == table.name)
    for pair_ in (*_renamed_checks(pair, old, table), *_renamed_not_nulls(pair, old, table)):
        one, other = reversed(pair_) if back else pair_
        yield alter_table(table.name, Sql(f"RENAME CONSTRAINT {identifier(one)} TO {identifier(other)}"))


def _foreign_keys(parent: Table, old: Table, table: Table) -> Iterator[Step]:
    there = [_anonymous(key) for key in old.foreign_keys]
    for key in parent.foreign_keys:
        if _anonymous(key) not in there:
            yield from not_valid_then_validated(table.name, replace(key, comment=None), True, "backfill")


def _anonymous(key: ForeignKey) -> ForeignKey:
    return replace(key, name="", comment=None)


# --- identities ---


def without_identity(pair: Pair, table: Table) -> Iterator[Sql]:
    """Its own numbers end where the parent's begin."""
    for column in _numbered(pair, table):
        yield alter_table(table.name, alter_column(column.name, "DROP IDENTITY"))


def with_identity(pair: Pair, table: Table) -> Iterator[Sql]:
    """The reverse, after the largest number."""
    for column in _numbered(pair, table):
        name, relation = identifier(column.name), relation_literal(table.name)
        yield alter_table(table.name, alter_column(column.name, f"ADD {identity_clause(column)}"))
        sequence = f"pg_get_serial_sequence({relation}, {literal(column.name)})"
        yield Sql(
            f"SELECT setval({sequence}, max({name})) FROM {qualified_name(table.name)} "  # noqa: S608
            f"HAVING max({name}) IS NOT NULL"
        )


def _numbered(pair: Pair, table: Table) -> Iterator[Column]:
    for column in table.columns:
        if column.identity is not None and pair.version >= SHARED_IDENTITY_SINCE:
            yield column


# --- CHECKs for a while ---


def bound(parent: Table, table: Table) -> Sql | None:
    """What the partition's rows fulfil; None for DEFAULT, and for a foreign table, whose CHECKs prove nothing."""
    if parent.partition_by is None or table.partition_of is None or table.foreign is not None:
        return None
    return condition(parent.name, parent.partition_by, table.partition_of.bound)


def bound_name(table: Table) -> str:
    """The CHECK of a partition's own rows."""
    return beside(table.name.name, "bound")


def guard_name(table: Table) -> str:
    """The CHECK of the DEFAULT partition that it has none of them."""
    return beside(table.name.name, "elsewhere")


def check_added(table: Name, name: str, condition_: Sql) -> Sql:
    """A CHECK for rows to come."""
    return alter_table(table, Sql(f"ADD CONSTRAINT {identifier(name)} CHECK ({condition_}) NOT VALID"))


def check_dropped(table: Name, name: str) -> Sql:
    """The CHECK has served."""
    return alter_table(table, Sql(f"DROP CONSTRAINT IF EXISTS {identifier(name)}"))


def checking(table: Name, name: str, condition_: Sql) -> tuple[Sql, ...]:
    """A valid CHECK, each statement in its own transaction."""
    return (
        check_dropped(table, name),
        check_added(table, name, condition_),
        alter_table(table, Sql(f"VALIDATE CONSTRAINT {identifier(name)}")),
    )


def checked(table: Name, name: str, condition_: Sql, phase: Phase, reason: str) -> Iterator[Step]:
    """The same as a step."""
    yield Step(
        name=slug("check", table, name),
        phase=phase,
        reason=reason + " Rows are read under a lock that lets clients read and write.",
        up=checking(table, name, condition_),
        down=(check_dropped(table, name),),
        transaction=False,
        makes=(Reference("relation", table.schema, name),),
    )
