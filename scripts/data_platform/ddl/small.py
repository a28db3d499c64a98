"""Statements that are alike for objects of every kind: comments, ALTER …, OWNER TO."""

from __future__ import annotations

from data_platform.ddl.piece import Piece, Section, Statement
from data_platform.model.database import Function, Name, Table
from data_platform.sql.references import References
from data_platform.sql.routines import identity_arguments
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, identifier, qualified_name


def comment(
    kind: str, object_: Sql, text: str, made: str, section: Section, table: Name | None = None
) -> Piece:
    """COMMENT ON."""
    sql = render("ddl/comment.sql.j2", kind=kind, object=object_, text=text)
    return Piece(statement=Statement(sql, f"comment on {made}", section, table))


def alter(
    kind: str,
    object_: Sql,
    action: Sql,
    made: str,
    section: Section,
    table: Name | None = None,
    needs: References = (),
) -> Piece:
    """ALTER kind object action."""
    sql = render("ddl/alter.sql.j2", kind=kind, object=object_, action=action)
    return Piece(statement=Statement(sql, made, section, table), needs=needs)


def owner(kind: str, object_: Sql, role: str, made: str) -> Piece:
    """ALTER … OWNER TO."""
    return alter(kind, object_, Sql(f"OWNER TO {identifier(role)}"), f"owner of {made}", "ownership")


def on(name: str, relation: Name) -> Sql:
    """`name ON table`, as COMMENT ON TRIGGER and its like name what hangs on a table."""
    return Sql(f"{identifier(name)} ON {qualified_name(relation)}")


def table_kind(table: Table) -> str:
    """What ALTER and COMMENT ON call it."""
    return "foreign table" if table.foreign else "table"


def function_kind(function: Function) -> str:
    """What ALTER and COMMENT ON call it."""
    return "procedure" if function.procedure else "function"


def function_signature(function: Function) -> Sql:
    """The function's name and arguments, as ALTER and COMMENT ON tell overloads apart."""
    return Sql(f"{qualified_name(function.name)}({identity_arguments(function.arguments)})")
