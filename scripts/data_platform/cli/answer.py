"""What a command prints and writes: text for a person, or the JSON envelope."""

from __future__ import annotations

import sys
import time

from data_platform.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import SimpleNamespace
    from typing import Any, Literal, TypeAlias

    from data_platform.cli.contract import Outcome
    from data_platform.errors import Problem
    from data_platform.report.document import Report
    from data_platform.report.finding import Finding
    from data_platform.scope.decision import Decision

    Status: TypeAlias = Literal["ok", "findings", "failed", "refused", "error"]

_RULES = {2: "usage", 6: "environment"}  # by exit code: what an error is called among findings


class Answer:
    """One command's answer, for a person or as the JSON envelope."""

    def __init__(self, name: str, *, as_json: bool) -> None:
        self._name = name
        self._as_json = as_json
        self._started = time.perf_counter()

    def give(self, outcome: Outcome, arguments: SimpleNamespace, decision: Decision | None) -> int:
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

    def fail(self, problem: Problem, *, code: int | None = None) -> int:
        """An error that the user can act on, with its own exit code unless another is given."""
        from data_platform.scope.passwords import without_passwords  # noqa: PLC0415

        code = problem.exit_code if code is None else code
        if self._as_json:
            self._envelope("error", None, _findings_of(problem, _RULES.get(code, "fault")), {}, ())
        else:
            name = f"dpe {self._name}".rstrip()
            sys.stderr.write(f"{name}: {without_passwords(str(problem))}\n")
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


def _writes_text(arguments: SimpleNamespace) -> bool:
    return bool(getattr(arguments, "output_takes_text", False) and arguments.output)


def _written(outcome: Outcome, arguments: SimpleNamespace, text: str) -> tuple[str, ...]:
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

    force = getattr(arguments, "force", False)
    return write_files({Path(path): content for path, content in wanted.items()}, force=force)


def _print(text: str) -> None:
    sys.stdout.write(text if not text or text.endswith("\n") else f"{text}\n")


def _findings_of(problem: Problem, rule: str) -> tuple[Finding, ...]:
    """The findings that a problem carries (a spec has many mistakes at once), else one made from its text."""
    carried = getattr(problem, "findings", ())
    if carried:
        return tuple(carried)
    from data_platform.report.finding import Finding  # noqa: PLC0415
    from data_platform.scope.passwords import without_passwords  # noqa: PLC0415

    what = f"{problem.what}; expected: {problem.expected}" if problem.expected else problem.what
    file, line, column = _place(problem.where)
    return (
        Finding(
            rule=rule,
            severity="error",
            message=without_passwords(what),
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
