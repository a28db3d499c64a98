"""Within the transaction of a unit: its streams staged, and its targets brought to what came of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import urlsplit

from data_platform.errors import UsageProblem
from data_platform.pipeline import dimensions, emptying, streams, swap
from data_platform.pipeline.comparing import compare_keys
from data_platform.pipeline.plan import Chain
from data_platform.pipeline.quality.gating import has_staged, look_at_staged, look_at_target
from data_platform.pipeline.quality.verdicts import Verdict
from data_platform.pipeline.steps import Step
from data_platform.pipeline.streams import Place, Unit
from data_platform.postgres.pipelines import merging, relations, staging, swapping
from data_platform.postgres.pipelines.beside import Beside
from data_platform.postgres.pipelines.fitting import fitting
from data_platform.postgres.pipelines.merging import Merge
from data_platform.postgres.pipelines.relations import Relation, table_name
from data_platform.postgres.pipelines.sessions import telling_types
from data_platform.postgres.pipelines.staging import Staged, Stream, Terms
from data_platform.postgres.pipelines.state import COLUMNS, Counts, State
from data_platform.spec.pipeline import OWN_PREFIX, Deletes, Drift, Pipeline, Target
from data_platform.sql.text import NotSql, Sql, identifier, identifiers, literal, phrase

OWN = "_dpe_own"
"""The rows of the target that is being written."""
DRIFTED = Sql("text")
"""The type of a column that nobody declared."""


@dataclass
class Batch:
    """What is staged: by source or transform how many rows were read and are in quarantine, and how the others came.

    `direct` rows are in their target already; `told` are checks that do not hold and may.
    """

    read: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    ways: dict[str, str] = field(default_factory=dict)
    direct: dict[str, int] = field(default_factory=dict)
    told: list[Verdict] = field(default_factory=list)
    beside: list[Beside] = field(default_factory=list)
    """New tables that wait for their exchange."""
    left_out: dict[str, set[str]] = field(default_factory=dict)
    """By source the columns that it has and nobody declared."""

    def add(self, source: str, staged: Staged) -> None:
        self.read[source] = self.read.get(source, 0) + staged.read
        self.quarantined[source] = self.quarantined.get(source, 0) + staged.quarantined
        self.ways[source] = staged.way

    def look_at(self, work: Work, name: str, unit: str) -> None:
        """What the checks of a staged source or transform set aside and tell."""
        if has_staged(work.spec, name):
            aside, told = look_at_staged(work.spec, work.state, name, unit)
            self.quarantined[name] = self.quarantined.get(name, 0) + aside
            self.told += told

    def refused(self, chain: Chain) -> int:
        """Rows in quarantine of all that leads to a target."""
        names = [*(one.name for one in chain.sources), *(one.name for one in chain.transforms)]
        return sum(self.quarantined.get(name, 0) for name in names)


@dataclass(frozen=True)
class Work:
    """What a run works on: the spec, where, and the session with what it remembers."""

    spec: Pipeline
    place: Place
    state: State
    dry_run: bool = False
    """Whether all of it will be taken back: then nothing may be done elsewhere."""
    emptied: dict[str, None] = field(default_factory=dict)
    """Targets that somebody else emptied, as they are found."""


def stage_unit(work: Work, found: Sequence[Chain], units: Sequence[Unit], temporary: list[str]) -> Batch:
    """Each unit's stream as a temporary table named as its source, or straight into its target where it can go."""
    spec, place, state = work.spec, work.place, work.state
    batch = Batch()
    for unit in units:
        name = unit.source.name
        with streams.opened(unit, place) as (stream, declared):
            _refuse_fewer(work, unit, stream)
            columns, extra = drifted(spec.drift, unit, stream, declared)
            refused = _refused(spec.drift, stream, columns, extra)
            if refused:
                columns, extra = {c: type_ for c, type_ in columns.items() if c in stream.columns}, {}
            left_out = batch.left_out.setdefault(name, set())
            left_out.update(extra)
            staging.make_room(state.connection, name, {**declared, **columns, **extra})
            if not refused and _goes_straight(spec, found, unit, units, extra):
                rows = _straight(state, spec, found[0].target, stream, columns)
                if rows is not None:
                    relations.drop_temporary(state.connection, [name])
                    batch.direct[name] = rows
                    batch.ways[name] = "straight"
                    continue
            if name not in temporary:
                temporary.append(name)
            terms = Terms(partial(_undeclared, spec.drift, unit, left_out), refused, batch.read.get(name, 0))
            batch.add(name, staging.stage(state, name, unit.name, stream, columns, terms))
            staging.leave_out(state.connection, name, extra)
    for unit in units:
        unit.refuse_changed()
    for name in temporary:
        relations.analyze(state.connection, name, _matched(spec, found, name))
        batch.look_at(work, name, units[0].name if len(units) == 1 else "all")
    return batch


def _matched(spec: Pipeline, found: Sequence[Chain], name: str) -> tuple[str, ...]:
    """Columns whose statistics are wanted: what the rows are merged by, where they are only merged; none is all."""
    if spec.pattern == "scd" or has_staged(spec, name) or any(chain.transforms for chain in found):
        return ()
    merged = next((chain for chain in found if chain.target.source == name and chain.target.key), None)
    if merged is None:
        return ()
    gone = merged.deletes.column
    return (*merged.target.key, *([gone] if gone else []))


def drifted(
    drift: Drift, unit: Unit, stream: Stream, declared: Mapping[str, Sql]
) -> tuple[dict[str, Sql], dict[str, Sql]]:
    """Columns that are wanted, and those of the stream that are not. UsageProblem where they differ and must not."""
    extra = {name: DRIFTED for name in stream.columns if name not in declared}
    missing = [name for name in declared if name not in stream.columns]
    if drift == "freeze" and (extra or missing):
        raise _drift(unit, list(extra), missing, list(declared))
    if drift == "evolve":
        return {**declared, **extra}, {}
    return dict(declared), extra


def _refuse_fewer(work: Work, unit: Unit, stream: Stream) -> None:
    """UsageProblem for a source that says its own columns, and has lost one since the last batch that it gave."""
    if unit.source.columns:
        return
    name, now = unit.source.name, list(stream.columns)
    before: list[str] = work.state.positions(COLUMNS).get(name, {}).get("columns", [])
    missing = [column for column in before if column not in now]
    if missing and work.spec.drift == "freeze":
        raise _drift(unit, (), missing, before)
    if before != now:
        work.state.checkpoint(COLUMNS, name, {"columns": now})


def _refused(
    drift: Drift, stream: Stream, declared: Mapping[str, Sql], extra: Mapping[str, Sql]
) -> Sql | None:
    """The reason for which a row goes into quarantine: who wrote it may mean something else by the other columns."""
    if drift != "quarantine":
        return None
    if stream.is_json:
        return staging.has_other_keys(declared)
    missing = [name for name in declared if name not in stream.columns]
    return literal(f"the source {_differences(list(extra), missing)}") if extra or missing else None


def _differences(extra: Sequence[str], missing: Sequence[str]) -> str:
    """What a source has and has not, as a part of a sentence."""
    told = [f"has {', '.join(extra)} that nobody declared"] if extra else []
    told += [f"does not have {', '.join(missing)}"] if missing else []
    return " and ".join(told)


def _drift(unit: Unit, extra: Sequence[str], missing: Sequence[str], declared: Sequence[str]) -> UsageProblem:
    source = unit.source
    address = urlsplit(source.url)._replace(query="", fragment="") if source.url else None
    where = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl() if address else None
    return UsageProblem(
        f"the source `{source.name}` has drifted: it {_differences(extra, missing)}",
        where=str(unit.path or source.table or where or source.name),
        expected=f"these columns: {', '.join(declared)}",
        try_="declare them, or `drift: evolve`, `drift: ignore` or `drift: quarantine`",
    )


def _undeclared(drift: Drift, unit: Unit, left_out: set[str], keys: Sequence[str]) -> dict[str, Sql]:
    """Keys of JSON that nobody declared, by the same policy; one that cannot be a name is left out in any case."""
    if drift == "freeze":
        raise _drift(unit, keys, (), list(unit.source.columns))
    if drift == "quarantine":
        return {}
    names = [key for key in keys if drift == "evolve" and _can_be_a_name(key)]
    left_out.update(key for key in keys if key not in names)
    return dict.fromkeys(names, DRIFTED)


def _can_be_a_name(key: str) -> bool:
    try:
        identifier(key)
    except NotSql:
        return False
    return not key.startswith(OWN_PREFIX)


def _goes_straight(
    spec: Pipeline, found: Sequence[Chain], unit: Unit, units: Sequence[Unit], extra: Mapping[str, Sql]
) -> bool:
    """Whether COPY may write the target itself: one target, nothing in between, and nothing to compare with."""
    if (
        len(found) != 1
        or len(units) != 1
        or extra
        or found[0].transforms
        or has_staged(spec, unit.source.name)
    ):
        return False
    return spec.pattern in ("incremental", "elt", "etl") and unit.source.deletes is None


def _straight(
    state: State, spec: Pipeline, target: Target, stream: Stream, columns: Mapping[str, Sql]
) -> int | None:
    """The rows that COPY wrote; None where the target has rows already, other types, or refuses one of these."""
    if stream.is_json:
        return None
    types = {name: str(type_) for name, type_ in columns.items()}
    if target.key and types.keys() >= set(target.key):
        there = relations.read_relation(state.connection, table_name(target.table))
        if there is None:
            return _created(state, target, stream, types)
    found = target_table(state, spec, target, types, ())
    staged = relations.temporary(state.connection, target.source).columns
    if any(staged[name] != found.columns.get(name) for name in columns):
        return None
    if not (target.key or spec.pattern == "etl"):
        return staging.copy_if_good(state.connection, found.name, stream)
    if not relations.is_empty(state.connection, found.name):
        return None
    return staging.copy_if_good(state.connection, found.name, stream)


def _created(state: State, target: Target, stream: Stream, columns: Mapping[str, str]) -> int | None:
    """As `_straight`, into a table that is made for it, its key after the rows: one sort, no insertion for each."""
    connection = state.connection
    made = relations.create_table(connection, target.table, columns, ())
    rows = staging.copy_if_good(connection, made.name, stream)
    return rows if relations.add_key(connection, made, target.key) else None


# --- targets ---


def target_table(
    state: State, spec: Pipeline, target: Target, columns: Mapping[str, str], leave_out: Sequence[str]
) -> Relation:
    """The target as it is, made where it is not there, with the columns that the drift policy lets it grow.

    Raises UsageProblem: no unique index on the key, or columns that the target does not have.
    """
    connection = state.connection
    wanted = {name: type_ for name, type_ in columns.items() if name not in leave_out}
    unknown = [name for name in target.key if name not in columns]
    if unknown:
        raise UsageProblem(f"the key of {target.table} is not in what it is made of: {', '.join(unknown)}")
    there = relations.read_relation(connection, table_name(target.table))
    if there is None:
        return relations.create_table(connection, target.table, wanted, target.key)
    if not relations.is_table(connection, there.name):
        raise UsageProblem(
            f"{target.table} is no table, and only one can be written to",
            expected="a table; or none of that name, and a run makes it",
        )
    if target.key and not relations.has_key(connection, there.name, target.key):
        raise UsageProblem(
            f"{target.table} has no unique index on {', '.join(target.key)}",
            expected="one, so that a row is there once whatever happens",
            try_=f"CREATE UNIQUE INDEX CONCURRENTLY ON {there.name} ({identifiers(target.key)});",
        )
    new = {name: type_ for name, type_ in wanted.items() if name not in there.columns}
    if new and spec.drift == "evolve":
        relations.add_columns(connection, there, new)
        there = relations.read_relation(connection, there.name)
        assert there is not None
    elif new and spec.drift == "freeze":
        raise UsageProblem(
            f"{target.table} does not have the columns {', '.join(new)}",
            try_="add them by a migration, or `drift: evolve` or `drift: ignore`",
        )
    return there


def transform(work: Work, found: Sequence[Chain], unit: str, temporary: list[str], batch: Batch) -> None:
    """The transforms of these targets as temporary tables, all of them before any target is written."""
    for chain in found:
        for one in chain.transforms:
            if one.name not in temporary:
                relations.create_temporary(work.state.connection, one.name, one.sql)
                temporary.append(one.name)
                batch.look_at(work, one.name, unit)


def exchange(work: Work, batch: Batch) -> None:
    """New tables take the names of the old ones; not in a dry run, whose readers would wait until it is taken back."""
    for one in batch.beside:
        if work.dry_run:
            swapping.discard(work.state.connection, one)
        else:
            swapping.exchange(work.state.connection, one)


def look_at_written(work: Work, chain: Chain, batch: Batch) -> None:
    """The checks of a target, in the transaction that wrote it."""
    batch.told += look_at_target(work.spec, work.state, chain.target.table)


def with_told(done: Sequence[Step], batch: Batch) -> Iterator[Step]:
    """What checks tell stands with the first step of its transaction."""
    for number, step in enumerate(done):
        yield replace(step, told=tuple(batch.told)) if number == 0 and batch.told else step


def write_target(work: Work, found: Sequence[Chain], chain: Chain, unit: str, batch: Batch) -> Counts:
    """What is staged into its target; counts add up to the rows that the sources gave."""
    spec, state = work.spec, work.state
    target = chain.target
    if target.source in batch.direct:
        rows = batch.direct[target.source]
        return Counts(read=rows, inserted=rows)
    bad = batch.refused(chain)
    refused = Counts(read=bad, quarantined=bad)
    types = telling_types(target.source, unit, table_name(target.table))
    with own_rows(state, target, found) as own, types:
        deletes = _deletes(work, chain, own, batch) if not bad else chain.deletes
        if spec.pattern == "scd":
            at_most = deletes.at_most
            return dimensions.write(spec, state, chain, unit, own, whole=not bad, at_most=at_most).plus(
                refused
            )
        wanted = merge_of(spec, state, chain, own)
        whole = emptying.is_whole(spec, chain)
        if target.swap and not bad:
            swapped = swap.built(state, target, unit, wanted, deletes)
            if swapped is not None:
                batch.beside += swapped.beside
                return swapped.counts
        if whole and not target.key:
            aside = merging.set_aside(
                state, target.source, unit, wanted.relation, wanted.fitting, wanted.target.name
            )
            bad, refused = bad + aside, refused.plus(Counts(read=aside, quarantined=aside))
            if bad and relations.is_empty(state.connection, wanted.relation):
                raise _emptied(target, bad)
            return merging.replace(state, wanted).plus(refused)
        # A row in quarantine is of some key, which then looks as if the source had it no more.
        if not bad and emptying.takes_away(spec, chain):
            wanted = replace(wanted, missing=True, at_most=deletes.at_most if deletes.missing else 1.0)
        counts = merging.merge(state, target.source, unit, wanted)
        if deletes.missing and not whole:
            counts = counts.plus(Counts(deleted=compare_keys(state, work.place, spec, chain, wanted)))
        return counts.plus(refused)


def _deletes(work: Work, chain: Chain, own: Relation, batch: Batch) -> Deletes:
    """As the spec says, unless nothing came and nothing would be left. UsageProblem where that is not meant."""
    connection, target = work.state.connection, table_name(chain.target.table)
    is_there = relations.read_relation(connection, target) is not None
    if is_there and emptying.takes_away(work.spec, chain) and relations.is_empty(connection, own.name):
        return emptying.deletes_of(connection, work.place, work.spec, chain, target, batch.read)
    return chain.deletes


def _emptied(target: Target, bad: int) -> UsageProblem:
    return UsageProblem(
        f"not one row is left for {target.table}: {bad:,} are refused, and the table would be empty",
        expected="at least one row that is good",
        try_="--dry-run with drift: freeze and `columns:` of type text shows what the source has",
    )


@contextmanager
def own_rows(state: State, target: Target, found: Sequence[Chain]) -> Iterator[Relation]:
    """The temporary table that a target is made of, which loses the rows that the target refuses.

    Where another target is made of the same one it is a copy: what one refuses is not refused for the other.
    """
    if sum(chain.target.source == target.source for chain in found) == 1:
        yield relations.temporary(state.connection, target.source)
        return
    source = phrase("SELECT * FROM pg_temp.{name}", name=identifier(target.source))
    yield relations.create_temporary(state.connection, OWN, source)
    relations.drop_temporary(state.connection, [OWN])


def merge_of(spec: Pipeline, state: State, chain: Chain, relation: Relation) -> Merge:
    """The merge of a temporary table into the target."""
    target = chain.target
    column = chain.deletes.column
    gone = column if column in relation.columns else None
    table = target_table(state, spec, target, relation.columns, [gone] if gone else [])
    columns = tuple(name for name in relation.columns if name in table.writable)
    return Merge(
        relation=relation.name,
        target=table,
        columns=columns,
        # What SQL makes, an average say, is meant to be rounded by the table's type; what came from outside is not.
        fitting=fitting(state.connection, relation.columns, table, columns, exactly=not chain.transforms),
        key=target.key,
        version=target.version,
        gone=gone,
    )


def view_landings(
    state: State, derived: Sequence[Chain], landings: Sequence[Chain], temporary: list[str]
) -> None:
    """The tables that keep the sources of elt, under the names that SQL knows them by."""
    kept = {landing.target.source: landing.target.table for landing in landings}
    for name in {source.name: None for chain in derived for source in chain.sources}:
        relations.create_temporary_view(state.connection, name, table_name(kept[name]))
        temporary.append(name)


def derive_target(work: Work, derived: Sequence[Chain], chain: Chain, batch: Batch) -> Counts:
    """A target of elt, which equals its transforms over all that was ever loaded."""
    state, bad = work.state, batch.refused(chain)
    refused = Counts(read=bad, quarantined=bad)
    with own_rows(state, chain.target, derived) as own:
        wanted = merge_of(work.spec, state, chain, own)
        if chain.target.key:
            # As everywhere: with a row in quarantine its key only looks as if it were there no more.
            missing = replace(wanted, missing=not bad)
            return merging.merge(state, chain.target.source, "all", missing).plus(refused)
        return merging.replace(state, wanted).plus(refused)
