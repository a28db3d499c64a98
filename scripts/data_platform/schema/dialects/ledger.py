"""What became of every object: how many are in the SQL, how many are not, and a finding for each difference."""

from __future__ import annotations

from dataclasses import dataclass

from data_platform.model.database import Name
from data_platform.model.design import Design, Mark
from data_platform.report.finding import Finding, Severity, in_order
from data_platform.schema.dialects.marks import Marks


@dataclass(frozen=True)
class Place:
    """An object as messages name it, and where it stands in the spec: in a table, or in a section of its own."""

    object: str
    table: Name | None = None
    path: tuple[str, ...] = ()
    section: str | None = None
    key: str | int | None = None
    """In that section: a name, or a number in a list; without one it is the object's."""


def at_table(name: Name) -> Place:
    """A table as a whole."""
    return Place(str(name), name)


def at_column(table: Name, column: str) -> Place:
    """A column of a table."""
    return Place(f"{table}.{column}", table, ("columns", column))


def at_constraint(table: Name, name: str) -> Place:
    """A constraint of a table."""
    return Place(f"{table}.{name}", table, ("constraints", name))


def at_object(section: str, name: Name) -> Place:
    """A view, type or sequence."""
    return Place(str(name), section=section)


def at_part(on: Name, section: str, name: str) -> Place:
    """A trigger, rule, policy or statistics object of a table."""
    return Place(f"{on}.{name}", on, (section, name))


def at_index(table: Name, name: str) -> Place:
    """An index, which lies in its table's schema."""
    return Place(f"{table.schema}.{name}", table, ("indexes", name))


class Ledger:
    """Filled while the statements are written."""

    def __init__(self, design: Design) -> None:
        self._design = design
        self._marks = Marks(design)
        self._findings: dict[Finding, None] = {}
        self.expressed = 0
        self.left_out = 0

    @property
    def findings(self) -> tuple[Finding, ...]:
        """In order, each once."""
        return in_order(self._findings)

    def wrote(self, number: int = 1) -> None:
        """Objects that are in the SQL."""
        self.expressed += number

    def differs(self, place: Place, message: str, fix: str | None = None) -> None:
        """Something is there and means something else."""
        self._add("dialect-approximation", "warning", place, message, fix)

    def lacks(self, place: Place, message: str, fix: str | None = None, *, integrity: bool = False) -> None:
        """A property of an object is not there; `integrity` if rows that were refused are now taken."""
        self._add("dialect-unsupported", "error" if integrity else "warning", place, message, fix)

    def omit(self, place: Place, message: str, fix: str | None = None, *, integrity: bool = False) -> None:
        """An object is not there."""
        self.left_out += 1
        self.lacks(place, message, fix, integrity=integrity)

    def remark(self, place: Place, message: str) -> None:
        """Something that the reader of the SQL should know, though nothing is lost."""
        self._add("dialect-approximation", "info", place, message, None)

    def say(self, place: Place, message: str, severity: Severity) -> None:
        """A property has no form here."""
        self._add("dialect-unsupported", severity, place, message, None)

    def _add(self, rule: str, severity: Severity, place: Place, message: str, fix: str | None) -> None:
        mark = self._mark(place)
        finding = Finding(
            rule=rule,
            severity=severity,
            message=message,
            evidence="documented",
            file=(mark.file if mark else None) or self._design.file or None,
            line=mark.line if mark else None,
            column=mark.column if mark else None,
            object=place.object,
            fix=fix,
        )
        self._findings[finding] = None

    def _mark(self, place: Place) -> Mark | None:
        if place.section is not None:
            if isinstance(place.key, int):
                return self._marks.of_listed(place.section, place.key)
            return self._marks.of_object(place.section, place.key or place.object)
        return self._marks.of_table(place.table, place.path) if place.table is not None else None
