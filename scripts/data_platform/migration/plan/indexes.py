"""Indexes of tables and materialized views that both schemas have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from data_platform.ddl.clauses import index_needs, index_sql
from data_platform.migration.plan.columns import ready
from data_platform.migration.plan.naming import columns_of
from data_platform.migration.plan.pair import Changes, Pair, changes, tables_of_both
from data_platform.migration.plan.step import Phase, Step
from data_platform.migration.plan.text import bare, beside, in_schema, slug
from data_platform.model.database import Index, MaterializedView, Name, Table
from data_platform.sql.phrases import number
from data_platform.sql.references import Reference
from data_platform.sql.text import Sql, identifier, options


def concurrently(table: Name, index: Index, phase: Phase) -> Step:
    """CREATE INDEX CONCURRENTLY; an invalid index that a run before left is dropped first."""
    name = in_schema(table, index.name)
    return Step(
        name=slug("index", index.name),
        phase=phase,
        reason="Built while clients read and write. A build that was cut short leaves an invalid index, so one of this "
        "name goes first.",
        up=(
            Sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"),
            online(index_sql(table, index)),
            *_statistics(name, index),
        ),
        down=(Sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"),),
        transaction=False,
        makes=(Reference("relation", table.schema, index.name),),
        needs=index_needs(table, index),
    )


def _statistics(name: Sql, index: Index) -> Iterator[Sql]:
    for column, target in index.statistics:
        yield Sql(f"ALTER INDEX {name} ALTER COLUMN {number(column)} SET STATISTICS {number(target)}")


def online(create: Sql) -> Sql:
    """The same CREATE INDEX, CONCURRENTLY."""
    head, word, rest = bare(create).partition("INDEX ")
    return Sql(f"{head}{word}CONCURRENTLY {rest}")


def gone(table: Name, index: Index, phase: Phase = "contract") -> Step:
    """DROP INDEX CONCURRENTLY."""
    name = in_schema(table, index.name)
    return Step(
        name=slug("drop", index.name),
        phase=phase,
        reason="Waits for the queries that use it, and keeps nobody waiting.",
        up=(Sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"),),
        down=(online(index_sql(table, index)), *_statistics(name, index)),
        transaction=False,
        drops=(Reference("relation", table.schema, index.name),),
        frees=index_needs(table, index)[1:],
    )


def steps(pair: Pair, left_out: Callable[[Table, Index], bool]) -> Iterator[Step]:
    """All indexes but those that `left_out` names; a rename where only the name differs."""
    for old, new in tables_of_both(pair):
        found = changes(
            [index for index in old.indexes if not left_out(old, index)],
            [index for index in new.indexes if not left_out(new, index)],
        )
        if new.partition_by is not None:
            yield from _of_partitioned(pair, new, found)
        elif new.partition_of is None:
            yield from _of(pair, new.name, found)
    for before, after in _materialized(pair):
        yield from _of(pair, after.name, changes(before.indexes, after.indexes))


def _materialized(pair: Pair) -> list[tuple[MaterializedView, MaterializedView]]:
    old = {view.name: view for view in pair.before.materialized_views}
    return [
        (old[view.name], view)
        for view in pair.after.materialized_views
        if view.name in old and old[view.name].query == view.query
    ]


def _of(pair: Pair, table: Name, found: Changes[Index]) -> Iterator[Step]:
    renames = dict(_renames(found))
    for index in found.added:
        if index.name in renames.values():
            continue
        yield concurrently(table, index, ready(pair, table, columns_of(index)))
    for old in found.removed:
        yield renamed(table, old.name, renames[old.name]) if old.name in renames else gone(table, old)
    for before, after in found.changed:
        yield from changed(pair, table, before, after)


def _renames(found: Changes[Index]) -> Iterator[tuple[str, str]]:
    """Indexes that differ from a new one in their name alone."""
    free = list(found.added)
    for old in found.removed:
        same = next((new for new in free if _anonymous(new) == _anonymous(old)), None)
        if same is not None:
            free.remove(same)
            yield old.name, same.name


def _anonymous(index: Index) -> Index:
    return replace(index, name="", comment=None)


def renamed(table: Name, old: str, new: str) -> Step:
    """ALTER INDEX RENAME."""
    return Step(
        name=slug("rename", old),
        phase="expand",
        reason="Only the name of an index changes; a lock that lets clients read and write is enough.",
        up=(Sql(f"ALTER INDEX {in_schema(table, old)} RENAME TO {identifier(new)}"),),
        down=(Sql(f"ALTER INDEX {in_schema(table, new)} RENAME TO {identifier(old)}"),),
        again="there is no index of the old name any more (42P01); nothing is changed",
        makes=(Reference("relation", table.schema, new),),
        drops=(Reference("relation", table.schema, old),),
    )


def changed(pair: Pair, table: Name, before: Index, after: Index) -> Iterator[Step]:
    """Storage parameters in place; anything else by a new index that takes the old one's name."""
    same = replace(before, options=after.options, statistics=after.statistics, comment=after.comment)
    if same != after:
        yield from _exchanged(pair, table, before, after)
    elif (before.options, before.statistics) != (after.options, after.statistics):
        yield _settings(table, before, after)


def _exchanged(pair: Pair, table: Name, before: Index, after: Index) -> Iterator[Step]:
    stand_in = replace(after, name=beside(after.name, "new"), comment=None)
    old, new = in_schema(table, before.name), in_schema(table, stand_in.name)
    spare = beside(before.name, "old")
    yield concurrently(table, stand_in, ready(pair, table, columns_of(after)))
    yield Step(
        name=slug("exchange", after.name),
        phase="contract",
        reason="The new index is there: the two exchange their names, and no query is ever without one.",
        up=(
            Sql(f"ALTER INDEX {old} RENAME TO {identifier(spare)}"),
            Sql(f"ALTER INDEX {new} RENAME TO {identifier(after.name)}"),
        ),
        down=(
            Sql(f"ALTER INDEX {old} RENAME TO {identifier(stand_in.name)}"),
            Sql(f"ALTER INDEX {in_schema(table, spare)} RENAME TO {identifier(before.name)}"),
        ),
        again="the names are taken (42P07); nothing is changed",
        makes=(Reference("relation", table.schema, spare),),
    )
    yield replace(
        gone(table, replace(before, name=spare)), needs=(Reference("relation", table.schema, spare),)
    )


def _settings(table: Name, before: Index, after: Index) -> Step:
    name = in_schema(table, after.name)
    return Step(
        name=slug("settings", after.name),
        phase="expand",
        reason="It holds for pages that are written from now on; REINDEX CONCURRENTLY applies it to all.",
        up=tuple(_setting(name, before, after)),
        down=tuple(_setting(name, after, before)),
    )


def _setting(name: Sql, before: Index, after: Index) -> Iterator[Sql]:
    missing = [key for key, _ in before.options if key not in dict(after.options)]
    if missing:
        yield Sql(f"ALTER INDEX {name} RESET ({', '.join(map(identifier, missing))})")
    if after.options and after.options != before.options:
        yield Sql(f"ALTER INDEX {name} SET ({options(after.options)})")
    for column, _ in before.statistics:
        if column not in dict(after.statistics):
            yield Sql(f"ALTER INDEX {name} ALTER COLUMN {number(column)} SET STATISTICS -1")
    yield from _statistics(name, after)


def _of_partitioned(pair: Pair, table: Table, found: Changes[Index]) -> Iterator[Step]:
    from data_platform.migration.plan import partitioned  # noqa: PLC0415

    for index in found.added:
        yield from partitioned.index_steps(pair, table, index)
    for old in (*found.removed, *(before for before, _ in found.changed)):
        name = in_schema(table.name, old.name)
        yield Step(
            name=slug("drop", old.name),
            phase="contract",
            reason="An index of a partitioned table cannot be dropped CONCURRENTLY; the lock is short.",
            up=(Sql(f"DROP INDEX IF EXISTS {name}"),),
            down=(bare(index_sql(table.name, old)),),
            drops=(Reference("relation", table.name.schema, old.name),),
        )
    for _, after in found.changed:
        for step in partitioned.index_steps(pair, table, after):
            yield replace(step, phase="contract")
