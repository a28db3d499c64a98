"""Every named operation at a million rows with live clients: the longest stall, rows lost, and the way back.

python tests/benchmarks/bench_migration_operations.py [--rows N] [--only WORD ...] [--json FILE]

The cases are those of tests/migration/operations. Each plan is run up as it is handed out, by the same prover as
`dpe migration prove`: the old application's clients until the contract phase, the new one's in it; then down on a few
rows. Beside each stall stands how long a client of the same run waited before the migration began.
"""

from __future__ import annotations

# ruff: noqa: E402 - the path comes first
import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from data_platform.migration.files import Statement, read_bytes
from data_platform.migration.formats.context import Patience
from data_platform.migration.formats.session import sent
from data_platform.migration.plan.prove import Reached
from data_platform.migration.plan.step import Step
from data_platform.migration.prove.options import Base, Options
from data_platform.migration.prove.prove import SETTINGS, prove
from data_platform.migration.prove.result import Proof, RoundTrip
from data_platform.migration.prove.verdict import judge
from data_platform.postgres.load import Script
from data_platform.postgres.server import Server, embedded_server
from migration.operations.test_operations import BASE, VECTORS, _id, _listed, planned

ALLOWED = 0.1
"""Seconds that a client may wait beyond lock_timeout."""


@dataclass(frozen=True)
class Row:
    """What came of one operation."""

    operation: str
    verdict: str
    seconds: float
    read_stall_s: float
    write_stall_s: float
    idle_s: float
    reasons: tuple[str, ...]
    blocks: bool
    """Whether a step says that it keeps clients waiting."""
    back: bool | None
    not_back: tuple[str, ...]
    """What the way back does not give back, and no step has said so."""
    lost: tuple[str, ...]

    @property
    def wrong(self) -> bool:
        return bool(self.not_back) or (self.verdict == "failed" and not self.blocks)


def written(steps: Iterable[Step], *, down: bool = False) -> tuple[Statement, ...]:
    """The statements of the steps as files hold them, with their limits."""
    texts = []
    for step in steps:
        given = sent(
            step.down if down else step.up,
            Patience(),
            transaction=step.transaction,
            blocks=step.blocks is not None,
        )
        sql = "".join(f"{one};\n" for one in given)
        texts.append(f"BEGIN;\n{sql}COMMIT;\n" if step.transaction and sql else sql)
    return read_bytes("down.sql" if down else "up.sql", "".join(texts).encode(), "as-written").statements


def deployed_after(steps: Sequence[Step]) -> int | None:
    """The last statement before the contract phase, where there is one."""
    early = written(step for step in steps if step.phase != "contract")
    return (early[-1].number if early else 0) if len(early) < len(written(steps)) else None


def measured(server: Server, base: str, reached: Reached, name: str, rows: int) -> Row:
    """The plan run and taken back."""
    steps = reached.plan.steps
    options = Options(
        default_rows=rows,
        stall_s=ALLOWED,
        kills=False,
        allow_data_loss=frozenset(_not_named_any_more(reached)),
        deploy_after=deployed_after(steps),
    )
    started = time.perf_counter()
    down = written(reversed(steps), down=True)
    proof = prove(written(steps), Base(scripts=(Script("base.sql", base),)), server, options, down=down)
    proof = _judged(proof, steps, options)
    return _row(name, proof, steps, time.perf_counter() - started)


def _judged(proof: Proof, steps: Sequence[Step], options: Options) -> Proof:
    """Once more, without refusals to clients that a step says it ends: policies want what these do not set."""
    ending = [number for number, step in _owners(steps) if step.ends_old]
    left = [one for one in proof.client_errors if one.sqlstate != "42501" or one.statement not in ending]
    verdict, reasons = judge(replace(proof, client_errors=tuple(left)), options)
    return replace(proof, verdict=verdict, reasons=reasons)


def _owners(steps: Sequence[Step]) -> Iterator[tuple[int, Step]]:
    """The number of each statement, and its step."""
    number = 0
    for step in steps:
        for _ in written([step]):
            number += 1
            yield number, step


def _not_named_any_more(reached: Reached) -> Iterator[str]:
    """What only the old schema has, and what steps say is lost: the new application names none of it."""
    kept = {(table.name, column.name) for table in reached.after.tables for column in table.columns}
    for step in reached.plan.steps:
        yield from step.lost
        if step.one_way and step.name.startswith("clear_"):
            yield from _made_up(reached, step.one_way)
    for table in reached.before.tables:
        for column in table.columns:
            if (table.name, column.name) not in kept:
                yield f"{table.name}.{column.name}"


def _made_up(reached: Reached, told: str) -> Iterator[str]:
    """The columns that a step says come back otherwise."""
    for table in reached.before.tables:
        yield from (f"{table.name}.{column.name}" for column in table.columns if f"{column.name} as " in told)


def _row(name: str, proof: Proof, steps: Sequence[Step], seconds: float) -> Row:
    return Row(
        operation=name,
        verdict=proof.verdict,
        seconds=round(seconds, 1),
        read_stall_s=max((one.max_read_stall_s or 0.0 for one in proof.statements), default=0.0),
        write_stall_s=max((one.max_write_stall_s or 0.0 for one in proof.statements), default=0.0),
        idle_s=proof.idle_latency_s,
        reasons=proof.reasons,
        blocks=any(step.blocks for step in steps),
        back=proof.round_trip.reversible,
        not_back=() if any(step.one_way for step in steps) else tuple(_not_back(proof.round_trip, steps)),
        lost=tuple(one.object for one in proof.lost),
    )


def _not_back(trip: RoundTrip, steps: Sequence[Step]) -> Iterator[str]:
    """What differs after up and down, but for what the steps say is lost."""
    if trip.error or trip.again:
        yield str(trip.error or trip.again)
    told = {name for step in steps for name in step.lost}
    yield from (one.object for one in trip.lost if not _within(one.object, told))
    if trip.differences:
        yield from (*trip.differences.added, *trip.differences.removed)
        yield from (
            f"{one.object} ({one.property})"
            for one in trip.differences.changed
            if one.property != "column order"
        )


def _within(name: str, told: set[str]) -> bool:
    return name in told or name.rpartition(".")[0] in told


def cases(only: Sequence[str]) -> list[tuple[str, list[dict[str, object]]]]:
    """The base and the operations of each case that is asked for."""
    listed = [(BASE, one) for one in _listed("base")] + [(VECTORS, one) for one in _listed("vectors")]
    return [
        (base, one) for base, one in listed if any(word in _id(one) + yaml.safe_dump(one) for word in only)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="*", default=[""])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found: list[dict[str, Any]] = []
    print(f"{'operation':<28}{'verdict':<10}{'s':>7}{'read':>8}{'write':>8}{'idle':>8}  back  against it")
    for base, operations in cases(arguments.only):
        with tempfile.TemporaryDirectory() as folder, embedded_server(settings=SETTINGS) as server:
            reached = planned(server, Path(folder), base, operations)
            row = measured(server, base, reached, _id(operations), arguments.rows)
        found.append(asdict(row) | {"asked": operations, "wrong": row.wrong})
        times = f"{row.seconds:7.1f}{row.read_stall_s:8.3f}{row.write_stall_s:8.3f}{row.idle_s:8.3f}"
        back = "yes" if row.back else "NO" if row.not_back else "–" if row.back is None else "said"
        print(
            f"{row.operation:<28}{row.verdict[:9]:<10}{times}  {back:<5} {'; '.join((*row.reasons, *row.not_back))}",
            flush=True,
        )
        if arguments.json:
            arguments.json.write_text(json.dumps(found, indent=1, default=str))
    wrong = [row for row in found if row["wrong"]]
    print(f"{len(found)} operations, {len(wrong)} with something against them")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
