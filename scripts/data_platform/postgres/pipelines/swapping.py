"""A table built anew beside the old one, with all that hangs on it, and exchanged for it by name.

The rows are frozen as they are copied in: also a reader whose snapshot is older than the new table sees them, where it
would see an empty table else. Readers wait while the names are exchanged and until the transaction ends.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import errors

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.postgres.pipelines.beside import Beside, before, created, exchanging
from data_platform.postgres.pipelines.relations import Relation
from data_platform.postgres.pipelines.sessions import Passing
from data_platform.postgres.queries import query
from data_platform.sql.text import Sql, identifiers, phrase, qualified

Connection = psycopg.Connection[Any]
_WAIT_MS, _TRIES, _PAUSE_SECONDS = 200, 25, 0.2
_CHUNK = 1 << 20


def described(connection: Connection, table: int) -> Mapping[str, Any]:
    """All that hangs on a table and goes with it."""
    row = connection.execute(query("hanging_on"), {"table": table}).fetchone()
    return dict(row[0]) if row else {}


def refuse_dependents(connection: Connection, schema: str, name: str) -> tuple[int, Mapping[str, Any]]:
    """The table's oid and what hangs on it. UsageProblem where something holds on to the table itself."""
    row = connection.execute("SELECT %s::regclass::oid", [qualified(schema, name)]).fetchone()
    assert row is not None
    table = int(row[0])
    hanging = described(connection, table)
    found = [told for (told,) in connection.execute(query("holding_on"), {"table": table})]
    if hanging["kind"] != "r":
        found.append("its partitions")
    if found:
        raise UsageProblem(
            f"{qualified(schema, name)} cannot be exchanged for a new table: {', '.join(found)} would keep the old one",
            expected="a table that nothing refers to but by its name",
            try_="leave out `swap: true`: what differs is then changed in place, in one transaction",
        )
    return table, hanging


def made_by_itself(connection: Connection, name: Name) -> frozenset[str]:
    """Columns whose values the table makes itself, others each time."""
    hanging = refuse_dependents(connection, name.schema, name.name)[1]
    return frozenset(one["column"] for one in hanging["sequences"] if one["identity"])


def built_or_refused(
    connection: Connection, name: Name, target: Relation, rows: Sql, columns: Sequence[str]
) -> Beside | None:
    """The new table with the rows of a query, its indexes, constraints and statistics, while nobody waits.

    None where the rows break a constraint; then nothing was built.
    """
    try:
        with connection.transaction():
            return _built(connection, name, target, rows, columns)
    except psycopg.IntegrityError:
        return None


def _built(connection: Connection, name: Name, target: Relation, rows: Sql, columns: Sequence[str]) -> Beside:
    table, hanging = refuse_dependents(connection, name.schema, name.name)
    made = Beside(name.schema, name.name, table, hanging)
    connection.execute(created(made, target.name).encode())
    made = replace(made, rows=_copy(connection, made, rows, columns))
    for statement in before(made):
        connection.execute(statement.encode())
    return made


def _copy(connection: Connection, made: Beside, rows: Sql, columns: Sequence[str]) -> int:
    """Out of the query into a file, and from there into the table that this transaction has made: so it may freeze."""
    out = phrase("COPY ({rows}) TO STDOUT (FORMAT binary)", rows=rows)
    into = phrase(
        "COPY {beside} ({columns}) FROM STDIN (FORMAT binary, FREEZE)",
        beside=made.beside,
        columns=identifiers(columns),
    )
    with tempfile.TemporaryFile() as held, connection.cursor() as cursor:
        with cursor.copy(out.encode()) as copied:
            for block in copied:
                held.write(block)
        held.seek(0)
        with cursor.copy(into.encode()) as copying:
            while block := held.read(_CHUNK):
                copying.write(block)
        return cursor.rowcount


# --- the exchange ---


def exchange(connection: Connection, made: Beside) -> None:
    """The new table under the old one's name, and the old one gone.

    Passing where somebody holds the table for too long, or changed what hangs on it meanwhile.
    """
    _lock(connection, made)
    if described(connection, made.old) != made.hanging:
        raise Passing(
            f"{made.table} was changed while its successor was built", try_="the same command again"
        )
    for statement in exchanging(made):
        connection.execute(statement.encode())


def discard(connection: Connection, made: Beside) -> None:
    """Without an exchange."""
    connection.execute(phrase("DROP TABLE {beside}", beside=made.beside).encode())


def _lock(connection: Connection, made: Beside) -> None:
    """Everybody who comes later waits behind us: so only for moments, and again."""
    lock = phrase("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE", table=made.table).encode()
    held = connection.execute("SHOW lock_timeout").fetchone()
    assert held is not None
    for number in range(_TRIES):
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = {_WAIT_MS}".encode())
                connection.execute(lock)
                connection.execute(b"SELECT set_config('lock_timeout', %s, true)", held)
        except errors.LockNotAvailable as error:
            if number == _TRIES - 1:
                raise Passing(
                    f"{made.table} is held by somebody: {error.diag.message_primary}",
                    try_="the same command again",
                ) from error
            time.sleep(_PAUSE_SECONDS)
        else:
            return
