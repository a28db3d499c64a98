"""A table that cannot be changed in place is built again beside itself, while clients read and write the old one.

    expand    the new table with its partitions and keys; a trigger that carries every change over to it
    backfill  the rows, in batches; then what is over them: indexes, foreign keys, those of other tables to it
    contract  the names are swapped in one short transaction; the old table, kept in step until then, is dropped

The rooms of it are in `rebuilding`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from data_platform.ddl.clauses import index_sql
from data_platform.ddl.constraints import constraint_comment
from data_platform.migration.plan.fill import batches
from data_platform.migration.plan.indexes import concurrently
from data_platform.migration.plan.keys import batch_key
from data_platform.migration.plan.not_null import required
from data_platform.migration.plan.pair import Pair, tables_of_both
from data_platform.migration.plan.partitioned import constraint_steps, index_steps, key_on_index
from data_platform.migration.plan.rebuilding import beside, materialized, partition, references
from data_platform.migration.plan.rebuilding.carry import carried, let_go
from data_platform.migration.plan.rebuilding.refuse import refusals
from data_platform.migration.plan.rebuilding.settled import settled, topmost
from data_platform.migration.plan.rebuilding.swap import BACK, FORTH, swapped
from data_platform.migration.plan.rebuilding.trees import Trees, trees
from data_platform.migration.plan.rebuilding.values import Key, given, gone, shared_key, way_back
from data_platform.migration.plan.replace import not_valid_then_validated
from data_platform.migration.plan.step import Fill, Phase, Refusal, Step
from data_platform.migration.plan.text import alter_table, bare, in_schema, slug, spoken
from data_platform.model.database import Database, Name, Table
from data_platform.sql.references import Reference
from data_platform.sql.text import Sql, body, identifier, joined, qualified_name

__all__ = ["needs_rebuild", "rebuilt", "settled", "steps"]


def needs_rebuild(old: Table, new: Table) -> str | None:
    """What no ALTER TABLE changes, or only by writing the whole table under a lock; None if there is nothing."""
    if old.partition_by != new.partition_by:
        return "the partitioning"
    if old.unlogged != new.unlogged and new.partition_by is None:
        return "what is written to the WAL"
    if old.access_method != new.access_method and new.partition_by is None:
        return "the access method"
    if (old.foreign is None and new.foreign is not None) or (old.foreign is not None and new.foreign is None):
        return "the place of the rows"
    return "the type" if old.of_type != new.of_type else None


def rebuilt(pair: Pair) -> tuple[tuple[Table, Table], ...]:
    """The tables that are built again, before and after; partitions go with theirs."""
    again = {new.name: (old, new) for old, new in tables_of_both(pair) if needs_rebuild(old, new)}
    return tuple(again[name] for name in sorted(topmost(pair, again.keys())))


def steps(pair: Pair, old: Table, new: Table) -> Iterator[Step | Refusal]:
    """From the old table to the new one. `pair` is the whole one: both sides as they are."""
    reason = needs_rebuild(old, new)
    if reason == "the type":
        yield _typed(old, new)
        return
    both = trees(pair, old, new)
    refused = tuple(refusals(both, f"a change of {reason}"))
    yield from refused
    key = None if refused else shared_key(both)
    if key is not None:
        yield from _steps(both, key)


def _typed(old: Table, new: Table) -> Step:
    """A table of a composite type, or no longer one: PostgreSQL only compares the columns."""
    forth, back = (
        Sql(f"OF {qualified_name(table.of_type)}") if table.of_type else Sql("NOT OF") for table in (new, old)
    )
    return Step(
        name=slug("type", new.name),
        phase="contract",
        reason="Only the catalog changes; the columns are those of the type already.",
        up=(alter_table(new.name, forth),),
        down=(alter_table(new.name, back),),
        needs=(Reference("type", new.of_type.schema, new.of_type.name),) if new.of_type else (),
    )


def _steps(both: Trees, key: Key) -> Iterator[Step]:
    yield _made(both, key)
    yield _carried(both, key)
    yield _filled(both, key)
    yield from _late(both)
    yield from references.own(both)
    yield _analyzed(both)
    yield from references.of_others(both)
    yield from partition.within(both)
    back = way_back(both)
    yield _swapped(both, key, back)
    yield from materialized.steps(both)
    yield _dropped(both, key, back)
    yield from _tightened(both)


def _there(both: Trees) -> tuple[Reference, ...]:
    return (Reference("relation", both.new.name.schema, both.new.name.name),)


# --- expand ---


def _made(both: Trees, key: Key) -> Step:
    sql, needs = beside.made(both, key)
    return Step(
        name=slug("create", both.new.name),
        phase="expand",
        reason=f"No client knows it. It becomes {spoken(both.name)} when it has all rows.",
        up=sql,
        down=(Sql(f"DROP TABLE IF EXISTS {qualified_name(both.new.name)}"),),
        again="the table is there already (42P07); nothing is changed",
        makes=_there(both),
        needs=needs,
    )


def _carried(both: Trees, key: Key) -> Step:
    return Step(
        name=slug("carry", both.name),
        phase="expand",
        reason="From here on every INSERT, UPDATE, DELETE and TRUNCATE is done to the new table as well, in the "
        "client's own transaction. The lock waits for writers, and is short.",
        up=tuple(carried(both, key, both.name, both.new.name, FORTH)),
        down=tuple(let_go(both, both.name, FORTH)),
        again="the triggers are there already (42710); nothing is changed",
        needs=_there(both),
    )


# --- backfill ---


def _filled(both: Trees, key: Key) -> Step:
    fill = _fill(both, key, both.name, both.new.name)
    return Step(
        name=slug("fill", both.new.name),
        phase="backfill",
        reason="Rows are copied in batches that commit one by one, each row locked until its batch is done, so that no "
        "change is lost. It can be stopped and run again.",
        up=batches(fill),
        transaction=False,
        fill=fill,
        one_way="the copies stay until their table is dropped; that harms nobody",
        needs=_there(both),
    )


def _fill(both: Trees, key: Key, source: Name, into: Name) -> Fill:
    table, pairs = identifier(source.name), zip(key.columns, key.sources, strict=True)
    same = joined(" AND ", (Sql(f"dpe_copy.{identifier(c)} = {table}.{identifier(s)}") for c, s in pairs))
    return Fill(
        table=source,
        values=tuple((one.column.name, one.value) for one in given(both)),
        needed=Sql(f"NOT EXISTS (SELECT FROM {qualified_name(into)} AS dpe_copy WHERE {same})"),
        key=batch_key(both.old.table),
        into=into,
    )


def _late(both: Trees) -> Iterator[Step]:
    """Indexes and keys over all rows, of partitions that have their own and of the table."""
    stand_ins = both.new.standing_in
    bare_ones = tuple(replace(t, indexes=(), uniques=()) for t in stand_ins)
    pair = replace(both.pair, before=Database(tables=bare_ones), after=Database(tables=stand_ins))
    for step in _built(both, pair, stand_ins[0]):
        yield replace(step, needs=(*step.needs, *_there(both)))


def _built(both: Trees, pair: Pair, table: Table) -> Iterator[Step]:
    for index in beside.late_indexes(both):
        if table.partition_by is None:
            yield concurrently(table.name, index, "backfill")
        else:
            yield from index_steps(pair, table, index, "backfill")
    for key in beside.late_uniques(both):
        if table.partition_by is None:
            yield from key_on_index(table.name, key, "backfill")
        else:
            yield from constraint_steps(pair, table, key, "backfill")
    for place, one in enumerate(both.new.standing_in):
        if place:
            yield from _of_partition(both, pair, one, place)


def _of_partition(both: Trees, pair: Pair, table: Table, place: int) -> Iterator[Step]:
    """What follows no index of its parent's."""
    from data_platform.migration.plan.partitioned import followers  # noqa: PLC0415

    followed = followers(pair.after, table)
    for index in beside.late_indexes(both, place):
        if index.name not in followed and table.partition_by is None:
            yield concurrently(table.name, index, "backfill")
    for key in beside.late_uniques(both, place):
        if key.name not in followed and table.partition_by is None:
            yield from key_on_index(table.name, key, "backfill")


def _analyzed(both: Trees) -> Step:
    return Step(
        name=slug("analyze", both.new.name),
        phase="backfill",
        reason="The planner knows the new table before a client asks it. Reads a sample and keeps nobody waiting.",
        up=(Sql(f"ANALYZE {qualified_name(both.new.name)}"),),
        down=tuple(materialized.again(both)),
        transaction=False,
        needs=_there(both),
    )


# --- contract ---


def _swapped(both: Trees, key: Key, back: Key | None) -> Step:
    return Step(
        name=slug("swap", both.name),
        phase=_phase(both),
        reason="The new table takes the name, and with it triggers, policies, publications and views: only the catalog "
        "changes, so the lock is short."
        + (
            " What is written from now on is carried back to the old table, so that it can be taken back."
            if back
            else ""
        ),
        up=swapped(both, back),
        down=swapped(both.reversed, key, label=BACK, other=FORTH) if back else (),
        one_way=None if back else "rows of the new table cannot be made rows of the old one",
        again="the names have been swapped; there is no table of the new one's (42P01), and nothing is changed",
        ends_old=_phase(both) == "contract" and _shows(both),
        makes=(Reference("relation", both.name.schema, both.name.name),),
        needs=_there(both) if _phase(both) != "contract" else (),
    )


def _phase(both: Trees) -> Phase:
    """Where the new application needs a new column and the old one misses nothing, before both must work."""
    old = {(column.name, column.type) for column in both.old.table.columns}
    new = {(column.name, column.type) for column in both.new.table.columns}
    return "backfill" if old < new else "contract"


def _shows(both: Trees) -> bool:
    """Whether the old application sees that it is another table."""
    old = [(column.name, column.type) for column in both.old.table.columns]
    return old != [(column.name, column.type) for column in both.new.table.columns]


def _dropped(both: Trees, key: Key, back: Key | None) -> Step:
    lost = tuple(f"{both.name}.{column.name}" for column in gone(both))
    aside = qualified_name(both.old.name)
    helper = (Sql(f"DROP INDEX IF EXISTS {in_schema(both.name, key.helper.name)}"),) if key.helper else ()
    return Step(
        name=slug("drop", both.old.name),
        phase="contract",
        reason="The old table is needed no more. Before this step the swap can be taken back at once.",
        up=(
            _at_once(let_go(both, both.name, BACK)),
            Sql(f"DROP TABLE {aside}"),
            *helper,
            *partition.released(both),
        ),
        down=tuple(_again(both, key, back)) if back else (),
        transaction=back is None,
        one_way=None if back else "the swap is not taken back",
        lost=lost,
        keep=f"leave this step out: {aside} keeps its rows as they were" if lost else None,
        again="the old table is gone (42P01); nothing is changed",
        ends_old=False,
        drops=(Reference("relation", both.old.name.schema, both.old.name.name),),
    )


def _at_once(statements: Iterable[Sql]) -> Sql:
    """One transaction in a step that is none."""
    lines = "".join(f"    {statement};\n" for statement in statements)
    return Sql(f"DO {body(f'{chr(10)}BEGIN{chr(10)}{lines}END{chr(10)}')}")


def _again(both: Trees, key: Key, back: Key) -> Iterator[Sql]:
    """The old table beside the new one: made, kept in step, filled."""
    reverse = both.reversed
    yield from partition.held(both)
    if key.helper is not None:
        yield bare(index_sql(both.name, key.helper))
    yield from beside.as_it_is(both.old)
    yield from carried(reverse, back, both.name, both.old.name, BACK)
    yield from batches(_fill(reverse, back, both.name, both.old.name))
    yield from references.own_again(both)
    yield Sql(f"ANALYZE {qualified_name(both.old.name)}")


def _tightened(both: Trees) -> Iterator[Step]:
    """What the old application's rows may break, on the table that has the name by then."""
    there = (Reference("relation", both.name.schema, both.name.name),)
    for column in beside.late_not_nulls(both):
        for step in required(both.name, column, both.pair.version):
            yield replace(step, needs=(*step.needs, *there))
    for check in beside.late_checks(both):
        said = tuple(
            bare(piece.statement.sql) for piece in constraint_comment(both.new.table, check, "tables")
        )
        for step in not_valid_then_validated(both.name, check, check.validated, "contract"):
            up = (*step.up, *said) if step.down else step.up
            yield replace(step, up=up, needs=(*step.needs, *there))
