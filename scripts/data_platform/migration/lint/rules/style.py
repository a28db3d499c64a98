"""Rules of style: types that are regretted later. They block nobody, so they are `info`."""

from __future__ import annotations

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint.alter import definition
from data_platform.migration.lint.definitions import is_serial, part
from data_platform.migration.lint.rules.rule import Context, Hit, rule
from data_platform.migration.lint.state import Relation
from data_platform.migration.lint.types import SERIALS, SPOKEN, Type, type_of

_KINDS = ("create_stmt", "alter_table_stmt")
_COMMANDS = (pb.AT_AddColumn, pb.AT_AlterColumnType)


def _columns(context: Context) -> list[tuple[Relation, str, Type, pb.ColumnDef]]:
    """Columns that the statement makes or gives another type; every rule here asks for them."""
    if "columns" not in context.memory:
        context.memory["columns"] = list(_read_columns(context))
    found: list[tuple[Relation, str, Type, pb.ColumnDef]] = context.memory["columns"]
    return found


def _read_columns(context: Context) -> Iterator[tuple[Relation, str, Type, pb.ColumnDef]]:
    table = context.table.name
    temporary = context.kind == "create_stmt" and context.node.relation.relpersistence == "t"
    if temporary or context.table.temporary:
        return
    if context.kind == "create_stmt":
        for element in context.node.table_elts:
            column = element.column_def
            if element.HasField("column_def") and column.HasField("type_name"):
                yield table, column.colname, type_of(column.type_name), column
        return
    for item in context.node.cmds:
        command = item.alter_table_cmd
        if command.subtype in _COMMANDS:
            column = definition(command).column_def
            yield table, column.colname or command.name, type_of(column.type_name), column


def _hit(table: Relation, column: str, message: str, advice: str) -> Hit:
    return Hit(message, f"{table}.{column}", advice=advice)


@rule(
    "json-not-jsonb",
    "info",
    "json keeps the text and parses it at every use; it has no equality and few indexes.",
    *_KINDS,
    commands=_COMMANDS,
)
def json(context: Context) -> Iterator[Hit]:
    """A column of type json."""
    for table, column, type_, _ in _columns(context):
        if type_.name == "json" and type_.schema is None:
            yield _hit(table, column, f"{column} is json", "jsonb, unless the text must stay as it was sent")


@rule(
    "serial-not-identity",
    "info",
    "serial is a default and a sequence with rights and an owner of their own; anyone may write other numbers.",
    *_KINDS,
    commands=_COMMANDS,
)
def serial(context: Context) -> Iterator[Hit]:
    """A column of a serial type."""
    for table, column, type_, _ in _columns(context):
        if is_serial(type_):
            base = SPOKEN[SERIALS[type_.name]]
            yield _hit(table, column, f"{column} is {type_.name}", f"{base} GENERATED ALWAYS AS IDENTITY")


@rule(
    "timestamp-without-tz",
    "info",
    "timestamp keeps what some clock showed, no moment: sessions in other time zones mean another time by it.",
    *_KINDS,
    commands=_COMMANDS,
)
def timestamp(context: Context) -> Iterator[Hit]:
    """A column of type timestamp without time zone."""
    for table, column, type_, _ in _columns(context):
        if type_.name == "timestamp" and type_.schema is None:
            yield _hit(table, column, f"{column} is timestamp without time zone", "timestamptz")


@rule(
    "varchar-limit",
    "info",
    "A length in the type makes every shortening a rewrite of the table; char(n) pads with blanks as well.",
    *_KINDS,
    commands=_COMMANDS,
)
def varchar(context: Context) -> Iterator[Hit]:
    """A column of type varchar(n) or char(n)."""
    for table, column, type_, _ in _columns(context):
        if type_.name in ("varchar", "bpchar") and type_.schema is None and type_.modifiers:
            yield _hit(
                table,
                column,
                f"{column} is {type_}",
                "text, with a CHECK on its length where there is a limit",
            )


@rule(
    "int-pk-overflow",
    "info",
    "A 32-bit number ends at 2,147,483,647; by then the change to bigint is a rewrite of the biggest table.",
    *_KINDS,
    commands=_COMMANDS,
)
def integer(context: Context) -> Iterator[Hit]:
    """A number column of 32 bits or less; a key of it is a warning."""
    keys = _key_columns(context)
    for table, column, type_, node in _columns(context):
        base = SERIALS.get(type_.name, type_.name)
        if base not in ("int4", "int2") or type_.schema is not None or type_.array:
            continue
        key = is_serial(type_) or column in keys or any(part(node, kind) is not None for kind in _KEYS)
        ends = "2,147,483,647" if base == "int4" else "32,767"
        hit = _hit(
            table, column, f"{column} is {SPOKEN.get(type_.name, type_.name)} and ends at {ends}", "bigint"
        )
        yield Hit(hit.message, hit.object, advice=hit.advice, severity="warning" if key else None)


_KEYS = (pb.CONSTR_PRIMARY, pb.CONSTR_IDENTITY)


def _key_columns(context: Context) -> frozenset[str]:
    """Columns of a primary key that the statement declares for the table."""
    elements = context.node.table_elts if context.kind == "create_stmt" else ()
    return frozenset(
        key.string.sval
        for element in elements
        if element.HasField("constraint") and element.constraint.contype == pb.CONSTR_PRIMARY
        for key in element.constraint.keys
    )
