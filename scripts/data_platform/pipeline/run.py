"""A run: every unit of work, its rows and its checkpoint one transaction; what was done is not done again.

Killed at any point, the transaction that was open is gone as a whole, and the next run begins with the same unit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from data_platform.errors import Problem, UsageProblem
from data_platform.pipeline import streams
from data_platform.pipeline.plan import Chain, chains
from data_platform.pipeline.streams import Place, Unit
from data_platform.pipeline.writing import derive_target, stage_unit, write_target
from data_platform.postgres.pipelines.relations import create_temporary, drop_temporary
from data_platform.postgres.pipelines.sessions import Passing, writing
from data_platform.postgres.pipelines.state import Counts, State
from data_platform.spec.pipeline import Pipeline

_FIRST_PAUSE_SECONDS = 0.5
Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Step:
    """One transaction: what of the source went where."""

    source: str
    unit: str
    target: str
    counts: Counts
    way: str
    seconds: float


@dataclass(frozen=True)
class Ran:
    """What a run did. `attempts` is 1 where nothing had to be tried again."""

    steps: tuple[Step, ...]
    attempts: int
    seconds: float

    @property
    def counts(self) -> Counts:
        total = Counts()
        for step in self.steps:
            total = total.plus(step.counts)
        return total


@dataclass
class _Progress:
    """What is done so far, kept across attempts: an attempt that fails keeps what it committed."""

    steps: list[Step] = field(default_factory=list)
    attempts: int = 0


def run(spec: Pipeline, place: Place, *, dry_run: bool = False, tell: Tell = lambda text, share: None) -> Ran:
    """Bring the targets up to what the sources have.

    Raises UsageProblem: the spec does not fit what is there, a source drifted and the spec says freeze.
    EnvironmentProblem: another run is going on, a server or a disk says no, also after `retries` of what can pass.
    What was committed before is kept, and the next run goes on behind it.
    """
    found = chains(spec)
    if not found:
        raise UsageProblem("this pipeline has no targets, so there is nothing to run", where=spec.file)
    started = time.monotonic()
    progress = _Progress()
    while True:
        progress.attempts += 1
        try:
            _attempt(spec, place, found, progress, dry_run=dry_run, tell=tell)
            return Ran(tuple(progress.steps), progress.attempts, time.monotonic() - started)
        except Passing as problem:
            if progress.attempts > spec.retries:
                raise
            pause = _FIRST_PAUSE_SECONDS * 2 ** (progress.attempts - 1)
            tell(f"again in {pause:.1f} s: {problem.what}", 0.0)
            time.sleep(pause)


def _attempt(
    spec: Pipeline, place: Place, found: Sequence[Chain], progress: _Progress, *, dry_run: bool, tell: Tell
) -> None:
    with writing(place.conninfo) as connection, ExitStack() as stack:
        if dry_run:
            stack.enter_context(connection.transaction(force_rollback=True))
        state = State(connection, spec.state_schema, spec.name)
        stack.enter_context(state.run(spec.sha256))
        before = len(progress.steps)
        try:
            for done in _work(spec, place, found, state):
                progress.steps.append(done)
                tell(f"{done.source} {done.unit}", 0.5)
        except Problem as problem:
            if not connection.broken and not dry_run:
                state.finish(_total(progress.steps[before:]), problem.what)
            raise
        state.finish(_total(progress.steps[before:]))


def _total(steps: Sequence[Step]) -> Counts:
    total = Counts()
    for step in steps:
        total = total.plus(step.counts)
    return total


def _work(spec: Pipeline, place: Place, found: Sequence[Chain], state: State) -> Iterator[Step]:
    if spec.pattern in ("incremental", "scd"):
        yield from _batches(spec, place, found, state)
    elif spec.pattern in ("etl", "snapshot"):
        yield from _all_at_once(spec, place, found, state)
    elif spec.pattern == "elt":
        landings, derived = _landings(spec, found)
        yield from _batches(spec, place, landings, state)
        yield from _derive(spec, derived, landings, state)
    else:
        raise UsageProblem(f"runs of the pattern {spec.pattern} are not there yet", where=spec.file)


# --- batch by batch ---


def _batches(spec: Pipeline, place: Place, found: Sequence[Chain], state: State) -> Iterator[Step]:
    """Each new unit of each source, with all targets that come from it."""
    for source in spec.sources:
        own = [chain for chain in found if source in chain.sources]
        if not own:
            continue
        repeats = all(chain.target.key for chain in own)
        if source.cursor is not None and source.cursor.kind == "value" and not repeats:
            raise UsageProblem(
                f"the cursor of `{source.name}` reads its last value again, so rows need a key",
                where=spec.file,
                try_="key: in the target, or a cursor of kind xid8",
            )
        known = state.positions(source.name)
        for unit in streams.new_units(source, place, known, repeats=repeats):
            yield from _one_unit(spec, place, own, state, source.name, [unit])


def _all_at_once(spec: Pipeline, place: Place, found: Sequence[Chain], state: State) -> Iterator[Step]:
    """All sources and all targets in one transaction, unless every source is files that were read before."""
    units = [unit for source in spec.sources for unit in streams.whole(source, place)]
    files = {unit.name: unit.position["sha256"] for unit in units if unit.path is not None}
    position = {"files": files, "spec": spec.sha256}
    known = state.positions("all").get("all")
    if known == position and all(unit.path is not None for unit in units):
        return
    yield from _one_unit(spec, place, found, state, "all", units, position)


def _one_unit(
    spec: Pipeline,
    place: Place,
    found: Sequence[Chain],
    state: State,
    step: str,
    units: Sequence[Unit],
    position: dict[str, Any] | None = None,
) -> Iterator[Step]:
    """These units, all that comes from them, and the checkpoint: one transaction."""
    name = units[0].name if position is None else "all"
    started = time.monotonic()
    done: list[Step] = []
    with state.connection.transaction():
        temporary: list[str] = []
        staged = stage_unit(spec, place, state, found, units, temporary)
        for chain in found:
            for transform in chain.transforms:
                if transform.name not in temporary:
                    create_temporary(state.connection, transform.name, transform.sql)
                    temporary.append(transform.name)
            counts = write_target(spec, place, state, chain, name, staged)
            way = staged.ways.get(chain.target.source, "transformed")
            took = time.monotonic() - started
            sources = ", ".join(one.name for one in chain.sources)
            done.append(Step(sources, name, str(chain.target.table), counts, way, took))
        drop_temporary(state.connection, [*reversed(temporary), "_dpe_latest"])
        if not (place.is_backfill and units[0].source.cursor):
            state.checkpoint(step, name, units[0].position if position is None else position)
    yield from done


# --- sources as they are, then SQL over them ---


def _landings(spec: Pipeline, found: Sequence[Chain]) -> tuple[list[Chain], list[Chain]]:
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


def _derive(
    spec: Pipeline, derived: Sequence[Chain], landings: Sequence[Chain], state: State
) -> Iterator[Step]:
    """Transforms over all that was ever loaded; nothing where neither that nor the spec has changed."""
    position = {"spec": spec.sha256, "loaded": {s.name: state.positions(s.name) for s in spec.sources}}
    if not derived or state.positions("derived").get("all") == position:
        return
    started = time.monotonic()
    done: list[Step] = []
    with state.connection.transaction():
        temporary: list[str] = []
        for chain in derived:
            counts = derive_target(spec, state, chain, landings, temporary)
            sources = ", ".join(one.name for one in chain.sources)
            took = time.monotonic() - started
            done.append(Step(sources, "all", str(chain.target.table), counts, "transformed", took))
        drop_temporary(state.connection, [*reversed(temporary), "_dpe_latest"])
        state.checkpoint("derived", "all", position)
    yield from done
