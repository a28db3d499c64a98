"""DDL for another database told to a person: what it says, and what that database cannot say."""

from __future__ import annotations

from collections.abc import Sequence

from data_platform.model.design import Design
from data_platform.report.document import Block, Code, Heading, Inline, Paragraph, Piece, Report, Table, words
from data_platform.report.finding import SEVERITIES, Finding
from data_platform.schema.dialects.render import Rendered

MAX_ROWS = 60
NAMED = 4
"""Objects that are named for each thing said."""


def report(design: Design, dialect: str, rendered: Rendered, repeat: str) -> Report:
    """The findings, the most severe first; `repeat` is the command that renders it again."""
    lost = sum(finding.severity == "error" for finding in rendered.findings)
    pieces: list[Piece] = [_table(rendered.findings)] if rendered.findings else []
    pieces += [
        Heading("How this was made"),
        Paragraph(
            words(
                "Types and expressions are translated one by one, and only where the meaning is known to stay. What "
                "the target enforces differently, or not at all, is a finding. It was not run on the target."
            )
        ),
        Block(repeat, "bash"),
    ]
    return Report(
        title=(
            Code(design.store),
            f" for {dialect}: {rendered.expressed} objects, {rendered.left_out} left out",
        ),
        verdict="loses rules" if lost else "complete",
        summary=f"{len(rendered.statements)} statements; {len(rendered.findings)} findings, {lost} of them errors: "
        "rules of the model that the target does not enforce.",
        good=not lost,
        pieces=tuple(pieces),
    )


def _table(findings: Sequence[Finding]) -> Table:
    """A row for each thing that is said, with the objects that it is said of."""
    told: dict[tuple[str, str], list[str]] = {}
    for finding in sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)):
        told.setdefault((finding.severity, finding.message), []).append(finding.object or "")
    rows = [(severity, words(message), _objects(names)) for (severity, message), names in told.items()]
    shown: list[tuple[Inline, ...]] = list(rows[:MAX_ROWS])
    if len(rows) > MAX_ROWS:
        shown.append((f"… {len(rows) - MAX_ROWS} more rows, in the JSON", "", ""))
    return Table(("severity", "what the target does not say alike", "objects"), tuple(shown))


def _objects(names: Sequence[str]) -> Inline:
    listed = [part for name in names[:NAMED] if name for part in (Code(name), ", ")][:-1]
    return (*listed, f" and {len(names) - NAMED} more") if len(names) > NAMED else tuple(listed)
