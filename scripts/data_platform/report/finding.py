"""One thing that a check has to say, with its place, its remedy and how it is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
Evidence = Literal["measured", "parsed", "documented", "assumed"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule that fired. `line`, `column` and `statement` count from 1."""

    rule: str
    severity: Severity
    message: str
    evidence: Evidence
    file: str | None = None
    line: int | None = None
    column: int | None = None
    statement: int | None = None
    object: str | None = None
    fix: str | None = None
    reference: str | None = None

    @property
    def place(self) -> str:
        """`file:line:column`, as far as it is known."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)

    def to_json(self) -> dict[str, Any]:
        """The keys of the envelope's contract, always all of them."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "statement": self.statement,
            "object": self.object,
            "fix": self.fix,
            "evidence": self.evidence,
            "reference": self.reference,
        }


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By file, line and rule, so that the same input gives the same bytes."""
    return tuple(
        sorted(
            findings,
            key=lambda f: (f.file or "", f.line or 0, f.column or 0, f.rule, f.object or "", f.message),
        )
    )


def at_or_above(findings: Iterable[Finding], level: Severity) -> bool:
    """Whether any finding is as severe as `level` or more."""
    worst = SEVERITIES.index(level)
    return any(SEVERITIES.index(finding.severity) <= worst for finding in findings)
