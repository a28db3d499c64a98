"""A text of the model stays in its place: it is quoted, or refused, whatever it is and wherever it stands."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from data_platform.ddl import script
from data_platform.model.database import Database, Name
from data_platform.sql.text import NotSql, parse
from schema.everything import EVERYTHING
from schema.everything.builders import design

HOSTILE = (
    "x'; DROP TABLE evil; --",
    'x"; DROP TABLE evil; --',
    "1); DROP TABLE evil; --",
    "1; DROP TABLE evil",
    "$$; DROP TABLE evil; --",
    "x */ DROP TABLE evil; /*",
    "SELECT 1; DROP TABLE evil",
    "integer) LANGUAGE sql; DROP TABLE evil; --",
    "app.orders TO public; DROP TABLE evil; --",
    "\\",
    "",
)


Place: TypeAlias = tuple[str, Any, Callable[[Any], Database]]


def places(
    value: Any, put: Callable[[Any], Database], path: str = ""
) -> Iterator[tuple[str, Any, Callable[[Any], Database]]]:
    """Every text in the model: where it is, its kind, and the database with another text there."""
    if isinstance(value, Name):
        yield f"{path}.name", "identifier", lambda text, put=put, value=value: put(Name(value.schema, text))  # type: ignore[misc]
    elif dataclasses.is_dataclass(value):
        hints = typing.get_type_hints(type(value), include_extras=True)
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)

            def changed(new: Any, name: str = field.name) -> Database:
                return put(dataclasses.replace(value, **{name: new}))  # type: ignore[type-var]

            where = f"{path}.{type(value).__name__}.{field.name}"
            if isinstance(inner, str):
                yield where, hints[field.name], changed
            else:
                yield from places(inner, changed, where)
    elif isinstance(value, tuple):
        for number, inner in enumerate(value):

            def placed(new: Any, number: int = number) -> Database:
                return put((*value[:number], new, *value[number + 1 :]))

            if isinstance(inner, str):
                yield path, str, placed
            else:
                yield from places(inner, placed, path)


def distinct() -> dict[str, Callable[[Any], Database]]:
    """One place for each kind of object and field, each in a database that has only that object."""
    found: dict[str, Callable[[Any], Database]] = {}
    for field in dataclasses.fields(EVERYTHING):
        for item in getattr(EVERYTHING, field.name):

            def alone(new: Any, name: str = field.name) -> Database:
                return Database(**{name: (new,)})

            if isinstance(item, str):
                found[field.name] = alone
            for where, hint, put in places(item, alone, field.name):
                if typing.get_origin(hint) is not typing.Literal and "script" not in str(hint):
                    found.setdefault(where, put)
    return found


PLACES = distinct()


def kinds(text: str) -> list[str]:
    return [str(statement.stmt.WhichOneof("node")) for statement in parse(text).stmts]


def test_there_are_enough_places() -> None:
    assert len(PLACES) > 120


@pytest.mark.parametrize("place", PLACES)
def test_a_text_stays_in_its_place(place: str) -> None:
    for text in HOSTILE:
        try:
            made = script(design(PLACES[place](text)), "dpe")
        except NotSql:
            continue
        assert "drop_stmt" not in kinds(made), (place, text)
