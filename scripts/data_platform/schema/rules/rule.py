"""What a rule is: a name, a severity, a reason, and a function that finds what speaks against a design."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from data_platform.model.database import Column, Domain, Index, Name, Table
from data_platform.model.design import AccessPattern, Design, Mark
from data_platform.report.finding import Finding, Severity
from data_platform.schema.rules.reading import Query, read
from data_platform.sql import types

_SMALL = 1000
"""Rows that fit into a few pages: reading all of them is as fast as an index."""


@dataclass(frozen=True)
class Subject:
    """A design as the rules see it: its queries are read once."""

    design: Design

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables."""
        return self.design.database.tables

    @cached_property
    def extensions(self) -> frozenset[str]:
        """The names of the extensions it lists."""
        return frozenset(extension.name for extension in self.design.database.extensions)

    @cached_property
    def queries(self) -> tuple[Query, ...]:
        """Its access patterns, read."""
        schemas = tuple(dict.fromkeys((self.design.default_schema, "public")))
        tables = {table.name: table for table in self.tables}
        return tuple(
            read(pattern, tables, schemas, self.type_name) for pattern in self.design.access_patterns
        )

    @cached_property
    def _domains(self) -> dict[Name, Domain]:
        return {type_.name: type_ for type_ in self.design.database.types if isinstance(type_, Domain)}

    def type_of(self, column: Column) -> types.TypeReference:
        """The column's type; for a domain, the type under it."""
        found = types.reference(column.type)
        # A chain of domains ends: the reader refuses rings.
        while not found.array and (domain := self._domain(found)) is not None:
            found = types.reference(domain.base)
        return found

    def type_name(self, column: Column) -> str:
        """The name of that type, `[]` after it for an array."""
        found = self.type_of(column)
        return found.name + "[]" * found.array

    def is_small(self, table: Table) -> bool:
        """Whether the author expects so few rows that no index is needed."""
        return self.design.rows.get(table.name, _SMALL + 1) <= _SMALL

    def _domain(self, found: types.TypeReference) -> Domain | None:
        schemas = (found.schema,) if found.schema else (self.design.default_schema, "public")
        return next(
            (self._domains[name] for s in schemas if (name := Name(s, found.name)) in self._domains), None
        )


@dataclass(frozen=True, kw_only=True)
class Hit:
    """What a rule found: the rest of a finding is the rule's."""

    message: str
    fix: str | None = None
    object: str | None = None
    table: Name | None = None
    path: tuple[str, ...] = ()
    """Within the table's part of the spec, or within the whole spec if there is no table."""
    severity: Severity | None = None
    """Where it is milder than the rule's own."""


Find: TypeAlias = Callable[[Subject], Iterator[Hit]]


@dataclass(frozen=True)
class Rule:
    """One rule. `practice` is the line of the skill's best practices or Quality Checklist that it checks."""

    name: str
    severity: Severity
    reason: str
    practice: str | None
    find: Find

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Everything in the design that the rule speaks against."""
        for hit in self.find(subject):
            mark = _mark(subject.design, hit)
            yield Finding(
                rule=self.name,
                severity=hit.severity or self.severity,
                message=hit.message,
                evidence="parsed",
                file=subject.design.file or None,
                line=mark.line if mark else None,
                column=mark.column if mark else None,
                object=hit.object or (str(hit.table) if hit.table else None),
                fix=hit.fix,
            )


def rule(name: str, severity: Severity, reason: str, practice: str | None = None) -> Callable[[Find], Rule]:
    """Makes a rule of the function below it."""
    return lambda find: Rule(name, severity, reason, practice, find)


def on_table(table: Table, message: str, fix: str | None = None, *path: str) -> Hit:
    """A hit at a table, or at the part of its spec under `path`."""
    return Hit(message=message, fix=fix, table=table.name, path=path)


def on_column(table: Table, column: str, message: str, fix: str | None = None) -> Hit:
    """A hit at a column."""
    place = ("columns", column)
    return Hit(message=message, fix=fix, table=table.name, path=place, object=f"{table.name}.{column}")


def on_index(table: Table, index: Index, message: str, fix: str | None = None) -> Hit:
    """A hit at an index."""
    name = f"{table.name.schema}.{index.name}"
    return Hit(message=message, fix=fix, table=table.name, path=("indexes", index.name), object=name)


def on_pattern(pattern: AccessPattern, message: str, fix: str | None = None) -> Hit:
    """A hit at an access pattern."""
    path = ("access_patterns", pattern.name, "sql")
    return Hit(message=message, fix=fix, path=path, object=f"access pattern {pattern.name}")


def _mark(design: Design, hit: Hit) -> Mark | None:
    if hit.table is not None:
        return design.mark(hit.table, *hit.path)
    path = hit.path
    while path and path not in design.marks:
        path = path[:-1]
    return design.marks.get(path)
