"""A million rows of eleven columns into a table with a primary key: a pipeline's run, beside COPY and beside dlt.

    python tests/benchmarks/bench_pipeline_load.py [--rows 1000000] [--pairs 3] [--peers] [--memory]

Each pair is a run of ours and `psql \\copy` of the same CSV (where there is no psql, the same COPY through psycopg)
into the same table, each in a fresh database, one after the other; a ratio is of one pair. dlt runs in an environment
of its own, as its documentation says: by default, which is rows as dictionaries, and from Arrow with its two faster
ways of loading, CSV by COPY and Parquet by ADBC. What the tables hold is compared by a sum of hashes; dlt's CSV has no
empty text that is not NULL, which is told and let pass. `--memory`: the greatest memory of a run of ten times the rows
over that of one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import numpy as np
import psycopg
import pyarrow as pa
from peers import python_of
from psycopg.conninfo import conninfo_to_dict
from pyarrow import csv, parquet

from data_platform.pipeline.run import run
from data_platform.pipeline.streams import Place
from data_platform.postgres.server import Database, Server, embedded_server
from data_platform.spec import document
from data_platform.spec.pipeline import read_pipeline

TYPES = {
    "id": "bigint", "customer": "integer", "product": "integer", "quantity": "smallint", "price": "numeric(10, 2)",
    "note": "text", "status": "text", "ok": "boolean", "day": "date", "at": "timestamptz", "share": "double precision",
}  # fmt: skip
SPEC = """
kind: pipeline
store: Bench
name: load
pattern: incremental
sources: [{{name: rows, path: {file}, columns: {columns}}}]
targets: [{{table: public.loaded, from: rows, key: [id]}}]
"""
TABLE = (
    f"CREATE TABLE loaded ({', '.join(f'{name} {type_}' for name, type_ in TYPES.items())}, PRIMARY KEY (id))"
)
CAST = ", ".join(f"{name}::{type_}" for name, type_ in TYPES.items())
"""As of one type each: dlt makes others of its own."""
DIGEST = f"SELECT count(*), sum(hashtextextended(ROW({CAST})::text, 0)::numeric) FROM {{table}}"
ONCE = """
import re, sys
sys.path[:0] = {path!r}
from bench_pipeline_load import load
load(sys.argv[1], sys.argv[2])
# Linux's ru_maxrss is that of the parent, where the parent had more when it forked.
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""
DLT = """
import json, sys, time
import dlt, pyarrow.parquet as parquet
file, url, loader = sys.argv[1:4]
def rows():
    for batch in parquet.ParquetFile(file).iter_batches(batch_size=100_000):
        yield batch.to_pylist() if loader == "default" else batch
to = dlt.destinations.postgres(url)
pipeline = dlt.pipeline("bench", destination=to, dataset_name="public", pipelines_dir=sys.argv[4])
started = time.perf_counter()
resource = dlt.resource(rows, name="loaded", primary_key="id", write_disposition="append")
pipeline.run(resource, **({"loader_file_format": loader} if loader != "default" else {})).raise_on_failed_jobs()
print(json.dumps({"seconds": time.perf_counter() - started}))
"""
DLT_PACKAGES = ("dlt[postgres]>=1.5", "pyarrow", "numpy", "adbc-driver-postgresql", "adbc-driver-manager")
PROMISED = {"csv": 0.9, "parquet": 0.9, "dlt's fastest": 1.5, "dlt's default": 5.0}


def make(folder: Path, rows: int) -> None:
    """The same rows as CSV and as Parquet, a million at a time."""
    draw = np.random.default_rng(1)
    notes = np.array(["", "left at the door", 'rings twice, "quoted"', "línea äöü", "x" * 60], dtype=object)
    states = np.array(["new", "paid", "sent", "returned"], dtype=object)
    written: list[Any] = []
    for first in range(0, rows, 1_000_000):
        count = min(1_000_000, rows - first)
        whole = draw.integers(0, 1_000_000, count)
        at = (1_700_000_000_000_000 + draw.integers(0, 10**13, count)).astype("datetime64[us]")
        note = notes[draw.integers(0, 5, count)]
        note[draw.random(count) < 0.1] = None
        columns = {
            "id": pa.array(np.arange(first, first + count)),
            "customer": pa.array(draw.integers(1, 50_000, count).astype("int32")),
            "product": pa.array(draw.integers(1, 5_000, count).astype("int32")),
            "quantity": pa.array(draw.integers(1, 99, count).astype("int16")),
            "price": pa.array(whole).cast(pa.decimal128(19, 0)).cast(pa.decimal128(10, 2)),
            "note": pa.array(note),
            "status": pa.array(states[draw.integers(0, 4, count)]),
            "ok": pa.array(draw.random(count) < 0.5),
            "day": pa.array(at.astype("datetime64[D]")),
            "at": pa.array(at, pa.timestamp("us", tz="UTC")),
            "share": pa.array(draw.random(count)),
        }
        table = pa.table(columns)
        if not written:
            written = [
                csv.CSVWriter(folder / "rows.csv", table.schema),
                parquet.ParquetWriter(folder / "rows.parquet", table.schema),
            ]
        for one in written:
            one.write_table(table)
    for one in written:
        one.close()


def load(conninfo: str, file: str) -> float:
    """Seconds of a run of ours from a file."""
    path = Path(file)
    spec = path.with_name(f"{path.suffix[1:]}.yaml")
    spec.write_text(SPEC.format(file=path.name, columns=json.dumps(TYPES)), encoding="utf-8")
    started = time.perf_counter()
    run(read_pipeline(document.read(spec)), Place(conninfo, path.parent))
    return time.perf_counter() - started


def copy(conninfo: str, file: Path) -> float:
    """Seconds of `\\copy` of the CSV."""
    with psycopg.connect(conninfo) as connection:
        connection.execute(TABLE)
    command = f"\\copy loaded FROM '{file}' WITH (FORMAT csv, HEADER)"
    started = time.perf_counter()
    if psql := shutil.which("psql"):
        subprocess.run([psql, "-qX", "-v", "ON_ERROR_STOP=1", "-c", command, conninfo], check=True)
    else:
        with psycopg.connect(conninfo) as connection:
            copy_csv(connection, "loaded", file)
    return time.perf_counter() - started


def copy_csv(connection: psycopg.Connection[Any], table: str, file: Path) -> None:
    """COPY of a CSV with a header through psycopg."""
    statement = f"COPY {table} FROM STDIN WITH (FORMAT csv, HEADER)"
    with connection.cursor() as cursor, file.open("rb") as source, cursor.copy(statement.encode()) as into:
        while block := source.read(1 << 20):
            into.write(block)


def address(conninfo: str) -> str:
    """As a URL, which dlt wants, and with a host in its place; the socket's folder comes after it and is taken."""
    parts = conninfo_to_dict(conninfo)
    who = f"{parts['user']}:{parts.get('password', '')}"
    return f"postgresql://{who}@localhost:{parts['port']}/{parts['dbname']}?host={parts['host']}"


def by_dlt(conninfo: str, file: Path, loader: str) -> float:
    """Seconds of dlt, in an environment of its own."""
    with tempfile.TemporaryDirectory() as state:
        command = [
            str(python_of("dlt", DLT_PACKAGES)),
            "-c",
            DLT,
            str(file),
            address(conninfo),
            loader,
            state,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=state)
    if done.returncode:
        raise RuntimeError(done.stderr[-1500:])
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


@dataclass
class Bench:
    server: Server
    folder: Path
    wanted: Digest | None = None
    missed: bool = False

    def timed(self, way: Any, *arguments: Any, table: str = "loaded") -> float:
        """Of a load into a fresh database, whose rows are compared with those of the first."""
        with self.server.scratch_database() as database:
            seconds = float(way(database.conninfo, *arguments))
            found = digest(database, table)
        self.wanted = self.wanted or found
        self.missed |= differs(found, self.wanted, is_dlt=way is by_dlt)
        return seconds

    def judge(self, name: str, ratios: list[float]) -> None:
        promised = PROMISED[name]
        self.missed |= median(ratios) < promised
        told = ", ".join(f"{one:.2f}" for one in ratios)
        print(f"{name:>14}: {median(ratios):.2f} (promised {promised}); {told}", flush=True)


@dataclass(frozen=True)
class Digest:
    """Of a table's rows; `alike` takes an empty text for NULL."""

    exact: Any
    alike: Any


def digest(database: Database, table: str) -> Digest:
    alike = DIGEST.replace("note::text", "nullif(note, '')")
    with psycopg.connect(database.conninfo) as connection:
        connection.execute("SET timezone = 'UTC'")
        exact, alike = (
            connection.execute(query.format(table=table).encode()).fetchone() for query in (DIGEST, alike)
        )
    return Digest(exact, alike)


def differs(found: Digest, wanted: Digest, *, is_dlt: bool) -> bool:
    """Whether a table holds other rows than it should, which is told."""
    if found == wanted:
        return False
    if is_dlt and found.alike == wanted.alike:
        print("  (dlt has made NULL of empty texts)", flush=True)
        return False
    print(f"  other rows: {found} instead of {wanted}", flush=True)
    return True


def speed(bench: Bench, pairs: int) -> None:
    print(f"over {'psql' if shutil.which('psql') else 'COPY through psycopg, there is no psql'}:")
    for kind in ("csv", "parquet"):
        ratios = []
        for _ in range(pairs):
            theirs = bench.timed(copy, bench.folder / "rows.csv")
            ours = bench.timed(load, str(bench.folder / f"rows.{kind}"))
            ratios.append(theirs / ours)
        bench.judge(kind, ratios)


def beside_dlt(bench: Bench, pairs: int) -> None:
    found: dict[str, list[float]] = {}
    for loader in ("default", "csv", "parquet"):
        for _ in range(pairs):
            ours = bench.timed(load, str(bench.folder / "rows.parquet"))
            try:
                theirs = bench.timed(by_dlt, bench.folder / "rows.parquet", loader)
            except RuntimeError as error:
                print(f"dlt, {loader}: {error}")
                break
            found.setdefault(loader, []).append(theirs / ours)
        print(
            f"  dlt, {loader}: {', '.join(f'{one:.2f}' for one in found.get(loader, []))} times our time",
            flush=True,
        )
    bench.judge("dlt's default", found["default"])
    bench.judge("dlt's fastest", min((found[one] for one in found), key=median))


def memory(bench: Bench, rows: int) -> None:
    peaks: dict[str, list[int]] = {}
    path = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "scripts")]
    for count in (rows, 10 * rows):
        make(bench.folder, count)
        for kind in ("csv", "parquet"):
            with bench.server.scratch_database() as database:
                command = [
                    sys.executable,
                    "-c",
                    ONCE.format(path=path),
                    database.conninfo,
                    str(bench.folder / f"rows.{kind}"),
                ]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
            peaks.setdefault(kind, []).append(int(done.stdout.split()[-1]) // 1024)
    for kind, (small, large) in peaks.items():
        print(
            f"memory, {kind}: {small} MB for {rows:,} rows, {large} MB for {10 * rows:,} ({large / small:.2f})"
        )
        bench.missed |= large > 1.2 * small


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    with embedded_server() as server, tempfile.TemporaryDirectory(prefix="dpe-load-") as folder:
        bench = Bench(server, Path(folder))
        make(bench.folder, given.rows)
        speed(bench, given.pairs)
        if given.peers:
            beside_dlt(bench, given.pairs)
        if given.memory:
            memory(bench, given.rows)
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
