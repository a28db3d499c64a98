"""Tables: CREATE TABLE, what only ALTER TABLE can say, and attaching a partition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from data_platform.ddl import column_settings
from data_platform.ddl.around import Around
from data_platform.ddl.clauses import (
    column_clause,
    column_needs,
    constraint_clause,
    constraint_needs,
    element_clause,
    element_needs,
    optional_needs,
    partitions,
    relation,
    with_rows,
)
from data_platform.ddl.constraints import (
    added,
    constraint_comment,
    constraint_key,
    default_key,
    is_added,
    is_inline,
    is_late,
    is_repeated,
)
from data_platform.ddl.hanging import (
    clustered,
    index_comments,
    index_pieces,
    policy_pieces,
    rule_pieces,
    statistics_pieces,
    trigger_pieces,
)
from data_platform.ddl.piece import Part, PartKey, Piece, Statement
from data_platform.ddl.small import alter, comment, table_kind
from data_platform.ddl.types import owned_by
from data_platform.model.database import Check, Column, Constraint, ForeignKey, Table
from data_platform.sql.phrases import default
from data_platform.sql.references import Reference, References
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, identifier, qualified_name


def table_pieces(table: Table, around: Around) -> Iterator[Piece]:
    """A table with all that can be said before the other tables are there."""
    yield _create(table, around)
    yield from column_settings.pieces(table, around)
    for check in around.checks(table):
        if is_added(check):
            yield added(table, check, "tables")
    for key in table.uniques:
        if is_repeated(table, key):
            yield added(table, key, "tables")
    for index in table.indexes:
        if not index.only:
            yield from index_pieces(table, index, "tables")
    yield from statistics_pieces(table, "tables")
    for sequence in around.sequences.get(table.name, ()):
        if sequence.owned_by is not None:
            yield owned_by(sequence, *sequence.owned_by)
    yield from trigger_pieces(table, "tables")
    yield from clustered(table, table_kind(table), "tables")
    yield from _replica_identity(table)
    yield from _attach(table, around)
    yield from _comments(table, around)


def late_pieces(table: Table, around: Around) -> Iterator[Piece]:
    """What waits until all tables are there: keys that point forward, and what would close a cycle."""
    for key in table.foreign_keys:
        if is_late(table, key, around):
            needs = around.key_needs(key)
            yield added(table, key, "foreign_keys", needs)
            yield from constraint_comment(table, key, "foreign_keys")
    for check in around.checks(table):
        if constraint_key(table, check) in around.late:
            yield added(table, check, "late")
            yield from constraint_comment(table, check, "late")
    for column in table.columns:
        if column.default is not None and default_key(table, column) in around.late:
            needs = (relation(table.name), *optional_needs(column.default))
            action = Sql(f"ALTER COLUMN {identifier(column.name)} SET DEFAULT {default(column.default)}")
            made = f"default of {table.name}.{column.name}"
            object_ = Sql(f"ONLY {qualified_name(table.name)}")
            yield alter(table_kind(table), object_, action, made, "late", None, needs)


def hanging_pieces(table: Table, around: Around) -> Iterator[Piece]:
    """What may name other tables and views: rules, policies; and indexes that partitions must not follow."""
    for index in table.indexes:
        if index.only:
            yield from index_pieces(table, index, "tables")
    yield from index_comments(replace(table, indexes=tuple(i for i in table.indexes if i.only)), "tables")
    yield from rule_pieces(table, "tables")
    yield from policy_pieces(table)


# --- CREATE TABLE ---


def _create(table: Table, around: Around) -> Piece:
    columns = around.columns(table)
    shown = [column for column in columns if not table.of_type or _says_more(column)]
    constraints = [part for part in _constraints(table, around) if is_inline(table, part, around)]
    key = table.partition_by.key if table.partition_by else ()
    sql = render(
        "ddl/table.sql.j2",
        table=table,
        parts=[*_column_clauses(table, shown, around), *map(constraint_clause, constraints)],
        key=[element_clause(element) for element in key],
    )
    needs = chain(
        _table_needs(table),
        *(column_needs(column, typed=table.of_type is not None) for column in columns),
        *(constraint_needs(part) for part in constraints if not isinstance(part, Check | ForeignKey)),
    )
    return Piece(
        statement=Statement(sql, f"table {table.name}", "tables", table.name),
        makes=with_rows(table.name),
        needs=tuple(dict.fromkeys(needs)),
        parts=tuple(_parts(table, columns, constraints, around)),
    )


def _constraints(table: Table, around: Around) -> Iterator[Constraint]:
    yield from (
        replace(table, checks=around.checks(table)).constraints if around.parent(table) else table.constraints
    )


def _column_clauses(table: Table, columns: list[Column], around: Around) -> Iterator[Sql]:
    width = max((len(identifier(column.name)) for column in columns), default=0)
    for column in columns:
        shown = replace(column, default=None) if default_key(table, column) in around.late else column
        yield column_clause(shown, width, typed=table.of_type is not None, foreign=table.foreign is not None)


def _says_more(column: Column) -> bool:
    """Whether a typed table's column has anything that its type does not say."""
    return (
        not column.nullable
        or column.default is not None
        or column.identity is not None
        or column.generated is not None
    )


def _table_needs(table: Table) -> Iterator[Reference]:
    yield from map(relation, table.inherits)
    if table.partition_of:  # which has the names of its parent's NOT NULLs, and must not take them first
        yield relation(table.partition_of.table)
    yield from element_needs(*(table.partition_by.key if table.partition_by else ()))
    if table.of_type:
        yield Reference("type", table.of_type.schema, table.of_type.name)
    if table.access_method:
        yield Reference("access method", None, table.access_method)
    if table.foreign:
        yield Reference("server", None, table.foreign.server)


def _parts(
    table: Table, columns: tuple[Column, ...], constraints: list[Constraint], around: Around
) -> Iterator[Part]:
    for column in columns:
        key = default_key(table, column)
        if column.default is not None and key not in around.late:
            yield from _part(key, optional_needs(column.default))
    for constraint in constraints:
        if isinstance(constraint, Check):
            yield from _part(constraint_key(table, constraint), constraint_needs(constraint))
        elif isinstance(constraint, ForeignKey):
            needs = constraint_needs(constraint) + around.key_needs(constraint)
            yield Part(key=constraint_key(table, constraint), needs=needs)


def _part(key: PartKey, needs: References) -> Iterator[Part]:
    if needs:
        yield Part(key=key, needs=needs)


# --- what CREATE TABLE cannot say ---


def _replica_identity(table: Table) -> Iterator[Piece]:
    if table.replica_identity != "default":
        word = table.replica_identity
        plain = word in ("full", "nothing")
        action = Sql("REPLICA IDENTITY " + (word.upper() if plain else f"USING INDEX {identifier(word)}"))
        object_ = Sql(f"ONLY {qualified_name(table.name)}")
        yield alter("table", object_, action, f"replica identity of {table.name}", "tables", table.name)


def _attach(table: Table, around: Around) -> Iterator[Piece]:
    if table.partition_of is None:
        return
    sql = render("ddl/attach.sql.j2", partition=table.partition_of, table=table.name)
    statement = Statement(sql, f"partition {table.name} of {table.partition_of.table}", "tables", table.name)
    checks = chain(*(constraint_needs(check) for check in around.checks(table)))
    yield Piece(
        statement=statement,
        makes=(partitions(table.partition_of.table),),
        needs=(relation(table.partition_of.table), relation(table.name), *checks),
        runs=True,
    )


# --- comments ---


def _comments(table: Table, around: Around) -> Iterator[Piece]:
    own = qualified_name(table.name)
    if table.comment is not None:
        yield comment(table_kind(table), own, table.comment, f"table {table.name}", "tables", table.name)
    for column in table.columns:
        if column.comment is not None:
            object_ = Sql(f"{own}.{identifier(column.name)}")
            yield comment("column", object_, column.comment, f"column {column.name}", "tables", table.name)
    yield from index_comments(replace(table, indexes=tuple(i for i in table.indexes if not i.only)), "tables")
    for constraint in table.constraints:
        if (
            is_inline(table, constraint, around)
            or (isinstance(constraint, Check) and is_added(constraint))
            or is_repeated(table, constraint)
        ):
            yield from constraint_comment(table, constraint, "tables")
