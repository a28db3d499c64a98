"""The keys that a database has, against those of a target whose batches are parts of it: what is gone goes."""

from __future__ import annotations

from dataclasses import replace

from data_platform.errors import UsageProblem
from data_platform.pipeline import emptying, streams
from data_platform.pipeline.plan import Chain
from data_platform.pipeline.streams import Place
from data_platform.postgres.pipelines import merging, relations, staging
from data_platform.postgres.pipelines.merging import Merge
from data_platform.postgres.pipelines.state import State
from data_platform.spec.pipeline import Pipeline
from data_platform.sql.text import Sql

_KEYS = "_dpe_keys"


def compare_keys(state: State, place: Place, spec: Pipeline, chain: Chain, wanted: Merge) -> int:
    """Delete what the source has no more; its keys are read for that after the batch. How many rows went.

    UsageProblem where keys of the target are not those of the source, or too many would go.
    """
    source, connection = chain.sources[0], state.connection
    _refuse_other_keys(spec, place, chain)
    stream = streams.keys(source, place, chain.target.key)
    columns = {column: Sql(wanted.target.columns[column]) for column in stream.columns}
    staging.make_room(connection, _KEYS, columns)
    staged = staging.stage(state, _KEYS, "keys", stream, columns)
    if staged.quarantined:
        raise UsageProblem(f"keys of `{source.name}` are none of the types that {chain.target.table} has")
    came = {source.name: staged.read}
    deletes = emptying.deletes_of(connection, place, spec, chain, wanted.target.name, came)
    keys = Sql(f"pg_temp.{_KEYS}")
    deleted = merging.delete_missing(connection, replace(wanted, relation=keys, at_most=deletes.at_most))
    relations.drop_temporary(connection, [_KEYS])
    return deleted


def _refuse_other_keys(spec: Pipeline, place: Place, chain: Chain) -> None:
    """UsageProblem where SQL makes the key: the source's own keys would all look as if they were other ones."""
    if not chain.transforms:
        return
    from data_platform.pipeline.lineage import lineages  # noqa: PLC0415  sqlglot, for this alone

    known = {one.name: streams.columns_of(one, place, None) for one in chain.sources}
    sources = tuple(replace(one, columns=known.get(one.name, one.columns)) for one in spec.sources)
    table = str(chain.target.table)
    made = next(one for one in lineages(replace(spec, sources=sources)) if one.table == table)
    own = {
        column.name
        for column in made.columns
        if [(o.column, o.how) for o in column.origins] == [(column.name, "identity")]
        and not column.unresolved
    }
    for name in chain.target.key:
        if name not in own:
            raise UsageProblem(
                f"`{name}` of {table} is made by SQL, and what is gone is told by the keys that the source has",
                where=spec.file,
                expected=f"a transform that hands on `{name}` of `{chain.sources[0].name}` as it is",
                try_="pattern: snapshot, which reads everything and compares what SQL makes of it",
            )
