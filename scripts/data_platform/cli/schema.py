"""`dpe schema`: a model as DDL, as a diagram, under the rules, and on a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import (
    Command,
    Invocation,
    Outcome,
    with_dsn,
    with_fail_on,
    with_files,
    with_html,
    with_output,
)
from data_platform.cli.spec import again, read_design
from data_platform.errors import UsageProblem
from data_platform.record import replace

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.model.database import Name
    from data_platform.model.design import Design
    from data_platform.schema.prove.prove import Plan


def _declare_model(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.yaml", help="a spec of kind model")


# --- render ---


def _declare_render(parser: ArgumentParser) -> None:
    _declare_model(parser)
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


# --- diagram ---


def _declare_diagram(parser: ArgumentParser) -> None:
    _declare_model(parser)
    with_output(parser)


def _diagram(invocation: Invocation) -> Outcome:
    from data_platform.schema.diagram import mermaid  # noqa: PLC0415

    design, allowed = read_design(invocation, invocation.arguments.model)
    text = mermaid(design)
    return Outcome(text=text, result={"mermaid": text}, decision=allowed.decision)


# --- lint ---


def _declare_lint(parser: ArgumentParser) -> None:
    _declare_model(parser)
    with_fail_on(parser)
    with_output(parser)


def _lint(invocation: Invocation) -> Outcome:
    from data_platform.report.finding import in_order  # noqa: PLC0415
    from data_platform.schema.lint import lint  # noqa: PLC0415
    from data_platform.schema.lint_report import report  # noqa: PLC0415

    design, allowed = read_design(invocation, invocation.arguments.model)
    findings = in_order(lint(design))
    counts = {level: sum(f.severity == level for f in findings) for level in ("error", "warning", "info")}
    repeat = again(LINT, invocation, invocation.arguments.model)
    return Outcome(
        text=report(design, findings, repeat), findings=findings, result=counts, decision=allowed.decision
    )


# --- prove ---


def _declare_prove(parser: ArgumentParser) -> None:
    _declare_model(parser)
    parser.add_argument(
        "--rows",
        action="append",
        default=[],
        metavar="N|table=N",
        help="synthetic rows a table (default 10000); N keeps to the model's own `rows:` where that is fewer",
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same rows (default: 1)")
    with_dsn(parser)
    with_fail_on(parser)
    with_output(parser)
    with_html(parser)


def _prove(invocation: Invocation) -> Outcome:
    from data_platform.cli.files import refuse_existing  # noqa: PLC0415

    arguments = invocation.arguments
    design, allowed = read_design(invocation, arguments.model)
    plan = _plan(arguments, design)
    refuse_existing([arguments.output, arguments.html], arguments.force)
    repeat = again(PROVE, invocation, arguments.model, *_prove_words(arguments))
    return replace(proven(design, plan, arguments.dsn, repeat), decision=allowed.decision)


def proven(design: Design, plan: Plan, dsn: str | None, repeat: str) -> Outcome:
    """Prove a design and answer with the report; `dpe demo` does the same."""
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.postgres.server import open_server  # noqa: PLC0415
    from data_platform.report.finding import in_order  # noqa: PLC0415
    from data_platform.schema.prove import report  # noqa: PLC0415
    from data_platform.schema.prove.findings import findings  # noqa: PLC0415
    from data_platform.schema.prove.prove import prove  # noqa: PLC0415

    with progress("starting PostgreSQL") as step, open_server(dsn) as server:
        proof = prove(design, server, plan, step)
    return Outcome(
        text=report.report(design, proof, repeat),
        result=report.result(proof),
        findings=in_order(findings(design, proof)),
        failed=proof.verdict != "proven",
    )


def _plan(arguments: Any, design: Design) -> Plan:
    from data_platform.schema.prove.prove import DEFAULT_ROWS, Plan  # noqa: PLC0415

    default = DEFAULT_ROWS
    rows: dict[Name, int] = {}
    for text in arguments.rows:
        table, equals, number = text.rpartition("=")
        if not number.isdecimal() or int(number) > MAX_ROWS:
            raise UsageProblem(f"--rows {text}", expected=f"a number up to {MAX_ROWS:,}, or table=number")
        if equals:
            rows[_table(design, table)] = int(number)
        else:
            default = int(number)
    return Plan(default_rows=default, rows=rows, seed=arguments.seed)


MAX_ROWS = 100_000_000


def _table(design: Design, text: str) -> Name:
    import difflib  # noqa: PLC0415

    from data_platform.spec.naming import parse_name  # noqa: PLC0415
    from data_platform.sql.text import NotSql  # noqa: PLC0415

    tables = [table.name for table in design.database.tables]
    try:
        name = parse_name(text, design.default_schema)
    except NotSql:
        name = None
    if name is None or name not in tables:
        near = difflib.get_close_matches(text, [table.name for table in tables], 1)
        raise UsageProblem(f"--rows {text}=…: no such table in the model", try_=near[0] if near else None)
    return name


def _prove_words(arguments: Any) -> list[str]:
    words = [word for rows in arguments.rows for word in ("--rows", rows)]
    words += ["--seed", str(arguments.seed)] if arguments.seed != 1 else []
    # A URL may hold a password; the other two forms only name where it is.
    dsn = arguments.dsn if arguments.dsn and arguments.dsn.startswith(("env:", "service:")) else "env:NAME"
    return [*words, "--dsn", dsn] if arguments.dsn else words


RENDER = Command(
    "schema",
    "render",
    "print or write the model's DDL",
    "dpe schema render model.yaml --output schema.sql",
    _declare_render,
    _render,
)
DIAGRAM = Command(
    "schema",
    "diagram",
    "print an ER diagram in Mermaid",
    "dpe schema diagram model.yaml --output model.mmd",
    _declare_diagram,
    _diagram,
)
LINT = Command(
    "schema",
    "lint",
    "check the model against the rules",
    "dpe schema lint model.yaml --fail-on warning",
    _declare_lint,
    _lint,
)
PROVE = Command(
    "schema",
    "prove",
    "run the model on a real PostgreSQL and measure it",
    "dpe schema prove model.yaml --rows 10000 --rows orders=100000 --html proof.html",
    _declare_prove,
    _prove,
)
COMMANDS = (RENDER, DIAGRAM, LINT, PROVE)
