"""Which columns of tables hold values of a type, also inside arrays, domains and composites."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.plan.text import spoken
from data_platform.model.database import Composite, Database, Domain, Name, Range, Type
from data_platform.sql.references import of_type


def mentions(text: str, name: Name) -> bool:
    """Whether the type's text is about that type or an array of it; names of a server carry their schema."""
    return any(
        found.kind == "type" and found.name == name.name and found.schema in (None, name.schema)
        for found in of_type(text)
    )


def columns_of_type(database: Database, name: Name) -> tuple[str, ...]:
    """The columns whose values are of it or hold it: `orders.mood`, for people."""
    names = {name, *_over(database, name)}
    return tuple(
        spoken(table.name, column.name)
        for table in database.tables
        for column in table.columns
        if any(mentions(column.type, one) for one in names)
    )


def types_over(database: Database, name: Name) -> tuple[Name, ...]:
    """The types that are made of it, at any distance."""
    return tuple(dict.fromkeys(_over(database, name)))


def _over(database: Database, name: Name) -> Iterator[Name]:
    for type_ in database.types:
        if type_.name != name and any(mentions(text, name) for text in _parts(type_)):
            yield type_.name
            yield from _over(database, type_.name)


def _parts(type_: Type) -> Iterator[str]:
    match type_:
        case Domain():
            yield type_.base
        case Composite():
            yield from (attribute.type for attribute in type_.attributes)
        case Range():
            yield type_.subtype
