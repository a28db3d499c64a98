"""`dpe pipeline replay`: rows in quarantine tried again; what is good now is written and leaves it, exactly once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on
from data_platform.cli.pipeline.run import read_spec
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC.yaml", help="a spec of kind pipeline")
    parser.add_argument(
        "--dsn",
        required=True,
        metavar="URL|env:NAME|service:NAME",
        help="the target's server; it is written to",
    )
    parser.add_argument("--source", metavar="NAME", help="only rows of this source, or of this transform")
    parser.add_argument("--reason", metavar="TEXT", help="only rows with TEXT in one of their reasons")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N rows, those that came first")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="where no version says which row of a key is newer, the one from quarantine wins",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="do it all, say what was done, and take it back"
    )
    with_fail_on(parser)


def _replay(invocation: Invocation) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.pipeline.replay import Which, replay  # noqa: PLC0415
    from data_platform.pipeline.replay_told import findings_of, report, result  # noqa: PLC0415
    from data_platform.pipeline.streams import Place  # noqa: PLC0415
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415

    arguments = invocation.arguments
    if arguments.limit is not None and arguments.limit < 1:
        raise UsageProblem(f"--limit {arguments.limit}", expected="1 or more")
    spec, allowed = read_spec(invocation, arguments.spec)
    place = Place(resolve_dsn(arguments.dsn), Path(arguments.spec).resolve().parent)
    which = Which(arguments.source, arguments.reason, arguments.limit, arguments.overwrite)
    with progress("connecting") as tell:
        done = replay(spec, place, which, dry_run=arguments.dry_run, tell=tell)
    repeat = again(REPLAY, invocation, *_words(arguments))
    return Outcome(
        text=report(spec, done, repeat, dry_run=arguments.dry_run),
        result=result(done),
        findings=findings_of(spec, done),
        decision=allowed.decision,
    )


def _words(arguments: Any) -> list[str]:
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    words = [arguments.spec, "--dsn", shown(arguments.dsn)]
    words += ["--source", arguments.source] if arguments.source else []
    words += ["--reason", arguments.reason] if arguments.reason else []
    words += ["--limit", str(arguments.limit)] if arguments.limit else []
    return [*words, "--overwrite"] if arguments.overwrite else words


REPLAY = Command(
    "pipeline",
    "replay",
    "try rows in quarantine again: those that are good now are written and leave it, exactly once",
    "dpe pipeline replay orders.yaml --dsn env:DATABASE_URL --reason 'total: not numeric'",
    _declare,
    _replay,
)
