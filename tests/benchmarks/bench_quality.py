"""Twenty checks of a table: against the same predicates in one hand-written scan, and against other tools.

python tests/benchmarks/bench_quality.py [--rows N] [--peers] [--rounds N] [--json FILE]

All rows are good: that is the common case, and the dearest, since every condition is asked to its end. Rounds take
turns, and the median of the ratios is said. The hand-written scan has each predicate as a person writes it (a regular
expression for each format). With --peers Great Expectations (its SQL engine, on the same server) and pandera (a pandas
frame, fetched by COPY as CSV; also fetched by pandas.read_sql, as its users mostly do, and without the fetching) do the
same checks, as our own export says them, in an environment that is built once below
${DPE_BENCH_HOME:-<user cache>/data-platform-engineer/bench}.
The exit code is 1 where a promise is missed. pandera is held to it with the faster fetching: without it a frame is in
memory already, which a table is not; the other figures are said too.
"""

from __future__ import annotations

# ruff: noqa: E402 - the path comes first
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from data_platform.pipeline.quality.asked import Asked
from data_platform.pipeline.quality.check import run_checks
from data_platform.pipeline.quality.export import TOOLS
from data_platform.postgres.quality.asking import reading
from data_platform.postgres.server import embedded_server
from quality.running import quality

TABLE = """
CREATE TABLE t (id bigint, email text, state text, country text, amount numeric(12, 2), quantity int, ratio float8,
                ordered date, code text, url text, uid text, day text);
INSERT INTO t SELECT g, 'person' || g || '@example.org', (ARRAY['new', 'paid', 'shipped', 'gone'])[1 + g % 4],
       (ARRAY['DE', 'FR', 'IT'])[1 + g % 3], (g % 100000) / 100.0, g % 50, (g % 1000) / 1000.0,
       date '2024-01-01' + (g % 700)::int, 'AB-' || lpad((g % 1000000)::text, 6, '0'),
       'https://example.org/p/' || g, md5(g::text)::uuid::text, (date '2024-01-01' + (g % 700)::int)::text
  FROM generate_series(1, {rows}) g;
VACUUM ANALYZE t;
"""
NAMES = ("id", "email", "state", "country", "amount", "quantity", "ratio", "ordered", "code")
CHECKS: list[dict[str, Any]] = [
    *({"check": "not_null", "columns": [name]} for name in NAMES),
    {"check": "format", "columns": ["email"], "format": "email"},
    {"check": "format", "columns": ["url"], "format": "url"},
    {"check": "format", "columns": ["uid"], "format": "uuid"},
    {"check": "format", "columns": ["day"], "format": "date"},
    {"check": "format", "columns": ["code"], "pattern": "^[A-Z]{2}-[0-9]{6}$"},
    {"check": "set", "columns": ["state"], "values": ["new", "paid", "shipped", "gone"]},
    {"check": "set", "columns": ["country"], "values": ["DE", "FR", "IT"]},
    {"check": "range", "columns": ["amount"], "min": 0, "max": 1000},
    {"check": "range", "columns": ["quantity"], "min": 0, "max": 50},
    {"check": "range", "columns": ["ratio"], "min": 0, "max": 1},
    {"check": "rows", "min": 1},
]
BY_HAND = [
    *(f"{name} IS NULL" for name in NAMES),
    r"email !~ '^[^@\s]+@[^@\s]+\.[^@\s]+$'",
    r"url !~ '^https?://[^\s/]+\S*$'",
    "uid !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'",
    "day !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'",
    "code !~ '^[A-Z]{2}-[0-9]{6}$'",
    "state NOT IN ('new', 'paid', 'shipped', 'gone')",
    "country NOT IN ('DE', 'FR', 'IT')",
    "amount NOT BETWEEN 0 AND 1000",
    "quantity NOT BETWEEN 0 AND 50",
    "ratio NOT BETWEEN 0 AND 1",
    "false",
]
MOST_BY_HAND, LEAST_PEERS = 2.0, 5.0
HELD = ("great expectations", "pandera with fetching")
PEERS = ("great_expectations>=1.3", "pandera[pandas]>=0.24", "pandas", "sqlalchemy", "psycopg2-binary")
EXPECTATIONS = """
import json, logging, sys, time
import great_expectations as gx
from great_expectations.core import ExpectationSuite
logging.disable(logging.CRITICAL)
suite = json.load(open(sys.argv[2]))
context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False}
source = context.data_sources.add_postgres("p", connection_string=sys.argv[1])
batch = source.add_table_asset("t", table_name="t").add_batch_definition_whole_table("b").get_batch()
suite = ExpectationSuite(name="s", expectations=[{k: e[k] for k in ("type", "kwargs")} for e in suite["expectations"]])
started = time.perf_counter()
found = batch.validate(suite)
seconds = time.perf_counter() - started
assert found.success and len(found.results) == 20, found
print(json.dumps({"seconds": seconds}))
"""
FRAMES = """
import io, json, runpy, sys, time
import pandas as pd, psycopg2, sqlalchemy
schema = runpy.run_path(sys.argv[2])["SCHEMAS"]["public.t"]
started = time.perf_counter()
with psycopg2.connect(sys.argv[1]) as connection, connection.cursor() as cursor:
    buffer = io.StringIO()
    cursor.copy_expert("COPY t TO STDOUT (FORMAT csv, HEADER)", buffer)
buffer.seek(0)
frame = pd.read_csv(buffer)
fetched = time.perf_counter()
schema.validate(frame, lazy=True)
done = time.perf_counter()
del frame, buffer
begun = time.perf_counter()
pd.read_sql("SELECT * FROM t", sqlalchemy.create_engine(sys.argv[3]))
print(json.dumps({"seconds": done - started, "alone": done - fetched, "read_sql": time.perf_counter() - begun}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    python = peers_python() if arguments.peers else None
    with embedded_server() as server, server.scratch_database() as database:
        with psycopg.connect(database.conninfo, autocommit=True) as connection:
            for statement in TABLE.format(rows=arguments.rows).split(";\n"):
                connection.execute(statement.encode())
        times: dict[str, list[float]] = {}
        for _ in range(arguments.rounds):
            times.setdefault("ours", []).append(ours(database.conninfo))
            times.setdefault("by hand", []).append(by_hand(database.conninfo))
            for name, seconds in theirs(python, database.conninfo).items() if python else ():
                times.setdefault(name, []).append(seconds)
    ratios = {
        name: statistics.median(a / b for a, b in zip(values, times["ours"], strict=True))
        for name, values in times.items()
    }
    missed = [f"{1 / ratios['by hand']:.2f} x by hand"] if 1 / ratios["by hand"] > MOST_BY_HAND else []
    missed += [
        f"{name} {ratios[name]:.2f} x ours" for name in HELD if ratios.get(name, LEAST_PEERS) < LEAST_PEERS
    ]
    told = {
        "rows": arguments.rows,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "rounds": arguments.rounds,
        "seconds": {name: round(statistics.median(values), 3) for name, values in times.items()},
        "ours_to_by_hand": round(1 / ratios["by hand"], 2),
        "times_ours": {name: round(ratio, 2) for name, ratio in ratios.items()},
        "missed": missed,
    }
    text = json.dumps(told, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    if missed:
        raise SystemExit(1)


def ours(conninfo: str) -> float:
    spec = quality(*({"on": "t", **check} for check in CHECKS))
    started = time.perf_counter()
    with reading(conninfo) as session:
        found = run_checks(session, spec.checks, Asked(), lambda text, share: None)
    seconds = time.perf_counter() - started
    assert all(one.state == "passed" for one in found), found
    return seconds


def by_hand(conninfo: str) -> float:
    counted = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in BY_HAND)
    started = time.perf_counter()
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(f"SELECT {counted} FROM t".encode()).fetchone()
    seconds = time.perf_counter() - started
    assert row is not None
    assert not any(row)
    return seconds


def theirs(python: str, conninfo: str) -> dict[str, float]:
    spec = quality(*({"on": "t", **check} for check in CHECKS))
    folder = peers_home()
    given = conninfo_to_dict(conninfo)
    url = f"postgresql+psycopg2://{given['user']}:{given['password']}@localhost/{given['dbname']}?host={given['host']}&port={given['port']}"
    found = {}
    (expectations,) = TOOLS["great-expectations"](spec).files.values()
    (folder / "suite.json").write_text(expectations)
    found["great expectations"] = run(python, EXPECTATIONS, url, str(folder / "suite.json"))["seconds"]
    (frames,) = TOOLS["pandera"](spec).files.values()
    (folder / "schemas.py").write_text(frames)
    frame = run(python, FRAMES, conninfo, str(folder / "schemas.py"), url)
    return {
        **found,
        "pandera with fetching": frame["seconds"],
        "pandera with read_sql": frame["alone"] + frame["read_sql"],
        "pandera alone": frame["alone"],
    }


def run(python: str, program: str, *words: str) -> dict[str, float]:
    done = subprocess.run([python, "-c", program, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def peers_home() -> Path:
    default = Path.home() / ".cache" / "data-platform-engineer" / "bench"
    folder = Path(os.environ.get("DPE_BENCH_HOME", default)) / "quality"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def peers_python() -> str:
    """The environment of the other tools, built where it is not there."""
    python = peers_home() / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "--clear", "-q", str(peers_home())], check=True)
        subprocess.run(["uv", "pip", "install", "-q", "--python", str(python), *PEERS], check=True)
    return str(python)


if __name__ == "__main__":
    main()
