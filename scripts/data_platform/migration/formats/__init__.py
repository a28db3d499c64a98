"""A plan as the files of the project's migration tool.

    files(plan, "dbmate", project, name="add_status", header=Header(...))

- `context`, `units`: what is known, and what goes into one file
- `session`, `notes`, `quoting`: the statements with their limits, the lines above them, and both as text
- one module for each tool, listed in `registry`
- `detect`: which tool a project uses, from its tree
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from data_platform.errors import UsageProblem
from data_platform.migration.formats.context import Context, Detected, Files, Header, Place, Start
from data_platform.migration.formats.detect import detect, place_of
from data_platform.migration.formats.registry import FORMATS
from data_platform.migration.plan.step import Plan

__all__ = ["FORMATS", "Detected", "Files", "Header", "Start", "detect", "files"]


def files(
    plan: Plan,
    tool: str,
    project: Path | None = None,
    *,
    name: str = "change",
    header: Header | None = None,
    start: Start | None = None,
) -> Files:
    """The files by their paths in the project, or in the tool's own layout without one. Raises UsageProblem."""
    place = _place(tool, project, start or Start())
    return FORMATS[tool].write(plan, Context(name=_slug(name), place=place, header=header or Header()))


def _place(tool: str, project: Path | None, start: Start) -> Place:
    known = FORMATS[tool]
    place = (place_of(project, tool, start.app) if project is not None else None) or known.default
    if start.version is not None:
        return replace(place, version=_checked(start.version))
    if place.version or known.clock is None:
        return place
    if start.now is None:
        raise UsageProblem(
            f"{tool} counts by time, and there is no migration to count from", try_="--next VERSION"
        )
    return replace(place, version=known.clock(start.now))


def _checked(version: str) -> str:
    if not version.isascii() or not version.isdigit():
        raise UsageProblem(f"not a version: {version!r}", expected="digits")
    return version


def _slug(name: str) -> str:
    kept = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.lower())
    return "_".join(part for part in kept.split("_") if part)[:40].strip("_") or "change"
