"""`dpe retrieval evaluate`: how good and how quick the answers of a store are, measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on, with_html, with_output
from data_platform.cli.retrieval.render import read_spec
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.retrieval.evaluation.judgements import Query
    from data_platform.spec.retrieval import Retrieval


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC.yaml", help="a spec of kind retrieval")
    parser.add_argument(
        "--dsn", required=True, metavar="URL|env:NAME|service:NAME", help="the server; only read"
    )
    parser.add_argument(
        "--queries", metavar="FILE", help="JSON lines with id and text (default: the spec's judgements)"
    )
    parser.add_argument("--qrels", metavar="FILE", help="TREC qrels or JSON lines: what is relevant to them")
    parser.add_argument(
        "--sample", type=int, default=200, metavar="N", help="questions at most (default: 200)"
    )
    parser.add_argument(
        "--clients", type=int, default=4, metavar="N", help="at once, for searches a second (default: 4)"
    )
    parser.add_argument(
        "--cold",
        action="store_true",
        help="also with empty caches: puts the store's pages out of the server's cache (superuser, pg_buffercache)",
    )
    with_fail_on(parser)
    with_output(parser)
    with_html(parser)


def _evaluate(invocation: Invocation) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415
    from data_platform.retrieval.evaluation.run import Extent, evaluate  # noqa: PLC0415
    from data_platform.retrieval.evaluation.told import findings, report, result  # noqa: PLC0415

    arguments = invocation.arguments
    if arguments.sample < 1 or arguments.clients < 1:
        raise UsageProblem("--sample and --clients", expected="numbers above zero")
    spec, allowed = read_spec(invocation, arguments.spec)
    folder, dsn = Path(arguments.spec).resolve().parent, resolve_dsn(arguments.dsn)
    with progress("connecting") as tell:
        found = evaluate(
            dsn,
            spec,
            folder,
            judged_queries(arguments, spec, folder),
            Extent(arguments.sample, arguments.clients, caches=dsn if arguments.cold else None),
            tell,
        )
    return Outcome(
        text=report(spec, found, again(EVALUATE, invocation, *_words(arguments))),
        result=result(found),
        findings=findings(spec, found),
        decision=allowed.decision,
    )


def judged_queries(arguments: Any, spec: Retrieval, folder: Path) -> list[Query] | None:
    """Of the command line or the spec; None where there are none. Raises UsageProblem."""
    from data_platform.retrieval.evaluation.judgements import read_queries  # noqa: PLC0415

    if bool(arguments.queries) != bool(arguments.qrels):
        raise UsageProblem("--queries and --qrels go together", expected="both, or neither")
    if arguments.queries:
        return read_queries(Path(arguments.queries), Path(arguments.qrels))
    if spec.judgements:
        return read_queries(folder / spec.judgements["queries"], folder / spec.judgements["qrels"])
    return None


def _words(arguments: Any) -> list[str]:
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    words = [arguments.spec, "--dsn", shown(arguments.dsn)]
    words += ["--queries", arguments.queries, "--qrels", arguments.qrels] if arguments.queries else []
    words += ["--sample", str(arguments.sample)] if arguments.sample != 200 else []
    words += ["--clients", str(arguments.clients)] if arguments.clients != 4 else []
    return words + (["--cold"] if arguments.cold else [])


EVALUATE = Command(
    "retrieval",
    "evaluate",
    "recall, nDCG, filters and time of a store, with intervals, against exact search and judgements",
    "dpe retrieval evaluate help.yaml --dsn env:DATABASE_URL --queries queries.jsonl --qrels qrels.txt",
    _declare,
    _evaluate,
)
