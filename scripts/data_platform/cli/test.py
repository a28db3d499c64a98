"""`dpe test`: run the package's own tests. The exit code is pytest's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome
from data_platform.errors import EnvironmentProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser


def _whole() -> list[str]:
    """Without arguments: all tests, on several processors, each file's in one process with a server of its own."""
    return ["-n", str(min(os.cpu_count() or 1, 4)), "--dist", "loadfile", "--no-loadscope-reorder"]


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "arguments", nargs="*", metavar="PYTEST_ARGUMENT", help="handed to pytest as they are"
    )


def _run(invocation: Invocation) -> Outcome:
    from data_platform import environment  # noqa: PLC0415

    try:
        environment.run_tests(invocation.arguments.arguments or _whole())
    except environment.Fault as fault:
        raise EnvironmentProblem(fault.cause, try_=fault.command) from fault


COMMANDS = (
    Command(
        noun="test",
        verb=None,
        summary="run the package's own tests with pytest",
        example="dpe test -q tests/scope",
        declare=_declare,
        run=_run,
        gated=False,
        needs_environment=False,
        passthrough=True,
    ),
)
