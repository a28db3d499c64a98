"""Rules about rows: destroyed for good, or changed all at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint import remedy
from data_platform.migration.lint.advance import dropped_name
from data_platform.migration.lint.alter import definition
from data_platform.migration.lint.definitions import made_up, relation_of
from data_platform.migration.lint.rules.rule import Context, Hit, rule, shown
from data_platform.migration.lint.state import Relation, Table
from data_platform.migration.lint.types import Type, type_of

_KEEP = "keep a copy first, as long as somebody may want it back"


@rule(
    "data-loss",
    "error",
    "What is destroyed here no down migration brings back.",
    "truncate_stmt",
    "delete_stmt",
    "drop_stmt",
    "drop_owned_stmt",
    "dropdb_stmt",
    "alter_table_stmt",
    commands=(
        pb.AT_DropColumn,
        pb.AT_AlterColumnType,
    ),
)
def data_loss(context: Context) -> Iterator[Hit]:
    """TRUNCATE, DELETE of every row, DROP of what holds rows, types that hold less."""
    if context.kind == "truncate_stmt":
        yield from _truncated(context)
    elif context.kind == "delete_stmt":
        for work in context.work("rows", "all"):
            message = f"every row of {shown(work.table)} is deleted, in one transaction that locks them all"
            certain = context.state.table(work.table).known
            yield Hit(message, str(work.table), (_copy(work.table),), _KEEP, certain=certain)
    elif context.kind == "drop_stmt":
        yield from _dropped(context)
    elif context.kind == "drop_owned_stmt":
        yield Hit("every table of this role is destroyed with its rows", advice=_KEEP)
    elif context.kind == "dropdb_stmt":
        message = f"everything in the database {context.node.dbname} is destroyed"
        yield Hit(message, context.node.dbname, advice=_KEEP)
    else:
        yield from _altered(context)


def _copy(table: Relation) -> str:
    kept = remedy.name(table._replace(name=made_up(table.name, (), "kept", ())))
    return f"CREATE TABLE {kept} AS TABLE {remedy.name(table)}"


def _truncated(context: Context) -> Iterator[Hit]:
    cascade = context.node.behavior == pb.DROP_CASCADE
    for item in context.node.relations:
        table = context.state.table(relation_of(context.state, item.range_var))
        if context.effects.quiet(table):
            continue
        more = " and of every table with a foreign key to it" if cascade else ""
        message = f"every row of {shown(table.name)}{more} is destroyed, under ACCESS EXCLUSIVE"
        yield Hit(message, str(table.name), (_copy(table.name),), _KEEP, certain=table.known)


def _dropped(context: Context) -> Iterator[Hit]:
    node = context.node
    if node.remove_type == pb.OBJECT_SCHEMA and node.behavior == pb.DROP_CASCADE:
        for item in node.objects:
            schema = dropped_name(item)[-1]
            if ("schema", schema) not in context.state.made:
                yield Hit(
                    f"everything in the schema {schema} is destroyed", schema, advice=_KEEP, severity="error"
                )
    if node.remove_type == pb.OBJECT_EXTENSION and node.behavior == pb.DROP_CASCADE:
        for item in node.objects:
            extension = dropped_name(item)[-1]
            message = f"every column of a type of {extension} is destroyed with its values"
            yield Hit(message, extension, advice=_KEEP)
    if node.remove_type != pb.OBJECT_TABLE:
        return
    for item in node.objects:
        names = dropped_name(item)
        name = context.state.name(names[-2] if len(names) > 1 else None, names[-1])
        table = context.state.table(name)
        if context.effects.quiet(table) or (node.missing_ok and context.state.missing(name)):
            continue
        message = f"the rows of {shown(name)} are destroyed"
        yield Hit(message, str(name), (_copy(name),), _KEEP, certain=table.known, severity="warning")


def _altered(context: Context) -> Iterator[Hit]:
    table = context.table
    if context.effects.quiet(table) or table.kind == "view" or context.node.objtype == pb.OBJECT_TYPE:
        return
    for item in context.node.cmds:
        command = item.alter_table_cmd
        column = table.column(command.name)
        if command.subtype == pb.AT_DropColumn:
            gone = (
                table.columns is not None and column is None and command.missing_ok and context.state.complete
            )
            if not gone and not (column is not None and (column.added or column.generated)):
                message = f"the values of {command.name} in {shown(table.name)} are destroyed"
                object_ = f"{table.name}.{command.name}"
                yield Hit(message, object_, advice=_KEEP, certain=table.known, severity="warning")
        elif command.subtype == pb.AT_AlterColumnType and column is not None:
            yield from _narrowed(context, table, column.type, command)


def _narrowed(context: Context, table: Table, old: Type, command: pb.AlterTableCmd) -> Iterator[Hit]:
    new = type_of(definition(command).column_def.type_name)
    what = narrows(old, new, cast=definition(command).column_def.HasField("raw_default"))
    if what:
        message = f"{command.name} of {shown(table.name)} becomes {new}: {what}"
        yield Hit(message, f"{table.name}.{command.name}", advice=_KEEP, severity="warning")


_FRACTIONS = ("numeric", "float4", "float8")
_WHOLE = ("int2", "int4", "int8")
_LENGTHS = ("varchar", "bpchar", "text")


def narrows(old: Type, new: Type, *, cast: bool) -> str:
    """What a change of type silently loses; "" where the server refuses values that do not fit."""
    if old.array or new.array:
        return ""
    if old.name in _FRACTIONS and (new.name in _WHOLE or (new.name == "numeric" and _rounds(old, new))):
        return "digits after the point are rounded away"
    if old.name in ("timestamp", "timestamptz") and new.name == "date":
        return "the time of day is lost"
    if old.name in ("timestamp", "timestamptz") and new.name in ("time", "timetz"):
        return "the date is lost"
    if old.name == "jsonb" or new.name == old.name == "json":
        return ""
    if cast and old.name in _LENGTHS and new.name in ("varchar", "bpchar") and new.modifiers:
        shorter = not old.modifiers or (new.modifiers[0] or 0) < (old.modifiers[0] or 0)
        return "the cast cuts longer values off" if shorter else ""
    return ""


def _rounds(old: Type, new: Type) -> bool:
    if not new.modifiers:
        return False
    scale = new.modifiers[1] if len(new.modifiers) > 1 else 0
    if old.name != "numeric" or not old.modifiers:
        return True
    return (scale or 0) < ((old.modifiers[1] if len(old.modifiers) > 1 else 0) or 0)


@rule(
    "update-all-rows",
    "warning",
    "One UPDATE of every row locks them all to its end, doubles the table on disk, and is lost whole if it fails.",
    "update_stmt",
    needs="work",
)
def update_all(context: Context) -> Iterator[Hit]:
    """UPDATE without a condition, or a backfill of a column that this migration added."""
    for work in context.work("rows", "all", "some"):
        if work.cause == "some" and not _fills_new_column(context, context.state.table(work.table)):
            continue
        message = f"every row of {shown(work.table)} is updated in one transaction: writers of a row wait until its end"
        advice = (
            "in batches by key, each in a transaction of its own, that can go on where it stopped:"
            " `dpe migration backfill`"
        )
        yield Hit(message, str(work.table), advice=advice, certain=context.state.table(work.table).known)


def _fills_new_column(context: Context, table: Table) -> bool:
    """SET new = … WHERE new IS NULL: it matches all that were there before."""
    for target in context.node.target_list:
        column = table.column(target.res_target.name)
        if column is not None and column.added and _is_null(context.node.where_clause, column.name):
            return True
    return False


def _is_null(node: Any, column: str) -> bool:
    test = node.null_test
    return bool(
        node.HasField("null_test")
        and test.nulltesttype == pb.IS_NULL
        and test.arg.HasField("column_ref")
        and test.arg.column_ref.fields[-1].string.sval == column
    )


@rule(
    "enum-value-in-transaction",
    "error",
    "A value that ALTER TYPE adds cannot be used before its transaction is committed: the server refuses it (55P04).",
    "alter_enum_stmt",
)
def enum_value(context: Context) -> Iterator[Hit]:
    """ALTER TYPE … ADD VALUE with a use of the value later in the transaction."""
    node = context.node
    type_ = node.type_name[-1].string.sval
    if node.old_val or not context.in_transaction or context.state.enums.get(type_, False):
        return
    for statement in context.later:
        if statement.node.WhichOneof("node") not in ("alter_enum_stmt", "comment_stmt") and _uses(
            statement.sql, node.new_val
        ):
            message = f"line {statement.line} uses the value {node.new_val} of {type_} in the transaction that adds it"
            yield Hit(message, type_, (remedy.printed("alter_enum_stmt", node), "COMMIT"), certain=True)
            return


def _uses(sql: str, value: str) -> bool:
    return "'" + value.replace("'", "''") + "'" in sql
