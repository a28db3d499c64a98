"""What a proof has against a design, as findings: each one measured, with its place in the spec."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from data_platform.model.design import Design, Mark
from data_platform.report.finding import Finding
from data_platform.schema.prove import remedies
from data_platform.schema.prove.checklist import wasteful_scans
from data_platform.schema.prove.result import DEFAULT, Claim, IndexUse, Measured, Proof

RULES = {DEFAULT: "default-fails"}
"""By the kind of probe; all others are constraints."""
STAGE_RULES = {
    "partitions": ("partition-fails", "partition-advice"),
    "isolation": ("isolation-broken", "isolation-gap"),
    "triggers": ("trigger-fails", "trigger-advice"),
    "grants": ("privilege-differs", "privilege-advice"),
}
"""For what a stage claims: the rule where it is broken, and that of a warning."""


def findings(design: Design, proof: Proof) -> Iterator[Finding]:
    """What the run has against the design, each measured."""
    yield from _run_findings(design, proof)
    yield from _catalog_findings(design, proof)
    for measured in proof.patterns:
        yield from _pattern_findings(design, measured)
    yield from _probe_findings(design, proof)
    yield from _claim_findings(design, proof)
    yield from _data_findings(design, proof)


def _run_findings(design: Design, proof: Proof) -> Iterator[Finding]:
    if proof.refused:
        message = f"{proof.refused.sqlstate}: {proof.refused.message}"
        finding = _finding(design, "ddl-refused", "error", message, proof.refused.object, remedies.REFUSED)
        yield _placed(finding, design.mark(proof.refused.table) if proof.refused.table else None)
    if proof.broken:
        yield _finding(design, "run-ended-early", "error", proof.broken, fix=remedies.RUN_ENDED)
    if proof.verdict == "not_provable":
        for reason in proof.reasons:
            yield _finding(design, "not-provable", "error", reason, fix=remedies.NOT_PROVABLE)


def _catalog_findings(design: Design, proof: Proof) -> Iterator[Finding]:
    if proof.catalog:
        for change in proof.catalog.changed:
            message = f"the model says {change.property} {change.before}, the server has {change.after}"
            yield _finding(design, "catalog-differs", "error", message, change.object, remedies.CATALOG)
        for name in (*proof.catalog.added, *proof.catalog.removed):
            side = "only on the server" if name in proof.catalog.added else "only in the model"
            yield _finding(design, "catalog-differs", "error", side, name, remedies.CATALOG)


def _probe_findings(design: Design, proof: Proof) -> Iterator[Finding]:
    for probe in (*proof.constraints, *proof.deletes):
        if probe.state == "failed":
            rule = RULES.get(probe.kind, "constraint-accepts-bad-row")
            rule = "on-delete-fails" if probe.kind.startswith("on delete") else rule
            name = f"{probe.table}.{probe.constraint}"
            finding = _finding(design, rule, "error", probe.detail, name, remedies.of_probe(probe))
            yield _placed(finding, design.mark(probe.table))


def _claim_findings(design: Design, proof: Proof) -> Iterator[Finding]:
    for stage, claims in proof.claims.items():
        broken, doubtful = STAGE_RULES[stage]
        for claim in claims:
            mark = _claim_mark(design, claim)
            who = f" (as {claim.role})" if claim.role else ""
            if claim.state == "failed":
                message = f"{claim.claim}{who}: {claim.detail}"
                fix = remedies.of_claim(claim)
                yield _placed(_finding(design, broken, "error", message, claim.object, fix), mark)
            if claim.warning:
                yield _placed(_finding(design, doubtful, "warning", claim.warning, claim.object), mark)
    for refresh in proof.refreshes:
        name = str(refresh.view)
        if refresh.state == "failed":
            fix = remedies.of_refresh(design.database, refresh)
            yield _finding(design, "refresh-fails", "error", refresh.detail, name, fix)
        if refresh.warning:
            fix = "a unique index over plain columns"
            yield _finding(design, "refresh-blocks-readers", "warning", refresh.warning, name, fix)
    for part in proof.left_out:
        yield _finding(design, "not-run-here", "info", part.why, part.object)


def _claim_mark(design: Design, claim: Claim) -> Mark | None:
    """Where the object stands in the spec."""
    if claim.table:
        return design.mark(claim.table)
    section = {"view": "views", "function": "functions", "procedure": "functions"}.get(claim.kind)
    section = "materialized_views" if claim.kind == "materialized view" else section
    name = claim.object.partition("(")[0]
    keys = (name, name.rpartition(".")[2])
    return next(
        (design.marks[section, key] for key in keys if section and (section, key) in design.marks), None
    )


def _data_findings(design: Design, proof: Proof) -> Iterator[Finding]:
    for use in unused(proof):
        message = "no access pattern, key or foreign key needed this index"
        fix = "add the access pattern that it is for, or remove it"
        finding = _finding(design, "index-unused", "warning", message, f"{use.table}.{use.index}", fix)
        yield _placed(finding, design.mark(use.table, "indexes", use.index))
    for fill in proof.filled:
        if fill.rows < fill.wanted and fill.note:
            yield _finding(
                design,
                "fewer-rows",
                "info",
                f"{fill.rows:,} of {fill.wanted:,} rows: {fill.note}",
                str(fill.table),
            )


def _pattern_findings(design: Design, measured: Measured) -> Iterator[Finding]:
    name = f"access_patterns.{measured.pattern.name}"
    if measured.error:
        yield _finding(design, "pattern-fails", "error", measured.error, name, remedies.PATTERN_FAILS)
        return
    if measured.meets_target is False:
        message = f"median {measured.median_ms:.2f} ms, target {measured.pattern.latency_ms:g} ms"
        yield _finding(design, "pattern-too-slow", "error", message, name, remedies.TOO_SLOW)
    for scan in wasteful_scans(measured):
        read = scan.rows + scan.removed
        message = f"reads all {read:,.0f} rows of {scan.relation} and keeps {scan.rows:,.0f}"
        yield _finding(
            design, "pattern-reads-whole-table", "warning", message, name, "an index on what it filters by"
        )
    expected = measured.pattern.expected_rows
    if expected is not None and not _plausible(measured.rows, expected):
        message = f"{measured.rows:g} rows on synthetic data, {expected} expected"
        severity = "warning" if found_nothing(measured) else "info"
        yield _finding(design, "pattern-rows", severity, message, name, "data: hints, or `value:` or `from:`")


def _plausible(rows: float, expected: int) -> bool:
    """Within a factor of ten, and not empty where rows are expected."""
    return rows == expected or (rows > 0 and expected > 0 and 0.1 <= rows / expected <= 10)


def _finding(
    design: Design, rule: str, severity: Any, message: str, object_: str | None = None, fix: str | None = None
) -> Finding:
    key = tuple(object_.split(".", 1)) if object_ and object_.startswith("access_patterns.") else ()
    mark = design.marks.get(key) if key else None
    return Finding(
        rule=rule,
        severity=severity,
        message=message,
        evidence="measured",
        file=design.file or None,
        line=mark.line if mark else None,
        column=mark.column if mark else None,
        object=object_,
        fix=fix,
    )


def _placed(finding: Finding, mark: Mark | None) -> Finding:
    return dataclasses.replace(finding, line=mark.line, column=mark.column) if mark else finding


def unused(proof: Proof) -> list[IndexUse]:
    """Indexes that nothing needed."""
    return [use for use in proof.indexes if not use.reasons]


def found_nothing(measured: Measured) -> bool:
    """Whether rows were expected and there were none, so that the time says little."""
    return bool(measured.pattern.expected_rows) and not measured.rows and not measured.error
