"""Rows that failed, some of each check. Those that fail often are found at once, the rare ones in one scan together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from data_platform.pipeline.quality.asked import Asked
from data_platform.pipeline.quality.predicates import bad, good
from data_platform.pipeline.quality.verdicts import Verdict
from data_platform.postgres.quality.asking import MASK, Session, Table, origins, rows_of, shown_row
from data_platform.spec.checks import ROW_WISE, Check
from data_platform.sql.text import Sql, columns_of, identifier, joined, literal, phrase

_OFTEN = 0.01
"""A share of failing rows from which on a scan for some of them ends soon."""


def with_samples(session: Session, table: Table, found: Sequence[Verdict], asked: Asked) -> Iterator[Verdict]:
    """The verdicts, those that failed row by row with samples."""
    wanted = [one for one in found if one.state == "failed" and one.check.kind in ROW_WISE and asked.samples]
    often = [one for one in wanted if one.failing and one.rows and one.failing >= _OFTEN * one.rows]
    shown = {one.check.name: _first(session, table, one.check, asked) for one in often}
    shown |= _together(session, table, [one.check for one in wanted if one not in often], asked)
    for one in found:
        yield replace(one, samples=shown[one.check.name]) if one.check.name in shown else one


def _condition(check: Check, table: Table) -> Sql:
    return Sql(f"({bad(check, good(check, table.relation.columns, table.server))})")


def _columns(check: Check, table: Table) -> Sequence[str]:
    return check.columns or tuple(table.relation.columns)


def _first(session: Session, table: Table, check: Check, asked: Asked) -> tuple[Mapping[str, Any], ...]:
    query = phrase(
        "SELECT {row} FROM {table} r WHERE {bad} LIMIT {most}",
        row=shown_row(table, _columns(check, table), asked.sensitive),
        table=table.name,
        bad=_condition(check, table),
        most=asked.samples,
    )
    return tuple(row for (row,) in rows_of(session, query))


def _together(
    session: Session, table: Table, checks: Sequence[Check], asked: Asked
) -> dict[str, tuple[Mapping[str, Any], ...]]:
    if not checks:
        return {}
    conditions = [_condition(check, table) for check in checks]
    rows = [shown_row(table, _columns(check, table), asked.sensitive) for check in checks]
    pairs = zip(conditions, rows, strict=True)
    each = [
        phrase("SELECT {n} AS n, {row} AS row WHERE {bad}", n=number, row=row, bad=condition)
        for number, (condition, row) in enumerate(pairs)
    ]
    query = phrase(
        "SELECT s.n, s.row FROM (SELECT f.n, f.row, row_number() OVER (PARTITION BY f.n) AS k"
        " FROM (SELECT * FROM {table} r WHERE {any} OFFSET 0) r CROSS JOIN LATERAL ({each}) f) s WHERE s.k <= {most}",
        table=table.name,
        any=joined(" OR ", conditions),
        each=joined(" UNION ALL ", each),
        most=asked.samples,
    )
    found: dict[str, tuple[Mapping[str, Any], ...]] = {}
    for number, row in rows_of(session, query):
        name = checks[number].name
        found[name] = (*found.get(name, ()), row)
    return found


def orphans(session: Session, table: Table, verdict: Verdict, missing: Sql, asked: Asked) -> Verdict:
    """The verdict on a reference, with rows whose key the other table does not have."""
    if verdict.good or not asked.samples:
        return verdict
    query = phrase(
        "SELECT {row} FROM {table} r WHERE {missing} LIMIT {most}",
        row=shown_row(table, verdict.check.columns, asked.sensitive),
        table=table.name,
        missing=missing,
        most=asked.samples,
    )
    return replace(verdict, samples=tuple(row for (row,) in rows_of(session, query)))


def repeated(session: Session, check: Check, grouped: Sql, asked: Asked) -> tuple[Mapping[str, Any], ...]:
    """Keys that are there more than once, and how often."""
    query = phrase(
        "SELECT jsonb_build_object({fields}), count(*) {grouped}"
        " HAVING count(*) > 1 ORDER BY count(*) DESC, {columns} LIMIT {most}",
        fields=joined(", ", [Sql(f"{literal(name)}, r.{identifier(name)}") for name in check.columns]),
        grouped=grouped,
        columns=columns_of("r", check.columns),
        most=asked.samples,
    )
    count = "count(*)" if "n" in check.columns else "n"
    return tuple({**_masked(row, asked.sensitive), count: times} for row, times in rows_of(session, query))


def given(session: Session, check: Check, asked: Asked) -> tuple[Mapping[str, Any], ...]:
    """The first rows that the check's own SQL gives.

    What an expression hides is not known: where columns are sensitive, only values are shown that are a column of a
    table, under whatever name, and of one that is not sensitive.
    """
    assert check.query is not None
    query = phrase(
        "SELECT to_jsonb(q.*) FROM ({query}) q LIMIT {most}", query=check.query, most=asked.samples
    )
    rows = [row for (row,) in rows_of(session, query)]
    if not asked.sensitive:
        return tuple(rows)
    hidden = frozenset(
        name
        for name, origin in origins(session, check.query)
        if origin is None or not asked.sensitive.isdisjoint((name, origin))
    )
    return tuple(_masked(row, hidden) for row in rows)


def _masked(row: Mapping[str, Any], sensitive: frozenset[str]) -> dict[str, Any]:
    return {name: MASK if name in sensitive and value is not None else value for name, value in row.items()}
