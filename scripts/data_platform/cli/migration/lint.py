"""`dpe migration lint`: migration files against PostgreSQL's locks and the schema, without running them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on, with_output
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping, Sequence
    from typing import Any

    from data_platform.migration.files import Transaction
    from data_platform.migration.lint.lint import Linted
    from data_platform.migration.lint.state import State
    from data_platform.report.document import Report
    from data_platform.report.finding import Finding
    from data_platform.scope.decision import Decision

OLDEST, LATEST = 11, 18


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "paths", metavar="FILE|DIR|-", nargs="+", help="SQL files, directories of them, or stdin"
    )
    base = parser.add_mutually_exclusive_group()
    base.add_argument(
        "--schema", metavar="BASE.sql|MODEL.yaml", help="what the database is before: SQL (a dump) or a model"
    )
    base.add_argument(
        "--dsn",
        metavar="URL|env:NAME|service:NAME",
        help="read what the database is before from a live server",
    )
    parser.add_argument(
        "--server-version",
        type=int,
        choices=range(OLDEST, LATEST + 1),
        metavar=f"{OLDEST}-{LATEST}",
        help=f"the major version it will run on (default: the server's, the model's, or {LATEST})",
    )
    parser.add_argument(
        "--transaction",
        choices=("as-written", "wrapped"),
        help="each statement by itself unless the file says BEGIN, or each file in one transaction"
        " (default: as the tool that the file is for does it)",
    )
    parser.add_argument(
        "--since",
        metavar="FILE",
        help="the files before this one are deployed: their tables hold rows, and nothing is said of them",
    )
    with_fail_on(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--sarif", action="store_true", help="answer as SARIF 2.1.0")
    form.add_argument("--github", action="store_true", help="answer as annotations of a GitHub workflow")
    parser.add_argument(
        "--fix", action="store_true", help="write safe forms into the files where there are some"
    )
    with_output(parser)


def _lint(invocation: Invocation) -> Outcome:
    arguments = invocation.arguments
    transaction: Transaction = arguments.transaction or "auto"
    state, given, decision = _base(invocation)
    version = arguments.server_version or given
    done = _linted(arguments, state, version, transaction, keep=arguments.fix)
    artifacts: tuple[str, ...] = ()
    if arguments.fix:
        artifacts = _write(done)
        state, _, _ = _base(invocation)
        done = _linted(arguments, state, version, transaction, keep=False)
    return _outcome(
        invocation, done, artifacts, decision, state=state, version=version, transaction=transaction
    )


def _linted(
    arguments: Any, state: State, version: int, transaction: Transaction, *, keep: bool
) -> list[Linted]:
    """The files' findings; `state` is afterwards what the files make of it."""
    import gc  # noqa: PLC0415

    from data_platform.migration.files import scan  # noqa: PLC0415
    from data_platform.migration.lint.base import since  # noqa: PLC0415
    from data_platform.migration.lint.lint import lint  # noqa: PLC0415

    if keep and "-" in arguments.paths:
        raise UsageProblem("--fix writes files, and - is none", try_="give the file's name")
    gc.disable()  # nothing here is circular, and a collector would walk every tree again and again
    try:
        scripts = scan(arguments.paths, transaction)
        if arguments.since:
            scripts = since(scripts, arguments.since, state)
        return list(lint(scripts, state, version))
    finally:
        gc.freeze()  # nor at the end of the process, which is near
        gc.enable()


def _write(done: Sequence[Linted]) -> tuple[str, ...]:
    """Safe forms into the files; the paths of those that changed."""
    from pathlib import Path  # noqa: PLC0415

    from data_platform.cli.files import write_files  # noqa: PLC0415
    from data_platform.migration.lint.fix import fixed  # noqa: PLC0415

    changed: dict[Path, str] = {}
    for one in done:
        text, count = fixed(one)
        try:
            changed |= {Path(one.script.file): text.decode()} if count else {}
        except UnicodeDecodeError:  # a file in another encoding stays as it is
            continue
    return write_files(changed, force=True)


def _base(invocation: Invocation) -> tuple[State, int, Decision | None]:
    """What the database is before, the version that comes with it, and the gate's word if a model names a store."""
    from data_platform.migration.lint import base  # noqa: PLC0415

    arguments = invocation.arguments
    if arguments.dsn:
        if arguments.store is None:
            raise UsageProblem(
                "whose database is --dsn?", expected="--store NAME, a store that the scope owns"
            )
        return _of_server(arguments.dsn)
    if arguments.schema and arguments.schema.endswith((".yaml", ".yml")):
        from data_platform.cli.spec import read_design  # noqa: PLC0415

        design, allowed = read_design(invocation, arguments.schema)
        return base.from_database(design.database), design.server_version, allowed.decision
    if arguments.schema:
        return base.from_files([arguments.schema]), LATEST, None
    return base.nothing_known(), LATEST, None


def _of_server(dsn: str) -> tuple[State, int, None]:
    from data_platform.migration.lint import base  # noqa: PLC0415
    from data_platform.postgres.catalog import read  # noqa: PLC0415
    from data_platform.postgres.connect import connect, resolve_dsn  # noqa: PLC0415

    with connect(resolve_dsn(dsn), read_only=True) as connection:
        major = connection.info.server_version // 10000
        return base.from_database(read(connection)), min(max(major, OLDEST), LATEST), None


def _outcome(
    invocation: Invocation,
    done: Sequence[Linted],
    artifacts: tuple[str, ...],
    decision: Decision | None,
    *,
    state: State,
    version: int,
    transaction: Transaction,
) -> Outcome:
    from data_platform.report.finding import SEVERITIES, in_order  # noqa: PLC0415

    findings = in_order(finding for one in done for finding in one.findings)
    counts: dict[str, int] = {
        level: sum(finding.severity == level for finding in findings) for level in SEVERITIES
    }
    result: dict[str, Any] = {
        "files": len(done),
        "statements": sum(len(one.script.statements) for one in done),
        **counts,
        "suppressed": sum(one.suppressed for one in done),
        "server_version": version,
        "transaction": transaction,
        "schema": invocation.arguments.schema or ("--dsn" if invocation.arguments.dsn else None),
        "since": invocation.arguments.since,
        "schema_unread": state.unread,
        "new_tables": sum(table.new is not None for table in state.tables.values()),
    }
    first = done[0].script.file if done else ""
    text = _text(invocation, findings, result, first)
    return Outcome(text=text, result=result, findings=findings, artifacts=artifacts, decision=decision)


def _text(
    invocation: Invocation, findings: Sequence[Finding], result: Mapping[str, Any], first: str
) -> str | Report:
    """The answer in the form that is asked for; nothing where the envelope says it all."""
    arguments = invocation.arguments
    if arguments.sarif:
        import json  # noqa: PLC0415

        from data_platform import __version__  # noqa: PLC0415
        from data_platform.migration.lint.sarif import sarif  # noqa: PLC0415

        return json.dumps(sarif(findings, __version__), ensure_ascii=False, indent=2)
    if arguments.github:
        from data_platform.migration.lint.sarif import workflow_annotations  # noqa: PLC0415

        return workflow_annotations(findings)
    if arguments.json and not arguments.output:
        return ""
    from data_platform.migration.lint.report import report  # noqa: PLC0415

    return report(findings, result, first, _again(invocation))


def _again(invocation: Invocation) -> str:
    arguments = invocation.arguments
    options = [("--schema", arguments.schema), ("--since", arguments.since)]
    options += [("--transaction", arguments.transaction), ("--server-version", arguments.server_version)]
    options += [("--store", arguments.store)]
    given = [word for name, value in options if value for word in (name, str(value))]
    live = ["--dsn", "env:NAME"] if arguments.dsn else []
    return again(LINT, invocation, *arguments.paths, *given, *live)


LINT = Command(
    "migration",
    "lint",
    "find what in a migration blocks clients, breaks them or loses rows",
    "dpe migration lint migrations/ --schema schema.sql",
    _declare,
    _lint,
)
