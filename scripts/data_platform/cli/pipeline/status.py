"""`dpe pipeline status`: the last runs, what is in quarantine, and whether the service levels hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on
from data_platform.cli.pipeline.run import read_spec

if TYPE_CHECKING:
    from argparse import ArgumentParser


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC.yaml", help="a spec of kind pipeline")
    parser.add_argument(
        "--dsn",
        required=True,
        metavar="URL|env:NAME|service:NAME",
        help="the target's server; it is only read",
    )
    with_fail_on(parser)


def _status(invocation: Invocation) -> Outcome:
    from data_platform.pipeline.status import status  # noqa: PLC0415
    from data_platform.pipeline.told import status_report, status_result  # noqa: PLC0415
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415

    arguments = invocation.arguments
    spec, allowed = read_spec(invocation, arguments.spec)
    found = status(spec, resolve_dsn(arguments.dsn))
    return Outcome(
        text=status_report(spec, found),
        result=status_result(found),
        findings=found.findings,
        decision=allowed.decision,
    )


STATUS = Command(
    "pipeline",
    "status",
    "the last runs, what is in quarantine, and whether the service levels hold",
    "dpe pipeline status orders.yaml --dsn env:DATABASE_URL",
    _declare,
    _status,
)
