"""`dpe migration backfill`: the fills of a change in batches on a live server, out of the clients' way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on
from data_platform.cli.spec import again, read_document
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.migration.plan.step import Fill
    from data_platform.postgres.backfill.job import Limits
    from data_platform.spec.document import Document

_MB = 1024 * 1024


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "spec", metavar="CHANGE.yaml", help="a spec of kind change with operations `backfill`"
    )
    parser.add_argument(
        "--dsn", required=True, metavar="URL|env:NAME|service:NAME", help="the server; it is written to"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="try a few batches, take them back, and estimate"
    )
    parser.add_argument(
        "--batch-ms", type=float, default=50.0, metavar="MS", help="how long a batch may take (default: 50)"
    )
    parser.add_argument(
        "--max-rate", type=float, metavar="ROWS/s", help="rows a second at most (default: no limit)"
    )
    parser.add_argument(
        "--max-lag",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="pause while a replica or subscriber is further behind (default: 10)",
    )
    parser.add_argument(
        "--max-lag-mb", type=float, default=256.0, metavar="MB", help="the same in WAL (default: 256)"
    )
    parser.add_argument(
        "--max-active", type=int, metavar="N", help="pause while more than N other sessions are at work"
    )
    parser.add_argument(
        "--place-schema",
        default="public",
        metavar="SCHEMA",
        help="where the table dpe_backfill, which keeps the place, is or is made (default: public)",
    )
    parser.add_argument("--again", action="store_true", help="begin anew what an earlier run has finished")
    with_fail_on(parser)


def _backfill(invocation: Invocation) -> Outcome:
    from data_platform.migration.backfill.jobs import jobs_of  # noqa: PLC0415
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415

    arguments = invocation.arguments
    limits = _limits(arguments)
    document, allowed = read_document(invocation, arguments.spec)
    if allowed.decision is not None and allowed.decision.store is None:
        raise UsageProblem(
            "whose database is --dsn?",
            expected="`store:` in the spec, or --store NAME: one that the scope owns",
        )
    jobs = jobs_of(_fills(document, allowed))
    repeat = again(BACKFILL, invocation, *_words(arguments))
    run = _rehearsed if arguments.dry_run else _filled
    return run(resolve_dsn(arguments.dsn), jobs, limits, arguments, repeat, allowed)


def _filled(
    conninfo: str, jobs: Any, limits: Limits, arguments: Any, repeat: str, allowed: Invocation
) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.migration.backfill.report import findings, report, result  # noqa: PLC0415
    from data_platform.postgres.backfill.run import backfill  # noqa: PLC0415

    with progress("connecting") as tell:
        filled = backfill(
            conninfo, jobs, limits, schema=arguments.place_schema, again=arguments.again, tell=tell
        )
    return Outcome(
        text=report(filled, limits, repeat),
        result=result(filled),
        findings=findings(filled),
        decision=allowed.decision,
    )


def _rehearsed(
    conninfo: str, jobs: Any, limits: Limits, arguments: Any, repeat: str, allowed: Invocation
) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.migration.backfill.report import rehearsal_report, rehearsal_result  # noqa: PLC0415
    from data_platform.postgres.backfill.rehearse import rehearse  # noqa: PLC0415

    with progress("connecting") as tell:
        tried = rehearse(conninfo, jobs, limits, schema=arguments.place_schema, tell=tell)
    return Outcome(
        text=rehearsal_report(tried, limits, repeat),
        result=rehearsal_result(tried),
        decision=allowed.decision,
    )


def _fills(document: Document, invocation: Invocation) -> tuple[Fill, ...]:
    """Those of the operations `backfill`; where there are others, every fill of the plan in its order."""
    from data_platform.migration.backfill.jobs import fills_of  # noqa: PLC0415
    from data_platform.spec.backfill import EXAMPLE, read_backfills  # noqa: PLC0415

    data = document.data if isinstance(document.data, dict) else {}
    if data.get("kind") != "change":
        raise UsageProblem("this is no spec of kind change", where=document.file, expected="kind: change")
    operations = data.get("operations")
    if isinstance(operations, list) and all(
        isinstance(one, dict) and "backfill" in one for one in operations
    ):
        found = fills_of(read_backfills(document))
    else:
        found = _planned(document, invocation)
    if not found:
        raise UsageProblem(
            "there is nothing to fill in this change",
            where=document.file,
            expected=f"operations: [{EXAMPLE}]",
        )
    return found


def _planned(document: Document, invocation: Invocation) -> tuple[Fill, ...]:
    """The fills of a plan for the change, from the schema that the spec says is its base."""
    from data_platform.cli.migration.render import base_of, wanted_of  # noqa: PLC0415
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.migration.plan.prove import reach  # noqa: PLC0415
    from data_platform.postgres.server import embedded_server  # noqa: PLC0415
    from data_platform.spec import validate  # noqa: PLC0415
    from data_platform.spec.change import read_change  # noqa: PLC0415

    validate.check(document, "change")
    change = read_change(document)
    base = base_of(invocation, invocation.arguments.spec, change)
    made = wanted_of(base, change)
    with progress("planning") as step, embedded_server() as server:
        reached = reach(tuple(base), made.after, server, hints=made.hints, more=made.steps, step=step)
    if reached.broken or not reached.left.equal:
        raise UsageProblem(
            "the plan for this change does not reach it",
            where=document.file,
            try_=f"dpe migration render {document.file}",
        )
    return tuple(one.fill for one in reached.plan.steps if one.fill is not None)


def _limits(arguments: Any) -> Limits:
    from data_platform.postgres.backfill.job import Limits  # noqa: PLC0415
    from data_platform.sql.text import NotSql, check_identifier  # noqa: PLC0415

    for name in ("batch_ms", "max_rate", "max_lag", "max_lag_mb"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < float("inf"):
            raise UsageProblem(f"--{name.replace('_', '-')} {value:g}", expected="a number above zero")
    if arguments.max_active is not None and arguments.max_active < 0:
        raise UsageProblem(f"--max-active {arguments.max_active}", expected="a number that is not negative")
    try:
        check_identifier(arguments.place_schema)
    except NotSql as problem:
        raise UsageProblem(f"--place-schema: {problem}", expected="the name of a schema") from None
    return Limits(
        batch_s=arguments.batch_ms / 1000,
        max_rate=arguments.max_rate,
        max_lag_s=arguments.max_lag,
        max_lag_bytes=round(arguments.max_lag_mb * _MB),
        max_active=arguments.max_active,
    )


def _words(arguments: Any) -> list[str]:
    """The command line again, without what may hold a password."""
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    words = [arguments.spec, "--dsn", shown(arguments.dsn)]
    words += ["--store", arguments.store] if arguments.store else []
    words += ["--dry-run"] if arguments.dry_run else []
    words += ["--batch-ms", f"{arguments.batch_ms:g}"] if arguments.batch_ms != 50 else []
    words += ["--max-rate", f"{arguments.max_rate:g}"] if arguments.max_rate else []
    words += ["--max-lag", f"{arguments.max_lag:g}"] if arguments.max_lag != 10 else []
    words += ["--max-lag-mb", f"{arguments.max_lag_mb:g}"] if arguments.max_lag_mb != 256 else []
    words += ["--max-active", str(arguments.max_active)] if arguments.max_active is not None else []
    words += ["--place-schema", arguments.place_schema] if arguments.place_schema != "public" else []
    return words + (["--again"] if arguments.again else [])


BACKFILL = Command(
    "migration",
    "backfill",
    "fill rows of big tables on a live server in short batches, resumable at any point",
    "dpe migration backfill change.yaml --dsn env:DATABASE_URL --dry-run",
    _declare,
    _backfill,
)
