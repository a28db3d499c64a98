"""What the linter found, for a person: the verdict, each statement once, and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import PurePath
from typing import Any

from data_platform.report.document import Block, Code, Heading, Inline, Paragraph, Piece, Report, Table, words
from data_platform.report.finding import SEVERITIES, Finding

MAX_ROWS = 60
MAX_FORMS = 12
MAX_REASONS = 6


def report(findings: Sequence[Finding], result: Mapping[str, Any], first: str, again: str) -> Report:
    """`findings` are in order, `result` is the command's, `first` a file's name; `again` repeats the command."""
    counts = {level: result[level] for level in SEVERITIES}
    pieces: list[Piece] = []
    if findings:
        pieces.append(_table(findings))
        pieces += _forms(findings)
        pieces += _reasons(findings)
    pieces += [Heading("How this was checked"), Paragraph(words(_how(result))), Block(again, "bash")]
    what = PurePath(first).name if result["files"] == 1 else f"{result['files']} files"
    count = f"{len(findings)} finding{'s' if len(findings) != 1 else ''}" if findings else "nothing found"
    statements = result["statements"]
    return Report(
        title=(Code(what), f": {count} in {statements} statement{'s' if statements != 1 else ''}"),
        verdict="failed" if counts["error"] else "passed",
        summary=", ".join(f"{number} {level}" for level, number in counts.items() if number),
        good=not counts["error"],
        pieces=tuple(pieces),
    )


def _table(findings: Sequence[Finding]) -> Table:
    """A row for each statement and object that something speaks against, the most severe first."""
    groups = _grouped(findings)
    rows: list[tuple[Inline, ...]] = [_row(group) for group in groups[:MAX_ROWS]]
    if len(groups) > MAX_ROWS:
        rows.append((f"… {len(groups) - MAX_ROWS} more rows, in the JSON", "", "", "", ""))
    return Table(("severity", "rule", "where", "finding", "evidence"), tuple(rows))


EFFECTS = ("access-exclusive-long", "table-rewrite")
"""What a statement does to clients, whatever the reason: told beside the reason where one is found too."""


def _grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of one place, the reason before its effects; others stay alone."""
    groups: list[list[Finding]] = []
    for _, group in groupby(findings, key=lambda one: (one.file, one.line, one.column)):
        here = list(group)
        reasons = [[one] for one in here if one.rule not in EFFECTS]
        effects = [one for one in here if one.rule in EFFECTS]
        worst = min(reasons, key=lambda one: SEVERITIES.index(one[0].severity), default=None)
        if worst is None or worst[0].severity != "error":
            reasons += [[one] for one in effects]
        else:
            worst += effects
        groups += reasons
    return sorted(groups, key=lambda group: SEVERITIES.index(group[0].severity))


def _row(group: Sequence[Finding]) -> tuple[Inline, ...]:
    first = group[0]
    rules = ", ".join(dict.fromkeys(one.rule for one in group))
    assumed = "assumed" if first.evidence == "assumed" else ""
    return first.severity, rules, Code(first.place) if first.place else "", words(first.message), assumed


def _forms(findings: Sequence[Finding]) -> list[Piece]:
    """The safe form of each statement, once, however many rules have something against it."""
    pieces: list[Piece] = []
    with_form = [one for one in findings if one.fix and one.severity != "info"]
    for place, group in groupby(with_form, key=lambda one: one.place):
        if len(pieces) >= 2 * MAX_FORMS:
            pieces.append(Paragraph("More of them are in the JSON."))
            break
        texts = list(dict.fromkeys(one.fix for one in group if one.fix))
        pieces += [Paragraph((Code(place), ":")), Block("\n\n".join(map(_as_sql, texts)), "sql")]
    return [Heading("Do this instead"), *pieces] if pieces else []


def _reasons(findings: Sequence[Finding]) -> list[Piece]:
    """Where the reference tells of what was found; of effects only where no reason was found beside them."""
    told = (group[0].reference for group in _grouped(findings) if group[0].severity != "info")
    places = list(dict.fromkeys(place for place in told if place))[:MAX_REASONS]
    if not places:
        return []
    parts = [part for place in places for part in (Code(place), ", ")]
    return [Paragraph(("The reasons, with forms that were run: ", *parts[:-1], "."))]


def _as_sql(text: str) -> str:
    """Advice without a statement as a comment."""
    return text if ";" in text else "\n".join(f"-- {line}" for line in text.splitlines())


def _how(result: Mapping[str, Any]) -> str:
    schema = (
        f"Against the schema of `{result['schema']}`"
        if result["schema"]
        else "Without a schema: what depends on one is marked as assumed (`--schema` or `--dsn` gives it)"
    )
    mode = {
        "as-written": "each statement commits by itself but where a file says BEGIN",
        "wrapped": "each file is one transaction",
        "auto": "transactions as the file's tool makes them, else as written",
    }[result["transaction"]]
    made, kept, unread = result["new_tables"], result["suppressed"], result["schema_unread"]
    if unread:
        schema += f", of which {unread} statement{'s' if unread != 1 else ''} could not be read"
    new = (
        f" {made} table{'s' if made != 1 else ''} of these files count as new and empty; what is deployed already"
        " belongs into the schema, or before `--since FILE`."
        if made
        else ""
    )
    by_comment = f" {kept} findings are answered for by comments." if kept else ""
    return (
        f"{schema}, for PostgreSQL {result['server_version']}; {mode}.{new}{by_comment} No server was asked and no"
        " statement was run: `dpe migration prove` does that."
    )
