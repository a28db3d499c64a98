"""golang-migrate: two files for each step.

It sends a file as one string and begins no transaction itself, so BEGIN and COMMIT are in the file, and a statement
that must be outside of a transaction has a file to itself.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from data_platform.migration.formats.context import Context, Detected, Files, Format, Place
from data_platform.migration.formats.files import numbered, with_advice
from data_platform.migration.formats.notes import about, taken_back
from data_platform.migration.formats.quoting import file
from data_platform.migration.formats.strings import in_transactions, outside
from data_platform.migration.formats.tree import Tree
from data_platform.migration.formats.units import units
from data_platform.migration.formats.versions import after_all
from data_platform.migration.plan.step import Plan


def write(plan: Plan, context: Context) -> Files:
    """`000001_name_1_step.up.sql` and `.down.sql`."""
    cut = units(plan, context, one_string=True)
    files: Files = {}
    for unit, folder, version, name in numbered(cut, context):
        up, down = in_transactions(unit, context)
        lines = about(unit, context, *outside(unit, context))
        files[folder / f"{version}_{name}.up.sql"] = file(lines, up)
        files[folder / f"{version}_{name}.down.sql"] = file(taken_back(unit), down)
    move = (
        "If other migrations were added meanwhile, give the files moved the next free versions: what has a lower "
        "version than the newest that ran is never run, and nothing says so."
    )
    return with_advice(files, cut, context, "migrate up", move)


def find(tree: Tree) -> Detected | None:
    """Files named `NNN_x.up.sql`."""
    found = tree.named("[0-9]*_*.up.sql")
    if not found:
        return None
    place = Place(directory=tree.home(found), version=after_all((path.name for path in found), r"([0-9]+)_"))
    return Detected(tool="golang-migrate", place=place, evidence=str(found[0]))


FORMAT = Format(
    name="golang-migrate",
    write=write,
    find=find,
    default=Place(directory=PurePosixPath("migrations"), version="000001"),
    notes=(
        "Without x-multi-statement=true in the URL: that cuts files at every semicolon, those in bodies too.",
    ),
)
