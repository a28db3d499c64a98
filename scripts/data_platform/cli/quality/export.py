"""`dpe quality export`: the checks of a spec in the form of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on, with_files
from data_platform.cli.quality.check import read_spec

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.pipeline.quality.export.exported import Exported
    from data_platform.report.document import Report
    from data_platform.report.finding import Finding
    from data_platform.spec.quality import Quality

TOOLS = ("dbt", "great-expectations", "soda", "pandera")


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC.yaml", help="a spec of kind quality")
    parser.add_argument("--to", required=True, choices=TOOLS, help="the tool")
    with_files(parser)
    with_fail_on(parser)


def _export(invocation: Invocation) -> Outcome:
    from data_platform.pipeline.quality.export import TOOLS as WRITERS  # noqa: PLC0415

    arguments = invocation.arguments
    spec, allowed = read_spec(invocation, arguments.spec)
    made = WRITERS[arguments.to](spec)
    folder = arguments.output
    written = (
        invocation.write({Path(folder) / name: text for name, text in made.files.items()}) if folder else ()
    )
    return Outcome(
        text=_report(spec, arguments.to, made, written),
        result={
            "files": dict(made.files),
            "not_said": [{"check": one.check.name, "why": one.why} for one in made.unsaid],
        },
        findings=tuple(_findings(spec, made)),
        artifacts=written,
        decision=allowed.decision,
    )


def _findings(spec: Quality, made: Exported) -> list[Finding]:
    from data_platform.report.finding import Finding  # noqa: PLC0415

    return [
        Finding(
            rule="not-exported",
            severity="warning",
            message=f"`{one.check.name}`: {one.why}",
            evidence="documented",
            file=spec.file,
            line=one.check.line,
            object=str(one.check.table),
            fix="dpe quality check looks at it",
        )
        for one in made.unsaid
    ]


def _report(spec: Quality, tool: str, made: Exported, written: tuple[str, ...]) -> Report:
    from data_platform.report.document import Block, Bullets, Code, Heading, Piece, Report, words  # noqa: PLC0415

    pieces: list[Piece] = []
    if made.unsaid:
        listed = tuple(words(f"`{one.check.name}`: {one.why}") for one in made.unsaid)
        pieces += [Heading("Not said, or not whole"), Bullets(listed)]
    for name, text in () if written else made.files.items():
        pieces += [Heading(Code(name)), Block(text, name.rpartition(".")[2])]
    if written:
        pieces += [Heading("Written"), Bullets(tuple(Code(path) for path in written))]
    return Report(
        title=(f"{len(spec.checks)} checks of ", Code(spec.name), f" for {tool}"),
        verdict=f"{len(made.unsaid)} could not be said." if made.unsaid else "all of them are said.",
        good=not made.unsaid,
        summary="Nothing was run by that tool.",
        pieces=tuple(pieces),
    )


EXPORT = Command(
    "quality",
    "export",
    "the checks for dbt, Great Expectations, Soda or pandera, with a list of what cannot be said there",
    "dpe quality export quality.yaml --to dbt --output checks",
    _declare,
    _export,
)
