"""goose: a file for each step with both directions, `NO TRANSACTION` where a step is none.

goose cuts at semicolons at the end of a line, unless a statement stands between StatementBegin and StatementEnd.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from data_platform.migration.formats.context import Context, Detected, Files, Format, Place
from data_platform.migration.formats.files import numbered, with_advice
from data_platform.migration.formats.notes import about, taken_back, why_irreversible
from data_platform.migration.formats.quoting import commented, plain, terminated
from data_platform.migration.formats.session import refusal, sent
from data_platform.migration.formats.tree import Tree
from data_platform.migration.formats.units import Unit, units
from data_platform.migration.formats.versions import after_all
from data_platform.migration.plan.step import Plan
from data_platform.sql.text import Sql


def write(plan: Plan, context: Context) -> Files:
    """`00001_name_1_step.sql`."""
    cut = units(plan, context)
    files: Files = {}
    for unit, folder, version, name in numbered(cut, context):
        files[folder / f"{version}_{name}.sql"] = _text(unit, context)
    move = (
        "If other migrations were added meanwhile, give the files moved the next free versions: goose stops at "
        "one that is older than the newest that ran."
    )
    return with_advice(files, cut, context, "goose up", move)


def _text(unit: Unit, context: Context) -> str:
    down = (refusal(why_irreversible(unit)),) if unit.irreversible else unit.down
    return (
        commented("--", about(unit, context))
        + ("" if unit.step.transaction else "\n-- +goose NO TRANSACTION")
        + f"\n-- +goose Up\n{_script(unit, context, unit.up)}"
        + f"\n-- +goose Down\n{commented('--', taken_back(unit))}{_script(unit, context, down)}"
    )


def _script(unit: Unit, context: Context, statements: Sequence[Sql]) -> str:
    transaction, blocks = unit.step.transaction, unit.step.blocks is not None
    return "".join(_marked(sent(statements, context.patience, transaction=transaction, blocks=blocks)))


def _marked(statements: Sequence[Sql]) -> Iterator[str]:
    for statement in statements:
        text = terminated(plain(statement))
        simple = "\n" not in text and text.index(";") == len(text) - 1 and "--" not in text
        yield f"{text}\n" if simple else f"-- +goose StatementBegin\n{text}\n-- +goose StatementEnd\n"


def find(tree: Tree) -> Detected | None:
    """SQL files with its marks."""
    marked = [path for path in tree.named("[0-9]*_*.sql") if "-- +goose Up" in tree.text(path)]
    if not marked:
        return None
    place = Place(
        directory=tree.home(marked), version=after_all((path.name for path in marked), r"([0-9]+)_")
    )
    return Detected(tool="goose", place=place, evidence=f"{marked[0]}: -- +goose Up")


FORMAT = Format(
    name="goose",
    write=write,
    find=find,
    default=Place(directory=PurePosixPath("migrations"), version="00001"),
)
