"""The objects of a PostgreSQL database, in the words of its manual. Pure data, no SQL text is made here.

Every expression and type is PostgreSQL source text. In a model that came from a spec it is what the author wrote;
in one that came from a server it is what the server prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Deferral = Literal["not deferrable", "initially immediate", "initially deferred"]
Action = Literal["no action", "restrict", "cascade", "set null", "set default"]
Identity = Literal["always", "by default"]


@dataclass(frozen=True, order=True)
class Name:
    """A schema-qualified name, unquoted."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class Generated:
    """GENERATED ALWAYS AS (expression), STORED or (18 and later) VIRTUAL."""

    expression: str
    stored: bool = True


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table."""

    name: str
    type: str
    nullable: bool = False
    default: str | None = None
    identity: Identity | None = None
    generated: Generated | None = None
    collation: str | None = None
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class PrimaryKey:
    """PRIMARY KEY (columns)."""

    name: str
    columns: tuple[str, ...]
    deferral: Deferral = "not deferrable"


@dataclass(frozen=True, kw_only=True)
class Unique:
    """UNIQUE [NULLS NOT DISTINCT] (columns) [INCLUDE (…)]."""

    name: str
    columns: tuple[str, ...]
    nulls_not_distinct: bool = False
    include: tuple[str, ...] = ()
    deferral: Deferral = "not deferrable"


@dataclass(frozen=True, kw_only=True)
class Check:
    """CHECK (expression)."""

    name: str
    expression: str


@dataclass(frozen=True, kw_only=True)
class IndexElement:
    """One key of an index or an exclusion constraint: a column or an expression, never both."""

    column: str | None = None
    expression: str | None = None
    collation: str | None = None
    opclass: str | None = None
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, kw_only=True)
class ExclusionElement:
    """`element WITH operator`."""

    element: IndexElement
    operator: str


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """EXCLUDE USING method (elements) [WHERE (predicate)]."""

    name: str
    method: str
    elements: tuple[ExclusionElement, ...]
    where: str | None = None
    deferral: Deferral = "not deferrable"


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """FOREIGN KEY (columns) REFERENCES target (target_columns)."""

    name: str
    columns: tuple[str, ...]
    target: Name
    target_columns: tuple[str, ...]
    on_delete: Action = "no action"
    on_update: Action = "no action"
    set_columns: tuple[str, ...] = ()
    """ON DELETE SET NULL/DEFAULT (these only); empty means all. PostgreSQL 15 and later."""
    match_full: bool = False
    deferral: Deferral = "not deferrable"


Constraint: TypeAlias = PrimaryKey | Unique | Check | Exclusion | ForeignKey


@dataclass(frozen=True, kw_only=True)
class Index:
    """CREATE [UNIQUE] INDEX; those that a constraint owns are not listed apart from it."""

    name: str
    elements: tuple[IndexElement, ...]
    method: str = "btree"
    unique: bool = False
    nulls_not_distinct: bool = False
    include: tuple[str, ...] = ()
    where: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    """Storage parameters, sorted: (("m", "16"),)."""
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A row-level trigger that calls a function without arguments."""

    name: str
    timing: Literal["before", "after"]
    events: tuple[Literal["insert", "update", "delete"], ...]
    function: Name


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with everything that hangs on it."""

    name: Name
    columns: tuple[Column, ...]
    primary_key: PrimaryKey | None = None
    uniques: tuple[Unique, ...] = ()
    checks: tuple[Check, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    comment: str | None = None

    def column(self, name: str) -> Column:
        """The column of that name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def constraints(self) -> Iterator[Constraint]:
        """All of them, the primary key first."""
        if self.primary_key:
            yield self.primary_key
        yield from self.uniques
        yield from self.checks
        yield from self.exclusions
        yield from self.foreign_keys


@dataclass(frozen=True, kw_only=True)
class Enum:
    """CREATE TYPE … AS ENUM."""

    name: Name
    labels: tuple[str, ...]
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Domain:
    """CREATE DOMAIN."""

    name: Name
    base: str
    nullable: bool = True
    default: str | None = None
    collation: str | None = None
    checks: tuple[Check, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One field of a composite type."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Composite:
    """CREATE TYPE … AS (…)."""

    name: Name
    attributes: tuple[Attribute, ...]
    comment: str | None = None


Type: TypeAlias = Enum | Domain | Composite


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function without arguments; so far the trigger functions of our own conventions."""

    name: Name
    returns: str
    language: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Extension:
    """CREATE EXTENSION [SCHEMA]; `schema` None leaves the choice to the extension and the search path."""

    name: str
    schema: str | None = None


@dataclass(frozen=True, kw_only=True)
class Database:
    """A whole schema. Tables, types and the rest are sorted by name; only columns keep the author's order."""

    extensions: tuple[Extension, ...] = ()
    schemas: tuple[str, ...] = ()
    types: tuple[Type, ...] = ()
    functions: tuple[Function, ...] = ()
    tables: tuple[Table, ...] = ()

    def table(self, name: Name) -> Table:
        """The table of that name; KeyError if there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(str(name))
