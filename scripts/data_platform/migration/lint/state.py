"""What is known of a database at one point of a migration: tables, their columns, constraints and indexes.

A state is advanced statement by statement (`advance`). What a base schema does not tell is not made up: a table that
nobody described has `columns` None, and whatever depends on them is assumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from data_platform.migration.lint.expressions import Routine
from data_platform.migration.lint.types import Type


class Relation(NamedTuple):
    """A qualified name, unquoted."""

    schema: str
    name: str

    def __str__(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"


Kind = Literal["table", "partitioned", "foreign", "view", "materialized view", "sequence"]
ConstraintKind = Literal["check", "foreign key", "unique", "primary key", "exclude", "not null"]


@dataclass(frozen=True)
class Column:
    """A column. `added` says that this migration made it."""

    name: str
    type: Type
    not_null: bool = False
    default: bool = False
    generated: Literal["", "stored", "virtual"] = ""
    added: bool = False


@dataclass(frozen=True)
class Constraint:
    """A constraint; `proves` are the columns that a CHECK keeps from being null, `target` a foreign key's table."""

    name: str
    kind: ConstraintKind
    columns: frozenset[str] = frozenset()
    valid: bool = True
    target: Relation | None = None
    proves: frozenset[str] = frozenset()
    references: frozenset[str] = frozenset()
    """The columns of a foreign key's target; empty: those of its primary key."""


@dataclass(frozen=True)
class Index:
    """An index. `computed` are the columns in its expressions and its predicate."""

    name: Relation
    table: Relation
    columns: tuple[str, ...] = ()
    computed: frozenset[str] = frozenset()
    unique: bool = False
    partial: bool = False
    valid: bool = True
    new: bool = False


@dataclass(frozen=True)
class Table:
    """A relation. `new` is the file that made it, None for one that was there before."""

    name: Relation
    kind: Kind = "table"
    columns: dict[str, Column] | None = None
    constraints: dict[str, Constraint] = field(default_factory=dict)
    new: str | None = None
    filled: bool = False
    """Rows were put into a new table."""
    temporary: bool = False
    parent: Relation | None = None
    is_default_partition: bool = False
    known: bool = True
    """It is in the base schema, or this migration made it."""
    policies: int = 0
    unlogged: bool = False

    def column(self, name: str) -> Column | None:
        """The column of that name, if it is known."""
        return self.columns.get(name) if self.columns else None

    def with_column(self, column: Column) -> Table:
        """The table with this column added or replaced."""
        return (
            replace(self, columns={**(self.columns or {}), column.name: column})
            if self.columns is not None
            else self
        )

    def with_constraint(self, constraint: Constraint) -> Table:
        """The table with this constraint added or replaced."""
        return replace(self, constraints={**self.constraints, constraint.name: constraint})

    def proven_not_null(self, column: str) -> bool:
        """Whether a valid CHECK keeps the column from being null."""
        return any(column in one.proves and one.valid for one in self.constraints.values())


@dataclass(frozen=True)
class Domain:
    """A domain: what it is made of, and whether rows have to be looked at because of it."""

    base: Type
    constrained: bool


@dataclass
class State:
    """The database as known. `complete`: a base schema was given, so what is not here does not exist."""

    tables: dict[Relation, Table] = field(default_factory=dict)
    indexes: dict[Relation, Index] = field(default_factory=dict)
    hanging: dict[Relation, tuple[Relation, ...]] = field(default_factory=dict)
    """Which indexes each table has, or had under a name that is taken again."""
    domains: dict[str, Domain] = field(default_factory=dict)
    enums: dict[str, bool] = field(default_factory=dict)
    """Names of enumerations, and whether this migration made them."""
    routines: dict[str, Routine] = field(default_factory=dict)
    made: set[tuple[str, str]] = field(default_factory=set)
    """(kind, name) of what this migration made besides tables: schemas, types, functions."""
    search_path: tuple[str, ...] = ("public",)
    complete: bool = False
    unread: int = 0
    """Statements of the base schema that are no SQL: what they make is taken not to exist."""

    def copy(self) -> State:
        """What a ROLLBACK goes back to."""
        return State(
            dict(self.tables),
            dict(self.indexes),
            dict(self.hanging),
            dict(self.domains),
            dict(self.enums),
            dict(self.routines),
            set(self.made),
            self.search_path,
            self.complete,
            self.unread,
        )

    def name(self, schema: str | None, name: str) -> Relation:
        """The relation that a name means: the first on the search path, or the one that it would make."""
        if schema:
            return Relation(schema, name)
        for candidate in self.search_path:
            found = Relation(candidate, name)
            if found in self.tables or found in self.indexes:
                return found
        return Relation(self.search_path[0] if self.search_path else "public", name)

    def table(self, name: Relation) -> Table:
        """The table of that name; one that nobody described is made up as far as its name goes."""
        return self.tables.get(name) or Table(name, known=False)

    def missing(self, name: Relation) -> bool:
        """Whether it is certain that there is no such table or index."""
        return self.complete and not self.table(name).known and name not in self.indexes

    def put(self, table: Table) -> None:
        """Remember the table as it is now."""
        self.tables[table.name] = table

    def indexes_on(self, table: Relation) -> Iterator[Index]:
        """The indexes of a table, those of constraints included."""
        return (self.indexes[name] for name in self.hanging.get(table, ()) if name in self.indexes)

    def put_index(self, index: Index) -> None:
        """Remember the index as it is now."""
        self.indexes[index.name] = index
        names = self.hanging.get(index.table, ())
        if index.name not in names:
            self.hanging[index.table] = (*names, index.name)

    def partitions(self, table: Relation) -> Iterator[Table]:
        """The direct partitions of a table, as far as they are known."""
        return (one for one in self.tables.values() if one.parent == table)

    def keys_to(self, table: Relation, column: str) -> Iterator[Table]:
        """Tables with a foreign key to this column."""
        constraints = self.table(table).constraints.values()
        primary = next((one.columns for one in constraints if one.kind == "primary key"), frozenset())
        for other in self.tables.values():
            keys = (one for one in other.constraints.values() if one.target == table)
            if any(column in (key.references or primary) for key in keys):
                yield other

    def resolved(self, type_: Type) -> tuple[Type, bool]:
        """A domain as the type behind it, and whether a domain on the way has constraints."""
        constrained = False
        for _ in range(8):
            domain = self.domains.get(type_.name)
            if domain is None or type_.array:
                break
            constrained, type_ = constrained or domain.constrained, domain.base
        return type_, constrained
