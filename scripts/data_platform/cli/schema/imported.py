"""`dpe schema import`: a database that exists, as a model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_files
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable

    from data_platform.model.differences import Differences
    from data_platform.postgres.sources import Taken


def _declare(parser: ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--sql", nargs="+", metavar="FILE", help="SQL files, dumps, or directories of them, in this order"
    )
    source.add_argument(
        "--dsn", metavar="URL|env:NAME|service:NAME", help="a live server, which is only read"
    )
    parser.add_argument(
        "--no-check", action="store_true", help="do not render the model and load it again to compare"
    )
    with_files(parser)


def _import(invocation: Invocation) -> Outcome:
    from pathlib import Path  # noqa: PLC0415

    from data_platform.cli.files import refuse_existing  # noqa: PLC0415
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.postgres import sources  # noqa: PLC0415
    from data_platform.postgres.server import open_server  # noqa: PLC0415
    from data_platform.schema import imported  # noqa: PLC0415
    from data_platform.spec.model.write import write  # noqa: PLC0415

    arguments = invocation.arguments
    if arguments.store is None:
        raise UsageProblem(
            "whose database is this?", expected="--store NAME, a store that the project's scope owns"
        )
    if arguments.output is None:
        raise UsageProblem("where shall the model go?", expected="--output MODEL.yaml")
    refuse_existing([arguments.output], arguments.force)
    started = time.perf_counter()
    given = sources.scripts(arguments.sql or ())
    with progress("starting PostgreSQL") as step:
        if arguments.dsn:
            taken = sources.of_live(arguments.dsn)
        else:
            with open_server(None) as server:
                taken = sources.of_scripts(server, given, step)
        text = write(sources.design(arguments.store, taken), _made_by(invocation))
        found = None if arguments.no_check else _loaded_again(text, arguments.output, taken, step)
    written = invocation.write({Path(arguments.output): text})
    made = imported.Import(
        store=arguments.store,
        taken=taken,
        model=arguments.output,
        again=found,
        seconds=time.perf_counter() - started,
    )
    return Outcome(
        text=imported.report(made, again(IMPORT, invocation, *_words(invocation))),
        result=imported.result(made),
        artifacts=written,
        failed=found is not None and not found.equal,
    )


def _loaded_again(text: str, path: str, taken: Taken, step: Callable[[str, float], None]) -> Differences:
    """How the catalog that the written model makes on another server differs from the one it was written from."""
    from data_platform.model.differences import differences  # noqa: PLC0415
    from data_platform.postgres import sources  # noqa: PLC0415
    from data_platform.spec import document, validate  # noqa: PLC0415
    from data_platform.spec.model import read_model  # noqa: PLC0415

    parsed = document.parse(text.encode(), path)
    validate.check(parsed)
    step("loading the model again", 0.5)
    return differences(taken.database, sources.of_source(read_model(parsed), step))


def _made_by(invocation: Invocation) -> str:
    return again(IMPORT, invocation, *_words(invocation))


def _words(invocation: Invocation) -> list[str]:
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    arguments = invocation.arguments
    source = ["--dsn", shown(arguments.dsn)] if arguments.dsn else ["--sql", *arguments.sql]
    return [*source, "--store", arguments.store, "--output", arguments.output]


IMPORT = Command(
    "schema",
    "import",
    "write the model of a database that exists",
    "dpe schema import --sql dump.sql --store 'Customer DB' --output model.yaml",
    _declare,
    _import,
)
