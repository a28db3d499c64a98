"""Summaries of the pattern `views`: made, made anew where they changed, and set right where triggers were bypassed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from data_platform.errors import UsageProblem
from data_platform.pipeline.quality.gating import look_at_target
from data_platform.pipeline.steps import Step
from data_platform.pipeline.views import Measure, Summary, refill, summary_tables, verify
from data_platform.pipeline.views.statements import (
    drop_summary,
    follow_function,
    summary_functions,
    summary_once,
    summary_triggers,
)
from data_platform.pipeline.writing import Work
from data_platform.postgres.pipelines import followed, relations, views
from data_platform.postgres.pipelines.relations import table_name
from data_platform.postgres.pipelines.state import Connection, Counts
from data_platform.spec.pipeline import Pipeline
from data_platform.spec.pipeline_patterns import SummarySpec
from data_platform.sql.text import Sql, identifier, phrase

STEP = "_dpe_summary"
"""Under which a summary's definition is remembered."""
TRIGGERS = 4
_AS_IT_IS = "as it is"


def summary_of(pipeline: Pipeline, connection: Connection, spec: SummarySpec) -> Summary:
    """With the types that the source has. UsageProblem where it does not have what is named."""
    source = pipeline.source(spec.source)
    assert source is not None
    assert source.table is not None
    name = table_name(source.table)
    there = relations.read_relation(connection, name)
    if there is None:
        raise UsageProblem(f"there is no table {source.table}", where=pipeline.file)
    named = [*spec.groups, *(column for _, column in spec.measures.values() if column)]
    for column in named:
        if column not in there.columns:
            raise UsageProblem(f"{source.table} has no column `{column}`", where=pipeline.file)
    kinds = followed.kinds(connection, name, named)
    virtual = followed.virtual_columns(connection, name)
    nullable = followed.nullable(connection, name)
    summed = {column for function, column in spec.measures.values() if function in ("sum", "avg")}
    return Summary(
        view=spec.view,
        source=source.table,
        groups=spec.groups,
        measures=tuple(Measure(name, function, column) for name, (function, column) in spec.measures.items()),
        columns={
            column: kinds[column].type
            if column in summed
            else _collated(there.columns[column], kinds[column])
            for column in named
        },
        nullable=tuple(column for column in spec.groups if column in nullable),
        where=spec.where,
        server_version=connection.info.server_version // 10_000,
        condition=_condition(pipeline, connection, name, spec),
        operators={column: kind.schema for column, kind in kinds.items() if kind.schema != "pg_catalog"},
        virtual=virtual,
        stored=tuple(column for column in there.columns if column not in virtual),
        below=followed.tables_below(connection, name),
    )


def _collated(type_: str, kind: followed.Kind) -> Sql:
    """Which text is the smallest, and which are the same, is for the column's collation to say."""
    return Sql(f"{type_} COLLATE {kind.collation}" if kind.collation else type_)


def _condition(pipeline: Pipeline, connection: Connection, table: Sql, spec: SummarySpec) -> Sql:
    """`where:` with every name in full. UsageProblem where the row alone does not decide it, always the same way."""
    if spec.where == "true":
        return spec.where
    try:
        return followed.row_condition(connection, table, spec.where)
    except UsageProblem as problem:
        raise UsageProblem(
            f"`where:` of the summary {spec.view} cannot be kept: {problem.what}",
            where=pipeline.file,
            expected="a condition that the row alone decides, at any time and in every session: what now(), a time zone"
            " or another table says changes while no row does",
            try_="(at AT TIME ZONE 'UTC')::date instead of at::date; groups: by day instead of the last days",
        ) from problem


def summarize(work: Work, spec: SummarySpec) -> Iterator[Step]:
    """One summary. Nothing where it follows its source anyway."""
    state, connection, started = work.state, work.state.connection, time.monotonic()
    summary = summary_of(work.spec, connection, spec)
    position = _position(summary)
    known = state.positions(STEP).get(str(summary.view))
    rights: tuple[Sql, ...] = ()
    with connection.transaction():
        kind = views.kind_of(connection, summary.view)
        if kind is not None and known is None:
            raise UsageProblem(
                f"{summary.view} is there, and no summary of ours", try_="another name in the spec"
            )
        if kind is not None and known is not None and known["sha256"] != position["sha256"]:
            if not work.spec.kept.rebuild:
                raise UsageProblem(
                    f"{summary.view} is defined otherwise than the spec says",
                    where=work.spec.file,
                    try_="changed: rebuild",
                )
            rights = views.grants(connection, summary.view)
            kind = None
        if kind is None:
            if known is not None:
                relations.run(connection, drop_summary(summary))
            relations.create_schema(connection, summary.view.schema)
            made = summary_once(summary) if work.dry_run else summary_tables(summary)
            relations.run(connection, (*made, *rights))
            rows = views.count(connection, table_name(summary.view))
            counts, way = Counts(read=rows, inserted=rows), "made"
        else:
            follows = known == position and _follows(connection, summary)
            right = _set_right(work, summary, follows=follows) if spec.verify or not follows else None
            counts, way = right or (Counts(), _AS_IT_IS)
        if known != position:
            state.checkpoint(STEP, str(summary.view), position)
        told = look_at_target(work.spec, state, summary.view, left="a summary is what its writers make it")
    if way == _AS_IT_IS and not told:
        return
    source, target = str(summary.source), str(summary.view)
    yield Step(source, "all groups", target, counts, way, time.monotonic() - started, told)


def _position(summary: Summary) -> Mapping[str, Any]:
    """What is remembered: what the spec says, how that is followed, and partitions, whose rows come or go at once."""
    made = "\n".join((*summary_functions(summary), *summary_triggers(summary)))
    return {
        "sha256": hashlib.sha256(repr(summary).encode()).hexdigest(),
        "made": hashlib.sha256(made.encode()).hexdigest(),
        "below": [*summary.below],
    }


def _follows(connection: Connection, summary: Summary) -> bool:
    """Whether its triggers are all there and on, and no other table has one, such as a partition that went."""
    function = follow_function(summary)
    own = (table_name(summary.source), *summary.below)
    on = all(views.triggers_on(connection, one, function) == TRIGGERS for one in own)
    return on and not views.strangers(connection, own[0], function)


def _set_right(work: Work, summary: Summary, *, follows: bool) -> tuple[Counts, str]:
    """Fill it anew where it is not the aggregate; `follows`: its functions and triggers are as they must be."""
    connection = work.state.connection
    if not follows and not work.dry_run:
        for one in views.callers(connection, follow_function(summary)):
            drop = phrase("DROP TRIGGER {name} ON {table}", name=identifier(one.name), table=Sql(one.table))
            relations.run(connection, [drop])
        relations.run(connection, [*summary_functions(summary), *summary_triggers(summary)])
    wrong = views.count(connection, phrase("({query})", query=verify(summary)))
    if wrong and not work.dry_run:
        relations.run(connection, [refill(summary)])
    rows = views.count(connection, table_name(summary.view))
    if wrong:
        return Counts(read=rows, updated=rows), f"set right, {wrong:,} groups were wrong"
    return Counts(read=rows, unchanged=rows), "as the aggregate"
