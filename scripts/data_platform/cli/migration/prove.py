"""`dpe migration prove`: a migration on a real server, with rows and live clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import (
    Command,
    Invocation,
    Outcome,
    with_dsn,
    with_fail_on,
    with_html,
    with_output,
)
from data_platform.cli.spec import again, read_design
from data_platform.errors import UsageProblem
from data_platform.record import replace

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable, Sequence

    from data_platform.migration.files import Statement
    from data_platform.migration.prove.options import Base, Options
    from data_platform.migration.prove.result import Proof
    from data_platform.model.design import Design

MAX_ROWS = 10_000_000_000
MODELS = (".yaml", ".yml")


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE|DIR|-", help="the migration: SQL files, in order")
    parser.add_argument(
        "--schema",
        action="append",
        default=[],
        metavar="BASE.sql|MODEL.yaml",
        help="the schema before the migration; several files are loaded in order",
    )
    parser.add_argument("--to", metavar="MODEL.yaml", help="the model after it, for its access patterns")
    parser.add_argument(
        "--down", action="append", default=[], metavar="FILE|DIR", help="what takes the migration back"
    )
    parser.add_argument(
        "--rows",
        action="append",
        default=[],
        metavar="N|table=N",
        help="synthetic rows a table (default 100000); more than a million of one table are estimated, not run",
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same rows (default: 1)")
    parser.add_argument(
        "--transaction",
        choices=("as-written", "wrapped", "auto"),
        default="auto",
        help="each statement by itself, each file in one transaction, or as the file's tool does (default)",
    )
    parser.add_argument(
        "--traffic",
        action=_boolean_action(),
        default=True,
        help="live clients on every table that is touched (default: on)",
    )
    parser.add_argument(
        "--long-reader",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="a reader that is idle in its transaction for so long from the start on",
    )
    parser.add_argument(
        "--retries",
        type=int,
        default=10,
        metavar="N",
        help="tries after lock_timeout (default: 10)",
    )
    parser.add_argument(
        "--max-stall",
        type=float,
        default=100.0,
        metavar="MS",
        help="how long a client may wait beyond lock_timeout (default: 100)",
    )
    parser.add_argument(
        "--deploy-after",
        metavar="FILE",
        help="from the end of this file on clients are those of the new application (default: the old one's all along)",
    )
    parser.add_argument(
        "--allow-data-loss",
        action="append",
        default=[],
        metavar="table[.column]",
        help="may be lost; the application does not name it any more",
    )
    parser.add_argument(
        "--server-version",
        type=int,
        metavar="MAJOR",
        help="the embedded server's (default: the newest; 16 with `dpe setup --extra pg16`)",
    )
    with_dsn(parser)
    with_fail_on(parser)
    with_output(parser)
    with_html(parser)


def _boolean_action() -> Any:
    import argparse  # noqa: PLC0415

    return argparse.BooleanOptionalAction


def _prove(invocation: Invocation) -> Outcome:
    from data_platform.cli.files import refuse_existing  # noqa: PLC0415

    arguments = invocation.arguments
    refuse_existing([arguments.output, arguments.html], arguments.force)
    statements, left_out = _statements(arguments, arguments.files, "up")
    if not statements:
        raise UsageProblem("there is no statement in these files", where=", ".join(arguments.files))
    down = _down(arguments)
    options = replace(_options(arguments), deploy_after=_deploy_after(arguments, statements))
    base, allowed = _base(invocation)
    base = replace(base, notes=left_out)
    proof = _proven(statements, down, base, options, arguments.server_version)
    return replace(_outcome(invocation, proof, options, base, statements), decision=allowed.decision)


def _proven(
    statements: tuple[Statement, ...],
    down: tuple[Statement, ...],
    base: Base,
    options: Options,
    version: int | None,
) -> Proof:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.migration.prove.prove import SETTINGS, prove  # noqa: PLC0415
    from data_platform.postgres.server import embedded_server  # noqa: PLC0415

    with progress("starting PostgreSQL") as step, embedded_server(settings=SETTINGS, major=version) as server:
        return prove(statements, base, server, options, down=down, progress=step)


def _outcome(
    invocation: Invocation, proof: Proof, options: Options, base: Base, statements: Sequence[Statement]
) -> Outcome:
    from data_platform.migration.prove.answer import findings, result  # noqa: PLC0415
    from data_platform.migration.prove.fixes import fixes  # noqa: PLC0415
    from data_platform.migration.prove.report import report  # noqa: PLC0415
    from data_platform.report.finding import in_order  # noqa: PLC0415

    version = int(proof.server_version.partition(".")[0])
    repeat = again(PROVE, invocation, *_words(invocation.arguments))
    return Outcome(
        text=report(proof, options, base.what, repeat, fixes(statements, proof.schema, version)),
        result=result(proof),
        findings=in_order(findings(proof, options)),
        failed=proof.verdict != "proven",
    )


# --- arguments ---


def _statements(
    arguments: Any, paths: Sequence[str], direction: Any
) -> tuple[tuple[Statement, ...], tuple[str, ...]]:
    """The statements, and what of the files is nothing that a server runs. Raises UsageProblem for what is no SQL."""
    from data_platform.migration.files import scan  # noqa: PLC0415

    found: list[Statement] = []
    notes: list[str] = []
    for script in scan(paths, arguments.transaction, direction):
        for fault in script.faults:
            where = f"{script.file}:{fault.line}:{fault.column}"
            if fault.error:
                raise UsageProblem(fault.message, where=where)
            notes.append(f"{where}: {fault.message}")
        found += script.statements
    return tuple(found), tuple(notes)


def _deploy_after(arguments: Any, statements: Sequence[Statement]) -> int | None:
    """The last statement of the file after which the application is deployed."""
    if arguments.deploy_after is None:
        return None
    given = arguments.deploy_after
    numbers = [s.number for s in statements if s.file == given or s.file.endswith(f"/{given}")]
    if not numbers:
        files = dict.fromkeys(statement.file for statement in statements)
        raise UsageProblem(
            f"--deploy-after {given}: no such file in the migration", expected=", ".join(files)
        )
    return max(numbers)


def _down(arguments: Any) -> tuple[Statement, ...]:
    """What the down files say; without any, the down parts of the migration's own files."""
    if arguments.down:
        found, _ = _statements(arguments, arguments.down, "down")
        return found or _statements(arguments, arguments.down, "up")[0]
    own = [path for path in arguments.files if path != "-"]
    return _statements(arguments, own[::-1], "down")[0] if own else ()


def _options(arguments: Any) -> Options:
    from data_platform.migration.prove.options import Options  # noqa: PLC0415

    default, rows = _rows(arguments.rows)
    for name, value in (("--long-reader", arguments.long_reader), ("--max-stall", arguments.max_stall)):
        if value < 0:
            raise UsageProblem(f"{name} {value}", expected="a number that is not negative")
    return Options(
        default_rows=default,
        rows=rows,
        seed=arguments.seed,
        clients=arguments.traffic,
        long_reader_s=arguments.long_reader,
        retries=max(0, arguments.retries),
        stall_s=arguments.max_stall / 1000,
        allow_data_loss=frozenset(arguments.allow_data_loss),
    )


def _rows(texts: Iterable[str]) -> tuple[int | None, dict[str, int]]:
    default: int | None = None
    rows: dict[str, int] = {}
    for text in texts:
        table, equals, number = text.rpartition("=")
        digits = number.replace("_", "").replace(",", "")
        if not digits.isdecimal() or not 0 < int(digits) <= MAX_ROWS:
            raise UsageProblem(f"--rows {text}", expected=f"a number up to {MAX_ROWS:,}, or table=number")
        if equals:
            rows[table] = int(digits)
        else:
            default = int(digits)
    return default, rows


def _base(invocation: Invocation) -> tuple[Base, Invocation]:
    """The schema before the migration, behind the gate where a model names its store."""
    from data_platform.migration.prove.options import Base  # noqa: PLC0415
    from data_platform.postgres.load import read_script  # noqa: PLC0415

    arguments = invocation.arguments
    new, allowed = read_design(invocation, arguments.to) if arguments.to is not None else (None, invocation)
    if arguments.dsn and arguments.schema:
        raise UsageProblem("--schema and --dsn both say what the schema is", try_="give one of them")
    if arguments.dsn and arguments.store is None:
        raise UsageProblem("whose database is --dsn?", expected="--store NAME, a store that the scope owns")
    if arguments.dsn:
        return replace(_live(arguments.dsn), new=new), allowed
    models = [path for path in arguments.schema if path.endswith(MODELS)]
    if models and len(arguments.schema) > 1:
        raise UsageProblem("a model is a whole schema", where=models[0], try_="give it alone")
    if models:
        design, allowed = read_design(invocation, models[0])
        return replace(_of_model(design), new=new), allowed
    scripts = tuple(read_script(path) for path in _sql_files(arguments.schema))
    return Base(
        scripts=scripts, what=", ".join(arguments.schema) or "no schema: an empty database", new=new
    ), allowed


def _sql_files(paths: Sequence[str]) -> list[Any]:
    from pathlib import Path  # noqa: PLC0415

    found: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(path.rglob("*.sql")) if path.is_dir() else [path]
        if not inside:
            raise UsageProblem("no .sql file in this directory", where=str(path))
        found += inside
    return found


def _of_model(design: Design) -> Base:
    from data_platform.ddl import script  # noqa: PLC0415
    from data_platform.migration.prove.options import Base  # noqa: PLC0415
    from data_platform.postgres.load import Script  # noqa: PLC0415

    return Base(
        scripts=(Script(f"the DDL of {design.file}", script(design, "")),),
        what=design.file,
        production=design.rows,
        hints=design.hints,
        old=design,
    )


def _live(dsn: str) -> Base:
    from data_platform.migration.prove.live_schema import live_base  # noqa: PLC0415

    return live_base(dsn)


def _words(arguments: Any) -> list[str]:
    """The command line again, without what may hold a password."""
    words = [*arguments.files]
    for name in ("schema", "down", "rows", "allow_data_loss"):
        words += [
            word for value in getattr(arguments, name) for word in (f"--{name.replace('_', '-')}", value)
        ]
    words += ["--store", arguments.store] if arguments.store else []
    words += ["--to", arguments.to] if arguments.to else []
    words += ["--deploy-after", arguments.deploy_after] if arguments.deploy_after else []
    words += ["--transaction", arguments.transaction] if arguments.transaction != "auto" else []
    words += ["--seed", str(arguments.seed)] if arguments.seed != 1 else []
    words += [] if arguments.traffic else ["--no-traffic"]
    words += ["--long-reader", f"{arguments.long_reader:g}"] if arguments.long_reader else []
    words += ["--retries", str(arguments.retries)] if arguments.retries != 10 else []
    words += ["--max-stall", f"{arguments.max_stall:g}"] if arguments.max_stall != 100 else []
    words += ["--server-version", str(arguments.server_version)] if arguments.server_version else []
    dsn = arguments.dsn if arguments.dsn and arguments.dsn.startswith(("env:", "service:")) else "env:NAME"
    return [*words, "--dsn", dsn] if arguments.dsn else words


PROVE = Command(
    "migration",
    "prove",
    "run a migration on a real PostgreSQL with rows and live clients, and say what happened",
    "dpe migration prove migrations/0007.sql --schema base.sql --rows 1000000 --html proof.html",
    _declare,
    _prove,
)
