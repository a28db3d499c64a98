"""Rails: a migration for each step, `disable_ddl_transaction!` where a step is none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from data_platform.migration.formats.context import Context, Detected, Files, Format, Place
from data_platform.migration.formats.files import numbered, with_advice
from data_platform.migration.formats.notes import about, taken_back, why_irreversible
from data_platform.migration.formats.quoting import commented, ruby
from data_platform.migration.formats.session import sent
from data_platform.migration.formats.tree import Tree
from data_platform.migration.formats.units import Unit, units
from data_platform.migration.formats.versions import after_all, seconds
from data_platform.migration.plan.step import Plan
from data_platform.sql.text import Sql

_OLDEST = "6.1"
"""Of the versions of migrations that every Rails still knows, the one that we know ourselves."""

_TEXT = """\
{about}
class {name} < ActiveRecord::Migration[{version}]
{outside}  def up
{up}  end

  def down
{down}  end
end
"""


def write(plan: Plan, context: Context) -> Files:
    """`20260101000000_name_1_step.rb`."""
    cut = units(plan, context)
    files: Files = {}
    for unit, folder, version, name in numbered(cut, context):
        files[folder / f"{version}_{name}.rb"] = _text(unit, context, name)
    move = "Rails runs what is pending in any order; db/schema.rb or structure.sql changes with it."
    return with_advice(files, cut, context, "rails db:migrate", move)


def _text(unit: Unit, context: Context, name: str) -> str:
    return _TEXT.format(
        about=commented("#", about(unit, context)),
        name="".join(word[:1].upper() + word[1:] for word in name.split("_")),
        version=context.place.label or _OLDEST,
        outside="" if unit.step.transaction else "  disable_ddl_transaction!\n\n",
        up="".join(_run(unit, context, unit.up)),
        down=commented("    #", taken_back(unit)) + "".join(_down(unit, context)),
    )


def _down(unit: Unit, context: Context) -> Iterator[str]:
    if unit.irreversible:
        yield f"    raise ActiveRecord::IrreversibleMigration, {ruby(why_irreversible(unit), '    ')}\n"
    else:
        yield from _run(unit, context, unit.down)


def _run(unit: Unit, context: Context, statements: Sequence[Sql]) -> Iterator[str]:
    transaction, blocks = unit.step.transaction, unit.step.blocks is not None
    for statement in sent(statements, context.patience, transaction=transaction, blocks=blocks):
        yield f"    execute {ruby(statement, '    ')}\n"


def find(tree: Tree) -> Detected | None:
    """db/migrate beside a Gemfile."""
    for gemfile in tree.named("Gemfile"):
        directory = PurePosixPath(gemfile.parent, "db/migrate")
        found = [path for path in tree.files if path.parent == directory and path.suffix == ".rb"]
        if found or "rails" in tree.text(gemfile):
            said = re.findall(r"Migration\[([0-9.]+)\]", "".join(map(tree.text, found[-1:])))
            place = Place(
                directory=directory,
                version=after_all((path.name for path in found), r"([0-9]+)_"),
                label=said[0] if said else "",
            )
            return Detected(tool="rails", place=place, evidence=str(found[0] if found else gemfile))
    return None


FORMAT = Format(
    name="rails",
    write=write,
    find=find,
    default=Place(directory=PurePosixPath("db/migrate")),
    clock=seconds,
    notes=("An acronym of the application's inflections in a name changes the class that Rails looks for.",),
)
