"""`dpe retrieval diagnose`: what is wrong with the vectors of a database, each with its fix. Reads only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on, with_html, with_output
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping

    from data_platform.postgres.vectors.facts import Facts
    from data_platform.report.finding import Finding


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--dsn", required=True, metavar="URL|env:NAME|service:NAME", help="the server; only read"
    )
    parser.add_argument("--schema", metavar="NAME", help="only this one (default: all)")
    parser.add_argument(
        "--query",
        action="append",
        default=[],
        metavar="FILE.sql|SQL",
        help="a search, to be looked at and planned",
    )
    with_fail_on(parser)
    with_output(parser)
    with_html(parser)


def _diagnose(invocation: Invocation) -> Outcome:
    from data_platform.postgres.connect import connect, resolve_dsn  # noqa: PLC0415
    from data_platform.postgres.vectors.facts import explained, facts  # noqa: PLC0415
    from data_platform.report.finding import in_order  # noqa: PLC0415
    from data_platform.retrieval.diagnosis import queries, rules  # noqa: PLC0415

    arguments = invocation.arguments
    if invocation.decision is not None and invocation.decision.store is None:
        raise UsageProblem("whose database is --dsn?", expected="--store NAME, a store that the scope owns")
    with connect(resolve_dsn(arguments.dsn), read_only=True) as connection:
        found = facts(connection, arguments.schema)
        told = list(rules.findings(found))

        def plan(query: str, settings: Mapping[str, str]) -> dict[str, Any]:
            return explained(connection, query, settings)

        for text in map(_text, arguments.query):
            told += queries.findings(text, found, plan)
        told += queries.of_applications(found, plan)
    ordered = in_order(told)
    return Outcome(
        text=_report(found, ordered, again(DIAGNOSE, invocation, *_words(arguments))),
        result=_result(found),
        findings=ordered,
    )


def _text(given: str) -> str:
    path = Path(given)
    if given.endswith(".sql"):
        if not path.is_file():
            raise UsageProblem("there is no such file", where=given)
        return path.read_text(encoding="utf-8")
    return given


def _result(found: Facts) -> dict[str, Any]:
    return {
        "server_version": found.server,
        "pgvector": found.version,
        "indexes": [
            {
                "name": str(i.name),
                "table": str(i.table),
                "method": i.method,
                "size_bytes": i.size_bytes,
                "valid": i.valid,
            }
            for i in found.indexes
        ],
        "columns": [
            {
                "table": str(c.table),
                "column": c.column,
                "dimensions": c.dimensions,
                "live": c.live,
                "dead": c.dead,
            }
            for c in found.columns
        ],
    }


def _report(found: Facts, told: tuple[Finding, ...], repeat: str) -> Any:
    from data_platform.report.document import Bullets, Code, Heading, Paragraph, Report, Table, words  # noqa: PLC0415

    wrong = sum(one.severity != "info" for one in told)
    rows = tuple((one.severity, words(one.message), words(one.fix or "")) for one in told)
    unseen = (
        []
        if found.asked is not None
        else ["pg_stat_statements is not there: what the applications ask was not seen."]
    )
    unseen.append("Recall and time were not measured: dpe retrieval evaluate does.")
    return Report(
        title=f"{wrong} things are wrong with the vectors" if wrong else "Nothing is wrong with the vectors",
        verdict="findings." if wrong else "well.",
        good=not wrong,
        summary=f"pgvector {found.version}, {len(found.indexes)} indexes, {len(found.columns)} columns of vectors.",
        pieces=(
            *((Heading("Findings"), Table(("severity", "what", "fix"), rows)) if rows else ()),
            Heading("Not checked"),
            Bullets(tuple(unseen)),
            Paragraph(("Repeat: ", Code(repeat), ".")),
        ),
    )


def _words(arguments: Any) -> list[str]:
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    words = ["--dsn", shown(arguments.dsn)]
    words += ["--store", arguments.store] if arguments.store else []
    words += ["--schema", arguments.schema] if arguments.schema else []
    return words + [word for one in arguments.query for word in ("--query", one)]


DIAGNOSE = Command(
    "retrieval",
    "diagnose",
    "what is wrong with the vectors of a database: versions, indexes, rows, queries",
    'dpe retrieval diagnose --dsn env:DATABASE_URL --store "Customer DB" --query search.sql',
    _declare,
    _diagnose,
)
