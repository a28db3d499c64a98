"""What ADD COLUMN and ALTER COLUMN … TYPE do to the rows that are there."""

from __future__ import annotations

from typing import NamedTuple

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint import types
from data_platform.migration.lint.alter import definition
from data_platform.migration.lint.definitions import is_serial, part, relation_of
from data_platform.migration.lint.effects.collect import Effects
from data_platform.migration.lint.expressions import volatility
from data_platform.migration.lint.locks import Mode
from data_platform.migration.lint.state import Column, Table
from data_platform.migration.lint.types import Type, type_of

CONSTANT_DEFAULTS_SINCE = 11


class Cause(NamedTuple):
    """Why a new column makes the server write every row anew."""

    cause: str
    reason: str
    certain: bool = True


def add_column(effects: Effects, table: Table, command: pb.AlterTableCmd) -> None:
    """A column is instant unless each row needs its own value, or something has to be checked."""
    node = definition(command).column_def
    if command.missing_ok and table.column(node.colname) is not None:
        return
    cause = why_rewritten(effects, node)
    if cause is not None:
        effects.add(
            "rewrite",
            cause.cause,
            table,
            Mode.ACCESS_EXCLUSIVE,
            node,
            reason=cause.reason,
            certain=cause.certain,
        )
    _checks(effects, table, node, rewritten=cause is not None)
    _keys(effects, table, node)


def why_rewritten(effects: Effects, node: pb.ColumnDef) -> Cause | None:
    """What makes the server compute a value for every row, if anything does."""
    type_ = type_of(node.type_name)
    generated = part(node, pb.CONSTR_GENERATED)
    if generated is not None:
        return (
            None
            if generated.generated_kind == "v"
            else Cause("stored", "a STORED column is computed in every row")
        )
    if is_serial(type_):
        return Cause("serial", f"{type_.name} takes a number from a sequence for every row")
    if part(node, pb.CONSTR_IDENTITY) is not None:
        return Cause("identity", "an identity column takes a number from a sequence for every row")
    default = part(node, pb.CONSTR_DEFAULT)
    if default is not None and (found := _default(effects, default.raw_expr)) is not None:
        return found
    _, constrained = effects.state.resolved(type_)
    return (
        Cause("domain", f"the domain {type_} has constraints, which are checked row by row")
        if constrained
        else None
    )


def _default(effects: Effects, expression: pb.Node) -> Cause | None:
    found = volatility(expression, effects.state.routines)
    if found.volatile:
        known = (
            "volatile" if found.certain else "not known here, and volatile unless it is declared otherwise"
        )
        return Cause(
            "volatile default",
            f"{found.function}() is {known}, so every row gets its own value",
            found.certain,
        )
    is_null = expression.HasField("a_const") and expression.a_const.isnull
    if effects.version < CONSTANT_DEFAULTS_SINCE and not is_null:
        return Cause("old default", f"PostgreSQL {effects.version} writes any default into every row")
    return None


def _checks(effects: Effects, table: Table, node: pb.ColumnDef, *, rewritten: bool) -> None:
    virtual = (generated := part(node, pb.CONSTR_GENERATED)) is not None and generated.generated_kind == "v"
    if rewritten:
        return
    check = part(node, pb.CONSTR_CHECK)
    if check is not None and check.is_enforced:
        effects.add("verify", "check", table, Mode.ACCESS_EXCLUSIVE, check)
    if virtual and part(node, pb.CONSTR_NOTNULL) is not None:
        effects.add("verify", "not null", table, Mode.ACCESS_EXCLUSIVE, node)


def _keys(effects: Effects, table: Table, node: pb.ColumnDef) -> None:
    for one in node.constraints:
        constraint = one.constraint
        if constraint.contype == pb.CONSTR_UNIQUE:
            effects.add("index", "unique", table, Mode.ACCESS_EXCLUSIVE, node)
        elif constraint.contype == pb.CONSTR_PRIMARY:
            effects.add("index", "primary key", table, Mode.ACCESS_EXCLUSIVE, node)
        elif constraint.contype == pb.CONSTR_FOREIGN:
            target = effects.state.table(relation_of(effects.state, constraint.pktable))
            if not effects.quiet(table):
                effects.lock(target, Mode.SHARE_ROW_EXCLUSIVE)
            filled = part(node, pb.CONSTR_DEFAULT) is not None or is_serial(type_of(node.type_name))
            if filled and constraint.is_enforced:
                effects.add("validate", "foreign key", table, Mode.ACCESS_EXCLUSIVE, node)


def change_type(effects: Effects, table: Table, command: pb.AlterTableCmd) -> None:
    """A change of type writes every row anew unless the old bytes are right; what hangs on the column may be redone."""
    node = definition(command).column_def
    column = table.column(command.name)
    for key in (one for one in table.constraints.values() if one.target and command.name in one.columns):
        effects.lock(effects.state.table(key.target or table.name), Mode.ACCESS_EXCLUSIVE)
    for other in effects.state.keys_to(table.name, command.name):
        effects.lock(other, Mode.ACCESS_EXCLUSIVE)
    if column is not None and column.generated == "virtual":
        return
    new = type_of(node.type_name)
    found = _changed(
        effects, column, new, node.raw_default if node.HasField("raw_default") else None, command.name
    )
    if found.rewrites:
        effects.add(
            "rewrite",
            "type",
            table,
            Mode.ACCESS_EXCLUSIVE,
            command,
            reason=found.reason,
            certain=found.certain,
        )
        return
    _redone(effects, table, command, found.other_order or _other_collation(node))


def _changed(
    effects: Effects, column: Column | None, new: Type, using: pb.Node | None, name: str
) -> types.Change:
    steps = [] if using is None else _casts(using, name)
    if steps is None:
        return types.Change(True, "the USING expression is computed for every row")
    if column is None:
        return types.Change(
            True, f"values are converted to {new} unless they are stored alike already", certain=False
        )
    other_order = False
    current, _ = effects.state.resolved(column.type)
    for step in [*steps, new]:
        target, constrained = effects.state.resolved(step)
        if constrained and step != column.type:
            return types.Change(True, f"the constraints of the domain {step} are checked in every row")
        found = types.change(current, target, effects.session.setting("timezone"))
        if found.rewrites:
            return found
        other_order, current = other_order or found.other_order, target
    return types.Change(False, other_order=other_order)


def _casts(using: pb.Node, name: str) -> list[Type] | None:
    """The types that USING casts the column to, the first cast first; None if it is anything else."""
    steps: list[Type] = []
    while using.HasField("type_cast"):
        steps.append(type_of(using.type_cast.type_name))
        using = using.type_cast.arg
    if not using.HasField("column_ref"):
        return None
    last = using.column_ref.fields[-1]
    return steps[::-1] if last.HasField("string") and last.string.sval == name else None


def _other_collation(node: pb.ColumnDef) -> bool:
    return node.HasField("coll_clause") and str(node.coll_clause.collname[-1].string.sval) != "default"


def _redone(effects: Effects, table: Table, command: pb.AlterTableCmd, other_order: bool) -> None:
    """Checks and indexes on a column whose type changes are made again even when the rows stay."""
    name = command.name
    if any(one.kind == "check" and name in one.columns and one.valid for one in table.constraints.values()):
        reason = f"the CHECK constraints on {name} are verified again"
        effects.add("verify", "type", table, Mode.ACCESS_EXCLUSIVE, command, reason=reason)
    for index in effects.state.indexes_on(table.name):
        if name in index.computed or (other_order and name in index.columns):
            reason = f"the index {index.name.name} is built again"
            effects.add("index", "type", table, Mode.ACCESS_EXCLUSIVE, command, reason=reason)
