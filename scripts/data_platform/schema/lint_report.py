"""Lint findings for a person."""

from __future__ import annotations

from collections.abc import Sequence

from data_platform.model.design import Design
from data_platform.report.document import Block, Code, Heading, Inline, Paragraph, Piece, Report, Table, words
from data_platform.report.finding import SEVERITIES, Finding

MAX_ROWS = 60


def report(design: Design, findings: Sequence[Finding], again: str) -> Report:
    """The findings, the most severe first; `again` is the command that repeats the check."""
    counts = {level: sum(finding.severity == level for finding in findings) for level in SEVERITIES}
    errors = counts["error"]
    pieces: list[Piece] = []
    ranked = sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
    if ranked:
        rows = [_row(finding) for finding in ranked[:MAX_ROWS]]
        if len(ranked) > MAX_ROWS:
            rows.append((f"… {len(ranked) - MAX_ROWS} more, in the JSON", "", "", "", "", ""))
        pieces.append(Table(("severity", "rule", "where", "object", "finding", "fix"), tuple(rows)))
    pieces += [
        Heading("How this was checked"),
        Paragraph(words("From the model alone, without a server: `dpe schema prove` runs it and measures.")),
        Block(again, "bash"),
    ]
    count = f"{len(findings)} finding{'s' if len(findings) != 1 else ''}" if findings else ""
    return Report(
        title=(Code(design.store), f": {count or 'nothing found'} in {len(design.database.tables)} tables"),
        verdict="failed" if errors else "passed",
        summary=", ".join(f"{number} {level}" for level, number in counts.items() if number),
        good=not errors,
        pieces=tuple(pieces),
    )


def _row(finding: Finding) -> tuple[Inline, ...]:
    return (
        finding.severity,
        finding.rule,
        Code(finding.place) if finding.place else "",
        Code(finding.object) if finding.object else "",
        words(finding.message),
        words(finding.fix) if finding.fix else "",
    )
