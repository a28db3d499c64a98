"""Going on in an interpreter that has the dependencies."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from data_platform.environment import place
from data_platform.environment.build import build, launcher
from data_platform.environment.fault import Fault
from data_platform.environment.requirements import Project, missing, source_tree

_ENTERED = (
    "DPE_ENTERED"  # the environment that an exec went to: if it lacks something still, another would loop
)


class Ready(NamedTuple):
    """An interpreter with everything. `built` says whether there was something to do."""

    python: Path
    built: bool
    extras: tuple[str, ...]


def enter(argv: Sequence[str]) -> None:
    """Return if this interpreter has the dependencies; else run `dpe argv` in one that has, for good.

    Raises `Fault` when there is none and none can be built.
    """
    project = source_tree()
    if project is None:  # a wheel: its installer saw to the dependencies
        return
    extras = place.remembered_extras(project)
    if _has(project, extras):
        os.environ.pop(_ENTERED, None)
        return
    _go(_environment(project, extras), [str(launcher(project)), *argv])


def run_tests(arguments: Sequence[str]) -> NoReturn:
    """Run pytest with these arguments in the source tree, in place of this process.

    Raises `Fault` when this is no source tree or there is no environment.
    """
    project = source_tree()
    if project is None:
        raise Fault(
            "the tests are in the source tree only; this dpe was installed from a wheel", "git clone …"
        )
    extras = (*place.remembered_extras(project), "test")
    python = Path(sys.executable) if _has(project, extras) else _environment(project, extras)
    os.chdir(project.root)
    _go(python, ["-m", "pytest", *arguments])


def set_up(extras: Sequence[str] = ()) -> Ready | None:
    """Make the environment now; these extras are remembered. None when installed from a wheel.

    Raises `ValueError` for an extra that does not exist, `Fault` when it cannot be built.
    """
    project = source_tree()
    if project is None:
        return None
    if unknown := sorted(set(extras) - set(project.extras)):
        raise ValueError(f"no extra {unknown[0]!r}; there are: {', '.join(sorted(project.extras))}")
    wanted = tuple(sorted({*place.remembered_extras(project), *extras}))
    if _has(project, wanted):
        ready = Ready(Path(sys.executable), False, wanted)
    else:
        there = place.is_ready(place.directory(project, wanted), project, wanted)
        ready = Ready(build(project, wanted), not there, wanted)
    if extras:
        _remember(wanted)
    return ready


def _remember(extras: tuple[str, ...]) -> None:
    try:
        place.home().mkdir(parents=True, exist_ok=True)
        place.remember_extras(extras)
    except OSError as error:
        raise Fault(
            f"cannot write to {place.home()}: {error.strerror}", "DPE_HOME=/a/writable/directory dpe setup"
        ) from error


def _has(project: Project, extras: Sequence[str]) -> bool:
    return not missing(project.wants(extras), sys.path)


def _environment(project: Project, extras: Sequence[str]) -> Path:
    environment = place.directory(project, extras)
    if os.environ.get(_ENTERED) == str(environment):
        lacks = ", ".join(one.text for one in missing(project.wants(extras), sys.path))
        set_up_again = shlex.join([sys.executable, str(launcher(project)), "setup"])
        raise Fault(
            f"the environment {environment} lacks {lacks}",
            f"rm -r {shlex.quote(str(environment))} && {set_up_again}",
        )
    if place.is_ready(environment, project, extras):
        return place.python_in(environment)
    return build(project, extras)


def _go(python: Path, arguments: list[str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    command = [str(python), *arguments]
    surroundings = os.environ | {_ENTERED: str(python.parent.parent)}
    if sys.platform == "win32":  # there exec returns to the shell at once
        sys.exit(subprocess.run(command, env=surroundings, check=False).returncode)
    os.execve(python, command, surroundings)  # noqa: S606  no shell, our own arguments
