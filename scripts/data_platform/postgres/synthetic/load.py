"""Puts rows into a table: straight through COPY, or through a staging table where the server sorts rows out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any

import psycopg

from data_platform.model.database import ForeignKey, Table
from data_platform.postgres.synthetic import trees
from data_platform.postgres.synthetic.kinds import WHOLE
from data_platform.postgres.synthetic.plan import Plan
from data_platform.postgres.synthetic.rows import Rows, copy_text
from data_platform.postgres.synthetic.units import Texts
from data_platform.sql.text import identifier, identifiers, literal, qualified, relation_literal, type_name

Connection = psycopg.Connection[Any]
Tell = Callable[[int], None]

BLOCK = 10_000
"""Rows made and sent at a time."""
_OVERSAMPLE = 40
"""How many rows are tried for each that is wanted before giving up."""
_STAGING = "dpe_staging"
_SETTINGS = {
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "lc_monetary": "C",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "xmloption": "content",
}


@dataclass(frozen=True)
class Loaded:
    """How many rows came in, and how many were tried if the server sorted them out.

    `refused` is the constraint, or the message, with which the server refused a row at first.
    """

    rows: int
    tried: int | None = None
    refused: str | None = None


@contextmanager
def settled(connection: Connection) -> Iterator[None]:
    """A transaction in which texts mean what they should, whatever the session's settings are."""
    with connection.transaction():
        for name, value in _SETTINGS.items():
            connection.execute(f"SET LOCAL {name} = {literal(value)}")
        yield


def run(connection: Connection, query: str, values: Sequence[object] = ()) -> psycopg.RawCursor[Any]:
    """Run a query whose parameters are $1, $2 …, so that a % in a name means nothing."""
    return psycopg.RawCursor(connection).execute(query, values)


def copy_rows(connection: Connection, rows: Rows, wanted: int, tell: Tell) -> Loaded:
    """COPY into the table itself. Raises psycopg.Error if the server refuses a row; then nothing is left."""
    plan, total = rows.plan, 0
    target = qualified(plan.table.name.schema, plan.table.name.name)
    if not plan.columns:
        run(connection, f"INSERT INTO {target} SELECT FROM generate_series(1, $1::bigint)", [wanted])
        return Loaded(wanted)
    with connection.transaction(), connection.cursor() as cursor:
        with cursor.copy(f"COPY {target} ({identifiers(plan.columns)}) FROM STDIN") as copy:
            while total < wanted:
                block = rows.block(min(BLOCK, wanted - total))
                if not block.count:
                    break
                copy.write(copy_text(block.columns))
                total += block.count
                tell(total)
        check_now(connection, plan)
    return Loaded(total)


def check_now(connection: Connection, plan: Plan) -> None:
    """Deferred constraints are checked here, so that their failure is this table's."""
    names = ", ".join(qualified(plan.table.name.schema, name) for name in plan.deferred)
    if names:
        connection.execute(f"SET CONSTRAINTS {names} IMMEDIATE")
        connection.execute(f"SET CONSTRAINTS {names} DEFERRED")


def sort_rows(
    connection: Connection, rows: Rows, wanted: int, learn: Callable[[], None], tell: Tell
) -> Loaded:
    """COPY into a staging table of texts, and take over what the checks let pass and no key forbids.

    `learn` is called after each round, so that rows may refer to those of rounds before. Raises psycopg.Error for
    what is neither a check nor a key.
    """
    total = tried = 0
    take = take_over(rows.plan)
    while total < wanted and tried < _OVERSAMPLE * wanted + 1000:
        share = max(total / tried, 0.02) if tried else 1.0
        asked = min(BLOCK, ceil((wanted - total) / share))
        if rows.plan.refers_back:
            asked = min(asked, max(100, total))  # so that later rounds have something to refer to
        block = rows.block(asked)
        if not block.count:
            break
        _stage(connection, rows.plan, block.columns)
        with connection.transaction():
            taken = found = run(connection, take, [wanted - total]).rowcount
            while found and rows.plan.grows and total + taken < wanted:  # now for the children of those
                found = run(connection, take, [wanted - total - taken]).rowcount
                taken += found
            check_now(connection, rows.plan)
        # When enough rows were found, the rest of the block was not looked at.
        tried += block.count if total + taken < wanted else min(block.count, ceil(taken / share))
        total += taken
        learn()
        tell(total)
    return Loaded(total, tried)


def _stage(connection: Connection, plan: Plan, columns: Sequence[Texts]) -> None:
    listed = ", ".join(f"{identifier(name)} text" for name in plan.columns)
    connection.execute(f"DROP TABLE IF EXISTS pg_temp.{_STAGING}")
    connection.execute(f"CREATE TEMP TABLE {_STAGING} ({listed}) ON COMMIT DROP")
    with connection.cursor() as cursor:
        names = identifiers(plan.columns)
        with cursor.copy(f"COPY pg_temp.{_STAGING} ({names}) FROM STDIN") as copy:
            copy.write(copy_text(columns))


def take_over(plan: Plan) -> str:
    """INSERT … SELECT of staged rows that pass every check; $1 is the most rows to take."""
    target = qualified(plan.table.name.schema, plan.table.name.name)
    expressions = [check.expression for check in plan.table.checks]
    expressions += [
        trees.renamed(check, "value", name) for name in plan.columns for check in plan.kinds[name].checks
    ]
    checks = [f"({expression}) IS NOT FALSE" for expression in expressions]
    checks += [_refers(key) for key in plan.computed_keys]
    names = identifiers(plan.columns)
    return (
        f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM ({computed(plan)}) AS dpe"  # noqa: S608
        f" WHERE {' AND '.join(checks) or 'true'} LIMIT $1::bigint ON CONFLICT DO NOTHING"
    )


def _refers(key: ForeignKey) -> str:
    """Whether a computed row's foreign key is NULL or matches."""
    nulls = [f"dpe.{identifier(column)} IS NULL" for column in key.columns]
    same = [
        f"parent.{identifier(target)} = dpe.{identifier(column)}"
        for column, target in zip(key.columns, key.target_columns, strict=True)
    ]
    target = qualified(key.target.schema, key.target.name)
    found = f"EXISTS (SELECT FROM {target} AS parent WHERE {' AND '.join(same)})"
    return f"({' OR '.join([*nulls, found])})"


def computed(plan: Plan) -> str:
    """A query of the staged rows as typed values, with derived and generated columns computed."""
    derived = {item.column: item.expression for item in plan.derived}
    generated = {c.name: c.generated.expression for c in plan.table.columns if c.generated}
    query = _cast(plan, {name: identifier(name) for name in plan.columns if name not in derived}, "")
    query = f"SELECT {query} FROM pg_temp.{_STAGING} OFFSET 0"  # noqa: S608
    for expressions in (derived, generated):
        if expressions:
            query = f"SELECT {_cast(plan, expressions, '*, ')} FROM ({query}) AS dpe"  # noqa: S608
    return query


def _cast(plan: Plan, expressions: Mapping[str, str], before: str) -> str:
    """A select list of expressions as the types that domains are over, so that domains refuse nothing yet."""
    return before + ", ".join(
        f"({text})::{type_name(plan.kinds[name].text)} AS {identifier(name)}"
        for name, text in expressions.items()
    )


def computed_texts(connection: Connection, plan: Plan, columns: Sequence[Texts]) -> tuple[Texts, ...]:
    """The same rows with their derived columns as the server computes them."""
    _stage(connection, plan, columns)
    listed = ", ".join(f"{identifier(name)}::text" for name in plan.columns)
    found = connection.execute(f"SELECT {listed} FROM ({computed(plan)}) AS dpe").fetchall()  # noqa: S608
    return tuple(list(texts) for texts in zip(*found, strict=True))


def advance_sequences(connection: Connection, plan: Plan) -> None:
    """Let identity and serial columns go on after the highest value that was loaded, within the sequence's bounds."""
    target = qualified(plan.table.name.schema, plan.table.name.name)
    for name in plan.columns:
        column = plan.table.column(name)
        serial = column.identity or "nextval(" in (column.default or "")
        if not serial or plan.kinds[name].base not in WHOLE:  # a text may hold a number of a sequence too
            continue
        owner = relation_literal(plan.table.name)
        found = run(connection, f"SELECT pg_get_serial_sequence({owner}, $1)", [name]).fetchone()
        sequence = found[0] if found and found[0] else _sequence_in(column.default or "")
        if sequence:
            query = (
                f"SELECT setval(seqrelid, least(highest, seqmax)) FROM pg_catalog.pg_sequence,"  # noqa: S608
                f" (SELECT max({identifier(name)})::bigint AS highest FROM {target}) AS dpe"
                f" WHERE seqrelid = $1::regclass AND highest >= seqmin"
            )
            run(connection, query, [sequence])


def _sequence_in(default: str) -> str | None:
    _, found, rest = default.partition("nextval('")
    return rest.partition("'::")[0].replace("''", "'") if found else None


def read_back(connection: Connection, table: Table, columns: Sequence[str]) -> dict[str, Texts]:
    """What the table really holds in these columns, in one order always."""
    target = qualified(table.name.schema, table.name.name)
    listed = ", ".join(f"{identifier(name)}::text" for name in columns)
    order = ", ".join(f'{identifier(name)}::text COLLATE "C"' for name in columns)
    found = connection.execute(f"SELECT {listed} FROM {target} ORDER BY {order}").fetchall()  # noqa: S608
    lists: list[Texts] = [list(values) for values in zip(*found, strict=True)] or [[] for _ in columns]
    return dict(zip(columns, lists, strict=True))
