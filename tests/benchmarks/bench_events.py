"""What an append costs: events a second through `append`, as a ratio to a bare INSERT; and what reading on costs.

python tests/benchmarks/bench_events.py [--events N] [--json FILE]

One client, a transaction an event. The bare INSERT goes into a table with the same columns, keys and indexes, and says
stream and version itself. Projected events are applied one by one, in order, in transactions of 1,000.
"""

from __future__ import annotations

# ruff: noqa: E402 - the path comes first
import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from data_platform.pipeline.events import EventStore, Projection, advance, projection_tables, store_tables
from data_platform.postgres.server import embedded_server
from data_platform.sql.text import Sql

STORE = EventStore("events")
COUNTED = Projection(
    name="counted",
    feed=STORE.feed,
    tables=(Sql("CREATE TABLE seen (stream text PRIMARY KEY, n bigint NOT NULL)"),),
    handlers={
        "Paid": Sql("INSERT INTO seen VALUES (e.stream, 1) ON CONFLICT (stream) DO UPDATE SET n = seen.n + 1")
    },
)
PAYLOAD = '{"amount": 100, "currency": "EUR", "note": "a text of ordinary length, as events have"}'
APPEND = f'SELECT events.append(%s, %s, \'[{{"type": "Paid", "payload": {PAYLOAD}}}]\')'
INSERT = f"INSERT INTO bare (stream, version, type, payload) VALUES (%s, %s + 1, 'Paid', '{PAYLOAD}')"


def rate(count: int, one: Callable[[int], Any]) -> float:
    """Calls a second."""
    began = time.monotonic()
    for number in range(count):
        one(number)
    return count / (time.monotonic() - began)


def measure(connection: psycopg.Connection[Any], events: int) -> dict[str, float]:
    for statement in (*store_tables(STORE), *projection_tables(COUNTED)):
        connection.execute(statement.encode())
    connection.execute("CREATE TABLE bare (LIKE events.events INCLUDING ALL)")

    def run(statement: str) -> Callable[[int], Any]:
        return lambda n: connection.execute(statement.encode(), [f"s{n % 100}", n // 100])

    found = {"insert": rate(events, run(INSERT)), "append": rate(events, run(APPEND))}
    began, applied = time.monotonic(), 0
    while True:
        row = connection.execute(advance(COUNTED).encode()).fetchone()
        if not row or not row[0]:
            break
        applied += row[0]
    return {**found, "projected": applied / (time.monotonic() - began)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with (
        embedded_server() as server,
        server.scratch_database() as database,
        psycopg.connect(database.conninfo, autocommit=True) as connection,
    ):
        rates = measure(connection, asked.events)
        print(f"{server.describe()}: {asked.events:,} events on 100 streams")
        for way, a_second in rates.items():
            print(f"{way:10} {a_second:8,.0f} a second  {a_second / rates['insert']:5.2f}")
    if asked.json:
        asked.json.write_text(json.dumps(rates))


if __name__ == "__main__":
    main()
