"""What every command shares: its declaration, the gate before it, and the envelope after it.

A command is data (`Command`); `execute` is the one way to run it. The order is fixed: arguments, the gate for
the project and the store named on the command line, the environment, the work (which asks the gate again for
the store that its spec names), the answer. Nothing heavy is imported here: a refusal costs an agent nothing.
"""

from __future__ import annotations

import os
from types import MappingProxyType, SimpleNamespace

from data_platform.cli.answer import Answer
from data_platform.record import TYPE_CHECKING, record, replace
from data_platform.scope.decision import Decision, check
from data_platform.scope.messages import echo
from data_platform.scope.names import store_key

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from data_platform.report.document import Report
    from data_platform.report.finding import Finding


@record
class Outcome:
    """What a command did. `text` is for a person: Markdown, SQL, or a report that is still data.

    `decision` is set where the gate's verdict is the answer, `exit_code` where 0 and 1 do not tell enough.
    """

    text: str | Report
    result: Mapping[str, Any] = MappingProxyType({})
    findings: tuple[Finding, ...] = ()
    artifacts: tuple[str, ...] = ()
    failed: bool = False
    decision: Decision | None = None
    exit_code: int | None = None


class Refused(Exception):
    """The gate says no. `decision` holds the verdict; its message is the protocol's text."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.message)
        self.decision = decision


@record
class Invocation:
    """A command line that passed the gate. `decision` is the gate's, None where no gate was asked."""

    arguments: SimpleNamespace
    decision: Decision | None

    @property
    def project(self) -> Path:
        """The user's project directory, absolute."""
        from pathlib import Path  # noqa: PLC0415

        return Path(self.arguments.project).resolve()

    def require_store(self, name: str | None) -> Invocation:
        """Ask the gate about the store that a spec names; for None, or in an ungated command, nothing is asked.

        Returns this invocation with that decision. Raises `Refused` (exit 4 or 5) when the store is not ours,
        and `UsageProblem` when `--store` named another one.
        """
        if name is None or self.decision is None:
            return self
        decision = _ask(self.arguments.project, name)
        given = self.arguments.store
        if given is not None and store_key(given) != store_key(name):
            from data_platform.errors import UsageProblem  # noqa: PLC0415

            raise UsageProblem(
                f"--store says `{echo(given)}`, but the spec is for `{echo(name)}`",
                try_="leave out --store, or give the spec of that store",
            )
        return replace(self, decision=decision)

    def require_other(self, name: str) -> Invocation:
        """The same for a store beside the one that `--store` names, such as the other side of a check."""
        arguments = SimpleNamespace(**{**vars(self.arguments), "store": None})
        return replace(self, arguments=arguments).require_store(name)

    def write(self, files: Mapping[Path, str]) -> tuple[str, ...]:
        """`write_files` with this command line's `--force`; the result is `Outcome.artifacts`."""
        from data_platform.cli.files import write_files  # noqa: PLC0415

        return write_files(files, force=self.arguments.force)


@record
class Command:
    """One noun and verb. `run` imports its capability when it is called, not before.

    `declare` adds the command's own arguments, with the `with_…` helpers for the common ones; `--project`,
    `--json` and, when gated, `--store` are always there. `passthrough` hands every argument on unread;
    `quick` reads a command line of the common options alone without argparse.
    """

    noun: str
    verb: str | None
    summary: str
    example: str
    declare: Callable[[ArgumentParser], None]
    run: Callable[[Invocation], Outcome]
    gated: bool = True
    needs_environment: bool = True
    passthrough: bool = False
    quick: bool = False

    @property
    def name(self) -> str:
        """As the user types it."""
        return f"{self.noun} {self.verb}" if self.verb else self.noun


def with_output(parser: ArgumentParser) -> None:
    """`--output FILE` and `--force`: `execute` writes the answer there instead of to stdout."""
    parser.add_argument("--output", metavar="FILE", help="write the answer to FILE")
    parser.set_defaults(output_takes_text=True)
    with_force(parser)


def with_files(parser: ArgumentParser) -> None:
    """`--output PATH` and `--force` for a command that writes its own files with `invocation.write`."""
    parser.add_argument(
        "--output", metavar="PATH", help="write there: a directory where there are several files"
    )
    with_force(parser)


def with_force(parser: ArgumentParser) -> None:
    """`--force`, for commands that write without `--output`."""
    parser.add_argument("--force", action="store_true", help="overwrite files that differ")


def with_html(parser: ArgumentParser) -> None:
    """`--html FILE`: `execute` also writes the report as a page."""
    parser.add_argument("--html", metavar="FILE", help="also write the report as one self-contained page")


def with_fail_on(parser: ArgumentParser) -> None:
    """`--fail-on SEVERITY`: what makes the exit code 1."""
    parser.add_argument(
        "--fail-on",
        choices=("error", "warning", "info", "never"),
        default="error",
        help="exit 1 when a finding is this severe or more (default: error)",
    )


def with_dsn(parser: ArgumentParser) -> None:
    """`--dsn`: a live server instead of the embedded one."""
    parser.add_argument(
        "--dsn",
        metavar="URL|env:NAME|service:NAME",
        help="a live server (default: an embedded PostgreSQL, thrown away afterwards)",
    )


def execute(command: Command, argv: Sequence[str]) -> int:
    """Run one command with the arguments after its name; returns the exit code.

    Prints the answer on stdout, refusals and errors on stderr; with `--json`, an envelope on stdout for all
    of them. Raises nothing but `SystemExit` (from `--help`), interruptions, and what is a fault of ours.
    """
    answer = Answer(command.name, as_json="--json" in argv and not command.passthrough)
    try:
        arguments = _parsed(command, argv)
        decision = _ask(arguments.project, arguments.store) if command.gated else None
        if command.needs_environment:
            _enter_environment([*command.name.split(), *argv])
        outcome = command.run(Invocation(arguments, decision))
        return answer.give(outcome, arguments, outcome.decision or decision)
    except Refused as refused:
        return answer.refuse(refused.decision)
    except Exception as fault:
        from data_platform.errors import Problem  # noqa: PLC0415  imported when there is one

        if isinstance(fault, Problem):
            return answer.fail(fault)
        raise


def _parsed(command: Command, argv: Sequence[str]) -> SimpleNamespace:
    arguments = _quickly(argv) if command.quick else None
    if arguments is None:
        from data_platform.cli.parser import parse  # noqa: PLC0415

        arguments = parse(command, argv)
    if not os.path.isdir(arguments.project):  # noqa: PTH112
        from data_platform.errors import UsageProblem  # noqa: PLC0415

        raise UsageProblem("--project is not a directory", where=arguments.project)
    return arguments


def _quickly(argv: Sequence[str]) -> SimpleNamespace | None:
    """The common options without argparse, which is slow to import; None leaves the command line to it."""
    arguments = SimpleNamespace(project=".", store=None, json=False)
    words = iter(argv)
    for word in words:
        if word == "--json":
            arguments.json = True
        elif word in ("--project", "--store") and not (value := next(words, "-")).startswith("-"):
            setattr(arguments, word[2:], value)
        else:
            return None
    return arguments


def _ask(project: str, store: str | None) -> Decision:
    decision = check(project, store)
    if decision.refuses:
        raise Refused(decision)
    return decision


def _enter_environment(argv: list[str]) -> None:
    from data_platform import environment  # noqa: PLC0415
    from data_platform.errors import EnvironmentProblem  # noqa: PLC0415

    try:
        environment.enter(argv)
    except environment.Fault as fault:
        raise EnvironmentProblem(fault.cause, try_=fault.command) from fault
