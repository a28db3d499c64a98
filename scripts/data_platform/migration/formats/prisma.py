"""Prisma: a directory for each step, with `migration.sql` and, for use by hand, `down.sql`.

Prisma has no down, and sends a file as one string: BEGIN and COMMIT are in the file, and a statement that must be
outside of a transaction has a migration to itself.
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
from data_platform.migration.formats.versions import after_all, seconds
from data_platform.migration.plan.step import Plan


def write(plan: Plan, context: Context) -> Files:
    """`20260101000000_name_1_step/migration.sql`."""
    cut = units(plan, context, one_string=True)
    files: Files = {}
    for unit, folder, version, name in numbered(cut, context):
        up, down = in_transactions(unit, context)
        directory = folder / f"{version}_{name}"
        lines = about(unit, context, *outside(unit, context))
        files[directory / "migration.sql"] = file(lines, up)
        files[directory / "down.sql"] = file([*_BY_HAND, *taken_back(unit)], down)
    move = "If other migrations were added meanwhile, rename the directories moved to times after the newest."
    return with_advice(files, cut, context, "prisma migrate deploy", move)


_BY_HAND = (
    "By hand, newest first: prisma db execute --file down.sql, then delete its row of _prisma_migrations.",
)


def find(tree: Tree) -> Detected | None:
    """schema.prisma and the migrations beside it."""
    schemas = tree.named("schema.prisma")
    if not schemas:
        return None
    directory = schemas[0].parent / "migrations"
    names = [path.parent.name for path in tree.files if path.name == "migration.sql"]
    place = Place(directory=directory, version=after_all(names, r"([0-9]{14})_"))
    return Detected(tool="prisma", place=place, evidence=str(schemas[0]))


FORMAT = Format(
    name="prisma",
    write=write,
    find=find,
    default=Place(directory=PurePosixPath("prisma/migrations")),
    clock=seconds,
    notes=(
        "schema.prisma is not changed: `prisma db pull`, or edit it, so that `prisma migrate dev` sees no drift.",
    ),
)
