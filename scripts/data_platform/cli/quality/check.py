"""`dpe quality check`: whether the rows of a store are what a spec says. Reads only, unless `--keep` is given."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on, with_html, with_output
from data_platform.cli.spec import again, read_document
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.pipeline.quality.verdicts import Verdict
    from data_platform.spec.quality import Quality

_MOST_SAMPLES = 100


def read_spec(invocation: Invocation, path: str) -> tuple[Quality, Invocation]:
    """The spec, behind the gate of its store and of every store that its checks look into.

    Another team's store is not read, not even its keys: the gate refuses it as it refuses to work on it.
    """
    from data_platform.spec import validate  # noqa: PLC0415
    from data_platform.spec.quality import read_quality  # noqa: PLC0415

    document, allowed = read_document(invocation, path)
    validate.check(document, "quality")
    spec = read_quality(document)
    for check in spec.checks:
        if check.to and check.to.store:
            invocation.require_other(check.to.store)
    return spec, allowed


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "spec",
        nargs="?",
        metavar="SPEC.yaml",
        help="a spec of kind quality (default: what the server has promised)",
    )
    parser.add_argument(
        "--dsn", required=True, metavar="URL|env:NAME|service:NAME", help="the store's server"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="write the results down there, for checks that compare with before",
    )
    parser.add_argument(
        "--samples", type=int, default=5, metavar="N", help="rows that fail, of each check (default: 5)"
    )
    with_fail_on(parser)
    with_output(parser)
    with_html(parser)


def _check(invocation: Invocation) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.pipeline.quality.told import report, result  # noqa: PLC0415
    from data_platform.pipeline.quality.verdicts import findings_of  # noqa: PLC0415
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415

    arguments = invocation.arguments
    if not 0 <= arguments.samples <= _MOST_SAMPLES:
        raise UsageProblem(f"--samples {arguments.samples}", expected=f"0 to {_MOST_SAMPLES}")
    if arguments.spec is None:
        spec, allowed = _promised(invocation, resolve_dsn(arguments.dsn)), invocation
    else:
        spec, allowed = read_spec(invocation, arguments.spec)
    started = time.monotonic()
    with progress("connecting") as tell:
        found = _run(spec, resolve_dsn(arguments.dsn), arguments.samples, tell)
    seconds = time.monotonic() - started
    if arguments.keep:
        _keep(spec, resolve_dsn(arguments.dsn), found)
    return Outcome(
        text=report(spec.name, spec.store, found, seconds, again(CHECK, invocation, *_words(arguments))),
        result=result(found, seconds),
        findings=findings_of(found, spec.file),
        decision=allowed.decision,
    )


def _run(spec: Quality, conninfo: str, samples: int, tell: Any) -> tuple[Verdict, ...]:
    from data_platform.pipeline.quality.asked import Asked  # noqa: PLC0415
    from data_platform.pipeline.quality.check import open_others, run_checks  # noqa: PLC0415
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415
    from data_platform.postgres.pipelines.sessions import telling  # noqa: PLC0415
    from data_platform.postgres.quality.asking import reading  # noqa: PLC0415
    from data_platform.postgres.quality.history import measured_before  # noqa: PLC0415

    with ExitStack() as stack:
        session = stack.enter_context(reading(conninfo))
        stack.enter_context(telling(conninfo))
        others = open_others(spec.checks, stack, lambda dsn: stack.enter_context(reading(resolve_dsn(dsn))))
        before = measured_before(session, spec.history_schema, spec.name)
        return run_checks(session, spec.checks, Asked(spec.sensitive, before, others, samples), tell)


def _promised(invocation: Invocation, conninfo: str) -> Quality:
    """Without a spec: what constraints of the server say and were never held against its rows."""
    from data_platform.postgres.pipelines.sessions import telling  # noqa: PLC0415
    from data_platform.postgres.quality.asking import reading  # noqa: PLC0415
    from data_platform.postgres.quality.promises import promises  # noqa: PLC0415
    from data_platform.spec.quality import Quality  # noqa: PLC0415

    if invocation.decision is not None and invocation.decision.store is None:
        raise UsageProblem("whose database is --dsn?", expected="--store NAME, a store that the scope owns")
    if invocation.arguments.keep:
        raise UsageProblem("--keep keeps the results of a spec", expected="SPEC.yaml")
    with reading(conninfo) as session, telling(conninfo):
        checks = promises(session)
    return Quality(store=invocation.arguments.store or "", name="the server's own constraints", checks=checks)


def _keep(spec: Quality, conninfo: str, found: tuple[Verdict, ...]) -> None:
    from data_platform.postgres.quality.history import Kept, keep  # noqa: PLC0415

    results = [Kept(one.check.name, one.state, one.failing, one.rows, one.measured) for one in found]
    keep(conninfo, spec.history_schema, spec.name, results)


def _words(arguments: Any) -> list[str]:
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    words = [arguments.spec] if arguments.spec else []
    words += ["--dsn", shown(arguments.dsn)]
    words += ["--store", arguments.store] if arguments.store else []
    return [*words, *(["--keep"] if arguments.keep else [])]


CHECK = Command(
    "quality",
    "check",
    "whether rows are what a spec says: nulls, formats, ranges, keys, references, freshness, sums",
    "dpe quality check quality.yaml --dsn env:DATABASE_URL",
    _declare,
    _check,
)
