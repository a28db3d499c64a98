"""Flyway: a versioned file for each step, its undo beside it, and a configuration for each file.

The configuration turns `${…}` in the SQL off and, where a step is no transaction, the transaction.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from data_platform.migration.formats.context import Context, Detected, Files, Format, Place
from data_platform.migration.formats.files import numbered, with_advice
from data_platform.migration.formats.notes import about, taken_back, why_irreversible
from data_platform.migration.formats.quoting import file
from data_platform.migration.formats.session import refusal, sent
from data_platform.migration.formats.tree import Tree
from data_platform.migration.formats.units import units
from data_platform.migration.formats.versions import after_all
from data_platform.migration.plan.step import Plan


def write(plan: Plan, context: Context) -> Files:
    """`V1__name_1_step.sql`, `V1__name_1_step.sql.conf`, `U1__name_1_step.sql`."""
    cut = units(plan, context)
    files: Files = {}
    for unit, folder, version, name in numbered(cut, context):
        transaction, blocks = unit.step.transaction, unit.step.blocks is not None
        down = (refusal(why_irreversible(unit)),) if unit.irreversible else unit.down
        for letter, lines, statements in (
            ("V", about(unit, context), unit.up),
            ("U", taken_back(unit), down),
        ):
            inside = sent(statements, context.patience, transaction=transaction, blocks=blocks)
            path = folder / f"{letter}{version}__{name}.sql"
            files[path] = file(lines, inside)
            files[path.with_name(f"{path.name}.conf")] = _configuration(transaction)
    move = (
        "If other migrations were added meanwhile, give the files moved the next free versions: without outOfOrder "
        "Flyway leaves out, or stops at, one that is lower than the newest that ran."
    )
    return with_advice(files, cut, context, "flyway migrate", move)


def _configuration(transaction: bool) -> str:
    return f"executeInTransaction={str(transaction).lower()}\nplaceholderReplacement=false\n"


def find(tree: Tree) -> Detected | None:
    """Files named `V1__x.sql`; versions with dots go on with their first number."""
    found = tree.named("V[0-9]*__*.sql")
    if found:
        version = after_all((path.name for path in found), r"V([0-9]+)")
        return Detected(
            tool="flyway", place=Place(directory=tree.home(found), version=version), evidence=str(found[0])
        )
    conf = tree.named("flyway.conf") + tree.named("flyway.toml")
    if not conf:
        return None
    named = re.search(r"filesystem:([\w./-]+)", tree.text(conf[0]))
    directory = PurePosixPath(named[1]) if named else FORMAT.default.directory
    return Detected(tool="flyway", place=Place(directory=directory, version="1"), evidence=str(conf[0]))


FORMAT = Format(
    name="flyway",
    write=write,
    find=find,
    default=Place(directory=PurePosixPath("src/main/resources/db/migration"), version="1"),
    notes=(
        "Set flyway.postgresql.transactional.lock=false: by default Flyway holds a transaction open while it migrates, "
        "for which CREATE INDEX CONCURRENTLY waits for ever.",
        "Undo files (U…) need a paid edition of Flyway; the others leave them alone.",
    ),
)
