"""Rules about tables that are written anew, row by row, while every client waits."""

from __future__ import annotations

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint import remedy
from data_platform.migration.lint.definitions import made_up, part
from data_platform.migration.lint.effects import Work
from data_platform.migration.lint.rules.rule import Context, Hit, on, rule, shown
from data_platform.migration.lint.types import SERIALS, type_of
from data_platform.sql.text import identifier

_PER_ROW = ("volatile default", "old default", "serial", "identity", "stored")
BACKFILL = "after the first statement fill the rows that are there in batches: `dpe migration backfill`"
STAGES = (
    "in stages: a second column kept in step by a trigger, the rows filled in batches, then the swap:"
    " `dpe migration plan` writes them"
)


@rule(
    "table-rewrite",
    "error",
    "A rewrite copies every row and builds every index again, and until it ends no client reads or writes the table.",
    "alter_table_stmt",
    "vacuum_stmt",
    "cluster_stmt",
    needs="work",
)
def table_rewrite(context: Context) -> Iterator[Hit]:
    """Whatever makes the server write the whole table again."""
    for work in context.work("rewrite"):
        message = f"{shown(work.table)} is written anew under ACCESS EXCLUSIVE, reads and writes wait: {work.reason}"
        yield on(work, message, _form(context, work), advice=_advice(work))


def _form(context: Context, work: Work) -> tuple[str, ...]:
    if work.cause in _PER_ROW:
        return _column_in_steps(context, work)
    return ()


def _advice(work: Work) -> str:
    if work.cause in ("vacuum full", "cluster"):
        return "plain VACUUM lets clients go on, and pg_repack or pg_squeeze copy a table beside them"
    if work.cause == "type":
        return STAGES
    if work.cause in _PER_ROW:
        return BACKFILL
    if work.cause == "domain":
        return "use the domain's base type with a CHECK … NOT VALID that is validated later"
    return "do it while the table is small, or in a window where nobody needs it"


@rule(
    "add-column-volatile-default",
    "error",
    "A default that is the same for every row is kept apart from the rows; any other is written into each.",
    "alter_table_stmt",
    needs="work",
)
def volatile_default(context: Context) -> Iterator[Hit]:
    """ADD COLUMN whose value differs from row to row."""
    for work in context.work("rewrite", *_PER_ROW):
        message = f"the new column {work.part.colname} of {shown(work.table)}: {work.reason}"
        yield on(work, message, _column_in_steps(context, work), advice=BACKFILL)


def _column_in_steps(context: Context, work: Work) -> tuple[str, ...]:
    """Column without a value, then the default for rows to come; what a trigger has to do is left to advice."""
    column = work.part
    if not isinstance(column, pb.ColumnDef):
        return ()
    key = f"steps of {column.colname}"
    if key not in context.memory:
        context.memory[key] = _steps(context, work, column)
    steps: tuple[str, ...] = context.memory[key]
    return steps


def _steps(context: Context, work: Work, column: pb.ColumnDef) -> tuple[str, ...]:
    default = part(column, pb.CONSTR_DEFAULT)
    bare = remedy.without(
        column, pb.CONSTR_DEFAULT, pb.CONSTR_NOTNULL, pb.CONSTR_IDENTITY, pb.CONSTR_GENERATED
    )
    table, name = remedy.name(work.table), identifier(column.colname)
    type_ = type_of(column.type_name)
    if type_.schema is None and type_.name in SERIALS:
        return _serial_in_steps(context, work, bare, SERIALS[type_.name])
    steps = [remedy.add_column(context.node, bare)]
    identity = part(column, pb.CONSTR_IDENTITY)
    if identity is not None:
        kind = "ALWAYS" if identity.generated_when == "a" else "BY DEFAULT"
        steps += remedy.not_null(context.state, work.table, column.colname, context.version)
        steps.append(f"ALTER TABLE {table} ALTER COLUMN {name} ADD GENERATED {kind} AS IDENTITY")
    if default is not None:
        steps.append(
            f"ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {remedy.expression(default.raw_expr)}"
        )
    return tuple(steps)


def _serial_in_steps(context: Context, work: Work, column: pb.ColumnDef, type_: str) -> tuple[str, ...]:
    plain = pb.ColumnDef()
    plain.CopyFrom(column)
    plain.type_name.names[-1].string.sval = type_
    table, name = remedy.name(work.table), identifier(column.colname)
    sequence = made_up(work.table.name, [column.colname], "seq", ())
    spelled = remedy.name(work.table._replace(name=sequence))
    quoted = spelled.replace("'", "''")
    return (
        remedy.add_column(context.node, plain),
        f"CREATE SEQUENCE {spelled} OWNED BY {table}.{name}",
        f"ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT nextval('{quoted}')",
    )


@rule(
    "column-type-change",
    "error",
    "Most changes of type convert every row; the few that do not may still check constraints or build indexes again.",
    "alter_table_stmt",
    needs="work",
)
def type_change(context: Context) -> Iterator[Hit]:
    """ALTER COLUMN … TYPE that has to look at every row."""
    for work in context.effects.work:
        if work.cause != "type":
            continue
        column = f"{work.table}.{work.part.name}"
        message = (
            f"the type of `{column}` changes under ACCESS EXCLUSIVE, reads and writes wait: {work.reason}"
        )
        yield on(work, message, advice=STAGES, severity=None if work.kind == "rewrite" else "warning")
