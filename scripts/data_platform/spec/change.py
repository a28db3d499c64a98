"""Specs of kind `change`: a migration by named operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_platform.model.database import Name
from data_platform.spec.document import Document, Path_, SpecProblem
from data_platform.spec.naming import parse_name
from data_platform.sql.text import NotSql


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One of them as the spec says it; `path` is where its body stands."""

    name: str
    body: Mapping[str, Any]
    path: Path_


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change spec, typed. `base` are the files that make the schema before it, relative to the spec."""

    store: str
    document: Document
    operations: tuple[Operation, ...]
    base: tuple[str, ...] = ()
    server_version: int | None = None
    rows: tuple[tuple[Name, int], ...] = ()
    allow_data_loss: tuple[str, ...] = ()


def read_change(document: Document) -> Change:
    """The change in a document that agrees with the schema of kind `change`. Raises SpecProblem."""
    data: Mapping[str, Any] = document.data
    base = data.get("base", [])
    return Change(
        store=data["store"],
        document=document,
        operations=tuple(_operations(document)),
        base=(base,) if isinstance(base, str) else tuple(base),
        server_version=data.get("server_version"),
        rows=tuple((_name(document, str(key)), number) for key, number in data.get("rows", {}).items()),
        allow_data_loss=tuple(data.get("allow_data_loss", ())),
    )


def _operations(document: Document) -> list[Operation]:
    found = []
    for number, given in enumerate(document.data["operations"]):
        ((name, body),) = given.items()
        found.append(Operation(name=str(name), body=body, path=("operations", str(number), str(name))))
    return found


def _name(document: Document, text: str) -> Name:
    try:
        return parse_name(text, "public")
    except NotSql as problem:
        raise SpecProblem(
            (document.error(("rows", text), "spec-name", f"`{text}`: {problem}", "name or schema.name"),)
        ) from None
