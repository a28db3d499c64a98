"""One ALTER TABLE of several commands as several of one command each."""

from __future__ import annotations

from dataclasses import replace

from postgast import pg_query_pb2 as pb

from data_platform.migration.files import Statement
from data_platform.migration.lint import remedy

_PASSES: tuple[frozenset[int], ...] = (
    frozenset({pb.AT_DropColumn, pb.AT_DropConstraint}),
    frozenset({pb.AT_AlterColumnType}),
    frozenset({pb.AT_AddColumn}),
    frozenset({pb.AT_ColumnDefault, pb.AT_SetNotNull, pb.AT_DropNotNull, pb.AT_AddIdentity}),
    frozenset({pb.AT_AddConstraint}),
    frozenset({pb.AT_ValidateConstraint}),
)
"""The order in which the server carries out the commands of one statement, whatever the order they are written in."""


def commands(statement: Statement) -> int:
    """How many commands an ALTER TABLE has; 0 of anything else."""
    node = statement.node
    return len(node.alter_table_stmt.cmds) if node.HasField("alter_table_stmt") else 0


def one_by_one(statement: Statement) -> tuple[Statement, ...]:
    """The commands as statements of their own, in that order; none where it is not known of one of them."""
    node = statement.node.alter_table_stmt
    found = [item.alter_table_cmd for item in node.cmds]
    if any(_pass(command.subtype) is None for command in found):
        return ()
    made = []
    for number, command in enumerate(sorted(found, key=lambda one: _pass(one.subtype) or 0), 1):
        tree = pb.Node()
        tree.alter_table_stmt.CopyFrom(node)
        del tree.alter_table_stmt.cmds[:]
        tree.alter_table_stmt.cmds.add().alter_table_cmd.CopyFrom(command)
        made.append(replace(statement, sql=remedy.one_command(node, command), number=number, node=tree))
    return tuple(made)


def _pass(subtype: int) -> int | None:
    return next((number for number, members in enumerate(_PASSES) if subtype in members), None)
