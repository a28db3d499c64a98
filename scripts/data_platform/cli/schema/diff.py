"""`dpe schema diff`: how two databases differ, each a model, SQL files or a live server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_output
from data_platform.cli.spec import again, read_design
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable

    from data_platform.model.database import Database
    from data_platform.postgres.server import Server


def _declare(parser: ArgumentParser) -> None:
    for name in ("before", "after"):
        parser.add_argument(
            name,
            metavar=name.upper(),
            help="MODEL.yaml, FILE.sql, a directory of SQL files, or a server as URL, env:NAME or service:NAME",
        )
    with_output(parser)


def _diff(invocation: Invocation) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.model.differences import differences  # noqa: PLC0415
    from data_platform.postgres.server import open_server  # noqa: PLC0415
    from data_platform.schema import diff_report  # noqa: PLC0415
    from data_platform.schema.imported import difference_result  # noqa: PLC0415
    from data_platform.schema.sources import shown  # noqa: PLC0415

    arguments = invocation.arguments
    with progress("starting PostgreSQL") as step, open_server(None) as server:
        before = _database(invocation, arguments.before, server, step)
        after = _database(invocation, arguments.after, server, step)
    found = differences(before, after)
    names = [shown(source) for source in (arguments.before, arguments.after)]
    return Outcome(
        text=diff_report.report(found, names[0], names[1], again(DIFF, invocation, *names)),
        result=difference_result(found),
        exit_code=0 if found.equal else 1,
    )


def _database(
    invocation: Invocation, source: str, server: Server, step: Callable[[str, float], None]
) -> Database:
    from data_platform.schema import sources  # noqa: PLC0415

    step(f"reading {sources.shown(source)}", 0.0)
    if sources.is_model(source):
        design, _ = read_design(invocation, source)
        return sources.of_design(server, design, step).database
    if invocation.arguments.store is None:
        raise UsageProblem(
            f"whose database is {sources.shown(source)}?",
            expected="--store NAME, a store that the project's scope owns",
        )
    if sources.is_live(source):
        return sources.of_live(source).database
    return sources.of_scripts(server, sources.scripts([source]), step).database


DIFF = Command(
    "schema",
    "diff",
    "say how two databases differ, object by object",
    "dpe schema diff model.yaml env:DATABASE_URL --store 'Customer DB'",
    _declare,
    _diff,
)
