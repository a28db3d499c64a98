"""What following costs: changes a second of a run of `pattern: cdc`, as a ratio to a subscription's apply worker.

python tests/benchmarks/bench_cdc.py [--changes N] [--long N] [--json FILE]

One table of five columns, updated once as a whole, in transactions of 1,000 rows; both read the same source, one after
the other, on embedded servers of the same settings. With --long the greatest memory of a run over one transaction of so
many rows is said beside that of a tenth of them; it exits with 1 where it is more than 1.2 times that.
"""

from __future__ import annotations

# ruff: noqa: E402 - the path comes first
import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from data_platform.pipeline.prove.following import LOGICAL
from data_platform.postgres.server import Database, embedded_server
from pipeline.running import do

SPEC = """
pattern: cdc
sources: [{name: t, dsn: "env:SOURCE", table: public.t}]
targets: [{table: dw.t, from: t, key: [id]}]
"""
TABLE = "CREATE TABLE t (id bigint PRIMARY KEY, a text, b numeric, c timestamptz, d int)"
FILL = "INSERT INTO t SELECT g, 'text ' || g, g / 7.0, now(), g % 100 FROM generate_series(1, {n}) g"
UPDATE = "UPDATE t SET a = a || '.', b = b + 1 WHERE id > {n} AND id <= {n} + 1000"
BEHIND = "SELECT count(*) FROM t WHERE a LIKE '%.'"


def on(database: Database, text: str) -> int:
    with psycopg.connect(database.admin_conninfo, autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        row = cursor.fetchone() if cursor.description else None
        return int(row[0]) if row else 0


def measure(changes: int) -> dict[str, float]:
    with (
        embedded_server(settings=LOGICAL) as one,
        embedded_server() as two,
        one.scratch_database() as source,
        two.scratch_database() as ours,
        two.scratch_database() as theirs,
        tempfile.TemporaryDirectory() as folder,
    ):
        on(source, TABLE)
        on(source, FILL.format(n=changes))
        on(source, "CREATE PUBLICATION peer FOR TABLE t")
        on(theirs, TABLE)
        addresses = {"t": source.admin_conninfo}
        do(ours, Path(folder), SPEC, addresses=addresses)
        subscribe = f"CREATE SUBSCRIPTION peer CONNECTION '{source.admin_conninfo}' PUBLICATION peer"
        on(theirs, subscribe)
        while on(theirs, "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'"):
            time.sleep(0.1)
        on(theirs, "ALTER SUBSCRIPTION peer DISABLE")
        for number in range(0, changes, 1_000):
            on(source, UPDATE.format(n=number))
        began = time.monotonic()
        done = do(ours, Path(folder), SPEC, addresses=addresses).counts
        run = time.monotonic() - began
        assert done.updated == changes
        began = time.monotonic()
        on(theirs, "ALTER SUBSCRIPTION peer ENABLE")
        while on(theirs, BEHIND) < changes:
            time.sleep(0.05)
        peer = time.monotonic() - began
        on(theirs, "DROP SUBSCRIPTION peer")
        on(source, "SELECT count(pg_drop_replication_slot(slot_name)) FROM pg_replication_slots")
    return {"run_per_s": changes / run, "subscription_per_s": changes / peer, "ratio": peer / run}


ONCE = """
import re, sys
sys.path[:0] = {path!r}
from pathlib import Path
import bench_cdc
from pipeline.running import do
done = do(bench_cdc.At(sys.argv[1]), Path(sys.argv[3]), bench_cdc.SPEC, addresses={{"t": sys.argv[2]}}).counts
assert done.read == int(sys.argv[4]), done
# Linux's ru_maxrss is that of the parent, where the parent had more when it forked.
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@dataclass(frozen=True)
class At:
    """A database that is there."""

    conninfo: str


def memory(rows: int) -> int:
    """MB that a run over one transaction takes at most, of a process of its own."""
    path = [str(Path(__file__).parent), *sys.path[:2]]
    with (
        embedded_server(settings=LOGICAL) as one,
        embedded_server() as two,
        one.scratch_database() as source,
        two.scratch_database() as ours,
        tempfile.TemporaryDirectory() as folder,
    ):
        on(source, TABLE)
        addresses = {"t": source.admin_conninfo}
        do(ours, Path(folder), SPEC, addresses=addresses)
        on(source, FILL.format(n=rows))
        words = [ours.conninfo, source.admin_conninfo, folder, str(rows)]
        command = [sys.executable, "-c", ONCE.format(path=path), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        on(source, "SELECT count(pg_drop_replication_slot(slot_name)) FROM pg_replication_slots")
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return int(done.stdout.split()[-1]) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--long", type=int, metavar="ROWS")
    arguments = parser.parse_args()
    if arguments.long:
        small, large = memory(arguments.long // 10), memory(arguments.long)
        print(
            f"one transaction: {small} MB for {arguments.long // 10:,} rows, {large} MB for {arguments.long:,}"
        )
        sys.exit(1 if large > 1.2 * small else 0)
    found = measure(arguments.changes)
    print(
        f"{arguments.changes:,} updates: run {found['run_per_s']:,.0f}/s,"
        f" subscription {found['subscription_per_s']:,.0f}/s, ratio {found['ratio']:.2f}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
