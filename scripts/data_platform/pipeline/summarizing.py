"""Summaries of the pattern `views`: made, made anew where they changed, and set right where triggers were bypassed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

from data_platform.errors import UsageProblem
from data_platform.pipeline.quality.gating import look_at_target
from data_platform.pipeline.steps import Step
from data_platform.pipeline.views import Measure, Summary, refill, summary_tables, verify
from data_platform.pipeline.views.summary import drop_summary, follow_function, summary_triggers
from data_platform.pipeline.writing import Work
from data_platform.postgres.pipelines import followed, relations, views
from data_platform.postgres.pipelines.relations import table_name
from data_platform.postgres.pipelines.state import Connection, Counts
from data_platform.spec.pipeline import Pipeline
from data_platform.spec.pipeline_patterns import SummarySpec
from data_platform.sql.text import Sql, phrase

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
    return Summary(
        view=spec.view,
        source=source.table,
        groups=spec.groups,
        measures=tuple(Measure(name, function, column) for name, (function, column) in spec.measures.items()),
        columns={column: Sql(there.columns[column]) for column in named},
        nullable=tuple(column for column in spec.groups if column in followed.nullable(connection, name)),
        where=spec.where,
        server_version=connection.info.server_version // 10_000,
    )


def summarize(work: Work, spec: SummarySpec) -> Iterator[Step]:
    """One summary. Nothing where it follows its source anyway."""
    state, connection, started = work.state, work.state.connection, time.monotonic()
    summary = summary_of(work.spec, connection, spec)
    digest = {"sha256": hashlib.sha256(repr(summary).encode()).hexdigest()}
    known = state.positions(STEP).get(str(summary.view))
    rights: tuple[Sql, ...] = ()
    with connection.transaction():
        kind = views.kind_of(connection, summary.view)
        if kind is not None and known is None:
            raise UsageProblem(
                f"{summary.view} is there, and no summary of ours", try_="another name in the spec"
            )
        if kind is not None and known != digest:
            if not work.spec.kept.rebuild:
                raise UsageProblem(
                    f"{summary.view} is defined otherwise than the spec says",
                    where=work.spec.file,
                    try_="changed: rebuild",
                )
            rights = views.grants(connection, summary.view)
            relations.run(connection, drop_summary(summary))
            kind = None
        if kind is None:
            relations.create_schema(connection, summary.view.schema)
            relations.run(connection, (*summary_tables(summary), *rights))
            state.checkpoint(STEP, str(summary.view), digest)
            rows = views.count(connection, table_name(summary.view))
            counts, way = Counts(read=rows, inserted=rows), "made"
        else:
            counts, way = _set_right(work, summary, spec) or (Counts(), _AS_IT_IS)
        told = look_at_target(work.spec, state, summary.view, left="a summary is what its writers make it")
    if way == _AS_IT_IS and not told:
        return
    source, target = str(summary.source), str(summary.view)
    yield Step(source, "all groups", target, counts, way, time.monotonic() - started, told)


def _set_right(work: Work, summary: Summary, spec: SummarySpec) -> tuple[Counts, str] | None:
    """Fill it anew where its triggers were not all there and on, or where it is not the aggregate."""
    connection = work.state.connection
    on = views.triggers_on(connection, table_name(summary.source), follow_function(summary))
    if on == TRIGGERS and not spec.verify:
        return None
    if on != TRIGGERS:
        relations.run(connection, summary_triggers(summary))
    wrong = views.count(connection, phrase("({query})", query=verify(summary)))
    if wrong:
        relations.run(connection, [refill(summary)])
    rows = views.count(connection, table_name(summary.view))
    if wrong:
        return Counts(read=rows, updated=rows), f"set right, {wrong:,} groups were wrong"
    return Counts(read=rows, unchanged=rows), "as the aggregate"
