"""`dpe schema render`: a model as DDL, for PostgreSQL or for another database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on, with_files
from data_platform.cli.schema.model import declare_model
from data_platform.cli.spec import again, read_design
from data_platform.errors import UsageProblem
from data_platform.record import replace

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.model.design import Design

DIALECTS = ("mysql", "sqlite", "duckdb", "bigquery", "snowflake", "spark")


def _declare(parser: ArgumentParser) -> None:
    declare_model(parser)
    parser.add_argument(
        "--split", action="store_true", help="one file a table, numbered in the order to run them"
    )
    parser.add_argument(
        "--dialect",
        choices=DIALECTS,
        help="for another database; what it cannot express is a finding (exit 1 where a rule of the model is lost)",
    )
    with_fail_on(parser)
    with_files(parser)


def _render(invocation: Invocation) -> Outcome:
    arguments = invocation.arguments
    design, allowed = read_design(invocation, arguments.model)
    if arguments.dialect and arguments.split:
        raise UsageProblem("--split is for PostgreSQL", try_="leave out --split or --dialect")
    repeat = again(RENDER, invocation, arguments.model, *_words(arguments))
    make = _translated if arguments.dialect else _postgresql
    return replace(make(invocation, design, repeat), decision=allowed.decision)


def _postgresql(invocation: Invocation, design: Design, repeat: str) -> Outcome:
    from pathlib import Path  # noqa: PLC0415

    from data_platform import ddl  # noqa: PLC0415

    arguments = invocation.arguments
    result = {"statements": len(ddl.statements(design)), "tables": len(design.database.tables)}
    output = Path(arguments.output) if arguments.output else None
    if arguments.split or (output and output.is_dir()):
        if output is None:
            raise UsageProblem("--split makes several files", expected="--output DIR")
        made = {output / name: text for name, text in ddl.files(design, repeat).items()}
    elif output is None:
        script = ddl.script(design, repeat)
        return Outcome(text=script, result={**result, "sql": script})
    else:
        made = {output: ddl.script(design, repeat)}
    written = invocation.write(made)
    return Outcome(text="\n".join(f"wrote {path}" for path in written), result=result, artifacts=written)


def _translated(invocation: Invocation, design: Design, repeat: str) -> Outcome:
    """The DDL on stdout and its findings on stderr; with --output the findings are the answer."""
    import sys  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from data_platform.report.markdown import markdown  # noqa: PLC0415
    from data_platform.schema.dialects import render  # noqa: PLC0415
    from data_platform.schema.dialects.report import report  # noqa: PLC0415

    arguments = invocation.arguments
    rendered = render(design, arguments.dialect, repeat)
    told = report(design, arguments.dialect, rendered, repeat)
    result = {
        "dialect": arguments.dialect,
        "statements": len(rendered.statements),
        "expressed": rendered.expressed,
        "left_out": rendered.left_out,
    }
    if arguments.output:
        written = invocation.write({Path(arguments.output): rendered.sql})
        return Outcome(text=told, result=result, findings=rendered.findings, artifacts=written)
    if rendered.findings and not arguments.json:
        sys.stderr.write(markdown(told))
    return Outcome(text=rendered.sql, result={**result, "sql": rendered.sql}, findings=rendered.findings)


def _words(arguments: Any) -> list[str]:
    words = ["--split"] if arguments.split else []
    words += ["--dialect", arguments.dialect] if arguments.dialect else []
    return [*words, "--output", arguments.output] if arguments.output else words


RENDER = Command(
    "schema",
    "render",
    "print or write the model's DDL",
    "dpe schema render model.yaml --output schema.sql",
    _declare,
    _render,
)
