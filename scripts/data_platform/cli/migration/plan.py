"""`dpe migration plan`: from one schema to another in steps that keep clients working."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_dsn, with_fail_on, with_files
from data_platform.cli.migration.planned import Way, declare_files, outcome
from data_platform.cli.sources import METAVAR, read_source
from data_platform.errors import UsageProblem
from data_platform.record import replace

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.migration.plan.hints import Hints
    from data_platform.postgres.sources import Source


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("--from", dest="before", metavar=METAVAR, help="the schema as it is (or --dsn)")
    parser.add_argument("--to", required=True, metavar=METAVAR, help="the schema as it shall be")
    parser.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="a table or table.column that has another name: users.name=full_name (renamed_from: in a model)",
    )
    parser.add_argument(
        "--fill",
        action="append",
        default=[],
        metavar="table.column=EXPRESSION",
        help="what rows that are there get in a column that is new or changes its type",
    )
    parser.add_argument(
        "--allow-data-loss",
        action="append",
        default=[],
        metavar="table[.column]",
        help="may be lost, by its old name",
    )
    declare_files(parser)
    with_dsn(parser)
    with_fail_on(parser)
    with_files(parser)


def _plan(invocation: Invocation) -> Outcome:
    arguments = invocation.arguments
    given = arguments.before or arguments.dsn
    if given is None or (arguments.before and arguments.dsn):
        raise UsageProblem("what is the schema now?", expected="--from MODEL.yaml, --from FILE.sql, or --dsn")
    before, allowed = read_source(invocation, given)
    after, allowed = read_source(allowed, arguments.to)
    files = tuple(one for one in (arguments.before, arguments.to) if one)
    way = Way(before, after, _hints(arguments, after), names(arguments), files)
    made = outcome(invocation, PLAN, way, _words(arguments, given))
    return replace(made, decision=allowed.decision)


def _hints(arguments: Any, after: Source) -> Hints:
    from dataclasses import replace as changed  # noqa: PLC0415

    from data_platform.migration.plan.hints import Hints, from_design, from_words  # noqa: PLC0415
    from data_platform.model.design import Design  # noqa: PLC0415

    told = from_design(after) if isinstance(after, Design) else Hints()
    words = from_words(arguments.rename, arguments.fill, arguments.allow_data_loss)
    return changed(
        told,
        tables={**told.tables, **words.tables},
        columns={**told.columns, **words.columns},
        values={**told.values, **words.values},
        lost=told.lost | words.lost,
    )


def _words(arguments: Any, given: str) -> list[str]:
    """The command line again, without what may hold a password."""
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    words = ["--from", shown(given), "--to", shown(arguments.to)]
    for name in ("rename", "fill", "allow_data_loss"):
        words += [
            word for value in getattr(arguments, name) for word in (f"--{name.replace('_', '-')}", value)
        ]
    return words + (["--store", arguments.store] if arguments.store else [])


def names(arguments: Any) -> tuple[str, str]:
    """What the two schemas are called in the report."""
    return Path(arguments.before or "the server").name, Path(arguments.to).name


PLAN = Command(
    "migration",
    "plan",
    "from one schema to another: expand, backfill, contract, run on a real PostgreSQL",
    "dpe migration plan --from schema.sql --to model.yaml --store 'Customer DB' --output migrations/0007",
    _declare,
    _plan,
)
"""The command."""
