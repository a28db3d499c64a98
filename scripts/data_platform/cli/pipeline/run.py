"""`dpe pipeline run`: what the sources have and the targets have not, exactly once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on
from data_platform.cli.spec import again, read_document
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.pipeline.emitting import Emitter
    from data_platform.pipeline.streams import Place
    from data_platform.spec.pipeline import Pipeline


def read_spec(invocation: Invocation, path: str) -> tuple[Pipeline, Invocation]:
    """The spec, behind the gate of each store that it writes to."""
    from data_platform.spec import validate  # noqa: PLC0415
    from data_platform.spec.pipeline import read_pipeline  # noqa: PLC0415

    document, allowed = read_document(invocation, path)
    validate.check(document, "pipeline")
    spec = read_pipeline(document)
    for one in spec.kept.collections:
        _require_qdrant(invocation, one.store)
    return spec, allowed


def _require_qdrant(invocation: Invocation, name: str) -> None:
    """The gate of the store of a collection. UsageProblem where claude.md says that it is of another engine."""
    from data_platform.scope.decision import stores  # noqa: PLC0415
    from data_platform.scope.names import store_key  # noqa: PLC0415

    invocation.require_other(name)
    for one in stores(invocation.project):
        if store_key(one.name) == store_key(name) and one.engine and "qdrant" not in one.engine.lower():
            raise UsageProblem(
                f"{one.name} is a store of {one.engine}",
                where=f"{one.file}:{one.line}",
                expected="a Qdrant, for a collection",
            )


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC.yaml", help="a spec of kind pipeline")
    parser.add_argument(
        "--dsn",
        required=True,
        metavar="URL|env:NAME|service:NAME",
        help="the target's server; it is written to",
    )
    parser.add_argument("--since", metavar="VALUE", help="backfill: the cursor's part from VALUE on")
    parser.add_argument("--until", metavar="VALUE", help="backfill: the cursor's part before VALUE")
    parser.add_argument(
        "--resnapshot",
        action="store_true",
        help="cdc: copy the tables anew, where the slot is lost; cqrs: fill the collections anew",
    )
    parser.add_argument(
        "--reload",
        action="store_true",
        help="incremental, scd, elt: forget what was read, and read everything again",
    )
    parser.add_argument(
        "--allow-empty",
        action="store_true",
        help="let a source that gives no row empty its target",
    )
    parser.add_argument(
        "--drop-removed",
        action="store_true",
        help="events, cqrs: let go of projections and collections that the spec names no more, with tables and points",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="do it all, say what was done, and take it back"
    )
    parser.add_argument(
        "--openlineage",
        metavar="FILE|URL",
        help="events of OpenLineage: appended to FILE as JSON lines, or sent to URL",
    )
    with_fail_on(parser)


def _run(invocation: Invocation) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.pipeline.run import run  # noqa: PLC0415
    from data_platform.pipeline.streams import Place  # noqa: PLC0415
    from data_platform.pipeline.told import findings_of, report, result  # noqa: PLC0415
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415

    arguments = invocation.arguments
    spec, allowed = read_spec(invocation, arguments.spec)
    base = Path(arguments.spec).resolve().parent
    place = Place(
        resolve_dsn(arguments.dsn),
        base,
        arguments.since,
        arguments.until,
        resnapshot=arguments.resnapshot,
        drop_removed=arguments.drop_removed,
        reload=arguments.reload,
        allow_empty=arguments.allow_empty,
    )
    emitter = _emitter(spec, place, arguments)
    with progress("connecting") as tell:
        work = partial(run, spec, place, dry_run=arguments.dry_run, tell=tell)
        ran = emitter.around(work) if emitter else work()
    repeat = again(RUN, invocation, *_words(arguments))
    return Outcome(
        text=report(spec, ran, repeat, dry_run=arguments.dry_run),
        result=result(ran),
        findings=(*findings_of(spec, ran), *(emitter.findings() if emitter else ())),
        decision=allowed.decision,
    )


def _emitter(spec: Pipeline, place: Place, arguments: Any) -> Emitter | None:
    """What tells of the run, where that is asked for. UsageProblem for a dry run, which is none."""
    from data_platform.pipeline.emitting import Emitter  # noqa: PLC0415
    from data_platform.pipeline.openlineage import Told  # noqa: PLC0415

    if arguments.openlineage is None:
        return None
    if arguments.dry_run:
        raise UsageProblem("--openlineage tells of runs, and a dry run is taken back", try_="one of the two")
    return Emitter(Told(spec, place), arguments.openlineage)


def _words(arguments: Any) -> list[str]:
    from data_platform.pipeline import emitting  # noqa: PLC0415
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    words = [arguments.spec, "--dsn", shown(arguments.dsn)]
    words += ["--since", arguments.since] if arguments.since else []
    words += ["--until", arguments.until] if arguments.until else []
    words += ["--openlineage", emitting.shown(arguments.openlineage)] if arguments.openlineage else []
    return words


RUN = Command(
    "pipeline",
    "run",
    "bring the targets up to what the sources have, exactly once",
    "dpe pipeline run orders.yaml --dsn env:DATABASE_URL",
    _declare,
    _run,
)
