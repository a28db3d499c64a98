"""Kills of a pipeline's client over the patterns: rows lost, rows doubled.

    python tests/benchmarks/bench_pipeline_kills.py --kills 200

The kills are shared out among the patterns. Each is at a random moment of a run in a process of its own, on a fresh
database; the run is then done again, and what the targets and quarantine hold is compared row by row with an
uninterrupted run. A backfill (`--since`, `--until`) goes over a range of which rows were lost and spoilt after a load,
and must leave what that load had left.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from data_platform.pipeline.plan import chains
from data_platform.pipeline.prove.child import Child, begun
from data_platform.pipeline.prove.faults import Fault, Trials, Truth, compared
from data_platform.pipeline.prove.following import LOGICAL
from data_platform.pipeline.prove.trial import Made, Trial, trial
from data_platform.pipeline.run import run
from data_platform.pipeline.streams import Place
from data_platform.postgres.server import embedded_server
from data_platform.spec import document
from data_platform.spec.pipeline import read_pipeline

EXAMPLES = Path(__file__).parents[2] / "examples" / "pipelines"
PATTERNS = {
    "append": "feed.yaml",
    "merge": "incremental.yaml",
    "cdc": "cdc.yaml",
    "scd2": "scd2.yaml",
    "backfill": None,
    "etl": "etl.yaml",
    "snapshot": "snapshot.yaml",
}
BACKFILL = """
kind: pipeline
store: Customer DB
name: readings
pattern: incremental
sources:
  - name: readings
    dsn: env:METERS_URL
    table: public.readings
    columns: {meter_id: bigint, read_at: timestamptz, value: "numeric(12, 3)", note: text}
    cursor: {column: read_at, kind: value}
targets:
  - {table: shop.readings, key: [meter_id], version: read_at}
"""
SINCE, UNTIL = "2026-01-01 02:00+00", "2026-01-02 02:00+00"
SPOIL = (
    "DELETE FROM shop.readings WHERE read_at >= %s AND read_at < %s AND meter_id %% 2 = 0",
    "UPDATE shop.readings SET note = 'spoilt', value = -1 WHERE read_at >= %s AND read_at < %s",
)


@dataclass
class Spoilt(Trial):
    """A target that was loaded and then lost and spoilt rows of a range; its runs are backfills of that range."""

    def start(self) -> Child:
        place = Place(self.database.conninfo, self.folder, addresses=self.addresses, since=SINCE, until=UNTIL)
        return begun(self.file, place)


class Backfills(Trials):
    """Kills of backfills. After one and another one the target is as it was before it was spoilt."""

    def truth(self) -> tuple[Truth, Fault]:
        with trial(self.server, self.made, self.fresh()) as one:
            run(self.made.spec, self._place(one))
            wanted = one.content()
        with self.world() as one:
            spoilt = one.content()
            child = one.start()
            started = time.monotonic()
            child.end()
            seconds = time.monotonic() - started
            assert spoilt != wanted, "nothing was spoilt"
            return Truth(wanted, seconds), compared("run", "the first time", wanted, one.content())

    @contextmanager
    def world(self, *, copied: bool = False) -> Iterator[Spoilt]:
        with trial(self.server, self.made, self.fresh()) as one:
            run(self.made.spec, self._place(one))
            with psycopg.connect(one.database.conninfo) as connection:
                for statement in SPOIL:
                    connection.execute(statement.encode(), [SINCE, UNTIL])
            yield Spoilt(*(getattr(one, each.name) for each in fields(one)))

    def _place(self, one: Trial) -> Place:
        return Place(one.database.conninfo, one.folder, addresses=one.addresses)


def killed(pattern: str, file: Path, rows: int, seed: int, count: int) -> list[Fault]:
    """So many kills of one pattern, after a run that nobody disturbs and that must be right."""
    spec = read_pipeline(document.read(file))
    with ExitStack() as stack:
        server = stack.enter_context(embedded_server())
        source = stack.enter_context(embedded_server(settings=LOGICAL)) if spec.pattern == "cdc" else None
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dpe-kills-"))
        made = Made(spec, chains(spec), rows=rows, seed=seed, followed=source)
        family = Backfills if pattern == "backfill" else Trials
        trials = family(server, made, Path(folder), seed)
        truth, first = trials.truth()
        print(f"{pattern:>9}: {truth.seconds:.2f} s undisturbed", flush=True)
        return [first, *trials.killed(truth, count, lambda what, share: None)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patterns", nargs="+", choices=PATTERNS, default=list(PATTERNS))
    given = parser.parse_args()
    each = -(-given.kills // len(given.patterns))
    bad = 0
    with tempfile.TemporaryDirectory(prefix="dpe-spec-") as folder:
        own = Path(folder) / "backfill.yaml"
        own.write_text(BACKFILL, encoding="utf-8")
        for pattern in given.patterns:
            began = time.monotonic()
            file = PATTERNS[pattern]
            first, *found = killed(pattern, EXAMPLES / file if file else own, given.rows, given.seed, each)
            lost, doubled = sum(one.lost for one in found), sum(one.doubled for one in found)
            hit = sum(one.name == "client killed" for one in found)
            wrong = [one for one in (first, *found) if not one.equal]
            bad += len(wrong)
            print(
                f"{pattern:>9}: {hit} of {len(found)} kills hit the run, {spread(found)}; {lost} rows lost,"
                f" {doubled} doubled ({time.monotonic() - began:.0f} s)",
                flush=True,
            )
            for one in wrong[:5]:
                print(f"           {one.name} at {one.at}: {one.why}")
    return 1 if bad else 0


def spread(found: list[Fault]) -> str:
    """From when to when after the begin of the run the kills were."""
    moments = [float(one.at.split()[0]) for one in found if one.name == "client killed"]
    return f"{min(moments):.2f} to {max(moments):.2f} s after its begin" if moments else "none"


if __name__ == "__main__":
    sys.exit(main())
