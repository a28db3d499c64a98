"""Every command of every noun: refused before it reads or writes anything but the scope.

The commands are found, not listed: one that is added later is held to the same.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from data_platform.cli import NOUNS, commands

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
UNGATED = {"scope", "hook", "doctor", "setup", "test", "demo"}
GATED = [command for noun in NOUNS for command in commands(noun) if command.gated]

NO_SCOPE = "# Guide\n"
UNEDITED = "## Project Scope\n### Domain Ownership\n- [Domain]: [Role]\n"
ANOTHER = "## Project Scope\n### Domain Ownership\n- Orders DB: Backend Developer\n"

# Runs each command line in one process, watched: every file, process, connection and directory that it touches
# and that belongs neither to Python nor to this package.
WATCHED = """
import io, json, os, sys
scripts, lines = sys.argv[1], json.loads(sys.argv[2])
sys.dont_write_bytecode = True
sys.path.insert(0, scripts)
from data_platform.cli import NOUNS, commands, main
from data_platform.cli.parser import parser_of
[parser_of(command) for noun in NOUNS for command in commands(noun)]
ours = os.path.dirname(scripts)
allowed = ("CLAUDE.md", "claude.md", "AGENTS.md")
touched, watching = [], False
def watch(event, arguments):
    if not watching:
        return
    if event == "open":
        path = arguments[0]
        if isinstance(path, int) or not path:
            return
        path = os.fsdecode(path)
        package = (os.path.join(ours, "scripts"), os.path.join(ours, "templates", "messages"))
        known = path.startswith((*package, *sys.path[1:]))
        if os.path.basename(path) in allowed or known:
            return
        touched.append([event, path])
    elif event.startswith(("os.", "subprocess.", "socket.", "shutil.", "tempfile.", "sqlite3.", "ctypes.")):
        if event not in ("os.listdir", "os.scandir"):
            touched.append([event, repr(arguments)])
sys.addaudithook(watch)
answers = []
for line in lines:
    out, err, touched[:] = io.StringIO(), io.StringIO(), []
    sys.stdout, sys.stderr, watching = out, err, True
    try:
        code = main(line)
    finally:
        watching, sys.stdout, sys.stderr = False, sys.__stdout__, sys.__stderr__
    answers.append([code, out.getvalue(), err.getvalue(), list(touched)])
print(json.dumps(answers))
"""


def arguments_of(example: str) -> list[str]:
    """The example as a command line, without what a shell would do with it."""
    words = shlex.split(example.replace("\\\n", " "))[1:]
    stop = next((at for at, word in enumerate(words) if word in (">", "|", "&&", "#")), len(words))
    return words[:stop]


def answers(tmp_path: Path, scope: str, *more: str) -> list[tuple[int, str, str, list[list[str]]]]:
    (tmp_path / ".git").mkdir()
    (tmp_path / "CLAUDE.md").write_text(scope)
    lines = [[*arguments_of(command.example), "--project", str(tmp_path), *more] for command in GATED]
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(SCRIPTS), json.dumps(lines)],
        capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", "CLAUDE.md"]
    return [tuple(answer) for answer in json.loads(done.stdout)]


def test_all_work_is_gated() -> None:
    assert GATED
    for noun in NOUNS:
        for command in commands(noun):
            assert command.gated == (noun not in UNGATED), command.name


@pytest.mark.parametrize(
    ("scope", "more", "code"),
    [
        (NO_SCOPE, [], 3),
        (UNEDITED, [], 4),
        (ANOTHER, ["--store", "Orders DB"], 5),
        (ANOTHER, ["--store", "Other"], 5),
    ],
    ids=["undefined", "placeholders", "owned_by_other", "unknown"],
)
def test_every_command_refuses_before_it_touches_anything(
    tmp_path: Path, scope: str, more: list[str], code: int
) -> None:
    for command, (exit_code, out, err, touched) in zip(GATED, answers(tmp_path, scope, *more), strict=True):
        assert exit_code == code, (command.name, err)
        assert err.startswith("[DATA_PLATFORM_ENGINEER] - I cannot proceed with this request."), command.name
        assert out == "", command.name
        assert touched == [], command.name


def test_a_refusal_is_json_where_json_is_asked_for(tmp_path: Path) -> None:
    for command, (code, out, err, touched) in zip(GATED, answers(tmp_path, NO_SCOPE, "--json"), strict=True):
        envelope = json.loads(out)
        assert (code, envelope["status"], envelope["scope"]["verdict"]) == (3, "refused", "undefined"), (
            command.name
        )
        assert envelope["command"] == command.name
        assert "I cannot proceed" in err
        assert touched == []
