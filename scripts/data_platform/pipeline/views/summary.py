"""A summary: an aggregate per group that each statement on the source keeps up to date, in its own transaction.

Counts and sums change by what came and went. A smallest or greatest value only grows that way: when the one that held
goes, it is looked up again in the source, for the groups of that statement alone; an index that begins with the
groups' columns makes that quick. Floating-point numbers are refused: their sum depends on the order.

The function runs as its owner, so that writers need no right to the summary. Writers of one group wait for each other
until they commit; groups are taken in order within a statement, but two transactions of several statements may meet
in a deadlock, which PostgreSQL ends with 40P01. Rows that come by logical replication fire no such trigger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.sql.text import MAX_IDENTIFIER_BYTES, Sql

SUMMED: Mapping[str, str] = {
    "smallint": "bigint",
    "int2": "bigint",
    "integer": "bigint",
    "int": "bigint",
    "int4": "bigint",
    "bigint": "numeric",
    "int8": "numeric",
    "numeric": "numeric",
    "decimal": "numeric",
}
"""What sum() makes of each type that can be summed here."""


@dataclass(frozen=True)
class Measure:
    """A column of the summary: `count` of rows (no column) or of values, `sum`, `avg`, `min`, `max`."""

    name: str
    function: Literal["count", "sum", "avg", "min", "max"]
    column: str | None = None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """`view` shows `measures` of `source` for each group; `columns` are the types of all that is named.

    `nullable` are groups' columns that can be NULL, which is one group then; that needs PostgreSQL 15. `where` is a
    condition on the source's row. Raises UsageProblem where these do not agree.

    The rest is how the server sees them: `condition` is `where` with every name in full; `operators` are the schemas
    of operators of types that bring their own; `virtual` are generated columns that are not stored, by their
    expressions over the `stored` ones; `below` are partitions, and tables that inherit from the source.
    """

    view: Name
    source: Name
    groups: tuple[str, ...]
    measures: tuple[Measure, ...]
    columns: Mapping[str, Sql]
    nullable: tuple[str, ...] = ()
    where: Sql = Sql("true")  # noqa: RUF009 - a text, and texts do not change
    server_version: int = 18
    condition: Sql | None = field(default=None, repr=False)
    operators: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    virtual: Mapping[str, Sql] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    stored: tuple[str, ...] = field(default=(), repr=False)
    below: tuple[Sql, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for what, expected in _disagreements(self):
            raise UsageProblem(what, where=f"summary {self.view}", expected=expected)

    @property
    def parts(self) -> Name:
        """The table of what is kept."""
        return Name(self.view.schema, f"{self.view.name}_parts")

    @property
    def measured(self) -> tuple[str, ...]:
        """Columns that a measure is of, each once."""
        return tuple(dict.fromkeys(one.column for one in self.measures if one.column))

    @property
    def extremes(self) -> tuple[str, ...]:
        """Those with a smallest or a greatest value."""
        return tuple(
            dict.fromkeys(m.column for m in self.measures if m.column and m.function in ("min", "max"))
        )

    @property
    def sums(self) -> tuple[str, ...]:
        """Those with a sum."""
        return tuple(
            dict.fromkeys(m.column for m in self.measures if m.column and m.function in ("sum", "avg"))
        )


def _disagreements(summary: Summary) -> Iterator[tuple[str, str]]:
    if not summary.groups:
        yield "no groups: one row for all would make every writer wait for every other", "groups: [day]"
    named = [*summary.groups, *summary.measured]
    if unknown := [name for name in named if name not in summary.columns]:
        yield f"types are missing: {', '.join(unknown)}", "columns with the type of each"
    if wrong := [name for name in summary.nullable if name not in summary.groups]:
        yield f"nullable is no group: {', '.join(wrong)}", ", ".join(summary.groups)
    if summary.nullable and summary.server_version < 15:
        yield "NULL as a group needs PostgreSQL 15", "groups that are NOT NULL"
    for measure in summary.measures:
        if measure.column is None and measure.function != "count":
            yield f"{measure.function} of which column?", "a column"
    for column in summary.sums:
        if base(summary.columns[column]) not in SUMMED:
            yield f"a sum of {summary.columns[column]} cannot be kept exactly", f"one of {', '.join(SUMMED)}"
    shown = [*summary.groups, *(measure.name for measure in summary.measures)]
    if twice := sorted({name for name in shown if shown.count(name) > 1}):
        yield f"a column is there twice: {', '.join(twice)}", "other names"
    if len(summary.view.name.encode()) > MAX_IDENTIFIER_BYTES - len("_parts_follow"):
        yield (
            "a name too long for what stands beside it",
            f"{MAX_IDENTIFIER_BYTES - len('_parts_follow')} bytes",
        )


def base(type_: Sql) -> str:
    """The type without its modifiers."""
    return str(type_).lower().split("(", 1)[0].strip()
