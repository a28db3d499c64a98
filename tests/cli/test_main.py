"""Finding the command, and every way a run can end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_platform.cli import NOUNS, commands, main
from data_platform.cli.parser import parser_of

LAUNCHER = Path(__file__).resolve().parents[2] / "scripts" / "dpe.py"
ALL = [command for noun in NOUNS for command in commands(noun)]


def test_the_table_of_nouns_agrees_with_the_modules() -> None:
    for noun, entry in NOUNS.items():
        assert tuple(command.verb for command in commands(noun)) == (entry.verbs or (None,)), noun
        assert {command.noun for command in commands(noun)} == {noun}


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)
def test_every_help_shows_its_example(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.name.split(), "--help"]) == 0  # type: ignore[attr-defined]
    shown = capsys.readouterr().out
    assert command.example in shown  # type: ignore[attr-defined]
    assert command.summary in " ".join(shown.split())  # type: ignore[attr-defined]
    assert command.example.startswith(f"dpe {command.name}")  # type: ignore[attr-defined]
    assert parser_of(command).prog == f"dpe {command.name}"  # type: ignore[arg-type, attr-defined]


def test_help_lists_everything(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"], ["help"]):
        assert main(arguments) == 0
        shown = capsys.readouterr().out
        for command in ALL:
            assert command.noun in shown
            assert (command.verb or "") in shown
    for noun in NOUNS:
        assert main([noun, "--help"]) == 0
        assert "example:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scop", "check"], "try: dpe scope"),
        (["scope", "chek"], "try: dpe scope check"),
        (["scope"], "scope needs a verb"),
        (["xyzzy"], "try: dpe --help"),
        (["scope", "check", "--nope"], "unrecognized arguments: --nope"),
    ],
)
def test_what_there_is_not(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
    assert main([*arguments, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["status"] == "error"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dpe 0.")


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(LAUNCHER), *arguments], capture_output=True, text=True, timeout=30, check=False, **options
    )  # type: ignore[call-overload, no-any-return]  # fmt: skip


def test_the_gate_and_the_help_import_nothing_of_others() -> None:
    listing = "import sys; before = set(sys.modules); sys.argv[1:] = {}; sys.path.insert(0, {!r});" + (
        "from data_platform.cli import main; main();"
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    for arguments in (["scope", "check"], ["--help"], ["schema", "prove", "--help"], ["doctor"]):
        code = listing.replace("{}", repr(arguments), 1).replace("{!r}", repr(str(LAUNCHER.parent)))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "['data_platform']", arguments


def test_the_gate_is_light() -> None:
    """The modules whose import alone takes a quarter of the gate's time or more are not on its path."""
    code = (
        f"import sys; sys.path.insert(0, {str(LAUNCHER.parent)!r}); from data_platform.cli import main;"
        + (
            "main(['scope', 'check']); print(sorted({'argparse', 're', 'typing', 'dataclasses', 'pathlib', 'json',"
            " 'enum', 'collections', 'importlib.metadata', 'subprocess', 'tempfile'} & set(sys.modules)))"
        )
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_fault_of_ours_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from data_platform.cli import scope

    def fall(*_: object) -> None:
        raise RuntimeError("postgres://u:hunter2@h/x")

    monkeypatch.setattr(scope, "check", fall)
    monkeypatch.delenv("DPE_DEBUG", raising=False)
    assert main(["scope", "check"]) == 70
    shown = capsys.readouterr().err
    assert "a fault in dpe itself: RuntimeError" in shown
    assert "hunter2" not in shown
    assert "Traceback" not in shown
    monkeypatch.setenv("DPE_DEBUG", "1")
    assert main(["scope", "check", "--json"]) == 70
    out, err = capsys.readouterr()
    assert json.loads(out)["findings"][0]["rule"] == "fault"
    assert "Traceback" in err


def test_a_full_disk_is_the_environments(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from data_platform.cli import scope

    def fall(*_: object) -> None:
        raise OSError(28, "No space left on device", "/tmp/x")

    monkeypatch.setattr(scope, "check", fall)
    assert main(["scope", "check"]) == 6
    assert capsys.readouterr().err == "dpe scope check: /tmp/x: No space left on device\n"


def test_interruptions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from data_platform.cli import scope

    def stop(*_: object) -> None:
        raise KeyboardInterrupt("the table is half filled; run it again to go on")

    monkeypatch.setattr(scope, "check", stop)
    assert main(["scope", "check"]) == 130
    assert capsys.readouterr().err == "dpe: interrupted: the table is half filled; run it again to go on\n"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_let_the_work_clean_up(number: signal.Signals, tmp_path: Path) -> None:
    code = f"""
import sys, time
sys.path.insert(0, {str(LAUNCHER.parent)!r})
from data_platform.cli import main, setup
from data_platform import environment
def slow(extras):
    try:
        print("working", flush=True)
        time.sleep(30)
    finally:
        print("cleaned up", flush=True)
environment.set_up = slow
sys.exit(main(["setup"]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "cleaned up\n")
    assert err.startswith("dpe: interrupted")
    assert len(err.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell's pipe")
def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"'{sys.executable}' '{LAUNCHER}' --help | true; exit ${{PIPESTATUS[0]}}"
    for _ in range(5):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_an_old_terminal_gets_the_words_all_the_same() -> None:
    surroundings = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, str(LAUNCHER), "scope", "message", "usage"], capture_output=True, env=surroundings, check=True
    )  # fmt: skip
    assert "📊" in done.stdout.decode()


def test_arguments_that_are_not_utf_8(tmp_path: Path) -> None:
    for arguments in ([b"scope", b"check", b"--store", b"\xff\xfe", b"--json"], [b"\xff", b"--json"]):
        command = [os.fsencode(sys.executable), os.fsencode(LAUNCHER), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode in (2, 3)
        assert json.loads(done.stdout)["status"] in ("refused", "error")


def test_a_password_in_the_scope_is_said_to_a_person_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "CLAUDE.md").write_text("## Project Scope\nSee postgres://app:hunter2@db/x\n")
    assert main(["scope", "check", "--project", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "CLAUDE.md:2: a URL in this line holds a password" in shown
    assert "hunter2" not in shown
    assert main(["scope", "check", "--project", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["status"], found["scope"]["verdict"]) == ("ok", "defined")
    assert [(one["rule"], one["severity"]) for one in found["findings"]] == [("password-in-scope", "warning")]


def test_a_path_with_spaces_and_a_link_to_the_launcher(tmp_path: Path) -> None:
    link = tmp_path / "my dir" / "dpe link.py"
    link.parent.mkdir()
    link.symlink_to(LAUNCHER)
    done = subprocess.run(
        [sys.executable, str(link), "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("dpe ")


def test_an_older_python_is_told_so() -> None:
    source = LAUNCHER.read_text()
    compile(source, str(LAUNCHER), "exec", dont_inherit=True, flags=0)
    code = f"import sys; sys.version_info = (3, 9, 0); exec(compile(open({str(LAUNCHER)!r}).read(), 'dpe.py', 'exec'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 6
    assert "needs Python 3.11 or newer; this is 3.9" in done.stderr


def test_scope_check_is_fast_enough(tmp_path: Path) -> None:
    """The figure itself is the benchmark's; this only notices when somebody makes the gate many times slower."""
    started = time.perf_counter()
    assert run("scope", "check", "--project", str(tmp_path)).returncode in (0, 3)
    assert time.perf_counter() - started < 2


OWNED = """\
## Project Scope
### Data Stores in Scope
| Data Store | Owner | Connection |
|---|---|---|
| Customer DB | Data Platform Engineer | postgresql://db/x?user=app&password=s3cr3t-x |
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["scope", "check", "--dns", "postgresql://u:a/s3cr3t-x@h/db"], 2),
        (["scope", "check", "--dns=s3cr3t-x"], 2),
        (["scope", "check", "--dns s3cr3t-x"], 2),
        (["scope", "check", "s3cr3t-x"], 2),
        (["scope", "check", "--store", "postgresql://u:a/s3cr3t-x@h/db"], 5),
        (["scope", "check", "--store", "Customer DB"], 0),
        (["scope", "check"], 0),
        (["schema", "prove", "model.yaml", "--dsn", "postgresql://u:a/s3cr3t-x@h/db"], 2),
        (["schema", "prove", "model.yaml", "--dsn", "env:postgresql://h/db?password=s3cr3t-x"], 2),
        (["schema", "prove", "model.yaml", "--dsn", "service:x password=s3cr3t-x"], 2),
        (["postgresql:/u:a/s3cr3t-x@h/db"], 2),
    ],
)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_no_password_of_a_command_line_or_a_scope_is_shown(
    arguments: list[str],
    code: int,
    more: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "CLAUDE.md").write_text(OWNED)
    (tmp_path / "model.yaml").write_text(
        "kind: model\nstore: Customer DB\nserver_version: 18\n"
        "tables:\n  t:\n    columns:\n      id: bigint\n    primary_key: [id]\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, *more]) == code, capsys.readouterr()
    shown = "".join(capsys.readouterr())
    assert "s3cr3t-x" not in shown
    assert ("--dsn: " in shown) == ("--dsn" in arguments) or more
