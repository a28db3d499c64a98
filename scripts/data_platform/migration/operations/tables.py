"""Operations on whole tables, partitions among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.ddl.around import around
from data_platform.ddl.clauses import column_clause, constraint_clause
from data_platform.ddl.tables import hanging_pieces, late_pieces, table_pieces
from data_platform.migration.operations.asked import Asked, Unknown
from data_platform.model.database import IndexElement, Name, Partitioning, PartitionOf, Table
from data_platform.spec.naming import parse_name
from data_platform.sql.text import expression, identifier, identifiers, options, qualified_name


def create_table(asked: Asked) -> Iterator[str]:
    """`columns` are names with what CREATE TABLE says after them, `constraints` what it says of the table."""
    name = asked.name("table")
    parts = [f"{identifier(str(column))} {said}" for column, said in asked.body["columns"].items()]
    parts += [str(said) for said in asked.body.get("constraints", ())]
    by = f" PARTITION BY {asked.text('partition_by')}" if asked.has("partition_by") else ""
    yield f"CREATE TABLE {qualified_name(name)} ({', '.join(parts)}){by}"
    for partition, bound in asked.body.get("partitions", {}).items():
        said = qualified_name(parse_name(str(partition), name.schema))
        yield f"CREATE TABLE {said} PARTITION OF {qualified_name(name)} {bound}"


def drop_table(asked: Asked) -> Iterator[str]:
    """Its rows go, if `allow_data_loss` says so."""
    yield f"DROP TABLE {qualified_name(asked.table_name)} CASCADE"


def split_table(asked: Asked) -> Iterator[str]:
    """Columns become a table of their own with the same key; whoever may read and write the one may the other."""
    table, new, names = asked.table, asked.name("into"), asked.columns()
    key = _key_of(asked, table)
    clash = set(names) & set(key)
    if clash:
        raise Unknown("columns", f"{', '.join(sorted(clash))} is of the primary key, which stays")
    for name in names:
        asked.told.column_moved((table.name, name), (new, name))
    columns = [column_clause(replace(table.column(name), identity=None)) for name in (*key, *names)]
    own, there = identifiers(key), qualified_name(table.name)
    yield (
        f"CREATE TABLE {qualified_name(new)} ({', '.join(columns)}, PRIMARY KEY ({own}),"
        f" FOREIGN KEY ({own}) REFERENCES {there} ({own}) ON DELETE CASCADE)"
    )
    for name in names:
        yield asked.alter(f"DROP COLUMN {identifier(name)} CASCADE")


def merge_tables(asked: Asked) -> Iterator[str]:
    """The columns of a table with the same key become columns of this one; `columns` gives some another name.

    `fill` has the values of rows that have no partner; without one a column may be NULL.
    """
    table, side = asked.table, asked.other("side")
    if len(_key_of(asked, table)) != len(_key_of(asked, side, "side")):
        raise Unknown("side", f"the keys of {side.name} and {table.name} are not of the same columns")
    called = {str(old): str(new) for old, new in asked.body.get("columns", {}).items()}
    given = {str(name): str(value) for name, value in asked.body.get("fill", {}).items()}
    key = side.primary_key.columns if side.primary_key else ()
    for column in side.columns:
        if column.name in key:
            continue
        name = called.get(column.name, column.name)
        asked.told.column_moved((side.name, column.name), (table.name, name))
        if name in given:
            asked.told.values[(table.name, name)] = expression(given[name])
        optional = column.nullable or name not in given
        made = replace(column, name=name, not_null=None, nullable=optional)
        yield asked.alter(f"ADD COLUMN {column_clause(made)}")
    yield f"DROP TABLE {qualified_name(side.name)} CASCADE"


def _key_of(asked: Asked, table: Table, key: str = "table") -> tuple[str, ...]:
    if table.primary_key is None:
        raise Unknown(key, f"{table.name} has no primary key, by which rows belong together")
    return table.primary_key.columns


def rename_table(asked: Asked) -> Iterator[str]:
    """A view answers to the old name until contract."""
    old, to = asked.table_name, asked.text("to")
    asked.told.renamed(old, Name(old.schema, to))
    yield asked.alter(f"RENAME TO {identifier(to)}")


def move_to_schema(asked: Asked) -> Iterator[str]:
    """A view in the old schema answers until contract."""
    old, schema = asked.table_name, asked.text("schema")
    asked.told.renamed(old, Name(schema, old.name))
    if schema not in (*asked.database.schemas, "public"):
        yield f"CREATE SCHEMA {identifier(schema)}"
    yield asked.alter(f"SET SCHEMA {identifier(schema)}")


def set_options(asked: Asked) -> Iterator[str]:
    """Storage parameters."""
    yield asked.alter(f"SET ({options(tuple((k, str(v)) for k, v in asked.body['options'].items()))})")


def reset_options(asked: Asked) -> Iterator[str]:
    """Storage parameters back to the server's own."""
    yield asked.alter(f"RESET ({', '.join(identifier(str(key)) for key in asked.body['options'])})")


def attach_partition(asked: Asked) -> Iterator[str]:
    """A table that is there becomes a partition, a new one is made."""
    partition = asked.name("partition")
    if partition in {table.name for table in asked.database.tables}:
        yield asked.alter(f"ATTACH PARTITION {qualified_name(partition)} {asked.text('bound')}")
    else:
        own = qualified_name(asked.table_name)
        yield f"CREATE TABLE {qualified_name(partition)} PARTITION OF {own} {asked.text('bound')}"


def detach_partition(asked: Asked) -> Iterator[str]:
    """It stays as a table of its own."""
    yield asked.alter(f"DETACH PARTITION {qualified_name(asked.name('partition'))}")


def partition_table(asked: Asked) -> Iterator[str]:
    """A table that is in use, partitioned: its key must hold the columns of `by`, so `primary_key` may add them."""
    table = asked.table
    strategy, columns = asked.text("strategy"), asked.columns("by")
    key = table.primary_key
    if key is not None and asked.has("primary_key"):
        key = replace(key, columns=tuple(asked.columns("primary_key")))
    made = replace(
        table,
        primary_key=key,
        partition_by=Partitioning(
            strategy=strategy,  # type: ignore[arg-type]  # the schema of the spec has the choices
            key=tuple(IndexElement(column=column) for column in columns),
        ),
    )
    parts = [
        Table(
            name=parse_name(str(name), table.name.schema),
            columns=table.columns,
            partition_of=PartitionOf(table=table.name, bound=str(bound)),
        )
        for name, bound in asked.body["partitions"].items()
    ]
    yield from _made_again(asked, made, parts)


def _made_again(asked: Asked, table: Table, parts: list[Table]) -> Iterator[str]:
    """The empty table in its new shape, with what hangs on it; foreign keys to it are made again, too."""
    drops, makes = asked.over([(table.name, column.name) for column in table.columns])
    yield from drops
    referring = [
        (other.name, key)
        for other in asked.database.tables
        for key in other.foreign_keys
        if key.target == table.name and other.name != table.name
    ]
    for name, key in referring:
        yield f"ALTER TABLE {qualified_name(name)} DROP CONSTRAINT {identifier(key.name)}"
    yield f"DROP TABLE {qualified_name(table.name)}"
    others = [one for one in asked.database.tables if one.name != table.name]
    surroundings = around(replace(asked.database, tables=(*others, table)), frozenset(), 18)
    for pieces in (table_pieces, late_pieces, hanging_pieces):
        yield from (piece.statement.sql for piece in pieces(table, surroundings))
    for part in parts:
        bound = part.partition_of.bound if part.partition_of else ""
        yield f"CREATE TABLE {qualified_name(part.name)} PARTITION OF {qualified_name(table.name)} {bound}"
    for name, key in referring:
        yield f"ALTER TABLE {qualified_name(name)} ADD {constraint_clause(key)}"
    yield from makes


OPERATIONS = {
    one.__name__: one
    for one in (
        create_table,
        drop_table,
        split_table,
        merge_tables,
        rename_table,
        move_to_schema,
        set_options,
        reset_options,
        attach_partition,
        detach_partition,
        partition_table,
    )
}
