"""Within the transaction of a unit: its streams staged, and its targets brought to what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from data_platform.errors import UsageProblem
from data_platform.pipeline import dimensions, streams
from data_platform.pipeline.plan import Chain
from data_platform.pipeline.streams import Place, Unit
from data_platform.postgres.pipelines import merging, relations, staging
from data_platform.postgres.pipelines.merging import Merge
from data_platform.postgres.pipelines.relations import Relation, table_name
from data_platform.postgres.pipelines.staging import Staged, Stream
from data_platform.postgres.pipelines.state import Counts, State
from data_platform.spec.pipeline import Deletes, Drift, Pipeline, Target
from data_platform.sql.text import Sql, identifiers

DRIFTED = Sql("text")
"""The type of a column that nobody declared."""


@dataclass
class Batch:
    """What is staged: by source how many rows came and how. `direct` rows are in their target already."""

    read: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    ways: dict[str, str] = field(default_factory=dict)
    direct: dict[str, int] = field(default_factory=dict)

    def add(self, source: str, staged: Staged) -> None:
        self.read[source] = self.read.get(source, 0) + staged.read
        self.quarantined[source] = self.quarantined.get(source, 0) + staged.quarantined
        self.ways[source] = staged.way


def stage_unit(
    spec: Pipeline,
    place: Place,
    state: State,
    found: Sequence[Chain],
    units: Sequence[Unit],
    temporary: list[str],
) -> Batch:
    """Each unit's stream as a temporary table named as its source, or straight into its target where it can go."""
    batch = Batch()
    for unit in units:
        name = unit.source.name
        with streams.opened(unit, place) as (stream, declared):
            columns, extra = drifted(spec.drift, unit, stream, declared)
            if _goes_straight(spec, found, unit, units, extra):
                rows = _straight(state, spec, found[0].target, stream, columns)
                if rows is not None:
                    batch.direct[name] = rows
                    batch.ways[name] = "straight"
                    continue
            if name not in temporary:
                staging.create_stage(state.connection, name, columns, extra)
                temporary.append(name)
            batch.add(name, staging.stage(state, name, unit.name, stream, columns))
    for name in temporary:
        relations.analyze(state.connection, name)
    return batch


def drifted(
    drift: Drift, unit: Unit, stream: Stream, declared: Mapping[str, Sql]
) -> tuple[dict[str, Sql], dict[str, Sql]]:
    """Columns that are wanted, and those of the stream that are not. UsageProblem where they differ and must not."""
    extra = {name: DRIFTED for name in stream.columns if name not in declared}
    missing = [name for name in declared if name not in stream.columns]
    if drift == "freeze" and (extra or missing):
        told = [f"has {', '.join(extra)} that nobody declared"] if extra else []
        told += [f"does not have {', '.join(missing)}"] if missing else []
        raise UsageProblem(
            f"the source `{unit.source.name}` has drifted: it {' and '.join(told)}",
            where=str(unit.path or unit.source.table or unit.source.url or unit.source.name),
            expected=f"these columns: {', '.join(declared)}",
            try_="declare them, or `drift: evolve` or `drift: ignore`",
        )
    if drift == "evolve":
        return {**declared, **extra}, {}
    return dict(declared), extra


def _goes_straight(
    spec: Pipeline, found: Sequence[Chain], unit: Unit, units: Sequence[Unit], extra: Mapping[str, Sql]
) -> bool:
    """Whether COPY may write the target itself: one target, nothing in between, and nothing to compare with."""
    if len(found) != 1 or len(units) != 1 or extra or found[0].transforms:
        return False
    return spec.pattern in ("incremental", "elt", "etl") and unit.source.deletes is None


def _straight(
    state: State, spec: Pipeline, target: Target, stream: Stream, columns: Mapping[str, Sql]
) -> int | None:
    """The rows that COPY wrote; None where the target has rows already, or refuses one of these."""
    if stream.is_json:
        return None
    found = target_table(state, spec, target, {name: str(type_) for name, type_ in columns.items()}, ())
    if (target.key or target.replace) and not relations.is_empty(state.connection, found.name):
        return None
    return staging.copy_if_good(state.connection, found.name, stream)


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


def write_target(spec: Pipeline, place: Place, state: State, chain: Chain, unit: str, batch: Batch) -> Counts:
    """What is staged into its target; counts add up to the rows that the sources gave."""
    target = chain.target
    if target.source in batch.direct:
        rows = batch.direct[target.source]
        return Counts(read=rows, inserted=rows)
    bad = sum(batch.quarantined.get(one.name, 0) for one in chain.sources)
    refused = Counts(read=bad, quarantined=bad)
    if spec.pattern == "scd":
        return dimensions.write(spec, state, chain, unit).plus(refused)
    wanted = _wanted(spec, state, chain)
    deletes = chain.deletes
    whole = spec.pattern in ("etl", "snapshot")
    if deletes.missing and whole:
        wanted = replace(wanted, missing=True, at_most=deletes.at_most)
    if spec.pattern == "snapshot" and not deletes.missing:
        wanted = replace(wanted, missing=True)
    if not target.key and (target.replace or whole):
        counts = merging.replace(state, wanted)
    else:
        counts = merging.merge(state, target.source, unit, wanted)
    if deletes.missing and not whole:
        counts = counts.plus(Counts(deleted=_compare_keys(place, state, chain, wanted, deletes)))
    return counts.plus(refused)


def _wanted(spec: Pipeline, state: State, chain: Chain) -> Merge:
    """The merge of what is staged under the target's source name."""
    target = chain.target
    relation = relations.temporary(state.connection, target.source)
    column = chain.deletes.column
    gone = column if column in relation.columns else None
    table = target_table(state, spec, target, relation.columns, [gone] if gone else [])
    return Merge(
        relation=relation.name,
        target=table,
        columns=tuple(name for name in relation.columns if name in table.writable),
        key=target.key,
        version=target.version,
        gone=gone,
    )


def _compare_keys(place: Place, state: State, chain: Chain, wanted: Merge, deletes: Deletes) -> int:
    """Delete what the source has no more; its keys are read for that after the batch."""
    source = chain.sources[0]
    if source.dsn is None:
        return 0
    name = "_dpe_keys"
    stream = streams.keys(source, place, chain.target.key)
    columns = {column: Sql(wanted.target.columns[column]) for column in stream.columns}
    staging.create_stage(state.connection, name, columns, {})
    staging.stage(state, name, "keys", stream, columns)
    deleted = merging.delete_missing(
        state.connection, replace(wanted, relation=Sql(f"pg_temp.{name}"), at_most=deletes.at_most)
    )
    relations.drop_temporary(state.connection, [name])
    return deleted


def derive_target(
    spec: Pipeline, state: State, chain: Chain, landings: Sequence[Chain], temporary: list[str]
) -> Counts:
    """A target of elt: its transforms over the tables that keep the sources, which it equals afterwards."""
    kept = {landing.target.source: landing.target.table for landing in landings}
    for source in chain.sources:
        if source.name not in temporary:
            relations.create_temporary_view(state.connection, source.name, table_name(kept[source.name]))
            temporary.append(source.name)
    for transform in chain.transforms:
        if transform.name not in temporary:
            relations.create_temporary(state.connection, transform.name, transform.sql)
            temporary.append(transform.name)
    wanted = _wanted(spec, state, chain)
    if chain.target.key:
        return merging.merge(state, chain.target.source, "all", replace(wanted, missing=True))
    return merging.replace(state, wanted)
