"""Plain SQL in a directory for each phase, for psql and for yoyo: each file says itself where its transaction is.

    psql -X -v ON_ERROR_STOP=1 -f 1_expand/add_status_01_add_column.sql

yoyo wraps a file in a transaction unless told otherwise, so it is told: BEGIN and COMMIT are in the file.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from data_platform.migration.formats.context import Context, Files, Format, Place
from data_platform.migration.formats.notes import about, taken_back, why_irreversible
from data_platform.migration.formats.quoting import file
from data_platform.migration.formats.session import refusal, sent
from data_platform.migration.formats.units import Unit, units
from data_platform.migration.plan.step import PHASES, Plan
from data_platform.sql.text import Sql


def write(plan: Plan, context: Context) -> Files:
    """`1_expand/name_01_step.sql`, `….rollback.sql`, and so on: numbers go through all phases."""
    cut = units(plan, context)
    width = max(2, len(str(len(cut))))
    files: Files = {}
    before = ""
    for unit in cut:
        name = f"{context.name}_{unit.number:0{width}d}_{unit.name}"
        phase = f"{PHASES.index(unit.step.phase) + 1}_{unit.step.phase}"
        path = context.place.directory / phase / f"{name}.sql"
        files[path] = _text(unit, context, about(unit, context), unit.up, before)
        files[path.with_suffix(".rollback.sql")] = _text(unit, context, taken_back(unit), _down(unit), "")
        before = name
    return files


def _text(unit: Unit, context: Context, lines: list[str], statements: tuple[Sql, ...], before: str) -> str:
    orders = ["transactional: false", *([f"depends: {before}"] if before else [])]
    return file([*orders, *lines], body(unit, context, statements))


def body(unit: Unit, context: Context, statements: tuple[Sql, ...]) -> list[Sql]:
    """Statements with BEGIN and COMMIT around them where they are one transaction."""
    transaction = unit.step.transaction
    inside = sent(statements, context.patience, transaction=transaction, blocks=unit.step.blocks is not None)
    return [Sql("BEGIN"), *inside, Sql("COMMIT")] if transaction and inside else inside


def _down(unit: Unit) -> tuple[Sql, ...]:
    return (refusal(why_irreversible(unit)),) if unit.irreversible else unit.down


FORMAT = Format(name="plain", write=write, default=Place(directory=PurePosixPath()))
