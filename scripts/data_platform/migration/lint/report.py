"""What the linter found, for a person: the verdict, each statement once, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePath

from data_platform.report.document import Block, Code, Heading, Inline, Paragraph, Piece, Report, Table, words
from data_platform.report.finding import SEVERITIES, Finding

MAX_ROWS = 60
MAX_FORMS = 12


@dataclass(frozen=True)
class Run:
    """What was linted and how."""

    files: int
    statements: int
    schema: str
    """Where the base schema comes from, "" if none is given."""
    version: int
    transaction: str
    suppressed: int
    new_tables: int
    first_file: str = ""


def report(findings: Sequence[Finding], run: Run, again: str) -> Report:
    """`findings` are in order; `again` is the command that repeats this."""
    counts = {level: sum(finding.severity == level for finding in findings) for level in SEVERITIES}
    pieces: list[Piece] = []
    if findings:
        pieces.append(_table(findings))
        pieces += _forms(findings)
    pieces += [Heading("How this was checked"), Paragraph(words(_how(run))), Block(again, "bash")]
    what = PurePath(run.first_file).name if run.files == 1 else f"{run.files} files"
    count = f"{len(findings)} finding{'s' if len(findings) != 1 else ''}" if findings else "nothing found"
    return Report(
        title=(Code(what), f": {count} in {run.statements} statement{'s' if run.statements != 1 else ''}"),
        verdict="failed" if counts["error"] else "passed",
        summary=", ".join(f"{number} {level}" for level, number in counts.items() if number),
        good=not counts["error"],
        pieces=tuple(pieces),
    )


def _table(findings: Sequence[Finding]) -> Table:
    rows: list[tuple[Inline, ...]] = []
    for finding in sorted(findings, key=lambda one: SEVERITIES.index(one.severity)):
        if len(rows) == MAX_ROWS:
            rows.append((f"… {len(findings) - MAX_ROWS} more, in the JSON", "", "", "", ""))
            break
        rows.append(
            (
                finding.severity,
                finding.rule,
                Code(finding.place) if finding.place else "",
                words(finding.message),
                "assumed" if finding.evidence == "assumed" else "",
            )
        )
    return Table(("severity", "rule", "where", "finding", "evidence"), tuple(rows))


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


def _as_sql(text: str) -> str:
    """Advice without a statement as a comment."""
    return text if ";" in text else "\n".join(f"-- {line}" for line in text.splitlines())


def _how(run: Run) -> str:
    schema = (
        f"Against the schema of `{run.schema}`"
        if run.schema
        else "Without a schema: what depends on one is marked as assumed (`--schema` or `--dsn` gives it)"
    )
    mode = {
        "as-written": "each statement commits by itself but where a file says BEGIN",
        "wrapped": "each file is one transaction",
        "auto": "transactions as the file's tool makes them, else as written",
    }[run.transaction]
    new = (
        f" {run.new_tables} table{'s' if run.new_tables != 1 else ''} of these files count as new and empty; what is"
        " deployed already belongs into the schema."
        if run.new_tables
        else ""
    )
    kept = f" {run.suppressed} findings are answered for by comments." if run.suppressed else ""
    return (
        f"{schema}, for PostgreSQL {run.version}; {mode}.{new}{kept} No server was asked and no statement was run:"
        " `dpe migration prove` does that."
    )
