"""One view, function or part of a table as statements that drop it, and that make it again with all its rights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from data_platform.ddl.functions import function_pieces
from data_platform.ddl.hanging import policy_pieces, rule_pieces, statistics_pieces, trigger_pieces
from data_platform.ddl.piece import Piece
from data_platform.ddl.small import function_kind, function_signature
from data_platform.ddl.views import materialized_view_pieces, view_hanging_pieces, view_pieces
from data_platform.migration.plan.access import with_rights
from data_platform.migration.plan.making import repeatable
from data_platform.model.database import (
    Database,
    Function,
    MaterializedView,
    Name,
    Policy,
    Rule,
    Statistics,
    Table,
    Trigger,
    View,
)
from data_platform.sql.text import Sql, identifier, qualified_name


def drop(part: Any, owner: Table | View | MaterializedView | None = None) -> Sql:
    """DROP … IF EXISTS; `owner` is what a policy, rule, trigger or statistics hangs on."""
    match part:
        case View() | MaterializedView():
            return Sql(f"DROP {view_kind(part).upper()} IF EXISTS {qualified_name(part.name)}")
        case Function():
            return Sql(f"DROP {function_kind(part).upper()} IF EXISTS {function_signature(part)}")
        case Statistics():
            assert owner is not None
            return Sql(f"DROP STATISTICS IF EXISTS {qualified_name(statistics_name(owner, part))}")
        case _:
            assert owner is not None
            word = type(part).__name__.upper()
            return Sql(f"DROP {word} IF EXISTS {identifier(part.name)} ON {qualified_name(owner.name)}")


def view_kind(view: View | MaterializedView) -> str:
    """What ALTER, COMMENT and DROP call it."""
    return "view" if isinstance(view, View) else "materialized view"


def all_views(database: Database) -> tuple[View | MaterializedView, ...]:
    """Views of both kinds."""
    return (*database.views, *database.materialized_views)


def statistics_name(owner: Any, statistics: Statistics) -> Name:
    """The name with its schema."""
    return Name(statistics.schema or owner.name.schema, statistics.name)


def made_again(database: Database, part: Any, owner: Table | View | None = None) -> tuple[Sql, ...]:
    """CREATE with all that hangs on it: comments, triggers, rules, indexes, owner, grants."""
    made = repeatable(pieces(part, owner))
    match part:
        case View() | MaterializedView():
            return with_rights(database, view_kind(part), qualified_name(part.name), part, made)
        case Function():
            return with_rights(database, function_kind(part), function_signature(part), part, made)
        case _:
            return made


def pieces(part: Any, owner: Any = None) -> Iterator[Piece]:
    """The statements of the DDL for it."""
    match part:
        case View():
            yield from view_pieces(part)
            yield from view_hanging_pieces(part)
        case MaterializedView():
            yield from materialized_view_pieces(part)
        case Function():
            yield from function_pieces(part, frozenset())
        case Policy():
            yield from policy_pieces(replace(owner, policies=(part,), row_security="off"))
        case Rule():
            yield from rule_pieces(replace(owner, rules=(part,)), "tables")
        case Trigger():
            yield from trigger_pieces(replace(owner, triggers=(part,)), "tables")
        case Statistics():
            yield from statistics_pieces(replace(owner, statistics=(part,)), "tables")
