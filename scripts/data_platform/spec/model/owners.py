"""The owner of everything, said once: `owner:` at the top of a spec holds for each object that names none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from data_platform.model.database import Database

_SECTIONS = ("tables", "views", "materialized_views", "sequences", "functions", "types", "collations")
"""Kinds of objects that any role can own; schemas, servers and what only superusers own say it themselves."""


def common_owner(database: Database) -> str | None:
    """The owner that most objects have; None where one has none, or where it would not be said often."""
    owners: Counter[str | None] = Counter(part.owner for part in _owned(database))
    if None in owners or sum(owners.values()) < 2:
        return None
    return owners.most_common(1)[0][0]


def without_owner(database: Database, owner: str) -> Database:
    """The database with that owner unsaid."""
    return _changed(database, lambda part: replace(part, owner=None) if part.owner == owner else part)


def with_owner(database: Database, owner: str) -> Database:
    """The database with that owner where none is said."""
    return _changed(database, lambda part: replace(part, owner=owner) if part.owner is None else part)


def _owned(database: Database) -> Iterator[Any]:
    for section in _SECTIONS:
        yield from getattr(database, section)


def _changed(database: Database, change: Callable[[Any], Any]) -> Database:
    sections: dict[str, Any] = {name: tuple(map(change, getattr(database, name))) for name in _SECTIONS}
    return replace(database, **sections)
