"""Indexes in the target: one that keeps a rule is exact or absent, one that only makes queries fast may differ."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from data_platform.model.database import Index, IndexElement, Name
from data_platform.schema.dialects.columns import Plan, Planned
from data_platform.schema.dialects.comments import comment
from data_platform.schema.dialects.constraints import compared, key_problem, needs_index, renamed
from data_platform.schema.dialects.keysizes import PREFIX
from data_platform.schema.dialects.ledger import Place, at_index
from data_platform.schema.dialects.literals import Untranslatable, typed
from data_platform.schema.dialects.spellings import Kind
from data_platform.schema.dialects.work import Work
from data_platform.schema.dialects.writing import write

_ORDERED = frozenset({"btree", "hash"})
_ZERO: dict[Kind, str] = {
    "integer": "0",
    "decimal": "0",
    "text": "",
    "citext": "",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "boolean": "false",
    "date": "2000-01-01",
}
"""Any value of the type: it stands where a key is NULL, beside a mark that says so."""


def index(work: Work, plan: Plan, index_: Index) -> Iterator[str]:
    """CREATE INDEX and its comment, or nothing."""
    place = at_index(plan.table.name, index_.name)
    try:
        _check_form(work, plan, index_)
        keys = [key for element in index_.elements for key in _keys(work, plan, element, index_, place)]
        where = _predicate(work, plan, index_, place)
    except Untranslatable as reason:
        fix = (
            "a generated column that is NULL outside the condition, with a unique key"
            if index_.where
            else None
        )
        message = f"the index is left out: {reason}"
        work.ledger.omit(place, message, fix if index_.unique else None, integrity=index_.unique)
        return
    _unsaid(work, plan, index_, place)
    name = renamed(work, index_.name, place, *_scope(work, plan))
    kind = "UNIQUE INDEX" if index_.unique else "INDEX"
    relation = work.names.relation(plan.table.name)
    end = f"{where}{_inline_comment(work, index_, place)}"
    work.ledger.wrote()
    yield f"CREATE {kind} {work.names.quoted(name)} ON {relation} ({', '.join(keys)}){end}"
    if work.target.comments != "inline":
        object_ = work.names.relation(Name(plan.table.name.schema, name))
        yield from comment(work, "INDEX", object_, index_.comment, place)


def _check_form(work: Work, plan: Plan, index_: Index) -> None:
    if not work.target.indexes:
        raise Untranslatable(f"{work.target.title} has no such indexes")
    if index_.method not in _ORDERED:
        raise Untranslatable(f"there is no {index_.method} here")
    if problem := work.names.problem(index_.name):
        raise Untranslatable(problem)
    in_key = work.target.partial_indexes or work.target.expression_indexes
    if index_.where is not None and index_.unique and not in_key:
        raise Untranslatable("there are no partial indexes here, and over all rows it would refuse too much")
    if problem := key_problem(work, plan, _columns(index_)):
        raise Untranslatable(problem)


def _columns(index_: Index) -> tuple[str, ...]:
    return tuple(element.column for element in index_.elements if element.column is not None)


# ---------------------------------------------------------------------- keys
def _keys(work: Work, plan: Plan, element: IndexElement, index_: Index, place: Place) -> Iterator[str]:
    order = " DESC" if element.descending else ""
    if element.column is None:
        made = _expression(work, plan, element, place)
        yield f"({_within(work, plan, index_, made, place)}){order}"
        return
    planned = plan.columns[element.column]
    expressions = list(_as_expressions(work, plan, planned, index_))
    partial = index_.unique and index_.where is not None and not work.target.partial_indexes
    if not expressions and not partial:
        yield write(planned.node, work.target.name) + _prefix(work, planned, index_) + order
        return
    for node in expressions or [planned.typed.node]:
        text = write(node, work.target.name)
        yield f"({_within(work, plan, index_, text, place)}){order}"


def _expression(work: Work, plan: Plan, element: IndexElement, place: Place) -> str:
    if not work.target.expression_indexes:
        raise Untranslatable("there are no indexes on expressions in every version of this target")
    assert element.expression is not None
    scope = plan.scope(through_generated=not work.target.rules_on_generated)
    return work.translate(element.expression, scope, place, volatile=False).text


def _as_expressions(work: Work, plan: Plan, planned: Planned, index_: Index) -> Iterator[exp.Expr]:
    """A column's keys where the plain column would take other rows for equal than PostgreSQL does; else nothing."""
    if not index_.unique or not needs_index(
        work, plan, (planned.column.name,), not_distinct=index_.nulls_not_distinct
    ):
        return
    value = planned.typed.node
    if planned.mapped.kind == "citext" and work.target.name == "duckdb":
        value = exp.Lower(this=value)
    if index_.nulls_not_distinct and planned.nullable:
        yield exp.Is(this=planned.typed.node, expression=exp.null())
        value = exp.Coalesce(this=value, expressions=[_zero(work, planned)])
    yield value


def _zero(work: Work, planned: Planned) -> exp.Expr:
    if work.target.name == "sqlite":
        return exp.Literal.string("")
    zero = _ZERO.get(planned.mapped.kind)
    if zero is None:
        raise Untranslatable("NULLS NOT DISTINCT has no counterpart for this type")
    return typed(zero, planned.mapped.kind, work.target.name)


def _within(work: Work, plan: Plan, index_: Index, key: str, place: Place) -> str:
    """The key of the rows that a partial unique index covers, NULL for others, which no unique index compares."""
    if not index_.unique or index_.where is None or work.target.partial_indexes:
        return key
    if index_.nulls_not_distinct:
        raise Untranslatable("NULLS NOT DISTINCT on some of the rows has no counterpart")
    scope = plan.scope(through_generated=not work.target.rules_on_generated)
    condition = work.translate(index_.where, scope, place, volatile=False).text
    return f"CASE WHEN {condition} THEN {key} END"


def _prefix(work: Work, planned: Planned, index_: Index) -> str:
    """The first characters of a long text, where the index keeps no rule."""
    if work.target.name != "mysql" or index_.unique:
        return ""
    long = planned.mapped.text.startswith("LONG") or (planned.mapped.size or 0) > PREFIX
    return f"({PREFIX})" if long else ""


def _predicate(work: Work, plan: Plan, index_: Index, place: Place) -> str:
    if index_.where is None:
        return ""
    if work.target.partial_indexes:
        return f" WHERE {work.translate(index_.where, plan.scope(), place, volatile=False).text}"
    if not index_.unique:
        work.ledger.differs(place, "the index covers all rows: there are no partial indexes here")
    return ""


# ---------------------------------------------------------------------- what is not said
def _unsaid(work: Work, plan: Plan, index_: Index, place: Place) -> None:
    elements = index_.elements
    said = {
        "it is an ordered index, not a hash": index_.method == "hash",
        f"INCLUDE ({', '.join(index_.include)}) is left out": bool(index_.include),
        "its storage parameters are left out": bool(index_.options),
        "its operator classes are left out": any(e.opclass or e.opclass_options for e in elements),
        "its collations are left out": any(
            e.collation not in (None, "C", "POSIX", "default") for e in elements
        ),
        "where NULLs stand in its order is left out": any(e.nulls_first != e.descending for e in elements),
    }
    for message, so in said.items():
        if so:
            work.ledger.differs(place, message)
    columns = _columns(index_)
    if index_.unique and not needs_index(work, plan, columns, not_distinct=index_.nulls_not_distinct):
        compared(work, plan, place, columns, not_distinct=index_.nulls_not_distinct)


def _scope(work: Work, plan: Plan) -> tuple[str, ...]:
    match work.target.index_names:
        case "table":
            return ("index", plan.table.name.schema, plan.table.name.name)
        case "with tables":
            return ("relation",)
        case "schema":
            return ("index", plan.table.name.schema)


def _inline_comment(work: Work, index_: Index, place: Place) -> str:
    """MySQL's form, which is a part of the statement."""
    if index_.comment is None or work.target.comments != "inline":
        return ""
    return f" COMMENT {work.quote(work.cut(work.visible(index_.comment, place), 0, place))}"
