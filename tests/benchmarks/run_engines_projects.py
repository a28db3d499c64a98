"""Rendered projects, run by SQLMesh in an environment of its own, and compared row by row with a run of ours.

python tests/benchmarks/run_engines_projects.py [--only NAME]

The specs of tests/pipeline/engines/shop.py over files of two days, and one with names and texts that SQL could trip
over; the project is planned after each day. Exit code 1 where rows differ. Needs uv and a package index.
"""

from __future__ import annotations

# ruff: noqa: E402 - the path comes first
import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from data_platform.postgres.server import embedded_server
from pipeline.engines.mesh import ALL, Mesh, compared


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="the spec of this name")
    given = parser.parse_args()
    broken = False
    with tempfile.TemporaryDirectory(prefix="dpe-projects-") as name, embedded_server() as server:
        began = time.monotonic()
        mesh = Mesh(Path(name) / "environment")
        print(f"environment: {time.monotonic() - began:.0f} s", flush=True)
        for number, (title, text) in enumerate(ALL.items()):
            if given.only in (None, title):
                began = time.monotonic()
                told = compared(server, mesh, Path(name) / str(number), text)
                broken |= not told.startswith(("same", "refused"))
                print(f"{title}: {told} ({time.monotonic() - began:.1f} s)", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
