"""Enums, domains, composite and range types; none may be made of itself."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from data_platform.model.database import Attribute, Check, Composite, Domain, Enum, Name, Range, Type
from data_platform.spec.document import Path_
from data_platform.spec.model.codec import ByName, Object
from data_platform.spec.model.context import Context
from data_platform.spec.model.values import Reading
from data_platform.spec.naming import Namer
from data_platform.sql import types as sql_types
from data_platform.sql.text import NotSql

KINDS: Mapping[str, type[Type]] = {"enum": Enum, "domain": Domain, "composite": Composite, "range": Range}

_ONLY_FOR_DOMAINS = ("check", "checks", "nullable", "default", "not_null")
_OF_THEIR_OWN = ("check", "checks", "renamed_from", "renamed_labels")
_ONLY_FOR_RANGES = ("opclass", "canonical", "difference", "multirange")


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
        kinds = [kind for kind in KINDS if kind in spec]
        if len(kinds) != 1:
            message = f"expected exactly one of {', '.join(f'`{kind}`' for kind in KINDS)}"
            context.error(path, "spec-type-kind", message, "keep one")
            continue
        if name.name in sql_types.BUILT_IN and not context.imported:
            context.error(
                path,
                "spec-name",
                f"`{name.name}` is a type of PostgreSQL; expected a name of your own",
                "rename it",
            )
        namers = [context.type_namer(name.schema)]
        if "composite" in spec:
            namers.append(context.namer(name.schema))
        if not all([namer.claim(name.name) for namer in namers]):
            context.error(path, "spec-duplicate", f"`{name}` is taken", "rename one")
        context.types[name] = path
        keys[name] = key
    return keys


def read_types(context: Context, specs: Mapping[str, Any], keys: Mapping[Name, str]) -> tuple[Type, ...]:
    """All types, sorted by name; notes an error for those that are made of each other."""
    made = {name: _read(context, name, specs[key], ("types", key)) for name, key in keys.items()}
    graph = {name: sorted(_uses(type_, context)) for name, type_ in sorted(made.items())}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        ring = " → ".join(str(name) for name in error.args[1])
        context.error(
            context.types[error.args[1][0]],
            "spec-type-cycle",
            f"these types are made of each other: {ring}; expected types that end in built-in ones",
            "break the ring with a built-in type",
        )
    return tuple(made[name] for name in sorted(made))


def _read(context: Context, name: Name, spec: Mapping[str, Any], path: Path_) -> Type:
    kind = next(kind for kind in KINDS if kind in spec)
    _refuse_foreign_keys(context, kind, spec, path)
    reading = Reading(context)
    rest = {key: value for key, value in spec.items() if key not in (kind, *_OF_THEIR_OWN)}
    fields = Object(KINDS[kind]).fields(reading, rest, path)
    match kind:
        case "enum":
            _check_labels(context, spec["enum"], (*path, "enum"))
            return Enum(name=name, labels=tuple(spec["enum"]), **fields)
        case "composite":
            attributes = ByName(Attribute).read(reading, spec["composite"], (*path, "composite"))
            return Composite(name=name, attributes=attributes, **fields)
        case "range":
            return Range(name=name, subtype=context.type(spec["range"], (*path, "range")), **fields)
    base = context.type(spec["domain"], (*path, "domain"))
    return Domain(name=name, base=base, checks=_checks(context, name, spec, path), **fields)


def _refuse_foreign_keys(context: Context, kind: str, spec: Mapping[str, Any], path: Path_) -> None:
    """Keys that belong to another kind of type."""
    others = [(key, "domains") for key in _ONLY_FOR_DOMAINS if kind != "domain"]
    others += [(key, "ranges") for key in _ONLY_FOR_RANGES if kind != "range"]
    others += [("renamed_labels", "enums")] if kind != "enum" else []
    others += [("collation", "domains and ranges")] if kind in ("enum", "composite") else []
    for key, where in others:
        if key in spec:
            context.error(
                (*path, key), "spec-unknown-key", f"`{key}` is for {where} only", f"remove `{key}:`"
            )


def _check_labels(context: Context, labels: list[str], path: Path_) -> None:
    for number, label in enumerate(labels):
        if len(label.encode()) > 63 or "\0" in label:
            at = (*path, str(number))
            context.error(at, "spec-name", "an enum label has at most 63 bytes", "shorten it")


def _checks(context: Context, name: Name, spec: Mapping[str, Any], path: Path_) -> tuple[Check, ...]:
    namer = Namer()
    checks = []
    for key, value in spec.get("checks", {}).items():
        at = (*path, "checks", key)
        if context.identifier(key, at):
            namer.claim(key)
            checks.append(Check(name=key, **Object(Check).fields(Reading(context), value, at)))
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
        case Range(subtype=subtype):
            texts = [subtype]
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
