"""Views and materialized views with what hangs on them."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.ddl.clauses import with_rows
from data_platform.ddl.hanging import (
    clustered,
    index_comments,
    index_pieces,
    rule_pieces,
    statistics_pieces,
    trigger_pieces,
)
from data_platform.ddl.piece import Piece, Statement
from data_platform.ddl.small import alter, comment
from data_platform.model.database import MaterializedView, Name, View
from data_platform.sql.phrases import default
from data_platform.sql.references import Reference, of_expression, of_script
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, identifier, qualified_name


def view_pieces(view: View) -> Iterator[Piece]:
    """CREATE VIEW, its defaults and its comments; triggers and rules come after all views."""
    made = f"view {view.name}"
    sql = render("ddl/view.sql.j2", view=view)
    yield Piece(
        statement=Statement(sql, made, "views"), makes=with_rows(view.name), needs=of_script(view.query)
    )
    for column, expression in view.defaults:
        action = Sql(f"ALTER COLUMN {identifier(column)} SET DEFAULT {default(expression)}")
        needs = (*with_rows(view.name), *of_expression(expression))
        yield alter("view", qualified_name(view.name), action, made, "views", None, needs)
    if view.comment is not None:
        yield comment("view", qualified_name(view.name), view.comment, made, "views")
    yield from _column_comments(view.name, view.column_comments)


def view_hanging_pieces(view: View) -> Iterator[Piece]:
    """Its triggers and rules."""
    yield from trigger_pieces(view, "views")
    yield from rule_pieces(view, "views")


def materialized_view_pieces(view: MaterializedView) -> Iterator[Piece]:
    """CREATE MATERIALIZED VIEW with its indexes and comments."""
    made = f"materialized view {view.name}"
    method = (Reference("access method", None, view.access_method),) if view.access_method else ()
    yield Piece(
        statement=Statement(render("ddl/materialized_view.sql.j2", view=view), made, "views"),
        makes=with_rows(view.name),
        needs=(*of_script(view.query), *method),
        runs=view.populated,
    )
    for index in view.indexes:
        yield from index_pieces(view, index, "views")
    yield from statistics_pieces(view, "views")
    yield from clustered(view, "materialized view", "views")
    if view.comment is not None:
        yield comment("materialized view", qualified_name(view.name), view.comment, made, "views")
    yield from _column_comments(view.name, view.column_comments)
    yield from index_comments(view, "views")


def _column_comments(view: Name, comments: tuple[tuple[str, str], ...]) -> Iterator[Piece]:
    for column, text in comments:
        object_ = Sql(f"{qualified_name(view)}.{identifier(column)}")
        yield comment("column", object_, text, f"column {view}.{column}", "views")
