"""What two schemas do not say about the way from one to the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from data_platform.model.database import Name

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
    copies: tuple[str, ...] = ()
    """Statements that move rows between tables (a split, a merge), each safe to run again, in order."""
    lost: frozenset[str] = frozenset()
    """What may be lost, `schema.table` or `schema.table.column` by the old names; `*` is everything."""
    rows: Mapping[Name, int] = field(default_factory=lambda: MappingProxyType({}))
    """Rows in production, by the old name."""

    def may_lose(self, table: Name, column: str | None = None) -> bool:
        """Whether the column, or the whole table, may be lost; `public.` may be left out."""
        names = [f"{table}"] + ([table.name] if table.schema == "public" else [])
        wanted = {*names, *(f"{name}.{column}" for name in names if column is not None), "*"}
        return not wanted.isdisjoint(self.lost)
