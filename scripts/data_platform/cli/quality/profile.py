"""`dpe quality profile`: what the columns of a table hold, and checks that hold of it. Reads only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_files, with_html
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.postgres.quality.asking import Session, Table

_WHOLE = 1_000_000
"""Rows, by the server's estimate, up to which a table is read as a whole where nobody says how much."""


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="schema.name, a table or a view")
    parser.add_argument(
        "--dsn", required=True, metavar="URL|env:NAME|service:NAME", help="the server; only read"
    )
    parser.add_argument(
        "--sample",
        type=float,
        metavar="SHARE",
        help="of the table's blocks to read, 1 for all (default: about a million rows)",
    )
    parser.add_argument(
        "--sensitive", action="append", default=[], metavar="COLUMN", help="mask its values; may be repeated"
    )
    with_files(parser)
    with_html(parser)


def _profile(invocation: Invocation) -> Outcome:
    from data_platform.pipeline.quality import profile as told  # noqa: PLC0415
    from data_platform.pipeline.quality import proposals  # noqa: PLC0415
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415
    from data_platform.postgres.pipelines.sessions import telling  # noqa: PLC0415
    from data_platform.postgres.quality.asking import NotRun, generated_from, reading, table_of  # noqa: PLC0415
    from data_platform.postgres.quality.profiling import profile  # noqa: PLC0415
    from data_platform.spec.naming import parse_name  # noqa: PLC0415
    from data_platform.sql.text import NotSql  # noqa: PLC0415

    arguments = invocation.arguments
    store = invocation.decision.store if invocation.decision else arguments.store
    if store is None:
        raise UsageProblem("whose database is --dsn?", expected="--store NAME, a store that the scope owns")
    if arguments.sample is not None and not 0 < arguments.sample <= 1:
        raise UsageProblem(f"--sample {arguments.sample}", expected="a share: more than 0, at most 1")
    try:
        name = parse_name(arguments.table, "public")
    except NotSql as problem:
        raise UsageProblem(f"`{arguments.table}`: {problem}", expected="schema.table") from None
    conninfo = resolve_dsn(arguments.dsn)
    with reading(conninfo) as session, telling(conninfo):
        try:
            table = table_of(session, name)
            found = profile(
                session, table, proposals.formats(table.server), _share(session, table, arguments.sample)
            )
        except NotRun as refused:
            raise UsageProblem(str(refused), where=str(name)) from None
        unknown = set(arguments.sensitive) - set(table.relation.columns)
        if unknown:
            raise UsageProblem(
                f"--sensitive {min(unknown)}: there is no such column",
                expected=", ".join(table.relation.columns),
            )
        sensitive = proposals.sensitive_of(found, frozenset(arguments.sensitive))
        sensitive |= generated_from(session, table, sensitive)
        checks = proposals.proposed(session, found, name, sensitive)
    text = proposals.spec_text(store, name.name, checks, sensitive)
    written = invocation.write({Path(arguments.output): text}) if arguments.output and checks else ()
    repeat = again(PROFILE, invocation, *_words(arguments))
    return Outcome(
        text=told.report(found, str(name), text, checks, sensitive, repeat),
        result=told.result(found, checks, sensitive),
        artifacts=written,
    )


def _share(session: Session, table: Table, asked: float | None) -> float:
    from data_platform.postgres.quality.profiling import can_be_sampled  # noqa: PLC0415

    possible = can_be_sampled(session, table)
    if asked is not None:
        if asked < 1 and not possible:
            raise UsageProblem("a view cannot be sampled", expected="--sample 1")
        return asked
    return min(1.0, _WHOLE / table.rows) if possible and table.rows > _WHOLE else 1.0


def _words(arguments: Any) -> list[str]:
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    words = [arguments.table, "--dsn", shown(arguments.dsn), "--store", arguments.store]
    words += ["--sample", str(arguments.sample)] if arguments.sample else []
    return words + [word for column in arguments.sensitive for word in ("--sensitive", column)]


PROFILE = Command(
    "quality",
    "profile",
    "what the columns of a table hold, and a proposed set of checks with the evidence for each",
    'dpe quality profile sales.orders --dsn env:DATABASE_URL --store "Customer DB" --output quality.yaml',
    _declare,
    _profile,
)
