"""Lint findings for a person: the most severe first, and once what a whole database has in many places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from data_platform.model.design import Design
from data_platform.report.document import (
    Block,
    Code,
    Heading,
    Inline,
    Paragraph,
    Piece,
    Report,
    Table,
    spans,
    words,
)
from data_platform.report.finding import SEVERITIES, Finding
from data_platform.schema.lint import RULES

MAX_ROWS = 60
MANY = 10
"""Findings of one rule that are still told one by one."""
NAMED = 5
"""Objects that are named of those that are told together."""
_STATEMENTS = frozenset({"ALTER", "BEGIN", "COMMENT", "CREATE", "DROP", "GRANT", "REVOKE", "UPDATE"})
_REASONS = {rule.name: rule.reason for rule in RULES}


def report(design: Design, findings: Sequence[Finding], again: str) -> Report:
    """The findings, the most severe first; `again` is the command that repeats the check."""
    counts = {level: sum(finding.severity == level for finding in findings) for level in SEVERITIES}
    errors = counts["error"]
    pieces: list[Piece] = []
    if findings:
        pieces.append(findings_table(findings))
    pieces += [
        Heading("How this was checked"),
        Paragraph(words(_how(design))),
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


def findings_table(findings: Sequence[Finding]) -> Table:
    """The findings, the most severe first, as many as a person reads."""
    rows = _fitting(findings)
    shown = rows[:MAX_ROWS]
    if len(rows) > MAX_ROWS:
        shown.append((f"… {len(rows) - MAX_ROWS} more rows, in the JSON", "", "", "", "", ""))
    return Table(("severity", "rule", "where", "object", "finding", "fix"), tuple(shown))


def _how(design: Design) -> str:
    if design.sha256:
        return "From the model alone, without a server: `dpe schema prove` runs it and measures."
    return (
        "From the schema alone: no row was read, and the queries are not known. Partitions and foreign tables are"
        " held to what is their own; tables in which migration tools keep their state are left out. Indexes that a"
        " failed CREATE INDEX CONCURRENTLY left behind are not looked for."
    )


def _fitting(findings: Sequence[Finding]) -> list[tuple[Inline, ...]]:
    """The rows; where they are too many, rules that fired a few times are told once too."""
    for most in (MANY, MANY // 3, 1):
        rows = list(_rows(findings, most))
        if len(rows) <= MAX_ROWS:
            break
    return rows


def _rows(findings: Sequence[Finding], most: int) -> Iterator[tuple[Inline, ...]]:
    """A row for each finding, and one for all those of a rule that has more than `most`."""

    def rank(finding: Finding) -> tuple[int, str]:
        return SEVERITIES.index(finding.severity), finding.rule

    for _, group in groupby(sorted(findings, key=rank), key=rank):
        alike = list(group)
        if len(alike) > most:
            yield _together(alike)
        else:
            yield from map(_row, alike)


def _row(finding: Finding) -> tuple[Inline, ...]:
    return (
        finding.severity,
        finding.rule,
        Code(finding.place) if finding.place else "",
        Code(finding.object) if finding.object else "",
        words(finding.message),
        _fix(finding.fix) if finding.fix else "",
    )


def _fix(text: str) -> Inline:
    """A statement as code, advice as words."""
    return Code(text) if text.partition(" ")[0].rstrip(";") in _STATEMENTS else words(text)


def _together(findings: Sequence[Finding]) -> tuple[Inline, ...]:
    """Many findings of one rule: how many, the first of them, why, and the fix of the first."""
    first = findings[0]
    named = [finding.object for finding in findings[:NAMED] if finding.object]
    more = f" and {len(findings) - len(named)} more, in the JSON"
    listed = [part for name in named for part in (Code(name), ", ")][:-1]
    return (
        first.severity,
        first.rule,
        Code(first.place) if first.place else "",
        (*listed, more),
        words(f"{len(findings)} times. {_REASONS.get(first.rule, '')}".strip()),
        ("of the first: ", *spans(_fix(first.fix))) if first.fix else "",
    )
