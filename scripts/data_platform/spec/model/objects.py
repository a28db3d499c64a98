"""What stands beside types and tables: schemas, roles, functions, views, grants and the rest, by their sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from data_platform.model.database import (
    CollationObject,
    Database,
    DefaultPrivilege,
    EventTrigger,
    Function,
    Grant,
    MaterializedView,
    Name,
    Publication,
    Raw,
    Role,
    Schema,
    Sequence,
    Server,
    Trigger,
    View,
)
from data_platform.spec.document import Path_
from data_platform.spec.model import functions, grants
from data_platform.spec.model.codec import ByName, Object
from data_platform.spec.model.context import Context
from data_platform.spec.model.indexes import read_indexes
from data_platform.spec.model.values import Reading

SECTIONS: Mapping[str, type[Any]] = {
    "roles": Role,
    "collations": CollationObject,
    "sequences": Sequence,
    "views": View,
    "servers": Server,
    "event_triggers": EventTrigger,
    "publications": Publication,
}
"""Sections that are read by the fields of their class alone; the key is the field of Database too."""


@dataclass(frozen=True)
class Objects:
    """All that is no table and no type."""

    schemas: frozenset[str]
    functions: tuple[Function, ...]
    fields: Mapping[str, Any]
    """Fields of Database."""


def declare_objects(context: Context, data: Mapping[str, Any]) -> None:
    """Note the names of views, functions and the rest, so that everything may use them in any order."""
    context.has_raw = bool(data.get("raw"))
    context.schemas = set(data.get("schemas", {}))
    for section in ("views", "materialized_views", "sequences"):
        for key in data.get(section, {}):
            path = (section, key)
            name = context.name(key, path)
            if name is not None and _claim(context, name, path, section) and section != "sequences":
                context.views[name] = path
    for key in data.get("collations", {}):
        name = context.name(key, ("collations", key))
        if name is not None:
            context.collations.add(name)
    context.functions |= set(functions.names(context, data.get("functions", {})))


def _claim(context: Context, name: Name, path: Path_, section: str) -> bool:
    namers = [context.namer(name.schema)]
    if section != "sequences":
        namers.append(context.type_namer(name.schema))
    free = all([namer.claim(name.name) for namer in namers])
    if not free:
        context.error(path, "spec-duplicate", f"the name `{name}` is taken", "rename one")
    return free


def read_objects(context: Context, data: Mapping[str, Any]) -> Objects:
    """Everything beside types and tables."""
    reading = Reading(context)
    details = ByName(Schema).read(reading, data.get("schemas", {}), ("schemas",))
    made_functions = functions.read(context, data.get("functions", {}))
    fields = {
        section: ByName(cls).read(reading, data.get(section, {}), (section,))
        for section, cls in SECTIONS.items()
    }
    fields["schema_details"] = tuple(item for item in details if item.comment is not None or item.owner)
    fields["materialized_views"] = _materialized_views(context, data.get("materialized_views", {}))
    fields["grants"] = tuple(_grants(context, data.get("grants", ())))
    fields["default_privileges"] = tuple(_default_privileges(context, data.get("default_privileges", ())))
    fields["raw"] = tuple(_raw(context, data.get("raw", ())))
    _check_triggers(context, fields["views"])
    for key, view in data.get("views", {}).items():
        if isinstance(view, dict) and "security_invoker" in view.get("options", {}):
            context.needs_version(15, "security_invoker", ("views", key, "options", "security_invoker"))
    for event_trigger in fields["event_triggers"]:
        path = ("event_triggers", event_trigger.name, "function")
        context.known_function(event_trigger.function, path)
    return Objects(frozenset(item.name for item in details), made_functions, fields)


def schemas_of(database: Database) -> frozenset[str]:
    """Every schema that holds an object of the database or an extension of it."""
    named: list[Any] = [*database.types, *database.functions, *database.tables, *database.collations]
    named += [*database.sequences, *database.views, *database.materialized_views]
    placed = {extension.schema for extension in database.extensions if extension.schema}
    return frozenset({item.name.schema for item in named} | placed)


def _materialized_views(context: Context, specs: Mapping[str, Any]) -> tuple[MaterializedView, ...]:
    plain = {
        key: {field: value for field, value in spec.items() if field != "indexes"}
        if isinstance(spec, dict)
        else spec
        for key, spec in specs.items()
    }
    views = ByName(MaterializedView).read(Reading(context), plain, ("materialized_views",))
    keys = {context.name(key, ("materialized_views", key)): key for key in specs}
    made = []
    for view in views:
        spec = specs[keys[view.name]]
        items = spec.get("indexes", ()) if isinstance(spec, dict) else ()
        path = ("materialized_views", keys[view.name])
        made.append(replace(view, indexes=read_indexes(context, view.name, items, path, None)))
    return tuple(made)


def _check_triggers(context: Context, views: tuple[View, ...]) -> None:
    for view in views:
        for trigger in view.triggers:
            check_trigger(context, trigger, (*context.views[view.name], "triggers", trigger.name))


def check_trigger(context: Context, trigger: Trigger, path: Path_) -> None:
    """What PostgreSQL's grammar does not say about a trigger."""
    context.known_function(trigger.function, (*path, "function"))
    if trigger.update_of and "update" not in trigger.events:
        context.error(
            (*path, "update_of"), "spec-conflict", "`update_of` without the event update", "remove it"
        )
    if "truncate" in trigger.events and trigger.level == "row":
        message = "TRUNCATE has no rows to call a row trigger for"
        context.error((*path, "events"), "spec-conflict", message, "level: statement")


def _grants(context: Context, specs: Any) -> Iterator[Grant]:
    for number, spec in enumerate(specs):
        made = grants.read_grant(context, spec, ("grants", str(number)))
        if made is not None:
            yield made


def _default_privileges(context: Context, specs: Any) -> Iterator[DefaultPrivilege]:
    for number, spec in enumerate(specs):
        made = grants.read_default(context, spec, ("default_privileges", str(number)))
        if made is not None:
            yield made


def _raw(context: Context, specs: Any) -> Iterator[Raw]:
    for number, spec in enumerate(specs):
        yield Object(Raw).read(Reading(context), spec, ("raw", str(number)))
