"""A batch into a slowly changing dimension, whose table is made where it is not there."""

from __future__ import annotations

from dataclasses import replace

from data_platform.errors import UsageProblem
from data_platform.pipeline.history import (
    COUNTS,
    Dimension,
    absent,
    dimension_tables,
    extensions,
    guard,
    merge,
    rules,
)
from data_platform.pipeline.plan import Chain
from data_platform.postgres.pipelines import merging, relations
from data_platform.postgres.pipelines.fitting import fitting
from data_platform.postgres.pipelines.relations import ROW, Relation, Rule, table_name
from data_platform.postgres.pipelines.state import Counts, State
from data_platform.spec.pipeline import Pipeline
from data_platform.sql.text import Sql


def dimension_of(spec: Pipeline, chain: Chain, batch: Relation) -> Dimension:
    """The target as a dimension over the columns that a batch has. UsageProblem where these do not agree."""
    target, gone = chain.target, chain.deletes.column
    apart = {*target.key, *filter(None, [target.version, gone])}
    absent = [name for name in apart if name not in batch.columns]
    if absent:
        raise UsageProblem(
            f"what {target.table} is made of does not have: {', '.join(absent)}", where=spec.file
        )
    types = {name: Sql(type_) for name, type_ in batch.columns.items()}
    return Dimension(
        table=target.table,
        key={name: types[name] for name in target.key},
        attributes={name: type_ for name, type_ in types.items() if name not in apart},
        type=target.type,
        tracked=target.tracked,
        effective=target.version,
        time=types[target.version] if target.version else Sql("timestamptz"),
        tombstone=gone,
        missing=chain.deletes.missing,
        server_version=spec.server_version,
    )


def _refuse_too_many(state: State, dimension: Dimension, batch: Sql, at_most: float) -> None:
    """UsageProblem where a batch that is the whole would close more keys than the spec allows."""
    row = relations.run(state.connection, (absent(dimension, batch),))
    assert row is not None
    merging.refuse_too_many(row[0], row[1], at_most, table_name(dimension.table))


def write(
    spec: Pipeline,
    state: State,
    chain: Chain,
    unit: str,
    batch: Relation,
    *,
    whole: bool,
    at_most: float = 1.0,
) -> Counts:
    """A batch into its dimension. Rows that say that a key is gone count as unchanged.

    `whole` is whether every row of the source is in the batch: else a key that it does not have may be there.
    `at_most` is the share of the keys that may be closed for being missing.
    """
    connection = state.connection
    dimension = dimension_of(spec, chain, batch)
    table = table_name(chain.target.table)
    there = relations.read_relation(connection, table)
    if there is None:
        relations.create_schema(connection, chain.target.table.schema)
        relations.create_extensions(connection, extensions(dimension))
        relations.run(connection, dimension_tables(dimension, guarded=False))
    wanted = [Rule(name, condition) for name, condition in rules(dimension)]
    if there is not None:
        shared = [name for name in batch.columns if name in there.columns]
        wanted += fitting(connection, batch.columns, there, shared, exactly=not chain.transforms)
    bad = merging.set_aside(state, chain.target.source, unit, batch.name, wanted, table)
    if bad or not whole:
        dimension = replace(dimension, missing=False)
    if dimension.missing:
        _refuse_too_many(state, dimension, batch.name, at_most)
    row = relations.run(connection, merge(dimension, batch.name, order=ROW))
    if there is None:
        relations.run(connection, guard(dimension))
    found = dict(zip(COUNTS, row or (), strict=True))
    inserted, updated, said_gone = found["inserted"], found["updated"], found["deleted"]
    unchanged = found["unchanged"] + found["superseded"] + said_gone
    return Counts(
        read=inserted + updated + unchanged + bad,
        inserted=inserted,
        updated=updated,
        deleted=said_gone + found["missing"],
        unchanged=unchanged,
        quarantined=bad,
    )
