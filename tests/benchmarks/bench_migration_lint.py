"""`dpe migration lint` beside squawk (PyPI `squawk-cli`, on PATH): labelled cases, and a thousand small files.

    python tests/benchmarks/bench_migration_lint.py [--cases DIR] [--files N]

Cases are scored where a folder of them is given: true where a label expects or forbids a hazard and the linter agrees.
Squawk's rules are mapped to the hazards by hand, in its favour where it is open. Seconds are of whole processes on the
same files, the best of several runs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from migration.lint.cases import Case, Score, cases, reported, score  # noqa: E402

SCOPE = "## Project Scope\n\n### Active Roles\n- Data Platform Engineer: Bench\n"
RUNS = 5
SQUAWK = {
    "adding-field-with-default": ("add-column-volatile-default", "table-rewrite"),
    "adding-foreign-key-constraint": ("fk-not-valid-missing",),
    "adding-not-nullable-field": ("set-not-null-scan",),
    "adding-serial-primary-key-field": ("unique-constraint-blocking",),
    "ban-alter-domain-with-add-constraint": ("check-not-valid-missing",),
    "ban-concurrent-index-creation-in-transaction": ("concurrently-in-transaction",),
    "ban-drop-column": ("drop-breaks-clients", "data-loss"),
    "ban-drop-schema": ("drop-breaks-clients", "data-loss"),
    "ban-drop-database": ("drop-breaks-clients", "data-loss"),
    "ban-drop-table": ("drop-breaks-clients", "data-loss"),
    "ban-truncate-cascade": ("data-loss",),
    "changing-column-type": ("column-type-change", "table-rewrite"),
    "constraint-missing-not-valid": (
        "check-not-valid-missing",
        "fk-not-valid-missing",
        "access-exclusive-long",
    ),
    "disallowed-unique-constraint": ("unique-constraint-blocking",),
    "prefer-bigint-over-int": ("int-pk-overflow",),
    "prefer-bigint-over-smallint": ("int-pk-overflow",),
    "prefer-identity": ("serial-not-identity",),
    "prefer-text-field": ("varchar-limit",),
    "prefer-timestamp-tz": ("timestamp-without-tz",),
    "renaming-column": ("rename-breaks-clients",),
    "renaming-table": ("rename-breaks-clients",),
    "require-concurrent-index-creation": ("index-not-concurrent",),
    "require-concurrent-index-deletion": ("index-not-concurrent",),
    "require-concurrent-partition-detach": ("access-exclusive-long",),
    "require-concurrent-reindex": ("index-not-concurrent",),
    "require-lock-timeout": ("missing-lock-timeout",),
}
TEXTS = (
    "ALTER TABLE t{n} ADD COLUMN c{m} integer DEFAULT 10;",
    "CREATE INDEX i{n}_{m} ON t{n} (c{m});",
    "ALTER TABLE t{n} ADD CONSTRAINT k{n} FOREIGN KEY (a) REFERENCES u{m} (id) NOT VALID;\n"
    "ALTER TABLE t{n} VALIDATE CONSTRAINT k{n};",
    "CREATE TABLE n{n} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);",
    "SET lock_timeout = '2s';\nALTER TABLE t{n} ALTER COLUMN c SET NOT NULL;",
    "BEGIN;\nALTER TABLE t{n} ADD COLUMN x uuid DEFAULT gen_random_uuid();\nCOMMIT;",
    "DROP TABLE IF EXISTS t{n};",
    "UPDATE t{n} SET a = 1 WHERE id = {m};",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS q{n} ON t{n} (a, b) WHERE c > 0;",
)


def squawk_reports(case: Case) -> frozenset[str]:
    """The hazards that squawk's findings stand for."""
    wrapped = ["--assume-in-transaction"] if case.transaction == "wrapped" else []
    command = ["squawk", "--reporter", "json", "--pg-version", f"{case.version}.0", *wrapped]
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(case.sql)
        file.flush()
        done = subprocess.run([*command, file.name], capture_output=True, text=True, check=False)
    names = {found["rule_name"] for found in json.loads(done.stdout or "[]")}
    return frozenset(hazard for name in names for hazard in SQUAWK.get(name, ()))


def scored(at: Path) -> None:
    """Both linters on the same cases."""
    given = list(cases(at))
    print(f"{len(given)} cases")
    print(_line("dpe", score((case, reported(case)) for case in given)))
    print(_line("squawk", score((case, squawk_reports(case)) for case in given)))


def _line(name: str, done: Score) -> str:
    counts = ", ".join(f"{key} {done.counts[key]}" for key in ("tp", "fp", "fn", "tn"))
    return f"{name:<8} recall {done.recall:.3f}  precision {done.precision:.3f}  ({counts})"


def files(at: Path, number: int) -> Iterator[Path]:
    """Small migrations of one to three statements."""
    chance = random.Random(7)
    for n in range(number):
        path = at / f"{n:05}.sql"
        texts = (
            chance.choice(TEXTS).format(n=n, m=chance.randrange(50)) for _ in range(chance.randrange(1, 4))
        )
        path.write_text("\n".join(texts) + "\n")
        yield path


def seconds(command: Sequence[str], at: Path) -> float:
    """The best of several runs of a process."""
    best = float("inf")
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run(command, cwd=at, capture_output=True, check=False)
        best = min(best, time.perf_counter() - started)
    return best


def timed(number: int) -> None:
    """Files a second of both, process start included, and ours without it."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        (at / "CLAUDE.md").write_text(SCOPE)
        (at / "many").mkdir()
        made = [str(path) for path in files(at / "many", number)]
        (at / "one.sql").write_text("SELECT 1;\n")
        ours = [sys.executable, str(ROOT / "scripts" / "dpe.py"), "migration", "lint"]
        all_files, one = seconds([*ours, "many"], at), seconds([*ours, "one.sql"], at)
        theirs = seconds(["squawk", *made], at)
    print(f"{number} files, {os.cpu_count()} cores")
    print(f"dpe      {all_files:.2f} s, {number / all_files:,.0f} files/s; {one:.2f} s of it to start")
    print(f"squawk   {theirs:.2f} s, {number / theirs:,.0f} files/s")
    print(f"ratio    {theirs / all_files:.2f}; without our start {theirs / (all_files - one):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=Path, help="a folder of labelled cases with index.json")
    parser.add_argument("--files", type=int, default=1000)
    arguments = parser.parse_args()
    if shutil.which("squawk") is None:
        sys.exit("squawk is not on PATH: pip install squawk-cli")
    if arguments.cases:
        scored(arguments.cases)
    timed(arguments.files)


if __name__ == "__main__":
    main()
