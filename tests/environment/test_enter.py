"""Going on in an interpreter that has the packages, tried for real with tiny ones."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conftest import Tree

posix = pytest.mark.skipif(sys.platform == "win32", reason="mounts and kill -9 are POSIX")


def test_two_first_runs_at_once(tree: Tree) -> None:
    """Both work, one builds; the arguments arrive as they were."""
    processes = [tree.start("demo", "a b", "$c") for _ in range(2)]
    results = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    (environment,) = tree.environments()
    for out, _ in results:
        assert out == f"{environment / 'bin' / 'python'} ['a b', '$c']\n"
    said = "".join(err for _, err in results)
    assert said.count("building the environment, once for this Python") == 1
    assert said.count("another dpe is building") <= 1

    started = time.perf_counter()
    again = tree.run("demo")
    assert (again.returncode, again.stderr) == (0, ""), "nothing is built again"
    assert time.perf_counter() - started < 3


def test_the_interpreter_that_has_everything_is_used(tree: Tree, tmp_path: Path) -> None:
    for wheel in (tree.root.parent / "index").glob("dpe_tiny*"):
        shutil.unpack_archive(wheel, tmp_path / "packages", "zip")
    done = tree.elsewhere(tmp_path / "home").run("demo", PYTHONPATH=str(tmp_path / "packages"))
    assert done.stdout == f"{sys.executable} []\n"
    assert not (tmp_path / "home").exists()


def test_extras_are_remembered(tree: Tree) -> None:
    assert tree.run("setup", "--extra", "nope").returncode == 2
    done = tree.run("setup", "--extra", "more")
    assert done.returncode == 0, done.stderr
    assert "Built. Extras: more." in done.stdout
    assert tree.run("setup").stdout.startswith("Nothing to do: everything is there. Extras: more.")
    python = tree.run("demo").stdout.split(" [")[0]
    subprocess.run([python, "-c", "import dpe_more, dpe_deep"], check=True)


def test_tests_are_run_in_the_source_tree(tree: Tree, tmp_path: Path) -> None:
    for wheel in (tree.root.parent / "index").iterdir():
        shutil.unpack_archive(wheel, tmp_path, "zip")
    tested = tree.elsewhere(tmp_path / "home").run("test", "-k", "x y", "--help-me", PYTHONPATH=str(tmp_path))
    assert tested.returncode == 5, "pytest's own exit code"
    assert tested.stdout == f"{tree.root} ['-k', 'x y', '--help-me']\n"


def test_an_environment_whose_python_is_gone_is_built_anew(tree: Tree) -> None:
    environment = Path(tree.run("demo").stdout.split(" [")[0]).parents[1]
    for link in (environment / "bin").glob("python*"):
        link.unlink()
    (environment / "bin" / "python").symlink_to("/nowhere/python")
    done = tree.run("demo")
    assert done.returncode == 0
    assert "building" in done.stderr


@posix
def test_killed_in_the_middle(tree: Tree, tmp_path: Path) -> None:
    moved = tree.elsewhere(tmp_path / "home")
    process = moved.start("setup")
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("home/*.building-*/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(moved.environments()) == 1, "what it left behind"
    done = moved.run("demo")
    assert done.returncode == 0, done.stderr
    (environment,) = moved.environments()
    assert ".building-" not in environment.name


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle(tree: Tree, tmp_path: Path, number: signal.Signals) -> None:
    moved = tree.elsewhere(tmp_path / "home")
    process = moved.start("setup")
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("home/*.building-*/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert moved.environments() == []


def test_no_network(tree: Tree, tmp_path: Path) -> None:
    closed = "http://127.0.0.1:9/simple"
    moved = tree.elsewhere(
        tmp_path / "home", PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_INDEX_URL=closed, UV_NO_INDEX="0", UV_FIND_LINKS="",
        UV_DEFAULT_INDEX=closed,
    )  # fmt: skip
    started = time.perf_counter()
    done = moved.run("demo")
    assert time.perf_counter() - started < 30
    assert done.returncode == 6
    assert "the package index cannot be reached" in done.stderr
    assert "-m pip install" in done.stderr
    assert "'dpe-tiny>=1.2'" in done.stderr
    assert moved.environments() == []


def test_without_a_venv_module(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "venv.py").write_text("raise SystemExit('ensurepip is not available')\n")
    done = tree.elsewhere(tmp_path / "home").run("setup", PYTHONPATH=str(tmp_path), PATH="/usr/bin:/bin")
    assert done.returncode == 6
    assert "cannot make environments: its venv module is not installed" in done.stderr
    assert f"apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in done.stderr


@contextmanager
def mounted(directory: Path, options: str) -> Iterator[None]:
    """A small file system of its own; needs root."""
    directory.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this account may not mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@posix
@pytest.mark.parametrize(
    ("options", "cause"),
    [("size=64k", "the disk is full"), ("size=1m,ro", "cannot write to")],
)
def test_a_disk_that_refuses(tree: Tree, tmp_path: Path, options: str, cause: str) -> None:
    with mounted(tmp_path / "disk", options):
        done = tree.elsewhere(tmp_path / "disk" / "home").run("demo")
        assert done.returncode == 6
        assert cause in done.stderr
        assert "DPE_HOME=/a/writable/directory" in done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) <= 5


@posix
def test_a_home_that_belongs_to_another(tree: Tree, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("permission bits do not bind root; the read-only file system stands for it")
    (tmp_path / "home").mkdir(mode=0o500)
    assert tree.elsewhere(tmp_path / "home" / "below").run("setup").returncode == 6


def test_an_environment_that_does_not_help_is_no_loop(tree: Tree) -> None:
    python = Path(tree.run("demo").stdout.split(" [")[0])
    moved = tree.elsewhere(tree.home)
    done = moved.run("demo", DPE_ENTERED=str(python.parent.parent))
    assert done.returncode == 6
    assert "lacks dpe-tiny>=1.2" in done.stderr
    assert f"rm -r '{python.parent.parent}'" in done.stderr


def test_installed_from_a_wheel(tree: Tree, tmp_path: Path) -> None:
    shutil.copytree(tree.root / "scripts", tmp_path / "site-packages")
    wheel = Tree(tmp_path, tmp_path / "home", tree.variables)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        launcher = str(tmp_path / "site-packages" / "dpe.py")
        command = [sys.executable, launcher, *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=wheel.variables, check=False)

    assert "Nothing to do: dpe was installed from a wheel" in run("setup").stdout
    tested = run("test")
    assert tested.returncode == 6
    assert "source tree only" in tested.stderr
    assert run("demo").returncode == 70, "the packages are taken for granted; the fake tree has none"


def test_pip_does_it_without_uv(tree: Tree, tmp_path: Path) -> None:
    done = tree.elsewhere(tmp_path / "home", PATH="/usr/bin:/bin").run("demo")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "home"))
