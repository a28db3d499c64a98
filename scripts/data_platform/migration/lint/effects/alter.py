"""What the commands of ALTER TABLE do, apart from those that define columns."""

from __future__ import annotations

from collections.abc import Callable

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint.alter import alter_table as advance_alter
from data_platform.migration.lint.alter import definition
from data_platform.migration.lint.create import define_column, define_constraint
from data_platform.migration.lint.definitions import relation_of, strings
from data_platform.migration.lint.effects.collect import Effects
from data_platform.migration.lint.effects.columns import add_column, change_type
from data_platform.migration.lint.locks import Mode, of_command
from data_platform.migration.lint.state import Constraint, Relation, Table

PROVES_NOT_NULL_SINCE = 12


def alter_table(effects: Effects, node: pb.AlterTableStmt) -> None:
    """Each command in turn, seeing what the ones before it did."""
    if node.objtype in (pb.OBJECT_TYPE, pb.OBJECT_SEQUENCE):
        return
    name = relation_of(effects.state, node.relation)
    if name in effects.state.indexes or node.objtype == pb.OBJECT_INDEX:
        return
    given, several = effects.state, len(node.cmds) > 1
    if several:
        effects.state = given.copy()
    alone = not node.relation.inh and given.table(name).kind == "partitioned"
    for item in node.cmds:
        command = item.alter_table_cmd
        table = effects.state.table(name)
        effects.lock(table, of_command(command, effects.version))
        step = _STEPS.get(command.subtype)
        if step is not None and not alone:
            step(effects, table, command)
        if several:
            advance_alter(effects.state, _only(node, item), effects.file, define_column, define_constraint)
    effects.state = given
    if several:
        effects.under_one_lock(name)


def _only(node: pb.AlterTableStmt, item: pb.Node) -> pb.AlterTableStmt:
    return pb.AlterTableStmt(relation=node.relation, cmds=[item], objtype=node.objtype)


def _add_constraint(effects: Effects, table: Table, command: pb.AlterTableCmd) -> None:
    node = definition(command).constraint
    if node.contype == pb.CONSTR_FOREIGN:
        _foreign_key(effects, table, node)
    elif node.contype == pb.CONSTR_CHECK:
        if not node.skip_validation and node.is_enforced:
            effects.add("verify", "check", table, Mode.ACCESS_EXCLUSIVE, node)
    elif node.contype == pb.CONSTR_NOTNULL:
        if not node.skip_validation:
            for column in strings(node.keys):
                not_null(effects, table, column, node)
    elif node.contype in (pb.CONSTR_UNIQUE, pb.CONSTR_PRIMARY):
        _unique(effects, table, node)
    elif node.contype == pb.CONSTR_EXCLUSION:
        effects.add("index", "exclude", table, Mode.ACCESS_EXCLUSIVE, node)


def _foreign_key(effects: Effects, table: Table, node: pb.Constraint) -> None:
    target = effects.state.table(relation_of(effects.state, node.pktable))
    effects.lock(target, Mode.SHARE_ROW_EXCLUSIVE)
    if not node.skip_validation and node.is_enforced:
        effects.add("validate", "foreign key", table, Mode.SHARE_ROW_EXCLUSIVE, node)


def _unique(effects: Effects, table: Table, node: pb.Constraint) -> None:
    primary = node.contype == pb.CONSTR_PRIMARY
    columns = strings(node.keys)
    if node.indexname:
        index = effects.state.indexes.get(Relation(table.name.schema, node.indexname))
        columns = index.columns if index else ()
    else:
        effects.add("index", "primary key" if primary else "unique", table, Mode.ACCESS_EXCLUSIVE, node)
    for column in columns if primary else ():
        if (known := table.column(column)) is not None and not known.not_null:
            not_null(effects, table, column, node)


def not_null(effects: Effects, table: Table, column: str, part: object) -> None:
    """Every row is looked at unless the column is known to hold no null."""
    known = table.column(column)
    if known is not None and known.not_null:
        return
    if effects.version >= PROVES_NOT_NULL_SINCE and table.proven_not_null(column):
        return
    effects.add("verify", "not null", table, Mode.ACCESS_EXCLUSIVE, part)


def _set_not_null(effects: Effects, table: Table, command: pb.AlterTableCmd) -> None:
    not_null(effects, table, command.name, command)


def _validate(effects: Effects, table: Table, command: pb.AlterTableCmd) -> None:
    constraint = table.constraints.get(command.name)
    if constraint is not None and constraint.valid:
        return
    is_key = constraint is not None and constraint.kind == "foreign key"
    if is_key and constraint is not None and constraint.target is not None:
        effects.lock(effects.state.table(constraint.target), Mode.ROW_SHARE)
    effects.add("validate" if is_key else "verify", "validate", table, Mode.SHARE_UPDATE_EXCLUSIVE, command)


def _drop_constraint(effects: Effects, table: Table, command: pb.AlterTableCmd) -> None:
    _lock_target(effects, table.constraints.get(command.name))


def _drop_column(effects: Effects, table: Table, command: pb.AlterTableCmd) -> None:
    for constraint in table.constraints.values():
        if command.name in constraint.columns:
            _lock_target(effects, constraint)


def _lock_target(effects: Effects, constraint: Constraint | None) -> None:
    if constraint is not None and constraint.target is not None:
        effects.lock(effects.state.table(constraint.target), Mode.ACCESS_EXCLUSIVE)


def _attach(effects: Effects, table: Table, command: pb.AlterTableCmd) -> None:
    node = definition(command).partition_cmd
    partition = effects.state.table(relation_of(effects.state, node.name))
    effects.lock(partition, Mode.ACCESS_EXCLUSIVE)
    if not any(one.kind == "check" and one.valid for one in partition.constraints.values()):
        effects.add("verify", "attach", partition, Mode.ACCESS_EXCLUSIVE, command)
    scan_default(effects, table, command)


def scan_default(effects: Effects, parent: Table, part: object) -> None:
    """A new partition: the default one must hold no row of its range."""
    for one in effects.state.partitions(parent.name):
        if one.is_default_partition:
            effects.lock(one, Mode.ACCESS_EXCLUSIVE)
            effects.add("verify", "default partition", one, Mode.ACCESS_EXCLUSIVE, part)


def lock_default(effects: Effects, parent: Table) -> None:
    """The default partition's range changes when another one comes or goes."""
    for one in effects.state.partitions(parent.name):
        if one.is_default_partition:
            effects.lock(one, Mode.ACCESS_EXCLUSIVE)


def _detach(effects: Effects, table: Table, command: pb.AlterTableCmd) -> None:
    node = definition(command).partition_cmd
    partition = effects.state.table(relation_of(effects.state, node.name))
    mode = Mode.SHARE_UPDATE_EXCLUSIVE if node.concurrent else Mode.ACCESS_EXCLUSIVE
    effects.lock(partition, mode)
    if not node.concurrent:
        lock_default(effects, table)


def _rewrite(cause: str, reason: str) -> Callable[[Effects, Table, pb.AlterTableCmd], None]:
    def step(effects: Effects, table: Table, command: pb.AlterTableCmd) -> None:
        effects.add("rewrite", cause, table, Mode.ACCESS_EXCLUSIVE, command, reason=reason)

    return step


def _logged(unlogged: bool) -> Callable[[Effects, Table, pb.AlterTableCmd], None]:
    def step(effects: Effects, table: Table, command: pb.AlterTableCmd) -> None:
        if table.unlogged != unlogged or not table.known:
            reason = "the whole table is written to the WAL" if not unlogged else "the table is copied"
            effects.add("rewrite", "persistence", table, Mode.ACCESS_EXCLUSIVE, command, reason=reason)

    return step


def _access_method(effects: Effects, table: Table, command: pb.AlterTableCmd) -> None:
    if command.name not in ("", "heap"):
        _rewrite("access method", "the table is copied into the other access method")(effects, table, command)


def _set_expression(effects: Effects, table: Table, command: pb.AlterTableCmd) -> None:
    column = table.column(command.name)
    if column is None or column.generated != "virtual":
        _rewrite("expression", "a STORED column is computed again in every row")(effects, table, command)


_STEPS: dict[int, Callable[[Effects, Table, pb.AlterTableCmd], None]] = {
    pb.AT_AddColumn: add_column,
    pb.AT_AddConstraint: _add_constraint,
    pb.AT_AlterColumnType: change_type,
    pb.AT_SetNotNull: _set_not_null,
    pb.AT_ValidateConstraint: _validate,
    pb.AT_DropConstraint: _drop_constraint,
    pb.AT_DropColumn: _drop_column,
    pb.AT_AttachPartition: _attach,
    pb.AT_DetachPartition: _detach,
    pb.AT_SetLogged: _logged(False),
    pb.AT_SetUnLogged: _logged(True),
    pb.AT_SetTableSpace: _rewrite("tablespace", "the whole table is copied to the other tablespace"),
    pb.AT_SetAccessMethod: _access_method,
    pb.AT_SetExpression: _set_expression,
}
