"""Where an object stands in the spec: the line that a finding about it points to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, takewhile
from typing import TypeAlias

from data_platform.model.database import (
    Check,
    Constraint,
    Exclusion,
    ForeignKey,
    Name,
    PrimaryKey,
    Table,
    Unique,
)
from data_platform.model.design import Design, Mark

Path: TypeAlias = tuple[str, ...]
_AT_COLUMN = {PrimaryKey: "primary_key", Unique: "unique", ForeignKey: "references", Check: "check"}
_IN_LIST = {Unique: "unique", ForeignKey: "foreign_keys", Exclusion: "exclude"}


class Marks:
    """The places of one design."""

    def __init__(self, design: Design) -> None:
        self._design = design
        self._tables = {table.name: table for table in design.database.tables}
        self._constraints: dict[Name, dict[str, Path]] = {}

    def of_table(self, name: Name, path: Path) -> Mark | None:
        """A part of a table, or the nearest part around it."""
        start = self._table(name)
        if start is None:
            return None
        if path[:1] == ("constraints",):
            path = self._constraint(name, start, path[1])
        return self._nearest((*start, *path), len(start))

    def of_object(self, section: str, name: str) -> Mark | None:
        """An object with a key of its own in a section: under its name, with or without its schema or arguments."""
        alone = name.partition("(")[0]
        default = f"{self._design.default_schema}."
        keys = (name, name.removeprefix(default), alone, alone.removeprefix(default))
        found = next((m for key in keys if (m := self._design.marks.get((section, key)))), None)
        return found or self._of_overload(section, tuple(f"{key}(" for key in keys[2:]))

    def _of_overload(self, section: str, begun: tuple[str, ...]) -> Mark | None:
        """What stands in parentheses in a function's key is free: it is found if no other has its name."""
        found = [
            mark
            for path, mark in self._design.marks.items()
            if len(path) == 2 and path[0] == section and path[1].startswith(begun)
        ]
        return found[0] if len(found) == 1 else self._design.marks.get((section,)) if found else None

    def of_listed(self, section: str, number: int) -> Mark | None:
        """An object of a section that is a list; the section itself where its items are not one for one."""
        written = sum(len(path) == 2 and path[0] == section for path in self._design.marks)
        same = written == len(getattr(self._design.database, section))
        item = self._design.marks.get((section, str(number))) if same else None
        return item or self._design.marks.get((section,))

    def _nearest(self, path: Path, least: int) -> Mark | None:
        while len(path) > least and path not in self._design.marks:
            path = path[:-1]
        return self._design.marks.get(path)

    def _table(self, name: Name) -> Path | None:
        """The table's key; a partition stands within its parent."""
        table = self._tables.get(name)
        if table is not None and table.partition_of is not None:
            parent = self._table(table.partition_of.table)
            within = [(*parent, "partitions", key) for key in (name.name, str(name))] if parent else []
            inside = next((path for path in within if path in self._design.marks), None)
            if inside is not None:
                return inside
        key = self._design.table_keys.get(name)
        return ("tables", key) if key is not None else None

    def _constraint(self, name: Name, start: Path, constraint: str) -> Path:
        if name not in self._constraints:
            self._constraints[name] = dict(self._constraint_paths(self._tables[name], start))
        return self._constraints[name].get(constraint, ())

    def _constraint_paths(self, table: Table, start: Path) -> Iterator[tuple[str, Path]]:
        def there(path: Path) -> bool:
            return (*start, *path) in self._design.marks

        if table.primary_key is not None:
            own = _at_column(table.primary_key, table, there)
            yield table.primary_key.name, ("primary_key",) if there(("primary_key",)) else own or ()
        for check in table.checks:
            named = ("checks", check.name)
            yield check.name, named if there(named) else _at_column(check, table, there) or ()
        for kind in (table.uniques, table.foreign_keys, table.exclusions):
            yield from _listed(kind, table, there)


def _at_column(constraint: Constraint, table: Table, there: Callable[[Path], bool]) -> Path | None:
    """The column that a constraint is written at."""
    word = _AT_COLUMN.get(type(constraint), "")
    if isinstance(constraint, Check):
        names = [c.name for c in table.columns if constraint.name == f"{table.name.name}_{c.name}_check"]
    else:
        names = list(getattr(constraint, "columns", ()))
    path = ("columns", names[-1], word) if names else ()
    return path if word and path and there(path) and _alone(constraint, names) else None


def _alone(constraint: Constraint, names: Sequence[str]) -> bool:
    """One column; a foreign key may have the tenant's before it."""
    return len(names) == 1 or isinstance(constraint, ForeignKey)


def _listed(
    constraints: Sequence[Constraint], table: Table, there: Callable[[Path], bool]
) -> Iterator[tuple[str, Path]]:
    """Those at columns; the others by their number of columns, if one item of the list has it."""
    for constraint in constraints:
        section = _IN_LIST[type(constraint)]
        items = [path for path in _items(section, there) if _width(path, there) == _columns(constraint)]
        item = items[0] if len(items) == 1 else (section,)
        yield constraint.name, _at_column(constraint, table, there) or item


def _items(section: str, there: Callable[[Path], bool]) -> Iterator[Path]:
    return takewhile(there, ((section, str(number)) for number in count()))


def _width(item: Path, there: Callable[[Path], bool]) -> int:
    """How many columns an item of a list has."""
    below = next((word for word in ("columns", "elements") if there((*item, word))), None)
    inside = (*item, below) if below is not None else item
    return sum(1 for _ in takewhile(there, ((*inside, str(number)) for number in count())))


def _columns(constraint: Constraint) -> int:
    return len(getattr(constraint, "columns", getattr(constraint, "elements", ())))
