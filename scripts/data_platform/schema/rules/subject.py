"""A design as the rules see it: tables by what they are, types under domains, queries read, grants by object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from data_platform.model.database import Column, Domain, Enum, Grant, Name, Table, Type
from data_platform.model.design import Design
from data_platform.schema.rules.grants import by_object
from data_platform.schema.rules.reading import Query, read
from data_platform.schema.rules.uses import Reader, readers
from data_platform.sql import types
from data_platform.sql.text import NotSql

_SMALL = 1000
"""Rows that fit into a few pages: reading all of them is as fast as an index."""

_OF_TOOLS = frozenset(
    {
        "__diesel_schema_migrations",
        "__efmigrationshistory",
        "_prisma_migrations",
        "alembic_version",
        "ar_internal_metadata",
        "databasechangelog",
        "databasechangeloglock",
        "django_migrations",
        "flyway_schema_history",
        "goose_db_version",
        "knex_migrations",
        "knex_migrations_lock",
        "schema_migrations",
        "sequelizemeta",
    }
)
"""Tables in which tools for migrations keep what they have done."""
_SCHEMAS_OF_TOOLS = frozenset({"cron", "partman"})


@dataclass(frozen=True)
class Subject:
    """A design as the rules see it: its queries are read once."""

    design: Design

    @property
    def is_database(self) -> bool:
        """Whether it was read from a database: it says nothing of queries and rows, and is mended by statements."""
        return not self.design.sha256

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The tables that answer for themselves: what is right for a partition is its parent's matter, and for
        a foreign table the other server's. Of a database, those that a tool made for itself are left out."""
        return tuple(table for table in self.design.database.tables if self._answers(table))

    def _answers(self, table: Table) -> bool:
        of_tool = table.name.name.lower() in _OF_TOOLS or table.name.schema in _SCHEMAS_OF_TOOLS
        return table.holds_rows and not (self.is_database and of_tool)

    @cached_property
    def by_name(self) -> Mapping[Name, Table]:
        """All tables, partitions and foreign ones too."""
        return {table.name: table for table in self.design.database.tables}

    @cached_property
    def by_own_name(self) -> Mapping[str, tuple[Table, ...]]:
        """The tables that answer for themselves, by their names without schemas."""
        found: dict[str, list[Table]] = {}
        for table in self.tables:
            found.setdefault(table.name.name, []).append(table)
        return {name: tuple(tables) for name, tables in found.items()}

    @cached_property
    def partitions(self) -> Mapping[Name, tuple[Table, ...]]:
        """The partitions of each partitioned table that has some."""
        return _grouped(
            (t.partition_of.table, t) for t in self.design.database.tables if t.partition_of is not None
        )

    @cached_property
    def children(self) -> Mapping[Name, tuple[Table, ...]]:
        """The tables that inherit from each one, partitions apart."""
        return _grouped((parent, table) for table in self.tables for parent in table.inherits)

    @cached_property
    def grants(self) -> Mapping[tuple[str, Name], tuple[Grant, ...]]:
        """The grants on tables, views and functions, by kind and name."""
        return by_object(self.design.database.grants, self.design.default_schema)

    @cached_property
    def readers(self) -> Mapping[Name, tuple[Reader, ...]]:
        """The views and rules that read each table."""
        return readers(self.design.database)

    def grantees(self, relation: Name) -> frozenset[str]:
        """The roles that have privileges on a table or view; its owner needs none."""
        grants = self.grants.get(("table", relation), ())
        return frozenset(grant.role for grant in grants if not grant.revoked)

    @cached_property
    def columns(self) -> tuple[tuple[Table, Column], ...]:
        """All columns, each with its table; one that is only inherited is the parent's."""
        pairs = ((table, column) for table in self.tables for column in table.columns)
        return tuple((table, column) for table, column in pairs if not self.is_from_above(table, column))

    def is_from_above(self, table: Table, column: Column) -> bool:
        """Whether a parent has the column too: what is right for it is decided there."""
        above = (self.by_name.get(parent) for parent in table.inherits)
        return any(parent and column.name in {c.name for c in parent.columns} for parent in above)

    @cached_property
    def extensions(self) -> frozenset[str]:
        """The names of the extensions it lists."""
        return frozenset(extension.name for extension in self.design.database.extensions)

    @cached_property
    def queries(self) -> tuple[Query, ...]:
        """Its access patterns, read."""
        patterns = self.design.access_patterns
        return tuple(read(pattern, self.by_name, self._schemas, self.type_name) for pattern in patterns)

    def type_of(self, column: Column) -> types.TypeReference:
        """The column's type; for a domain, the type under it."""
        found = _reference(column.type)
        # A chain of domains ends: the reader refuses rings.
        while not found.array and isinstance(domain := self._own_type(found), Domain):
            found = _reference(domain.base)
        return found

    def type_name(self, column: Column) -> str:
        """The name of that type, `[]` after it for an array."""
        found = self.type_of(column)
        return found.name + "[]" * found.array

    def is_domain(self, column: Column) -> bool:
        """Whether the column's own type is one of the model's domains."""
        return isinstance(self._own_type(_reference(column.type)), Domain)

    def is_enum(self, column: Column) -> bool:
        """Whether that type is one of the model's enums."""
        found = self.type_of(column)
        return not found.array and isinstance(self._own_type(found), Enum)

    def is_small(self, table: Table) -> bool:
        """Whether the author expects so few rows that no index is needed."""
        return self.design.rows.get(table.name, _SMALL + 1) <= _SMALL

    @cached_property
    def _own_types(self) -> dict[Name, Type]:
        return {type_.name: type_ for type_ in self.design.database.types}

    def _own_type(self, found: types.TypeReference) -> Type | None:
        names = [Name(schema, found.name) for schema in ((found.schema,) if found.schema else self._schemas)]
        return next((self._own_types[name] for name in names if name in self._own_types), None)

    @property
    def _schemas(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.design.default_schema, "public")))


def _reference(type_: str) -> types.TypeReference:
    try:
        return types.reference(type_)
    except NotSql:  # a name with characters that nobody would see
        return types.TypeReference(None, type_, (), False)


def _grouped(pairs: Iterable[tuple[Name, Table]]) -> Mapping[Name, tuple[Table, ...]]:
    found: dict[Name, list[Table]] = {}
    for name, table in pairs:
        found.setdefault(name, []).append(table)
    return {name: tuple(tables) for name, tables in found.items()}
