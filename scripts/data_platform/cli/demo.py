"""`dpe demo`: the whole way on the example project, as a user goes it: gate, render, lint, prove; then a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_html, with_output
from data_platform.record import replace

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.pipeline.prove.prove import Proof
    from data_platform.report.document import Piece
    from data_platform.spec.pipeline import Pipeline

EXAMPLE = "storefront"
PIPELINE = "feed.yaml"
_KILLS, _ROWS = 2, 100
"""Of the pipeline: few, so that it takes seconds."""


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
    from data_platform.pipeline.prove.told import result as pipeline_result  # noqa: PLC0415
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
    path = str(Path(resource("examples", "pipelines")) / PIPELINE)
    if sys.stderr.isatty():
        sys.stderr.write(f"Proving {path}\n")
    spec, proof = _pipeline(Invocation(invocation.arguments, None), path)
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
            ("Pipeline: ", Code(spec.name), " run, killed and run again, at the end"),
        )
    )
    repeat = f"dpe pipeline prove {path} --kills {_KILLS} --rows {_ROWS} --project {project}"
    pieces = (Heading("What was done"), steps, *outcome.text.pieces, *_told(spec, proof, repeat))
    told = dataclasses.replace(outcome.text, pieces=pieces)
    assert isinstance(told, Report)
    if not proof.good:
        told = dataclasses.replace(told, verdict="not proven.", good=False)
    return replace(
        outcome,
        text=told,
        result={**outcome.result, "pipeline": pipeline_result(proof)},
        failed=outcome.failed or not proof.good,
        decision=ours,
    )


def _pipeline(invocation: Invocation, path: str) -> tuple[Pipeline, Proof]:
    from data_platform.cli.pipeline.run import read_spec  # noqa: PLC0415
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.pipeline.prove.prove import prove  # noqa: PLC0415
    from data_platform.postgres.server import open_server  # noqa: PLC0415

    spec, _ = read_spec(invocation, path)
    with progress("a server") as tell, open_server(None) as server:
        return spec, prove(server, spec, kills=_KILLS, rows=_ROWS, seed=1, tell=tell)


def _told(spec: Pipeline, proof: Proof, repeat: str) -> tuple[Piece, ...]:
    """The report of the pipeline as a part of this one."""
    from data_platform.pipeline.prove.told import report  # noqa: PLC0415
    from data_platform.report.document import Heading, Paragraph, words  # noqa: PLC0415

    told = report(spec, proof, repeat)
    said = words(f"`{spec.name}` is {told.verdict} {told.summary}")
    return (Heading("A pipeline"), Paragraph(said), *told.pieces)


def _place(file: str | None, line: int | None) -> str:
    from pathlib import Path  # noqa: PLC0415

    return f"{Path(file).name}, line {line}" if file else "not found"


COMMANDS = (
    Command(
        "demo",
        None,
        "the whole way, from a scope to a proven schema and a proven pipeline, on the example project",
        "dpe demo --html demo.html",
        _declare,
        _demo,
        gated=False,
    ),
)
