"""How two databases differ, object by object and property by property."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from data_platform.model.database import Database, Table


@dataclass(frozen=True, kw_only=True)
class Change:
    """One property of one object that is not the same."""

    object: str
    property: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Differences:
    """What `after` has and `before` has not, the reverse, and what both have but not alike."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[Change, ...]

    @property
    def equal(self) -> bool:
        """Nothing differs."""
        return not (self.added or self.removed or self.changed)


def differences(before: Database, after: Database) -> Differences:
    """From `before` to `after`."""
    old, new = dict(_objects(before)), dict(_objects(after))
    return Differences(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(
            Change(object=name, property=key, before=str(old[name][key]), after=str(new[name][key]))
            for name in sorted(old.keys() & new.keys())
            for key in old[name]
            if old[name][key] != new[name][key]
        ),
    )


def _objects(database: Database) -> Iterator[tuple[str, dict[str, Any]]]:
    for extension in database.extensions:
        yield f"extension {extension.name}", _properties(extension)
    for schema in database.schemas:
        yield f"schema {schema}", {}
    for type_ in database.types:
        yield f"type {type_.name}", {"kind": type(type_).__name__.lower(), **_properties(type_)}
    for function in database.functions:
        yield f"function {function.name}", _properties(function)
    for table in database.tables:
        yield from _table(table)


def _table(table: Table) -> Iterator[tuple[str, dict[str, Any]]]:
    yield (
        f"table {table.name}",
        {"comment": table.comment, "column order": [column.name for column in table.columns]},
    )
    for column in table.columns:
        yield f"column {table.name}.{column.name}", _properties(column)
    for constraint in table.constraints:
        kind = type(constraint).__name__.lower()
        yield f"constraint {constraint.name} on {table.name}", {"kind": kind, **_properties(constraint)}
    for index in table.indexes:
        yield f"index {index.name} on {table.name}", _properties(index)
    for trigger in table.triggers:
        yield f"trigger {trigger.name} on {table.name}", _properties(trigger)


def _properties(part: Any) -> dict[str, Any]:
    return {
        field.name: getattr(part, field.name) for field in dataclasses.fields(part) if field.name != "name"
    }
