"""dbmate: a file for each step with both directions.

dbmate sends a part of a file as one string, which is one transaction where it holds several statements. So with
`transaction:false` a file has one statement and nothing else, not even a SET.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from data_platform.migration.formats.context import Context, Detected, Files, Format, Place
from data_platform.migration.formats.files import numbered, with_advice
from data_platform.migration.formats.notes import about, taken_back
from data_platform.migration.formats.quoting import commented, script
from data_platform.migration.formats.strings import as_strings, outside
from data_platform.migration.formats.tree import Tree
from data_platform.migration.formats.units import Unit, units
from data_platform.migration.formats.versions import after_all, seconds
from data_platform.migration.plan.step import Plan
from data_platform.sql.text import Sql


def write(plan: Plan, context: Context) -> Files:
    """`20260101000000_name_1_step.sql`."""
    cut = units(plan, context, one_string=True)
    files: Files = {}
    for unit, folder, version, name in numbered(cut, context):
        files[folder / f"{version}_{name}.sql"] = _text(unit, context)
    move = (
        "dbmate runs what is pending in any order; with --strict rename the files to times after the newest."
    )
    return with_advice(files, cut, context, "dbmate up", move)


def _text(unit: Unit, context: Context) -> str:
    up, down = as_strings(unit, context)
    lines = about(unit, context, *outside(unit, context))
    return (
        commented("--", lines)
        + f"\n-- migrate:up{_option(unit.up, up)}\n{script(up)}\n\n"
        + f"-- migrate:down{_option(unit.down, down)}\n{commented('--', taken_back(unit))}{script(down)}\n"
    )


def _option(statements: tuple[Sql, ...], inside: list[Sql]) -> str:
    """A statement with nothing around it needs to be outside; what has limits is in the tool's transaction."""
    return " transaction:false" if statements and len(inside) == 1 else ""


def find(tree: Tree) -> Detected | None:
    """SQL files with its marks."""
    marked = [path for path in tree.named("[0-9]*_*.sql") if "-- migrate:up" in tree.text(path)]
    if not marked:
        return None
    place = Place(
        directory=tree.home(marked), version=after_all((path.name for path in marked), r"([0-9]+)_")
    )
    return Detected(tool="dbmate", place=place, evidence=f"{marked[0]}: -- migrate:up")


FORMAT = Format(
    name="dbmate",
    write=write,
    find=find,
    default=Place(directory=PurePosixPath("db/migrations")),
    clock=seconds,
)
