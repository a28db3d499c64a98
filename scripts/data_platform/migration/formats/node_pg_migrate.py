"""node-pg-migrate: a file for each step, `noTransaction()` where a step is none.

By default it runs all pending migrations in one transaction, so that every lock is held until the last is done: a step
that is a transaction ends what came before and begins its own, which is right without `--single-transaction` too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from data_platform.migration.formats.context import Context, Detected, Files, Format, Place
from data_platform.migration.formats.files import numbered, with_advice
from data_platform.migration.formats.notes import about, taken_back, why_irreversible
from data_platform.migration.formats.quoting import commented, javascript
from data_platform.migration.formats.session import sent
from data_platform.migration.formats.tree import Tree
from data_platform.migration.formats.units import Unit, units
from data_platform.migration.formats.versions import after_all, milliseconds
from data_platform.migration.plan.step import Plan
from data_platform.sql.text import Sql


def write(plan: Plan, context: Context) -> Files:
    """`1767225600000_name_1_step.js`."""
    cut = units(plan, context)
    files: Files = {}
    for unit, folder, version, name in numbered(cut, context):
        files[folder / f"{version}_{name}.js"] = _text(unit, context)
    move = (
        "If other migrations were added meanwhile, give the files moved the next free versions: node-pg-migrate "
        "stops at one that is older than the newest that ran."
    )
    return with_advice(files, cut, context, "node-pg-migrate up", move)


def _text(unit: Unit, context: Context) -> str:
    start = "export const {} =" if context.place.label == "module" else "exports.{} ="
    parts = [commented("//", about(unit, context))]
    for direction, lines in (("up", _run(unit, context, unit.up)), ("down", _down(unit, context))):
        parts.append(f"{start.format(direction)} (pgm) => {{\n{''.join(lines)}}};\n")
    return "\n".join(parts)


def _down(unit: Unit, context: Context) -> Iterator[str]:
    yield commented("  //", taken_back(unit))
    if unit.irreversible:
        yield f"  throw new Error({javascript(why_irreversible(unit))});\n"
    else:
        yield from _run(unit, context, unit.down)


def _run(unit: Unit, context: Context, statements: Sequence[Sql]) -> Iterator[str]:
    transaction, blocks = unit.step.transaction, unit.step.blocks is not None
    if transaction:
        yield "  pgm.sql(`COMMIT`); // of what came before; what follows is a transaction of its own\n"
        yield "  pgm.sql(`BEGIN`);\n"
    else:
        yield "  pgm.noTransaction();\n"
    for statement in sent(statements, context.patience, transaction=transaction, blocks=blocks):
        yield f"  pgm.sql({javascript(statement)});\n"


def find(tree: Tree) -> Detected | None:
    """A package.json that names it."""
    for package in tree.named("package.json"):
        text = tree.text(package)
        if '"node-pg-migrate"' in text:
            directory = PurePosixPath(package.parent, "migrations")
            names = [path.name for path in tree.files if path.parent == directory]
            module = "module" if re.search(r'"type"\s*:\s*"module"', text) else ""
            place = Place(directory=directory, version=after_all(names, r"([0-9]+)[_-]"), label=module)
            return Detected(tool="node-pg-migrate", place=place, evidence=str(package))
    return None


FORMAT = Format(
    name="node-pg-migrate",
    write=write,
    find=find,
    default=Place(directory=PurePosixPath("migrations")),
    clock=milliseconds,
)
