"""A hundred thousand changes merged into a million rows: a pipeline's run, beside dlt and beside SQL written by hand.

    python tests/benchmarks/bench_pipeline_merge.py [--rows 1000000] [--changes 100000] [--pairs 3]

The changes are a Parquet file: half new keys, half known ones, of which every tenth is gone. Each pair is a run of ours
(pattern incremental, with a key and a version) and one of the other, each into a fresh database that holds the rows
already, vacuumed; only the merge is timed, and a ratio is of one pair. dlt runs in an environment of its own with its
strategy `upsert` and a column `hard_delete`: by default, which is rows as dictionaries, and from Arrow with its two
faster ways of loading; the fastest is what our promise is judged by. From Arrow its table has no key, which ours must
keep up: `with key` is the same merge into a table that has one. By hand it is COPY of the same rows as CSV into a
temporary table, DELETE and INSERT … ON CONFLICT. What the tables hold is compared by a sum of hashes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import numpy as np
import psycopg
import pyarrow as pa
from bench_pipeline_load import DLT_PACKAGES, TABLE, TYPES, Digest, address, copy_csv, differs, digest, make
from peers import python_of
from pyarrow import csv, parquet

from data_platform.pipeline.run import run
from data_platform.pipeline.streams import Place
from data_platform.postgres.server import Server, embedded_server
from data_platform.spec import document
from data_platform.spec.pipeline import read_pipeline

SPEC = f"""
kind: pipeline
store: Bench
name: merge
pattern: incremental
sources:
  - {{name: rows, path: 'in/*.parquet', columns: {json.dumps({**TYPES, "gone": "boolean"})}, deletes: {{column: gone}}}}
targets: [{{table: public.loaded, from: rows, key: [id], version: at}}]
"""
BY_HAND = (
    "DELETE FROM loaded t USING stage s WHERE s.gone AND t.id = s.id",
    f"INSERT INTO loaded AS t SELECT {', '.join(TYPES)} FROM stage WHERE NOT gone ON CONFLICT (id) DO UPDATE SET"
    f" {', '.join(f'{name} = excluded.{name}' for name in TYPES if name != 'id')} WHERE excluded.at >= t.at",
)
DLT = """
import json, sys, time
import dlt, psycopg2, pyarrow.parquet as parquet
base, changes, url, way, state = sys.argv[1:6]
way, _, key = way.partition(" ")
def merged(file, loader):
    def rows():
        for batch in parquet.ParquetFile(file).iter_batches(batch_size=100_000):
            yield batch.to_pylist() if way == "default" else batch
    how = {"disposition": "merge", "strategy": "upsert"}
    resource = dlt.resource(rows, name="loaded", primary_key="id", write_disposition=how,
                            columns={"gone": {"hard_delete": True}})
    pipeline.run(resource, **({"loader_file_format": loader} if loader != "default" else {})).raise_on_failed_jobs()
pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(url), dataset_name="public", pipelines_dir=state)
merged(base, "parquet")
connection = psycopg2.connect(url)
connection.autocommit = True
if key:
    connection.cursor().execute("ALTER TABLE loaded ADD PRIMARY KEY (id)")
connection.cursor().execute("VACUUM ANALYZE loaded")
started = time.perf_counter()
merged(changes, way)
print(json.dumps({"seconds": time.perf_counter() - started}))
"""
LOADERS = ("default", "csv", "parquet", "parquet with key")
PROMISED = 2.0


def make_changes(folder: Path, changes: int) -> None:
    """`base.parquet`, `changes.parquet` and `changes.csv` from the rows of the load, with the column `gone`."""
    rows = parquet.read_table(folder / "rows.parquet")
    count = len(rows)
    parquet.write_table(rows.append_column("gone", pa.array(np.zeros(count, bool))), folder / "base.parquet")
    draw = np.random.default_rng(2)
    half = changes // 2
    known = draw.choice(count, half, replace=False)
    taken = rows.take(pa.array(np.concatenate([known, draw.choice(count, changes - half)])))
    ids = np.concatenate([known, np.arange(count, count + changes - half)])
    later = pa.array(np.full(changes, np.datetime64("2026-01-01T00:00:00.000000")), pa.timestamp("us", "UTC"))
    gone = np.zeros(changes, bool)
    gone[:half:10] = True
    new = {"id": pa.array(ids), "customer": pa.array(np.full(changes, 7, "int32")), "at": later}
    columns = {name: new.get(name, taken[name]) for name in TYPES} | {"gone": pa.array(gone)}
    table = pa.table(columns).take(pa.array(draw.permutation(changes)))
    parquet.write_table(table, folder / "changes.parquet")
    csv.write_csv(table, folder / "changes.csv")


@dataclass
class Bench:
    server: Server
    folder: Path
    wanted: Digest | None = None
    missed: bool = False

    def timed(self, way: Callable[..., float], *arguments: str) -> float:
        """Of a merge in a fresh database, whose rows are compared with those of the first."""
        with self.server.scratch_database() as database:
            seconds = way(self, database.conninfo, *arguments)
            found = digest(database, "loaded")
        self.wanted = self.wanted or found
        self.missed |= differs(found, self.wanted, is_dlt=way is Bench.dlt)
        return seconds

    def ours(self, conninfo: str) -> float:
        """Of a run that finds the changes beside a file that was loaded before."""
        with tempfile.TemporaryDirectory(dir=self.folder) as base:
            spec, files = Path(base) / "spec.yaml", Path(base) / "in"
            spec.write_text(SPEC, encoding="utf-8")
            files.mkdir()
            (files / "1.parquet").hardlink_to(self.folder / "base.parquet")
            run(read_pipeline(document.read(spec)), Place(conninfo, Path(base)))
            vacuum(conninfo)
            (files / "2.parquet").hardlink_to(self.folder / "changes.parquet")
            started = time.perf_counter()
            run(read_pipeline(document.read(spec)), Place(conninfo, Path(base)))
            return time.perf_counter() - started

    def by_hand(self, conninfo: str) -> float:
        with psycopg.connect(conninfo) as connection:
            connection.execute(TABLE)
            copy_csv(connection, "loaded", self.folder / "rows.csv")
        vacuum(conninfo)
        started = time.perf_counter()
        with psycopg.connect(conninfo) as connection:
            connection.execute("CREATE TEMP TABLE stage AS SELECT *, false AS gone FROM loaded LIMIT 0")
            copy_csv(connection, "stage", self.folder / "changes.csv")
            connection.execute("ANALYZE stage")
            for statement in BY_HAND:
                connection.execute(statement.encode())
        return time.perf_counter() - started

    def dlt(self, conninfo: str, loader: str) -> float:
        with tempfile.TemporaryDirectory() as state:
            files = [str(self.folder / f"{name}.parquet") for name in ("base", "changes")]
            command = [
                str(python_of("dlt", DLT_PACKAGES)),
                "-c",
                DLT,
                *files,
                address(conninfo),
                loader,
                state,
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=state)
        if done.returncode:
            raise RuntimeError(done.stderr[-1500:])
        return float(json.loads(done.stdout.splitlines()[-1])["seconds"])

    def beside(self, name: str, way: Callable[..., float], pairs: int, *arguments: str) -> list[float]:
        """Ratios of the other's time to ours."""
        ours, theirs = [], []
        for _ in range(pairs):
            ours.append(self.timed(Bench.ours))
            theirs.append(self.timed(way, *arguments))
        ratios = [one / other for one, other in zip(theirs, ours, strict=True)]
        told = ", ".join(f"{one:.2f}" for one in ratios)
        print(
            f"{name:>14}: {median(theirs):.2f} s, ours {median(ours):.2f} s, ratio {median(ratios):.2f}; {told}",
            flush=True,
        )
        return ratios


def vacuum(conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE loaded")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=3)
    given = parser.parse_args()
    with embedded_server() as server, tempfile.TemporaryDirectory(prefix="dpe-merge-") as folder:
        bench = Bench(server, Path(folder))
        make(bench.folder, given.rows)
        make_changes(bench.folder, given.changes)
        print(f"{server.describe()}: {given.changes:,} changes into {given.rows:,} rows")
        bench.beside("by hand", Bench.by_hand, given.pairs)
        found = {one: bench.beside(f"dlt, {one}", Bench.dlt, given.pairs, one) for one in LOADERS}
    default = median(found["default"])
    fastest = min(median(ratios) for ratios in found.values())
    print(f"dlt's upsert: {default:.2f} by default, its fastest {fastest:.2f} (promised {PROMISED})")
    return 1 if bench.missed or fastest < PROMISED else 0


if __name__ == "__main__":
    sys.exit(main())
