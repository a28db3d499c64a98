"""A proof, for a program and for a person."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from data_platform.pipeline.prove.faults import Fault
from data_platform.pipeline.prove.prove import Proof
from data_platform.report.document import Check, Checklist, Code, Heading, Paragraph, Report, words
from data_platform.spec.pipeline import Pipeline


def result(proof: Proof) -> dict[str, Any]:
    """The `result` of the JSON envelope."""
    return {
        "verdict": "proven" if proof.good else "failed",
        "runs": [
            {
                "fault": one.name,
                "at": one.at,
                "lost": one.lost,
                "doubled": one.doubled,
                "equal": one.equal,
                "why": one.why,
            }
            for one in proof.faults
        ],
        "not_tried": [asdict(one) for one in proof.not_tried],
        "rows": proof.rows,
        "where": proof.where,
        "run_seconds": round(proof.seconds, 3),
    }


def report(spec: Pipeline, proof: Proof, repeat: str) -> Report:
    """The verdict, then one line a kind of fault, then what was not tried and why."""
    lost, doubled = sum(one.lost for one in proof.faults), sum(one.doubled for one in proof.faults)
    rows = ", ".join(f"{count:,} in {table}" for table, count in proof.rows.items())
    kinds = dict.fromkeys(one.name for one in proof.faults)
    checks = [_check(kind, [one for one in proof.faults if one.name == kind]) for kind in kinds]
    checks += [Check(words(one.name), "not checked", words(one.why)) for one in proof.not_tried]
    return Report(
        title=("Pipeline ", Code(spec.name), f" after {len(proof.faults)} faults"),
        verdict="proven." if proof.good else "not proven.",
        good=proof.good,
        summary=f"{lost:,} rows lost, {doubled:,} doubled. An uninterrupted run takes {proof.seconds:.2f} s and leaves"
        f" {rows or 'nothing'}; {proof.where}; rows made up from the spec.",
        pieces=(
            Heading("What it survives"),
            Checklist(tuple(checks)),
            Paragraph(("Again: ", Code(repeat), ".")),
        ),
    )


def _check(name: str, faults: list[Fault]) -> Check:
    bad = [one for one in faults if not one.equal]
    where = f"{len(faults)} times, " if len(faults) > 1 else f"{faults[0].at}: "
    if bad:
        return Check(
            words(name), "failed", words(f"{len(bad)} of {len(faults)}: at {bad[0].at}, {bad[0].why}")
        )
    return Check(words(name), "proven", words(f"{where}as after an uninterrupted run"))
