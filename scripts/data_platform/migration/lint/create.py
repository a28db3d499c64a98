"""A state after CREATE TABLE and CREATE INDEX: columns, constraints, and the indexes behind them."""

from __future__ import annotations

from dataclasses import replace

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint.definitions import (
    column_of,
    constraint_of,
    constraints_of_column,
    made_up,
    relation_of,
    strings,
)
from data_platform.migration.lint.expressions import columns_in
from data_platform.migration.lint.state import Index, Relation, State, Table


def create_table(state: State, node: pb.CreateStmt, file: str | None) -> None:
    """The table with its columns, its parent's, and its constraints."""
    name = relation_of(state, node.relation)
    if node.if_not_exists and name in state.tables:
        return
    table = _empty(name, node, file)
    for parent in node.inh_relations:
        table = _inherited(
            state, table, relation_of(state, parent.range_var), partition=node.HasField("partbound")
        )
    if node.HasField("partbound"):
        table = replace(table, is_default_partition=node.partbound.is_default)
    plain = [
        one.column_def
        for one in node.table_elts
        if one.HasField("column_def") and one.column_def.HasField("type_name")
    ]
    columns = {column.colname: column_of(column, added=file is not None) for column in plain}
    state.put(replace(table, columns={**(table.columns or {}), **columns}))
    for element in node.table_elts:
        _element(state, name, element, file)


def _empty(name: Relation, node: pb.CreateStmt, file: str | None) -> Table:
    return Table(
        name,
        "partitioned" if node.HasField("partspec") else "table",
        {},
        new=file,
        temporary=node.relation.relpersistence == "t",
        unlogged=node.relation.relpersistence == "u",
    )


def _inherited(state: State, table: Table, parent: Relation, *, partition: bool) -> Table:
    columns = dict(state.table(parent).columns or {})
    return replace(table, columns={**columns, **(table.columns or {})}, parent=parent if partition else None)


def _element(state: State, name: Relation, element: pb.Node, file: str | None) -> None:
    table = state.tables[name]
    if element.HasField("column_def"):
        _hang_on(state, table, element.column_def, file)
    elif element.HasField("constraint"):
        define_constraint(state, table, element.constraint, file)
    elif element.HasField("table_like_clause"):
        copied = state.table(relation_of(state, element.table_like_clause.relation)).columns
        state.put(replace(table, columns={**(table.columns or {}), **(copied or {})}))


def define_column(state: State, table: Table, node: pb.ColumnDef, file: str | None) -> None:
    """Add the column and what its definition brings."""
    if not node.HasField("type_name"):  # of a partition or a typed table, which only adds to its column
        return
    state.put(table.with_column(column_of(node, added=file is not None)))
    _hang_on(state, table, node, file)


def _hang_on(state: State, table: Table, node: pb.ColumnDef, file: str | None) -> None:
    """The constraints of a column's own definition."""
    for constraint in constraints_of_column(state, table.name, node):
        state.put(state.table(table.name).with_constraint(constraint))
        if constraint.kind in ("unique", "primary key"):
            key = Relation(table.name.schema, constraint.name)
            state.put_index(Index(key, table.name, (node.colname,), unique=True, new=file is not None))


def define_constraint(state: State, table: Table, node: pb.Constraint, file: str | None) -> None:
    """Add the constraint, the index behind it, and what it says of its columns."""
    constraint = constraint_of(state, table.name, node)
    if node.indexname:
        _take_index(state, table, node, constraint.name)
    elif constraint.kind in ("unique", "primary key"):
        key = Relation(table.name.schema, constraint.name)
        state.put_index(Index(key, table.name, strings(node.keys), unique=True, new=file is not None))
    table = state.table(table.name)
    if constraint.kind in ("primary key", "not null"):
        columns = strings(node.keys) or constraint.columns
        for name in columns:
            column = table.column(name)
            if column is not None and constraint.valid:
                table = table.with_column(replace(column, not_null=True))
    state.put(table.with_constraint(constraint))


def _take_index(state: State, table: Table, node: pb.Constraint, name: str) -> None:
    """USING INDEX: the index gets the constraint's name."""
    old = Relation(table.name.schema, node.indexname)
    index = state.indexes.pop(old, None)
    if index is None:
        return
    new = Relation(table.name.schema, node.conname or node.indexname)
    state.put_index(replace(index, name=new))
    if node.contype == pb.CONSTR_PRIMARY:
        for column_name in index.columns:
            column = table.column(column_name)
            if column is not None:
                table = table.with_column(replace(column, not_null=True))
        state.put(table)


def create_index(state: State, node: pb.IndexStmt, file: str | None) -> None:
    """The index, by its own name or the one that PostgreSQL makes up."""
    table = relation_of(state, node.relation)
    elements = [parameter.index_elem for parameter in node.index_params]
    columns = tuple(element.name for element in elements)
    key = Relation(table.schema, node.idxname or _index_name(state, table, elements))
    if node.if_not_exists and key in state.indexes:
        return
    computed = frozenset[str]().union(
        columns_in(node.where_clause), *(columns_in(element.expr) for element in elements if not element.name)
    )
    state.put_index(
        Index(
            key,
            table,
            columns,
            computed,
            unique=node.unique,
            partial=node.HasField("where_clause"),
            new=file is not None,
        )
    )


def _index_name(state: State, table: Relation, elements: list[pb.IndexElem]) -> str:
    """The name that PostgreSQL makes up: an expression that is one call goes by the function's name."""
    calls = (element.expr.func_call.funcname for element in elements)
    words = [
        one.name or (call[-1].string.sval if call else "expr")
        for one, call in zip(elements, calls, strict=True)
    ]
    return made_up(table.name, words, "idx", _Taken(state, table.schema))


class _Taken:
    """The names of a schema's indexes, looked up one by one."""

    def __init__(self, state: State, schema: str) -> None:
        self.state = state
        self.schema = schema

    def __contains__(self, name: object) -> bool:
        return (self.schema, name) in self.state.indexes
