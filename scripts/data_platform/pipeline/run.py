"""A run: every unit of work, its rows and its checkpoint one transaction; what was done is not done again.

Killed at any point, the transaction that was open is gone as a whole, and the next run begins with the same unit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from data_platform.errors import Problem, UsageProblem
from data_platform.pipeline import keeping, leaving, projecting, streams
from data_platform.pipeline.behind import RELOAD, are_gone, emptied, forget_read, note_left, refuse_gone
from data_platform.pipeline.capturing import capture
from data_platform.pipeline.plan import Chain, chains
from data_platform.pipeline.steps import Step, step_of
from data_platform.pipeline.streams import Place, Unit
from data_platform.pipeline.writing import (
    Batch,
    Work,
    derive_target,
    exchange,
    look_at_written,
    stage_unit,
    transform,
    view_landings,
    with_told,
    write_target,
)
from data_platform.postgres.connect import Unreachable
from data_platform.postgres.pipelines.relations import drop_temporary
from data_platform.postgres.pipelines.sessions import Passing, take_every_row, telling, writing
from data_platform.postgres.pipelines.state import Counts, State
from data_platform.spec.pipeline import Pipeline

BY_CURSOR = ("incremental", "scd", "elt")
ALL, DERIVED = "_dpe_all", "_dpe_derived"
"""Steps that are of no one source; no source is called so."""
TRANSFORMED = "transformed"
WITHIN: Mapping[str, Callable[[Work], Iterator[Step]]] = {
    "views": keeping.steps,
    "events": projecting.steps,
    "cqrs": projecting.steps,
}
"""Patterns that keep what follows from the store's own tables."""
_FIRST_PAUSE_SECONDS = 0.5
Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Ran:
    """What a run did. `attempts` is 1 where nothing had to be tried again."""

    steps: tuple[Step, ...]
    attempts: int
    seconds: float
    emptied: tuple[str, ...] = ()
    """Targets that the last run left with rows and this one found without any."""

    @property
    def counts(self) -> Counts:
        """Over all targets: a row of a source counts once for each that it may go to."""
        total = Counts()
        for step in self.steps:
            total = total.plus(step.counts)
        return total


@dataclass(frozen=True)
class Job:
    """What is done on the target, one transaction after another, and what run history calls it."""

    kind: str
    steps: Callable[[Work], Iterator[Step]]


@dataclass
class _Progress:
    """What is done so far, kept across attempts: an attempt that fails keeps what it committed."""

    steps: list[Step] = field(default_factory=list)
    attempts: int = 0
    reached: bool = False
    """Whether there has been a session of the target's."""
    emptied: dict[str, None] = field(default_factory=dict)


def run(spec: Pipeline, place: Place, *, dry_run: bool = False, tell: Tell = lambda text, share: None) -> Ran:
    """Bring the targets up to what the sources have.

    Raises UsageProblem: the spec does not fit what is there, a source drifted and the spec says freeze.
    EnvironmentProblem: another run is going on, a server or a disk says no, also after `retries` of what can pass.
    What was committed before is kept, and the next run goes on behind it.
    """
    found = chains(spec)
    if not found and spec.pattern not in WITHIN:
        raise UsageProblem("this pipeline has no targets, so there is nothing to run", where=spec.file)
    if place.is_backfill and not (spec.pattern in BY_CURSOR and any(one.cursor for one in spec.sources)):
        raise UsageProblem(
            "--since and --until are parts of a cursor, and no source has one",
            where=spec.file,
            expected="the pattern incremental, with `cursor:` in a source",
        )
    if place.resnapshot and spec.pattern != "cdc" and not spec.kept.collections:
        raise UsageProblem(
            "--resnapshot is for the pattern cdc, and for collections of cqrs", where=spec.file
        )
    if place.drop_removed and spec.pattern not in ("events", "cqrs"):
        raise UsageProblem("--drop-removed is for the patterns events and cqrs", where=spec.file)
    _refuse_reload(spec, place)
    return through(spec, place, Job("run", lambda work: _steps(work, found)), dry_run=dry_run, tell=tell)


def _refuse_reload(spec: Pipeline, place: Place) -> None:
    if place.reload and spec.pattern not in BY_CURSOR:
        raise UsageProblem(
            f"--reload is for the patterns {', '.join(BY_CURSOR)}, which read what is new",
            where=spec.file,
            try_="without it: etl and snapshot read everything each time; cdc and cqrs have --resnapshot",
        )
    if place.reload and place.is_backfill:
        raise UsageProblem(
            "--reload reads everything, --since and --until a part", where=spec.file, try_="one of the two"
        )


def through(spec: Pipeline, place: Place, job: Job, *, dry_run: bool, tell: Tell) -> Ran:
    """All steps of a job, tried again after what can pass. Raises what `run` raises."""
    started = time.monotonic()
    progress = _Progress()
    while True:
        progress.attempts += 1
        try:
            _attempt(spec, place, job, progress, dry_run=dry_run, tell=tell)
            seconds = time.monotonic() - started
            return Ran(tuple(progress.steps), progress.attempts, seconds, tuple(progress.emptied))
        except (Passing, Unreachable) as problem:
            # A target that never answered is more likely another one than it is starting.
            if progress.attempts > spec.retries or not progress.reached:
                raise
            pause = _FIRST_PAUSE_SECONDS * 2 ** (progress.attempts - 1)
            tell(f"again in {pause:.1f} s: {problem.what}", 0.0)
            time.sleep(pause)


def _attempt(
    spec: Pipeline, place: Place, job: Job, progress: _Progress, *, dry_run: bool, tell: Tell
) -> None:
    with writing(place.conninfo) as connection, ExitStack() as stack:
        progress.reached = True
        if dry_run:
            stack.enter_context(connection.transaction(force_rollback=True))
        state = State(connection, spec.state_schema, spec.name)
        stack.enter_context(state.run(spec.sha256, job.kind))
        before = len(progress.steps)
        try:
            # Told within the run, so that what the server says is written down as its error.
            with telling(place.conninfo):
                for done in job.steps(Work(spec, place, state, dry_run, progress.emptied)):
                    progress.steps.append(done)
                    tell(f"{done.source} {done.unit}", 0.5)
        except Problem as problem:
            if dry_run:  # taken back as a whole, so the next attempt does it all again
                del progress.steps[before:]
            elif not connection.broken:
                state.finish(_total(progress.steps[before:]), problem.what)
            raise
        state.finish(_total(progress.steps[before:]))


def _total(steps: Sequence[Step]) -> Counts:
    total = Counts()
    for step in steps:
        total = total.plus(step.counts)
    return total


def _steps(work: Work, found: Sequence[Chain]) -> Iterator[Step]:
    if work.place.drop_removed:
        yield from leaving.let_go(work)
    if work.spec.pattern in WITHIN:
        take_every_row(work.state.connection)
        yield from WITHIN[work.spec.pattern](work)
    elif work.spec.pattern in ("etl", "snapshot"):
        yield from all_at_once(work, found)
    elif work.spec.pattern == "elt":
        landings, derived = kept_and_derived(work.spec, found)
        yield from _batches(work, landings)
        yield from derive(work, derived, landings)
    elif work.spec.pattern == "cdc":
        yield from capture(work, found)
    else:
        yield from _batches(work, found)


# --- batch by batch ---


def _batches(work: Work, found: Sequence[Chain]) -> Iterator[Step]:
    """Each new unit of each source, with all targets that come from it."""
    for source in work.spec.sources:
        own = [chain for chain in found if source in chain.sources]
        if not own or (work.place.is_backfill and source.cursor is None):
            continue
        repeats = all(chain.target.key for chain in own)
        if source.cursor is not None and source.cursor.kind == "value" and not repeats:
            raise UsageProblem(
                f"the cursor of `{source.name}` reads its last value again, so rows need a key",
                where=work.spec.file,
                try_="key: in the target, or a cursor of kind xid8",
            )
        if work.place.reload:
            forget_read(work, own, source.name)
        else:
            refuse_gone(work, own, source.name)
            _notice_emptied(work, own)
        known = work.state.positions(source.name)
        for unit in streams.new_units(source, work.place, known, repeats=repeats):
            yield from _together(work, own, [unit], source.name, unit.name, unit.position)


def _notice_emptied(work: Work, found: Sequence[Chain]) -> None:
    """UsageProblem in the pattern elt, whose derived tables would shrink to what is new; else a run tells of it."""
    tables = emptied(work, found)
    if tables and work.spec.pattern == "elt":
        raise UsageProblem(
            f"{tables[0]} is empty, and the last run left rows in it: what is derived would go with them",
            where=work.spec.file,
            try_=RELOAD,
        )
    work.emptied.update(dict.fromkeys(tables))


def all_at_once(work: Work, found: Sequence[Chain], *, again: bool = False) -> Iterator[Step]:
    """All sources and all targets in one transaction, unless every source is files that were read before.

    `again`: also then.
    """
    needed = {source.name for chain in found for source in chain.sources}
    sources = [source for source in work.spec.sources if source.name in needed]
    units = [unit for source in sources for unit in streams.whole(source, work.place)]
    files = {unit.name: unit.position["sha256"] for unit in units if unit.path is not None}
    position = {"files": files, "spec": work.spec.sha256}
    is_known = work.state.positions(ALL).get("all") == position and all(unit.path for unit in units)
    if is_known and not again and not are_gone(work, found):
        return
    yield from _together(work, found, units, ALL, "all", position)


def _together(
    work: Work,
    found: Sequence[Chain],
    units: Sequence[Unit],
    step: str,
    name: str,
    position: Mapping[str, Any],
) -> Iterator[Step]:
    """These units, all that comes from them, and the checkpoint: one transaction."""
    started = time.monotonic()
    with work.state.connection.transaction():
        temporary: list[str] = []
        _supersede(work.state, found, units, step)
        batch = stage_unit(work, found, units, temporary)
        transform(work, found, name, temporary, batch)
        done = [
            step_of(
                chain,
                name,
                write_target(work, found, chain, name, batch),
                batch.ways.get(chain.target.source, TRANSFORMED),
                started,
            )
            for chain in found
        ]
        if name == streams.CURSOR and any(one.counts.quarantined for one in done):
            work.state.supersede_same(name)
        exchange(work, batch)
        for chain in found:
            look_at_written(work, chain, batch)
        note_left(work, found)
        drop_temporary(work.state.connection, [*reversed(temporary)])
        work.state.checkpoint(step, name, position)
    left_out = tuple((source, one) for source, names in batch.left_out.items() for one in sorted(names))
    yield from (replace(one, left_out=left_out) for one in with_told(done, batch))


def transforms_of(found: Sequence[Chain]) -> set[str]:
    """Names of all transforms that lead to these targets."""
    return {one.name for chain in found for one in chain.transforms}


def _supersede(state: State, found: Sequence[Chain], units: Sequence[Unit], step: str) -> None:
    """What is in quarantine of these units, where they are read as a whole: what was mended there is bad no more."""
    if step == ALL:
        state.supersede(None, None)
    elif all(unit.path is not None or unit.name == streams.WHOLE for unit in units):
        names = {unit.source.name for unit in units} | transforms_of(found)
        names |= {chain.target.source for chain in found}
        for unit in units:
            state.supersede(sorted(names), unit.name)


# --- sources as they are, then SQL over them ---


def kept_and_derived(spec: Pipeline, found: Sequence[Chain]) -> tuple[list[Chain], list[Chain]]:
    """Targets that keep a source as it is, and those that SQL makes of them.

    Raises UsageProblem for a source that is read and kept nowhere.
    """
    landings = [chain for chain in found if not chain.transforms]
    derived = [chain for chain in found if chain.transforms]
    kept = {chain.target.source for chain in landings}
    for chain in derived:
        for source in chain.sources:
            if source.name not in kept:
                raise UsageProblem(
                    f"`{source.name}` is kept nowhere",
                    where=spec.file,
                    expected="a target for each source, which elt keeps as it is",
                    try_=f"targets: [{{table: raw.{source.name}, from: {source.name}}}]",
                )
    return landings, derived


def derive(
    work: Work, derived: Sequence[Chain], landings: Sequence[Chain], *, again: bool = False
) -> Iterator[Step]:
    """Transforms over all that was ever loaded; nothing where nothing was loaded since, by the same spec.

    `again`: also then.
    """
    state = work.state
    loads = {source.name: state.loads(source.name) for source in work.spec.sources}
    position = {"spec": work.spec.sha256, "loads": loads}
    is_known = state.positions(DERIVED).get("all") == position
    if not derived or (is_known and not again and not are_gone(work, derived)):
        return
    started = time.monotonic()
    with state.connection.transaction():
        temporary: list[str] = []
        state.supersede(sorted(transforms_of(derived)), "all")
        view_landings(state, derived, landings, temporary)
        batch = Batch()
        transform(work, derived, "all", temporary, batch)
        done = [
            step_of(chain, "all", derive_target(work, derived, chain, batch), TRANSFORMED, started)
            for chain in derived
        ]
        for chain in derived:
            look_at_written(work, chain, batch)
        note_left(work, derived)
        drop_temporary(state.connection, [*reversed(temporary)])
        state.checkpoint(DERIVED, "all", position)
    yield from with_told(done, batch)
