"""Comments of everything that is there before and after, and of new parts of such tables.

What is made as a whole brings its comments; here are all others, last, when their objects have their final names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from data_platform.ddl.small import function_kind, function_signature, on, table_kind
from data_platform.ddl.types import type_kind
from data_platform.migration.plan.making_parts import all_views, statistics_name, view_kind
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import slug
from data_platform.migration.plan.views import recreated
from data_platform.model.database import (
    Composite,
    Database,
    Domain,
    MaterializedView,
    Name,
    Schema,
    Table,
    View,
)
from data_platform.sql.text import Sql, identifier, keyword, literal, qualified_name

Object = tuple[str, Sql]
"""As COMMENT ON calls it: ("column", `orders.note`)."""


def steps(pair: Pair) -> Iterator[Step]:
    """One step for all of them: nobody waits for a comment."""
    before, after = _comments(pair.before), _comments(pair.after)
    after = {**after, **dict.fromkeys(_lost_of_views(pair, before.keys() - after.keys()))}
    changed = [
        (object_, before.get(object_), text)
        for object_, text in after.items()
        if text != before.get(object_) and (object_ in before or text is not None)
    ]
    comes_along = _made_whole(pair)
    found = [one for one in changed if one[0] not in comes_along]
    if found:
        yield Step(
            name=slug("comments"),
            phase="contract",
            reason="Comments come last, when all objects have their names.",
            up=tuple(_comment(object_, text) for object_, _, text in found),
            down=tuple(_comment(object_, former) for object_, former, _ in found),
        )


def _comment(object_: Object, text: str | None) -> Sql:
    kind, name = object_
    return Sql(f"COMMENT ON {keyword(kind)} {name} IS {'NULL' if text is None else literal(text)}")


def _lost_of_views(pair: Pair, gone: Set[Object]) -> Iterator[Object]:
    """Columns of views that have a comment no more: of a view only the columns with comments are known."""
    kept = {view.name for view in all_views(pair.after)} - recreated(pair)
    for view in all_views(pair.before):
        for column, _ in view.column_comments if view.name in kept else ():
            object_ = ("column", _column(view.name, column))
            if object_ in gone:
                yield object_


def _made_whole(pair: Pair) -> set[Object]:
    """What is new with all that belongs to it, and so has its comments."""
    old = {owner for owner, _, _ in _all(pair.before)}
    return {object_ for owner, object_, _ in _all(pair.after) if owner not in old and owner[0] != "schema"}


def _comments(database: Database) -> Mapping[Object, str | None]:
    return {object_: text for _, object_, text in _all(database)}


def _all(database: Database) -> Iterator[tuple[Object, Object, str | None]]:
    """(the object that it belongs to, the object, its comment)."""
    for kind, name, part in _objects(database):
        owner = (kind, name)
        yield owner, owner, part.comment
        yield from ((owner, object_, text) for object_, text in _inside(part))


def _objects(database: Database) -> Iterator[tuple[str, Sql, Any]]:
    for table in database.tables:
        yield table_kind(table), qualified_name(table.name), table
    for view in all_views(database):
        yield view_kind(view), qualified_name(view.name), view
    for function in database.functions:
        yield function_kind(function), function_signature(function), function
    for type_ in database.types:
        yield type_kind(type_), qualified_name(type_.name), type_
    for kind, parts in (("sequence", database.sequences), ("collation", database.collations)):
        for part in parts:
            yield kind, qualified_name(part.name), part
    for schema in ("public", *database.schemas):
        details = (one for one in database.schema_details if one.name == schema)
        yield "schema", identifier(schema), next(details, Schema(name=schema))
    for kind, plain in _PLAIN.items():
        for part in getattr(database, plain):
            yield kind, identifier(part.name), part


_PLAIN = {
    "server": "servers",
    "publication": "publications",
    "event trigger": "event_triggers",
    "role": "roles",
}


def _inside(part: Any) -> Iterator[tuple[Object, str | None]]:
    match part:
        case Table():
            yield from _of_table(part)
        case View() | MaterializedView():
            for column, text in part.column_comments:
                yield ("column", _column(part.name, column)), text
            yield from _hanging(part)
        case Composite():
            for attribute in part.attributes:
                yield ("column", _column(part.name, attribute.name)), attribute.comment
        case Domain():
            for check in part.checks:
                object_ = Sql(f"{identifier(check.name)} ON DOMAIN {qualified_name(part.name)}")
                yield ("constraint", object_), check.comment


def _of_table(table: Table) -> Iterator[tuple[Object, str | None]]:
    for column in table.columns:
        yield ("column", _column(table.name, column.name)), column.comment
    for constraint in table.constraints:
        yield ("constraint", on(constraint.name, table.name)), constraint.comment
    yield from _hanging(table)


def _hanging(owner: Any) -> Iterator[tuple[Object, str | None]]:
    for kind, field in (("trigger", "triggers"), ("rule", "rules"), ("policy", "policies")):
        for part in getattr(owner, field, ()):
            yield (kind, on(part.name, owner.name)), part.comment
    for index in getattr(owner, "indexes", ()):
        yield ("index", qualified_name(Name(owner.name.schema, index.name))), index.comment
    for statistics in getattr(owner, "statistics", ()):
        yield ("statistics", qualified_name(statistics_name(owner, statistics))), statistics.comment


def _column(owner: Name, column: str) -> Sql:
    return Sql(f"{qualified_name(owner)}.{identifier(column)}")
