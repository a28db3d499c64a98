"""Rules about constraints that are checked, and keys that are built, while clients wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint import remedy
from data_platform.migration.lint.alter import definition
from data_platform.migration.lint.definitions import is_serial, part, relation_of, strings
from data_platform.migration.lint.effects import Work
from data_platform.migration.lint.rules.rule import ASSUMED, Context, Hit, on, rule, shown
from data_platform.migration.lint.types import type_of

NOT_VALID_KEYS_OF_PARTITIONED_SINCE = 18


@rule(
    "fk-not-valid-missing",
    "error",
    "A foreign key that is valid at once is checked against every row while writes to both tables wait.",
    "alter_table_stmt",
    needs="work",
)
def foreign_key(context: Context) -> Iterator[Hit]:
    """ADD FOREIGN KEY without NOT VALID on a table that may have rows."""
    for work in context.work("validate", "foreign key"):
        constraint, safe = _key_in_steps(context, work)
        target = relation_of(context.state, constraint.pktable)
        message = (
            f"every row of {shown(work.table)} is looked up in {shown(target)} under {work.mode} on the first"
            f" and SHARE ROW EXCLUSIVE on the second: writes to both wait"
        )
        yield on(work, message, safe, fits=bool(safe), advice=_APART)


_APART = "VALIDATE in a transaction of its own: it keeps no client out"


def _key_in_steps(context: Context, work: Work) -> tuple[pb.Constraint, tuple[str, ...]]:
    if isinstance(work.part, pb.Constraint):
        table = context.state.table(work.table)
        if table.kind == "partitioned" and context.version < NOT_VALID_KEYS_OF_PARTITIONED_SINCE:
            return work.part, ()
        return work.part, remedy.not_valid_first(context.state, work.table, context.node, work.part)
    constraint = part(work.part, pb.CONSTR_FOREIGN)
    assert constraint is not None
    return constraint, _column_then(context, work, constraint)


def _column_then(context: Context, work: Work, constraint: pb.Constraint) -> tuple[str, ...]:
    """The column first, its foreign key or CHECK as a constraint of the table after it."""
    bare = remedy.without(work.part, constraint.contype)
    made = pb.Constraint()
    made.CopyFrom(constraint)
    if constraint.contype == pb.CONSTR_FOREIGN:
        made.fk_attrs.add().string.sval = work.part.colname
    return (
        remedy.add_column(context.node, bare),
        *remedy.not_valid_first(context.state, work.table, context.node, made),
    )


@rule(
    "check-not-valid-missing",
    "error",
    "A CHECK that is valid at once is evaluated for every row under ACCESS EXCLUSIVE.",
    "alter_table_stmt",
    "alter_domain_stmt",
    needs="work",
)
def check(context: Context) -> Iterator[Hit]:
    """ADD CHECK without NOT VALID on a table that may have rows."""
    for work in context.work("verify", "check"):
        safe: tuple[str, ...] = ()
        if context.kind == "alter_table_stmt" and not _of_column(context, work.part):
            safe = remedy.not_valid_first(context.state, work.table, context.node, work.part)
        message = f"every row of {shown(work.table)} is checked under ACCESS EXCLUSIVE, reads and writes wait"
        yield on(work, message, safe, fits=bool(safe), advice=_APART)
    for work in context.work("verify", "domain check"):
        message = (
            f"every row of {shown(work.table)}, which has a column of this domain, is checked under {work.mode}:"
            " writes wait"
        )
        yield on(work, message, advice=_OF_DOMAIN)


_OF_DOMAIN = (
    "the validation of a domain's constraint keeps writes out too: give each table a CHECK … NOT VALID of its own,"
    " validate that apart, and leave the domain's NOT VALID"
)


def _of_column(context: Context, constraint: pb.Constraint) -> bool:
    commands = (item.alter_table_cmd for item in context.node.cmds)
    return not any(
        command.subtype == pb.AT_AddConstraint and definition(command).constraint == constraint
        for command in commands
    )


@rule(
    "set-not-null-scan",
    "error",
    "SET NOT NULL looks at every row under ACCESS EXCLUSIVE unless a valid CHECK proves that there is no null.",
    "alter_table_stmt",
    needs="work",
)
def set_not_null(context: Context) -> Iterator[Hit]:
    """A column becomes NOT NULL with nothing to prove it."""
    for work in context.work("verify", "not null"):
        column = _column(work.part)
        safe = remedy.not_null(context.state, work.table, column, context.version) if column else ()
        message = (
            f"every row of {shown(work.table)} is read to see that {column or 'its key'} holds no null, under"
            " ACCESS EXCLUSIVE: reads and writes wait"
        )
        fits = bool(safe) and isinstance(work.part, pb.AlterTableCmd)
        yield on(work, message, safe, fits=fits, advice=_APART)


def _column(node: Any) -> str:
    if isinstance(node, pb.AlterTableCmd):
        return str(node.name)
    if isinstance(node, pb.ColumnDef):
        return ""
    names = strings(node.keys)
    return names[0] if names else ""


@rule(
    "unique-constraint-blocking",
    "error",
    "UNIQUE and PRIMARY KEY build their index under ACCESS EXCLUSIVE; an index that is there can be taken over.",
    "alter_table_stmt",
    needs="work",
)
def unique(context: Context) -> Iterator[Hit]:
    """ADD UNIQUE or PRIMARY KEY without USING INDEX."""
    for work in context.work("index", "unique", "primary key"):
        safe = _unique_in_steps(context, work)
        message = f"the index behind it is built under ACCESS EXCLUSIVE on {shown(work.table)}: reads and writes wait"
        yield on(work, message, safe, fits=bool(safe) and isinstance(work.part, pb.Constraint))


def _unique_in_steps(context: Context, work: Work) -> tuple[str, ...]:
    if context.state.table(work.table).kind == "partitioned":
        return ()
    if isinstance(work.part, pb.Constraint):
        if work.part.without_overlaps:
            return ()
        return _no_nulls(context, work) + remedy.unique(context.state, work.table, work.part)
    kind = pb.CONSTR_UNIQUE if work.cause == "unique" else pb.CONSTR_PRIMARY
    constraint = part(work.part, kind)
    assert constraint is not None
    column = remedy.add_column(context.node, remedy.without(work.part, kind))
    return column, *remedy.unique_column(context.state, work.table, work.part, constraint)


def _no_nulls(context: Context, work: Work) -> tuple[str, ...]:
    """A primary key on top of an index reads the table for nulls, unless they are ruled out before."""
    if work.cause != "primary key":
        return ()
    steps: list[str] = []
    table = context.state.table(work.table)
    for column in strings(work.part.keys):
        known = table.column(column)
        if known is not None and not known.not_null:
            steps += remedy.not_null(context.state, work.table, column, context.version)
    return tuple(steps)


@rule(
    "exclude-constraint-blocking",
    "error",
    "An exclusion constraint builds its index under ACCESS EXCLUSIVE and has no form that lets clients go on.",
    "alter_table_stmt",
    needs="work",
)
def exclude(context: Context) -> Iterator[Hit]:
    """ADD CONSTRAINT … EXCLUDE on a table that may have rows."""
    for work in context.work("index", "exclude"):
        message = f"the index behind it is built under ACCESS EXCLUSIVE on {shown(work.table)}: reads and writes wait"
        advice = (
            "add it while the table is small, or make a new table with the constraint and move the rows there"
        )
        yield on(work, message, advice=advice)


@rule(
    "add-column-required",
    "error",
    "A NOT NULL column without a default cannot be added to a table with rows: the server refuses it (23502).",
    "alter_table_stmt",
    commands=(pb.AT_AddColumn,),
)
def required_column(context: Context) -> Iterator[Hit]:
    """ADD COLUMN … NOT NULL with nothing to put into the rows that are there."""
    table = context.table
    if (table.new is not None or table.temporary) and not table.filled:
        return
    for item in context.node.cmds:
        column = definition(item.alter_table_cmd).column_def
        if item.alter_table_cmd.subtype != pb.AT_AddColumn or not _needs_a_value(column):
            continue
        known = table.column(column.colname) is not None
        if known and item.alter_table_cmd.missing_ok:
            continue
        bare = remedy.without(column, pb.CONSTR_NOTNULL)
        safe = (
            remedy.add_column(context.node, bare),
            *remedy.not_null(context.state, table.name, column.colname, context.version),
        )
        message = f"adding {column.colname} to {shown(table.name)} fails as soon as the table has a row"
        certain = table.known
        advice = "fill the column before it is validated, in batches: `dpe migration backfill`"
        yield Hit(message + ("" if certain else ASSUMED), str(table.name), safe, advice, certain=certain)


def _needs_a_value(column: pb.ColumnDef) -> bool:
    kinds = {one.constraint.contype for one in column.constraints}
    given = kinds & {pb.CONSTR_DEFAULT, pb.CONSTR_IDENTITY, pb.CONSTR_GENERATED}
    required = bool(kinds & {pb.CONSTR_NOTNULL, pb.CONSTR_PRIMARY})
    return required and not given and not is_serial(type_of(column.type_name))
