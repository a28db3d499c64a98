"""A design as the YAML that reads back as it: short forms wherever they lose nothing, sections in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from data_platform.model.database import (
    Composite,
    Database,
    Domain,
    Enum,
    Extension,
    MaterializedView,
    Range,
    Table,
    Type,
)
from data_platform.model.design import AccessPattern, Design, Parameter
from data_platform.spec.emit import Block, emit
from data_platform.spec.model import functions, grants
from data_platform.spec.model.codec import ByName, Object
from data_platform.spec.model.indexes import write_index
from data_platform.spec.model.objects import SECTIONS, schemas_of
from data_platform.spec.model.owners import common_owner, without_owner
from data_platform.spec.model.reader import DEFAULT_SERVER_VERSION
from data_platform.spec.model.write_tables import write_tables
from data_platform.spec.naming import name_text
from data_platform.sql import types as sql_types
from data_platform.sql.text import NotSql, TooDeep, expression_tree, tokens_of

_SHALLOW = 80
"""No expression of fewer characters is nested too deeply."""
_PER_SECOND = (("s", 1.0), ("min", 60.0), ("h", 3600.0), ("day", 86400.0))


def write(design: Design, heading: str = "") -> str:
    """`design` as a model spec; each line of `heading` becomes a comment at its top.

    `read_model(parse(write(d))).database == d.database`, for a database whose objects stand in the order of the reader.
    """
    comment = "".join(f"# {line}".rstrip() + "\n" for line in heading.splitlines())
    return comment + emit(Block(_sections(design)))


def _sections(design: Design) -> Iterator[tuple[str, Any]]:
    owner, schema = common_owner(design.database), design.default_schema
    database = without_owner(design.database, owner) if owner is not None else design.database
    design = replace(design, database=database)
    yield "kind", "model"
    yield "store", design.store
    if design.server_version != DEFAULT_SERVER_VERSION:
        yield "server_version", design.server_version
    if schema != "public":
        yield "schema", schema
    if owner is not None:
        yield "owner", owner
    if _holds_the_unwise(database):
        yield "imported", True
    for name, section in _objects(design, database, schema):
        if section:
            yield name, Block(section) if isinstance(section, dict) else section
    if not database.tables:
        yield "tables", {}
    if design.access_patterns:
        yield "access_patterns", Block({p.name: _pattern(p, schema) for p in design.access_patterns})


def _objects(design: Design, database: Database, schema: str) -> Iterator[tuple[str, Any]]:
    def section(name: str) -> tuple[str, Any]:
        return name, ByName(SECTIONS[name]).write(getattr(database, name), schema)

    yield "extensions", [_extension(extension) for extension in database.extensions]
    yield "schemas", _schemas(database)
    yield section("roles")
    yield section("collations")
    yield "types", {name_text(type_.name, schema): _type(type_, schema) for type_ in database.types}
    yield section("sequences")
    yield "functions", functions.write(database.functions, schema)
    yield "tables", write_tables(design)
    yield section("views")
    yield (
        "materialized_views",
        {
            name_text(view.name, schema): _materialized_view(view, schema)
            for view in database.materialized_views
        },
    )
    yield section("servers")
    yield section("event_triggers")
    yield section("publications")
    yield "grants", [grants.write_grant(grant) for grant in database.grants]
    yield "default_privileges", [grants.write_default(item) for item in database.default_privileges]
    yield "raw", [Object(type(item)).spec(item, schema) for item in database.raw]


def _extension(extension: Extension) -> Any:
    if extension.schema is None:
        return extension.name
    return {"name": extension.name, "schema": extension.schema}


def _schemas(database: Database) -> dict[str, Any]:
    details = {schema.name: schema for schema in database.schema_details}
    unused = set(database.schemas) - schemas_of(database)
    return {
        name: (Object(type(details[name])).spec(details[name], "") or None) if name in details else None
        for name in sorted(unused | details.keys())
    }


def _type(type_: Type, schema: str) -> dict[str, Any]:
    spec = Object(type(type_)).spec(type_, schema)
    del spec["name"]
    match type_:
        case Enum():
            return {"enum": spec.pop("labels"), **spec}
        case Range():
            return {"range": spec.pop("subtype"), **spec}
        case Composite():
            return {"composite": spec.pop("attributes"), **spec}
        case Domain():
            return {"domain": spec.pop("base"), **spec}


def _materialized_view(view: MaterializedView, schema: str) -> Any:
    spec = Object(MaterializedView).spec(view, schema)
    if view.indexes:
        spec["indexes"] = [write_index(view.name, index) for index in view.indexes]
    return spec["query"] if list(spec) == ["query"] else spec


def _holds_the_unwise(database: Database) -> bool:
    """Whether something is in it that PostgreSQL accepts and the reader refuses in a new design."""
    for table in database.tables:
        required = {column.name for column in table.columns if not column.nullable}
        for key in table.foreign_keys:
            cleared = set(key.set_columns or key.columns) if key.on_delete == "set null" else set()
            cleared |= set(key.columns) if key.on_update == "set null" else set()
            if cleared & required:
                return True
        keys = [key.columns for key in (table.primary_key, *table.uniques) if key]
        if len(keys) != len(set(keys)):
            return True
        if any(_is_deep(text) for text in _expressions(table)):
            return True
    return any(type_.name.name in sql_types.BUILT_IN for type_ in database.types)


def _expressions(table: Table) -> Iterator[str]:
    for column in table.columns:
        yield column.default or ""
        yield column.generated.expression if column.generated else ""
    yield from (check.expression for check in table.checks)
    for index in table.indexes:
        yield index.where or ""
        yield from (element.expression or "" for element in index.elements)


def _is_deep(text: str) -> bool:
    """Whether an expression is nested too deeply for us to look into."""
    if len(text) < _SHALLOW:
        return False
    try:
        expression_tree(text)
    except TooDeep:
        return True
    except NotSql:
        return False
    return False


def _pattern(pattern: AccessPattern, schema: str) -> dict[str, Any]:
    names = [parameter.name for parameter in pattern.parameters]
    spec: dict[str, Any] = {"sql": _name_parameters(pattern.sql, names)}
    if pattern.parameters:
        spec["parameters"] = {
            parameter.name: _parameter(parameter, schema) for parameter in pattern.parameters
        }
    if pattern.per_second is not None:
        spec["frequency"] = _frequency(pattern.per_second)
    for key in ("expected_rows", "latency_ms"):
        if (value := getattr(pattern, key)) is not None:
            spec[key] = value
    return spec


def _name_parameters(text: str, names: list[str]) -> str:
    """`text` with `:name` for `$1`, `$2` …"""
    raw, tokens = tokens_of(text)
    pieces: list[bytes] = []
    done = 0
    for token in tokens:
        word = raw[token.start : token.end]
        if word[:1] == b"$" and word[1:].isdigit():
            pieces += [raw[done : token.start], b":" + names[int(word[1:]) - 1].encode()]
            done = token.end
    return b"".join([*pieces, raw[done:]]).decode()


def _parameter(parameter: Parameter, schema: str) -> Any:
    if parameter.fixed:
        return {"type": parameter.type, "value": parameter.value}
    if parameter.column is not None and not parameter.inserted:
        table, column = parameter.column
        return {"type": parameter.type, "from": f"{name_text(table, schema)}.{column}"}
    return parameter.type


def _frequency(per_second: float) -> str:
    for unit, seconds in _PER_SECOND:
        rate = per_second * seconds
        if rate >= 1 and float(f"{rate:.6g}") / seconds == per_second:
            return f"{rate:.6g}/{unit}"
    return f"{per_second * 86400.0:.6f}/day"
