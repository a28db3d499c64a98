"""Differences between two databases for a person."""

from __future__ import annotations

from data_platform.model.differences import Differences
from data_platform.report.document import Block, Code, Heading, Paragraph, Piece, Report, words
from data_platform.schema.imported import differences_table


def report(found: Differences, before: str, after: str, repeat: str) -> Report:
    """The differences from `before` to `after`; `repeat` is the command that shows them again."""
    count = len(found.added) + len(found.removed) + len(found.changed)
    pieces: list[Piece] = [] if found.equal else [differences_table(found)]
    pieces += [
        Heading("How this was compared"),
        Paragraph(
            words(
                "Models and SQL were loaded into scratch databases and the catalogs read back, so both sides are "
                "spelled by the server. Rows, statistics and settings of the cluster are not compared."
            )
        ),
        Block(repeat, "bash"),
    ]
    title = "the same" if found.equal else f"{count} difference{'s' if count != 1 else ''}"
    return Report(
        title=(Code(before), " and ", Code(after), f": {title}"),
        verdict="equal" if found.equal else "different",
        summary=f"{len(found.added)} added, {len(found.removed)} removed, {len(found.changed)} properties changed.",
        good=found.equal,
        pieces=tuple(pieces),
    )
