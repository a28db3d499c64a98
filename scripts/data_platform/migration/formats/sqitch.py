"""Sqitch: scripts in deploy/, revert/ and verify/, and their lines in sqitch.plan.

Sqitch runs scripts with psql, so BEGIN and COMMIT are in them where a step is a transaction.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import PurePosixPath

from data_platform.migration.formats.context import Context, Detected, Files, Format, Place
from data_platform.migration.formats.files import numbered, waiting, with_advice
from data_platform.migration.formats.notes import about, taken_back, why_irreversible
from data_platform.migration.formats.plain import body
from data_platform.migration.formats.quoting import file
from data_platform.migration.formats.session import refusal
from data_platform.migration.formats.tree import Tree
from data_platform.migration.formats.units import Unit, units
from data_platform.migration.formats.versions import following, seconds
from data_platform.migration.plan.step import Plan
from data_platform.model.database import Name
from data_platform.sql.text import Sql, relation_literal

_TIME = "%Y%m%d%H%M%S"
_LINE = re.compile(
    r"(?m)^(?P<name>[^\s%#@\[]\S*).*?(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (?P<planner>[^<\n]*<[^>\n]*>)"
)


def write(plan: Plan, context: Context) -> Files:
    """Scripts `name_1_step.sql` and the plan; lines for contract are in a file beside its scripts."""
    cut = units(plan, context)
    files: Files = {}
    lines: dict[bool, list[str]] = {False: [], True: []}
    previous = context.place.previous
    for unit, _, version, name in numbered(cut, context):
        top = waiting(context) if unit.contracts else context.place.directory
        files[top / "deploy" / f"{name}.sql"] = _script(unit, context, about(unit, context), unit.up)
        down = (refusal(why_irreversible(unit)),) if unit.irreversible else unit.down
        files[top / "revert" / f"{name}.sql"] = _script(unit, context, taken_back(unit), down)
        files[top / "verify" / f"{name}.sql"] = _verify(unit)
        lines[unit.contracts].append(_line(name, previous, version, context, unit))
        previous = name
    files[context.place.directory / "sqitch.plan"] = _plan(context, lines[False])
    if lines[True]:
        files[waiting(context) / f"{context.name}.plan"] = "".join(lines[True])
    move = "The lines of the `.plan` file of that migration go to the end of sqitch.plan."
    return with_advice(files, cut, context, "sqitch deploy", move)


def _script(unit: Unit, context: Context, lines: list[str], statements: tuple[Sql, ...]) -> str:
    return file(lines, body(unit, context, statements))


def _verify(unit: Unit) -> str:
    """What it makes is there; psql stops at the first name that is not."""
    found = [Name(one.schema or "public", one.name) for one in unit.step.makes if one.kind == "relation"]
    checks = "".join(f"SELECT {relation_literal(name)}::regclass;\n" for name in found)
    return f"-- {unit.name}\n{checks or '-- Nothing that a name could show.' + chr(10)}"


def _line(name: str, previous: str | None, version: str, context: Context, unit: Unit) -> str:
    time = datetime.strptime(version, _TIME).strftime("%Y-%m-%dT%H:%M:%SZ")
    planners = _LINE.findall(context.place.existing)
    planner = planners[-1][2] if planners else "data-platform-engineer <dpe@localhost>"
    depends = f" [{previous}]" if previous else ""
    return f"{name}{depends} {time} {planner} # Step {unit.number} of {unit.total} ({unit.step.phase})\n"


def _plan(context: Context, lines: list[str]) -> str:
    label = context.place.label or context.name
    existing = context.place.existing or f"%syntax-version=1.0.0\n%project={label}\n\n"
    return existing + ("" if existing.endswith("\n") else "\n") + "".join(lines)


def find(tree: Tree) -> Detected | None:
    """sqitch.plan; its last line is what comes before."""
    for path in tree.named("sqitch.plan"):
        text = tree.text(path)
        found = list(_LINE.finditer(text))
        times = [re.sub(r"\D", "", one["time"]) for one in found]
        project = re.search(r"(?m)^%project=(\S+)", text)
        place = Place(
            directory=path.parent,
            version=following(max(times)) if times else "",
            previous=found[-1]["name"] if found else None,
            label=project[1] if project else "",
            existing=text,
        )
        return Detected(tool="sqitch", place=place, evidence=str(path))
    return None


FORMAT = Format(
    name="sqitch",
    write=write,
    find=find,
    default=Place(directory=PurePosixPath()),
    clock=seconds,
    notes=("Lines are added to the end of sqitch.plan; those that are there stay.",),
)
