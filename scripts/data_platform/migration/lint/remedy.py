"""Safe forms, made from the statement that was found: its own tree, changed and printed, or its names in a recipe."""

from __future__ import annotations

from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.migration.lint.alter import definition
from data_platform.migration.lint.definitions import constraint_of, default_name, strings
from data_platform.migration.lint.state import Relation, State
from data_platform.sql.text import identifier, identifiers, qualified

NOT_NULL_CONSTRAINTS_SINCE = 18


def printed(kind: str, node: Any) -> str:
    """The statement of a tree."""
    tree = pb.ParseResult()
    getattr(tree.stmts.add().stmt, kind).CopyFrom(node)
    return str(postgast.deparse(tree))


def concurrent_index(node: pb.IndexStmt) -> str:
    """CREATE INDEX CONCURRENTLY; the default access method is left out."""
    made = pb.IndexStmt()
    made.CopyFrom(node)
    made.concurrent = True
    if made.access_method == "btree":
        made.access_method = ""
    return printed("index_stmt", made)


def name(relation: Relation) -> str:
    """A relation's name as SQL."""
    plain = relation.schema == "public"
    return str(identifier(relation.name) if plain else qualified(relation.schema, relation.name))


def one_command(node: pb.AlterTableStmt, command: pb.AlterTableCmd) -> str:
    """ALTER TABLE with this command alone."""
    alone = pb.AlterTableStmt(relation=node.relation, objtype=node.objtype, missing_ok=node.missing_ok)
    alone.cmds.add().alter_table_cmd.CopyFrom(command)
    return printed("alter_table_stmt", alone)


def not_valid_first(
    state: State, table: Relation, node: pb.AlterTableStmt, constraint: pb.Constraint
) -> tuple[str, ...]:
    """The constraint NOT VALID, then its validation."""
    command = pb.AlterTableCmd(subtype=pb.AT_AddConstraint, behavior=pb.DROP_RESTRICT)
    made = definition(command).constraint
    made.CopyFrom(constraint)
    made.conname = constraint_of(state, table, constraint).name
    made.skip_validation, made.initially_valid = True, False
    return one_command(node, command), validation(table, made.conname)


def validation(table: Relation, constraint: str) -> str:
    """VALIDATE CONSTRAINT."""
    return f"ALTER TABLE {name(table)} VALIDATE CONSTRAINT {identifier(constraint)}"


def not_null(state: State, table: Relation, column: str, version: int) -> tuple[str, ...]:
    """A NOT NULL that is checked while clients go on."""
    if version >= NOT_NULL_CONSTRAINTS_SINCE:
        constraint = default_name(state, table, "not null", [column])
        added = f"ADD CONSTRAINT {identifier(constraint)} NOT NULL {identifier(column)} NOT VALID"
        return f"ALTER TABLE {name(table)} {added}", validation(table, constraint)
    constraint = default_name(state, table, "check", [column])
    check = f"ADD CONSTRAINT {identifier(constraint)} CHECK ({identifier(column)} IS NOT NULL) NOT VALID"
    return (
        f"ALTER TABLE {name(table)} {check}",
        validation(table, constraint),
        f"ALTER TABLE {name(table)} ALTER COLUMN {identifier(column)} SET NOT NULL",
        f"ALTER TABLE {name(table)} DROP CONSTRAINT {identifier(constraint)}",
    )


def unique(state: State, table: Relation, constraint: pb.Constraint) -> tuple[str, ...]:
    """The index CONCURRENTLY, then the constraint on top of it."""
    made = constraint_of(state, table, constraint).name
    return _unique(table, made, strings(constraint.keys), constraint)


def unique_column(
    state: State, table: Relation, column: pb.ColumnDef, constraint: pb.Constraint
) -> tuple[str, ...]:
    """The same for a column's own UNIQUE or PRIMARY KEY."""
    made = constraint_of(state, table, constraint, column.colname).name
    return _unique(table, made, (column.colname,), constraint)


def _unique(
    table: Relation, made: str, columns: tuple[str, ...], constraint: pb.Constraint
) -> tuple[str, ...]:
    include = f" INCLUDE ({identifiers(strings(constraint.including))})" if constraint.including else ""
    nulls = " NULLS NOT DISTINCT" if constraint.nulls_not_distinct else ""
    kind = "PRIMARY KEY" if constraint.contype == pb.CONSTR_PRIMARY else "UNIQUE"
    deferral = " DEFERRABLE" if constraint.deferrable else ""
    deferral += " INITIALLY DEFERRED" if constraint.initdeferred else ""
    index = identifier(made)
    return (
        f"CREATE UNIQUE INDEX CONCURRENTLY {index} ON {name(table)} ({identifiers(columns)}){include}{nulls}",
        f"ALTER TABLE {name(table)} ADD CONSTRAINT {index} {kind} USING INDEX {index}{deferral}",
    )


def without(column: pb.ColumnDef, *kinds: int) -> pb.ColumnDef:
    """A column's definition without its constraints of some kinds."""
    bare = pb.ColumnDef()
    bare.CopyFrom(column)
    del bare.constraints[:]
    bare.constraints.extend(one for one in column.constraints if one.constraint.contype not in kinds)
    return bare


def add_column(node: pb.AlterTableStmt, column: pb.ColumnDef) -> str:
    """ALTER TABLE … ADD COLUMN with this definition."""
    command = pb.AlterTableCmd(subtype=pb.AT_AddColumn, behavior=pb.DROP_RESTRICT)
    definition(command).column_def.CopyFrom(column)
    return one_command(node, command)


def expression(node: pb.Node) -> str:
    """An expression as SQL."""
    tree = pb.ParseResult()
    select = tree.stmts.add().stmt.select_stmt
    select.limit_option, select.op = pb.LIMIT_OPTION_DEFAULT, pb.SETOP_NONE
    select.target_list.add().res_target.val.CopyFrom(node)
    return str(postgast.deparse(tree)).removeprefix("SELECT ")


def bridge(old: Relation, new: Relation) -> str:
    """A view that answers to the old name."""
    return f"CREATE VIEW {name(old)} AS TABLE {name(new)}"
