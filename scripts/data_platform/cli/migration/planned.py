"""What `plan` and `render` share: a plan made on the embedded server, told, and written as a tool's files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome
from data_platform.cli.spec import again
from data_platform.record import record

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator, Sequence

    from data_platform.migration.plan.hints import Hints
    from data_platform.migration.plan.prove import Reached
    from data_platform.migration.plan.step import Step
    from data_platform.migration.plan.told import Told
    from data_platform.model.database import Database
    from data_platform.postgres.sources import Source

OLDEST, NEWEST = 13, 18
FORMATS = (
    *("plain", "alembic", "django", "flyway", "liquibase", "dbmate", "golang-migrate", "goose", "sqitch"),
    *("prisma", "rails", "node-pg-migrate"),
)
"""Named here as well, so that the command line can be read without the packages that the files need."""


def declare_files(parser: ArgumentParser) -> None:
    """Which server, how many rows, and in which form the files are written."""
    parser.add_argument(
        "--rows", action="append", default=[], metavar="table=N", help="rows in production, for the report"
    )
    parser.add_argument(
        "--server-version",
        type=int,
        default=NEWEST,
        choices=range(OLDEST, NEWEST + 1),
        metavar="13..18",
        help="the server that it is for (default: 18)",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="whose files (default: the project's tool, else plain SQL)"
    )
    parser.set_defaults(newest=NEWEST)
    parser.add_argument(
        "--next", metavar="VERSION", help="of the first file (default: after the project's last)"
    )
    parser.add_argument("--app", metavar="NAME", help="which application of a Django project")
    parser.add_argument("--name", default="change", help="of the migration, in the names of its files")


@record
class Way:
    """From where to where, with what the author said of it; `more` are steps that are no difference of the two."""

    before: Source
    after: Source | Database
    hints: Hints
    names: tuple[str, str]
    files: tuple[str, ...]
    """What the two schemas were read from, as far as it is files: named with their SHA-256 in what is written."""
    more: tuple[Step, ...] = ()


def outcome(invocation: Invocation, command: Command, way: Way, words: Sequence[str]) -> Outcome:
    """Make the plan, run it, and answer with it; with --output also as files."""
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.migration.plan.prove import reach  # noqa: PLC0415
    from data_platform.migration.plan.told import findings, report, result, told  # noqa: PLC0415
    from data_platform.postgres.server import embedded_server  # noqa: PLC0415

    arguments = invocation.arguments
    version = arguments.server_version
    with progress("starting PostgreSQL") as step, embedded_server() as server:
        reached = reach(
            way.before, way.after, server, hints=way.hints, version=version, more=way.more, step=step
        )
    steps = told(reached, version)
    repeat = again(command, invocation, *words, *_shared_words(arguments))
    written = _written(invocation, way, reached, steps, repeat) if arguments.output and steps else ()
    return Outcome(
        text=report(reached, steps, way.names, repeat, files=written if arguments.output else None),
        result=result(reached, steps, version),
        findings=findings(reached, steps),
        artifacts=written,
    )


def _written(
    invocation: Invocation, way: Way, reached: Reached, steps: Sequence[Told], repeat: str
) -> tuple[str, ...]:
    """The files of the project's tool below --output, those of plain SQL below it as well."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from data_platform.migration import formats  # noqa: PLC0415
    from data_platform.migration.plan.told import lock_words  # noqa: PLC0415

    arguments = invocation.arguments
    tool, project = _tool(invocation)
    header = formats.Header(
        sources=tuple(_digests(way.files)),
        command=repeat,
        server_version=arguments.server_version,
        locks=tuple(map(lock_words, steps)),
    )
    start = formats.Start(version=arguments.next, app=arguments.app, now=datetime.now(UTC))
    made = formats.files(reached.plan, tool, project, name=arguments.name, header=header, start=start)
    return invocation.write({Path(arguments.output) / path: text for path, text in made.items()})


def _digests(files: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each file, and each in a directory, with its SHA-256."""
    from hashlib import sha256  # noqa: PLC0415

    for given in map(Path, files):
        for file in sorted(given.rglob("*.sql")) if given.is_dir() else [given]:
            if file.is_file():
                yield str(file), sha256(file.read_bytes()).hexdigest()


def _tool(invocation: Invocation) -> tuple[str, Path | None]:
    """Whose files: as the command line says, else as the project's tree does, else plain SQL."""
    from data_platform.migration import formats  # noqa: PLC0415

    arguments = invocation.arguments
    if arguments.format is not None:
        return arguments.format, None if arguments.format == "plain" else invocation.project
    found = formats.detect(invocation.project, app=arguments.app)
    return (found.tool, invocation.project) if found else ("plain", None)


def _shared_words(arguments: Any) -> list[str]:
    words = [word for value in arguments.rows for word in ("--rows", value)]
    words += ["--server-version", str(arguments.server_version)] if arguments.server_version != NEWEST else []
    words += ["--format", arguments.format] if arguments.format else []
    words += ["--name", arguments.name] if arguments.name != "change" else []
    words += ["--next", arguments.next] if arguments.next else []
    words += ["--app", arguments.app] if arguments.app else []
    return words + (["--output", arguments.output] if arguments.output else [])
