"""Objects of a database from and to the plain data of a spec, by the fields of their dataclasses.

A key is a field's name; a field at its default is left out; a nested object is a mapping; objects with a name of their
own stand under it. What a text must be is in the field's annotation. The JSON Schema has agreed to the shape before.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from data_platform.model.database import (
    Attribute,
    Check,
    CollationObject,
    Column,
    Domain,
    EventTrigger,
    Foreign,
    ForeignKey,
    Function,
    Generated,
    IndexElement,
    MaterializedView,
    Name,
    NotNull,
    PartitionOf,
    Policy,
    PrimaryKey,
    Publication,
    PublishedTable,
    Range,
    Role,
    Rule,
    Schema,
    Sequence,
    SequenceOptions,
    Server,
    Statistics,
    Trigger,
    Unique,
    View,
)
from data_platform.spec.document import Path_
from data_platform.spec.model.values import (
    Class,
    Codec,
    ColumnOf,
    Element,
    Many,
    NameCodec,
    NumberByNumber,
    OptionsCodec,
    Pair,
    Plain,
    Reading,
    Real,
    Text,
    TextByName,
)


@dataclass(frozen=True)
class Object:
    """An object without a name of its own, or whose name stands elsewhere."""

    cls: Class

    def read(self, reading: Reading, value: Any, path: Path_) -> Any:
        return self.cls(**self.fields(reading, value, path))

    def fields(self, reading: Reading, value: Any, path: Path_) -> dict[str, Any]:
        """The fields that the spec gives, read."""
        short = SHORT.get(self.cls)
        if value is None:
            value = {}
        elif short and not isinstance(value, dict):
            part = next(part for part in parts(self.cls) if part.name == short)
            return {short: part.codec.read(reading, value, path)}
        found = {}
        for part in parts(self.cls):
            if part.flat:
                found[part.name] = part.codec.read(reading, value, path)
            elif part.name in value:
                at = (*path, part.name)
                if (self.cls, part.name) in SINCE:
                    reading.context.needs_version(*SINCE[self.cls, part.name], at)
                found[part.name] = part.codec.read(reading, value[part.name], at)
        return found

    def write(self, value: Any, default_schema: str) -> Any:
        spec = self.spec(value, default_schema)
        short = SHORT.get(self.cls)
        return spec[short] if short and list(spec) == [short] and not isinstance(spec[short], dict) else spec

    def spec(self, value: Any, default_schema: str) -> dict[str, Any]:
        """The fields that say something, name excepted."""
        spec: dict[str, Any] = {}
        for part in parts(self.cls):
            field = getattr(value, part.name)
            if part.name == "name" and self.cls in NAMED_BY_KEY:
                continue
            if part.flat:
                spec |= part.codec.write(field, default_schema)
            elif part.required or field != part.default:
                spec[part.name] = part.codec.write(field, default_schema)
        return spec


@dataclass(frozen=True)
class ByName:
    """Objects under their names, sorted."""

    cls: Class

    def read(self, reading: Reading, value: Any, path: Path_) -> Any:
        made = []
        for key, spec in value.items():
            at = (*path, key)
            name = key_codec(self.cls).read(reading, key, at)
            made.append(self.cls(name=name, **Object(self.cls).fields(reading, spec, at)))
        return tuple(made) if self.cls in IN_ORDER else tuple(sorted(made, key=lambda item: item.name))

    def write(self, value: Any, default_schema: str) -> Any:
        key = key_codec(self.cls)
        return {
            key.write(item.name, default_schema): Object(self.cls).write(item, default_schema) or None
            for item in value
        }


@dataclass(frozen=True)
class Part:
    """One field of a class."""

    name: str
    codec: Codec
    default: Any
    required: bool
    flat: bool = False


SHORT: Mapping[type[Any], str] = {
    Attribute: "type",
    Check: "expression",
    Foreign: "server",
    Generated: "expression",
    PublishedTable: "table",
    Rule: "sql",
    MaterializedView: "query",
    View: "query",
}
"""The field that stands for the whole object where the others are at their defaults."""

IN_ORDER = (Attribute,)
"""Objects that keep the author's order."""

NAMED_BY_KEY: tuple[type[Any], ...] = (
    Attribute,
    Check,
    CollationObject,
    EventTrigger,
    Function,
    MaterializedView,
    Policy,
    Publication,
    Role,
    Rule,
    Schema,
    Sequence,
    Server,
    Statistics,
    Trigger,
    View,
)
"""Objects whose name is their key."""

SPECIAL: Mapping[tuple[type[Any], str], Codec] = {
    (Domain, "default"): Text("constant"),
    (Column, "default"): Text("constant"),
    (View, "defaults"): TextByName(Text("constant")),
    (View, "column_comments"): TextByName(Plain()),
    (Policy, "using"): Text("condition"),
    (Policy, "with_check"): Text("condition"),
    (Trigger, "when"): Text("condition"),
    (PartitionOf, "bound"): Text("bound"),
    (Rule, "sql"): Text("rule"),
    (Function, "sql_body"): Text("sql body"),
}
"""Fields that need more than their annotation says."""

SINCE: Mapping[tuple[type[Any], str], tuple[int, str]] = {
    (Check, "enforced"): (18, "NOT ENFORCED"),
    (ForeignKey, "enforced"): (18, "NOT ENFORCED"),
    (ForeignKey, "period"): (18, "PERIOD"),
    (PrimaryKey, "without_overlaps"): (18, "WITHOUT OVERLAPS"),
    (Unique, "without_overlaps"): (18, "WITHOUT OVERLAPS"),
    (NotNull, "name"): (18, "a NOT NULL constraint with a name"),
    (NotNull, "no_inherit"): (18, "NOT NULL … NO INHERIT"),
    (NotNull, "validated"): (18, "NOT NULL … NOT VALID"),
    (Column, "compression"): (14, "COMPRESSION"),
    (Function, "sql_body"): (14, "a function's body in SQL-standard form"),
    (Range, "multirange"): (14, "a multirange type"),
    (PublishedTable, "columns"): (15, "a publication's column list"),
    (PublishedTable, "where"): (15, "a publication's row filter"),
    (Publication, "schemas"): (15, "a publication of schemas"),
}
"""Fields and the major version that brought what they say."""


@cache
def parts(cls: Class) -> tuple[Part, ...]:
    """The fields of a class, in order, each with its codec."""
    hints = get_type_hints(cls, include_extras=True)
    return tuple(
        Part(
            name=field.name,
            codec=SPECIAL.get((cls, field.name)) or codec(hints[field.name]),
            default=field.default,
            required=field.default is dataclasses.MISSING,
            flat=hints[field.name] is SequenceOptions,
        )
        for field in dataclasses.fields(cls)
    )


@cache
def codec(hint: Any) -> Codec:
    """The codec for an annotation of model.database."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        return codec(inner)
    if origin is Annotated:
        return Text(arguments[1])
    if origin is tuple:
        return _tuple_codec(arguments)
    if hint is Name:
        return NameCodec()
    if hint is IndexElement:
        return Element()
    if dataclasses.is_dataclass(hint):
        return Object(hint) if isinstance(hint, type) else Plain()
    return Real() if hint is float else Plain()


def _tuple_codec(arguments: tuple[Any, ...]) -> Codec:
    inner = arguments[0]
    if arguments == (Name, str):
        return ColumnOf()
    if arguments[1] is not Ellipsis:
        return Pair()
    if inner == tuple[str, str]:
        return OptionsCodec()
    if inner == tuple[int, int]:
        return NumberByNumber()
    return ByName(inner) if inner in NAMED_BY_KEY else Many(codec(inner))


@cache
def key_codec(cls: Class) -> Codec:
    """How the name of an object of that class is written as its key."""
    return codec(get_type_hints(cls, include_extras=True)["name"])
