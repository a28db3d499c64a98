"""What a target needs: which sources and transforms, in order, found in the trees of their SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.errors import UsageProblem
from data_platform.spec.pipeline import Deletes, Pipeline, Source, Target, Transform
from data_platform.sql.statements import relations
from data_platform.sql.text import parse

ONE_SOURCE = ("incremental", "scd", "cdc")
"""Patterns that see a batch of one source at a time: a join of two batches would miss what came in another one."""

_AGGREGATES = re.compile(
    r"any_value|(array|json|jsonb|json_object|jsonb_object|string|range|range_intersect)_agg(_strict|_unique)*|xmlagg"
    r"|avg|bit_(and|or|xor)|bool_(and|or)|every|count|max|min|mode|sum|corr|covar_\w+|regr_\w+|percentile_\w+"
    r"|stddev\w*|var_pop|var_samp|variance"
)
"""Those of pg_catalog."""


@dataclass(frozen=True)
class Chain:
    """What leads to a target: its sources, and the transforms in the order of the spec."""

    target: Target
    sources: tuple[Source, ...]
    transforms: tuple[Transform, ...]

    @property
    def deletes(self) -> Deletes:
        """How the only source says that a row is gone; of several sources none can."""
        found = self.sources[0].deletes if len(self.sources) == 1 else None
        return found or Deletes()


def chains(spec: Pipeline) -> tuple[Chain, ...]:
    """One for each target.

    Raises UsageProblem where a transform comes before what it reads, or a target of a pattern that goes batch by batch
    needs two sources.
    """
    found = tuple(_chain(spec, target) for target in spec.targets)
    for chain in found:
        if spec.pattern in ONE_SOURCE and len(chain.sources) != 1:
            names = ", ".join(source.name for source in chain.sources) or "none"
            raise UsageProblem(
                f"`{chain.target.table}` needs these sources: {names}",
                where=spec.file,
                expected=f"one source a target in the pattern {spec.pattern}, whose batches come one by one",
                try_="pattern: elt, where SQL sees all that was ever loaded",
            )
    return found


def _chain(spec: Pipeline, target: Target) -> Chain:
    order = {one.name: number for number, one in enumerate(spec.transforms)}
    transforms = {one.name: one for one in spec.transforms}
    needed: set[str] = set()
    pending = [target.source]
    while pending:
        name = pending.pop()
        if name in needed:
            continue
        needed.add(name)
        if name in transforms:
            for read in read_by(transforms[name]):
                if read in order and order[read] >= order[name]:
                    raise UsageProblem(
                        f"`{name}` reads `{read}`, which comes after it",
                        where=spec.file,
                        try_="change their order",
                    )
                pending.append(read)
    return Chain(
        target=target,
        sources=tuple(one for one in spec.sources if one.name in needed),
        transforms=tuple(one for one in spec.transforms if one.name in needed),
    )


def read_by(transform: Transform) -> Iterator[str]:
    """Names without a schema that the SELECT reads from; those may be sources and transforms."""
    for statement in parse(transform.sql).stmts:
        for one in relations(statement.stmt):
            if not one.schema:
                yield one.name


def gathering(transform: Transform) -> bool:
    """Whether rows meet in the SELECT, by what its tree says: groups, aggregates, windows, limits, a relation twice."""
    for statement in parse(transform.sql).stmts:
        names = [one.name for one in relations(statement.stmt) if not one.schema]
        selects = list(postgast.find_nodes(statement.stmt, pb.SelectStmt))
        calls = list(postgast.find_nodes(statement.stmt, pb.FuncCall))
        if (
            len(names) > len(set(names))
            or any(one.group_clause or one.HasField("limit_count") for one in selects)
            or any(one.HasField("having_clause") for one in selects)
            or any(one.HasField("over") or one.agg_star or _AGGREGATES.fullmatch(_name(one)) for one in calls)
        ):
            return True
    return False


def _name(call: pb.FuncCall) -> str:
    return str(call.funcname[-1].string.sval)
