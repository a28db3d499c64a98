"""`dpe setup`: build the environment ahead of its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome
from data_platform.errors import EnvironmentProblem, UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--extra", action="append", default=[], metavar="NAME", help="with this extra, now and from now on"
    )


def _run(invocation: Invocation) -> Outcome:
    from data_platform import environment  # noqa: PLC0415

    try:
        ready = environment.set_up(invocation.arguments.extra)
    except ValueError as fault:
        raise UsageProblem(str(fault), try_="dpe setup --help") from fault
    except environment.Fault as fault:
        raise EnvironmentProblem(fault.cause, try_=fault.command) from fault
    if ready is None:
        return Outcome(text="Nothing to do: dpe was installed from a wheel, together with its dependencies.")
    done = "Built." if ready.built else "Nothing to do: everything is there."
    extras = f" Extras: {', '.join(ready.extras)}." if ready.extras else ""
    return Outcome(
        text=f"{done}{extras} Python: {ready.python}",
        result={"python": str(ready.python), "built": ready.built, "extras": list(ready.extras)},
    )


COMMANDS = (
    Command(
        noun="setup",
        verb=None,
        summary="build the environment ahead of its first use",
        example="dpe setup --extra qdrant",
        declare=_declare,
        run=_run,
        gated=False,
        needs_environment=False,
    ),
)
