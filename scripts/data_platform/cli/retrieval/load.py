"""`dpe retrieval load`: documents cut, embedded and brought into the store; run again it changes what has changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome
from data_platform.cli.retrieval.render import read_spec
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.postgres.vectors.store import Loaded
    from data_platform.report.document import Paragraph
    from data_platform.retrieval.filling import Filling
    from data_platform.spec.retrieval import Retrieval


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC.yaml", help="a spec of kind retrieval, with sources")
    parser.add_argument(
        "--dsn", required=True, metavar="URL|env:NAME|service:NAME", help="the server; it is written to"
    )
    parser.add_argument(
        "--create", action="store_true", help="make the store first, its indexes after the load"
    )
    parser.add_argument(
        "--memory",
        metavar="FILE",
        help="keeps vectors that were made (default: .dpe/vectors.sqlite in the project)",
    )
    parser.add_argument(
        "--keep-vanished",
        action="store_true",
        help="leave documents alone that the sources do not have any more",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be added, replaced and removed and what embedding it would cost; nothing is written",
    )


def _load(invocation: Invocation) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415
    from data_platform.retrieval.filling import Filling, fill  # noqa: PLC0415

    arguments = invocation.arguments
    spec, allowed = read_spec(invocation, arguments.spec)
    if not spec.sources:
        raise UsageProblem(
            "the spec has no sources", where=arguments.spec, expected="sources: [{path: docs/**/*.md}]"
        )
    memory = Path(arguments.memory) if arguments.memory else invocation.project / ".dpe" / "vectors.sqlite"
    filling = Filling(
        spec, Path(arguments.spec).resolve().parent, memory, arguments.create, arguments.keep_vanished
    )
    if arguments.dry_run:
        return _foreseen(invocation, filling, allowed)
    with progress("connecting") as tell:
        done = fill(resolve_dsn(arguments.dsn), filling, tell)
    return Outcome(
        text=_told(spec, done, again(LOAD, invocation, *_words(arguments))),
        result={name: getattr(done, name) for name in done.__dataclass_fields__},
        decision=allowed.decision,
    )


def _foreseen(invocation: Invocation, filling: Filling, allowed: Invocation) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415
    from data_platform.retrieval.foreseeing import foresee  # noqa: PLC0415
    from data_platform.retrieval.foreseen import report, result  # noqa: PLC0415

    with progress("connecting") as tell:
        found = foresee(resolve_dsn(invocation.arguments.dsn), filling, tell)
    repeat = again(LOAD, invocation, *_words(invocation.arguments))
    return Outcome(text=report(filling.spec, found, repeat), result=result(found), decision=allowed.decision)


def _told(spec: Retrieval, done: Loaded, repeat: str) -> Any:
    from data_platform.report.document import Code, Paragraph, Report  # noqa: PLC0415

    return Report(
        title=(f"{done.new + done.changed:,} documents loaded into ", Code(spec.name)),
        verdict="done.",
        good=True,
        summary=(
            f"{done.new:,} new, {done.changed:,} changed, {done.unchanged:,} as they were, {done.vanished:,} vanished;"
            f" {done.chunks:,} chunks, of which {done.embedded:,} were embedded."
        ),
        pieces=(*_unfed(spec), Paragraph(("Again, for what has changed by then: ", Code(repeat), "."))),
    )


def _unfed(spec: Retrieval) -> tuple[Paragraph, ...]:
    """Filters whose values no source has."""
    from data_platform.report.document import Code, Paragraph  # noqa: PLC0415

    names = [
        one.name
        for one in spec.filters
        if not any(one.name in source.fields or one.name in source.metadata for source in spec.sources)
    ]
    return tuple(
        Paragraph(
            (
                f"No source gives {name}, so a search that filters by it finds nothing: in lines of JSON and Parquet ",
                Code(f"fields: {{{name}: KEY}}"),
                " says where it is, for other files ",
                Code(f"metadata: {{{name}: VALUE}}"),
                " what it is.",
            )
        )
        for name in names
    )


def _words(arguments: Any) -> list[str]:
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    words = [arguments.spec, "--dsn", shown(arguments.dsn)]
    words += ["--memory", arguments.memory] if arguments.memory else []
    words += ["--create"] if arguments.create and arguments.dry_run else []
    return words + (["--keep-vanished"] if arguments.keep_vanished else [])


LOAD = Command(
    "retrieval",
    "load",
    "cut, embed and load documents; again, only what has changed",
    "dpe retrieval load help.yaml --dsn env:DATABASE_URL --create",
    _declare,
    _load,
)
