"""`dpe migration render`: named operations as steps that keep clients working."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_dsn, with_fail_on, with_files
from data_platform.cli.migration.planned import Way, declare_files, outcome
from data_platform.cli.spec import read_design, read_document
from data_platform.errors import UsageProblem
from data_platform.record import replace

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

    from data_platform.migration.operations.prove import Wanted
    from data_platform.postgres.load import Script
    from data_platform.spec.change import Change


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("change", metavar="CHANGE.yaml", help="a spec of kind change")
    parser.add_argument(
        "--schema",
        action="append",
        default=[],
        metavar="BASE.sql|MODEL.yaml",
        help="the schema before it (default: the spec's base:)",
    )
    declare_files(parser)
    with_dsn(parser)
    with_fail_on(parser)
    with_files(parser)


def _render(invocation: Invocation) -> Outcome:
    from data_platform.spec import validate  # noqa: PLC0415
    from data_platform.spec.backfill import read_backfills  # noqa: PLC0415
    from data_platform.spec.change import read_change  # noqa: PLC0415

    arguments = invocation.arguments
    document, allowed = read_document(invocation, arguments.change)
    validate.check(document, "change")
    read_backfills(document)
    change = read_change(document)
    if change.server_version is not None and arguments.server_version == arguments.newest:
        arguments.server_version = change.server_version
    base = _base(allowed, change)
    made = wanted_of(base, change)
    names = ("now", document.file)
    files = (arguments.change, *(str(script.file) for script in base))
    way = Way(tuple(base), made.after, made.hints, names, files, made.steps)
    answer = outcome(invocation, RENDER, way, _words(arguments))
    return replace(answer, decision=allowed.decision)


def wanted_of(base: Sequence[Script], change: Change) -> Wanted:
    """What the operations make of the base."""
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.migration.operations.prove import wanted  # noqa: PLC0415
    from data_platform.postgres.server import embedded_server  # noqa: PLC0415

    with progress("running the operations"), embedded_server() as server:
        return wanted(server, base, change)


def _base(invocation: Invocation, change: Change) -> Sequence[Script]:
    from data_platform.ddl import script  # noqa: PLC0415
    from data_platform.postgres import sources  # noqa: PLC0415
    from data_platform.postgres.load import Script  # noqa: PLC0415

    arguments = invocation.arguments
    if arguments.dsn and arguments.schema:
        raise UsageProblem("--schema and --dsn both say what the schema is", try_="give one of them")
    if arguments.dsn:
        return [Script("the live schema", script(sources.design("", sources.of_live(arguments.dsn)), ""))]
    return base_of(invocation, arguments.change, change, arguments.schema)


def base_of(
    invocation: Invocation, spec: str, change: Change, instead: Sequence[str] = ()
) -> Sequence[Script]:
    """The schema before the change as SQL: what the spec's `base:` names, beside it, or other files instead."""
    from pathlib import Path  # noqa: PLC0415

    from data_platform.ddl import script  # noqa: PLC0415
    from data_platform.postgres import sources  # noqa: PLC0415
    from data_platform.postgres.load import Script  # noqa: PLC0415

    given = list(instead) or [str(Path(spec).parent / path) for path in change.base]
    if not given:
        raise UsageProblem(
            "what is the schema before the change?",
            where=spec,
            expected="base: in the spec, --schema BASE.sql or MODEL.yaml, or --dsn",
        )
    if len(given) == 1 and sources.is_model(given[0]):
        design, _ = read_design(invocation, given[0])
        return [Script(f"the DDL of {design.file}", script(design, ""))]
    return sources.scripts(given)


def _words(arguments: Any) -> list[str]:
    words = [arguments.change, *(word for path in arguments.schema for word in ("--schema", path))]
    if arguments.dsn:
        shown = arguments.dsn if arguments.dsn.startswith(("env:", "service:")) else "env:NAME"
        words += ["--dsn", shown]
    return words + (["--store", arguments.store] if arguments.store else [])


RENDER = Command(
    "migration",
    "render",
    "named operations as steps that keep clients working, run on a real PostgreSQL",
    "dpe migration render change.yaml --schema schema.sql --output migrations/0007",
    _declare,
    _render,
)
"""The command."""
