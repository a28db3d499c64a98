"""Django: a migration for each step, `atomic = False` where a step is no transaction.

RunSQL gets a list, since Django sends a string as it is, and several statements in one string are one transaction.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from data_platform.errors import UsageProblem
from data_platform.migration.formats.context import Context, Detected, Files, Format, Place
from data_platform.migration.formats.files import numbered, with_advice
from data_platform.migration.formats.notes import about, taken_back
from data_platform.migration.formats.quoting import commented, python
from data_platform.migration.formats.session import sent
from data_platform.migration.formats.tree import Tree
from data_platform.migration.formats.units import Unit, units
from data_platform.migration.formats.versions import after_all
from data_platform.migration.plan.step import Plan
from data_platform.sql.text import Sql

_TEXT = """\
{about}
from django.db import migrations


class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = {dependencies}

    # Django's own picture of the models does not change here: state_operations are left to the model's migration.
    operations = [
        migrations.RunSQL(
            sql={up},
{notes}            reverse_sql={down},
        ),
    ]
"""


def write(plan: Plan, context: Context) -> Files:
    """`0002_name_1_step.py`, each depending on the one before."""
    cut = units(plan, context)
    files: Files = {}
    previous = context.place.previous
    for unit, folder, version, name in numbered(cut, context):
        files[folder / f"{version}_{name}.py"] = _text(unit, context, previous)
        previous = f"{version}_{name}"
    move = (
        "If other migrations were added meanwhile, let the first file moved depend on the newest of them, "
        "and give the files the next free numbers."
    )
    return with_advice(files, cut, context, "manage.py migrate", move)


def _text(unit: Unit, context: Context, previous: str | None) -> str:
    depends = f"[({python(context.place.label)}, {python(previous)})]" if previous else "[]"
    return _TEXT.format(
        about=commented("#", about(unit, context)),
        atomic=unit.step.transaction,
        dependencies=depends,
        up=_listed(unit, context, unit.up),
        notes=commented("            #", taken_back(unit)),
        down="None" if unit.irreversible else _listed(unit, context, unit.down),
    )


def _listed(unit: Unit, context: Context, statements: Sequence[Sql]) -> str:
    if not statements:
        return "migrations.RunSQL.noop"
    blocks = unit.step.blocks is not None
    inside = sent(statements, context.patience, transaction=unit.step.transaction, blocks=blocks)
    return "[\n" + "".join(f"                {python(one)},\n" for one in inside) + "            ]"


def find(tree: Tree) -> Detected | None:
    """manage.py, and the one app with migrations whose newest is known."""
    manage = tree.named("manage.py")
    apps = {path.parent for path in tree.named("migrations/[0-9]*.py")}
    if not manage:
        return None
    if tree.app is not None:
        apps = {one for one in apps if one.parent.name == tree.app}
    if len(apps) > 1:
        names = ", ".join(sorted(folder.parent.name for folder in apps))
        raise UsageProblem(f"several Django apps with migrations: {names}", expected="one", try_="--app NAME")
    directory = min(apps, default=PurePosixPath(manage[0].parent, tree.app or "app", "migrations"))
    return Detected(tool="django", place=place(tree, directory), evidence=str(manage[0]))


def place(tree: Tree, directory: PurePosixPath) -> Place:
    """What comes next in one app's directory."""
    stems = {
        path.stem: path for path in tree.files if path.parent == directory and re.match(r"[0-9]", path.name)
    }
    depended = frozenset().union(
        *(_depends(tree.text(path), directory.parent.name) for path in stems.values())
    )
    leaves = sorted(stems.keys() - depended)
    if len(leaves) > 1:
        raise UsageProblem(
            f"{len(leaves)} leaf migrations: {', '.join(leaves)}",
            where=str(directory),
            expected="one",
            try_="`manage.py makemigrations --merge`, then again",
        )
    return Place(
        directory=directory,
        version=after_all(stems, r"([0-9]+)") or "0001",
        previous=leaves[0] if leaves else None,
        label=directory.parent.name,
    )


def _depends(source: str, app: str) -> frozenset[str]:
    """Migrations of the same app that one depends on or replaces."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()
    pairs = (node.elts for node in ast.walk(tree) if isinstance(node, ast.Tuple) and len(node.elts) == 2)
    said = ([part.value for part in pair if isinstance(part, ast.Constant)] for pair in pairs)
    return frozenset(str(pair[1]) for pair in said if len(pair) == 2 and pair[0] == app)


FORMAT = Format(
    name="django",
    write=write,
    find=find,
    default=Place(directory=PurePosixPath("app/migrations"), version="0001", label="app"),
    notes=(
        "The models are not read: put the new fields into models.py and its makemigrations into state_operations "
        "(SeparateDatabaseAndState), so that Django knows what these files did.",
    ),
)
