"""The Quality Checklist, item by item: proven by this run, failed in it, or not checked and why."""

from __future__ import annotations

from collections.abc import Sequence

from data_platform.report.document import Check, Code, Inline
from data_platform.report.finding import Finding
from data_platform.schema.prove.result import Measured, Proof, Scan

NORMALISED = "Schema properly normalized (or intentionally denormalized)"
INDEXED = "Indexes on frequently queried columns"

RARE = 1 / 3600
"""A pattern that is asked less than once an hour may read a whole table."""
SMALL_TABLE = 1_000
"""Below this number of rows reading a whole table is what a good plan does."""
LARGE_SHARE = 0.2
"""A plan that keeps more than this share of what it reads does not need an index."""

NORMALISATION_RULES = frozenset({"repeated-columns", "array-of-ids", "polymorphic-association"})

_ELSEWHERE = "not a property of a schema; nothing in this run touches it"


def checklist(proof: Proof, findings: Sequence[Finding]) -> tuple[Check, ...]:
    """The items of the role's Quality Checklist, in its order."""
    return (
        _normalised(findings),
        _indexed(proof),
        _on_delete(proof),
        Check("Connection pooling configured", "not checked", f"{_ELSEWHERE}: see your pooler's settings"),
        Check(
            "Backup strategy implemented and tested", "not checked", f"{_ELSEWHERE}: restore a backup to know"
        ),
        Check(
            "Monitoring for slow queries",
            "not checked",
            f"{_ELSEWHERE}: pg_stat_statements on the live server",
        ),
        _quality(proof),
        Check("Recovery procedure tested", "not checked", f"{_ELSEWHERE}: rehearse it against a clock"),
    )


def _normalised(findings: Sequence[Finding]) -> Check:
    claim = NORMALISED
    smells = [f for f in findings if f.rule in NORMALISATION_RULES and f.severity != "info"]
    if smells:
        return Check(
            claim, "failed", _run(f"{len(smells)} finding(s): ", [finding.object or "" for finding in smells])
        )
    reason = (
        "no repeated column groups, lists of ids or references without a table; "
        "which columns depend on each other only real rows tell"
    )
    return Check(claim, "not checked", reason)


def _indexed(proof: Proof) -> Check:
    claim = INDEXED
    if not proof.patterns:
        return Check(claim, "not checked", "the model has no access patterns")
    if not all(fill.rows for fill in proof.filled):
        return Check(claim, "not checked", "not every table has rows")
    if any(measured.error for measured in proof.patterns):
        return Check(claim, "failed", "not every access pattern runs")
    slow = [measured.pattern.name for measured in proof.patterns if wasteful_scans(measured)]
    if slow:
        return Check(claim, "failed", _run("whole tables are read for few rows by ", slow))
    return Check(
        claim,
        "proven",
        f"{len(proof.patterns)} access patterns planned and run; none reads a large table for few rows",
    )


def wasteful_scans(measured: Measured) -> list[Scan]:
    """Sequential scans of tables with at least 1,000 rows that throw most of them away.

    Not those of rare patterns, nor those that the planner prefers to an index that is there: it knows the size.
    """
    rare = measured.pattern.per_second is not None and measured.pattern.per_second < RARE
    if rare:
        return []
    indexed = {relation for relation, _ in measured.usable_indexes}
    return [
        scan
        for scan in measured.scans
        if scan.node in ("Seq Scan", "Parallel Seq Scan")
        and scan.relation not in indexed
        and scan.rows + scan.removed >= SMALL_TABLE
        and scan.rows < LARGE_SHARE * (scan.rows + scan.removed)
    ]


def _on_delete(proof: Proof) -> Check:
    claim = "Foreign keys with appropriate ON DELETE"
    failed = [probe.constraint for probe in proof.deletes if probe.state == "failed"]
    tried = [probe for probe in proof.deletes if probe.state == "proven"]
    if failed:
        return Check(claim, "failed", _run("did not do what they say: ", failed))
    if not proof.deletes:
        return Check(claim, "not checked", "the model has no foreign keys")
    rest = len(proof.deletes) - len(tried)
    if rest:
        return Check(
            claim,
            "not checked",
            f"{len(tried)} of {len(proof.deletes)} tried by deleting a parent; {rest} could not be",
        )
    return Check(claim, "proven", f"all {len(tried)} tried by deleting a parent; each did what it says")


def _quality(proof: Proof) -> Check:
    claim = "Data quality checks in pipelines"
    failed = [probe.constraint for probe in proof.constraints if probe.state == "failed"]
    if failed:
        return Check(claim, "failed", _run("accepted a row that breaks them: ", failed))
    held = sum(probe.state == "proven" for probe in proof.constraints)
    return Check(
        claim,
        "not checked",
        f"pipelines are outside this run; in the database {held} constraints refused bad rows",
    )


def _run(words: str, names: Sequence[str]) -> Inline:
    shown = [part for name in names[:5] for part in (Code(name), ", ")][:-1]
    return (words, *shown, f" and {len(names) - 5} more") if len(names) > 5 else (words, *shown)
