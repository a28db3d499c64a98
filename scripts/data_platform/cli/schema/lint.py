"""`dpe schema lint`: a model, SQL files or a live server's schema under the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on, with_output
from data_platform.cli.spec import again, read_design
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.model.design import Design
    from data_platform.scope.decision import Decision


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="MODEL.yaml|FILE.sql|DSN",
        help="a spec of kind model, a file or directory of SQL, or a server as URL, env:NAME or service:NAME",
    )
    with_fail_on(parser)
    with_output(parser)


def _lint(invocation: Invocation) -> Outcome:
    from data_platform.postgres.connect import shown  # noqa: PLC0415
    from data_platform.report.finding import in_order  # noqa: PLC0415
    from data_platform.schema.lint import lint  # noqa: PLC0415
    from data_platform.schema.lint_report import report  # noqa: PLC0415

    source = invocation.arguments.source
    design, decision = _design(invocation, source)
    findings = in_order(lint(design))
    counts = {level: sum(f.severity == level for f in findings) for level in ("error", "warning", "info")}
    store = invocation.arguments.store
    repeat = again(LINT, invocation, shown(source), *(["--store", store] if store else []))
    return Outcome(text=report(design, findings, repeat), findings=findings, result=counts, decision=decision)


def _design(invocation: Invocation, source: str) -> tuple[Design, Decision | None]:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.postgres import sources  # noqa: PLC0415
    from data_platform.postgres.server import open_server  # noqa: PLC0415

    if sources.is_model(source):
        design, allowed = read_design(invocation, source)
        return design, allowed.decision
    store = invocation.arguments.store
    if store is None:
        from data_platform.postgres.connect import shown  # noqa: PLC0415

        raise UsageProblem(
            f"whose database is {shown(source)}?",
            expected="--store NAME, a store that the project's scope owns",
        )
    if sources.is_live(source):
        return sources.design(store, sources.of_live(source)), None
    given = sources.scripts([source])
    with progress("starting PostgreSQL") as step, open_server(None) as server:
        return sources.design(store, sources.of_scripts(server, given, step), given), None


LINT = Command(
    "schema",
    "lint",
    "check a model, SQL or a live schema against the rules",
    "dpe schema lint model.yaml --fail-on warning",
    _declare,
    _lint,
)
