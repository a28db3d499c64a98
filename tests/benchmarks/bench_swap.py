"""A snapshot of 200,000 rows changed in place and exchanged for a new table: time, the worst wait of a reader, bytes.

python tests/benchmarks/bench_swap.py
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts")]

from data_platform.pipeline.run import run  # noqa: E402
from data_platform.pipeline.streams import Place  # noqa: E402
from data_platform.postgres.server import Database, embedded_server  # noqa: E402
from data_platform.spec import document  # noqa: E402
from data_platform.spec.pipeline import read_pipeline  # noqa: E402

ROWS = 200_000
CONTEXT = multiprocessing.get_context("spawn")
SPEC = """
kind: pipeline
store: Shop DB
name: p
pattern: snapshot
sources: [{{name: prices, path: prices.csv, columns: {{id: int, name: text, price: int, kind: int}}}}]
targets: [{{table: prices, key: [id], swap: {swap}}}]
"""


def write(folder: Path, share: float, turn: int) -> None:
    """The whole list, with so much of it changed."""
    with (folder / "prices.csv").open("w", encoding="utf-8") as out:
        out.write("id,name,price,kind\n")
        for number in range(ROWS):
            price = turn if number < ROWS * share else 0
            out.write(f"{number},name {number},{price},{number % 50}\n")


def read_on(conninfo: str, done: Any, worst: Any) -> None:
    """Reads one row after another, in a process of its own; the longest wait."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        number = 0
        while not done.is_set():
            begun = time.perf_counter()
            connection.execute("SELECT price FROM prices WHERE id = %s", [number % ROWS]).fetchone()
            worst.value = max(worst.value, time.perf_counter() - begun)
            number += 1


def one(database: Database, query: str) -> Any:
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def measured(server: Any, share: float, *, swap: bool) -> tuple[float, float, float, float]:
    """Seconds of three runs, worst wait of a reader in ms, MB of the table afterwards, MB of WAL."""
    with server.scratch_database() as database, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "spec.yaml"
        file.write_text(SPEC.format(swap=str(swap).lower()))
        spec, place = read_pipeline(document.read(file)), Place(database.conninfo, folder)
        write(folder, share, 1)
        run(spec, place)
        one(database, "CREATE INDEX ON prices (kind, price)")
        done, worst = CONTEXT.Event(), CONTEXT.Value("d", 0.0)
        reader = CONTEXT.Process(target=read_on, args=(database.conninfo, done, worst))
        reader.start()
        before = one(database, "SELECT pg_current_wal_lsn()")
        seconds = 0.0
        for turn in (2, 3, 4):
            write(folder, share, turn)
            begun = time.perf_counter()
            run(spec, place)
            seconds += time.perf_counter() - begun
        done.set()
        reader.join()
        wal = one(database, f"SELECT pg_current_wal_lsn() - '{before}'::pg_lsn")
        size = one(database, "SELECT pg_total_relation_size('prices')")
        return seconds, worst.value * 1000, size / 1e6, float(wal) / 1e6


def main() -> None:
    print(
        "| rows changed | way | 3 runs, s | worst read, ms | table, MB | WAL, MB |\n|---|---|---|---|---|---|"
    )
    with embedded_server(settings={"wal_level": "replica"}) as server:
        for share in (0.01, 0.2, 1.0):
            for swap in (False, True):
                found = measured(server, share, swap=swap)
                way = "swap" if swap else "in place"
                print(f"| {share:.0%} | {way} | " + " | ".join(f"{value:,.1f}" for value in found) + " |")


if __name__ == "__main__":
    main()
