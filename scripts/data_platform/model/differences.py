"""How two databases differ, object by object and property by property."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from data_platform.model.database import Database, MaterializedView, Table, View


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
            Change(object=name, property=key, before=shown(old[name][key]), after=shown(new[name][key]))
            for name in sorted(old.keys() & new.keys())
            for key in old[name]
            if key not in new[name] or old[name][key] != new[name][key]
        ),
    )


def objects(database: Database) -> tuple[str, ...]:
    """The name of every object, as `differences` calls it."""
    return tuple(name for name, _ in _objects(database))


def shown(value: Any) -> str:
    """A property's value as text for people."""
    if value is None:
        return "none"
    if dataclasses.is_dataclass(value) and hasattr(value, "schema") and hasattr(value, "name"):
        return str(value)
    if dataclasses.is_dataclass(value):
        return ", ".join(_fields(value)) or "none"
    if isinstance(value, tuple | list):
        return ", ".join(_item(part) for part in value) or "none"
    return str(value)


def _fields(part: Any) -> Iterator[str]:
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if value != field.default:
            yield f"{field.name.replace('_', ' ')} {shown(value)}"


def _item(part: Any) -> str:
    if isinstance(part, tuple) and len(part) == 2 and all(isinstance(word, str) for word in part):
        return f"{part[0]}={part[1]}"
    return f"({shown(part)})" if dataclasses.is_dataclass(part) else shown(part)


_Object = tuple[str, dict[str, Any]]


def _objects(database: Database) -> Iterator[_Object]:
    for schema in database.schemas:
        yield f"schema {schema}", {}
    for field, label in _PLAIN.items():
        for part in getattr(database, field):
            yield label(part), _properties(part)
    for type_ in database.types:
        yield f"type {type_.name}", {"kind": type(type_).__name__.lower(), **_properties(type_)}
    yield from _numbered("grant", (_grant_name(grant) for grant in database.grants))
    yield from _numbered("default privilege", (shown(part) for part in database.default_privileges))
    for table in database.tables:
        yield from _table(table)
    for view in database.views:
        yield from _view(view)
    for materialized in database.materialized_views:
        yield from _materialized(materialized)


_PLAIN: dict[str, Callable[[Any], str]] = {
    "schema_details": lambda part: f"schema details {part.name}",
    "extensions": lambda part: f"extension {part.name}",
    "roles": lambda part: f"role {part.name}",
    "collations": lambda part: f"collation {part.name}",
    "sequences": lambda part: f"sequence {part.name}",
    "functions": lambda part: (
        f"{'procedure' if part.procedure else 'function'} {part.name}({part.arguments})"
    ),
    "servers": lambda part: f"server {part.name}",
    "event_triggers": lambda part: f"event trigger {part.name}",
    "publications": lambda part: f"publication {part.name}",
    "raw": lambda part: f"{part.kind} {part.name}",
}
"""Objects that nothing hangs on, and what each is called."""


def _numbered(kind: str, names: Iterable[str]) -> Iterator[_Object]:
    """Objects that are nothing but their name."""
    for name in names:
        yield f"{kind} {name}", {}


def _grant_name(grant: Any) -> str:
    what = ", ".join(grant.privileges) + (f" ({', '.join(grant.columns)})" if grant.columns else "")
    word = "from" if grant.revoked else "to"
    option = " with grant option" if grant.grantable else ""
    return f"{'revoke ' if grant.revoked else ''}{what} on {grant.kind} {grant.object} {word} {grant.role}{option}"


_OF_TABLE = ("constraints", "columns", "indexes", "triggers", "policies", "rules", "statistics")
_CONSTRAINTS = ("primary_key", "uniques", "checks", "exclusions", "foreign_keys")


def _table(table: Table) -> Iterator[_Object]:
    order = {"column order": [column.name for column in table.columns]}
    yield f"table {table.name}", {**_properties(table, (*_OF_TABLE, *_CONSTRAINTS)), **order}
    for column in table.columns:
        yield f"column {table.name}.{column.name}", _properties(column)
    for constraint in table.constraints:
        kind = type(constraint).__name__.lower()
        yield f"constraint {constraint.name} on {table.name}", {"kind": kind, **_properties(constraint)}
    yield from _hanging(table, ("indexes", "triggers", "policies", "rules", "statistics"))


def _view(view: View) -> Iterator[_Object]:
    yield f"view {view.name}", _properties(view, ("triggers", "rules"))
    yield from _hanging(view, ("triggers", "rules"))


def _materialized(view: MaterializedView) -> Iterator[_Object]:
    yield f"materialized view {view.name}", _properties(view, ("indexes", "statistics"))
    yield from _hanging(view, ("indexes", "statistics"))


_SINGULAR = {
    "indexes": "index",
    "triggers": "trigger",
    "policies": "policy",
    "rules": "rule",
    "statistics": "statistics",
}


def _hanging(relation: Table | View | MaterializedView, fields: tuple[str, ...]) -> Iterator[_Object]:
    for field in fields:
        for part in getattr(relation, field):
            yield f"{_SINGULAR[field]} {part.name} on {relation.name}", _properties(part)


def _properties(part: Any, without: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        field.name: getattr(part, field.name)
        for field in dataclasses.fields(part)
        if field.name != "name" and field.name not in without
    }
