"""`dpe schema render`: a model as DDL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_files
from data_platform.cli.schema.model import declare_model
from data_platform.cli.spec import again, read_design
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser


def _declare_render(parser: ArgumentParser) -> None:
    declare_model(parser)
    parser.add_argument(
        "--split", action="store_true", help="one file a table, numbered in the order to run them"
    )
    with_files(parser)


def _render(invocation: Invocation) -> Outcome:
    from pathlib import Path  # noqa: PLC0415

    from data_platform.schema import render  # noqa: PLC0415

    arguments = invocation.arguments
    design, allowed = read_design(invocation, arguments.model)
    repeat = again(RENDER, invocation, arguments.model, *_render_words(arguments))
    result = {"statements": len(render.statements(design)), "tables": len(design.database.tables)}
    output = Path(arguments.output) if arguments.output else None
    if arguments.split or (output and output.is_dir()):
        if output is None:
            raise UsageProblem("--split makes several files", expected="--output DIR")
        made = {output / name: text for name, text in render.files(design, repeat).items()}
    elif output is None:
        script = render.script(design, repeat)
        return Outcome(text=script, result={**result, "sql": script}, decision=allowed.decision)
    else:
        made = {output: render.script(design, repeat)}
    written = invocation.write(made)
    text = "\n".join(f"wrote {path}" for path in written)
    return Outcome(text=text, result=result, artifacts=written, decision=allowed.decision)


def _render_words(arguments: Any) -> list[str]:
    words = ["--split"] if arguments.split else []
    return [*words, "--output", arguments.output] if arguments.output else words


RENDER = Command(
    "schema",
    "render",
    "print or write the model's DDL",
    "dpe schema render model.yaml --output schema.sql",
    _declare_render,
    _render,
)
