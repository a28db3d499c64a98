"""`dpe demo`: the whole way on the example project, as a user would go it: gate, render, lint, prove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_html, with_output
from data_platform.record import replace

if TYPE_CHECKING:
    from argparse import ArgumentParser

EXAMPLE = "storefront"


def _declare(parser: ArgumentParser) -> None:
    with_output(parser)
    with_html(parser)


def _demo(invocation: Invocation) -> Outcome:
    import dataclasses  # noqa: PLC0415
    import sys  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from data_platform.cli.files import refuse_existing  # noqa: PLC0415
    from data_platform.cli.schema.prove import proven  # noqa: PLC0415
    from data_platform.cli.spec import read_design  # noqa: PLC0415
    from data_platform.ddl import statements  # noqa: PLC0415
    from data_platform.report.document import Bullets, Code, Heading, Report  # noqa: PLC0415
    from data_platform.resources import resource  # noqa: PLC0415
    from data_platform.schema.lint import lint  # noqa: PLC0415
    from data_platform.schema.prove.prove import Plan  # noqa: PLC0415
    from data_platform.scope.decision import check  # noqa: PLC0415

    refuse_existing([invocation.arguments.output, invocation.arguments.html], invocation.arguments.force)
    project = resource("examples", EXAMPLE)
    model = str(Path(project) / "model.yaml")
    ours = check(project, "Customer DB")
    theirs = check(project, "Billing DB")
    design, _ = read_design(Invocation(invocation.arguments, None), model)
    findings = lint(design)
    if sys.stderr.isatty():
        sys.stderr.write(f"Proving {model}\n")
    outcome = proven(design, Plan(), None, f"dpe schema prove {model} --project {project}")
    assert not isinstance(outcome.text, str)
    steps = Bullets(
        (
            ("Gate: ", Code("Customer DB"), f" is {ours.verdict} ({_place(ours.file, ours.line)})"),
            (
                "Gate: ",
                Code("Billing DB"),
                f" is {theirs.verdict.replace('_', ' ')}: every command refuses it",
            ),
            f"Render: {len(statements(design))} statements of DDL",
            f"Lint: {len(findings)} finding{'s' if len(findings) != 1 else ''}",
            "Prove: below",
        )
    )
    told = dataclasses.replace(outcome.text, pieces=(Heading("What was done"), steps, *outcome.text.pieces))
    assert isinstance(told, Report)
    return replace(outcome, text=told, decision=ours)


def _place(file: str | None, line: int | None) -> str:
    from pathlib import Path  # noqa: PLC0415

    return f"{Path(file).name}, line {line}" if file else "not found"


COMMANDS = (
    Command(
        "demo",
        None,
        "the whole way, from a scope to a proven schema, on the example project",
        "dpe demo --html demo.html",
        _declare,
        _demo,
        gated=False,
    ),
)
