"""Rows of the pattern cdc in quarantine, read anew at the source.

A change alone says what a row was once. So the row is read as it is in a snapshot, and the target is brought to the
place of that snapshot in the stream first: what it has then is what the source had there, for these rows too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial

from data_platform.errors import UsageProblem
from data_platform.pipeline.capturing import (
    STEP,
    UNIT,
    Position,
    address_of,
    check,
    follow,
    looked_at,
    on_disk,
    position_of,
    remember,
)
from data_platform.pipeline.plan import Chain
from data_platform.pipeline.steps import Step, step_of
from data_platform.pipeline.writing import Work, target_table
from data_platform.postgres.pipelines import replaying
from data_platform.postgres.pipelines.sessions import telling
from data_platform.postgres.pipelines.staging import Stream
from data_platform.postgres.pipelines.state import Counts
from data_platform.postgres.replication import slots
from data_platform.postgres.replication.applying import Layout, refresh
from data_platform.postgres.replication.slots import Keys
from data_platform.spec.pipeline import Source
from data_platform.sql.text import Sql

_LONGEST = 55
_WAY = "read again"


def recapture(work: Work, found: Sequence[Chain], own: Sequence[Chain]) -> Iterator[Step]:
    """The stream up to a new snapshot, then the rows in quarantine of the targets `own`, as they are in it."""
    conninfo = address_of(work)
    position = _position(work)
    check(work, conninfo, position)
    with _snapshot(work, conninfo, position) as (snapshot, until):
        yield from follow(work, found, conninfo, position, until)
        for name in dict.fromkeys(chain.sources[0].name for chain in own):
            of_it = [chain for chain in own if chain.sources[0].name == name]
            yield from _read_again(work, of_it, conninfo, snapshot)


@contextmanager
def _snapshot(work: Work, conninfo: str, position: Position) -> Iterator[tuple[str | None, int]]:
    """A snapshot of the source, and its place in the stream.

    In a dry run it is how things are now: a new slot would wait for the end of this very transaction where source and
    target are on one server.
    """
    with telling(conninfo), closing(slots.source_session(conninfo)) as source:
        if work.dry_run:
            yield None, slots.end_of_wal(source)
            return
        with slots.new_slot(conninfo, f"{position.slot[:_LONGEST]}_replay", temporary=True) as made:
            slots.end_of_wal(source)  # so that the stream gets past it
            yield made.name, made.lsn


def _position(work: Work) -> Position:
    position = position_of(work.state.positions(STEP).get(UNIT))
    if position is None:
        raise UsageProblem(
            "nothing was copied yet", where=work.spec.file, try_="dpe pipeline run, which makes the copy"
        )
    return position


def _read_again(work: Work, own: Sequence[Chain], conninfo: str, snapshot: str | None) -> Iterator[Step]:
    """The targets of one source in one transaction: out of quarantine, into them; what is refused again comes back."""
    started, state, source = time.monotonic(), work.state, own[0].sources[0]
    with state.connection.transaction():
        on_disk(state)
        held = [(chain, _keys(work, chain, conninfo, source)) for chain in own]
        if not held[0][1].values:
            return
        state.supersede([source.name], None)
        done = []
        for chain, keys in held:
            counts = _refreshed(work, chain, keys, conninfo, snapshot)
            done.append(step_of(chain, "replay", counts, _WAY, started))
        done = [*looked_at(work, own, done)]
        remember(work, own, _position(work))
    yield from done


def _refreshed(work: Work, chain: Chain, keys: Keys, conninfo: str, snapshot: str | None) -> Counts:
    source = chain.sources[0]
    assert source.table is not None
    read = _position(work).tables[source.name].read
    blocks = partial(slots.snapshot_blocks, conninfo, snapshot, source.table, read, keys.condition)
    stream = Stream(tuple(read), Sql("(FORMAT text)"), blocks)
    layout = Layout(source.name, chain.target.key, read, ())
    target = target_table(work.state, work.spec, chain.target, read, ())
    gone = keys.missing(conninfo, snapshot, source.table)
    return refresh(work.state, "replay", layout, target, stream, gone)


def _keys(work: Work, chain: Chain, conninfo: str, source: Source) -> Keys:
    assert source.table is not None
    key = chain.target.key
    with telling(conninfo), closing(slots.source_session(conninfo)) as session:
        types = slots.columns_of(session, source.table)
    values = replaying.keys_held(work.state, source.name, key)
    return Keys(key, tuple(Sql(types[name][0]) for name in key), values)
