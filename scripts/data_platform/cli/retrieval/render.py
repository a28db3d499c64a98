"""`dpe retrieval render`: a store for documents that are found by meaning, run on a real server before it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_files
from data_platform.cli.spec import again, read_document
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.retrieval.design import Design
    from data_platform.spec.retrieval import Retrieval


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC.yaml", help="a spec of kind retrieval")
    parser.add_argument(
        "--job",
        choices=("spark",),
        help="also the load as a job for many machines: load_spark.py, which makes the same ids",
    )
    with_files(parser)


def read_spec(invocation: Invocation, path: str) -> tuple[Retrieval, Invocation]:
    """The spec, behind the gate of the store that it names."""
    from data_platform.spec import validate  # noqa: PLC0415
    from data_platform.spec.retrieval import read_retrieval  # noqa: PLC0415

    document, allowed = read_document(invocation, path)
    validate.check(document, "retrieval")
    return read_retrieval(document), allowed


def _render(invocation: Invocation) -> Outcome:
    from data_platform.retrieval.design import design  # noqa: PLC0415
    from data_platform.retrieval.told import report, result  # noqa: PLC0415

    arguments = invocation.arguments
    spec, allowed = read_spec(invocation, arguments.spec)
    if spec.target == "qdrant":
        raise UsageProblem(
            "the target is qdrant",
            where=arguments.spec,
            try_=f"dpe qdrant plan {arguments.spec} --output DIR",
        )
    made = design(spec)
    repeat = again(RENDER, invocation, arguments.spec, *_words(arguments))
    texts, proven = _files(spec, made, repeat)
    if arguments.job:
        texts |= _job(spec, Path(arguments.spec).read_text(encoding="utf-8"), repeat)
    written: tuple[str, ...] = ()
    if arguments.output:
        written = invocation.write({Path(arguments.output) / name: text for name, text in texts.items()})
    return Outcome(
        text=report(spec, made, texts, proven, repeat, bool(written)),
        result={**result(spec, made), "files": list(texts)},
        artifacts=written,
        decision=allowed.decision,
    )


def _files(spec: Retrieval, made: Design, repeat: str) -> tuple[dict[str, str], str]:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.postgres.server import embedded_server  # noqa: PLC0415
    from data_platform.retrieval.pgvector.beyond import beyond  # noqa: PLC0415
    from data_platform.retrieval.pgvector.prove import prove  # noqa: PLC0415
    from data_platform.retrieval.pgvector.store import down, files  # noqa: PLC0415

    found = files(spec, made)
    with progress("running it"), embedded_server() as server:
        proven = prove(spec, found, server)
    head = _head(spec, repeat)
    texts = {one.name: f"{head}\n{one.sql}\n" for one in (*found, *beyond(spec, made))}
    return {**texts, "down.sql": f"{head}\n{down(spec)}\n"}, proven


def _job(spec: Retrieval, text: str, repeat: str) -> dict[str, str]:
    from data_platform.retrieval.jobs import SPARK, spark  # noqa: PLC0415

    if not spec.sources:
        raise UsageProblem(
            "the spec has no sources", where=spec.file, expected="sources: [{path: docs/**/*.md}]"
        )
    return {SPARK: spark(spec.name, text, _head(spec, repeat, "#"))}


def _words(arguments: Any) -> list[str]:
    words = ["--job", arguments.job] if arguments.job else []
    return words + (["--output", arguments.output] if arguments.output else [])


def _head(spec: Retrieval, repeat: str, mark: str = "--") -> str:
    lines = (
        f"Made by data-platform-engineer from {spec.file} (SHA-256 {spec.sha256})",
        f"for PostgreSQL {spec.server_version}.",
        f"Make it again: {repeat}",
    )
    return "\n".join(f"{mark} {' '.join(line.split())}" for line in lines)


RENDER = Command(
    "retrieval",
    "render",
    "a store for chunks and vectors: tables, indexes and search functions, run before they are shown",
    "dpe retrieval render help.yaml --output store",
    _declare,
    _render,
)
