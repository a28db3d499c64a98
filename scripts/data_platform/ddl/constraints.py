"""Where a table's constraints are said: in CREATE TABLE, after it, or after all tables."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.ddl.around import Around
from data_platform.ddl.clauses import constraint_clause, constraint_needs, relation
from data_platform.ddl.piece import PartKey, Piece, Section, Statement
from data_platform.ddl.small import comment, on, table_kind
from data_platform.model.database import Check, Column, Constraint, ForeignKey, Table, Unique
from data_platform.sql.references import References
from data_platform.sql.templates import render
from data_platform.sql.text import qualified_name


def constraint_key(table: Table, constraint: Constraint) -> PartKey:
    """How a constraint that may be put off is known."""
    return ("constraint", str(table.name), constraint.name)


def default_key(table: Table, column: Column) -> PartKey:
    """How a default that may be put off is known."""
    return ("default", str(table.name), column.name)


def is_inline(table: Table, constraint: Constraint, around: Around) -> bool:
    """Whether CREATE TABLE says it."""
    if isinstance(constraint, ForeignKey):
        return not is_late(table, constraint, around)
    if isinstance(constraint, Check):
        return not is_added(constraint) and constraint_key(table, constraint) not in around.late
    return not is_repeated(table, constraint)


def is_repeated(table: Table, constraint: Constraint) -> bool:
    """Whether another key over the same columns stands before it: of two in one CREATE TABLE only the first is made."""
    if not isinstance(constraint, Unique):
        return False
    before = table.uniques[: table.uniques.index(constraint)]
    keys = [table.primary_key.columns if table.primary_key else (), *(key.columns for key in before)]
    return constraint.columns in keys


def is_added(check: Check) -> bool:
    """CREATE TABLE takes NOT VALID and ignores it."""
    return check.enforced and not check.validated


def is_late(table: Table, key: ForeignKey, around: Around) -> bool:
    """Whether a foreign key comes after all tables: it points forward, or what is there is not to be looked at."""
    unchecked = key.enforced and not key.validated
    return unchecked or constraint_key(table, key) in around.late


def added(table: Table, constraint: Constraint, section: Section, needs: References = ()) -> Piece:
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


def constraint_comment(table: Table, constraint: Constraint, section: Section) -> Iterator[Piece]:
    """COMMENT ON CONSTRAINT."""
    if constraint.comment is not None:
        object_ = on(constraint.name, table.name)
        made = f"constraint {constraint.name} on {table.name}"
        place = table.name if section == "tables" else None
        yield comment("constraint", object_, constraint.comment, made, section, place)
