"""Access patterns, planned and run: every parameter gets values that the synthetic rows really hold."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from data_platform.model.database import Database, Name
from data_platform.model.design import AccessPattern, Parameter
from data_platform.postgres.synthetic import Generator
from data_platform.schema.prove.result import Measured, Scan
from data_platform.sql.text import identifier, identifiers, literal, qualified_name, type_name
from data_platform.sql.types import reference

Connection = psycopg.Connection[Any]
Values = tuple[str | None, ...]

SETS = 20
"""Different sets of parameter values for each pattern."""
COLLECTED = 5
"""Elements of a parameter that is an array, such as the ids in `= ANY(:ids)`."""
PLANNED_SETS = 3
"""Plans depend on the values, so more than one set is explained."""
MAX_EXECUTIONS = 60
MAX_SECONDS = 1.0
MAX_RESULT_ROWS = 100_000
MAX_RESULT_CHARACTERS = 100_000_000
STATEMENT_TIMEOUT_MS = 30_000

# Stand-ins for parameters that nothing in the statement ties to a column.
_FREE_VALUES: Mapping[str, str] = {
    "int2": "10",
    "int4": "10",
    "int8": "10",
    "numeric": "10",
    "float8": "10",
    "bool": "true",
    "text": "a",
    "varchar": "a",
    "timestamptz": "2026-01-01 00:00:00+00",
    "timestamp": "2026-01-01 00:00:00",
    "date": "2026-01-01",
    "interval": "30 days",
    "jsonb": "{}",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True)
class Bench:
    """What measuring needs: a connection in autocommit, the catalog, the generator, the author's search path."""

    connection: Connection
    database: Database
    generator: Generator
    search_path: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    """What an application would have set, such as the tenant that it works for."""
    empty: frozenset[str] = frozenset()
    """Relations without rows."""


def measure(bench: Bench, pattern: AccessPattern) -> Measured:
    """Plan and run one pattern. Whatever it writes is rolled back."""
    try:
        with _nothing_stays(bench):
            sets = _value_sets(bench, pattern)
            _prepare(bench.connection, pattern)
            times, rows = _timed(bench.connection, sets)
            plans = [_explained(bench.connection, values) for values in sets[:PLANNED_SETS]]
            usable = _usable_indexes(bench.connection, sets[:PLANNED_SETS])
    except _TooMuch as much:
        return Measured(pattern=pattern, error=str(much))
    except psycopg.Error as error:
        return Measured(pattern=pattern, error=_said(error))
    return Measured(
        pattern=pattern,
        executions=len(times),
        median_ms=statistics.median(times),
        p95_ms=_percentile(times, 0.95),
        rows=statistics.median(rows),
        scans=_distinct_scans(plans),
        plan=plans[0].text,
        reads=plans[0].reads,
        empty=tuple(
            sorted(bench.empty & {scan.relation for plan in plans for scan in plan.scans if _reads(scan)})
        ),
        usable_indexes=usable,
    )


def empty_relations(connection: Connection, database: Database) -> frozenset[str]:
    """Tables and materialized views without rows; of a partitioned table all partitions, or none."""
    roots = [table.name for table in database.tables if table.holds_rows]
    roots += [view.name for view in database.materialized_views if view.populated]
    if not roots:
        return frozenset()
    asked = ", ".join(f"EXISTS (SELECT FROM {qualified_name(name)})" for name in roots)
    row = connection.execute(f"SELECT {asked}".encode()).fetchone() or ()
    empty = {name for name, filled in zip(roots, row, strict=True) if not filled}
    above = {table.name: table.partition_of.table for table in database.tables if table.partition_of}
    for name in above:
        root = name
        while root in above:
            root = above[root]
        empty |= {name} if root in empty else set()
    return frozenset(name.name for name in empty)


def _reads(scan: Scan) -> bool:
    """Whether it is no table that is only written to."""
    return scan.node not in ("ModifyTable", "Conflict Arbiter")


def baseline_ms(connection: Connection) -> float:
    """The median of an empty round trip, for comparison."""
    times = []
    for _ in range(200):
        started = time.perf_counter()
        connection.execute("SELECT 1").fetchall()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


@contextmanager
def _nothing_stays(bench: Bench) -> Iterator[None]:
    with bench.connection.transaction(force_rollback=True):
        bench.connection.execute(f"SET LOCAL search_path TO {identifiers(bench.search_path)}")
        bench.connection.execute(f"SET LOCAL statement_timeout TO {STATEMENT_TIMEOUT_MS}")
        for name, value in bench.settings.items():
            bench.connection.execute("SELECT set_config(%s, %s, true)", [name, value])
        # Each set of values gets the plan that fits it, as with the first executions of a prepared statement.
        bench.connection.execute("SET LOCAL plan_cache_mode TO force_custom_plan")
        try:
            yield
        finally:
            if bench.connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS:
                bench.connection.execute("DEALLOCATE ALL")


def _prepare(connection: Connection, pattern: AccessPattern) -> None:
    types = ", ".join(type_name(parameter.type) for parameter in pattern.parameters)
    signature = f" ({types})" if types else ""
    # As bytes: the statement is the author's, and the driver must not look for placeholders in it.
    connection.execute(f"PREPARE dpe_pattern{signature} AS {pattern.sql}".encode())


def _call(values: Values) -> bytes:
    listed = ", ".join("NULL" if value is None else literal(value) for value in values)
    return (f"EXECUTE dpe_pattern ({listed})" if values else "EXECUTE dpe_pattern").encode()


def _timed(connection: Connection, sets: list[Values]) -> tuple[list[float], list[int]]:
    times: list[float] = []
    rows: list[int] = []
    deadline = time.perf_counter() + MAX_SECONDS
    _warm_up(connection, sets[0])
    while len(times) < MAX_EXECUTIONS:
        values = sets[len(times) % len(sets)]
        elapsed, count = _run_once(connection, values)
        times.append(elapsed)
        rows.append(count)
        if time.perf_counter() > deadline and len(times) >= min(3, len(sets)):
            break
    return times, rows


class _TooMuch(Exception):
    """A result that no application would take at once; the words say how large it is."""


def _warm_up(connection: Connection, values: Values) -> None:
    """The first execution pays for cold caches, and shows whether the client can hold what comes back."""
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        size = 0
        try:
            for count, row in enumerate(cursor.stream(_call(values)), 1):
                size += sum(len(str(value)) for value in row)
                if count > MAX_RESULT_ROWS or size > MAX_RESULT_CHARACTERS:
                    raise _TooMuch(
                        f"returns more than {MAX_RESULT_ROWS:,} rows or {MAX_RESULT_CHARACTERS:,} characters"
                    )
        except psycopg.ProgrammingError as error:
            if error.sqlstate is not None:
                raise
            # The driver's own word for a statement that returns no rows.


def _run_once(connection: Connection, values: Values) -> tuple[float, int]:
    with connection.transaction(force_rollback=True):
        started = time.perf_counter()
        cursor = connection.execute(_call(values))
        count = len(cursor.fetchall()) if cursor.description else max(cursor.rowcount, 0)
        return (time.perf_counter() - started) * 1000, count


# --- plans ---


@dataclass(frozen=True)
class _Plan:
    text: str
    scans: tuple[Scan, ...]
    reads: tuple[str, ...]


def _explained(connection: Connection, values: Values) -> _Plan:
    with connection.transaction(force_rollback=True):
        call = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + _call(values)
        row = connection.execute(call).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return _Plan(_outline(plan), tuple(_scans(plan)), tuple(dict.fromkeys(_read(plan))))


def _usable_indexes(connection: Connection, sets: list[Values]) -> tuple[tuple[str, str], ...]:
    """Indexes that the planner takes when it may not read whole tables: it prefers that while they are small."""
    found: dict[tuple[str, str], None] = {}
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL enable_seqscan TO off")
        for values in sets:
            row = connection.execute(b"EXPLAIN (FORMAT JSON) " + _call(values)).fetchone()
            assert row is not None
            found |= dict.fromkeys(_searched(row[0][0]["Plan"], ""))
    return tuple(found)


def _searched(node: Mapping[str, Any], relation: str) -> Iterator[tuple[str, str]]:
    """(table, index) of each search by a condition or an order; walking an index from end to end is no use of it."""
    relation = node.get("Relation Name", relation)  # a bitmap's index scan stands below the scan of the table
    if "Index Name" in node and ("Index Cond" in node or "Order By" in node):
        yield relation, node["Index Name"]
    for child in node.get("Plans", ()):
        yield from _searched(child, relation)


def _scans(node: Mapping[str, Any]) -> Iterator[Scan]:
    kind = node["Node Type"]
    loops = node.get("Actual Loops", 1) or 1
    if "Relation Name" in node or "Index Name" in node:
        yield Scan(
            node=kind,
            relation=node.get("Relation Name", ""),
            index=node.get("Index Name"),
            rows=node.get("Actual Rows", 0) * loops,
            removed=node.get("Rows Removed by Filter", 0) * loops,
        )
    for conflict_index in node.get("Conflict Arbiter Indexes", ()):
        yield Scan(node="Conflict Arbiter", relation="", index=conflict_index, rows=0, removed=0)
    for child in node.get("Plans", ()):
        yield from _scans(child)


def _read(node: Mapping[str, Any]) -> Iterator[str]:
    """The relations that were really read: the executor may pass partitions by."""
    if "Relation Name" in node and node.get("Actual Loops"):
        yield node["Relation Name"]
    for child in node.get("Plans", ()):
        yield from _read(child)


def _distinct_scans(plans: list[_Plan]) -> tuple[Scan, ...]:
    seen = {(scan.node, scan.relation, scan.index): scan for plan in reversed(plans) for scan in plan.scans}
    return tuple(seen[key] for key in sorted(seen, key=str))


def _outline(node: Mapping[str, Any], depth: int = 0) -> str:
    """The plan as indented lines: node, relation, index, estimated and actual rows, time."""
    target = " on " + node["Relation Name"] if "Relation Name" in node else ""
    using = " using " + node["Index Name"] if "Index Name" in node else ""
    condition = next(
        (f" [{node[key]}]" for key in ("Index Cond", "Recheck Cond", "Filter") if key in node), ""
    )
    measured = (
        f"  (rows {node.get('Actual Rows', 0):g} of {node.get('Plan Rows', 0):g} estimated, "
        f"{node.get('Actual Total Time', 0):.3f} ms × {node.get('Actual Loops', 1):g})"
    )
    lines = ["  " * depth + node["Node Type"] + using + target + condition + measured]
    lines += [_outline(child, depth + 1) for child in node.get("Plans", ())]
    return "\n".join(lines)


# --- values ---


def _value_sets(bench: Bench, pattern: AccessPattern) -> list[Values]:
    """`SETS` tuples of input texts; parameters that come from one table come from the same of its rows."""
    if not pattern.parameters:
        return [()]
    sources = {p.name: _source(bench.database, p) for p in pattern.parameters if p.column and not p.inserted}
    tables = sorted({source.table for source in sources.values()})
    held = {
        table: _sampled(bench.connection, table, sorted({s for s in sources.values() if s.table == table}))
        for table in tables
    }
    new = _inserted_rows(bench, pattern)
    return [
        tuple(_value(p, number, _held(sources.get(p.name), held), new) for p in pattern.parameters)
        for number in range(SETS)
    ]


@dataclass(frozen=True, order=True)
class _Source:
    """Where a parameter's values come from. `element`: the column is an array, the parameter one element of it."""

    table: Name
    column: str
    element: bool
    collected: bool
    """The column is a single value, the parameter an array of several."""


def _source(database: Database, parameter: Parameter) -> _Source:
    assert parameter.column is not None
    table, column = parameter.column
    many = reference(parameter.type).array
    holds_many = database.table(table).column(column).type.endswith("]")
    return _Source(table, column, element=holds_many and not many, collected=many and not holds_many)


def _sampled(connection: Connection, table: Name, sources: list[_Source]) -> dict[_Source, list[str | None]]:
    """Values spread over the table's rows, those without NULL first; always the same ones."""
    names = identifiers(dict.fromkeys(source.column for source in sources))
    texts = ", ".join(f"({identifier(s.column)}){'[1]' if s.element else ''}::text" for s in sources)
    filled = " AND ".join(f"{identifier(source.column)} IS NOT NULL" for source in sources)
    query = f"""
        SELECT {texts} FROM (
            SELECT {names}, {filled} AS "dpe filled",
                   row_number() OVER () AS "dpe number", count(*) OVER () AS "dpe total"
            FROM {qualified_name(table)}
        ) AS numbered
        WHERE "dpe number" % greatest(1, "dpe total" / 100) = 0
        ORDER BY "dpe filled" DESC, "dpe number" * 7919 % 104729, "dpe number" LIMIT {SETS}"""  # noqa: S608
    rows = connection.execute(query.encode()).fetchall()
    return {source: [row[place] for row in rows] for place, source in enumerate(sources)}


def _held(source: _Source | None, held: Mapping[Name, dict[_Source, list[str | None]]]) -> list[str | None]:
    """The values that a parameter takes in turn."""
    if source is None:
        return []
    values = held[source.table][source]
    if not source.collected:
        return values
    return [_array(values[place : place + COLLECTED]) for place in range(len(values))]


def _array(values: list[str | None]) -> str:
    """An array's input text."""
    quoted = ('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values if v is not None)
    return "{" + ",".join(quoted) + "}"


def _inserted_rows(bench: Bench, pattern: AccessPattern) -> list[Mapping[str, str | None]]:
    tables = {
        parameter.column[0] for parameter in pattern.parameters if parameter.inserted and parameter.column
    }
    rows: list[Mapping[str, str | None]] = []
    for table in tables:
        for _ in range(SETS):
            row = bench.generator.fresh(bench.connection, table)
            if row is not None:
                rows.append(row)
    return rows


def _value(
    parameter: Parameter, number: int, held: list[str | None], new: list[Mapping[str, str | None]]
) -> str | None:
    if parameter.fixed:
        return parameter.value
    if parameter.inserted and parameter.column and new:
        row = new[number % len(new)]
        if parameter.column[1] in row:
            return row[parameter.column[1]]
    if held:
        return held[number % len(held)]
    return _free_value(parameter)


def _free_value(parameter: Parameter) -> str | None:
    kind = reference(parameter.type)
    return "{}" if kind.array else _FREE_VALUES.get(kind.name)


def _percentile(times: list[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _said(error: psycopg.Error) -> str:
    primary = error.diag.message_primary or str(error)
    if isinstance(error, psycopg.errors.QueryCanceled):
        primary = f"not done after {STATEMENT_TIMEOUT_MS // 1000} s"
    hint = f" (hint: {error.diag.message_hint})" if error.diag.message_hint else ""
    return f"{error.sqlstate or '?'}: {primary}{hint}"
