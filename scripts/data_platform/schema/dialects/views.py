"""Views in the target, each after those it reads; a materialized view as a plain one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from sqlglot import ErrorLevel, exp
from sqlglot.errors import UnsupportedError

from data_platform.model.database import MaterializedView, Name, View
from data_platform.schema.dialects.comments import comment
from data_platform.schema.dialects.ledger import Place
from data_platform.schema.dialects.literals import Untranslatable
from data_platform.schema.dialects.properties import unsaid
from data_platform.schema.dialects.queries import Columns, QueryReader, Relation
from data_platform.schema.dialects.scope import Scope
from data_platform.schema.dialects.tables import Named, attached
from data_platform.schema.dialects.work import Work
from data_platform.schema.dialects.writing import write
from data_platform.sql.text import NotSql

AnyView: TypeAlias = View | MaterializedView


def views(work: Work, wanted: Iterable[AnyView]) -> Iterator[str]:
    """CREATE VIEW for each that can be translated; again and again, until what is left reads what is not there."""
    relations = _of_tables(work)
    waiting = list(wanted)
    reasons: dict[Name, str] = {}
    progress = True
    while progress:
        progress = False
        for view in tuple(waiting):
            made = _try(work, view, relations, reasons)
            if made is None:
                continue
            waiting.remove(view)
            progress = True
            yield made
            yield from _rest(work, view)
    for view in waiting:
        _omit(work, view, reasons[view.name])


def _of_tables(work: Work) -> dict[Name, Relation]:
    found: dict[Name, Relation] = {}
    for name, plan in work.plans.items():
        columns = tuple((one.column.name, one.node.name, one.mapped.kind) for one in plan.columns.values())
        found[name] = Relation(work.names.relation_node(name), columns)
    return found


def _try(work: Work, view: AnyView, relations: dict[Name, Relation], reasons: dict[Name, str]) -> str | None:
    notes: list[str] = []
    try:
        query, columns = _query(work, view, relations, notes)
        text = _text(work, query)
    except (Untranslatable, UnsupportedError, NotSql) as reason:
        reasons[view.name] = str(reason)
        return None
    scope = ("relation", view.name.schema) if work.target.schemas else ("relation",)
    if not work.names.claim(work.names.flat(view.name), *scope):
        reasons[view.name] = "another relation has the same name here"
        return None
    relations[view.name] = Relation(work.names.relation_node(view.name), columns)
    for note in notes:
        work.ledger.differs(_place(view), note)
    work.ledger.wrote()
    return f"CREATE VIEW {work.names.relation(view.name)} AS\n{text}"


def _query(
    work: Work, view: AnyView, relations: dict[Name, Relation], notes: list[str]
) -> tuple[exp.Query, Columns]:
    if problem := work.names.problem(view.name.name):
        raise Untranslatable(problem)
    scope = Scope(work.target, work.types, {}, notes)
    reader = QueryReader(scope, relations, work.design.search_path, work.names.node)
    query, columns = reader.query(view.query)
    for name, _, _ in columns:
        if problem := work.names.problem(name):
            raise Untranslatable(problem)
    return query, columns


def _text(work: Work, query: exp.Query) -> str:
    write(query, work.target.name)
    return query.sql(dialect=work.target.name, pretty=True, unsupported_level=ErrorLevel.RAISE)


def _rest(work: Work, view: AnyView) -> Iterator[str]:
    place = _place(view)
    unsaid(work, place, view)
    if isinstance(view, MaterializedView):
        work.ledger.differs(place, "the view is not materialized: its query runs whenever it is read")
    attached(work, view.name, place, _parts(view))
    if view.column_comments:
        work.ledger.lacks(place, "the comments on its columns are left out")
    if work.target.comments == "statement":
        yield from comment(work, "VIEW", work.names.relation(view.name), view.comment, place)
    elif view.comment is not None:
        work.ledger.lacks(place, "its comment is left out")


def _omit(work: Work, view: AnyView, reason: str) -> None:
    work.ledger.omit(_place(view), f"the view is left out: {reason}")
    attached(work, view.name, _place(view), _parts(view), "its view is not there")


def _place(view: AnyView) -> Place:
    section = "materialized_views" if isinstance(view, MaterializedView) else "views"
    return Place(str(view.name), section=section, key=str(view.name))


def _parts(view: AnyView) -> Mapping[str, Iterable[Named]]:
    """What hangs on a view."""
    if isinstance(view, MaterializedView):
        return {"indexes": view.indexes, "statistics": view.statistics}
    return {"triggers": view.triggers, "rules": view.rules}
