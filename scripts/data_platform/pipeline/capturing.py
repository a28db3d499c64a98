"""The pattern cdc: a copy of the tables in the snapshot of a slot, then the slot's stream, up to where the WAL ended.

The place in the stream is kept in the transaction of the rows, and told to the source only after that. So a run that is
killed finds in the target how far it came, and the source still has everything behind that.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline.behind import note_left, refuse_emptied, refuse_gone
from data_platform.pipeline.drifting import Known, refusal, taken_over
from data_platform.pipeline.plan import Chain
from data_platform.pipeline.steps import Step, step_of, summed
from data_platform.pipeline.writing import Batch, Work, look_at_written, target_table, with_told
from data_platform.postgres.connect import redacted
from data_platform.postgres.pipelines.relations import is_empty, read_relation, table_name
from data_platform.postgres.pipelines.sessions import telling
from data_platform.postgres.pipelines.staging import Stream
from data_platform.postgres.pipelines.state import State
from data_platform.postgres.replication import slots
from data_platform.postgres.replication.applying import Layout, apply, replace_all
from data_platform.postgres.replication.decoding import Table, Truncate, lsn_of, lsn_text
from data_platform.postgres.replication.netting import Net
from data_platform.postgres.replication.stream import Part, Reader, reading
from data_platform.spec.pipeline import Pipeline
from data_platform.sql.text import Sql

STEP, UNIT = "_dpe_stream", "slot"
BATCH = 50_000
"""Changes that are applied at once; of a longer transaction so many at a time, in one transaction of the target."""
RESNAPSHOT = "dpe pipeline run --resnapshot: the tables are copied anew, and the stream begins there"


@dataclass(frozen=True)
class Position:
    """What the target knows of the stream: everything before `lsn` is in it. `published` says what the publication was
    as the copy was made.
    """

    slot: str
    system: str
    lsn: int
    tables: Mapping[str, Known] = field(default_factory=dict)
    published: str = ""

    def kept(self) -> dict[str, Any]:
        tables = {name: known.kept() for name, known in self.tables.items()}
        place = {"slot": self.slot, "system": self.system, "lsn": lsn_text(self.lsn)}
        return {**place, "tables": tables, "published": self.published}


def position_of(kept: Mapping[str, Any] | None) -> Position | None:
    """From a checkpoint; None where no copy was ever finished."""
    if kept is None or kept.get("making"):
        return None
    tables = {name: Known.of(known) for name, known in kept["tables"].items()}
    return Position(kept["slot"], kept["system"], lsn_of(kept["lsn"]), tables, kept.get("published", ""))


def slot_of(spec: Pipeline) -> str:
    return next((one.slot for one in spec.sources if one.slot), spec.name)


def publication_of(spec: Pipeline) -> str:
    return next((one.publication for one in spec.sources if one.publication), spec.name)


def capture(work: Work, found: Sequence[Chain]) -> Iterator[Step]:
    """The copy, where there is none yet, and what has changed since.

    Raises UsageProblem: the source drifted, or has no identity to tell rows by. EnvironmentProblem: the slot is lost.
    """
    conninfo = address_of(work)
    kept = work.state.positions(STEP).get(UNIT)
    position = None if work.place.resnapshot else position_of(kept)
    if position is None:
        copied, position = _copy(work, found, conninfo, kept)
        yield from copied
        if work.dry_run:  # there is no slot to follow
            return
    else:
        check(work, conninfo, position)
        refuse_gone(work, found, STEP, try_=RESNAPSHOT)
        refuse_emptied(work, found, RESNAPSHOT)
    with telling(conninfo), closing(slots.source_session(conninfo)) as source:
        until = slots.end_of_wal(source)
    yield from follow(work, found, conninfo, position, until)


def remember(work: Work, found: Sequence[Chain], position: Position) -> None:
    """The place, and which of these targets hold rows, in the transaction that has brought them there."""
    note_left(work, found)
    work.state.checkpoint(STEP, UNIT, position.kept())


def follow(
    work: Work, found: Sequence[Chain], conninfo: str, position: Position, until: int
) -> Iterator[Step]:
    """All transactions before a place of the WAL."""
    if until > position.lsn:
        following = _Following(work, found, conninfo, position)
        with reading(conninfo, position.slot, publication_of(work.spec), position.lsn) as reader:
            yield from following.all(reader, until)


def address_of(work: Work) -> str:
    addresses = {work.place.address(source) for source in work.spec.sources}
    if len(addresses) != 1:
        raise UsageProblem(
            "the sources are in different databases",
            where=work.spec.file,
            expected="one: a slot is of one database, and its transactions are applied whole",
            try_="a pipeline for each database",
        )
    return addresses.pop()


def _tables(spec: Pipeline) -> list[Name]:
    return list({source.table: None for source in spec.sources if source.table is not None})


# --- the copy ---


def _copy(
    work: Work, found: Sequence[Chain], conninfo: str, kept: Mapping[str, Any] | None
) -> tuple[list[Step], Position]:
    """All tables as they are in one snapshot, in one transaction with the place at which the stream goes on."""
    slot = slot_of(work.spec)
    if kept is None and not work.place.resnapshot:
        _refuse_filled(work, found)
    with telling(conninfo), closing(slots.source_session(conninfo)) as source:
        system = slots.check_server(source, redacted(conninfo)).system
        tables = {}
        for chain in found:
            read = chain.sources[0]
            assert read.table is not None
            slots.check_identity(source, read.table, chain.target.key)
            tables[read.name] = Known.first(read, *slots.described(source, read.table))
        if (
            not slots.check_publication(source, publication_of(work.spec), _tables(work.spec))
            and not work.dry_run
        ):
            slots.create_publication(source, publication_of(work.spec), _tables(work.spec))
        if not work.dry_run:
            _make_way(source, slot, kept, work)
        published = slots.publication_mark(source, publication_of(work.spec), _tables(work.spec))
    position = Position(slot, system, 0, tables, published=published)
    if work.dry_run:
        return _copied(work, found, conninfo, position, None), position
    # Noted first, so that a run that is killed in the middle knows the slot that it left for its own.
    work.state.checkpoint(STEP, UNIT, {"slot": slot, "system": system, "making": True})
    with slots.new_slot(conninfo, slot) as snapshot:
        position = replace(position, lsn=snapshot.lsn)
        return _copied(work, found, conninfo, position, snapshot.name), position


def _refuse_filled(work: Work, found: Sequence[Chain]) -> None:
    """UsageProblem where a first copy would delete rows that no run of this pipeline has brought."""
    for chain in found:
        name = table_name(chain.target.table)
        there = read_relation(work.state.connection, name) is not None
        if there and not is_empty(work.state.connection, name):
            raise UsageProblem(
                f"{chain.target.table} has rows already: a copy deletes those that the source does not have",
                where=work.spec.file,
                expected="an empty table, or none",
                try_="where the source is right: dpe pipeline run --resnapshot",
            )


def _make_way(source: Any, slot: str, kept: Mapping[str, Any] | None, work: Work) -> None:
    """Drop what a run of ours left. UsageProblem for a slot that is somebody else's."""
    if kept is None and slots.read_slot(source, slot) is not None:
        raise UsageProblem(
            f"the source has a slot {slot} that is not of this pipeline",
            where=work.spec.file,
            try_=f"slot: another name; or, where nobody reads it, SELECT pg_drop_replication_slot('{slot}');",
        )
    for name in {slot, str((kept or {}).get("slot", slot))}:
        slots.drop_slot(source, name)


def _copied(
    work: Work, found: Sequence[Chain], conninfo: str, position: Position, snapshot: str | None
) -> list[Step]:
    state, done = work.state, []
    with state.connection.transaction():
        on_disk(state)
        for chain in found:
            started = time.monotonic()
            read = chain.sources[0]
            assert read.table is not None
            columns = position.tables[read.name].read
            blocks = partial(slots.snapshot_blocks, conninfo, snapshot, read.table, columns)
            stream = Stream(tuple(columns), Sql("(FORMAT text)"), blocks)
            target = target_table(state, work.spec, chain.target, columns, ())
            counts, way = replace_all(state, read.name, "snapshot", columns, target, chain.target.key, stream)
            done.append(step_of(chain, "snapshot", counts, way, started))
        done = [*looked_at(work, found, done)]
        remember(work, found, position)
    return done


def looked_at(work: Work, found: Sequence[Chain], done: Sequence[Step]) -> Iterator[Step]:
    """What was done, and what checks tell of the targets that were written, as transactions of the source left them."""
    batch = Batch()
    written = {step.target for step in done}
    for chain in found:
        if str(chain.target.table) in written:
            look_at_written(work, chain, batch)
    return with_told(done, batch)


def on_disk(state: State) -> None:
    """What is confirmed to the source must outlive a crash of the target."""
    state.connection.execute("SET LOCAL synchronous_commit = on")


# --- the stream ---


def check(work: Work, conninfo: str, position: Position) -> None:
    """EnvironmentProblem where the stream does not go on from there."""
    where, spec = redacted(conninfo), work.spec
    tables = {source.name: source.table for source in spec.sources}
    if slot_of(spec) != position.slot or {name: str(t) for name, t in tables.items()} != {
        name: known.table for name, known in position.tables.items()
    }:
        raise UsageProblem(
            "the spec names another slot or other tables than the last run",
            where=spec.file,
            expected=f"slot {position.slot}, tables {', '.join(k.table for k in position.tables.values())}",
            try_=RESNAPSHOT,
        )
    with telling(conninfo), closing(slots.source_session(conninfo)) as source:
        system = slots.check_server(source, where).system
        told = _lost(slots.read_slot(source, position.slot), position)
        if system != position.system:
            told = "the source is another server than the one that was copied"
        if told:
            raise EnvironmentProblem(told, where=where, try_=RESNAPSHOT)
        if not slots.check_publication(source, publication_of(spec), _tables(spec)):
            raise EnvironmentProblem(
                f"the publication {publication_of(spec)} is gone", where=where, try_=RESNAPSHOT
            )
        mark = slots.publication_mark(source, publication_of(spec), _tables(spec))
        if position.published not in ("", mark):
            raise EnvironmentProblem(
                f"the publication {publication_of(spec)} was altered since the copy: what it did not publish meanwhile"
                " is not in the stream",
                where=where,
                try_=RESNAPSHOT,
            )


def _lost(slot: slots.Slot | None, position: Position) -> str | None:
    """Why the slot does not lead on from the position; None where it does."""
    if slot is None:
        return f"the slot {position.slot} is gone, and with it the changes since the last run"
    if slot.wal_status == "lost":
        return f"the slot {position.slot} is lost: the source has thrown away WAL that was not read yet"
    if slot.plugin != "pgoutput" or not slot.is_ours:
        return f"the slot {position.slot} is of {slot.plugin} in the database {slot.database}"
    if slot.confirmed is not None and slot.confirmed > position.lsn:
        return (
            f"the slot {position.slot} is at {lsn_text(slot.confirmed)}, the target at {lsn_text(position.lsn)}:"
            " what is in between was read by another, or the target is older than it was"
        )
    return None


@dataclass
class _Following:
    """One run's way along the stream. `tables` are those that the stream has described, by their oid."""

    work: Work
    found: Sequence[Chain]
    conninfo: str
    position: Position
    tables: dict[int, Table] = field(default_factory=dict)

    def all(self, reader: Reader, until: int) -> Iterator[Step]:
        """Everything before that place, some transactions at a time; what is refused stops behind what is not."""
        batch: list[Part] = []
        changes = 0
        parts = reader.parts(until, BATCH)
        for one in parts:
            problem = self._refused(one)
            if batch and (problem is not None or one.end is None):
                yield from self._keep(reader, batch)
                batch, changes = [], 0
            if problem is not None:
                raise problem
            if one.end is None:
                yield from self._keep(reader, self._long(one, parts))
                continue
            batch.append(one)
            changes += len(one.items)
            if changes >= BATCH:
                yield from self._keep(reader, batch)
                batch, changes = [], 0
        yield from self._keep(reader, batch, until)

    def _long(self, first: Part, parts: Iterator[Part]) -> Iterator[Part]:
        """A transaction that is too long to be held in memory, as it comes."""
        yield first
        for one in parts:
            problem = self._refused(one)
            if problem is not None:
                raise problem
            yield one
            if one.end is not None:
                return

    def _refused(self, one: Part) -> UsageProblem | None:
        for item in one.items:
            if isinstance(item, Table):
                problem = refusal(self.work.spec, self.found, self.position.tables, item)
                if problem is not None:
                    return problem
        return None

    def _keep(self, reader: Reader, parts: Iterable[Part], until: int = 0) -> Iterator[Step]:
        """These transactions and the place behind them, committed; then the source may forget them.

        `until` is a place that nothing of ours is before, where it is behind that of the last one.
        """
        with self.work.state.connection.transaction():
            on_disk(self.work.state)
            done = [*looked_at(self.work, self.found, summed(self._applied(parts)))]
            self.position = replace(self.position, lsn=max(self.position.lsn, until))
            remember(self.work, self.found, self.position)
        if not self.work.dry_run:
            reader.confirm(self.position.lsn)
        yield from done

    def _applied(self, parts: Iterable[Part]) -> Iterator[Step]:
        """A step for each flush; `position` is behind what is applied."""
        nets: dict[int, Net] = {}
        for one in parts:
            for item in one.items:
                if isinstance(item, Table):
                    if self.tables.get(item.oid) not in (None, item):
                        # What came before has the old columns.
                        yield from self._flush(nets, one.commit)
                    self._describe(item)
                    continue
                for oid in item.tables if isinstance(item, Truncate) else (item.table,):
                    for number in self._readers(oid):
                        if number not in nets:
                            nets[number] = Net(self._key_places(number, oid))
                        nets[number].add(item)
            if one.end is None:
                yield from self._flush(nets, one.commit)
            else:
                self.position = replace(self.position, lsn=one.end)
        yield from self._flush(nets, self.position.lsn)

    def _describe(self, table: Table) -> None:
        self.tables[table.oid] = table
        name = next((n for n, known in self.position.tables.items() if known.oid == table.oid), None)
        if name is None:
            return
        known = self.position.tables[name]
        source = self.work.spec.source(name)
        assert source is not None
        with telling(self.conninfo):
            after = taken_over(known, source, table, self.work.spec.drift, self.conninfo)
        self.position = replace(self.position, tables={**self.position.tables, name: after})

    def _readers(self, oid: int) -> Iterator[int]:
        """The numbers of the targets that follow this table."""
        for number, chain in enumerate(self.found):
            if self.position.tables[chain.sources[0].name].oid == oid:
                yield number

    def _key_places(self, number: int, oid: int) -> tuple[int, ...]:
        names = [column.name for column in self.tables[oid].columns]
        return tuple(names.index(name) for name in self.found[number].target.key)

    def _flush(self, nets: dict[int, Net], end: int) -> Iterator[Step]:
        for number, net in sorted(nets.items()):
            started = time.monotonic()
            chain, unit = self.found[number], f"changes to {lsn_text(end)}"
            known = self.position.tables[chain.sources[0].name]
            names = [column.name for column in self.tables[known.oid].columns]
            columns = {name: type_ for name, type_ in known.read.items() if name in names}
            layout = Layout(
                chain.sources[0].name, chain.target.key, columns, tuple(names.index(name) for name in columns)
            )
            target = target_table(self.work.state, self.work.spec, chain.target, columns, ())
            counts = apply(self.work.state, unit, layout, target, net)
            yield step_of(chain, unit, counts, "streamed", started)
        nets.clear()
