"""Partitions that come to a partitioned table, leave it, or get another bound, while clients go on.

A table with rows is attached once a valid CHECK says that they are within the bound: then nobody waits for a look at
them. The same CHECK, reversed, keeps ATTACH from reading the DEFAULT partition. A partition leaves CONCURRENTLY where
PostgreSQL can. Where partitions change places, all of them do in one short transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from data_platform.ddl.around import around
from data_platform.ddl.piece import Piece
from data_platform.ddl.tables import hanging_pieces, table_pieces
from data_platform.migration.plan import indexes, joining
from data_platform.migration.plan.bounds import is_default
from data_platform.migration.plan.pair import Pair, changes
from data_platform.migration.plan.partitioned import followers, partitions_of
from data_platform.migration.plan.step import Phase, Refusal, Step
from data_platform.migration.plan.text import alter_table, bare, slug, spoken
from data_platform.model.database import Database, Name, Table
from data_platform.sql.references import Reference, References
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, qualified_name

DETACHES_CONCURRENTLY_SINCE = 14


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What comes to a partitioned table and what leaves it; `moved` are those whose bound is another now."""

    parent: Table
    new: tuple[Table, ...]
    joined: tuple[Table, ...]
    moved: tuple[tuple[Table, Table], ...]
    left: tuple[Table, ...]
    gone: tuple[Table, ...]

    @property
    def trade_places(self) -> bool:
        """Whether what comes may need the place of what leaves."""
        comes, leaves = self.new or self.joined, self.left or self.gone
        return bool(self.moved or (comes and leaves))


def steps(pair: Pair) -> Iterator[Step | Refusal]:
    """For every partitioned table of both schemas, and tables that become partitions of a new one."""
    before = {table.name: table for table in pair.before.tables}
    for parent in pair.after.tables:
        if parent.partition_by is None:
            continue
        old = before.get(parent.name)
        if old is not None and (old.partition_by is None or _shape(old) != _shape(parent)):
            continue  # built again as a whole, or its columns come first: then the next plan has the rest
        yield from _of(pair, _traffic(pair, parent, before, is_new=old is None))
    yield from _own_indexes(pair, before)


def _shape(table: Table) -> frozenset[tuple[str, str, bool]]:
    return frozenset((column.name, column.type, column.nullable) for column in table.columns)


def _traffic(pair: Pair, parent: Table, before: dict[Name, Table], *, is_new: bool) -> Traffic:
    after = {table.name: table for table in pair.after.tables}
    now, then = partitions_of(pair.after, parent.name), partitions_of(pair.before, parent.name)
    there = [(before[one.name], one) for one in now if one.name in before]
    return Traffic(
        parent=parent,
        new=() if is_new else tuple(one for one in now if one.name not in before),
        joined=tuple(one for old, one in there if old.partition_of is None),
        moved=tuple((old, one) for old, one in there if old.partition_of not in (None, one.partition_of)),
        left=tuple(one for one in then if one.name in after and after[one.name].partition_of is None),
        gone=tuple(one for one in then if one.name not in after),
    )


def _of(pair: Pair, traffic: Traffic) -> Iterator[Step | Refusal]:
    refused = tuple(_refused(pair, traffic))
    yield from refused
    if refused:
        traffic = replace(traffic, gone=())
    for table in traffic.joined:
        yield from joining.prepared(pair, traffic.parent, table)
    if traffic.trade_places:
        yield from _traded(pair, traffic)
        return
    for table in traffic.new:
        yield from _came(pair, traffic.parent, table)
    for table in traffic.joined:
        yield from _attached(pair, traffic.parent, table)
    for table in (*traffic.left, *traffic.gone):
        yield _left(pair, traffic.parent, table, kept=table in traffic.left)
    for table in traffic.gone:
        yield _dropped(pair, table)


def _refused(pair: Pair, traffic: Traffic) -> Iterator[Refusal]:
    for table in traffic.gone:
        if not pair.hints.may_lose(table.name):
            name = spoken(table.name)
            yield Refusal(
                what=f"partition {name}",
                why="its rows would be lost",
                fix=f"--allow-data-loss {name}, or keep it as a table of its own",
            )


# --- new ones ---


def _came(pair: Pair, parent: Table, table: Table) -> Iterator[Step]:
    """A new partition, with what there is to do about the DEFAULT one."""
    guarded = tuple(guards(pair, parent, table, "expand"))
    yield from guarded
    yield _created(pair, table, after=unguarded(pair, parent, table), needs=_of_guards(guarded))


def _created(
    pair: Pair, table: Table, *, attach: bool = True, after: tuple[Sql, ...] = (), needs: References = ()
) -> Step:
    pieces = [piece for piece in _pieces(pair.after, table, pair.version) if attach or not _attaches(piece)]
    made = tuple(dict.fromkeys(reference for piece in pieces for reference in piece.makes))
    wanted = (
        n for piece in pieces for n in (*piece.needs, *(need for part in piece.parts for need in part.needs))
    )
    return Step(
        name=slug("create", table.name),
        phase="expand",
        reason="It has no rows, so there is nothing to look at; the partitioned table goes on being read and written."
        if attach
        else "No client knows the table yet.",
        up=(*(bare(piece.statement.sql) for piece in pieces), *after),
        down=(
            Sql(f"DROP {'FOREIGN ' if table.foreign else ''}TABLE IF EXISTS {qualified_name(table.name)}"),
        ),
        again="the table is there already (42P07); nothing is changed",
        makes=made,
        needs=(*(n for n in dict.fromkeys(wanted) if n not in made and n.kind != "partitions"), *needs),
    )


def _pieces(database: Database, table: Table, version: int) -> Iterator[Piece]:
    surroundings = around(database, frozenset(), version)
    given = list(table_pieces(table, surroundings))
    yield from (piece for piece in given if not _attaches(piece))
    yield from hanging_pieces(table, surroundings)
    yield from (piece for piece in given if _attaches(piece))


def _attaches(piece: Piece) -> bool:
    return piece.statement.object.startswith("partition ")


# --- tables with rows ---


def _attached(pair: Pair, parent: Table, table: Table) -> Iterator[Step]:
    guarded = tuple(guards(pair, parent, table, "backfill"))
    yield from guarded
    yield Step(
        name=slug("attach", table.name),
        phase="backfill",
        reason="A valid CHECK says that all rows are within the bound, so none is looked at; the lock on the table is "
        "short, and the partitioned table goes on being read and written.",
        up=(
            *_readied(pair, table),
            attach(table),
            *_unbound(pair, parent, table),
            *unguarded(pair, parent, table),
        ),
        down=(
            detach(parent.name, table.name),
            *_own_again(pair, table),
            *_bound_again(parent, table),
        ),
        again="it is a partition already (42809); nothing is changed",
        needs=(_relation(parent.name), _bound_checked(table), *_of_guards(guarded)),
    )


def attach(table: Table) -> Sql:
    """ATTACH PARTITION."""
    return bare(render("ddl/attach.sql.j2", partition=table.partition_of, table=table.name))


def detach(parent: Name, table: Name, how: str = "") -> Sql:
    """DETACH PARTITION."""
    return alter_table(parent, Sql(f"DETACH PARTITION {qualified_name(table)}{how}"))


def _unbound(pair: Pair, parent: Table, table: Table) -> tuple[Sql, ...]:
    return (
        (joining.check_dropped(table.name, joining.bound_name(table)),)
        if joining.bound(parent, table)
        else ()
    )


def _bound_again(parent: Table, table: Table) -> tuple[Sql, ...]:
    found = joining.bound(parent, table)
    return (joining.check_added(table.name, joining.bound_name(table), found),) if found else ()


def _bound_checked(table: Table) -> Reference:
    return _relation(Name(table.name.schema, joining.bound_name(table)))


def _relation(name: Name) -> Reference:
    return Reference("relation", name.schema, name.name)


# --- the DEFAULT partition ---


def _default(pair: Pair, parent: Table) -> Table | None:
    """The DEFAULT partition that is there before and after; one that is new has no rows yet."""
    kept = {
        one.name for one in pair.after.tables if one.partition_of and one.partition_of.table == parent.name
    }
    for one in partitions_of(pair.before, parent.name):
        if one.partition_of and is_default(one.partition_of.bound) and one.name in kept:
            return one
    return None


def guards(pair: Pair, parent: Table, table: Table, phase: Phase) -> Iterator[Step]:
    """A CHECK of the DEFAULT partition that it has no rows of the new one's bound."""
    default, found = _default(pair, parent), joining.bound(parent, table)
    if default is None or found is None or default.name == table.name or default.foreign:
        return
    yield from joining.checked(
        default.name,
        joining.guard_name(table),
        Sql(f"NOT ({found})"),
        phase,
        f"The DEFAULT partition {spoken(default.name)} must have no row of {spoken(table.name)}. If it has some, "
        "validation fails (23514) and nothing is changed: move them first.",
    )


def unguarded(pair: Pair, parent: Table, table: Table) -> tuple[Sql, ...]:
    """Without that CHECK."""
    default = _default(pair, parent)
    if default is None or not tuple(guards(pair, parent, table, "expand")):
        return ()
    return (joining.check_dropped(default.name, joining.guard_name(table)),)


def _of_guards(guarded: tuple[Step, ...]) -> References:
    return tuple(reference for step in guarded for reference in step.makes)


# --- what leaves ---


def _left(pair: Pair, parent: Table, table: Table, *, kept: bool) -> Step:
    old_parent = next((one for one in pair.before.tables if one.name == parent.name), parent)
    is_online = pair.version >= DETACHES_CONCURRENTLY_SINCE and not _has_default(pair.before, parent.name)
    found = joining.bound(old_parent, table) if kept else None
    name = joining.bound_name(table)
    before = joining.checking(table.name, name, found) if found else ()
    after = (joining.check_dropped(table.name, name),) if found else ()
    return Step(
        name=slug("detach", table.name),
        phase="contract",
        reason="CONCURRENTLY waits for the queries that read it as a partition, and keeps nobody waiting. If it is cut "
        f"short, {detach(parent.name, table.name, ' FINALIZE')} ends it."
        if is_online
        else "Beside a DEFAULT partition it cannot be detached CONCURRENTLY; the lock is short."
        if pair.version >= DETACHES_CONCURRENTLY_SINCE
        else "The lock is short.",
        up=(*before, detach(parent.name, table.name, " CONCURRENTLY" if is_online else ""), *after),
        down=(*before, attach(table), *after),
        transaction=False,
        again="it is no partition any more (42P01, or 42809); nothing is changed",
        ends_old=True,
        drops=(Reference("partitions", table.name.schema, table.name.name),),
    )


def _has_default(database: Database, parent: Name) -> bool:
    return any(
        one.partition_of and is_default(one.partition_of.bound) for one in partitions_of(database, parent)
    )


def _dropped(pair: Pair, table: Table) -> Step:
    pieces = [piece for piece in _pieces(pair.before, table, pair.version) if not _attaches(piece)]
    return Step(
        name=slug("drop", table.name),
        phase="contract",
        reason="It is detached, so that only its own rows go.",
        up=(Sql(f"DROP {'FOREIGN ' if table.foreign else ''}TABLE IF EXISTS {qualified_name(table.name)}"),),
        down=tuple(bare(piece.statement.sql) for piece in pieces),
        lost=(str(table.name),),
        keep=f"leave this step out: {spoken(table.name)} stays as a table of its own",
        ends_old=True,
        drops=(_relation(table.name),),
        needs=(),
    )


# --- when places are changed ---


def _traded(pair: Pair, traffic: Traffic) -> Iterator[Step]:
    """All at once: what leaves goes, what comes takes its place. Rows are looked at before, not under the lock."""
    parent, moved = traffic.parent, tuple(new for _, new in traffic.moved)
    for table in traffic.new:
        yield _created(pair, table, attach=False)
    guarded = [
        step
        for table in (*traffic.new, *traffic.joined, *moved)
        for step in guards(pair, parent, table, "backfill")
    ]
    for table in moved:
        if bound := joining.bound(parent, table):
            guarded += joining.checked(table.name, joining.bound_name(table), bound, "backfill", _WITHIN)
    yield from guarded
    leaving = [*(old for old, _ in traffic.moved), *traffic.left, *traffic.gone]
    coming = [*traffic.new, *traffic.joined, *moved]
    defaults_last = sorted(
        coming, key=lambda one: bool(one.partition_of and is_default(one.partition_of.bound))
    )
    yield Step(
        name=slug("exchange_partitions", parent.name),
        phase="contract",
        reason="Partitions change places in one transaction: no row is ever missing, and valid CHECKs keep it short.",
        up=(
            *(detach(_parent(one), one.name) for one in leaving),
            *(sql for one in traffic.joined for sql in _readied(pair, one)),
            *map(attach, defaults_last),
            *(sql for one in (*traffic.joined, *moved) for sql in _unbound(pair, parent, one)),
            *(sql for one in coming for sql in unguarded(pair, parent, one)),
        ),
        down=(
            *(detach(parent.name, one.name) for one in coming),
            *(attach(one) for one in sorted(leaving, key=lambda one: is_default(one.partition_of.bound))),  # type: ignore[union-attr]
            *(sql for one in traffic.joined for sql in _own_again(pair, one)),
        ),
        again="the partitions have changed places; one that is attached is refused (42809), and nothing is changed",
        ends_old=bool(traffic.left or traffic.gone),
        needs=tuple(_relation(one.name) for one in traffic.new),
        drops=tuple(Reference("partitions", one.name.schema, one.name.name) for one in traffic.gone),
    )
    for table in traffic.gone:
        yield _dropped(pair, table)


def _readied(pair: Pair, table: Table) -> Iterator[Sql]:
    yield from joining.without_identity(pair, _old(pair, table))
    yield from joining.renames(pair, table)


def _own_again(pair: Pair, table: Table) -> Iterator[Sql]:
    yield from joining.renames(pair, table, back=True)
    yield from joining.with_identity(pair, _old(pair, table))


_WITHIN = (
    "Its rows must be within the new bound. If some are not, validation fails (23514) and nothing is changed: "
    "move them first."
)


def _parent(table: Table) -> Name:
    assert table.partition_of is not None
    return table.partition_of.table


def _old(pair: Pair, table: Table) -> Table:
    return next(one for one in pair.before.tables if one.name == table.name)


# --- indexes that only a partition has ---


def _own_indexes(pair: Pair, before: dict[Name, Table]) -> Iterator[Step]:
    for new in pair.after.tables:
        old = before.get(new.name)
        if (
            old is None
            or new.partition_of is None
            or old.partition_of is None
            or new.partition_by is not None
        ):
            continue
        if _parent(old) != _parent(new):
            continue
        followed = followers(pair.before, old) | followers(pair.after, new)
        found = changes(
            [index for index in old.indexes if index.name not in followed],
            [index for index in new.indexes if index.name not in followed],
        )
        for index in found.added:
            yield indexes.concurrently(new.name, index, "expand")
        for index in found.removed:
            yield indexes.gone(new.name, index)
        for one, other in found.changed:
            yield from indexes.changed(pair, new.name, one, other)
