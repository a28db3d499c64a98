"""What an older server cannot say, left out: a design for PostgreSQL 13 gets no clause that came with 18.

A clause goes where the rest means nearly the same without it (a name, a compression); where it would mean something
else (a key WITHOUT OVERLAPS, a constraint NOT ENFORCED), the whole object goes. That something is missing is for lint
to say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from data_platform.model.database import (
    Check,
    Column,
    Constraint,
    Database,
    Domain,
    ForeignKey,
    Function,
    Index,
    PrimaryKey,
    Publication,
    Range,
    Statistics,
    Table,
    Type,
    Unique,
    View,
)
from data_platform.sql.routines import body_as_text

NEWEST = 18
_Said = TypeVar("_Said", PrimaryKey, Unique, Check, ForeignKey)


def for_server(database: Database, version: int) -> Database:
    """The part of `database` that a server of that major version can hold."""
    if version >= NEWEST:
        return database
    return replace(
        database,
        types=tuple(_type(type_, version) for type_ in database.types),
        functions=tuple(_function(function, version) for function in database.functions),
        tables=tuple(_table(table, version) for table in database.tables),
        sequences=tuple(
            replace(sequence, unlogged=sequence.unlogged and version >= 15) for sequence in database.sequences
        ),
        collations=tuple(
            replace(item, options=_without(item.options, "rules", version < 16))
            for item in database.collations
        ),
        views=tuple(_view(view, version) for view in database.views),
        materialized_views=tuple(
            replace(
                view,
                statistics=_statistics(view.statistics, version),
                indexes=_indexes(view.indexes, version),
            )
            for view in database.materialized_views
        ),
        event_triggers=tuple(
            trigger for trigger in database.event_triggers if trigger.event != "login" or version >= 17
        ),
        publications=tuple(_publication(publication, version) for publication in database.publications),
        grants=tuple(
            replace(grant, privileges=kept)
            for grant in database.grants
            if (kept := _privileges(grant.privileges, version))
        ),
        default_privileges=tuple(
            replace(privilege, privileges=kept)
            for privilege in database.default_privileges
            if privilege.kind != "large objects" and (kept := _privileges(privilege.privileges, version))
        ),
    )


def _without(options: tuple[tuple[str, str], ...], name: str, unsaid: bool) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in options if pair[0] != name) if unsaid else options


def _privileges(privileges: tuple[str, ...], version: int) -> tuple[str, ...]:
    return tuple(name for name in privileges if name != "MAINTAIN" or version >= 17)


def _type(type_: Type, version: int) -> Type:
    if isinstance(type_, Range) and version < 14:
        return replace(type_, multirange=None)
    return replace(type_, not_null=None) if isinstance(type_, Domain) and version < 17 else type_


def _function(function: Function, version: int) -> Function:
    if function.sql_body is None or version >= 14:
        return function
    return replace(function, sql_body=None, body=body_as_text(function.sql_body))


def _table(table: Table, version: int) -> Table:
    key = table.primary_key
    return replace(
        table,
        columns=tuple(_column(column, version) for column in table.columns),
        primary_key=None if key is None or not _is_said(key) else key,
        uniques=tuple(
            replace(key, nulls_not_distinct=key.nulls_not_distinct and version >= 15)
            for key in _said(table.uniques)
        ),
        checks=_said(table.checks),
        foreign_keys=tuple(
            replace(key, set_columns=key.set_columns if version >= 15 else ())
            for key in _said(table.foreign_keys)
        ),
        indexes=_indexes(table.indexes, version),
        statistics=_statistics(table.statistics, version),
    )


def _column(column: Column, version: int) -> Column:
    return replace(
        column,
        not_null=None,
        compression=column.compression if version >= 14 else None,
        generated=replace(column.generated, stored=True) if column.generated else None,
    )


def _said(constraints: tuple[_Said, ...]) -> tuple[_Said, ...]:
    return tuple(constraint for constraint in constraints if _is_said(constraint))


def _is_said(constraint: Constraint) -> bool:
    """Whether there was such a constraint before 18."""
    match constraint:
        case PrimaryKey() | Unique():
            return not constraint.without_overlaps
        case Check():
            return constraint.enforced
        case ForeignKey():
            return constraint.enforced and not constraint.period
        case _:
            return True


def _indexes(indexes: tuple[Index, ...], version: int) -> tuple[Index, ...]:
    return tuple(
        replace(index, nulls_not_distinct=index.nulls_not_distinct and version >= 15) for index in indexes
    )


def _statistics(statistics: tuple[Statistics, ...], version: int) -> tuple[Statistics, ...]:
    return tuple(item for item in statistics if version >= 14 or all(element.column for element in item.on))


def _view(view: View, version: int) -> View:
    return replace(view, options=_without(view.options, "security_invoker", version < 15))


def _publication(publication: Publication, version: int) -> Publication:
    options = _without(publication.options, "publish_generated_columns", True)
    if version >= 15:
        return replace(publication, options=options)
    tables = tuple(replace(table, columns=(), where=None) for table in publication.tables)
    return replace(publication, tables=tables, schemas=(), options=options)
