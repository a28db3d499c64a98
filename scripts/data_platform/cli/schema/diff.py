"""`dpe schema diff`: how two databases differ, each a model, SQL files or a live server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_output
from data_platform.cli.sources import read_source
from data_platform.cli.spec import again

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.model.differences import Differences


def _declare(parser: ArgumentParser) -> None:
    for name in ("before", "after"):
        parser.add_argument(
            name,
            metavar=name.upper(),
            help="MODEL.yaml, FILE.sql, a directory of SQL files, or a server as URL, env:NAME or service:NAME",
        )
    with_output(parser)


def _diff(invocation: Invocation) -> Outcome:
    from data_platform.postgres.connect import shown  # noqa: PLC0415
    from data_platform.schema import diff_report  # noqa: PLC0415
    from data_platform.schema.imported import difference_result  # noqa: PLC0415

    arguments = invocation.arguments
    found = _found(invocation)
    names = [shown(source) for source in (arguments.before, arguments.after)]
    store = ["--store", arguments.store] if arguments.store else []
    repeat = again(DIFF, invocation, *names, *store)
    return Outcome(
        text=diff_report.report(found, names[0], names[1], repeat),
        result=difference_result(found),
        exit_code=0 if found.equal else 1,
    )


def _found(invocation: Invocation) -> Differences:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.model.design import Design  # noqa: PLC0415
    from data_platform.model.differences import differences  # noqa: PLC0415
    from data_platform.postgres import sources  # noqa: PLC0415
    from data_platform.schema import compare  # noqa: PLC0415

    arguments = invocation.arguments
    before, after = (read_source(invocation, source)[0] for source in (arguments.before, arguments.after))
    if isinstance(before, Design) and isinstance(after, Design) and before.database == after.database:
        return differences(before.database, after.database)
    with progress("starting PostgreSQL") as step:
        if isinstance(before, Design) and isinstance(after, Design):
            return compare.compare(before, after, step)
        return differences(*sources.of_both(before, after, step))


DIFF = Command(
    "schema",
    "diff",
    "say how two databases differ, object by object",
    "dpe schema diff model.yaml env:DATABASE_URL --store 'Customer DB'",
    _declare,
    _diff,
)
