"""Findings that the author answers for: `-- dpe: ignore RULE reason`, on the statement or on the line before it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import postgast

from data_platform.migration.files import Script
from data_platform.migration.references import reference
from data_platform.report.finding import Finding, Severity

_COMMENT = re.compile(
    r"\A(?:--|/\*)\s*dpe:\s*ignore\b[ \t]*(?P<rules>[a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)?"
    r"(?P<reason>.*?)(?:\*/)?\s*\Z",
    re.DOTALL,
)


@dataclass(frozen=True)
class Comment:
    """One comment: where it stands, what it ignores, and why."""

    line: int
    rules: tuple[str, ...]
    reason: str
    first: int
    """The lines of the statement that it speaks of."""
    last: int


def apply_comments(script: Script, findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], int]:
    """The findings that no comment answers for, and what is wrong with comments; and how many were answered for."""
    if b"dpe:" not in script.raw:
        return tuple(findings), 0
    comments = _comments(script)
    kept, used = list[Finding](), set[tuple[int, str]]()
    for finding in findings:
        by = _answers(comments, finding)
        if by is None:
            kept.append(finding)
        else:
            used.add((by.line, finding.rule))
    suppressed = len(findings) - len(kept)
    for comment in comments:
        kept += _about(script, comment, used)
    return tuple(kept), suppressed


def _answers(comments: Sequence[Comment], finding: Finding) -> Comment | None:
    for comment in comments:
        here = comment.first <= (finding.line or 0) <= comment.last
        if here and finding.rule in comment.rules and comment.reason:
            return comment
    return None


def _about(script: Script, comment: Comment, used: set[tuple[int, str]]) -> list[Finding]:
    if not comment.rules or not comment.reason:
        message = "`dpe: ignore` names a rule and gives a reason: -- dpe: ignore RULE why it is right here"
        return [_finding(script, comment, "suppression-without-reason", "warning", message)]
    return [
        _finding(script, comment, "suppression-unused", "info", f"nothing of {rule} is found here any more")
        for rule in comment.rules
        if (comment.line, rule) not in used
    ]


def _finding(script: Script, comment: Comment, rule: str, severity: Severity, message: str) -> Finding:
    return Finding(
        rule=rule,
        severity=severity,
        message=message,
        evidence="parsed",
        file=script.file,
        line=comment.line,
        column=1,
        reference=reference(rule),
    )


def _comments(script: Script) -> list[Comment]:
    text = script.raw.decode(errors="replace")
    found = []
    for line, comment in _texts(text):
        match = _COMMENT.match(comment)
        if match is not None:
            rules = tuple(re.split(r"\s*,\s*", match["rules"])) if match["rules"] else ()
            first, last = _statement_lines(script, line)
            found.append(Comment(line, rules, match["reason"].strip(" \t:—–-"), first, last))
    return found


def _texts(text: str) -> list[tuple[int, str]]:
    """The comments of a file with their lines, by the server's own lexer where it reads the file."""
    raw = text.encode()
    try:
        tokens = postgast.scan(text).tokens
    except postgast.PgQueryError:
        lines = enumerate(text.splitlines(), 1)
        return [(number, line[line.index("--") :]) for number, line in lines if "--" in line]
    words = ((token.start, raw[token.start : token.end].decode(errors="replace")) for token in tokens)
    return [(raw.count(b"\n", 0, start) + 1, word) for start, word in words if word.startswith(("--", "/*"))]


def _statement_lines(script: Script, line: int) -> tuple[int, int]:
    """The lines of the statement that a comment stands in, on or before."""
    for statement in script.statements:
        last = statement.line + statement.sql.count("\n")
        if statement.line <= line <= last:
            return statement.line, last
        if statement.line > line:
            return statement.line, last
    return line, line
