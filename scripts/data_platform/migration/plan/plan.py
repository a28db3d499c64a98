"""All differences between two schemas as steps, in the order in which they can run while clients go on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Literal

from data_platform.migration.plan import (
    access,
    column_changes,
    columns,
    constraints,
    functions,
    hanging,
    indexes,
    moves,
    partitions,
    rebuild,
    sequences,
    swap,
    tables,
    types,
    views,
    whole,
)
from data_platform.migration.plan import replace as replacing
from data_platform.migration.plan.order import in_order
from data_platform.migration.plan.pair import Pair, tables_of_both
from data_platform.migration.plan.replace import Key, Replacement
from data_platform.migration.plan.step import Plan, Refusal, Step
from data_platform.model.database import Column, Constraint, ForeignKey, Index, Name, Table
from data_platform.sql.text import Sql


def plan(pair: Pair) -> Plan:
    """From `before` to `after`, both as a server spells them."""
    found = list(_differences(pair))
    return Plan(
        steps=in_order(_with_names_of_their_own(step for step in found if isinstance(step, Step))),
        refused=tuple(step for step in found if isinstance(step, Refusal)),
    )


def _differences(pair: Pair) -> Iterator[Step | Refusal]:
    """Kind by kind: what is made first of all comes first, what others need goes last."""
    rebuilt = rebuild.rebuilt(pair)
    for old, new in rebuilt:
        yield from rebuild.steps(pair, old, new)
    pair = rebuild.settled(pair, {new.name for _, new in rebuilt})
    replaced = replacing.replacements(pair)
    yield from whole.steps(pair)
    yield from types.steps(pair)
    yield from sequences.steps(column_changes.without_consumed(pair))
    yield from functions.steps(pair)
    yield from tables.new(_without_keys(pair, replacing.keys(pair, replaced)))
    yield from partitions.steps(pair)
    yield from _columns(pair, replaced)
    yield from _replaced(pair, replaced)
    yield from _over_columns(pair, replaced)
    yield from tables.settings(pair)
    yield from moves.steps(pair)
    yield from views.steps(pair)
    yield from hanging.steps(pair)
    yield from access.steps(pair)
    yield from _removed_columns(pair, replaced)
    yield from tables.gone(pair)
    yield from moves.last(pair)
    yield from whole.last(column_changes.without_consumed(pair))


def _without_keys(pair: Pair, keys: Iterable[Key]) -> Pair:
    """New tables get their foreign keys over replaced columns later, when these have an index."""
    later = {(key.table, key.after.name) for key in keys if key.after}
    made = (
        replace(table, foreign_keys=tuple(k for k in table.foreign_keys if (table.name, k.name) not in later))
        for table in pair.after.tables
    )
    return replace(pair, after=replace(pair.after, tables=tuple(made)))


# --- columns ---


def _columns(pair: Pair, replaced: tuple[Replacement, ...]) -> Iterator[Step | Refusal]:
    shadows = {(one.table, shadow.new.name) for one in replaced for shadow in one.shadows}
    for old, new in tables_of_both(pair):
        if new.partition_of is not None or old.partition_of is not None:
            yield from _of_partition(pair, old, new)
            continue
        there = {column.name: column for column in old.columns}
        for column in new.columns:
            if (new.name, column.name) in shadows or column.inherited:
                continue
            if column.name in there:
                yield from _changed(pair, old, there[column.name], column)
            else:
                yield from columns.added(pair, old, column)


def _of_partition(pair: Pair, old: Table, new: Table) -> Iterator[Step]:
    """A partition says its own defaults; the rest comes from its parent."""
    there = {column.name: column for column in old.columns}
    for column in new.columns:
        former = there.get(column.name)
        if former is not None and former.default != column.default:
            yield from column_changes.steps(pair, old, former, replace(former, default=column.default))


def _changed(pair: Pair, table: Table, old: Column, new: Column) -> Iterator[Step | Refusal]:
    if old == new:
        return
    differs = (old.type, old.collation) != (new.type, new.collation)
    if new.generated is not None and (differs or old.generated != new.generated):
        yield from columns.recomputed(pair, table, old, new)
        return
    if differs:
        yield _other_type(pair, table, old, new)
    yield from column_changes.steps(pair, table, old, new)


def _other_type(pair: Pair, table: Table, old: Column, new: Column) -> Step:
    step = column_changes.same_values(pair, table, old, new)
    if step is None:
        why = (
            "its table is partitioned, inherits or is foreign"
            if not replacing.shadow_is_possible(table)
            else "a generated column is computed from it"
        )
        step = column_changes.rewritten(pair, table, old, new, why)
    return set_aside(pair, step, table.name, {old.name, new.name})


def set_aside(pair: Pair, step: Step, table: Name, columns: Collection[str]) -> Step:
    """The step with what is made of these columns taken away before it and made again after it."""
    touched = {(table, column) for column in columns}
    reverse = replace(pair, before=pair.after, after=pair.before)
    form: Literal["after", "before"] = "before" if step.phase == "expand" else "after"
    drops, makes = _asides(pair, touched, form)
    if not drops:
        return step
    drops_back, makes_back = (
        _asides(pair, touched, form) if form == "before" else _asides(reverse, touched, form)
    )
    down = (*drops_back, *step.down, *makes_back) if step.down else ()
    return replace(step, up=(*drops, *step.up, *makes), down=down)


def _asides(
    pair: Pair, touched: Collection[tuple[Name, str]], form: Literal["after", "before"]
) -> tuple[tuple[Sql, ...], tuple[Sql, ...]]:
    drops, makes = views.aside(pair, touched, form=form)
    more, again = hanging.aside(pair if form == "after" else replace(pair, after=pair.before), touched)
    return (*drops, *more), (*again, *makes)


def _removed_columns(pair: Pair, replaced: tuple[Replacement, ...]) -> Iterator[Step | Refusal]:
    shadows = {(one.table, shadow.old.name) for one in replaced for shadow in one.shadows}
    for old, new in tables_of_both(pair):
        if new.partition_of is not None:
            continue
        kept = {column.name for column in new.columns}
        for column in old.columns:
            if column.name not in kept and (old.name, column.name) not in shadows and not column.inherited:
                yield from columns.removed(pair, old, column)


# --- what is over replaced columns, and what is over others ---


def _replaced(pair: Pair, replaced: tuple[Replacement, ...]) -> Iterator[Step]:
    keys = replacing.keys(pair, replaced)
    for one in replaced:
        yield from replacing.preparations(pair, one)
    for key in keys:
        if key.beside is not None and key.after is not None:
            found = replacing.not_valid_then_validated(key.table, key.beside, key.after.validated, "backfill")
            yield from found
    for one in replaced:
        yield from swap.steps(pair, one, keys)


def _over_columns(pair: Pair, replaced: tuple[Replacement, ...]) -> Iterator[Step]:
    by_table = {one.table: one for one in replaced}
    keys = {
        (key.table, part.name)
        for key in replacing.keys(pair, replaced)
        for part in (key.before, key.after)
        if part
    }

    def constraint_left_out(table: Table, part: Constraint) -> bool:
        if isinstance(part, ForeignKey):
            return (table.name, part.name) in keys
        return part_left_out(table, part)

    def part_left_out(table: Table, part: Constraint | Index) -> bool:
        one = by_table.get(table.name)
        if one is None:
            return False
        return one.concerns_old(part) if table is one.before else one.concerns_new(part)

    keys_made = {
        (table.name, index.name)
        for _, table in tables_of_both(pair)
        for key in (table.primary_key, *table.uniques)
        if key
        and not constraint_left_out(table, key)
        and (index := constraints.promoted(pair, table.name, key))
    }
    yield from constraints.steps(pair, constraint_left_out)
    yield from indexes.steps(
        pair, lambda table, index: (table.name, index.name) in keys_made or part_left_out(table, index)
    )


def _with_names_of_their_own(steps: Iterable[Step]) -> Iterator[Step]:
    taken: dict[str, int] = {}
    for step in steps:
        taken[step.name] = taken.get(step.name, 0) + 1
        yield step if taken[step.name] == 1 else replace(step, name=f"{step.name}_{taken[step.name]}")
