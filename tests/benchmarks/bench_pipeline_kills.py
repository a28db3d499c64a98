"""Kills of a pipeline's client over the patterns: rows lost, rows doubled.

    python tests/benchmarks/bench_pipeline_kills.py --kills 200

The kills are shared out among the patterns. Each is at a random moment of a run in a process of its own, on a fresh
database; the run is then done again, and what the targets and quarantine hold is compared row by row with an
uninterrupted run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from data_platform.pipeline.plan import chains
from data_platform.pipeline.prove.faults import Trials
from data_platform.pipeline.prove.trial import Made
from data_platform.postgres.server import embedded_server
from data_platform.spec import document
from data_platform.spec.pipeline import read_pipeline

EXAMPLES = Path(__file__).parents[2] / "examples" / "pipelines"
PATTERNS = {
    "append": "feed.yaml",
    "merge": "incremental.yaml",
    "scd2": "scd2.yaml",
    "etl": "etl.yaml",
    "snapshot": "snapshot.yaml",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    each = -(-given.kills // len(PATTERNS))
    bad = 0
    for pattern, file in PATTERNS.items():
        spec = read_pipeline(document.read(EXAMPLES / file))
        began = time.monotonic()
        with embedded_server() as server, tempfile.TemporaryDirectory(prefix="dpe-kills-") as folder:
            made = Made(spec, chains(spec), rows=given.rows, seed=given.seed)
            trials = Trials(server, made, Path(folder), given.seed)
            truth, _ = trials.truth()
            found = list(trials.killed(truth, each, lambda what, share: None))
        lost, doubled = sum(one.lost for one in found), sum(one.doubled for one in found)
        hit = sum(one.name == "client killed" for one in found)
        bad += sum(not one.equal for one in found)
        print(
            f"{pattern:>9}: {hit} of {len(found)} kills hit the run; {lost} rows lost, {doubled} doubled"
            f" ({time.monotonic() - began:.0f} s)",
            flush=True,
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
