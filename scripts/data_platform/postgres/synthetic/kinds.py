"""What a type's text means: `numeric(10,2)` or `shop.email[]` as a `Kind`; enums, domains and composites resolved."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from data_platform.model.database import Composite, Database, Domain, Enum, Range, Type

_MODIFIERS = re.compile(r"\((-?\d+)(?:,\s*(-?\d+))?\)")
_NAME_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')

TEXTS = frozenset({"text", "character varying", "character", "citext", "name"})
WHOLE = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
"""The whole numbers, with the first value that is too large."""
NUMBERS = frozenset({*WHOLE, "numeric", "real", "double precision", "money"})
MOMENTS = frozenset({"date", "timestamp without time zone", "timestamp with time zone"})
CLOCKS = frozenset({"time without time zone", "time with time zone"})
LINEAR = NUMBERS | MOMENTS | CLOCKS | {"interval", "oid"}
"""Values on a line: there is a smaller, a larger and a step."""
TREES = frozenset({"ltree"})
"""Values below one another: that of a number is below that of a smaller one."""
RANGES = {
    "int4range": "integer",
    "int8range": "bigint",
    "numrange": "numeric",
    "daterange": "date",
    "tsrange": "timestamp without time zone",
    "tstzrange": "timestamp with time zone",
}
_OVER = {subtype: name for name, subtype in RANGES.items()} | {
    "real": "numrange",
    "double precision": "numrange",
}
"""A range type of PostgreSQL whose texts one of the user's with that subtype reads too."""
MULTIRANGES = {name.replace("range", "multirange"): name for name in RANGES}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A resolved type.

    `base` is a built-in or extension type's bare name, or "enum", "composite", "array". `modifiers` are the numbers
    in parentheses. `checks` and `nullable` come from domains; a domain is otherwise replaced by what it is over,
    which `text` names.
    """

    base: str
    text: str = ""
    modifiers: tuple[int, ...] = ()
    element: Kind | None = None
    labels: tuple[str, ...] = ()
    attributes: tuple[Kind, ...] = ()
    checks: tuple[str, ...] = ()
    nullable: bool = True

    @property
    def longest(self) -> int | None:
        """The most characters its text may have, if the type limits them."""
        if self.base == "name":
            return 63
        if self.base in ("character varying", "character"):
            return self.modifiers[0] if self.modifiers else (1 if self.base == "character" else None)
        return None


class Kinds:
    """The types of one database by their text."""

    def __init__(self, database: Database) -> None:
        self._types: dict[tuple[str, ...], Type] = {}
        for type_ in database.types:
            self._types.setdefault((type_.name.name,), type_)
            self._types[type_.name.schema, type_.name.name] = type_
        self._known: dict[str, Kind] = {}

    def __call__(self, text: str) -> Kind:
        """The kind of type `text`; a type nobody knows keeps its name as `base`."""
        if text not in self._known:
            self._known[text] = self._resolve(text)
        return self._known[text]

    def _resolve(self, text: str) -> Kind:
        if text.endswith("[]"):
            return Kind(base="array", text=text, element=self(text[:-2]))
        path = _path(text)
        if path in self._types:
            return self._named(text, self._types[path])
        found = None if '"' in text and text != '"char"' else _MODIFIERS.search(text)
        modifiers = tuple(int(part) for part in found.groups() if part) if found else ()
        bare = text if text == '"char"' else " ".join(_MODIFIERS.sub("", text).split())
        if bare.startswith("interval "):
            bare = "interval"  # whatever fields it is limited to
        return Kind(base=bare.rpartition(".")[2], text=text, modifiers=modifiers)

    def _named(self, text: str, type_: Type) -> Kind:
        match type_:
            case Enum():
                return Kind(base="enum", text=text, labels=type_.labels)
            case Composite():
                return Kind(
                    base="composite", text=text, attributes=tuple(self(a.type) for a in type_.attributes)
                )
            case Domain():
                under = self(type_.base)
                checks = under.checks + tuple(check.expression for check in type_.checks)
                return replace(under, checks=checks, nullable=under.nullable and type_.nullable)
            case Range():
                return Kind(base=_OVER.get(self(type_.subtype).base, type_.name.name), text=text)


def _path(text: str) -> tuple[str, ...]:
    return tuple(
        found[1].replace('""', '"') if found[1] is not None else found[2]
        for found in _NAME_PART.finditer(text)
    )
