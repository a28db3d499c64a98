"""What a rule is: a name, a severity, a reason, and a function that finds what speaks against a design."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from data_platform.model.database import ForeignKey, Index, Name, Table
from data_platform.model.design import AccessPattern, Design, Mark
from data_platform.report.finding import Finding, Severity
from data_platform.schema.rules.subject import Subject


def words(text: str) -> frozenset[str]:
    """A set of words."""
    return frozenset(text.split())


@dataclass(frozen=True, kw_only=True)
class Hit:
    """What a rule found; the rest of a finding is the rule's."""

    message: str
    fix: str | None = None
    remedy: str | None = None
    """The fix where the design was read from a database: a statement, or words where none can be written.
    None: `fix` says it there too."""
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
            fix = hit.remedy if subject.is_database and hit.remedy else hit.fix
            yield Finding(
                rule=self.name,
                severity=hit.severity or self.severity,
                message=hit.message,
                evidence="parsed",
                file=(mark.file if mark else None) or subject.design.file or None,
                line=mark.line if mark else None,
                column=mark.column if mark else None,
                object=hit.object,
                fix=fix,
            )


def rule(name: str, severity: Severity, reason: str, practice: str | None = None) -> Callable[[Find], Rule]:
    """Makes a rule of the function below it."""
    return lambda find: Rule(name, severity, reason, practice, find)


def on_table(table: Table, message: str, fix: str, *path: str, remedy: str | None = None) -> Hit:
    """A hit at a table, or at the part of its spec under `path`."""
    return Hit(message=message, fix=fix, remedy=remedy, table=table.name, path=path, object=str(table.name))


def on_column(table: Table, column: str, message: str, fix: str, remedy: str | None = None) -> Hit:
    """A hit at a column."""
    object_ = f"{table.name}.{column}"
    path = ("columns", column)
    return Hit(message=message, fix=fix, remedy=remedy, table=table.name, path=path, object=object_)


def on_index(table: Table, index: Index, message: str, fix: str, remedy: str | None = None) -> Hit:
    """A hit at an index, or at the key that it is behind."""
    is_key = index.name in {key.name for key in table.uniques}
    path = ("unique",) if is_key else ("indexes", index.name)
    object_ = f"{table.name.schema}.{index.name}"
    return Hit(message=message, fix=fix, remedy=remedy, table=table.name, path=path, object=object_)


def on_key(table: Table, key: ForeignKey, message: str, fix: str, remedy: str | None = None) -> Hit:
    """A hit at a foreign key."""
    alone = len(key.columns) == 1
    path = ("columns", key.columns[0], "references") if alone else ("foreign_keys",)
    object_ = f"{table.name}.{key.columns[0]}" if alone else f"{table.name} ({', '.join(key.columns)})"
    return Hit(message=message, fix=fix, remedy=remedy, table=table.name, path=path, object=object_)


def on_object(
    section: str,
    name: Name | str,
    message: str,
    fix: str,
    remedy: str | None = None,
    *,
    shown: str | None = None,
) -> Hit:
    """A hit at what is no table: a view, a function, a role …; `section` is where a spec lists it."""
    key = name.name if isinstance(name, Name) else name
    return Hit(message=message, fix=fix, remedy=remedy, path=(section, key), object=shown or str(name))


def on_pattern(pattern: AccessPattern, message: str, fix: str) -> Hit:
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
