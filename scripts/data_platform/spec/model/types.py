"""Enums, domains and composite types, in an order in which each is made after the types it uses."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from data_platform.model.database import Attribute, Check, Composite, Domain, Enum, Name, Type
from data_platform.spec.document import Path_
from data_platform.spec.model.context import Context
from data_platform.spec.naming import Namer
from data_platform.sql import types as sql_types
from data_platform.sql.text import NotSql

_ONLY_FOR_DOMAINS = ("check", "checks", "nullable", "default", "collation")


def declare_types(context: Context, specs: Mapping[str, Any]) -> dict[Name, str]:
    """Note every type's name, so that types and tables may use them in any order; returns name → key in the spec."""
    keys: dict[Name, str] = {}
    for key, spec in specs.items():
        path = ("types", key)
        name = context.name(key, path)
        if name is None:
            continue
        if name in context.types:
            context.error(path, "spec-duplicate", f"the type `{name}` is here twice", "rename one")
            continue
        kinds = [kind for kind in ("enum", "domain", "composite") if kind in spec]
        if len(kinds) != 1:
            context.error(
                path, "spec-type-kind", "expected exactly one of `enum`, `domain` and `composite`", "keep one"
            )
            continue
        if name.name in sql_types.BUILT_IN:
            context.error(
                path,
                "spec-name",
                f"`{name.name}` is a type of PostgreSQL; expected a name of your own",
                "rename it",
            )
        if not context.namer(name.schema).claim(name.name):
            context.error(path, "spec-duplicate", f"`{name}` is taken", "rename one")
        context.types[name] = path
        keys[name] = key
    return keys


def read_types(context: Context, specs: Mapping[str, Any], keys: Mapping[Name, str]) -> tuple[Type, ...]:
    """All types, each after those it is made of."""
    made = {name: _read(context, name, specs[key], ("types", key)) for name, key in keys.items()}
    graph = {name: sorted(_uses(type_, context)) for name, type_ in sorted(made.items())}
    try:
        return tuple(made[name] for name in TopologicalSorter(graph).static_order() if name in made)
    except CycleError as error:
        ring = " → ".join(str(name) for name in error.args[1])
        context.error(
            context.types[error.args[1][0]],
            "spec-type-cycle",
            f"these types are made of each other: {ring}; expected types that end in built-in ones",
            "break the ring with a built-in type",
        )
        return tuple(made.values())


def _read(context: Context, name: Name, spec: Mapping[str, Any], path: Path_) -> Type:
    comment = spec.get("comment")
    if "domain" not in spec:
        for key in _ONLY_FOR_DOMAINS:
            if key in spec:
                context.error(
                    (*path, key), "spec-unknown-key", f"`{key}` is for domains only", f"remove `{key}:`"
                )
    if "enum" in spec:
        for number, label in enumerate(spec["enum"]):
            if len(label.encode()) > 63 or "\0" in label:
                context.error(
                    (*path, "enum", str(number)),
                    "spec-name",
                    "an enum label has at most 63 bytes",
                    "shorten it",
                )
        return Enum(name=name, labels=tuple(spec["enum"]), comment=comment)
    if "composite" in spec:
        at = (*path, "composite")
        attributes = []
        for key, text in spec["composite"].items():
            context.identifier(key, (*at, key))
            attributes.append(Attribute(name=key, type=context.type(text, (*at, key))))
        return Composite(name=name, attributes=tuple(attributes), comment=comment)
    default = context.constant(spec["default"], (*path, "default")) if "default" in spec else None
    return Domain(
        name=name,
        base=context.type(spec["domain"], (*path, "domain")),
        nullable=spec.get("nullable", True),
        default=default,
        collation=spec.get("collation"),
        checks=_checks(context, name, spec, path),
        comment=comment,
    )


def _checks(context: Context, name: Name, spec: Mapping[str, Any], path: Path_) -> tuple[Check, ...]:
    namer = Namer()
    checks = []
    for key, value in spec.get("checks", {}).items():
        at = (*path, "checks", key)
        if context.identifier(key, at):
            namer.claim(key)
            checks.append(Check(name=key, expression=context.expression(value, at, None)))
    if "check" in spec:
        expression = context.expression(spec["check"], (*path, "check"), None)
        checks.append(Check(name=namer.invent(name.name, "check"), expression=expression))
    return tuple(sorted(checks, key=lambda check: check.name))


def _uses(type_: Type, context: Context) -> set[Name]:
    match type_:
        case Domain(base=base):
            texts = [base]
        case Composite(attributes=attributes):
            texts = [attribute.type for attribute in attributes]
        case _:
            texts = []
    used: set[Name] = set()
    for text in texts:
        try:
            reference = sql_types.reference(text)
        except NotSql:
            continue
        used.add(Name(reference.schema or "public", reference.name))
    return used & set(context.types)
