"""Foreign keys of a table that is built again, and of others to it.

While both tables are there, another table's key to the new one stands beside that to the old one. It is checked at
commit, as the new row is there a moment after the old one. Once it is valid it takes the old one's place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.ddl.clauses import constraint_clause
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.partitioned import foreign_key_steps
from data_platform.migration.plan.rebuilding.partition import keys_above
from data_platform.migration.plan.rebuilding.trees import Tree, Trees
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import alter_table, beside, slug, spoken
from data_platform.model.database import Database, ForeignKey, Name, Table
from data_platform.sql.text import Sql, deferral, identifier


def own(trees: Trees) -> Iterator[Step]:
    """Those of the new table and its partitions, once the rows are there."""
    stand_ins = Database(tables=trees.new.standing_in)
    pair = replace(trees.pair, before=stand_ins, after=stand_ins)
    for table, stand_in in zip(trees.new.tables, trees.new.standing_in, strict=True):
        for key in _keys(trees.new, table):
            yield from foreign_key_steps(pair, stand_in, _beside(trees, table, key), "backfill")


def _keys(tree: Tree, table: Table) -> tuple[ForeignKey, ...]:
    """A partition that stands alone for a while needs those of its parents."""
    above = keys_above(tree.database, table) if table is tree.table else ()
    return (*table.foreign_keys, *(replace(key, comment=None) for key in above))


def _beside(trees: Trees, table: Table, key: ForeignKey) -> ForeignKey:
    """To itself: checked at commit until the swap, as rows come one by one."""
    if key.target != trees.name:
        return key
    return replace(key, target=trees.new.name, deferral="initially deferred")


def own_again(trees: Trees) -> Iterator[Sql]:
    """Those of the old table, when it is made again."""
    for table, stand_in in zip(trees.old.tables, trees.old.standing_in, strict=True):
        for key in _keys(trees.old, table):
            target = trees.old.name if key.target == trees.name else key.target
            when = "initially deferred" if key.target == trees.name else key.deferral
            partitioned = table.partition_by is not None and trees.pair.version < 18
            made = replace(key, target=target, deferral=when, validated=partitioned, comment=None)
            yield alter_table(stand_in.name, Sql(f"ADD {constraint_clause(made)}"))
            if key.validated and not partitioned:
                yield alter_table(stand_in.name, Sql(f"VALIDATE CONSTRAINT {identifier(key.name)}"))


def at_commit(name: Name, table: Table, *, until_commit: bool) -> Iterator[Sql]:
    """Keys of a table to itself, checked at commit while its rows come one by one, or as they should be."""
    for key in table.foreign_keys:
        if key.target == table.name:
            yield alter_table(
                name, _deferral(key.name, "initially deferred" if until_commit else key.deferral)
            )


def _deferral(name: str, when: str) -> Sql:
    said = deferral(when) or Sql(" NOT DEFERRABLE")
    return Sql(
        f"ALTER CONSTRAINT {identifier(name)}{said}{' INITIALLY IMMEDIATE' if when == 'initially immediate' else ''}"
    )


# --- of other tables ---


def of_others(trees: Trees) -> Iterator[Step]:
    """Each added for the new table, validated, and put in the place of the one for the old table."""
    for table, key in _to(trees):
        stand_in = replace(
            key,
            name=beside(key.name, "new"),
            target=trees.new.name,
            deferral="initially deferred",
            comment=None,
        )
        for step in foreign_key_steps(trees.pair, table, stand_in, "backfill"):
            yield _validated_back(step, table, key) if step.down == () else step
        yield _exchanged(trees.pair, table, key, stand_in)


def _to(trees: Trees) -> Iterator[tuple[Table, ForeignKey]]:
    """The keys that are there while the new table is built: the old ones, and those of tables that are new."""
    mine = {table.name for table in (*trees.old.tables, *trees.new.tables)}
    old = {table.name for table in trees.pair.before.tables}
    kept = {table.name: {key.name for key in table.foreign_keys} for table in trees.pair.after.tables}
    for table in trees.pair.before.tables:
        for key in table.foreign_keys:
            if key.target == trees.name and table.name not in mine and key.name in kept.get(table.name, ()):
                yield table, key
    for table in trees.pair.after.tables:
        for key in table.foreign_keys:
            if key.target == trees.name and table.name not in mine and table.name not in old:
                yield table, key


def _validated_back(step: Step, table: Table, key: ForeignKey) -> Step:
    """Taken back, the key to the old table is there again, and to be validated."""
    again = alter_table(table.name, Sql(f"VALIDATE CONSTRAINT {identifier(key.name)}"))
    return replace(step, down=(again,))


def _exchanged(pair: Pair, table: Table, key: ForeignKey, stand_in: ForeignKey) -> Step:
    old, new = identifier(key.name), identifier(stand_in.name)
    at_once = table.partition_by is not None and pair.version < 18
    return Step(
        name=slug("exchange", key.name),
        phase="backfill",
        reason=f"The key to the new table is valid and takes the old one's place. The lock on {spoken(table.name)} and "
        "both tables is short.",
        up=(
            alter_table(table.name, Sql(f"DROP CONSTRAINT {old}")),
            alter_table(table.name, Sql(f"RENAME CONSTRAINT {new} TO {old}")),
            alter_table(table.name, _deferral(key.name, key.deferral)),
            *_comment(table, key),
        ),
        down=(
            alter_table(table.name, Sql(f"RENAME CONSTRAINT {old} TO {new}")),
            alter_table(table.name, _deferral(stand_in.name, "initially deferred")),
            alter_table(
                table.name, Sql(f"ADD {constraint_clause(replace(key, validated=at_once and key.validated))}")
            ),
            *_comment(table, key),
        ),
        again="there is no constraint of the other name any more (42704); nothing is changed",
    )


def _comment(table: Table, key: ForeignKey) -> Iterator[Sql]:
    from data_platform.ddl.constraints import constraint_comment  # noqa: PLC0415
    from data_platform.migration.plan.text import bare  # noqa: PLC0415

    for piece in constraint_comment(table, key, "tables"):
        yield bare(piece.statement.sql)
