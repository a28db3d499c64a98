"""A summary as SQL: its table and view, the function that each statement calls, and the aggregate that it equals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256

from data_platform.model.database import Name
from data_platform.pipeline.views.summary import SUMMED, Measure, Summary, base
from data_platform.sql.templates import render
from data_platform.sql.text import (
    MAX_IDENTIFIER_BYTES,
    Sql,
    body,
    identifier,
    identifiers,
    joined,
    literal,
    phrase,
    qualified,
    qualified_name,
)


def summary_tables(summary: Summary) -> tuple[Sql, ...]:
    """Table, view, triggers, and the first filling. In one transaction: it keeps writers of the source waiting."""
    return (
        *_empty(summary),
        *summary_functions(summary),
        *summary_triggers(summary),
        refill(summary),
    )


def summary_once(summary: Summary) -> tuple[Sql, ...]:
    """As the source is now, followed by nothing: what a dry run may make, for which nobody waits."""
    return (*_empty(summary), _filling(summary))


def _empty(summary: Summary) -> tuple[Sql, ...]:
    return _refusal(summary), _table(summary, _constraint(summary)), _view(summary)


def _filling(summary: Summary) -> Sql:
    return phrase(
        "INSERT INTO {parts} ({key}, {kept}) SELECT {key}, {filled} FROM {source} WHERE {where} GROUP BY {key}",
        parts=_full(summary.parts),
        key=identifiers(summary.groups),
        kept=_kept(summary),
        filled=_filled(summary),
        source=_full(summary.source),
        where=_where(summary),
    )


def summary_functions(summary: Summary) -> tuple[Sql, ...]:
    """What its triggers call and what fills it, anew."""
    values = {
        "source": _full(summary.source),
        "parts": _full(summary.parts),
        "key": identifiers(summary.groups),
        "kept": _kept(summary),
        "where": _where(summary),
        "constraint": _constraint(summary),
    }
    return (
        _function(
            summary,
            "_refill",
            "void",
            render(
                "pipeline/summary_refill_body.sql.j2",
                source=values["source"],
                parts=values["parts"],
                filling=_filling(summary),
            ),
        ),
        _function(
            summary,
            "_follow",
            "trigger",
            render("pipeline/summary_follow_body.sql.j2", **values, **_followed(summary)),
        ),
    )


def summary_triggers(summary: Summary) -> tuple[Sql, ...]:
    """The triggers alone, anew: on, whatever was done to them. What they missed takes a `refill`.

    A statement fires those of the table that it names, so each table below has them too.
    """
    return tuple(
        statement
        for table in (_full(summary.source), *summary.below)
        for suffix, when, tables in _TRIGGERS
        for statement in (
            phrase(
                "DROP TRIGGER IF EXISTS {name} ON {table}",
                name=_trigger_name(summary, suffix),
                table=table,
            ),
            _trigger(summary, table, suffix, when, tables),
        )
    )


def drop_summary(summary: Summary) -> tuple[Sql, ...]:
    """Takes away what is there of it; refused by the server while something of others reads it."""
    return (
        phrase("DROP VIEW IF EXISTS {view}", view=_full(summary.view)),
        # With its triggers, also where it was of another table before.
        phrase("DROP FUNCTION IF EXISTS {name}() CASCADE", name=follow_function(summary)),
        phrase("DROP FUNCTION IF EXISTS {name}()", name=_full(_named(summary, "_refill"))),
        phrase("DROP TABLE IF EXISTS {parts}", parts=_full(summary.parts)),
        phrase("DROP FUNCTION IF EXISTS {name}(text, numeric)", name=_full(_named(summary, "_refuse"))),
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
        shown=joined(", ", [_aggregate(summary, measure) for measure in summary.measures]),
        source=_full(summary.source),
        where=_where(summary),
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


def _constraint(summary: Summary) -> Sql:
    return identifier(f"{summary.parts.name}_key")


def _where(summary: Summary) -> Sql:
    return summary.condition or summary.where


def _aggregate(summary: Summary, measure: Measure) -> Sql:
    if measure.column is None:
        return Sql("count(*)")
    return Sql(f"{_called(summary, measure.function, measure.column)}({identifier(measure.column)})")


def _called(summary: Summary, function: str, column: str) -> str:
    """An aggregate of a column: a smallest and a greatest value are what the operators of its type say."""
    if function in ("min", "max") and column in summary.operators:
        return f"{identifier(summary.operators[column])}.{function}"
    return function


def _compared(summary: Summary, column: str, operator: str) -> str:
    """An operator of a column's type: within our functions only those of pg_catalog are found by themselves."""
    schema = summary.operators.get(column)
    return f"OPERATOR({identifier(schema)}.{operator})" if schema else operator


# --- the table: rows, and of each measured column its values counted, summed, and the smallest and greatest ---


def _columns(summary: Summary) -> Iterator[tuple[str, str, str, str]]:
    """(kind, name in the table, type, the source's column)."""
    for number, column in enumerate(summary.measured):
        yield "count", f"_count_{number}", "bigint", column
        if column in summary.sums:
            yield "sum", f"_sum_{number}", "numeric", column
        if column in summary.extremes:
            yield "min", f"_min_{number}", str(summary.columns[column]), column
            yield "max", f"_max_{number}", str(summary.columns[column]), column


def _kept(summary: Summary) -> Sql:
    return Sql(", ".join(["_rows", *(name for _, name, _, _ in _columns(summary))]))


def _table(summary: Summary, constraint: Sql) -> Sql:
    parts = [
        f"{identifier(name)} {summary.columns[name]}{'' if name in summary.nullable else ' NOT NULL'}"
        for name in summary.groups
    ]
    parts.append("_rows bigint NOT NULL")
    for kind, name, type_, column in _columns(summary):
        not_null = "" if kind in ("min", "max") else " NOT NULL"
        parts.append(f"{name} {type_}{not_null}{_finite(summary, name, column) if kind == 'sum' else ''}")
    distinct = " NULLS NOT DISTINCT" if summary.nullable else ""
    parts.append(f"CONSTRAINT {constraint} UNIQUE{distinct} ({identifiers(summary.groups)})")
    return phrase(
        "CREATE TABLE {parts} (\n    {columns}\n)",
        parts=_full(summary.parts),
        columns=Sql(",\n    ".join(parts)),
    )


def _finite(summary: Summary, name: str, column: str) -> Sql:
    """A sum that is no number once would be none for ever."""
    top = (
        f"{name} > '-Infinity' AND {name} < 'Infinity'" if summary.server_version >= 14 else f"{name} < 'NaN'"
    )
    return phrase(
        " CHECK (CASE WHEN {finite} THEN true ELSE {refuse}({column}, {name}) END)",
        finite=Sql(top),
        refuse=_full(_named(summary, "_refuse")),
        column=literal(column),
        name=Sql(name),
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
    type_ = SUMMED.get(base(summary.columns[measure.column]), "numeric")
    return {
        "count": f"_count_{number}",
        "sum": f"CASE WHEN _count_{number} > 0 THEN _sum_{number}::{type_} END",
        "avg": f"_sum_{number} / nullif(_count_{number}, 0)",
        "min": f"_min_{number}",
        "max": f"_max_{number}",
    }[measure.function] + f" AS {name}"


# --- the functions ---


def _filled(summary: Summary) -> Sql:
    made = {
        "count": "count({0})",
        "sum": "coalesce(sum({0}::numeric), 0)",
        "min": "{1}({0})",
        "max": "{1}({0})",
    }
    parts = ["count(*)", *_made(summary, made)]
    return Sql(", ".join(parts))


def _made(summary: Summary, forms: Mapping[str, str]) -> Iterator[str]:
    """What is kept of each column, by the form of its kind."""
    for kind, _, _, column in _columns(summary):
        yield forms[kind].format(identifier(column), _called(summary, kind, column))


def _followed(summary: Summary) -> dict[str, object]:
    made = {
        "count": "coalesce(sum(_w) FILTER (WHERE {0} IS NOT NULL), 0)",
        "sum": "coalesce(sum(_w * {0}::numeric), 0)",
        "min": "{1}({0}) FILTER (WHERE _w > 0)",
        "max": "{1}({0}) FILTER (WHERE _w > 0)",
    }
    changed = ["sum(_w)", *_made(summary, made)]
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
        "new_rows": _rows(summary, "new_rows"),
        "old_rows": _rows(summary, "old_rows"),
        "schema": summary.source.schema,
        "table": summary.source.name,
        "refill": _full(_named(summary, "_refill")),
        "changed": Sql(", ".join(changed)),
        "assigned": Sql(", ".join(assigned)),
        "same_t": _same(summary, "t", "o"),
        "same_s": _same(summary, "s", "t"),
        **_looked_up(summary),
    }


def _rows(summary: Summary, name: str) -> Sql:
    """A transition table, which has NULL for what is generated and not stored."""
    if not summary.virtual:
        return Sql(name)
    made = [
        phrase("{sql} AS {name}", sql=sql, name=identifier(column)) for column, sql in summary.virtual.items()
    ]
    listed = joined(", ", [*(identifier(column) for column in summary.stored), *made])
    return phrase("(SELECT {listed} FROM {name}) AS r", listed=listed, name=Sql(name))


def _same(summary: Summary, left: str, right: str) -> Sql:
    """An index serves = only, so IS NOT DISTINCT FROM where it must be."""
    return joined(" AND ", [_same_in(summary, name, left, right) for name in summary.groups])


def _same_in(summary: Summary, column: str, left: str, right: str) -> Sql:
    one, other = (f"{side}.{identifier(column)}" for side in (left, right))
    if column not in summary.nullable:
        return Sql(f"{one} {_compared(summary, column, '=')} {other}")
    if column in summary.operators:
        return Sql(f"({one} {_compared(summary, column, '=')} {other} OR {one} IS NULL AND {other} IS NULL)")
    return Sql(f"{one} IS NOT DISTINCT FROM {other}")


def _looked_up(summary: Summary) -> dict[str, object]:
    """What finds the smallest and greatest values again, where one that went was one of them."""
    columns = {column: number for number, column in enumerate(summary.measured) if column in summary.extremes}
    gone, held, names, found = [], [], [], []
    for column, number in columns.items():
        quoted = identifier(column)
        least, most = (_called(summary, one, column) for one in ("min", "max"))
        below, above = (_compared(summary, column, one) for one in ("<=", ">="))
        gone.append(f"{least}({quoted}) AS _min_{number}, {most}({quoted}) AS _max_{number}")
        held.append(f"o._min_{number} {below} t._min_{number} OR o._max_{number} {above} t._max_{number}")
        names.append(f"_min_{number}, _max_{number}")
        found.append(f"{least}(s.{quoted}), {most}(s.{quoted})")
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
        source=body(f"\n#variable_conflict use_column\n{source}\n"),
    )


def _refusal(summary: Summary) -> Sql:
    """Called with a sum that is none, and the column that it is of: says so to whoever writes such a value."""
    source = render("pipeline/summary_refuse_body.sql.j2", view=str(summary.view), source=str(summary.source))
    return phrase(
        "CREATE OR REPLACE FUNCTION {name}(measured text, got numeric) RETURNS boolean LANGUAGE plpgsql"
        " SET search_path = pg_catalog, pg_temp AS {source}",
        name=_full(_named(summary, "_refuse")),
        source=body(f"\n{source}\n"),
    )


def _trigger_name(summary: Summary, suffix: str) -> Sql:
    """Two summaries of one table may have the same name in two schemas."""
    name = f"{summary.view.schema}.{summary.view.name}_{suffix}"
    if len(name.encode()) > MAX_IDENTIFIER_BYTES:
        name = f"{sha256(str(summary.view).encode()).hexdigest()[:32]}_{suffix}"
    return identifier(name)


def _trigger(summary: Summary, table: Sql, suffix: str, when: str, tables: str) -> Sql:
    return phrase(
        "CREATE TRIGGER {name} {when} ON {table} {tables} FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
        name=_trigger_name(summary, suffix),
        when=Sql(when),
        table=table,
        tables=Sql(tables),
        function=follow_function(summary),
    )
