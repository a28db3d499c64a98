"""Materialized views refreshed, each after what it reads, and a record of when, how long and from where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from data_platform.model.database import Name
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, body, identifier, literal, phrase, qualified, qualified_name


@dataclass(frozen=True, kw_only=True)
class MaterializedView:
    """One row of `postgres/queries/materialized_views.sql`, which says the order."""

    name: Name
    level: int
    populated: bool
    bytes: int
    unique_index: str | None
    unique_indexes: int


@dataclass(frozen=True)
class Refresh:
    """One refresh. `why_not` says why it is not CONCURRENTLY, and so blocks readers; None where it is."""

    view: Name
    level: int
    concurrently: bool
    why_not: str | None


def refresh_plan(views: Iterable[MaterializedView], *, concurrently: bool = True) -> tuple[Refresh, ...]:
    """The refreshes in order: those of one level do not read each other."""
    ordered = sorted(views, key=lambda view: (view.level, view.name.schema, view.name.name))
    return tuple(_planned(view, concurrently) for view in ordered)


def _planned(view: MaterializedView, concurrently: bool) -> Refresh:
    why_not = _why_not(view, concurrently)
    return Refresh(view.name, view.level, why_not is None, why_not)


def _why_not(view: MaterializedView, concurrently: bool) -> str | None:
    if not concurrently:
        return "not asked for"
    if not view.populated:
        return "it was never filled, and only a filled one can be refreshed beside its readers"
    if view.unique_index is None and view.unique_indexes:
        return "its unique index is not valid, or of some rows, or of an expression: it must be of columns, of all rows"
    if view.unique_index is None:
        return "it has no unique index, by which old and new rows are told apart"
    return None


def refresh_tables(schema: str) -> tuple[Sql, ...]:
    """The record `refreshes`, the view `staleness` and the function `refresh_view` in a schema of ours."""
    table = qualified(schema, "refreshes")
    return (
        phrase("CREATE SCHEMA IF NOT EXISTS {schema}", schema=identifier(schema)),
        render("pipeline/refreshes.sql.j2", table=table, staleness=qualified(schema, "staleness")),
        phrase(
            "CREATE OR REPLACE FUNCTION {name}(view_schema text, view_name text, beside boolean,"
            " source_position text DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql"
            " SET search_path = pg_catalog, pg_temp AS {source}",
            name=qualified(schema, "refresh_view"),
            source=body(f"\n{render('pipeline/refresh_view_body.sql.j2', table=table)}\n"),
        ),
    )


def refresh(schema: str, planned: Refresh, position: str | None = None) -> Sql:
    """Refresh and record in one statement. Returns the rows. `position` is how far the source was read, if known."""
    return phrase(
        "SELECT {function}({view_schema}, {view_name}, {beside}, {position})",
        function=qualified_name(Name(schema, "refresh_view")),
        view_schema=literal(planned.view.schema),
        view_name=literal(planned.view.name),
        beside=Sql("true" if planned.concurrently else "false"),
        position=Sql("NULL") if position is None else literal(position),
    )
