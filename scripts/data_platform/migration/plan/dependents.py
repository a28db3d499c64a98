"""What depends on relations and functions, taken away before these change and made again after.

Views, materialized views, functions that PostgreSQL itself has read (SQL-standard bodies, types in signatures), and
what hangs on tables: policies, rules, triggers, statistics. `aside` has all of it in one order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.ddl.clauses import constraint_needs, element_needs, index_needs, optional_needs
from data_platform.ddl.small import function_kind, function_signature
from data_platform.migration.plan.making_parts import all_views, drop, made_again
from data_platform.migration.plan.naming import named_in
from data_platform.migration.plan.text import spoken
from data_platform.model.database import (
    Database,
    Function,
    MaterializedView,
    Name,
    Policy,
    Rule,
    Statistics,
    Table,
    Trigger,
    View,
)
from data_platform.sql.references import Reference, References, of_script, of_signature
from data_platform.sql.text import NotSql, Sql, parse

Part: TypeAlias = View | MaterializedView | Function | Policy | Rule | Trigger | Statistics
Touched: TypeAlias = Collection[Name] | Collection[tuple[Name, str]]
Where = Literal["over views", "on tables"]


@dataclass(frozen=True)
class Dependent:
    """A part of the schema that refers to others; `owner` is what it hangs on."""

    key: tuple[str, ...]
    part: Part
    makes: References
    needs: References
    owner: Table | View | None = None


@dataclass(frozen=True)
class Aside:
    """Statements that take dependents away, and that make them again."""

    drops: tuple[Sql, ...] = ()
    makes: tuple[Sql, ...] = ()


def aside(before: Database, after: Database, seeds: References, without: Collection[Name] = ()) -> Aside:
    """All that depends on `seeds`, as it is in `before` or in `after`; made again as in `after`.

    The relations of `without` are left out: their own step makes them.
    """
    old, new = dependents(before, seeds), dependents(after, seeds)
    return asides(after, left_out(old, without), left_out(new, without))


def left_out(found: Iterable[Dependent], without: Collection[Name]) -> tuple[Dependent, ...]:
    """Without the views of these names."""
    return tuple(
        one
        for one in found
        if not (isinstance(one.part, View | MaterializedView) and one.part.name in without)
    )


def asides(after: Database, old: Sequence[Dependent], new: Sequence[Dependent]) -> Aside:
    """Those that are there now and those that are wanted, both in order of dependency, as statements."""
    there = {one.key: one for one in (*new, *old)}
    names = {one.key[1:] for one in old}
    order = [*old, *(one for one in new if one.key[1:] not in names)]
    return Aside(
        drops=tuple(drop(there[one.key].part, one.owner) for one in reversed(order)),
        makes=tuple(sql for one in new for sql in made_again(after, one.part, one.owner)),
    )


# --- who depends ---


def touched_references(touched: Touched) -> References:
    """Relations, and the types of their rows."""
    names = dict.fromkeys(one if isinstance(one, Name) else one[0] for one in touched)
    return tuple(_relation_and_type(name) for name in names for _relation_and_type in (_relation, _type))


def _relation(name: Name) -> Reference:
    return Reference("relation", name.schema, name.name)


def _type(name: Name) -> Reference:
    return Reference("type", name.schema, name.name)


def dependents(database: Database, seeds: References, columns: Collection[str] = ()) -> tuple[Dependent, ...]:
    """All that depends on them, at any distance, each after what it needs.

    With `columns`, of what names the seeds themselves only that which may read one of these columns.
    """
    known = tuple(_all(database))
    reached: set[Reference] = set()
    found: dict[tuple[str, ...], Dependent] = {}
    growing = True
    while growing:
        growing = False
        for one in known:
            if one.key in found:
                continue
            named = not set(seeds).isdisjoint(one.needs) and _may_read(one.part, columns)
            if named or not reached.isdisjoint(one.needs):
                found[one.key] = one
                reached |= set(one.makes)
                growing = True
    return _ordered([one for one in known if one.key in found])


def touched_columns(touched: Touched) -> frozenset[str]:
    """The columns that are touched; none where a whole relation is."""
    if any(isinstance(one, Name) for one in touched):
        return frozenset()
    return frozenset(one[1] for one in touched if not isinstance(one, Name))


def _may_read(part: Part, columns: Collection[str]) -> bool:
    """Whether a view reads one of the columns, by any table's name; of anything else that is not known."""
    if not columns or not isinstance(part, View | MaterializedView):
        return True
    try:
        tree = parse(part.query)
    except NotSql:
        return True
    relations = list(postgast.find_nodes(tree, pb.RangeVar))
    whole_rows = {name for one in relations for name in (one.relname, one.alias.aliasname)}
    named = {node.fields[-1].string.sval for node in postgast.find_nodes(tree, pb.ColumnRef)}
    joined = any(one.is_natural or one.using_clause for one in postgast.find_nodes(tree, pb.JoinExpr))
    return joined or not named.isdisjoint({*columns, *whole_rows, ""})


def _ordered(found: Sequence[Dependent]) -> tuple[Dependent, ...]:
    done: dict[tuple[str, ...], Dependent] = {}

    def visit(one: Dependent, path: frozenset[tuple[str, ...]]) -> None:
        if one.key in done or one.key in path:
            return
        for other in found:
            if not set(other.makes).isdisjoint(one.needs):
                visit(other, path | {one.key})
        done[one.key] = one

    for one in found:
        visit(one, frozenset())
    return tuple(done.values())


def _all(database: Database) -> Iterator[Dependent]:
    for function in database.functions:
        needs = of_signature(function.arguments, function.returns, function.sql_body)
        key = ("function", function_kind(function), str(function_signature(function)))
        made = (Reference("function", function.name.schema, function.name.name),)
        yield Dependent(key, function, made, needs)
    for view in all_views(database):
        yield _view(view)
    for table in database.tables:
        yield from hanging(table)
    for view in database.views:
        for trigger in view.triggers:
            references = (Reference("function", trigger.function.schema, trigger.function.name),)
            yield Dependent(("trigger", str(view.name), trigger.name), trigger, (), references, view)


def _view(view: View | MaterializedView) -> Dependent:
    made = (_relation(view.name), _type(view.name))
    needs: References = of_script(view.query)
    if isinstance(view, View):
        needs += tuple(need for _, text in view.defaults for need in optional_needs(text))
    else:
        needs += tuple(need for index in view.indexes for need in index_needs(view.name, index)[1:])
    return Dependent(("view", str(view.name)), view, made, needs)


def hanging(table: Table) -> Iterator[Dependent]:
    """What hangs on the table, with what its expressions refer to; the table itself is left out of that."""
    for policy in table.policies:
        needs = (*optional_needs(policy.using), *optional_needs(policy.with_check))
        yield Dependent(("policy", str(table.name), policy.name), policy, (), needs, table)
    for rule in table.rules:
        needs = tuple(need for need in of_script(rule.sql) if need != _relation(table.name))
        yield Dependent(("rule", str(table.name), rule.name), rule, (), needs, table)
    for trigger in table.triggers:
        needs = (
            Reference("function", trigger.function.schema, trigger.function.name),
            *optional_needs(trigger.when),
        )
        yield Dependent(("trigger", str(table.name), trigger.name), trigger, (), needs, table)
    for statistics in table.statistics:
        key = ("statistics", statistics.schema or table.name.schema, statistics.name)
        yield Dependent(key, statistics, (), element_needs(*statistics.on), table)


def concerned(table: Table, touched: Touched) -> Iterator[Dependent]:
    """What hangs on the table and names a column that is touched, or any where the whole table is."""
    columns = {one[1] for one in touched if not isinstance(one, Name) and one[0] == table.name}
    whole = any(one == table.name for one in touched)
    for one in hanging(table):
        if isinstance(one.part, Rule):
            yield one
            continue
        named = set(_columns(one.part))
        if (whole and named) or not columns.isdisjoint(named):
            yield one


def _columns(part: Any) -> Iterator[str]:
    match part:
        case Policy():
            yield from (*named_in(part.using), *named_in(part.with_check))
        case Trigger():
            yield from (*part.update_of, *named_in(part.when))
        case Statistics():
            for element in part.on:
                yield from (element.column,) if element.column else named_in(element.expression)


def references_of(table: Table) -> Iterator[tuple[str, References]]:
    """What columns, constraints and indexes of a table call: (what it is, for people; what it refers to)."""
    for column in table.columns:
        name = spoken(table.name, column.name)
        yield f"the default of {name}", optional_needs(column.default)
        if column.generated is not None:
            yield f"column {name}", optional_needs(column.generated.expression)
    for constraint in table.constraints:
        yield f"constraint {constraint.name} of {spoken(table.name)}", constraint_needs(constraint)
    for index in table.indexes:
        yield f"index {index.name}", index_needs(table.name, index)[1:]
