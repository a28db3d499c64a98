"""Tables: CREATE TABLE, what only ALTER TABLE can say, and attaching a partition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from data_platform.model.database import Check, Column, Constraint, ForeignKey, Table
from data_platform.schema.piece import Part, PartKey, Piece, Section, Statement
from data_platform.schema.render import column_settings
from data_platform.schema.render.around import Around
from data_platform.schema.render.clauses import (
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
from data_platform.schema.render.hanging import (
    clustered,
    index_comments,
    index_pieces,
    policy_pieces,
    rule_pieces,
    statistics_pieces,
    trigger_pieces,
)
from data_platform.schema.render.small import alter, comment, on, table_kind
from data_platform.schema.render.types import owned_by
from data_platform.sql.phrases import default
from data_platform.sql.references import Reference, References
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, identifier, qualified_name


def table_pieces(table: Table, around: Around) -> Iterator[Piece]:
    """A table with all that can be said before the other tables are there."""
    yield _create(table, around)
    yield from column_settings.pieces(table, around)
    for check in around.checks(table):
        if _is_added(check):
            yield _added(table, check, "tables")
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
        if _is_late(table, key, around):
            needs = around.key_needs(key)
            yield _added(table, key, "foreign_keys", needs)
            yield from _constraint_comment(table, key, "foreign_keys")
    for check in around.checks(table):
        if constraint_key(table, check) in around.late:
            yield _added(table, check, "late")
            yield from _constraint_comment(table, check, "late")
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


def constraint_key(table: Table, constraint: Constraint) -> PartKey:
    """How a constraint that may be put off is known."""
    return ("constraint", str(table.name), constraint.name)


def default_key(table: Table, column: Column) -> PartKey:
    """How a default that may be put off is known."""
    return ("default", str(table.name), column.name)


# --- CREATE TABLE ---


def _create(table: Table, around: Around) -> Piece:
    columns = around.columns(table)
    shown = [column for column in columns if not table.of_type or _says_more(column)]
    constraints = [part for part in _constraints(table, around) if _is_inline(table, part, around)]
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


def _is_inline(table: Table, constraint: Constraint, around: Around) -> bool:
    if isinstance(constraint, ForeignKey):
        return not _is_late(table, constraint, around)
    if isinstance(constraint, Check):
        return not _is_added(constraint) and constraint_key(table, constraint) not in around.late
    return True


def _is_added(check: Check) -> bool:
    """CREATE TABLE takes NOT VALID and ignores it."""
    return check.enforced and not check.validated


def _is_late(table: Table, key: ForeignKey, around: Around) -> bool:
    unchecked = key.enforced and not key.validated
    return unchecked or constraint_key(table, key) in around.late


def _added(table: Table, constraint: Constraint, section: Section, needs: References = ()) -> Piece:
    """ALTER TABLE ADD CONSTRAINT."""
    sql = render(
        "ddl/add_constraint.sql.j2",
        kind=table_kind(table),
        object=qualified_name(table.name),
        constraint=constraint_clause(constraint),
    )
    kind = "foreign key" if isinstance(constraint, ForeignKey) else "constraint"
    place = table.name if section == "tables" else None
    return Piece(
        statement=Statement(sql, f"{kind} {constraint.name} on {table.name}", section, place),
        needs=(relation(table.name), *constraint_needs(constraint), *needs),
        runs=isinstance(constraint, Check),
    )


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
        if _is_inline(table, constraint, around) or (isinstance(constraint, Check) and _is_added(constraint)):
            yield from _constraint_comment(table, constraint, "tables")


def _constraint_comment(table: Table, constraint: Constraint, section: Section) -> Iterator[Piece]:
    if constraint.comment is not None:
        object_ = on(constraint.name, table.name)
        made = f"constraint {constraint.name} on {table.name}"
        place = table.name if section == "tables" else None
        yield comment("constraint", object_, constraint.comment, made, section, place)
