"""Build an environment: under a lock, aside, and renamed into place when it is whole."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from data_platform.environment import place
from data_platform.environment.fault import Fault, kind_of, kind_of_error
from data_platform.environment.requirements import Project

_ASIDE = ".building-"
_FULL = 20_000_000  # bytes: with less than this left, that is the reason
# An index that cannot be reached is given up after seconds. What the user has set counts more.
_PATIENCE = {"PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "15", "UV_HTTP_RETRIES": "1", "UV_HTTP_TIMEOUT": "15"}


def build(project: Project, extras: Sequence[str]) -> Path:
    """Build the environment unless somebody else just has; returns its interpreter.

    Progress goes to stderr. Raises `Fault` for no network, no space, no permission or no venv module.
    """
    target = place.directory(project, extras)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent / "lock"):
            if not place.is_ready(target, project, extras):
                _build_aside(project, extras, target)
    except OSError as error:
        raise _fault(kind_of_error(error), str(error), project, extras, target) from error
    except _Failed as failure:
        raise _fault(kind_of(failure.output), failure.output, project, extras, target) from failure
    return place.python_in(target)


def _build_aside(project: Project, extras: Sequence[str], target: Path) -> None:
    for leftover in target.parent.glob(f"*{_ASIDE}*"):  # we hold the lock, so whoever built there is dead
        shutil.rmtree(leftover, ignore_errors=True)
    aside = target.with_name(f"{target.name}{_ASIDE}{os.getpid()}")
    started = time.monotonic()
    requirements = [one.text for one in project.wants(extras)]
    _say(f"building the environment, once for this Python: {len(requirements)} packages into {target}")
    try:
        _install(aside, requirements)
        shutil.rmtree(target, ignore_errors=True)  # one that is broken: the Python behind it is gone
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _say(f"done in {time.monotonic() - started:.0f} s")


class _Failed(Exception):
    """An installer gave up; `output` is what it said."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output


def _install(aside: Path, requirements: list[str]) -> None:
    """With uv when it is there, else with pip; with pip too when uv fails, as it may know another index."""
    ways = [_with_pip(sys.executable, aside, requirements)]
    if uv := shutil.which("uv"):
        ways.insert(0, _with_uv(uv, aside, requirements))
    failures = []
    for way in ways:
        try:
            for command in way:
                _run(command, aside.parent)
            return
        except _Failed as failure:
            failures.append(failure)
            shutil.rmtree(aside, ignore_errors=True)
    raise next((failure for failure in failures if kind_of(failure.output)), failures[-1])


def _with_uv(uv: str, aside: Path, requirements: list[str]) -> list[list[str]]:
    return [
        [uv, "venv", "--quiet", "--no-project", "--relocatable", "--python", sys.executable, str(aside)],
        [uv, "pip", "install", "--quiet", "--python", str(place.python_in(aside)), *requirements],
    ]


def _with_pip(python: str, aside: Path, requirements: list[str]) -> list[list[str]]:
    install = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    return [[python, "-m", "venv", str(aside)], [str(place.python_in(aside)), *install, *requirements]]


def _run(command: list[str], directory: Path) -> None:
    done = subprocess.run(
        command,
        cwd=directory,
        env=_PATIENCE | os.environ,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise _Failed(done.stdout + done.stderr)


def by_hand(project: Project, extras: Sequence[str], target: Path) -> str:
    """What a person types to get the same environment."""
    commands = _with_pip(sys.executable, target, [one.text for one in project.wants(extras)])
    return " && ".join(shlex.join(command) for command in commands)


def _fault(kind: str, output: str, project: Project, extras: Sequence[str], target: Path) -> Fault:
    elsewhere = (
        f"DPE_HOME=/a/writable/directory {shlex.join([sys.executable, str(launcher(project)), 'setup'])}"
    )
    hand = by_hand(project, extras, target)
    if kind in ("", "venv") and _free(target) < _FULL:
        kind = "space"  # some installers do not say what stopped them
    match kind:
        case "space":
            return Fault(
                f"the disk is full: {_free(target) // 1_000_000} MB free at {place.home()}, about 500 MB needed",
                elsewhere,
            )
        case "write":
            return Fault(f"cannot write to {place.home()}\n{_last_line(output)}", elsewhere)
        case "venv":
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            return Fault(
                f"this Python ({sys.executable}) cannot make environments: its venv module is not installed",
                f"apt install python{version}-venv (or install uv), then: {hand}",
            )
        case "network":
            return Fault(
                "the package index cannot be reached, and packages are missing", f"with a network: {hand}"
            )
    return Fault(f"the packages could not be installed\n{_last_line(output)}", hand)


def launcher(project: Project) -> Path:
    """The script that starts dpe from that source tree."""
    return project.root / "scripts" / "dpe.py"


def _free(path: Path) -> int:
    existing = next(parent for parent in path.parents if parent.exists())
    return shutil.disk_usage(existing).free


def _last_line(output: str) -> str:
    return (output.strip().splitlines() or ["it did not say why"])[-1][:300]


def _say(text: str) -> None:
    sys.stderr.write(f"dpe: {text}\n")
    sys.stderr.flush()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process builds at a time. The system drops the lock of a process that is killed."""
    with path.open("ab") as file:
        if not _try_lock(file):
            _say("another dpe is building the environment; waiting for it")
            while not _try_lock(file):
                time.sleep(0.2)
        yield


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
