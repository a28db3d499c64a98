"""Lint findings for a person."""

from __future__ import annotations

from collections.abc import Sequence

from data_platform.model.design import Design
from data_platform.report.document import Block, Code, Heading, Inline, Paragraph, Piece, Report, Table
from data_platform.report.finding import Finding

MAX_ROWS = 60


def report(design: Design, findings: Sequence[Finding], again: str) -> Report:
    """The findings, the most severe first; `again` is the command that repeats the check."""
    errors = sum(finding.severity == "error" for finding in findings)
    pieces: list[Piece] = []
    order = ("error", "warning", "info")
    ranked = sorted(findings, key=lambda finding: order.index(finding.severity))
    if ranked:
        rows = [_row(finding) for finding in ranked[:MAX_ROWS]]
        if len(ranked) > MAX_ROWS:
            rows.append((f"… {len(ranked) - MAX_ROWS} more, in the JSON", "", "", "", "", ""))
        pieces.append(Table(("severity", "rule", "where", "object", "finding", "fix"), tuple(rows)))
    pieces += [
        Heading("How this was checked"),
        Paragraph("From the model alone, without a server: `dpe schema prove` runs it and measures."),
        Block(again, "bash"),
    ]
    count = f"{len(findings)} finding{'s' if len(findings) != 1 else ''}"
    return Report(
        title=f"{design.store}: {count} in {len(design.database.tables)} tables" if findings else f"{design.store}: nothing found",
        verdict=f"{errors} error{'s' if errors != 1 else ''}, {len(findings) - errors} below" if findings else "clean",
        good=not errors,
        pieces=tuple(pieces),
    )


def _row(finding: Finding) -> tuple[Inline, ...]:
    return (
        finding.severity,
        finding.rule,
        Code(finding.place) if finding.place else "",
        Code(finding.object) if finding.object else "",
        Code(finding.message),
        Code(finding.fix) if finding.fix else "",
    )
