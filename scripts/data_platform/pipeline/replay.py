"""Rows in quarantine tried again, as all rows go: typed, transformed, merged, a version guarding what is newer.

Batch by batch, as they came. Where a run reads the whole each time (etl, snapshot, what elt derives), a row alone would
give another result than the whole, so the whole is read again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from data_platform.errors import UsageProblem
from data_platform.pipeline import dimensions, run, streams
from data_platform.pipeline.plan import Chain, chains, gathering, read_by
from data_platform.pipeline.recapturing import recapture
from data_platform.pipeline.run import Job, Ran, Tell
from data_platform.pipeline.steps import Step, step_of
from data_platform.pipeline.streams import Place
from data_platform.pipeline.writing import (
    DRIFTED,
    Batch,
    Work,
    look_at_written,
    merge_of,
    own_rows,
    transform,
    with_told,
)
from data_platform.postgres.pipelines import merging, relations, replaying, staging
from data_platform.postgres.pipelines.relations import Relation, Rule, table_name
from data_platform.postgres.pipelines.replaying import Group
from data_platform.postgres.pipelines.sessions import telling_types
from data_platform.postgres.pipelines.state import Counts
from data_platform.spec.checks import Check
from data_platform.spec.pipeline import Pipeline, Transform
from data_platform.spec.pipeline_patterns import WITHIN
from data_platform.sql.text import Sql, columns_of, identifier, joined, phrase

WHOLE = ("etl", "snapshot")
"""Patterns of which every run reads everything."""
BATCHES = ("incremental", "scd", "elt")
_STALE = "its key is there with other values, and without `version:` nobody can say which is newer"


@dataclass(frozen=True)
class Which:
    """What of the quarantine is tried. `reason` is a part of one; `overwrite` says that a row wins over its key's."""

    source: str | None = None
    reason: str | None = None
    limit: int | None = None
    overwrite: bool = False

    @property
    def is_part(self) -> bool:
        return self.source is not None or self.reason is not None or self.limit is not None


@dataclass(frozen=True)
class Replayed:
    """What came of it. `before` and `after` are rows in quarantine, `orphans` those of what the spec has no more."""

    ran: Ran
    before: int
    after: int
    orphans: int


@dataclass
class _Held:
    """Seen on the way; of the last attempt."""

    before: int = 0
    after: int = 0
    orphans: list[Group] = field(default_factory=list)


def replay(
    spec: Pipeline,
    place: Place,
    which: Which,
    *,
    dry_run: bool = False,
    tell: Tell = lambda text, share: None,
) -> Replayed:
    """Try what is in quarantine again. Raises what a run raises, and UsageProblem where a row cannot be tried alone."""
    if spec.pattern in WITHIN:
        raise UsageProblem(
            f"a pipeline with the pattern {spec.pattern} has no quarantine, so there is nothing to try again",
            where=spec.file,
            expected=f"one of {', '.join((*BATCHES, *WHOLE, 'cdc'))}",
            try_="dpe pipeline run: what was refused stopped it there, and it goes on once that is mended",
        )
    if spec.pattern == "cdc" and (which.reason is not None or which.limit is not None):
        raise UsageProblem(
            "cdc reads rows of quarantine again at the source, all of a source at once",
            where=spec.file,
            try_="dpe pipeline replay without --reason and --limit",
        )
    if which.is_part and spec.pattern in WHOLE:
        raise UsageProblem(
            f"{spec.pattern} reads everything each time, so there is no part of it to try again",
            where=spec.file,
            try_="dpe pipeline replay without --source, --reason and --limit",
        )
    names = [source.name for source in spec.sources] + [one.name for one in spec.transforms]
    if which.source is not None and which.source not in names:
        raise UsageProblem(f"there is no source `{which.source}`", expected=f"one of: {', '.join(names)}")
    seen = _Held()
    job = Job("run" if spec.pattern in WHOLE else "replay", lambda work: _steps(work, which, seen))
    ran = run.through(spec, place, job, dry_run=dry_run, tell=tell)
    return Replayed(ran, seen.before, seen.after, sum(one.rows for one in seen.orphans))


def _steps(work: Work, which: Which, seen: _Held) -> Iterator[Step]:
    found = chains(work.spec)
    seen.before, seen.orphans = replaying.held(work.state), []
    if work.spec.pattern in WHOLE:
        if seen.before:
            yield from run.all_at_once(work, found, again=True)
    elif work.spec.pattern == "cdc":
        own = [chain for chain in found if which.source in (None, chain.sources[0].name)]
        names = {chain.sources[0].name for chain in found}
        seen.orphans = [one for one in replaying.groups(work.state, None) if one.source not in names]
        if any(one.source in names for one in replaying.groups(work.state, None)):
            yield from recapture(work, found, own)
    elif work.spec.pattern == "elt":
        landings, derived = run.kept_and_derived(work.spec, found)
        yield from _groups(work, landings, which, seen)
        # What the derived tables refused is in the groups that no landing has.
        again = [one for one in seen.orphans if one.source in run.transforms_of(derived)]
        seen.orphans = [one for one in seen.orphans if one not in again]
        yield from run.derive(work, derived, landings, again=bool(again))
    else:
        yield from _groups(work, found, which, seen)
    seen.after = replaying.held(work.state)


def _groups(work: Work, found: Sequence[Chain], which: Which, seen: _Held) -> Iterator[Step]:
    """Each group a transaction of its own, those that came first first."""
    last = replaying.newest(work.state)
    wanted: list[tuple[Group, list[Chain]]] = []
    for group in replaying.groups(work.state, which.reason):
        own = _chains_of(group, found)
        if not own:
            seen.orphans.append(group)
        elif which.source in (None, group.source, *(s.name for s in own[0].sources)):
            _refuse_gathering(work.spec, group, own)
            wanted.append((group, own))
    left = which.limit
    for group, own in wanted:
        if left is not None and left <= 0:
            return
        yield from _group(work, group, own, replace(which, limit=left), last)
        left = None if left is None else left - min(left, group.rows)


def _chains_of(group: Group, found: Sequence[Chain]) -> list[Chain]:
    """The targets that the rows of a group have not reached."""
    if group.target is not None:
        return [
            chain
            for chain in found
            if table_name(chain.target.table) == group.target and chain.target.source == group.source
        ]
    return [chain for chain in found if group.source in _names(chain)]


def _names(chain: Chain) -> set[str]:
    return {one.name for one in chain.sources} | {one.name for one in chain.transforms}


def _behind(group: Group, chain: Chain) -> Iterator[tuple[Transform, frozenset[str]]]:
    """The transforms that rows of a group go through, each with what it reads of the batch beside them."""
    staged = _names(chain)
    through = {group.source}
    for one in chain.transforms:
        read = frozenset(read_by(one)) & staged
        if read & through:
            through.add(one.name)
            yield one, read - through


def _refuse_gathering(spec: Pipeline, group: Group, own: Sequence[Chain]) -> None:
    """UsageProblem where rows of a group alone would give others than they did among the rest of their batch."""
    if group.target is not None:
        return  # these are behind the transforms
    for chain in own:
        for one, beside in _behind(group, chain):
            if beside:
                raise UsageProblem(
                    f"`{one.name}` reads {', '.join(sorted(beside))} too, whose rows of that time are gone",
                    where=spec.file,
                    expected=f"what reads `{group.source}` alone, and tables of the store",
                    try_="mend the rows at the source, which then gives them again: dpe pipeline run",
                )
            if gathering(one):
                raise UsageProblem(
                    f"`{one.name}` makes one row of several, so rows of `{group.source}` alone would give another one",
                    where=spec.file,
                    expected="transforms that look at one row at a time",
                    try_="mend the rows at the source, which then gives them again: dpe pipeline run",
                )


def _group(work: Work, group: Group, own: Sequence[Chain], which: Which, last: int) -> Iterator[Step]:
    started = time.monotonic()
    work = replace(work, spec=replace(work.spec, checks=_of_some_rows(work.spec.checks)))
    state = work.state
    source = own[0].sources[0]
    with state.connection.transaction():
        picked = replaying.pick(state, group, which.reason, which.limit, last)
        temporary: list[str] = []
        columns = _columns(work, group, own[0], picked.columns, temporary)
        # What a target refused was typed before.
        raw = group.target is None and any(
            one.name == group.source and not one.is_json for one in own[0].sources
        )
        staged = replaying.restage(state, group.source, columns, "objects of texts" if raw else "objects")
        temporary.append(group.source)
        relations.analyze(state.connection, group.source)
        batch = Batch()
        if group.target is None:
            batch.look_at(work, group.source, group.unit)
            transform(work, own, group.unit, temporary, batch)
        done = [
            step_of(chain, group.unit, _write(work, own, chain, group.unit, which), staged.way, started)
            for chain in own
        ]
        for chain in own:
            look_at_written(work, chain, batch)
        aside = staged.quarantined + sum(batch.quarantined.values())
        bad = Counts(read=aside, quarantined=aside)
        same_rows = group.target is not None or not any([*_behind(group, chain)] for chain in own)
        replaying.settle(state, group, picked, same_rows=same_rows)
        relations.drop_temporary(state.connection, [*reversed(temporary)])
        state.touch(source.name, group.unit)
    yield from (replace(step, counts=step.counts.plus(bad)) for step in with_told(done, batch))


def _of_some_rows(checks: Sequence[Check]) -> tuple[Check, ...]:
    """What can be asked where not all rows of a unit are there: each row, and the target as it is in the end."""
    return tuple(check for check in checks if check.action == "quarantine" or check.staged is None)


def _columns(
    work: Work, group: Group, chain: Chain, there: Sequence[str], temporary: list[str]
) -> Mapping[str, Sql]:
    """The types of a group's rows: of their source, or of the transform that they came out of."""
    source = chain.sources[0]
    path = work.place.base / group.unit if source.path is not None else None
    columns = streams.columns_of(source, work.place, path)
    if work.spec.drift == "evolve":
        columns |= {name: DRIFTED for name in there if name not in columns}
    if group.source == source.name:
        return columns
    staging.make_room(work.state.connection, source.name, columns)
    temporary.append(source.name)
    unchecked = replace(work, spec=replace(work.spec, checks=()))
    transform(unchecked, [chain], group.unit, temporary, Batch())
    found = relations.temporary(work.state.connection, group.source)
    # Of no rows; the rows come out of the quarantine into a table of these types, and go on from there.
    made = [one.name for one in reversed(chain.transforms) if one.name in temporary]
    relations.drop_temporary(work.state.connection, made)
    temporary[:] = [name for name in temporary if name not in made]
    return {name: Sql(type_) for name, type_ in found.columns.items()}


def _write(work: Work, own: Sequence[Chain], chain: Chain, unit: str, which: Which) -> Counts:
    """As a run does, but nothing is deleted for missing: the rows are never the whole."""
    types = telling_types(chain.target.source, unit, table_name(chain.target.table))
    with own_rows(work.state, chain.target, own) as rows, types:
        if work.spec.pattern == "scd":
            return _version(work, chain, unit, rows, which)
        wanted = merge_of(work.spec, work.state, chain, rows)
        rules = [] if which.overwrite or not _is_stale(chain) else [_not_there(wanted)]
        return merging.merge(work.state, chain.target.source, unit, wanted, rules)


def _is_stale(chain: Chain) -> bool:
    """Whether a row that waited in quarantine may be older than the target's, and nothing tells."""
    return bool(chain.target.key) and chain.target.version is None


def _not_there(wanted: merging.Merge) -> Rule:
    others = [name for name in wanted.columns if name not in wanted.key]
    differs = merging.differs(wanted, "r") if others else Sql("false")
    gone = phrase(" OR coalesce(r.{gone}, false)", gone=identifier(wanted.gone)) if wanted.gone else Sql("")
    condition = phrase(
        "NOT EXISTS (SELECT FROM {target} t WHERE {same} AND ({differs}{gone}))",
        target=wanted.target.name,
        same=merging.same_key(wanted),
        differs=differs,
        gone=gone,
    )
    return Rule(_STALE, condition)


def _version(work: Work, chain: Chain, unit: str, rows: Relation, which: Which) -> Counts:
    """Into a dimension; where rows do not say from when they hold, only those of keys that it does not have."""
    table = table_name(chain.target.table)
    bad = 0
    is_there = relations.read_relation(work.state.connection, table) is not None
    if is_there and _is_stale(chain) and not which.overwrite:
        same = joined(
            " AND ", [Sql(f"{columns_of('t', [n])} = {columns_of('r', [n])}") for n in chain.target.key]
        )
        absent = phrase("NOT EXISTS (SELECT FROM {table} t WHERE {same})", table=table, same=same)
        rule = Rule(_STALE, absent)
        bad = merging.set_aside(work.state, chain.target.source, unit, rows.name, [rule], table)
    counts = dimensions.write(work.spec, work.state, chain, unit, rows, whole=False)
    return counts.plus(Counts(read=bad, quarantined=bad))
