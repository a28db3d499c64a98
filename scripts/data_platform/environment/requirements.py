"""What pyproject.toml asks for, and what of it an interpreter lacks.

Installed versions are read from the names of `*.dist-info` directories: importlib.metadata says the same, but
importing it takes longer than many a command.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

PROJECT = "data-platform-engineer"


class Requirement(NamedTuple):
    """`name[extra]>=minimum`; no other form is used in our pyproject.toml."""

    text: str
    name: str
    extras: tuple[str, ...]
    minimum: str


class Project(NamedTuple):
    """A source tree: where it is, what it needs, and a digest that changes when that does."""

    root: Path
    digest: str
    dependencies: tuple[Requirement, ...]
    extras: Mapping[str, tuple[Requirement, ...]]

    def wants(self, extras: Iterable[str]) -> tuple[Requirement, ...]:
        """The dependencies together with those extras'."""
        return self.dependencies + tuple(one for extra in extras for one in self.extras[extra])


def source_tree() -> Project | None:
    """The source tree this file lies in, or None when it was installed from a wheel."""
    return read_project(Path(__file__).resolve().parents[3])


def read_project(root: Path) -> Project | None:
    """Read `root`'s pyproject.toml; None when there is none of ours."""
    import tomllib  # noqa: PLC0415  not needed in a wheel

    try:
        data = (root / "pyproject.toml").read_bytes()
    except OSError:
        return None
    project = tomllib.loads(data.decode()).get("project", {})
    if project.get("name") != PROJECT:
        return None
    optional = project.get("optional-dependencies", {})
    return Project(
        root,
        hashlib.sha256(data).hexdigest(),
        tuple(map(parse, project.get("dependencies", ()))),
        {extra: tuple(map(parse, texts)) for extra, texts in optional.items()},
    )


def parse(text: str) -> Requirement:
    """Read one requirement. A version that is not given with `>=` is not checked."""
    full_name, _, minimum = text.partition(">=")
    name, _, extras = full_name.strip().partition("[")
    return Requirement(
        text,
        _normal(name),
        tuple(extra.strip() for extra in extras.rstrip("] ").split(",") if extra),
        minimum.strip(),
    )


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")


def installed(directories: Iterable[str]) -> dict[str, tuple[str, Path]]:
    """name → (version, its dist-info), for the distributions in these directories; the first found wins."""
    found: dict[str, tuple[str, Path]] = {}
    for directory in directories:
        try:
            entries = list(Path(directory or ".").iterdir())
        except OSError:
            continue
        for entry in entries:
            if entry.name.endswith(".dist-info"):
                name, _, version = entry.name.removesuffix(".dist-info").rpartition("-")
                found.setdefault(_normal(name), (version, entry))
    return found


def missing(wanted: Iterable[Requirement], directories: Iterable[str]) -> tuple[Requirement, ...]:
    """Those requirements that the distributions in these directories do not satisfy."""
    there = installed(directories)
    return tuple(one for one in wanted if not _satisfied(one, there))


def _satisfied(wanted: Requirement, there: dict[str, tuple[str, Path]]) -> bool:
    version, information = there.get(wanted.name, ("", None))
    if information is None or _numbers(version) < _numbers(wanted.minimum):
        return False
    return all(name in there for name in _needed_by_extras(information, wanted.extras))


def _numbers(version: str) -> tuple[int, ...]:
    """`18.6.3rc1` → (18, 6, 3): enough for a lower bound."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    while numbers and not numbers[-1]:
        numbers.pop()  # 3.0 is 3
    return tuple(numbers)


def _needed_by_extras(information: Path, extras: tuple[str, ...]) -> list[str]:
    """The distributions that a distribution's metadata asks for under these extras."""
    if not extras:
        return []
    try:
        lines = (information / "METADATA").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    asked = [line.removeprefix("Requires-Dist:") for line in lines if line.startswith("Requires-Dist:")]
    wanted = [line for line in asked if any(f"extra == '{e}'" in line.replace('"', "'") for e in extras)]
    return [_normal(_leading_name(line.strip())) for line in wanted]


def _leading_name(requirement: str) -> str:
    for at, character in enumerate(requirement):
        if not (character.isalnum() or character in "-_."):
            return requirement[:at]
    return requirement
