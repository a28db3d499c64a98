"""The pattern `views`: materialized views and summaries made, made anew where they changed, and brought up to date.

All views are refreshed, each after what it reads. Nothing in PostgreSQL says for sure that a table is the same as
before: its statistics come late, and a crash empties them. One that is the same writes no row.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline.quality.gating import look_at_target
from data_platform.pipeline.steps import Step
from data_platform.pipeline.summarizing import summarize
from data_platform.pipeline.views import MaterializedView, Refresh, refresh, refresh_plan, refresh_tables
from data_platform.pipeline.writing import Work
from data_platform.postgres.pipelines import relations, views
from data_platform.postgres.pipelines.sessions import telling
from data_platform.postgres.pipelines.state import Counts
from data_platform.spec.pipeline_patterns import View
from data_platform.sql.text import Sql, phrase, qualified_name


def steps(work: Work) -> Iterator[Step]:
    """Summaries first, which views may read; then views."""
    relations.run(work.state.connection, refresh_tables(work.state.schema))
    for one in work.spec.kept.summaries:
        yield from summarize(work, one)
    done, made = _make(work)
    yield from done
    known = {view.name: view for view in work.spec.kept.views}
    for planned in _plan(work, known):
        # What was made of what was made is new already; what reads an older one is not.
        if planned.view in made and known[planned.view].reads & known.keys() <= made:
            continue
        with work.state.connection.transaction():
            step = _refreshed(work, known[planned.view], planned, "refreshed")
        yield step


def _plan(work: Work, names: Iterable[Name]) -> tuple[Refresh, ...]:
    rows = views.catalog_rows(work.state.connection, names)
    return refresh_plan(MaterializedView(name=name, **row) for name, row in rows)


def _make(work: Work) -> tuple[list[Step], frozenset[Name]]:
    """What is not there and what changed, in one transaction: who reads one that is made anew waits for it."""
    connection = work.state.connection
    done: list[Step] = []
    with connection.transaction():
        again = _drop(work, [*_changed(work)])
        missing = [view for view in work.spec.kept.views if views.kind_of(connection, view.name) is None]
        for view in work.spec.kept.views:
            if view in missing:
                with _naming(work, view):
                    views.create_view(connection, view.name, view.sql, view.unique)
                planned = Refresh(view.name, 0, concurrently=False, why_not="it is new")
                done.append(_refreshed(work, view, planned, "made"))
            else:
                with _naming(work, view):
                    views.make_unique(connection, view.name, view.unique)
        for statement in again:
            _again(work, statement)
    return done, frozenset(view.name for view in missing)


def _changed(work: Work) -> Iterator[View]:
    """Views that are there and not as the spec says, and those of the spec that read them, in order.

    UsageProblem where they are, and the spec does not say `changed: rebuild`.
    """
    connection, found = work.state.connection, set[Name]()
    for view in work.spec.kept.views:
        kind = views.kind_of(connection, view.name)
        views.refuse_other(kind, view.name, "m")
        if kind is None:
            continue
        if view.reads & found or not views.defined_so(connection, view.name, view.sql):
            if not work.spec.kept.rebuild:
                refuse_changed(work, view.name)
            found.add(view.name)
            yield view


def refuse_changed(work: Work, name: Name) -> None:
    """UsageProblem: the spec says something else than what is there."""
    raise UsageProblem(
        f"{name} is defined otherwise than the spec says",
        where=work.spec.file,
        expected="the definition that is there, or leave to make it anew while its readers wait",
        try_="changed: rebuild",
    )


def _drop(work: Work, changed: Sequence[View]) -> tuple[Sql, ...]:
    """Drop them, the readers before what they read; what gives them their indexes again, and others their rights."""
    connection = work.state.connection
    again: list[Sql] = []
    for view in reversed(changed):
        again += [*views.indexes(connection, view.name), *views.grants(connection, view.name)]
        relations.run(connection, [phrase("DROP MATERIALIZED VIEW {name}", name=qualified_name(view.name))])
    return tuple(again)


def _again(work: Work, statement: Sql) -> None:
    try:
        with telling(work.place.conninfo):
            relations.run(work.state.connection, [statement])
    except UsageProblem as problem:
        raise UsageProblem(
            f"the view that is made anew cannot have this again: {statement} ({problem.what})",
            where=work.spec.file,
            try_="drop that index first, or keep its column",
        ) from problem


@contextmanager
def _naming(work: Work, view: View) -> Iterator[None]:
    """A problem of the server as one of this view, at the spec."""
    try:
        with views.naming(view.name, view.sql, view.unique):
            yield
    except UsageProblem as problem:
        raise UsageProblem(
            problem.what, where=work.spec.file, expected=problem.expected, try_=problem.try_
        ) from problem


def _refreshed(work: Work, view: View, planned: Refresh, way: str) -> Step:
    """Refresh, record and look at; rows that it has and did not write are unchanged."""
    connection, started = work.state.connection, time.monotonic()
    with _naming(work, view), views.written(connection, view.name) as written:
        row = relations.run(connection, [refresh(work.state.schema, planned)])
    assert row is not None
    rows = int(row[0])
    inserted, deleted = (written[0], written[1]) if planned.concurrently else (rows, 0)
    counts = Counts(read=rows, inserted=inserted, unchanged=rows - inserted, deleted=deleted)
    told = look_at_target(work.spec, work.state, view.name)
    unit = "beside its readers" if planned.concurrently else "while its readers wait"
    source = ", ".join(sorted(str(one) for one in view.reads))
    return Step(source, unit, str(view.name), counts, way, time.monotonic() - started, told)
