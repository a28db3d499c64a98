"""What is there, without changing anything: for `dpe doctor`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from data_platform.environment import place
from data_platform.environment.requirements import (
    PROJECT,
    Requirement,
    installed,
    missing,
    parse,
    source_tree,
)


class State(NamedTuple):
    """The environment that a command would use now.

    `python` is None while there is none. `versions` has each requirement with the version found, or None, and
    `lacking` those that are not satisfied; `directories` are where its packages lie; `place` is where it is,
    or would be built.
    """

    python: Path | None
    versions: tuple[tuple[str, str | None], ...]
    lacking: frozenset[str]
    directories: tuple[Path, ...]
    place: Path | None


def look() -> State:
    """The state of the environment; builds nothing, starts no process, does not raise."""
    project = source_tree()
    if project is None:
        return _state(Path(sys.executable), _of_wheel(), sys.path, None)
    extras = place.remembered_extras(project)
    wanted = project.wants(extras)
    directory = place.directory(project, extras)
    if not missing(wanted, sys.path):
        return _state(Path(sys.executable), wanted, sys.path, directory)
    ready = place.is_ready(directory, project, extras)
    python = place.python_in(directory) if ready else None
    return _state(python, wanted, [str(place.packages_in(directory))], directory)


def _state(
    python: Path | None, wanted: tuple[Requirement, ...], directories: list[str], where: Path | None
) -> State:
    there = installed(directories)
    versions = tuple((one.text, there[one.name][0] if one.name in there else None) for one in wanted)
    lacking = frozenset(one.text for one in missing(wanted, directories))
    return State(python, versions, lacking, tuple(map(Path, directories)), where)


def _of_wheel() -> tuple[Requirement, ...]:
    """What the installed package asks for, without its extras."""
    from importlib.metadata import PackageNotFoundError, requires  # noqa: PLC0415

    try:
        texts = requires(PROJECT) or []
    except PackageNotFoundError:
        return ()
    return tuple(parse(text) for text in texts if "extra ==" not in text)
