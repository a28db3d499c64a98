"""The one way to run a command: order, envelope, exit codes, files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from data_platform.cli import contract
from data_platform.cli.contract import Command, Invocation, Outcome, Refused, execute
from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.report.finding import Finding

SCOPE = """\
## Project Scope
### Domain Ownership
- Customer DB: Data Platform Engineer
- Billing DB: Data Platform Engineer (Billing)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    return tmp_path


def finding(severity: Any = "error", **place: Any) -> Finding:
    return Finding(rule="a-rule", severity=severity, message="m", evidence="parsed", **place)


def command(outcome: Outcome | Exception | None = None, **fields: Any) -> Command:
    def declare(parser: argparse.ArgumentParser) -> None:
        contract.with_output(parser)
        contract.with_fail_on(parser)
        contract.with_dsn(parser)

    def run(invocation: Invocation) -> Outcome:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome or Outcome(text="done", result={"b": 1, "a": 2})

    return Command(
        **{
            "noun": "thing",
            "verb": "do",
            "summary": "s",
            "example": "dpe thing do",
            "declare": declare,
            "run": run,
        }
        | {"needs_environment": False}
        | fields
    )


def envelope(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return parsed


def test_a_person_gets_the_text(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(command(), ["--project", str(root)]) == 0
    assert capsys.readouterr() == ("done\n", "")


def test_an_agent_gets_the_envelope(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(command(), ["--project", str(root), "--store", "customer", "--json"]) == 0
    found = envelope(capsys)
    assert list(found) == [
        "tool", "version", "command", "status", "scope", "findings", "result", "artifacts", "elapsed_s",
    ]  # fmt: skip
    assert found["command"] == "thing do"
    assert found["status"] == "ok"
    assert found["result"] == {"b": 1, "a": 2}
    assert found["scope"]["verdict"] == "owned"
    assert found["scope"]["line"] == 3


def test_the_gate_comes_before_the_work(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    never = command(AssertionError("the work was begun"))
    assert execute(never, ["--project", str(root), "--store", "Billing DB"]) == 5
    (root / "CLAUDE.md").write_text("## Project Scope\n- a: [b]\n")
    assert execute(never, ["--project", str(root)]) == 4
    (root / "CLAUDE.md").unlink()
    capsys.readouterr()
    assert execute(never, ["--project", str(root)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("[DATA_PLATFORM_ENGINEER] - I cannot proceed with this request.\n")


def test_a_refusal_in_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(command(), ["--project", str(root), "--store", "Billing DB", "--json"]) == 5
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["status"] == "refused"
    assert found["scope"]["verdict"] == "owned_by_other"
    assert "dpe scope dependency --theirs 'Billing DB'" in err


def test_the_store_of_a_spec_is_asked_for_too(root: Path) -> None:
    seen = []

    def run(invocation: Invocation) -> Outcome:
        seen.append(invocation.require_store("Customer DB").decision)
        assert invocation.require_store(None) is invocation
        with pytest.raises(Refused):
            invocation.require_store("Orders")
        invocation.require_store("Billing DB")
        raise AssertionError

    assert execute(command(run=run), ["--project", str(root)]) == 5
    assert seen[0] is not None
    assert seen[0].verdict == "owned"


def test_a_spec_of_another_store_than_the_one_asked_for_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "CLAUDE.md").write_text(SCOPE + "- Orders DB: Data Platform Engineer\n")

    def run(invocation: Invocation) -> Outcome:
        invocation.require_store(named)
        return Outcome(text="")

    named = "customer database"
    base = ["--project", str(root), "--store"]
    assert execute(command(run=run), [*base, "Customer DB"]) == 0
    assert execute(command(run=run), [*base, "Orders DB"]) == 2
    said = capsys.readouterr().err
    assert "`Orders DB`" in said
    assert "`customer database`" in said
    named = "Billing DB"
    assert execute(command(run=run), [*base, "Orders DB"]) == 5, "the gate comes first"


def test_an_ungated_command_asks_nothing(tmp_path: Path) -> None:
    def run(invocation: Invocation) -> Outcome:
        assert invocation.require_store("Orders").decision is None
        return Outcome(text="")

    assert execute(command(gated=False, run=run), ["--project", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("severity", "level", "code", "status"),
    [
        ("error", "error", 1, "findings"),
        ("warning", "error", 0, "ok"),
        ("warning", "warning", 1, "findings"),
        ("info", "info", 1, "findings"),
        ("error", "never", 0, "ok"),
    ],
)
def test_findings_decide_the_exit_code(
    root: Path, severity: str, level: str, code: int, status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome(text="", findings=(finding(severity),))
    assert execute(command(outcome), ["--project", str(root), "--fail-on", level, "--json"]) == code
    assert envelope(capsys)["status"] == status


def test_findings_are_sorted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(
        text="", findings=(finding(file="b"), finding(file="a", line=9), finding(file="a", line=2))
    )
    execute(command(outcome), ["--project", str(root), "--json"])
    assert [(one["file"], one["line"]) for one in envelope(capsys)["findings"]] == [
        ("a", 2),
        ("a", 9),
        ("b", None),
    ]


def test_a_failed_proof_and_an_exit_code_of_its_own(root: Path) -> None:
    assert execute(command(Outcome(text="", failed=True)), ["--project", str(root)]) == 1
    assert execute(command(Outcome(text="", exit_code=6)), ["--project", str(root)]) == 6


def test_a_problem_is_an_error_with_its_place(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problem = UsageProblem("unknown key", where="a:b.yaml:3:7", expected="one of x", try_="x")
    assert execute(command(problem), ["--project", str(root)]) == 2
    assert (
        capsys.readouterr().err == "dpe thing do: a:b.yaml:3:7: unknown key\n  expected: one of x\n  try: x\n"
    )
    assert execute(command(problem), ["--project", str(root), "--json"]) == 2
    found = envelope(capsys)
    assert found["status"] == "error"
    (one,) = found["findings"]
    assert (one["rule"], one["file"], one["line"], one["column"], one["fix"]) == (
        "usage",
        "a:b.yaml",
        3,
        7,
        "x",
    )


def test_a_problem_that_carries_findings_gives_them(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problem = UsageProblem("two mistakes")
    problem.findings = (finding(line=2), finding(line=1))  # type: ignore[attr-defined]
    execute(command(problem), ["--project", str(root), "--json"])
    assert [one["line"] for one in envelope(capsys)["findings"]] == [1, 2]


def test_no_password_in_an_error(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problem = EnvironmentProblem("cannot connect to postgres://app:hunter2@db/x")
    assert execute(command(problem), ["--project", str(root)]) == 6
    assert execute(command(problem), ["--project", str(root), "--json"]) == 6
    assert "hunter2" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "arguments", [["--nope"], ["extra"], ["--fail-on", "some"], ["--store"], ["--project", "/nowhere"]]
)
def test_usage(arguments: list[str], root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(command(), [*arguments, "--json"]) == 2
    assert envelope(capsys)["status"] == "error"


def test_output_takes_the_text(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "new" / "answer.md"
    base = ["--project", str(root), "--output", str(path)]
    assert execute(command(), base) == 0
    assert path.read_text() == "done\n"
    assert capsys.readouterr().out == f"Wrote {path}\n"
    assert execute(command(), base) == 0, "the same again is no conflict"
    assert execute(command(Outcome(text="other")), base) == 2
    assert path.read_text() == "done\n"
    assert execute(command(Outcome(text="other")), [*base, "--force", "--json"]) == 0
    capsys.readouterr()
    assert path.read_text() == "other\n"


def test_the_environment_comes_after_the_gate(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_platform import environment

    entered: list[list[str]] = []
    monkeypatch.setattr(environment, "enter", entered.append)
    needy = command(needs_environment=True)
    assert execute(needy, ["--project", str(root), "--store", "Billing DB"]) == 5
    assert entered == []
    assert execute(needy, ["--project", str(root)]) == 0
    assert entered == [["thing", "do", "--project", str(root)]]


def test_no_environment_is_an_error_with_a_command(root: Path, monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    from data_platform import environment

    def enter(argv: list[str]) -> None:
        raise environment.Fault("the disk is full", "do this")

    monkeypatch.setattr(environment, "enter", enter)
    assert execute(command(needs_environment=True), ["--project", str(root)]) == 6
    assert capsys.readouterr().err == "dpe thing do: the disk is full\n  try: do this\n"
