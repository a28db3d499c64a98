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
from dataclasses import dataclass
from typing import Literal

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.sql.templates import render
from data_platform.sql.text import (
    MAX_IDENTIFIER_BYTES,
    Sql,
    body,
    identifier,
    identifiers,
    joined,
    phrase,
    qualified,
    qualified_name,
)

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
    """

    view: Name
    source: Name
    groups: tuple[str, ...]
    measures: tuple[Measure, ...]
    columns: Mapping[str, Sql]
    nullable: tuple[str, ...] = ()
    where: Sql = Sql("true")  # noqa: RUF009 - a text, and texts do not change
    server_version: int = 18

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
        if _base(summary.columns[column]) not in SUMMED:
            yield f"a sum of {summary.columns[column]} cannot be kept exactly", f"one of {', '.join(SUMMED)}"
    shown = [*summary.groups, *(measure.name for measure in summary.measures)]
    if twice := sorted({name for name in shown if shown.count(name) > 1}):
        yield f"a column is there twice: {', '.join(twice)}", "other names"
    if len(summary.view.name.encode()) > MAX_IDENTIFIER_BYTES - len("_parts_follow"):
        yield (
            "a name too long for what stands beside it",
            f"{MAX_IDENTIFIER_BYTES - len('_parts_follow')} bytes",
        )


def _base(type_: Sql) -> str:
    return str(type_).lower().split("(", 1)[0].strip()


def summary_tables(summary: Summary) -> tuple[Sql, ...]:
    """Table, view, triggers, and the first filling. In one transaction: it keeps writers of the source waiting."""
    source, parts = _full(summary.source), _full(summary.parts)
    key = Name(summary.parts.schema, f"{summary.parts.name}_key")
    values = {
        "source": source,
        "parts": parts,
        "key": identifiers(summary.groups),
        "kept": _kept(summary),
        "where": summary.where,
        "constraint": identifier(key.name),
    }
    return (
        _table(summary, identifier(key.name)),
        _view(summary),
        _function(
            summary,
            "_refill",
            "void",
            render("pipeline/summary_refill_body.sql.j2", **values, **_filled(summary)),
        ),
        _function(
            summary,
            "_follow",
            "trigger",
            render("pipeline/summary_follow_body.sql.j2", **values, **_followed(summary)),
        ),
        *summary_triggers(summary),
        refill(summary),
    )


def summary_triggers(summary: Summary) -> tuple[Sql, ...]:
    """The triggers alone, anew: on, whatever was done to them. What they missed takes a `refill`."""
    dropped = (
        phrase(
            "DROP TRIGGER IF EXISTS {name} ON {source}",
            name=identifier(f"{summary.view.name}_{suffix}"),
            source=_full(summary.source),
        )
        for suffix, _, _ in _TRIGGERS
    )
    return (*dropped, *(_trigger(summary, *one) for one in _TRIGGERS))


def drop_summary(summary: Summary) -> tuple[Sql, ...]:
    """Takes it away; refused by the server while something of others reads it."""
    return (
        phrase("DROP VIEW {view}", view=qualified_name(summary.view)),
        # With its triggers, also where it was of another table before.
        phrase("DROP FUNCTION {name}() CASCADE", name=follow_function(summary)),
        phrase("DROP FUNCTION {name}()", name=_full(_named(summary, "_refill"))),
        phrase("DROP TABLE {parts}", parts=_full(summary.parts)),
    )


def follow_function(summary: Summary) -> Sql:
    """What its triggers call."""
    return _full(_named(summary, "_follow"))


def refill(summary: Summary) -> Sql:
    """Computes all of it anew while writers of the source wait."""
    return phrase("SELECT {name}()", name=_full(_named(summary, "_refill")))


def aggregate(summary: Summary) -> Sql:
    """The query that it is equal to."""
    return phrase(
        "SELECT {key}, {shown} FROM {source} WHERE {where} GROUP BY {key}",
        key=identifiers(summary.groups),
        shown=joined(", ", [_aggregate(measure) for measure in summary.measures]),
        source=_full(summary.source),
        where=summary.where,
    )


def verify(summary: Summary) -> Sql:
    """Groups whose row is not what the aggregate says now: none, unless triggers were disabled or bypassed."""
    key, fresh = identifiers(summary.groups), aggregate(summary)
    names = identifiers(measure.name for measure in summary.measures)
    kept = phrase("SELECT {key}, {names} FROM {view}", key=key, names=names, view=_full(summary.view))
    return phrase(
        "SELECT DISTINCT {key} FROM ((({kept}) EXCEPT ({fresh})) UNION ALL (({fresh}) EXCEPT ({kept}))) AS d",
        key=key,
        kept=kept,
        fresh=fresh,
    )


_TRIGGERS = (
    ("insert", "AFTER INSERT", "REFERENCING NEW TABLE AS new_rows"),
    ("update", "AFTER UPDATE", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"),
    ("delete", "AFTER DELETE", "REFERENCING OLD TABLE AS old_rows"),
    ("truncate", "AFTER TRUNCATE", ""),
)


def _full(name: Name) -> Sql:
    """With its schema, also where that is public: within our functions nothing is on the search path."""
    return qualified(name.schema, name.name)


def _named(summary: Summary, suffix: str) -> Name:
    return Name(summary.parts.schema, summary.parts.name + suffix)


def _aggregate(measure: Measure) -> Sql:
    return Sql(f"{measure.function}({identifier(measure.column) if measure.column else '*'})")


# --- the table: rows, and of each measured column its values counted, summed, and the smallest and greatest ---


def _columns(summary: Summary) -> Iterator[tuple[str, str, str, Sql]]:
    """(kind, name in the table, type, the source's column)."""
    for number, column in enumerate(summary.measured):
        quoted = identifier(column)
        yield "count", f"_count_{number}", "bigint", quoted
        if column in summary.sums:
            yield "sum", f"_sum_{number}", "numeric", quoted
        if column in summary.extremes:
            yield "min", f"_min_{number}", str(summary.columns[column]), quoted
            yield "max", f"_max_{number}", str(summary.columns[column]), quoted


def _kept(summary: Summary) -> Sql:
    return Sql(", ".join(["_rows", *(name for _, name, _, _ in _columns(summary))]))


def _table(summary: Summary, constraint: Sql) -> Sql:
    parts = [
        f"{identifier(name)} {summary.columns[name]}{'' if name in summary.nullable else ' NOT NULL'}"
        for name in summary.groups
    ]
    parts.append("_rows bigint NOT NULL")
    for kind, name, type_, _ in _columns(summary):
        # A sum that is no number once would be none for ever.
        top = "Infinity" if summary.server_version >= 14 else "NaN"
        finite = (
            f" CHECK ({name} > '-{top}' AND {name} < '{top}')"
            if top == "Infinity"
            else f" CHECK ({name} < '{top}')"
        )
        parts.append(f"{name} {type_}" + {"count": " NOT NULL", "sum": f" NOT NULL{finite}"}.get(kind, ""))
    distinct = " NULLS NOT DISTINCT" if summary.nullable else ""
    parts.append(f"CONSTRAINT {constraint} UNIQUE{distinct} ({identifiers(summary.groups)})")
    return phrase(
        "CREATE TABLE {parts} (\n    {columns}\n)",
        parts=_full(summary.parts),
        columns=Sql(",\n    ".join(parts)),
    )


def _view(summary: Summary) -> Sql:
    shown = [str(identifiers(summary.groups)), *(_shown(summary, measure) for measure in summary.measures)]
    return phrase(
        "CREATE VIEW {view} AS SELECT {shown} FROM {parts}",
        view=qualified_name(summary.view),
        shown=Sql(", ".join(shown)),
        parts=_full(summary.parts),
    )


def _shown(summary: Summary, measure: Measure) -> str:
    name = identifier(measure.name)
    if measure.column is None:
        return f"_rows AS {name}"
    number = summary.measured.index(measure.column)
    type_ = SUMMED.get(_base(summary.columns[measure.column]), "numeric")
    return {
        "count": f"_count_{number}",
        "sum": f"CASE WHEN _count_{number} > 0 THEN _sum_{number}::{type_} END",
        "avg": f"_sum_{number} / nullif(_count_{number}, 0)",
        "min": f"_min_{number}",
        "max": f"_max_{number}",
    }[measure.function] + f" AS {name}"


# --- the functions ---


def _filled(summary: Summary) -> dict[str, Sql]:
    made = {
        "count": "count({})",
        "sum": "coalesce(sum({}::numeric), 0)",
        "min": "min({})",
        "max": "max({})",
    }
    parts = ["count(*)", *(made[kind].format(column) for kind, _, _, column in _columns(summary))]
    return {"filled": Sql(", ".join(parts))}


def _followed(summary: Summary) -> dict[str, object]:
    made = {
        "count": "coalesce(sum(_w) FILTER (WHERE {} IS NOT NULL), 0)",
        "sum": "coalesce(sum(_w * {}::numeric), 0)",
        "min": "min({}) FILTER (WHERE _w > 0)",
        "max": "max({}) FILTER (WHERE _w > 0)",
    }
    changed = ["sum(_w)", *(made[kind].format(column) for kind, _, _, column in _columns(summary))]
    added = {"min": "least", "max": "greatest"}
    assigned = ["_rows = t._rows + excluded._rows"]
    for kind, name, _, _ in _columns(summary):
        one = f"t.{name}, excluded.{name}"
        assigned.append(
            f"{name} = {added[kind]}({one})" if kind in added else f"{name} = t.{name} + excluded.{name}"
        )
    columns = dict.fromkeys([*summary.groups, *summary.measured])
    return {
        "columns": identifiers(columns),
        "changed": Sql(", ".join(changed)),
        "assigned": Sql(", ".join(assigned)),
        "same_t": _same(summary, "t", "o"),
        "same_s": _same(summary, "s", "t"),
        **_looked_up(summary),
    }


def _same(summary: Summary, left: str, right: str) -> Sql:
    """An index serves = only, so IS NOT DISTINCT FROM where it must be."""
    parts = [
        Sql(
            f"{left}.{identifier(name)}"
            f" {'IS NOT DISTINCT FROM' if name in summary.nullable else '='} {right}.{identifier(name)}"
        )
        for name in summary.groups
    ]
    return joined(" AND ", parts)


def _looked_up(summary: Summary) -> dict[str, object]:
    """What finds the smallest and greatest values again, where one that went was one of them."""
    columns = {column: number for number, column in enumerate(summary.measured) if column in summary.extremes}
    gone, held, names, found = [], [], [], []
    for column, number in columns.items():
        quoted = identifier(column)
        gone.append(f"min({quoted}) AS _min_{number}, max({quoted}) AS _max_{number}")
        held.append(f"o._min_{number} <= t._min_{number} OR o._max_{number} >= t._max_{number}")
        names.append(f"_min_{number}, _max_{number}")
        found.append(f"min(s.{quoted}), max(s.{quoted})")
    return {
        "extremes": bool(columns),
        "gone": Sql("".join(f", {part}" for part in gone)),
        "held": Sql(" OR ".join(held)),
        "names": Sql(", ".join(names)),
        "found": Sql(", ".join(found)),
    }


def _function(summary: Summary, suffix: str, returns: str, source: Sql) -> Sql:
    return phrase(
        "CREATE OR REPLACE FUNCTION {name}() RETURNS {returns} LANGUAGE plpgsql SECURITY DEFINER"
        " SET search_path = pg_catalog, pg_temp AS {source}",
        name=_full(_named(summary, suffix)),
        returns=Sql(returns),
        source=body(f"\n{source}\n"),
    )


def _trigger(summary: Summary, suffix: str, when: str, tables: str) -> Sql:
    return phrase(
        "CREATE TRIGGER {name} {when} ON {source} {tables} FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
        name=identifier(f"{summary.view.name}_{suffix}"),
        when=Sql(when),
        source=_full(summary.source),
        tables=Sql(tables),
        function=follow_function(summary),
    )
