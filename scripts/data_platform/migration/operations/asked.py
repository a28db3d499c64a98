"""What an operation is given, and what it leaves: plain DDL for the schema after it, and hints for the way there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from data_platform.migration.plan import hanging, views
from data_platform.migration.plan.hints import Column, Hints
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Step
from data_platform.model.database import Database, Name, Table
from data_platform.spec.naming import parse_name
from data_platform.sql.text import NotSql, Sql, expression, identifier, qualified_name, type_name


class Unknown(ValueError):
    """The operation names something that is not there. `key` is where it does."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass
class Told:
    """Hints as the operations before have left them, by the names that things have now."""

    tables: dict[Name, Name] = field(default_factory=dict)
    columns: dict[Column, str] = field(default_factory=dict)
    labels: dict[tuple[Name, str], str] = field(default_factory=dict)
    values: dict[Column, str] = field(default_factory=dict)
    back: dict[Column, str] = field(default_factory=dict)
    merged: dict[Column, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    moved: dict[Column, Column] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    """What is no difference of two schemas: a REINDEX, a fill."""

    def renamed(self, old: Name, new: Name) -> None:
        """A table is called otherwise from here on."""
        self.tables[new] = self.tables.pop(old, old)
        by_column: tuple[dict[Column, Any], ...] = (
            self.columns,
            self.values,
            self.back,
            self.merged,
            self.moved,
        )
        for hints in by_column:
            for table, column in [key for key in hints if key[0] == old]:
                hints[(new, column)] = hints.pop((table, column))
        for to, (table, column) in self.moved.items():
            if table == old:
                self.moved[to] = (new, column)

    def column_renamed(self, table: Name, old: str, new: str) -> None:
        """A column is called otherwise from here on; one that comes from another table comes with that name."""
        key, now = (table, old), (table, new)
        if key in self.moved:
            self.moved[now] = self.moved.pop(key)
        else:
            self.columns[now] = self.columns.pop(key, old)
        if key in self.values:
            self.values[now] = self.values.pop(key)

    def column_moved(self, come: Column, to: Column) -> None:
        """A column is in another table from here on. Renamed before, it comes from its old name; moved before, from
        where it was at first, and that may be here.
        """
        table, name = come
        first = self.moved.pop(come, None) or (table, self.columns.pop(come, name))
        if first[0] != to[0]:
            self.moved[to] = first
        elif first[1] != to[1]:
            self.columns[to] = first[1]

    def hints(self, before: Database, after: Database, rows: Mapping[Name, int]) -> Hints:
        """All of them, for the planner. What was made and renamed, or renamed and dropped, is no rename."""
        old = {table.name: {column.name for column in table.columns} for table in before.tables}
        there = {table.name for table in after.tables}
        tables = {new: was for new, was in self.tables.items() if new in there and was in old}
        columns = {
            (table, new): was
            for (table, new), was in self.columns.items()
            if was in old.get(tables.get(table, table), ())
        }
        moved = {
            to: come if come[0] in there else (self.tables.get(come[0], come[0]), come[1])
            for to, come in self.moved.items()
        }
        return Hints(
            tables=tables,
            columns=columns,
            labels=self.labels,
            values=self.values,
            back=self.back,
            merged=self.merged,
            moved=moved,
            lost=frozenset(self.lost),
            rows=rows,
        )


@dataclass(frozen=True)
class Asked:
    """One operation: its body in the spec, and the database as the operations before it left it."""

    body: Mapping[str, Any]
    database: Database
    told: Told

    def text(self, key: str) -> str:
        """The value of a key as text; what YAML read as a number or a truth value is SQL for it."""
        value = self.body[key]
        return str(value).lower() if isinstance(value, bool) else str(value)

    def has(self, key: str) -> bool:
        """Whether the spec says it."""
        return self.body.get(key) is not None

    def name(self, key: str = "name") -> Name:
        """A name that may have a schema."""
        return parse_name(self.text(key), "public")

    @property
    def table_name(self) -> Name:
        """The table, which must be there."""
        return self.table.name

    @property
    def table(self) -> Table:
        """The table as it is before the operation."""
        return self.other("table")

    def other(self, key: str) -> Table:
        """The table that this key names, which must be there."""
        wanted = self.name(key)
        for table in self.database.tables:
            if table.name == wanted:
                return table
        raise Unknown(
            key,
            f"there is no table `{wanted}`{_near(wanted.name, [t.name.name for t in self.database.tables])}",
        )

    def column(self, key: str = "column") -> str:
        """A column of the table, which must be there."""
        name = self.text(key)
        names = [column.name for column in self.table.columns]
        if name not in names:
            raise Unknown(key, f"there is no column `{name}` in {self.table.name}{_near(name, names)}")
        return name

    def columns(self, key: str = "columns") -> list[str]:
        """Several of them."""
        names = [column.name for column in self.table.columns]
        for name in self.body[key]:
            if str(name) not in names:
                raise Unknown(
                    key, f"there is no column `{name}` in {self.table.name}{_near(str(name), names)}"
                )
        return [str(name) for name in self.body[key]]

    def over(self, columns: Collection[tuple[Name, str]]) -> tuple[tuple[Sql, ...], tuple[Sql, ...]]:
        """What takes the views and policies over these columns away, and makes them again as they are."""
        pair = Pair(before=self.database, after=self.database, hints=Hints(), version=18)
        drops, makes = views.aside(pair, columns)
        more, again = hanging.aside(pair, columns)
        return (*drops, *more), (*again, *makes)

    def alter(self, action: str) -> Sql:
        """ALTER TABLE of the table; `action` is SQL."""
        return Sql(f"ALTER TABLE {qualified_name(self.table_name)} {action}")

    def optional(self, key: str, word: str) -> str:
        """` WORD expression` where the spec has the key."""
        return f" {word} ({expression(self.text(key))})" if self.has(key) else ""

    def constraint(self, label: str) -> str:
        """`CONSTRAINT name` where it has one."""
        return f"CONSTRAINT {identifier(self.text('name'))} " if self.has("name") else ""

    def type(self, key: str = "type") -> Sql:
        """A type."""
        return type_name(self.text(key))


def _near(name: str, known: list[str]) -> str:
    import difflib  # noqa: PLC0415

    found = difflib.get_close_matches(name, known, 1, 0.5)
    return f"; did you mean `{found[0]}`?" if found else ""


Operation = Callable[[Asked], Iterator[str]]

__all__ = ["Asked", "NotSql", "Operation", "Told", "Unknown"]
