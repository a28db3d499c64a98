"""What two schemas do not say about the way from one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.model.design import Design
from data_platform.sql.text import NotSql, expression

Column = tuple[Name, str]
"""(table, column)."""


@dataclass(frozen=True, kw_only=True)
class Hints:
    """The author's intentions. Tables and columns have their new names, unless it says otherwise."""

    tables: Mapping[Name, Name] = field(default_factory=lambda: MappingProxyType({}))
    """Renamed tables: new name → old name."""
    columns: Mapping[Column, str] = field(default_factory=lambda: MappingProxyType({}))
    """Renamed columns: (table, new name) → old name."""
    types: Mapping[Name, Name] = field(default_factory=lambda: MappingProxyType({}))
    """Renamed types: new name → old name."""
    labels: Mapping[tuple[Name, str], str] = field(default_factory=lambda: MappingProxyType({}))
    """Renamed labels of enums: (enum, new label) → old label."""
    values: Mapping[Column, str] = field(default_factory=lambda: MappingProxyType({}))
    """What rows that are there get in a column that is new or changes its type: an expression over the old columns."""
    back: Mapping[Column, str] = field(default_factory=lambda: MappingProxyType({}))
    """The reverse, for the old column while both are there: an expression over the new ones."""
    merged: Mapping[Column, tuple[tuple[str, str], ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Columns made of several: (table, new name) → each old name with its value, an expression over the new column."""
    moved: Mapping[Column, Column] = field(default_factory=lambda: MappingProxyType({}))
    """Columns that go to another table with the same key: (new table, name) → (old table, name)."""
    lost: frozenset[str] = frozenset()
    """What may be lost, `schema.table` or `schema.table.column` by the old names; `*` is everything."""
    rows: Mapping[Name, int] = field(default_factory=lambda: MappingProxyType({}))
    """Rows in production, by the old name."""

    def may_lose(self, table: Name, column: str | None = None) -> bool:
        """Whether the column, or the whole table, may be lost; `public.` may be left out."""
        names = [f"{table}"] + ([table.name] if table.schema == "public" else [])
        wanted = {*names, *(f"{name}.{column}" for name in names if column is not None), "*"}
        return not wanted.isdisjoint(self.lost)


def from_design(design: Design) -> Hints:
    """What a model says about the way to it."""
    return Hints(
        tables=design.renamed_tables,
        columns=design.renamed_columns,
        types=design.renamed_types,
        labels=design.renamed_labels,
        rows=design.rows,
    )


# --- from the command line ---


def from_words(renames: Iterable[str], fills: Iterable[str], losses: Iterable[str]) -> Hints:
    """Hints from `old=new`, `table.column=expression` and `table[.column]`. Raises UsageProblem."""
    tables: dict[Name, Name] = {}
    columns: dict[Column, str] = {}
    for text in renames:
        old, new = _halves("--rename", text, "users=accounts or users.name=full_name")
        parts = old.split(".")
        if _is_column(parts, new):
            table, name = _name(parts[:-1]), parts[-1]
            columns[(table, new.rpartition(".")[2])] = name
        else:
            tables[_name(new.split("."))] = _name(parts)
    # A column is looked up by its table's new name.
    newer = {old: new for new, old in tables.items()}
    columns = {(newer.get(table, table), name): old for (table, name), old in columns.items()}
    return Hints(
        tables=MappingProxyType(tables),
        columns=MappingProxyType(columns),
        values=MappingProxyType(dict(_fill(text) for text in fills)),
        lost=frozenset(losses),
    )


def _halves(option: str, text: str, expected: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not (equals and left.strip() and right.strip()):
        raise UsageProblem(f"{option} {text}", expected=expected)
    return left.strip(), right.strip()


def _is_column(parts: list[str], new: str) -> bool:
    """`a.b=c` renames a column; `a.b=c.d` moves or renames a table of a schema, `a.b.c=d` a column of one."""
    return len(parts) == 3 or (len(parts) == 2 and "." not in new)


def _name(parts: list[str]) -> Name:
    return Name(parts[0], parts[1]) if len(parts) > 1 else Name("public", parts[0])


def _fill(text: str) -> tuple[Column, str]:
    place, value = _halves("--fill", text, "table.column=EXPRESSION")
    *table, column = place.split(".")
    if not table:
        raise UsageProblem(f"--fill {text}", expected="table.column=EXPRESSION")
    try:
        return (_name(table), column), expression(value)
    except NotSql as problem:
        raise UsageProblem(
            f"--fill {text}: {problem}", expected="one expression over the table's columns"
        ) from None
