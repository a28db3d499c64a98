"""A state after ALTER TABLE, command by command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint.definitions import relation_of
from data_platform.migration.lint.state import Column, State, Table
from data_platform.migration.lint.types import type_of

DefineColumn = Callable[[State, Table, pb.ColumnDef, str | None], None]
DefineConstraint = Callable[[State, Table, pb.Constraint, str | None], None]


def definition(command: pb.AlterTableCmd) -> pb.Node:
    """What the command defines; the field's name is a word of Python's."""
    return getattr(command, "def")


def alter_table(
    state: State,
    node: pb.AlterTableStmt,
    file: str | None,
    define_column: DefineColumn,
    define_constraint: DefineConstraint,
) -> None:
    """Apply every command in turn."""
    name = relation_of(state, node.relation)
    if name in state.indexes:
        return
    for item in node.cmds:
        command = item.alter_table_cmd
        table = state.table(name)
        if command.subtype == pb.AT_AddColumn:
            column = definition(command).column_def
            if not (command.missing_ok and table.column(column.colname)):
                define_column(state, table, column, file)
        elif command.subtype == pb.AT_AddConstraint:
            define_constraint(state, table, definition(command).constraint, file)
        elif command.subtype in _STEPS:
            _STEPS[command.subtype](state, table, command)


def _on_column(
    change: Callable[[Column, pb.AlterTableCmd], Column],
) -> Callable[[State, Table, pb.AlterTableCmd], None]:
    def step(state: State, table: Table, command: pb.AlterTableCmd) -> None:
        column = table.column(command.name)
        if column is not None:
            state.put(table.with_column(change(column, command)))

    return step


def _drop_column(state: State, table: Table, command: pb.AlterTableCmd) -> None:
    gone = command.name
    columns = None if table.columns is None else {n: c for n, c in table.columns.items() if n != gone}
    kept = {n: c for n, c in table.constraints.items() if gone not in c.columns}
    state.put(replace(table, columns=columns, constraints=kept))
    for index in list(state.indexes_on(table.name)):
        if gone in index.columns or gone in index.computed:
            del state.indexes[index.name]


def _drop_constraint(state: State, table: Table, command: pb.AlterTableCmd) -> None:
    constraints = dict(table.constraints)
    constraint = constraints.pop(command.name, None)
    table = replace(table, constraints=constraints)
    if constraint is not None and constraint.kind == "not null":
        for name in constraint.columns:
            column = table.column(name)
            table = table.with_column(replace(column, not_null=False)) if column else table
    state.put(table)
    for index in list(state.indexes_on(table.name)):
        if index.name.name == command.name:
            del state.indexes[index.name]


def _validate(state: State, table: Table, command: pb.AlterTableCmd) -> None:
    constraint = table.constraints.get(command.name)
    if constraint is None:
        return
    table = table.with_constraint(replace(constraint, valid=True))
    if constraint.kind == "not null":
        for name in constraint.columns:
            column = table.column(name)
            table = table.with_column(replace(column, not_null=True)) if column else table
    state.put(table)


def _attach(state: State, table: Table, command: pb.AlterTableCmd) -> None:
    partition = state.table(relation_of(state, definition(command).partition_cmd.name))
    bound = definition(command).partition_cmd.bound
    state.put(replace(partition, parent=table.name, is_default_partition=bound.is_default))


def _detach(state: State, table: Table, command: pb.AlterTableCmd) -> None:
    partition = state.table(relation_of(state, definition(command).partition_cmd.name))
    state.put(replace(partition, parent=None, is_default_partition=False))


def _logged(unlogged: bool) -> Callable[[State, Table, Any], None]:
    return lambda state, table, command: state.put(replace(table, unlogged=unlogged))


_STEPS: dict[int, Callable[[State, Table, Any], None]] = {
    pb.AT_AlterColumnType: _on_column(
        lambda column, command: replace(column, type=type_of(definition(command).column_def.type_name))
    ),
    pb.AT_SetNotNull: _on_column(lambda column, command: replace(column, not_null=True)),
    pb.AT_DropNotNull: _on_column(lambda column, command: replace(column, not_null=False)),
    pb.AT_ColumnDefault: _on_column(lambda column, command: replace(column, default=command.HasField("def"))),
    pb.AT_AddIdentity: _on_column(lambda column, command: replace(column, default=True, not_null=True)),
    pb.AT_DropColumn: _drop_column,
    pb.AT_DropConstraint: _drop_constraint,
    pb.AT_ValidateConstraint: _validate,
    pb.AT_AttachPartition: _attach,
    pb.AT_DetachPartition: _detach,
    pb.AT_SetLogged: _logged(False),
    pb.AT_SetUnLogged: _logged(True),
}
