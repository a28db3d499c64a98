"""Column lineage: for every column of every target the columns it is made of, and by which expressions.

Each SELECT is looked at alone; what leads to what is then joined together here. What cannot be told is said of the
column, or of the whole target, and is never left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from data_platform.pipeline.history.dimension import CURRENT, FROM, TO
from data_platform.pipeline.lineage_kept import kept_targets
from data_platform.pipeline.lineage_select import (
    Column,
    Columns,
    TargetLineage,
    of_select,
    of_sources,
    strongest,
)
from data_platform.pipeline.plan import Chain, chains
from data_platform.spec.pipeline import Pipeline
from data_platform.spec.pipeline_patterns import WITHIN


def lineages(spec: Pipeline) -> tuple[TargetLineage, ...]:
    """Of every target of the spec; nothing is connected to. Raises what `chains` raises."""
    if spec.pattern in WITHIN:
        return tuple(kept_targets(spec))
    found = of_sources(spec)
    known = chains(spec)
    for transform in spec.transforms:
        found[transform.name] = of_select(transform.name, transform.sql, found)
    return tuple(_of_target(spec, chain, found[chain.target.source]) for chain in known)


def _of_target(spec: Pipeline, chain: Chain, made: Columns) -> TargetLineage:
    target, gone = chain.target, chain.deletes.column
    columns = [one for one in made.columns if one.name != gone]
    if spec.pattern == "scd":
        columns = list(_versioned(chain, columns))
    return TargetLineage(str(target.table), target.source, tuple(columns), made.unresolved)


def _versioned(chain: Chain, columns: Sequence[Column]) -> Iterator[Column]:
    """A dimension holds the time of a row as the bounds of its validity, and of type 6 what holds last beside."""
    target = chain.target
    for one in columns:
        if one.name != target.version:
            yield one
    version = next((one for one in columns if one.name == target.version), Column(""))
    said = version.expressions or (("from when a row holds",) if target.version else ("the time of the run",))
    bounds = (FROM, TO) if target.type != 1 else ((FROM,) if target.version else ())
    for name in bounds:
        origins = tuple(replace(one, how=strongest((one.how, "transformation"))) for one in version.origins)
        yield Column(name, origins if name == TO else version.origins, said, version.unresolved)
    if target.type == 6:
        for one in columns:
            if one.name not in (*target.key, target.version) and (
                not target.tracked or one.name in target.tracked
            ):
                yield replace(one, name=CURRENT + one.name)
