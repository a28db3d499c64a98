"""Calls of Qdrant's REST interface as data, and what a server has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

Method = Literal["GET", "PUT", "POST", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Call:
    """One of them, and why."""

    method: Method
    path: str
    body: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""


def path_of(collection: str, rest: str = "") -> str:
    """Where the interface has a collection, or `rest` of it."""
    return f"/collections/{quote(collection, safe='')}{rest}"


@dataclass(frozen=True)
class Server:
    """What is there: collections with their configuration, and aliases."""

    collections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def current(self, alias: str) -> str | None:
        """The collection behind the alias."""
        return self.aliases.get(alias)
