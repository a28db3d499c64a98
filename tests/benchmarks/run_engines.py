"""The same specs on PostgreSQL, DuckDB and Spark: what is the same, what is refused, what differs.

python tests/benchmarks/run_engines.py [--scale S] [--messy ROWS] [--only duckdb|spark] [--part tpch|messy|batches]

Each statement of tpch.yaml (the shapes of TPC-H's queries) and messy.yaml is the transform of a spec, which is run by
`pipeline run` and as the rendered project; then specs that merge, and that keep a history, over three files with keys
that come twice, late versions and deletions. Rows are compared, and told by number and digest. Exit code 1 where rows
differ and nobody was told. "stops" is an engine's own error: nothing is written then. Scale 1 has 1,500,000 orders.
"""

from __future__ import annotations

# ruff: noqa: E402 - the path comes first
import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from data_platform.pipeline.engines.running import is_there, spark_session
from data_platform.postgres.server import Database, Server, embedded_server
from pipeline.engines.compare import Compared, There, compare, difference, digest, forget, here
from pipeline.engines.shapes import MESSY, ROWS, TABLES, TPCH, merging, spec_for, write_messy, write_tpch
from pipeline.running import do

Verdicts = dict[str, Compared]


def statements(
    server: Server, database: Database, folder: Path, engines: list[There], part: str
) -> Iterator[tuple[str, Verdicts]]:
    of, tables = (TPCH, TABLES) if part == "tpch" else (MESSY, {"rows": ROWS})
    for name, sql in of.items():
        fresh = [There(one.engine, folder, one.session) for one in engines]
        yield name, compare(server, database, spec_for(sql, tables), fresh)


def batches(
    server: Server, database: Database, folder: Path, engines: list[There], rows: int
) -> Iterator[tuple[str, Verdicts]]:
    """Three files, one after another; all must be the same after each."""
    for pattern in ("incremental", "scd"):
        forget(database)
        text = merging(pattern)
        fresh = [There(one.engine, folder, one.session) for one in engines]
        refused = {one.engine: one.render(server, text) for one in fresh}
        for number in (1, 2, 3, 4):
            if number < 4:  # the fourth run finds nothing new
                write_messy(folder / "in" / f"batch{number}.csv", rows, number, keys=rows // 2)
            do(database, folder, text)
            names, expected = here(database)
            found: Verdicts = {}
            for one in fresh:
                if refused[one.engine]:
                    found[one.engine] = Compared("refused", told=refused[one.engine])
                    continue
                one.run()
                there = one.rows(names)
                told = "" if there == expected else difference(names, expected, there)
                found[one.engine] = Compared("DIFFERS" if told else "same", len(there), digest(there), told)
            yield f"{pattern}, run {number}", found
        for file in (folder / "in").glob("batch*.csv"):
            file.unlink()


def show(name: str, found: Verdicts) -> None:
    cells = [f"{engine}: {one.verdict} {one.rows:,} {one.digest}".rstrip() for engine, one in found.items()]
    print(f"{name:28} " + " | ".join(f"{cell:38}" for cell in cells), flush=True)
    for engine, one in found.items():
        if one.told:
            print(f"{'':30}{engine}: {' '.join(one.told.split())[:300]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=0.001)
    parser.add_argument("--messy", type=int, default=400, help="messy rows in each file")
    parser.add_argument("--only", choices=("duckdb", "spark"))
    parser.add_argument("--part", choices=("tpch", "messy", "batches"), help="only this")
    given = parser.parse_args()
    asked = [given.only] if given.only else ["duckdb", "spark"]
    session: Any = spark_session() if "spark" in asked and is_there("spark") else None
    if "spark" in asked and session is None:
        print("Spark was not compared: it is not here")
        asked.remove("spark")
    all_found: list[Compared] = []
    with tempfile.TemporaryDirectory(prefix="dpe-engines-") as name, embedded_server() as server:
        folder = Path(name)
        write_tpch(folder / "in", given.scale)
        write_messy(folder / "in" / "rows.csv", given.messy, 7)
        engines = [There(engine, folder, session) for engine in asked]
        with server.scratch_database(extensions=["btree_gist"]) as database:
            parts = {one: statements(server, database, folder, engines, one) for one in ("tpch", "messy")}
            parts["batches"] = batches(server, database, folder, engines, given.messy)
            for part in [parts[given.part]] if given.part else parts.values():
                for title, found in part:
                    show(title, found)
                    all_found += found.values()
    many = {
        one: sum(each.verdict == one for each in all_found) for one in sorted({e.verdict for e in all_found})
    }
    print(", ".join(f"{count} {verdict}" for verdict, count in many.items()))
    return 1 if many.get("DIFFERS") else 0


if __name__ == "__main__":
    raise SystemExit(main())
