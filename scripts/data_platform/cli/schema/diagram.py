"""`dpe schema diagram`: a model as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_output
from data_platform.cli.schema.model import declare_model
from data_platform.cli.spec import read_design

if TYPE_CHECKING:
    from argparse import ArgumentParser


def _declare(parser: ArgumentParser) -> None:
    declare_model(parser)
    with_output(parser)
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="write a page to search, zoom and follow instead, readable at 300 tables",
    )


def _diagram(invocation: Invocation) -> Outcome:
    from pathlib import Path  # noqa: PLC0415

    from data_platform.cli.files import refuse_existing  # noqa: PLC0415
    from data_platform.schema.diagram.mermaid import drawn, mermaid  # noqa: PLC0415
    from data_platform.schema.diagram.page import page  # noqa: PLC0415

    arguments = invocation.arguments
    refuse_existing([arguments.output, arguments.html], arguments.force)
    given, allowed = read_design(invocation, arguments.model)
    design = drawn(given)
    result = {
        "tables": len(design.database.tables),
        "partitions_not_drawn": len(given.database.tables) - len(design.database.tables),
    }
    if not arguments.html:
        text = mermaid(design)
        return Outcome(text=text, result={**result, "mermaid": text}, decision=allowed.decision)
    written = invocation.write({Path(arguments.html): page(design)})
    text = mermaid(design) if arguments.output else "".join(f"Wrote {path}\n" for path in written)
    return Outcome(text=text, result=result, artifacts=written, decision=allowed.decision)


DIAGRAM = Command(
    "schema",
    "diagram",
    "draw the tables and their references: Mermaid, or a page with --html",
    "dpe schema diagram model.yaml --html model.html",
    _declare,
    _diagram,
)
