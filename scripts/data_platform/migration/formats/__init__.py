"""A plan as the files of the project's migration tool.

    files(plan, "dbmate", project, name="add_status", header=Header(...))

- `context`, `units`: what is known, and what goes into one file
- `session`, `notes`, `quoting`: the statements with their limits, the lines above them, and both as text
- one module for each tool, listed in `registry`
- `detect`: which tool a project uses, from its tree
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from data_platform.errors import UsageProblem
from data_platform.migration.formats.context import Context, Detected, Files, Header, Place
from data_platform.migration.formats.detect import detect, place_of
from data_platform.migration.formats.registry import FORMATS
from data_platform.migration.plan.step import Plan

__all__ = ["FORMATS", "Detected", "Files", "Header", "detect", "files"]


def files(
    plan: Plan,
    tool: str,
    project: Path | None = None,
    *,
    name: str = "change",
    header: Header | None = None,
    next_version: str | None = None,
    now: datetime | None = None,
) -> Files:
    """The files by their paths in the project.

    `next_version` is the first version instead of the one after the project's last;
    `now` makes the first version of a tool that counts by time, in a project that has none. Raises UsageProblem.
    """
    context = Context(
        name=_slug(name),
        place=_place(tool, project, next_version, now),
        header=header or Header(),
    )
    return FORMATS[tool].write(plan, context)


def _place(tool: str, project: Path | None, next_version: str | None, now: datetime | None) -> Place:
    known = FORMATS[tool]
    place = (place_of(project, tool) if project is not None else None) or known.default
    if next_version is not None:
        return replace(place, version=_checked(next_version))
    if place.version or known.clock is None:
        return place
    if now is None:
        raise UsageProblem(
            f"{tool} counts by time, and there is no migration to count from", try_="--next VERSION"
        )
    return replace(place, version=known.clock(now))


def _checked(version: str) -> str:
    if not version.isascii() or not version.isdigit():
        raise UsageProblem(f"not a version: {version!r}", expected="digits")
    return version


def _slug(name: str) -> str:
    kept = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.lower())
    return "_".join(part for part in kept.split("_") if part)[:40].strip("_") or "change"
