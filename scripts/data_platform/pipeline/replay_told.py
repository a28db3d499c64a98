"""A replay of quarantine, for a program and for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_platform.pipeline.replay import Replayed
from data_platform.pipeline.told import result as ran_result
from data_platform.pipeline.told import step_table
from data_platform.report.document import Code, Paragraph, Report, words
from data_platform.report.finding import Finding
from data_platform.spec.pipeline import Pipeline


def result(done: Replayed) -> dict[str, Any]:
    """The `result` of the JSON envelope: replayed = written + unchanged + still in quarantine, over all targets."""
    counts = done.ran.counts
    return {
        **ran_result(done.ran),
        "rows": {
            "replayed": counts.read,
            "written": counts.written,
            "unchanged": counts.unchanged,
            "still_quarantined": counts.quarantined,
            "deleted": counts.deleted,
        },
        "quarantine": {"before": done.before, "after": done.after, "orphans": done.orphans},
    }


def findings_of(spec: Pipeline, done: Replayed) -> tuple[Finding, ...]:
    """What is in quarantine still, and what cannot leave it by this spec."""
    return tuple(_against(spec, done))


def _against(spec: Pipeline, done: Replayed) -> Iterator[Finding]:
    if done.after:
        yield Finding(
            rule="still-in-quarantine",
            severity="warning",
            message=f"in quarantine now: {done.after:,}; before: {done.before:,}",
            evidence="measured",
            file=spec.file,
            object=spec.name,
            fix="dpe pipeline status says why; a row that says so is written over its key's with --overwrite",
        )
    if done.orphans:
        yield Finding(
            rule="no-way-left",
            severity="warning",
            message=f"{done.orphans:,} of them are of sources, transforms or targets that the spec has no more",
            evidence="measured",
            file=spec.file,
            object=spec.name,
        )


def report(spec: Pipeline, done: Replayed, repeat: str, *, dry_run: bool) -> Report:
    """What was tried again, and what came of it, batch by batch."""
    counts = done.ran.counts
    counted = {"read": "replayed", "written": "written", "unchanged": "unchanged"}
    table = step_table(done.ran.steps, {**counted, "quarantined": "still quarantined"})
    return Report(
        title=("Quarantine of ", Code(spec.name), " tried again"),
        verdict="tried and taken back." if dry_run else "done.",
        good=True,
        summary=(
            f"{counts.read:,} rows replayed = {counts.written:,} written + {counts.unchanged:,} unchanged"
            f" + {counts.quarantined:,} still quarantined, in {done.ran.seconds:.1f} s."
            if table
            else "There was nothing to try again."
        ),
        pieces=(
            *table,
            *(Paragraph(words(finding.message)) for finding in findings_of(spec, done)),
            Paragraph(("Again: ", Code(repeat), ".")),
        ),
    )
