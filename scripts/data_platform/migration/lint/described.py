"""The state that a migration starts from, as a model or a server's catalog describes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint.definitions import made_up
from data_platform.migration.lint.expressions import Routine, columns_in, proves_not_null
from data_platform.migration.lint.state import Column, Constraint, Domain, Index, Kind, Relation, State, Table
from data_platform.migration.lint.types import Type, type_of
from data_platform.model import database as model
from data_platform.sql.text import NotSql, expression_tree, parse


def described(database: model.Database) -> State:
    """What a model or a server's catalog holds."""
    state = State(complete=True)
    for domain in (one for one in database.types if isinstance(one, model.Domain)):
        constrained = bool(domain.checks) or not domain.nullable
        state.domains[domain.name.name] = Domain(_type(domain.base), constrained)
    for enum in (one for one in database.types if isinstance(one, model.Enum)):
        state.enums[enum.name.name] = False
    for routine in database.functions:
        state.routines[routine.name.name] = _routine(routine)
    for table in database.tables:
        _table(state, table)
    for view in database.views:
        state.put(Table(_name(view.name), "view"))
    for materialized in database.materialized_views:
        state.put(Table(_name(materialized.name), "materialized view"))
        _indexes(state, _name(materialized.name), materialized.indexes)
    for sequence in database.sequences:
        state.put(Table(_name(sequence.name), "sequence"))
    return state


def _name(name: model.Name) -> Relation:
    return Relation(name.schema, name.name)


def _type(text: str) -> Type:
    """The type of a text; the text itself where it is no type."""
    try:
        target = parse(f"SELECT NULL::{text}").stmts[0].stmt.select_stmt.target_list[0].res_target.val
    except NotSql:
        return Type(text)
    return type_of(target.type_cast.type_name)


def _routine(routine: model.Function) -> Routine:
    plain = not routine.settings and not routine.security_definer and routine.body is not None
    return Routine(
        routine.name.name,
        routine.volatility[:1],
        routine.language,
        routine.body or "",
        routine.language == "sql" and plain,
    )


def _table(state: State, table: model.Table) -> None:
    name = _name(table.name)
    kind: Kind = "partitioned" if table.partition_by else "foreign" if table.foreign else "table"
    constraints = (*(_constraint(one) for one in table.constraints), *_not_valid(table))
    state.put(
        Table(
            name,
            kind,
            {column.name: _column(column) for column in table.columns},
            {constraint.name: constraint for constraint in constraints},
            parent=_name(table.partition_of.table) if table.partition_of else None,
            is_default_partition=table.partition_of is not None and table.partition_of.bound == "DEFAULT",
            policies=len(table.policies),
            unlogged=table.unlogged,
        )
    )
    _indexes(state, name, table.indexes)
    for key in (*table.uniques, *((table.primary_key,) if table.primary_key else ())):
        index = Relation(name.schema, key.name)
        state.put_index(Index(index, name, key.columns, unique=True))


def _column(column: model.Column) -> Column:
    generated = column.generated
    return Column(
        column.name,
        _type(column.type),
        not_null=not column.nullable and (column.not_null is None or column.not_null.validated),
        default=column.default is not None or column.identity is not None,
        generated="" if generated is None else "stored" if generated.stored else "virtual",
    )


def _constraint(one: model.Constraint) -> Constraint:
    if isinstance(one, model.Check):
        tree = _expression(one.expression)
        proves = proves_not_null(tree) if one.enforced else frozenset[str]()
        return Constraint(one.name, "check", columns_in(tree), one.validated and one.enforced, proves=proves)
    if isinstance(one, model.ForeignKey):
        valid = one.validated and one.enforced
        columns, references = frozenset(one.columns), frozenset(one.target_columns)
        return Constraint(one.name, "foreign key", columns, valid, _name(one.target), references=references)
    if isinstance(one, model.Exclusion):
        columns = frozenset(part.element.column for part in one.elements if part.element.column)
        return Constraint(one.name, "exclude", columns)
    kind = "primary key" if isinstance(one, model.PrimaryKey) else "unique"
    return Constraint(one.name, "primary key" if kind == "primary key" else "unique", frozenset(one.columns))


def _not_valid(table: model.Table) -> Iterator[Constraint]:
    """NOT NULL constraints that have not been validated yet."""
    for column in table.columns:
        if column.not_null is not None and not column.not_null.validated:
            name = column.not_null.name or made_up(table.name.name, [column.name], "not_null", ())
            yield Constraint(name, "not null", frozenset([column.name]), valid=False)


def _expression(text: str) -> pb.Node:
    try:
        return expression_tree(text)
    except NotSql:
        return pb.Node()


def _indexes(state: State, table: Relation, indexes: Iterable[model.Index]) -> None:
    for index in indexes:
        name = Relation(table.schema, index.name)
        columns = tuple(element.column or "" for element in index.elements)
        texts = [element.expression for element in index.elements if element.expression]
        computed = frozenset[str]().union(
            *(columns_in(_expression(text)) for text in [*texts, *([index.where] if index.where else [])])
        )
        state.put_index(
            Index(name, table, columns, computed, unique=index.unique, partial=index.where is not None)
        )
