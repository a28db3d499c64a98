"""Files made to hurt: answered quickly, without a traceback."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.scope import check

from .conftest import Project
from .samples import TABLES

LAUNCHER = Path(__file__).resolve().parents[2] / "scripts" / "dpe.py"
SECONDS = 2.0
"""On a machine that counts to two million in 0.1 s and is given 200 MB in 0.1 s; a slower one gets as much more."""
MEGA = 1_000_000


def repeated(piece: str, size: int = 5 * MEGA) -> str:
    return piece * (size // len(piece))


FILES = {
    "one line": "x" * 5 * MEGA,
    "one line of spaces": "## Project Scope" + " " * 5 * MEGA + "x",
    "one line of cells": "## Project Scope\n### Domain Ownership\n" + repeated("| a "),
    "one line of brackets": "## Project Scope\n- a: " + repeated("[a] "),
    "one line of open brackets": "## Project Scope\n- a: " + repeated("["),
    "one line of links": "## Project Scope\n- a: " + repeated("[a](b) "),
    "one line of half links": "## Project Scope\n- a: " + repeated("[a]("),
    "one line of comments": "scope\n" + repeated("<!-- -->"),
    "one line of comments in code": "scope\n" + repeated("`<!--`") + "-->",
    "one line of open comments": "scope a " + repeated("<!--"),
    "one line of imports": repeated("@a "),
    "one line of backticks": "scope\n" + repeated("`"),
    "one line of URLs": "## Project Scope\n- a: " + repeated("://a:"),
    "one line of parentheses": "## Project Scope\n### Domain Ownership\n- a: " + "(" * 5 * MEGA,
    "headings": "# a\n" * MEGA + TABLES,
    "scopes": "## Project Scope\n" * MEGA,
    "older scopes": "### Domain Ownership\n" * (MEGA // 4),
    "quotes": ">" * 100_000 + " ## Project Scope\n" + TABLES,
    "nested lists": "## Project Scope\n" + "".join(" " * n + "- a\n" for n in range(2_000)),
    "underlines": "## Project Scope\n" + "a\n===\n" * (MEGA // 4),
    "long paragraph": "## Project Scope\n" + "- a\n" + "b\n" * MEGA + "---\n",
    "rules in a list": "## Project Scope\n- a\n" + "b\n---\n" * (MEGA // 4),
    "rows": TABLES + "| Data Platform Engineer | @d | Store |\n" * 25_000,
    "NUL bytes": TABLES.replace("Customer", "Cus\0tomer") + "\0" * MEGA,
    "not UTF-8": TABLES.encode("latin-1", errors="replace") + b"\xff\xfe\x80" * 100_000,
    "random bytes": os.urandom(MEGA),
    "separators": TABLES.replace("\n", "\u2028") + "\x0b\x0c\x1c\x85" * 1000,
}


def allowed() -> float:
    """The limit in seconds of CPU time, by what this machine does just now."""
    started = time.process_time()
    sum(1 for _ in range(2_000_000))
    counted = time.process_time()
    bytearray(200_000_000)  # written once: a virtual machine may have to ask for each page
    given = time.process_time()
    return SECONDS * max(1.0, (counted - started) / 0.1, (given - counted) / 0.1)


@pytest.fixture(scope="module", autouse=True)
def others_leave_no_garbage() -> Iterator[None]:
    """What other tests have left is not looked through while the time of these is taken."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_answered_in_time(project: Project, name: str) -> None:
    root = project({"CLAUDE.md": FILES[name]})
    started = time.process_time()  # a busy machine is not the file's fault
    decision = check(root, "Customer DB")
    assert time.process_time() - started < allowed()
    assert decision.exit_code in (0, 3, 4, 5)
    assert len(decision.message) < 10_000


def test_an_import_bomb_is_answered_in_time(project: Project) -> None:
    every = " ".join(f"@{n}.md" for n in range(300))
    files: dict[str, str | bytes] = {f"{n}.md": every + "\n" + "text\n" * 2000 for n in range(300)}
    root = project({"CLAUDE.md": every, **files})
    started = time.process_time()  # a busy machine is not the file's fault
    assert check(root).verdict == "undefined"
    assert time.process_time() - started < allowed()


def make_directory(path: Path) -> None:
    path.mkdir()


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_link_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.skipif(sys.platform == "win32", reason="FIFOs and devices are POSIX")
@pytest.mark.parametrize("make", [make_directory, make_fifo, make_link_loop, make_device])
def test_what_is_no_file_is_passed_over_with_a_note(project: Project, make: object) -> None:
    root = project({".claude/CLAUDE.md": TABLES})
    make(root / "CLAUDE.md")  # type: ignore[operator]
    decision = check(root)
    assert decision.file == str(Path(".claude", "CLAUDE.md"))
    assert "CLAUDE.md" in decision.details["notes"][0]


@pytest.mark.skipif(sys.platform == "win32", reason="FIFOs are POSIX")
def test_the_command_line_says_so_without_a_traceback(project: Project) -> None:
    root = project()
    os.mkfifo(root / "CLAUDE.md")
    done = subprocess.run(
        [sys.executable, str(LAUNCHER), "scope", "check"],
        cwd=root, capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == "note: CLAUDE.md is not a file\n"
