"""Verdicts on checks, for a program and for a person."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from data_platform.pipeline.quality.verdicts import Verdict, summary
from data_platform.report.document import Code, Heading, Inline, Paragraph, Piece, Report, Table, words

_SHOWN = 300


def result(verdicts: Sequence[Verdict], seconds: float) -> dict[str, Any]:
    """The `result` of the JSON envelope of a check run."""
    return {
        "verdict": "failed" if any(not one.good for one in verdicts) else "passed",
        "seconds": round(seconds, 3),
        "checks": [
            {
                "name": one.check.name,
                "on": one.check.staged or str(one.check.table),
                "check": one.check.kind,
                "columns": list(one.check.columns),
                "state": one.state,
                "severity": one.check.severity,
                "rows": one.rows,
                "failing": one.failing,
                # JSON has no NaN and no infinity; `told` says them.
                "measured": one.measured if one.measured is None or math.isfinite(one.measured) else None,
                "told": one.told,
                "samples": [dict(row) for row in one.samples],
            }
            for one in verdicts
        ],
    }


def report(name: str, store: str, verdicts: Sequence[Verdict], seconds: float, repeat: str) -> Report:
    """Verdict, every check, samples of what failed."""
    wrong = [one for one in verdicts if not one.good]
    unjudged = sum(one.state == "no history" for one in verdicts)
    title = f"{len(wrong)} of {len(verdicts)} checks fail in " if wrong else "Every check holds in "
    passed = sum(one.state == "passed" for one in verdicts)
    return Report(
        title=(title, Code(store)),
        verdict="failed." if wrong else "passed.",
        good=not wrong,
        summary=(
            f"{passed} of {len(verdicts)} checks of ",
            Code(name),
            f" hold, in {seconds:.1f} s."
            + (f" {unjudged} had nothing to be compared with yet." if unjudged else ""),
        ),
        pieces=(
            Heading("Checks"),
            _table(verdicts),
            *_samples(verdicts),
            Heading("How this was measured"),
            Paragraph(
                "In one read-only session over one snapshot. Row by row checks of a table share one scan. "
                "A value that is NULL fails only a check of kind not_null. Not checked: whether values are true."
            ),
            Paragraph(("Repeat: ", Code(repeat), ".")),
        ),
    )


def _table(verdicts: Sequence[Verdict]) -> Table:
    rows: list[tuple[Inline, ...]] = [
        (
            one.state if one.state != "failed" else f"failed ({one.check.severity})",
            Code(one.check.staged or str(one.check.table)),
            Code(one.check.name),
            words(summary(one)) if one.state != "not run" else Code(one.told),
            one.told if one.failing is not None else "",
        )
        for one in verdicts
    ]
    return Table(("state", "on", "check", "found", "how"), tuple(rows))


def _samples(verdicts: Sequence[Verdict]) -> Iterator[Piece]:
    shown = [one for one in verdicts if one.samples]
    if not shown:
        return
    yield Heading("Rows that fail")
    rows = [(Code(one.check.name), Code(_text(row))) for one in shown for row in one.samples]
    yield Table(("check", "a row"), tuple(rows))


def _text(row: Any) -> str:
    text = json.dumps(row, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
