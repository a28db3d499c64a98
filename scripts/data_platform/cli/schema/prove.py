"""`dpe schema prove`: a model on a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import (
    Command,
    Invocation,
    Outcome,
    with_dsn,
    with_fail_on,
    with_html,
    with_output,
)
from data_platform.cli.schema.model import declare_model
from data_platform.cli.spec import again, read_design
from data_platform.errors import UsageProblem
from data_platform.record import replace

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.model.database import Name
    from data_platform.model.design import Design
    from data_platform.schema.prove.prove import Plan


def _declare_prove(parser: ArgumentParser) -> None:
    declare_model(parser)
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
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    words = [word for rows in arguments.rows for word in ("--rows", rows)]
    words += ["--seed", str(arguments.seed)] if arguments.seed != 1 else []
    return [*words, "--dsn", shown(arguments.dsn)] if arguments.dsn else words


PROVE = Command(
    "schema",
    "prove",
    "run the model on a real PostgreSQL and measure it",
    "dpe schema prove model.yaml --rows 10000 --rows orders=100000 --html proof.html",
    _declare_prove,
    _prove,
)
