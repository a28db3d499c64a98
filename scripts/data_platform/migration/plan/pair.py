"""The two schemas that a plan goes between, and how their parts belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from data_platform.migration.plan.hints import Hints
from data_platform.model.database import Database, Table

Part = TypeVar("Part")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Both databases as the server spells them; `version` is the major version of the server that the plan is for."""

    before: Database
    after: Database
    hints: Hints
    version: int


@dataclass(frozen=True, kw_only=True)
class Changes(Generic[Part]):
    """Parts of one kind: what only `after` has, what only `before` has, and what both have but not alike."""

    added: tuple[Part, ...]
    removed: tuple[Part, ...]
    changed: tuple[tuple[Part, Part], ...]


def by_name(part: Any) -> Any:
    """What most parts are known by."""
    return part.name


def changes(
    before: Iterable[Part], after: Iterable[Part], key: Callable[[Part], Any] = by_name
) -> Changes[Part]:
    """Parts matched by `key`, in the order that each side has."""
    old, new = {key(part): part for part in before}, {key(part): part for part in after}
    return Changes(
        added=tuple(part for name, part in new.items() if name not in old),
        removed=tuple(part for name, part in old.items() if name not in new),
        changed=tuple((old[name], part) for name, part in new.items() if name in old and old[name] != part),
    )


def tables_of_both(pair: Pair) -> tuple[tuple[Table, Table], ...]:
    """Tables that are there before and after, changed or not."""
    old = {table.name: table for table in pair.before.tables}
    return tuple((old[table.name], table) for table in pair.after.tables if table.name in old)
