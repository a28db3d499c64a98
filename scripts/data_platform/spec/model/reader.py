"""The order of reading: names first, then what uses them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from data_platform.model.database import Database, Extension, Function, Name, Table
from data_platform.model.design import DataHint, Design
from data_platform.spec.document import Document
from data_platform.spec.model.columns import Conventions, read_hint, updated_at_function
from data_platform.spec.model.context import Context
from data_platform.spec.model.patterns import read_patterns
from data_platform.spec.model.references import add_foreign_keys
from data_platform.spec.model.tables import TableReader
from data_platform.spec.model.types import declare_types, read_types
from data_platform.spec.naming import Namer

DEFAULT_SERVER_VERSION = 18


def read_model(document: Document) -> Design:
    """The design in a document that agrees with the schema of kind `model`.

    Raises SpecProblem with every error: dangling references, duplicates, cycles of types, SQL that does not parse,
    what the declared server version cannot do.
    """
    data: Mapping[str, Any] = document.data
    extensions = _extensions(data)
    context = Context(
        document=document,
        server_version=data.get("server_version", DEFAULT_SERVER_VERSION),
        default_schema=data.get("schema", "public"),
        extensions={extension.name: extension.schema for extension in extensions},
    )
    context.identifier(context.default_schema, ("schema",))
    seen = Namer()
    for number, extension in enumerate(extensions):
        context.identifier(extension.name, ("extensions", str(number)))
        if not seen.claim(extension.name):
            message = f"the extension `{extension.name}` is here twice"
            context.error(("extensions", str(number)), "spec-duplicate", message, "keep one")
    type_keys = declare_types(context, data.get("types", {}))
    table_keys = _declare_tables(context, data["tables"])
    types = read_types(context, data.get("types", {}), type_keys)
    rules = Conventions().override(data.get("conventions", {}))
    readers = {
        name: TableReader(
            context,
            name,
            data["tables"][key],
            ("tables", key),
            rules.override(data["tables"][key].get("conventions", {})),
        )
        for name, key in table_keys.items()
    }
    for reader in readers.values():
        reader.claim_given_names()
    tables = add_foreign_keys(context, readers, {name: reader.read() for name, reader in readers.items()})
    patterns = tuple(read_patterns(context, data.get("access_patterns", {}), tables))
    hints = _hints(context, readers)
    context.raise_findings()
    return Design(
        store=data["store"],
        default_schema=context.default_schema,
        server_version=context.server_version,
        database=Database(
            extensions=tuple(sorted(extensions, key=lambda extension: extension.name)),
            schemas=_schemas(context, extensions, tables),
            types=types,
            functions=_functions(context, tables),
            tables=tuple(tables[name] for name in sorted(tables)),
        ),
        access_patterns=patterns,
        rows=MappingProxyType(
            {
                name: data["tables"][key]["rows"]
                for name, key in table_keys.items()
                if "rows" in data["tables"][key]
            }
        ),
        hints=MappingProxyType(hints),
        soft_deleted=frozenset(
            name
            for name, reader in readers.items()
            if reader.rules.soft_delete and "deleted_at" in reader.column_names
        ),
        file=document.file,
        sha256=document.sha256,
        marks=MappingProxyType({**document.marks, **context.marks}),
        table_keys=MappingProxyType(table_keys),
    )


def _extensions(data: Mapping[str, Any]) -> list[Extension]:
    specs = data.get("extensions", [])
    return [
        Extension(name=spec)
        if isinstance(spec, str)
        else Extension(name=spec["name"], schema=spec.get("schema"))
        for spec in specs
    ]


def _declare_tables(context: Context, specs: Mapping[str, Any]) -> dict[Name, str]:
    keys: dict[Name, str] = {}
    for key in specs:
        name = context.name(key, ("tables", key))
        if name is None:
            continue
        if not context.namer(name.schema).claim(name.name):
            context.error(("tables", key), "spec-duplicate", f"`{name}` is here twice", "rename one")
            continue
        context.tables[name] = ("tables", key)
        keys[name] = key
    return keys


def _schemas(context: Context, extensions: list[Extension], tables: Mapping[Name, Table]) -> tuple[str, ...]:
    used = {name.schema for name in (*tables, *context.types)} | {e.schema for e in extensions if e.schema}
    used |= {function.name.schema for function in _functions(context, tables)}
    return tuple(sorted(used - {"public", "pg_catalog"}))


def _functions(context: Context, tables: Mapping[Name, Table]) -> tuple[Function, ...]:
    if any(table.triggers for table in tables.values()):
        return (updated_at_function(context.default_schema),)
    return ()


def _hints(context: Context, readers: Mapping[Name, TableReader]) -> dict[tuple[Name, str], DataHint]:
    hints = {}
    for name, reader in readers.items():
        for column, value in reader.spec.get("columns", {}).items():
            hint = read_hint(context, value, (*reader.path, "columns", column))
            if hint is not None:
                hints[(name, column)] = hint
    return hints
