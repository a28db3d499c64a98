"""serial columns, which are a default and a sequence in PostgreSQL's catalogue, as the identities that they are."""

from __future__ import annotations

from dataclasses import replace

from data_platform.model.database import Column, Database, Name, Sequence, Table
from data_platform.sql.text import NotSql, expression_tree


def with_identities(database: Database) -> tuple[Database, tuple[Sequence, ...]]:
    """The database with `nextval` of an owned sequence as an identity, and the sequences that went into one."""
    owned = {sequence.owned_by: sequence for sequence in database.sequences if sequence.owned_by is not None}
    used: dict[Name, Sequence] = {}
    tables = tuple(
        replace(table, columns=tuple(_column(table, column, owned, used) for column in table.columns))
        for table in database.tables
    )
    rest = tuple(sequence for sequence in database.sequences if sequence.name not in used)
    return replace(database, tables=tables, sequences=rest), tuple(used.values())


def _column(
    table: Table, column: Column, owned: dict[tuple[Name, str], Sequence], used: dict[Name, Sequence]
) -> Column:
    sequence = owned.get((table.name, column.name))
    if sequence is None or column.default is None or counted(column.default) != sequence.name.name:
        return column
    used[sequence.name] = sequence
    return replace(
        column,
        default=None,
        identity="by default",
        sequence=sequence.sequence,
        sequence_name=sequence.name,
    )


def counted(default: str) -> str | None:
    """The sequence in `nextval('app.orders_id_seq'::regclass)`, without its schema."""
    try:
        call = expression_tree(default).func_call
    except NotSql:
        return None
    if len(call.args) != 1 or call.funcname[-1].string.sval != "nextval":
        return None
    argument = call.args[0]
    while argument.HasField("type_cast"):
        argument = argument.type_cast.arg
    text: str = argument.a_const.sval.sval
    parts = text.split(".") if '"' not in text else text.rsplit('."', 1)
    return parts[-1].strip('"').replace('""', '"') or None
