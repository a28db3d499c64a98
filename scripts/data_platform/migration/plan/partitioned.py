"""Indexes and constraints of a partitioned table, built partition by partition while clients go on.

PostgreSQL builds no index of a partitioned table CONCURRENTLY. So each partition gets its own, the partitioned table
one that is said of it ONLY and is not valid yet, and the partitions' are attached to that: with the last one it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from data_platform.ddl.clauses import constraint_clause, index_needs, index_sql
from data_platform.migration.plan.columns import ready
from data_platform.migration.plan.indexes import concurrently
from data_platform.migration.plan.naming import columns_of
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.replace import not_valid_then_validated
from data_platform.migration.plan.step import Phase, Step
from data_platform.migration.plan.text import alter_table, bare, in_schema, slug
from data_platform.model.database import (
    Check,
    Constraint,
    Database,
    ForeignKey,
    Index,
    IndexElement,
    Name,
    PrimaryKey,
    Table,
    Unique,
)
from data_platform.sql.naming import default_name
from data_platform.sql.references import Reference, References
from data_platform.sql.text import Sql, deferral, identifier, qualified_name

NOT_VALID_KEYS_SINCE = 18
"""From then on a partitioned table may have a foreign key that is NOT VALID."""


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A partition, what it calls its part of the parent's index or key, and whether it has that already."""

    table: Table
    parent: Table
    parent_part: str
    part: str
    there: bool


# --- indexes ---


def index_steps(pair: Pair, table: Table, index: Index, phase: Phase | None = None) -> Iterator[Step]:
    """A new index of a partitioned table, and of its partitions. One that follows a parent's comes with that."""
    if _follows(pair, table, index):
        return
    when = phase or ready(pair, table.name, columns_of(index))
    branches = () if index.only else tuple(_branches(pair, table, index))
    for branch in branches:
        if branch.table.partition_by is None and not branch.there:
            yield concurrently(branch.table.name, _own(branch, index), when)
    yield _joined(table, index, branches, when)


def _follows(pair: Pair, table: Table, part: Index | Constraint) -> bool:
    return table.partition_of is not None and part.name in followers(pair.after, table)


def _own(branch: Branch, index: Index) -> Index:
    comment = next((one.comment for one in branch.table.indexes if one.name == branch.part), None)
    return replace(index, name=branch.part, only=False, comment=comment)


def _joined(table: Table, index: Index, branches: tuple[Branch, ...], phase: Phase) -> Step:
    forks = [branch for branch in branches if branch.table.partition_by is not None and not branch.there]
    name = in_schema(table.name, index.name)
    return Step(
        name=slug("index", index.name),
        phase=phase,
        reason="Every partition has its index; the partitioned table's own is empty, and valid once they are attached."
        if not index.only
        else "Of the partitioned table only: partitions do not follow it.",
        up=(
            bare(index_sql(table.name, replace(index, only=True))),
            *(bare(index_sql(b.table.name, replace(_own(b, index), only=True))) for b in forks),
            *_attached(branches),
        ),
        down=(Sql(f"DROP INDEX IF EXISTS {name}"),),
        again="the index is there already (42P07); nothing is changed",
        makes=(_relation(table.name, index.name),),
        needs=(*index_needs(table.name, replace(index, only=False)), *_made(branches)),
    )


def _attached(branches: tuple[Branch, ...]) -> Iterator[Sql]:
    """From the bottom up, so that each index is valid when it is attached."""
    for branch in reversed(branches):
        parent = in_schema(branch.parent.name, branch.parent_part)
        yield Sql(f"ALTER INDEX {parent} ATTACH PARTITION {in_schema(branch.table.name, branch.part)}")


def _made(branches: tuple[Branch, ...]) -> References:
    return tuple(_relation(b.table.name, b.part) for b in branches if b.table.partition_by is None)


def _relation(table: Name, name: str) -> Reference:
    return Reference("relation", table.schema, name)


def _branches(pair: Pair, table: Table, part: Index | PrimaryKey | Unique) -> Iterator[Branch]:
    """Its partitions, each before those below it. A new partition brings its own when it is made."""
    before = {one.name: one for one in pair.before.tables}
    for partition in partitions_of(pair.after, table.name):
        name = follower(pair.after, table, part, partition)
        old = before.get(partition.name)
        there = old is None or name in _parts(old)
        yield Branch(table=partition, parent=table, parent_part=part.name, part=name, there=there)
        yield from _branches(pair, partition, replace(part, name=name))


def partitions_of(database: Database, table: Name) -> tuple[Table, ...]:
    """The partitions of a table, one level down."""
    return tuple(one for one in database.tables if one.partition_of and one.partition_of.table == table)


def _parts(table: Table) -> frozenset[str]:
    keys = (table.primary_key,) if table.primary_key else ()
    return frozenset(part.name for part in (*keys, *table.uniques, *table.indexes))


def follower(database: Database, table: Table, part: Index | PrimaryKey | Unique, partition: Table) -> str:
    """What a partition calls its part of an index or key of its parent; what PostgreSQL would, if it has none yet."""
    return _followers(table, partition).get(part.name) or _usual(partition, part)


def followers(database: Database, partition: Table) -> frozenset[str]:
    """The indexes and keys of a partition that are parts of its parent's."""
    assert partition.partition_of is not None
    parent = next((one for one in database.tables if one.name == partition.partition_of.table), None)
    return frozenset(_followers(parent, partition).values()) if parent else frozenset()


def _followers(table: Table, partition: Table) -> dict[str, str]:
    """By the name of the parent's, each claimed once."""
    free = list(_indexes_and_keys(partition))
    found: dict[str, str] = {}
    for part in _indexes_and_keys(table):
        same = next((one for one in free if _anonymous(one) == _anonymous(part)), None)
        if same is not None and not (isinstance(part, Index) and part.only):
            free.remove(same)
            found[part.name] = same.name
    return found


def _indexes_and_keys(table: Table) -> Iterator[Index | PrimaryKey | Unique]:
    if table.primary_key:
        yield table.primary_key
    yield from table.uniques
    yield from table.indexes


def _anonymous(part: Index | PrimaryKey | Unique) -> Index | PrimaryKey | Unique:
    bare_part = replace(part, name="", comment=None, options=())
    return replace(bare_part, statistics=(), only=False) if isinstance(bare_part, Index) else bare_part


def _usual(partition: Table, part: Index | PrimaryKey | Unique) -> str:
    if isinstance(part, PrimaryKey):
        return default_name(partition.name.name, "", "pkey")
    if isinstance(part, Unique):
        return default_name(partition.name.name, "_".join(part.columns), "key")
    columns = "_".join(element.column or "expr" for element in part.elements)
    return default_name(partition.name.name, columns, "idx")


# --- constraints ---


def constraint_steps(
    pair: Pair, table: Table, constraint: Constraint, phase: Phase | None = None
) -> Iterator[Step]:
    """A new constraint of a partitioned table. A key that follows a parent's comes with that."""
    if _follows(pair, table, constraint):
        return
    if isinstance(constraint, ForeignKey):
        yield from foreign_key_steps(pair, table, constraint, phase or "contract")
    elif isinstance(constraint, Check):
        yield from not_valid_then_validated(table.name, constraint, constraint.validated, phase or "contract")
    elif isinstance(constraint, PrimaryKey | Unique) and not constraint.without_overlaps:
        when = phase or ready(pair, table.name, columns_of(constraint))
        yield from _key_steps(pair, table, constraint, when)
    else:
        yield _blocking(table.name, constraint, phase or "contract")


def _blocking(table: Name, constraint: Constraint, phase: Phase) -> Step:
    return Step(
        name=slug("add", constraint.name),
        phase=phase,
        reason="Every partition's index is built while clients wait.",
        up=(alter_table(table, Sql(f"ADD {constraint_clause(constraint)}")),),
        down=(alter_table(table, Sql(f"DROP CONSTRAINT IF EXISTS {identifier(constraint.name)}")),),
        again="the constraint is there already (42P07); nothing is changed",
        blocks="PostgreSQL has no online form for it",
        makes=(_relation(table, constraint.name),),
        ends_old=True,
    )


def _key_steps(pair: Pair, table: Table, key: PrimaryKey | Unique, phase: Phase) -> Iterator[Step]:
    branches = tuple(_branches(pair, table, key))
    for branch in branches:
        if branch.table.partition_by is None and not branch.there:
            yield from key_on_index(branch.table.name, replace(key, name=branch.part), phase)
    forks = [branch for branch in branches if branch.table.partition_by is not None and not branch.there]
    yield Step(
        name=slug("add", key.name),
        phase=phase,
        reason="Every partition has the key. The partitioned table's own index is empty, valid once they are in it.",
        up=(
            _alone(table.name, key),
            *(_alone(branch.table.name, replace(key, name=branch.part)) for branch in forks),
            *_attached(branches),
        ),
        down=(alter_table(table.name, Sql(f"DROP CONSTRAINT IF EXISTS {identifier(key.name)}")),),
        again="the constraint is there already (42P07, or 42P16 for a primary key); nothing is changed",
        makes=(_relation(table.name, key.name),),
        needs=_made(branches),
    )


def _alone(table: Name, key: PrimaryKey | Unique) -> Sql:
    clause = constraint_clause(replace(key, comment=None))
    return Sql(f"ALTER TABLE ONLY {qualified_name(table)} ADD {clause}")


def key_on_index(table: Name, key: PrimaryKey | Unique, phase: Phase) -> Iterator[Step]:
    """A key of one partition: a unique index CONCURRENTLY, then the constraint on top of it."""
    name = identifier(key.name)
    bare_index = Reference("relation", table.schema, f"{key.name}.index")
    yield replace(concurrently(table, _index_of(key), phase), makes=(bare_index,))
    kind = "PRIMARY KEY" if isinstance(key, PrimaryKey) else "UNIQUE"
    using = f"ADD CONSTRAINT {name} {kind} USING INDEX {name}{deferral(key.deferral)}"
    yield Step(
        name=slug("add", key.name),
        phase=phase,
        reason="The index is there already, so that no row is looked at.",
        up=(alter_table(table, Sql(using)),),
        down=(alter_table(table, Sql(f"DROP CONSTRAINT IF EXISTS {name}")),),
        again="the constraint is there already (42P07, or 42P16 for a primary key); nothing is changed",
        makes=(_relation(table, key.name),),
        needs=(bare_index,),
    )


def _index_of(key: PrimaryKey | Unique) -> Index:
    return Index(
        name=key.name,
        elements=tuple(IndexElement(column=column) for column in key.columns),
        unique=True,
        nulls_not_distinct=isinstance(key, Unique) and key.nulls_not_distinct,
        include=key.include,
        options=key.options,
    )


def foreign_key_steps(pair: Pair, table: Table, key: ForeignKey, phase: Phase) -> Iterator[Step]:
    """NOT VALID, then VALIDATE; before 18 in each partition, for the partitioned table then finds it done."""
    target = Reference("relation", key.target.schema, key.target.name)
    if pair.version >= NOT_VALID_KEYS_SINCE or table.partition_by is None:
        for step in not_valid_then_validated(table.name, key, key.validated, phase):
            yield replace(step, needs=(*step.needs, target))
        return
    for leaf in leaves(pair.after, table):
        for step in not_valid_then_validated(leaf.name, replace(key, comment=None), True, phase):
            yield replace(step, name=slug(step.name, leaf.name), makes=(), needs=(target,))
    name = identifier(key.name)
    yield Step(
        name=slug("add", key.name),
        phase=phase,
        reason="Every partition has the key, validated, so no row is looked at; the locks on both tables are short.",
        up=(alter_table(table.name, Sql(f"ADD {constraint_clause(key)}")),),
        down=(alter_table(table.name, Sql(f"DROP CONSTRAINT IF EXISTS {name}")),),
        again="the constraint is there already (42710); nothing is changed",
        makes=(_relation(table.name, key.name),),
        needs=(target,),
        ends_old=phase == "contract",
    )


def leaves(database: Database, table: Table) -> Iterator[Table]:
    """The partitions at the ends, which hold the rows."""
    for partition in partitions_of(database, table.name):
        if partition.partition_by is None:
            yield partition
        else:
            yield from leaves(database, partition)
