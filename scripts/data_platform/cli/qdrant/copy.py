"""`dpe qdrant load` and `copy`: from the store on PostgreSQL to a collection, and back; both sides compared."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome
from data_platform.cli.qdrant.change import current
from data_platform.cli.qdrant.read import declare_server, words_of
from data_platform.cli.retrieval.render import read_spec
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.retrieval.qdrant.copy import Copied
    from data_platform.spec.retrieval import Retrieval

_MAX_SAMPLE = 10_000


def _declare(parser: ArgumentParser, store: str) -> None:
    declare_server(parser, required=True)
    parser.add_argument("--dsn", required=True, metavar="URL|env:NAME|service:NAME", help=store)
    parser.add_argument(
        "--sample",
        type=int,
        default=100,
        metavar="N",
        help="vectors that recall is measured by (default: 100)",
    )


def _declare_load(parser: ArgumentParser) -> None:
    _declare(parser, "PostgreSQL with the store; only read")
    parser.add_argument("--to", metavar="COLLECTION", help="default: the one behind the alias")
    parser.add_argument("--prune", action="store_true", help="delete points that the store does not have")


def _declare_copy(parser: ArgumentParser) -> None:
    _declare(parser, "PostgreSQL, which is written to")
    parser.add_argument(
        "--from", dest="collection", metavar="COLLECTION", help="default: the one behind the alias"
    )
    parser.add_argument(
        "--create", action="store_true", help="make the store first, its indexes after it is filled"
    )


def _load(invocation: Invocation) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415
    from data_platform.qdrant.rest import rest  # noqa: PLC0415
    from data_platform.retrieval.qdrant.moves import There, to_qdrant  # noqa: PLC0415

    arguments, spec, allowed = _asked(invocation)
    server = rest(arguments.url, arguments.key)
    collection = arguments.to or current(spec, server)
    with progress("reading") as tell:
        done = to_qdrant(
            resolve_dsn(arguments.dsn),
            spec,
            There(server, collection),
            sample=arguments.sample,
            prunes=arguments.prune,
            tell=tell,
        )
    return _told(LOAD, invocation, allowed, spec, done, collection)


def _copy(invocation: Invocation) -> Outcome:
    from pathlib import Path  # noqa: PLC0415

    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415
    from data_platform.qdrant.rest import rest  # noqa: PLC0415
    from data_platform.retrieval.qdrant.moves import There, to_postgres  # noqa: PLC0415

    arguments, spec, allowed = _asked(invocation)
    server = rest(arguments.url, arguments.key)
    collection = arguments.collection or current(spec, server)
    folder = Path(arguments.spec).resolve().parent
    with progress("reading") as tell:
        done = to_postgres(
            resolve_dsn(arguments.dsn),
            spec,
            folder,
            There(server, collection),
            create=arguments.create,
            sample=arguments.sample,
            tell=tell,
        )
    return _told(COPY, invocation, allowed, spec, done, collection)


def _asked(invocation: Invocation) -> tuple[Any, Retrieval, Invocation]:
    arguments = invocation.arguments
    if not 0 <= arguments.sample <= _MAX_SAMPLE:
        raise UsageProblem(f"--sample {arguments.sample}", expected=f"a number from 0 to {_MAX_SAMPLE:,}")
    spec, allowed = read_spec(invocation, arguments.spec)
    return arguments, spec, allowed


def _told(
    command: Command,
    invocation: Invocation,
    allowed: Invocation,
    spec: Retrieval,
    done: Copied,
    collection: str,
) -> Outcome:
    from data_platform.report.document import Bullets, Code, Paragraph, Report  # noqa: PLC0415

    faults = list(_faults(spec, done))
    recall = done.recall
    figure = (
        f"Recall@{spec.needs.k} of Qdrant's answers: {recall.value:.3f} ({recall.low:.3f} to {recall.high:.3f},"
        f" {recall.queries} stored vectors, against exact search on PostgreSQL)."
        if recall
        else "Recall was not sampled."
    )
    shared = (
        f" {done.collisions:,} words of a chunk share the place of another in its sparse vector."
        if done.collisions
        else ""
    )
    words = [*words_of(invocation.arguments), *_words(invocation.arguments)]
    return Outcome(
        text=Report(
            title=(f"{done.sent:,} points from ", *_ways(command, spec, collection)),
            verdict="both sides are alike." if not faults else "the two sides differ.",
            good=not faults,
            summary=f"{done.collection:,} points in the collection, {done.store:,} in the store. {figure}{shared}",
            pieces=(
                *((Bullets(tuple(faults)),) if faults else ()),
                Paragraph(("Again: ", Code(again(command, invocation, *words)), ".")),
            ),
        ),
        result={
            "collection": collection,
            "sent": done.sent,
            "counted": done.collection,
            "store": done.store,
            "collisions": done.collisions,
            "pruned": done.pruned,
            "recall": asdict(recall) if recall else None,
        },
        failed=bool(faults),
        decision=allowed.decision,
    )


def _ways(command: Command, spec: Retrieval, collection: str) -> tuple[Any, ...]:
    from data_platform.report.document import Code  # noqa: PLC0415

    store, there = Code(spec.name), Code(collection)
    return (store, " to ", there) if command.verb == "load" else (there, " to ", store)


def _faults(spec: Retrieval, done: Copied) -> list[str]:
    told = []
    if done.collection != done.store:
        told.append(
            f"the counts differ: {done.collection:,} in the collection, {done.store:,} in the store"
            " (`load --prune` deletes points that the store does not have)"
        )
    if done.recall and done.recall.high < spec.needs.recall:
        told.append(
            f"recall is below {spec.needs.recall}: look at hnsw_ef, quantization and whether the graph is built"
        )
    return told


def _words(arguments: Any) -> list[str]:
    words = ["--from", arguments.collection] if getattr(arguments, "collection", None) else []
    words += ["--prune"] if getattr(arguments, "prune", False) else []
    return words + (["--sample", str(arguments.sample)] if arguments.sample != 100 else [])


LOAD = Command(
    "qdrant",
    "load",
    "the chunks of the store on PostgreSQL into a collection; again, nothing is added",
    "dpe qdrant load help.yaml --dsn env:DATABASE_URL --url http://localhost:6333",
    _declare_load,
    _load,
)
COPY = Command(
    "qdrant",
    "copy",
    "the points of a collection back into the store on PostgreSQL",
    "dpe qdrant copy help.yaml --dsn env:DATABASE_URL --url http://localhost:6333 --create",
    _declare_copy,
    _copy,
)
