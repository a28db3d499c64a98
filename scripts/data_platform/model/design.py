"""A database together with what it is for: its access patterns, its expected rows, and what its data look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from data_platform.model.database import Database, Name


@dataclass(frozen=True)
class Mark:
    """A place in a spec or a file of SQL; line and column count from 1. `file` is None for the design's own."""

    line: int
    column: int
    file: str | None = None


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A typed parameter of an access pattern.

    A proof gives it `value` if it is `fixed`; a new value for `column` if the statement inserts it (`inserted`); else
    a value that `column` holds.
    """

    name: str
    type: str
    fixed: bool = False
    value: str | None = None
    column: tuple[Name, str] | None = None
    inserted: bool = False


@dataclass(frozen=True, kw_only=True)
class AccessPattern:
    """A query that the application will ask: the reason why an index exists.

    `sql` has `$1`, `$2` … for `parameters`, in order. `per_second` is the mean rate, `latency_ms` the target.
    """

    name: str
    sql: str
    parameters: tuple[Parameter, ...] = ()
    per_second: float | None = None
    expected_rows: int | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class DataHint:
    """What a column's values look like in production.

    `values` are PostgreSQL input texts with their weights; `distinct` a number of different values; `skew` a Zipf
    exponent (0 is uniform); `null_fraction` 0 … 1; `minimum` and `maximum` input texts.
    """

    values: tuple[tuple[str, float], ...] = ()
    distinct: int | None = None
    skew: float = 0.0
    null_fraction: float | None = None
    minimum: str | None = None
    maximum: str | None = None


@dataclass(frozen=True, kw_only=True)
class Design:
    """A model spec, typed."""

    store: str
    server_version: int
    database: Database
    default_schema: str = "public"
    """First in the search_path under which the author's expressions and queries are read."""
    access_patterns: tuple[AccessPattern, ...] = ()
    rows: Mapping[Name, int] = field(default_factory=lambda: MappingProxyType({}))
    hints: Mapping[tuple[Name, str], DataHint] = field(default_factory=lambda: MappingProxyType({}))
    soft_deleted: frozenset[Name] = frozenset()
    renamed_tables: Mapping[Name, Name] = field(default_factory=lambda: MappingProxyType({}))
    """What tables were called before: new name → old name. An intention, and no part of the database."""
    renamed_columns: Mapping[tuple[Name, str], str] = field(default_factory=lambda: MappingProxyType({}))
    """The same of columns: (table, new name) → old name."""
    renamed_types: Mapping[Name, Name] = field(default_factory=lambda: MappingProxyType({}))
    renamed_labels: Mapping[tuple[Name, str], str] = field(default_factory=lambda: MappingProxyType({}))
    """Of enums: (enum, new label) → old label."""
    file: str = ""
    sha256: str = ""
    """Of the spec file."""
    marks: Mapping[tuple[str, ...], Mark] = field(default_factory=lambda: MappingProxyType({}))
    """Where each part stands in the spec file, by its path of keys: ("tables", "orders", "columns", "total")."""
    table_keys: Mapping[Name, str] = field(default_factory=lambda: MappingProxyType({}))
    """Each table's key in the spec file."""

    @property
    def search_path(self) -> tuple[str, ...]:
        """The schemas under which the author's own SQL is read: the default one, public, those of extensions."""
        placed = (extension.schema for extension in self.database.extensions if extension.schema)
        return tuple(dict.fromkeys((self.default_schema, "public", *placed)))

    def mark(self, table: Name, *path: str) -> Mark | None:
        """Where that part of a table stands in the spec file, or the nearest part around it."""
        key = self.table_keys.get(table)
        full = ("tables", key, *path) if key is not None else ()
        while full and full not in self.marks:
            full = full[:-1]
        return self.marks.get(full)
