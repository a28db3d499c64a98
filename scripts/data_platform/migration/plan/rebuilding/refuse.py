"""What cannot be built again beside itself, and why."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.plan.bounds import is_default
from data_platform.migration.plan.rebuilding.beside import not_implied
from data_platform.migration.plan.rebuilding.materialized import bound_for_good
from data_platform.migration.plan.rebuilding.names import is_type
from data_platform.migration.plan.rebuilding.partition import names_above
from data_platform.migration.plan.rebuilding.trees import Trees
from data_platform.migration.plan.rebuilding.values import gone, left_out, shared_key
from data_platform.migration.plan.step import Refusal
from data_platform.migration.plan.text import spoken
from data_platform.model.database import Composite, Database, Domain, Name
from data_platform.sql.references import of_signature, of_type


def refusals(trees: Trees, reason: str) -> Iterator[Refusal]:
    """Everything that stands against it."""
    yield from _kind(trees, reason)
    yield from _columns(trees, reason)
    views = (f"materialized view {spoken(view.name)}" for view in bound_for_good(trees))
    for object_ in (*views, *_bound(trees.pair.before, trees.name)):
        yield Refusal(
            what=f"{reason} of {spoken(trees.name)}",
            why=f"{object_} is bound to the table itself, not to its name, and would stay with the old one",
            fix="drop it first, and make it again afterwards",
        )


def _kind(trees: Trees, reason: str) -> Iterator[Refusal]:
    old, new, what = trees.old.table, trees.new.table, f"{reason} of {spoken(trees.name)}"
    heirs = [str(one.name) for one in trees.pair.before.tables if trees.name in one.inherits]
    if any(table.foreign is not None for table in (*trees.old.tables, *trees.new.tables)):
        yield Refusal(
            what=what, why="a foreign table's rows are not ours", fix="make a new table and copy the rows"
        )
    elif (old.partition_of or new.partition_of) and (why := _within_its_parent(trees)):
        yield Refusal(
            what=what,
            why=why,
            fix="make a new partition for the same rows, detach the old one and attach the new one in one transaction",
        )
    elif heirs or old.inherits or new.inherits:
        yield Refusal(
            what=what, why="tables inherit from each other here", fix="take the inheritance away first"
        )
    elif new_keys := list(not_implied(trees)):
        yield Refusal(
            what=what,
            why=f"{' and '.join(new_keys)} may not hold for rows that are there",
            fix="make the key first, on the table as it is; then build it again",
        )
    elif shared_key(trees) is None:
        yield Refusal(
            what=what,
            why="no unique key without NULLs tells an old row and its copy together: changes made while rows are "
            "copied could not be carried over",
            fix="add a primary key first; the columns that the table is partitioned by must be NOT NULL",
        )


def _within_its_parent(trees: Trees) -> str | None:
    """Why a partition cannot be exchanged for another one."""
    old, new, before = trees.old.table, trees.new.table, trees.pair.before
    if old.partition_of is None or old.partition_of != new.partition_of:
        return "it becomes a partition, or is none any more, at the same time"
    if is_default(old.partition_of.bound):
        return "it is the DEFAULT partition, whose bound is what the others leave"
    numbered = any(
        column.identity
        for table in (*trees.old.tables[1:], *trees.new.tables[1:])
        for column in table.columns
    )
    if numbered:
        return "partitions below it would not get the identity of its parent: ATTACH gives it to the partition alone"
    above = set(names_above(before, old))
    if any(key.target in above for table in before.tables for key in table.foreign_keys):
        return "rows of other tables refer to its parent, so that it cannot be detached"
    return None


def _columns(trees: Trees, reason: str) -> Iterator[Refusal]:
    for column in left_out(trees):
        yield Refusal(
            what=f"{reason} of {spoken(trees.name)}",
            why=f"rows that are there have no value for {spoken(trees.name, column.name)}, which is NOT NULL",
            fix=f"say it: --value {spoken(trees.name, column.name)}=EXPRESSION, or give the column a default",
        )
    for column in gone(trees):
        if not trees.pair.hints.may_lose(trees.name, column.name):
            name = spoken(trees.name, column.name)
            yield Refusal(
                what=f"column {name}",
                why="its values would be lost",
                fix=f"--allow-data-loss {name}, or say what it became: --rename {name}=NEW_NAME "
                "(renamed_from: in a model)",
            )


def _bound(database: Database, table: Name) -> Iterator[str]:
    """Objects that would stay with the old table, and have no form that takes the new one in their place."""
    for other in database.tables:
        for column in other.columns:
            if is_type(table, of_type(column.type)):
                yield f"column {spoken(other.name, column.name)}"
    for type_ in database.types:
        texts = (
            [type_.base]
            if isinstance(type_, Domain)
            else [a.type for a in type_.attributes]
            if isinstance(type_, Composite)
            else []
        )
        if any(is_type(table, of_type(text)) for text in texts):
            yield f"type {spoken(type_.name)}"
    for function in database.functions:
        if is_type(table, of_signature(function.arguments, function.returns, None)):
            yield f"function {spoken(function.name)}"
