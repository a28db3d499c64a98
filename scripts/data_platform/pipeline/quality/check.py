"""Checks run on a session: those of a table that can share a scan do, so twenty cost about what one costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from itertools import groupby

from data_platform.errors import UsageProblem
from data_platform.pipeline.quality import verdicts
from data_platform.pipeline.quality.asked import Asked
from data_platform.pipeline.quality.predicates import bad, good
from data_platform.pipeline.quality.references import reference
from data_platform.pipeline.quality.samples import given, repeated, with_samples
from data_platform.pipeline.quality.verdicts import Verdict
from data_platform.postgres.quality.asking import (
    NotRun,
    Session,
    Table,
    generated_from,
    is_ensured_unique,
    one_row,
    scan,
    table_of,
)
from data_platform.spec.checks import ROW_WISE, Check
from data_platform.sql.text import Sql, columns_of, identifier, joined, literal, phrase, qualified

Tell = Callable[[str, float], None]
COUNT = Sql("count(*)")
_CENTURY = 100 * 365 * 86_400.0


def run_checks(session: Session, checks: Sequence[Check], asked: Asked, tell: Tell) -> tuple[Verdict, ...]:
    """A verdict for each check, in their order. What the server refuses of one is no verdict on the others."""
    order = {check.name: number for number, check in enumerate(checks)}
    found: list[Verdict] = []

    def relation(check: Check) -> tuple[str, str, str]:
        return (check.staged or "", check.table.schema, check.table.name)

    for _, group in groupby(sorted(checks, key=relation), key=relation):
        own = list(group)
        tell(own[0].staged or str(own[0].table), len(found) / len(checks))
        found += _of_table(session, own, asked)
    return tuple(sorted(found, key=lambda one: order[one.check.name]))


def _of_table(session: Session, checks: Sequence[Check], asked: Asked) -> Iterator[Verdict]:
    first = checks[0]
    try:
        quoted = qualified("pg_temp", first.staged) if first.staged else None
        table = table_of(session, first.table, quoted)
    except NotRun as refused:
        yield from (Verdict(check, "not run", str(refused)) for check in checks)
        return
    if asked.sensitive:
        asked = replace(asked, sensitive=asked.sensitive | generated_from(session, table, asked.sensitive))
    sharing = [check for check in checks if _shares(check)]
    yield from with_samples(session, table, _scanned(session, table, sharing, asked), asked)
    for check in checks:
        if not _shares(check):
            yield _alone(session, table, check, asked)


def _shares(check: Check) -> bool:
    return check.kind in ROW_WISE or check.kind in ("rows", "freshness", "reconcile", "drift")


# --- one scan ---


def _scanned(session: Session, table: Table, checks: Sequence[Check], asked: Asked) -> list[Verdict]:
    """All of these in one scan; one by one where the server refuses that, so that only the wrong one is refused."""
    fit, found = [], []
    for check in checks:
        try:
            fit.append((check, _aggregates(check, table)))
        except UsageProblem as problem:
            found.append(Verdict(check, "not run", f"{problem.what}; expected {problem.expected}"))
    if not fit:
        return found
    try:
        return found + _one_scan(session, table, fit, asked)
    except NotRun as refused:
        if len(fit) == 1:
            return [
                *found,
                Verdict(fit[0][0], "not run", f"the server refuses: {refused.said(asked.sensitive)}"),
            ]
        return found + [one for check, _ in fit for one in _scanned(session, table, [check], asked)]


def _aggregates(check: Check, table: Table) -> list[Sql]:
    """What a check needs of the scan beside the number of rows and of bad ones; the last is what it is about."""
    looked_at = [_filtered(COUNT, check.where)] if check.where else []
    if check.kind in ROW_WISE:
        _bad(check, table)  # raises where it cannot be asked
        return looked_at
    if check.kind == "rows":
        return looked_at
    if check.kind == "freshness":
        time = Sql(f"r.{identifier(check.columns[0])}::timestamptz")
        # Infinity says that there is no end, and a time far ahead is an error: neither says that rows still come.
        usable = phrase(
            "isfinite({time}) AND {time} <= now() + make_interval(secs => {within})",
            time=time,
            within=literal(str(min(check.within_seconds, _CENTURY))),
        )
        where = phrase("({where}) AND {usable}", where=check.where, usable=usable) if check.where else usable
        newest = _filtered(phrase("max({time})", time=time), where)
        return [phrase("extract(epoch FROM now() - {newest})", newest=newest)]
    assert check.measure is not None
    return [measured(table.name, check.measure, check.where)]


def _bad(check: Check, table: Table, *, quick: bool = False) -> Sql:
    return bad(check, good(check, table.relation.columns, table.server, quick=quick))


def _filtered(aggregate: Sql, where: Sql | None) -> Sql:
    return Sql(f"{aggregate} FILTER (WHERE {where})") if where else aggregate


def measured(table: Sql, measure: Sql, where: Sql | None) -> Sql:
    """An aggregate of the user's; with a condition it is a query of its own, since the aggregate may hold several."""
    value = Sql(f"({measure})::numeric")
    if where is None:
        return value
    return phrase("(SELECT {v} FROM {table} r WHERE ({where}))", v=value, table=table, where=where)


def _one_scan(
    session: Session, table: Table, fit: Sequence[tuple[Check, list[Sql]]], asked: Asked
) -> list[Verdict]:
    """One aggregate asks whether a row is bad at all; bad rows are told apart by check where there are any."""
    row_wise = [check for check, _ in fit if check.kind in ROW_WISE]
    wanted = [one for _, aggregates in fit for one in aggregates]
    any_bad = _any_bad(row_wise, table, quick=True)
    try:
        rows, failing, *values = scan(session, table, [COUNT, _filtered(COUNT, any_bad), *wanted])
    except NotRun:
        any_bad = _any_bad(row_wise, table, quick=False)
        rows, failing, *values = scan(session, table, [COUNT, _filtered(COUNT, any_bad), *wanted])
    conditions = [_bad(check, table) for check in row_wise]
    counts = iter(_each(session, table, conditions, any_bad) if failing else [0] * len(conditions))
    found, done = [], 0
    for check, aggregates in fit:
        own = values[done : done + len(aggregates)]
        done += len(aggregates)
        own += [next(counts)] if check.kind in ROW_WISE else []
        found.append(_judged(session, check, rows, own, asked))
    return found


def _any_bad(checks: Sequence[Check], table: Table, *, quick: bool) -> Sql:
    return joined(" OR ", [Sql(f"({_bad(check, table, quick=quick)})") for check in checks] or [Sql("false")])


def _each(session: Session, table: Table, conditions: Sequence[Sql], any_bad: Sql) -> tuple[int, ...]:
    """How many rows are bad by each condition: only bad rows are asked for them one by one."""
    return scan(session, table, [_filtered(COUNT, one) for one in conditions], any_bad)


def _judged(session: Session, check: Check, rows: int, own: Sequence[object], asked: Asked) -> Verdict:
    value = None if not own or own[-1] is None else float(own[-1])  # type: ignore[arg-type]
    before = asked.before.get(check.name, ())
    if check.kind in ROW_WISE:
        looked_at = int(own[0]) if check.where else rows  # type: ignore[call-overload]
        return verdicts.counted(check, int(value or 0), looked_at, "one scan for all checks of the table")
    if check.kind == "rows":
        return verdicts.of_rows(check, int(value or 0) if check.where else rows, before)
    if check.kind == "freshness":
        return verdicts.of_age(check, value)
    if check.kind == "drift":
        return verdicts.compared(check, value, before)
    try:
        return verdicts.reconciled(check, _decimal(own[-1]), _other_side(session, check, asked))
    except NotRun as refused:
        return Verdict(check, "not run", f"the other side: {refused.said(asked.sensitive)}")


def _decimal(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _other_side(session: Session, check: Check, asked: Asked) -> Decimal | None:
    other = check.to
    assert other is not None
    assert other.measure is not None
    there = asked.others.get(check.name, session)
    table = table_of(there, other.table)
    query = phrase(
        "SELECT {value} FROM {table} r WHERE {where}",
        value=measured(table.name, other.measure, None),
        table=table.name,
        where=Sql(f"({other.where})") if other.where else Sql("true"),
    )
    return _decimal(one_row(there, query)[0])


# --- checks of a whole ---


def _alone(session: Session, table: Table, check: Check, asked: Asked) -> Verdict:
    try:
        unknown = [name for name in check.columns if name not in table.relation.columns]
        if unknown:
            raise NotRun(f"there is no column {', '.join(unknown)}")
        if check.kind == "unique":
            return _unique(session, table, check, asked)
        if check.kind == "reference":
            return reference(session, table, check, asked.others.get(check.name), asked)
        return _custom(session, table, check, asked)
    except NotRun as refused:
        return Verdict(check, "not run", f"the server refuses: {refused.said(asked.sensitive)}")


def _unique(session: Session, table: Table, check: Check, asked: Asked) -> Verdict:
    if is_ensured_unique(session, table, check.columns):
        return Verdict(check, "passed", "a valid unique index ensures it; no row was read", failing=0)
    whole = [Sql(f"r.{identifier(name)} IS NOT NULL") for name in check.columns]
    whole += [Sql(f"({check.where})")] if check.where else []
    grouped = phrase(
        "FROM {table} r WHERE {whole} GROUP BY {columns}",
        columns=columns_of("r", check.columns),
        table=table.name,
        whole=joined(" AND ", whole),
    )
    totals = "SELECT coalesce(sum(g.n - 1), 0), coalesce(sum(g.n), 0) FROM (SELECT count(*) AS n {grouped}) g"
    surplus, rows = one_row(session, phrase(totals, grouped=grouped))
    found = verdicts.counted(check, int(surplus), int(rows), "rows beyond the first of each key, by grouping")
    if found.good:
        return found
    return replace(found, samples=repeated(session, check, grouped, asked))


def _custom(session: Session, table: Table, check: Check, asked: Asked) -> Verdict:
    assert check.query is not None
    count = one_row(session, phrase("SELECT count(*) FROM ({query}) q", query=check.query))[0]
    total = None
    if check.tolerance.share is not None:
        total = one_row(session, phrase("SELECT count(*) FROM {table}", table=table.name))[0]
    found = verdicts.counted(
        check, int(count), int(total or 0), f"{count:,} rows that the check's own SQL gives"
    )
    return found if found.good else replace(found, samples=given(session, check, asked))


def open_others(
    checks: Sequence[Check], stack: ExitStack, connect: Callable[[str], Session]
) -> dict[str, Session]:
    """Sessions on the servers of other sides, one for each address, by the names of the checks that need them."""
    sessions: dict[str, Session] = {}
    found = {}
    for check in checks:
        if check.to and check.to.dsn:
            if check.to.dsn not in sessions:
                sessions[check.to.dsn] = connect(check.to.dsn)
            found[check.name] = sessions[check.to.dsn]
    return found
