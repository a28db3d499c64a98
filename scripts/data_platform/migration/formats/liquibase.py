"""Liquibase: formatted SQL, a changeset and a file for each step.

A changeset is sent as it is (`splitStatements:false`), since Liquibase would cut bodies at their semicolons; so a
statement that must be outside of a transaction has a changeset to itself.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from data_platform.migration.formats.context import Context, Detected, Files, Format, Place
from data_platform.migration.formats.files import numbered, with_advice
from data_platform.migration.formats.notes import about, taken_back
from data_platform.migration.formats.quoting import commented, script
from data_platform.migration.formats.strings import as_strings, outside
from data_platform.migration.formats.tree import Tree
from data_platform.migration.formats.units import Unit, units
from data_platform.migration.formats.versions import after_all
from data_platform.migration.plan.step import Plan

Paths = tuple[PurePosixPath, ...]

_WHOLE = "splitStatements:false rollbackSplitStatements:false stripComments:false"


def write(plan: Plan, context: Context) -> Files:
    """`0001_name_1_step.sql`."""
    cut = units(plan, context, one_string=True)
    files: Files = {}
    for unit, folder, version, name in numbered(cut, context):
        files[folder / f"{version}_{name}.sql"] = _text(unit, context, f"{version}-{name}")
    move = "Liquibase runs what it has not run yet in the order of the changelog: includeAll goes by names."
    return with_advice(files, cut, context, "liquibase update", move)


def _text(unit: Unit, context: Context, changeset: str) -> str:
    up, down = as_strings(unit, context)
    alone = 1 in (len(up), len(down))
    lines = [*about(unit, context, *outside(unit, context)), *taken_back(unit)]
    back = script(down).split("\n") if down else ["not required"]
    return (
        "-- liquibase formatted sql\n\n"
        + commented("--", lines)
        + f"\n-- changeset dpe:{changeset} runInTransaction:{str(not alone).lower()} {_WHOLE}\n"
        + (f"{script(up)}\n" if up else "SELECT 1;\n")
        + "".join(f"-- rollback {line}\n" for line in back)
    )


_INCLUDED = re.compile(r"""includeAll\b[^>]*?\bpath["']?\s*[=:]\s*["']?([\w./-]+)""")


def find(tree: Tree) -> Detected | None:
    """Its properties, changelogs or formatted SQL."""
    changelogs = (
        tree.named("*changelog*.xml") + tree.named("*changelog*.y*ml") + tree.named("*changelog*.json")
    )
    formatted = tuple(path for path in tree.named("*.sql") if _is_formatted(tree.text(path)))
    signs = (*tree.named("liquibase*.properties"), *changelogs, *formatted)
    if not signs:
        return None
    directory = _directory(tree, changelogs, formatted)
    names = [path.name for path in tree.files if path.parent == directory]
    place = Place(directory=directory, version=after_all(names, r"([0-9]+)[_-]") or "0001")
    return Detected(tool="liquibase", place=place, evidence=str(signs[0]))


def _directory(tree: Tree, changelogs: Paths, formatted: Paths) -> PurePosixPath:
    """What a changelog includes, from its own place, the project's or that of resources; else where others lie."""
    for path in changelogs:
        for included in _INCLUDED.finditer(tree.text(path)):
            places = [root / str(included[1]) for root in (path.parent, PurePosixPath(), _RESOURCES)]
            return next((one for one in places if any(one in file.parents for file in tree.files)), places[1])
    return next((path.parent for path in (*formatted[-1:], *changelogs)), FORMAT.default.directory)


_RESOURCES = PurePosixPath("src/main/resources")


def _is_formatted(text: str) -> bool:
    return text.lstrip().removeprefix("--").lstrip().lower().startswith("liquibase formatted sql")


FORMAT = Format(
    name="liquibase",
    write=write,
    find=find,
    default=Place(directory=PurePosixPath("db/changelog"), version="0001"),
    notes=("The changelog must include the directory: <includeAll path=…>, or an include for each file.",),
)
