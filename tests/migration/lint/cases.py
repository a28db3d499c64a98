"""Labelled cases of public linters, where this machine has them: how they are read and scored.

The cases are other people's texts and stay outside of the project; DPE_MIGRATION_CASES names their folder.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_platform.migration.files import read_bytes
from data_platform.migration.lint.base import from_scripts, nothing_known
from data_platform.migration.lint.lint import lint

NEVER_SCORED = ("other",)


@dataclass(frozen=True)
class Case:
    """One migration with what its labels expect and forbid."""

    name: str
    sql: str
    schema: str
    transaction: str
    version: int
    expected: frozenset[str]
    forbidden: frozenset[str]


def folder() -> Path | None:
    """Where the cases are, if they are here."""
    given = os.environ.get("DPE_MIGRATION_CASES")
    return Path(given) if given else None


def cases(at: Path) -> Iterator[Case]:
    """The cases that are scored; a label that PostgreSQL 18 refuted is dropped."""
    for entry in json.loads((at / "index.json").read_text()):
        if entry["label_scope"] != "context":
            yield _case(entry, (at / entry["file"]).read_text())


def _case(entry: dict[str, Any], sql: str) -> Case:
    refuted = {
        text.removeprefix("source says ").partition(";")[0] for text in entry["label_disputed_by_pg18"]
    }
    return Case(
        entry["name"],
        sql,
        entry["needs_schema_sql"] or "",
        entry["txn"],
        int(entry["pg_version"] or 18),
        frozenset(entry["expected_hazards"]) - refuted - set(NEVER_SCORED),
        frozenset(entry["forbidden_hazards"]) - set(NEVER_SCORED),
    )


def reported(case: Case) -> frozenset[str]:
    """The names of the rules that the linter reports."""
    base = (
        from_scripts([read_bytes("base.sql", case.schema.encode(), "as-written")])
        if case.schema
        else nothing_known()
    )
    transaction = "wrapped" if case.transaction == "wrapped" else "as-written"
    script = read_bytes(f"{case.name}.sql", case.sql.encode(), transaction)
    return frozenset(f.rule for one in lint([script], base, case.version) for f in one.findings)


@dataclass
class Score:
    """Counts, and the names of what was missed or wrongly told."""

    counts: Counter[str]
    missed: list[tuple[str, str]]
    wrong: list[tuple[str, str]]

    @property
    def recall(self) -> float:
        return self.counts["tp"] / (self.counts["tp"] + self.counts["fn"])

    @property
    def precision(self) -> float:
        return self.counts["tp"] / (self.counts["tp"] + self.counts["fp"])


def score(results: Iterator[tuple[Case, frozenset[str]]]) -> Score:
    """Expected and reported, expected and not, forbidden and reported."""
    done = Score(Counter(), [], [])
    for case, found in results:
        done.counts["tp"] += len(case.expected & found)
        done.counts["tn"] += len(case.forbidden - found)
        done.missed += [(case.name, rule) for rule in sorted(case.expected - found)]
        done.wrong += [(case.name, rule) for rule in sorted(case.forbidden & found)]
    done.counts["fn"], done.counts["fp"] = len(done.missed), len(done.wrong)
    return done
