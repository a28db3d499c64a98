"""In which order tables can be made and filled: referenced tables first, and what to do about cycles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from data_platform.model.database import ForeignKey, Name, Table


@dataclass(frozen=True)
class Ordered:
    """Tables in order, and the foreign keys that point forward in it (only cycles leave any)."""

    tables: tuple[Table, ...]
    forward: frozenset[tuple[Name, str]]
    """(table, constraint name)."""

    def points_forward(self, table: Table, key: ForeignKey) -> bool:
        """Whether `key` must wait until its target exists."""
        return (table.name, key.name) in self.forward


def in_dependency_order(tables: Iterable[Table]) -> Ordered:
    """Referenced tables first, by name where that leaves a choice. References to the table itself do not count.

    In a cycle the table with the fewest references still open goes first, and those are returned as `forward`.
    """
    waiting = {table.name: table for table in sorted(tables, key=lambda table: table.name)}
    needs = {
        name: {key.target for key in table.foreign_keys if key.target != name and key.target in waiting}
        for name, table in waiting.items()
    }
    done: list[Table] = []
    forward: set[tuple[Name, str]] = set()
    while waiting:
        ready = [name for name in waiting if not needs[name]]
        for name in ready or [min(waiting, key=lambda name: (len(needs[name]), name))]:
            table = waiting.pop(name)
            done.append(table)
            forward |= {(name, key.name) for key in table.foreign_keys if key.target in needs[name]}
            needs[name] = set()
        finished = {table.name for table in done}
        for targets in needs.values():
            targets.difference_update(finished)
    return Ordered(tuple(done), frozenset(forward))
