"""The order of reading: names first, then what uses them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from data_platform.model.database import Database, Extension, Function, Name, Table, Type
from data_platform.model.design import DataHint, Design
from data_platform.spec.document import Document
from data_platform.spec.model import renames
from data_platform.spec.model.columns import Conventions, read_hint, updated_at_function
from data_platform.spec.model.context import Context
from data_platform.spec.model.conventions import expanded
from data_platform.spec.model.family import Place, places
from data_platform.spec.model.functions import order as function_order
from data_platform.spec.model.indexes import claim_index_names
from data_platform.spec.model.objects import Objects, declare_objects, read_objects, schemas_of
from data_platform.spec.model.owners import with_owner
from data_platform.spec.model.patterns import read_patterns
from data_platform.spec.model.references import add_foreign_keys
from data_platform.spec.model.scope import TableScope
from data_platform.spec.model.tables import read_table
from data_platform.spec.model.types import declare_types, read_types
from data_platform.spec.naming import Namer
from data_platform.spec.pause import no_collection

DEFAULT_SERVER_VERSION = 18


def read_model(document: Document) -> Design:
    """The design in a document that agrees with the schema of kind `model`.

    Raises SpecProblem with every error: dangling references, duplicates, cycles of types, SQL that does not parse,
    what the declared server version cannot do.
    """
    with no_collection():
        return _read(document)


def _read(document: Document) -> Design:
    document, problems = expanded(document)
    data: Mapping[str, Any] = document.data
    extensions = _extensions(data)
    context = _context(document, extensions)
    for problem in problems:
        context.error(problem.path, "spec-convention", problem.message, problem.fix)
    type_keys = declare_types(context, data.get("types", {}))
    declare_objects(context, data)
    found = places(context, data["tables"])
    types = read_types(context, data.get("types", {}), type_keys)
    scopes = _scopes(context, data, found)
    tables = _tables(context, scopes, {type_.name: type_ for type_ in types})
    objects = read_objects(context, data)
    others = (extensions, types, objects.functions, objects.schemas, *objects.fields.values())
    if not data["tables"] and not any(others):
        context.error(("tables",), "spec-empty", "`tables` is empty", "give it a value")
    patterns = tuple(read_patterns(context, data.get("access_patterns", {}), tables))
    hints = _hints(context, scopes)
    renamed_tables, renamed_columns = (
        renames.read_tables(context, found),
        renames.read_columns(context, found),
    )
    renamed_types, renamed_labels = (
        renames.read_types(context, data.get("types", {}), type_keys),
        renames.read_labels(context, data.get("types", {}), type_keys),
    )
    context.raise_findings()
    return Design(
        store=data["store"],
        default_schema=context.default_schema,
        server_version=context.server_version,
        database=_database(context, extensions, types, tables, objects),
        access_patterns=patterns,
        rows=MappingProxyType(
            {name: place.spec["rows"] for name, place in found.items() if "rows" in place.spec}
        ),
        hints=MappingProxyType(hints),
        soft_deleted=frozenset(
            name
            for name, scope in scopes.items()
            if scope.rules.soft_delete and "deleted_at" in scope.column_names
        ),
        renamed_tables=MappingProxyType(renamed_tables),
        renamed_columns=MappingProxyType(renamed_columns),
        renamed_types=MappingProxyType(renamed_types),
        renamed_labels=MappingProxyType(renamed_labels),
        file=document.file,
        sha256=document.sha256,
        marks=MappingProxyType({**document.marks, **context.marks}),
        table_keys=MappingProxyType({name: place.path[1] for name, place in found.items()}),
    )


def _context(document: Document, extensions: list[Extension]) -> Context:
    data: Mapping[str, Any] = document.data
    context = Context(
        document=document,
        server_version=data.get("server_version", DEFAULT_SERVER_VERSION),
        default_schema=data.get("schema", "public"),
        extensions={extension.name: extension.schema for extension in extensions},
        imported=data.get("imported", False),
    )
    context.identifier(context.default_schema, ("schema",))
    if "owner" in data:
        context.identifier(data["owner"], ("owner",))
    seen = Namer()
    for number, extension in enumerate(extensions):
        context.identifier(extension.name, ("extensions", str(number)))
        if not seen.claim(extension.name):
            message = f"the extension `{extension.name}` is here twice"
            context.error(("extensions", str(number)), "spec-duplicate", message, "keep one")
    return context


def _scopes(context: Context, data: Mapping[str, Any], found: Mapping[Name, Place]) -> dict[Name, TableScope]:
    rules = Conventions().override(data.get("conventions", {}))
    scopes = {name: TableScope(context, name, place, _rules(rules, place)) for name, place in found.items()}
    for scope in scopes.values():
        scope.claim_given_names()
    for key, spec in data.get("materialized_views", {}).items():
        name = context.name(key, ("materialized_views", key))
        if name is not None and isinstance(spec, dict):
            claim_index_names(context, name, spec.get("indexes", ()), ("materialized_views", key))
    return scopes


def _rules(rules: Conventions, place: Place) -> Conventions:
    """The house rules of one table; what has its columns from elsewhere has none but its own."""
    bare = place.partition_of or "foreign" in place.spec or "of_type" in place.spec
    return (Conventions() if bare else rules).override(place.spec.get("conventions", {}))


def _tables(
    context: Context, scopes: Mapping[Name, TableScope], types: Mapping[Name, Type]
) -> dict[Name, Table]:
    made: dict[Name, Table] = {}
    for name, scope in scopes.items():
        made[name] = read_table(scope, made, types)
    return add_foreign_keys(context, scopes, made)


def _database(
    context: Context,
    extensions: list[Extension],
    types: tuple[Type, ...],
    tables: Mapping[Name, Table],
    objects: Objects,
) -> Database:
    database = Database(
        extensions=tuple(sorted(extensions, key=lambda extension: extension.name)),
        types=types,
        functions=_functions(context, tables, objects),
        tables=tuple(tables[name] for name in sorted(tables)),
        **objects.fields,
    )
    schemas = (schemas_of(database) | objects.schemas) - {"public", "pg_catalog"}
    named = replace(database, schemas=tuple(sorted(schemas)))
    owner = context.document.data.get("owner")
    return named if owner is None else with_owner(named, owner)


def _extensions(data: Mapping[str, Any]) -> list[Extension]:
    specs = data.get("extensions", [])
    return [
        Extension(name=spec)
        if isinstance(spec, str)
        else Extension(name=spec["name"], schema=spec.get("schema"))
        for spec in specs
    ]


def _functions(context: Context, tables: Mapping[Name, Table], objects: Objects) -> tuple[Function, ...]:
    """The author's, and that of the house rules where a trigger calls it."""
    own = updated_at_function(context.default_schema)
    called = {trigger.function for table in tables.values() for trigger in table.triggers}
    declared = {function.name for function in objects.functions}
    brought = [own] if own.name in called and own.name not in declared else []
    return tuple(sorted([*objects.functions, *brought], key=function_order))


def _hints(context: Context, scopes: Mapping[Name, TableScope]) -> dict[tuple[Name, str], DataHint]:
    hints = {}
    for name, scope in scopes.items():
        for column, value in scope.column_specs.items():
            hint = read_hint(context, value, (*scope.path, "columns", column))
            if hint is not None:
                hints[(name, column)] = hint
    return hints
