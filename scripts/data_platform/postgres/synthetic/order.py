"""Parents before children: the order of tables by their foreign keys, with cycles as groups."""

from __future__ import annotations

from collections.abc import Mapping, Set

from data_platform.model.database import Name, Table


def groups(tables: Mapping[Name, Table]) -> list[tuple[Name, ...]]:
    """Groups of tables, each after those it refers to. Tables that refer to one another in a circle are one group."""
    return _Circles({name: _parents(table) & tables.keys() for name, table in tables.items()}).groups


def _parents(table: Table) -> Set[Name]:
    return {key.target for key in table.foreign_keys} - {table.name}


class _Circles:
    """Tarjan's algorithm, without recursion: chains of foreign keys may be long."""

    def __init__(self, parents: Mapping[Name, Set[Name]]) -> None:
        self.groups: list[tuple[Name, ...]] = []
        self._parents = parents
        self._number: dict[Name, int] = {}
        self._low: dict[Name, int] = {}
        self._open: list[Name] = []
        for name in sorted(parents):
            if name not in self._number:
                self._visit(name)

    def _visit(self, start: Name) -> None:
        path = [(start, iter(sorted(self._parents[start])))]
        self._enter(start)
        while path:
            name, rest = path[-1]
            parent = next(rest, None)
            if parent is None:
                path.pop()
                if path:
                    self._lower(path[-1][0], self._low[name])
                self._close(name)
            elif parent not in self._number:
                self._enter(parent)
                path.append((parent, iter(sorted(self._parents[parent]))))
            elif parent in self._open:
                self._lower(name, self._number[parent])

    def _enter(self, name: Name) -> None:
        self._number[name] = self._low[name] = len(self._number)
        self._open.append(name)

    def _lower(self, name: Name, number: int) -> None:
        self._low[name] = min(self._low[name], number)

    def _close(self, name: Name) -> None:
        if self._low[name] == self._number[name]:
            place = self._open.index(name)
            self.groups.append(tuple(sorted(self._open[place:])))
            del self._open[place:]
