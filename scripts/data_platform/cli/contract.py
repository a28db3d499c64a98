"""What every command shares: its declaration, the gate before it, and the envelope after it.

A command is data (`Command`); `execute` is the one way to run it. The order is fixed: arguments, the gate for the
project and the store named on the command line, the environment, the work (which asks the gate again for the
store that its spec names), the answer. Nothing heavy is imported here: a refusal costs an agent nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from data_platform.errors import EnvironmentProblem, Problem, UsageProblem
from data_platform.record import TYPE_CHECKING, record, replace
from data_platform.scope.decision import Decision, check

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Literal, NoReturn, TypeAlias

    from data_platform.report.document import Report
    from data_platform.report.finding import Finding

    Status: TypeAlias = Literal["ok", "findings", "failed", "refused", "error"]

FAULT = 70  # the one exit code outside the contract: a fault in dpe itself


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

    arguments: argparse.Namespace
    decision: Decision | None

    @property
    def project(self) -> Path:
        """The user's project directory, absolute."""
        from pathlib import Path  # noqa: PLC0415

        return Path(self.arguments.project).resolve()

    def require_store(self, name: str | None) -> Invocation:
        """Ask the gate about the store that a spec names; None asks nothing.

        Returns this invocation with that decision. Raises `Refused` (exit 4 or 5) when the store is not ours.
        """
        if name is None or self.decision is None:
            return self
        return replace(self, decision=_ask(self.arguments.project, name))

    def write(self, files: Mapping[Path, str]) -> tuple[str, ...]:
        """`write_files` with this command line's `--force`; the result is `Outcome.artifacts`."""
        from data_platform.cli.files import write_files  # noqa: PLC0415

        return write_files(files, force=self.arguments.force)


@record
class Command:
    """One noun and verb. `run` imports its capability when it is called, not before.

    `declare` adds the command's own arguments, with the `with_…` helpers for the common ones; `--project`,
    `--json` and, when gated, `--store` are always there. `passthrough` hands every argument on unread.
    """

    noun: str
    verb: str | None
    summary: str
    example: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Invocation], Outcome]
    gated: bool = True
    needs_environment: bool = True
    passthrough: bool = False

    @property
    def name(self) -> str:
        """As the user types it."""
        return f"{self.noun} {self.verb}" if self.verb else self.noun


# Options that several commands share ---------------------------------------------------------------------------


def with_output(parser: argparse.ArgumentParser) -> None:
    """`--output FILE` and `--force`: `execute` writes the answer there instead of to stdout."""
    parser.add_argument("--output", metavar="FILE", help="write the answer to FILE")
    parser.set_defaults(output_takes_text=True)
    with_force(parser)


def with_files(parser: argparse.ArgumentParser) -> None:
    """`--output PATH` and `--force` for a command that writes its own files with `invocation.write`."""
    parser.add_argument(
        "--output", metavar="PATH", help="write there: a directory where there are several files"
    )
    with_force(parser)


def with_force(parser: argparse.ArgumentParser) -> None:
    """`--force`, for commands that write without `--output`."""
    parser.add_argument("--force", action="store_true", help="overwrite files that differ")


def with_html(parser: argparse.ArgumentParser) -> None:
    """`--html FILE`: `execute` also writes the report as a page. Needs `with_output`, `with_files` or `with_force`."""
    parser.add_argument("--html", metavar="FILE", help="also write the report as one self-contained page")


def with_fail_on(parser: argparse.ArgumentParser) -> None:
    """`--fail-on SEVERITY`: what makes the exit code 1."""
    parser.add_argument(
        "--fail-on",
        choices=("error", "warning", "info", "never"),
        default="error",
        help="exit 1 when a finding is this severe or more (default: error)",
    )


def with_dsn(parser: argparse.ArgumentParser) -> None:
    """`--dsn`: a live server instead of the embedded one."""
    parser.add_argument(
        "--dsn",
        metavar="URL|env:NAME|service:NAME",
        help="a live server (default: an embedded PostgreSQL, thrown away afterwards)",
    )


# Parsing -------------------------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is a `UsageProblem` that says which --help to read."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and exiting."""
        raise UsageProblem(message, try_=f"{self.prog} --help")


def parser_of(command: Command) -> Parser:
    """The argument parser of one command."""
    parser = Parser(
        prog=f"dpe {command.name}",
        description=command.summary,
        epilog=f"example:\n  {command.example}",
        # A fixed width also saves argparse from importing shutil, a fifth of the gate's time.
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=100),
        allow_abbrev=False,
    )
    common = parser.add_argument_group("common options")
    common.add_argument("--project", metavar="DIR", default=".", help="the user's project (default: here)")
    common.add_argument("--json", action="store_true", help="one JSON document on stdout")
    if command.gated:
        common.add_argument("--store", metavar="NAME", help="the data store this is for; it must be owned")
    command.declare(parser)
    return parser


def _parsed(command: Command, argv: Sequence[str]) -> argparse.Namespace:
    if command.passthrough and not {"-h", "--help"}.intersection(argv):
        argv = ["--", *argv]
    arguments = parser_of(command).parse_args(argv)
    if not os.path.isdir(arguments.project):  # noqa: PTH112
        raise UsageProblem("--project is not a directory", where=arguments.project)
    return arguments


# Running -------------------------------------------------------------------------------------------------------


def execute(command: Command, argv: Sequence[str]) -> int:
    """Run one command with the arguments after its name; returns the exit code.

    Prints the answer on stdout and refusals and errors on stderr; with `--json`, an envelope on stdout for all of
    them. Raises nothing but `SystemExit` (from `--help`), interruptions, and what is a fault of ours.
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
    except Problem as problem:
        return answer.fail(problem)


def _ask(project: str, store: str | None) -> Decision:
    decision = check(project, store)
    if decision.refuses:
        raise Refused(decision)
    return decision


def _enter_environment(argv: list[str]) -> None:
    from data_platform import environment  # noqa: PLC0415

    try:
        environment.enter(argv)
    except environment.Fault as fault:
        raise EnvironmentProblem(fault.cause, try_=fault.command) from fault


# Answering -----------------------------------------------------------------------------------------------------


class Answer:
    """One command's answer, for a person or as the JSON envelope."""

    def __init__(self, name: str, *, as_json: bool) -> None:
        self._name = name
        self._as_json = as_json
        self._started = time.perf_counter()

    def give(self, outcome: Outcome, arguments: argparse.Namespace, decision: Decision | None) -> int:
        """Print (or write) what the command did; the exit code says whether something is against it."""
        status, code = _status(outcome, getattr(arguments, "fail_on", "error"))
        if self._as_json and status == "refused":
            sys.stderr.write(f"{outcome.text}\n")
        _note(decision)
        text = "" if self._as_json and not _writes_text(arguments) else _for_person(outcome.text)
        artifacts = (*outcome.artifacts, *_written(outcome, arguments, text))
        if self._as_json:
            self._envelope(status, decision, outcome.findings, outcome.result, artifacts)
        elif _writes_text(arguments):
            _print("".join(f"Wrote {artifact}\n" for artifact in artifacts))
        else:
            _print(text)
        return code

    def refuse(self, decision: Decision) -> int:
        """The gate's refusal: the protocol's text on stderr, so that stdout holds no half answer."""
        if self._as_json:
            self._envelope("refused", decision, (), {"message": decision.message}, ())
        sys.stderr.write(f"{decision.message}\n")
        _note(decision)
        return decision.exit_code

    def fail(self, problem: Problem) -> int:
        """An error that the user can act on."""
        return self.fail_with(problem.exit_code, str(problem), lambda: _findings_of(problem))

    def fail_with(self, code: int, text: str, findings: Callable[[], tuple[Finding, ...]]) -> int:
        """An error with its exit code. `findings` is asked only when there is an envelope to put them in."""
        from data_platform.scope.passwords import without_passwords  # noqa: PLC0415

        if self._as_json:
            self._envelope("error", None, findings(), {}, ())
        else:
            sys.stderr.write(f"dpe {self._name}: {without_passwords(text)}\n")
        return code

    def _envelope(
        self,
        status: Status,
        decision: Decision | None,
        findings: tuple[Finding, ...],
        result: Mapping[str, Any],
        artifacts: tuple[str, ...],
    ) -> None:
        import json  # noqa: PLC0415  a person's answer does without

        from data_platform import __version__  # noqa: PLC0415

        envelope = {
            "tool": "dpe",
            "version": __version__,
            "command": self._name,
            "status": status,
            "scope": decision.to_json() if decision else None,
            "findings": [finding.to_json() for finding in _in_order(findings)],
            "result": dict(result),
            "artifacts": list(artifacts),
            "elapsed_s": round(time.perf_counter() - self._started, 3),
        }
        _print(json.dumps(envelope, ensure_ascii=False, indent=2))


def _note(decision: Decision | None) -> None:
    """Which files the gate passed over, and why."""
    for note in decision.details.get("notes", ()) if decision else ():
        sys.stderr.write(f"note: {note}\n")


def _status(outcome: Outcome, fail_on: str) -> tuple[Status, int]:
    if outcome.decision is not None and outcome.decision.refuses:
        return "refused", outcome.decision.exit_code
    if outcome.failed or outcome.exit_code:
        return "failed", outcome.exit_code or 1
    if outcome.findings and fail_on != "never":
        from data_platform.report.finding import at_or_above  # noqa: PLC0415

        if at_or_above(outcome.findings, fail_on):  # type: ignore[arg-type]  # argparse allows only severities
            return "findings", 1
    return "ok", 0


def _in_order(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    if not findings:
        return ()
    from data_platform.report.finding import in_order  # noqa: PLC0415

    return in_order(findings)


def _for_person(text: str | Report) -> str:
    if isinstance(text, str):
        return text
    from data_platform.report.markdown import markdown  # noqa: PLC0415

    return markdown(text)


def _writes_text(arguments: argparse.Namespace) -> bool:
    return bool(getattr(arguments, "output_takes_text", False) and arguments.output)


def _written(outcome: Outcome, arguments: argparse.Namespace, text: str) -> tuple[str, ...]:
    """Write what `--output` and `--html` ask for."""
    wanted: dict[str, str] = {}
    if _writes_text(arguments):
        wanted[arguments.output] = text if text.endswith("\n") else f"{text}\n"
    if getattr(arguments, "html", None) and not isinstance(outcome.text, str):
        from data_platform.report.html import page  # noqa: PLC0415

        wanted[arguments.html] = page(outcome.text)
    if not wanted:
        return ()
    from pathlib import Path  # noqa: PLC0415

    from data_platform.cli.files import write_files  # noqa: PLC0415

    return write_files({Path(path): content for path, content in wanted.items()}, force=arguments.force)


def _print(text: str) -> None:
    sys.stdout.write(text if not text or text.endswith("\n") else f"{text}\n")


def _findings_of(problem: Problem) -> tuple[Finding, ...]:
    """The findings that a problem carries (a spec has many mistakes at once), else one made from its text."""
    from data_platform.report.finding import Finding  # noqa: PLC0415

    carried = getattr(problem, "findings", ())
    if carried:
        return tuple(carried)
    file, line, column = _place(problem.where)
    return (
        Finding(
            rule="environment" if isinstance(problem, EnvironmentProblem) else "usage",
            severity="error",
            message=f"{problem.what}; expected: {problem.expected}" if problem.expected else problem.what,
            evidence="parsed",
            file=file,
            line=line,
            column=column,
            fix=problem.try_,
        ),
    )


def _place(where: str | None) -> tuple[str | None, int | None, int | None]:
    """`file:line:column` taken apart; a colon in the file's name stays there."""
    if where is None:
        return None, None, None
    file, *numbers = where.rsplit(":", 2)
    if len(numbers) == 2 and all(number.isdecimal() for number in numbers):
        return file, int(numbers[0]), int(numbers[1])
    file, _, number = where.rpartition(":")
    return (file, int(number), None) if file and number.isdecimal() else (where, None, None)
