"""The names of files: numbered in the tool's directory, and what must wait for the deployment in one beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from data_platform.migration.formats.context import Context, Files
from data_platform.migration.formats.units import Unit
from data_platform.migration.formats.versions import counted


def numbered(units: Sequence[Unit], context: Context) -> Iterator[tuple[Unit, PurePosixPath, str, str]]:
    """Each unit with its directory, its version and the rest of its name; contract goes on after the others."""
    for unit, version in zip(units, counted(context.place.version), strict=False):
        yield unit, folder(unit, context), version, f"{context.name}_{unit.number}_{unit.name}"


def folder(unit: Unit, context: Context) -> PurePosixPath:
    """Where the tool looks, or where it does not."""
    return waiting(context) if unit.contracts else context.place.directory


def waiting(context: Context) -> PurePosixPath:
    """The directory of what is moved in after the deployment: beside the tool's, since many look into those below."""
    return context.place.directory.parent / "contract"


def with_advice(files: Files, units: Sequence[Unit], context: Context, command: str, move: str) -> Files:
    """The files, and how to go on with those that wait; the same text for every migration of a project."""
    if any(unit.contracts for unit in units):
        files[waiting(context) / "README.md"] = _ADVICE.format(
            directory=context.place.directory, command=command, move=move
        )
    return files


_ADVICE = """\
# Migrations that wait for a deployment

`{command}` runs everything that it finds in `{directory}` at once. What is here takes away what the old
application still uses, so it lies where `{command}` does not look.

1. Run `{command}`: expand and backfill. The old application goes on working, and the new one can.
2. Deploy the new application everywhere.
3. Move the files of that migration from here into `{directory}` and run `{command}` again.

{move}
"""
