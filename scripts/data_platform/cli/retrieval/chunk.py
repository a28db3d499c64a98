"""`dpe retrieval chunk`: documents cut into pieces, with offsets that give back the source exactly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_files
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.retrieval.chunking.document import Chunk, Document
    from data_platform.retrieval.chunking.measure import Tokenizer
    from data_platform.spec.retrieval import Chunking, Source

STRATEGIES = ("fixed", "recursive", "sentence", "markdown", "code", "semantic")
FORMATS = ("markdown", "text", "html", "pdf", "code", "jsonl", "parquet")


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE|DIR|PATTERN", help="documents")
    parser.add_argument(
        "--strategy", choices=STRATEGIES, default="recursive", help="how they are cut (default: recursive)"
    )
    parser.add_argument(
        "--size", type=int, default=1000, metavar="N", help="of a chunk at most (default: 1000)"
    )
    parser.add_argument(
        "--overlap", type=int, default=0, metavar="N", help="with the chunk before (default: 0)"
    )
    parser.add_argument(
        "--unit", choices=("characters", "tokens"), default="characters", help="of size and overlap"
    )
    parser.add_argument("--tokenizer", metavar="FILE", help="a tokenizer.json, for tokens")
    parser.add_argument("--format", choices=FORMATS, help="what the files are (default: by their suffix)")
    parser.add_argument(
        "--model",
        metavar="SPEC.yaml",
        help="for semantic chunks: the retrieval spec whose model says what is alike",
    )
    with_files(parser)


def _chunk(invocation: Invocation) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.retrieval.chunking.reading import documents  # noqa: PLC0415
    from data_platform.retrieval.chunking.told import lines, report, result  # noqa: PLC0415

    arguments = invocation.arguments
    how, tokenizer = _how(arguments)
    distances = _distances(invocation) if how.strategy == "semantic" else None
    found: list[tuple[Document, tuple[Chunk, ...]]] = []
    with progress("reading") as tell:
        for document in documents(_sources(arguments), Path.cwd(), tell):
            found.append((document, _chunked(document, how, tokenizer, distances)))
    written: tuple[str, ...] = ()
    if arguments.output:
        written = invocation.write({Path(arguments.output): "".join(lines(found))})
    return Outcome(
        text=report(found, how, again(CHUNK, invocation, *_words(arguments)), written),
        result=result(found, how, some=not arguments.output),
        artifacts=written,
    )


def _chunked(
    document: Document, how: Chunking, tokenizer: Tokenizer | None, distances: Any
) -> tuple[Chunk, ...]:
    from data_platform.retrieval.chunking import chunked  # noqa: PLC0415

    return chunked(document, how, tokenizer, distances)


def _sources(arguments: Any) -> list[Source]:
    from data_platform.spec.retrieval import Source  # noqa: PLC0415

    return [Source(path=path, format=arguments.format) for path in arguments.files]


def _how(arguments: Any) -> tuple[Chunking, Tokenizer | None]:
    from data_platform.retrieval.chunking.measure import tokenizer  # noqa: PLC0415
    from data_platform.spec.retrieval import Chunking  # noqa: PLC0415

    if arguments.size < 1:
        raise UsageProblem(f"--size {arguments.size}", expected="a number above zero")
    if not 0 <= arguments.overlap < arguments.size:
        raise UsageProblem(f"--overlap {arguments.overlap}", expected="a number from 0 on, below --size")
    if arguments.unit == "tokens" and not arguments.tokenizer:
        raise UsageProblem("tokens of which tokenizer?", expected="--tokenizer FILE, a tokenizer.json")
    how = Chunking(
        strategy=arguments.strategy, size=arguments.size, overlap=arguments.overlap, unit=arguments.unit
    )
    return how, tokenizer(Path(arguments.tokenizer)) if arguments.unit == "tokens" else None


def _distances(invocation: Invocation) -> Any:
    from data_platform.cli.spec import read_document  # noqa: PLC0415
    from data_platform.retrieval.embedding import distances_by, embedder  # noqa: PLC0415
    from data_platform.spec import validate  # noqa: PLC0415
    from data_platform.spec.retrieval import read_retrieval  # noqa: PLC0415

    path = invocation.arguments.model
    if not path:
        raise UsageProblem(
            "semantic chunks need a model", expected="--model SPEC.yaml, a spec of kind retrieval"
        )
    document, _ = read_document(invocation, path)
    validate.check(document, "retrieval")
    return distances_by(embedder(read_retrieval(document).model, Path(path).parent))


def _words(arguments: Any) -> list[str]:
    words = [*arguments.files, "--strategy", arguments.strategy, "--size", str(arguments.size)]
    words += ["--overlap", str(arguments.overlap)] if arguments.overlap else []
    words += ["--unit", "tokens", "--tokenizer", arguments.tokenizer] if arguments.unit == "tokens" else []
    words += ["--format", arguments.format] if arguments.format else []
    words += ["--model", arguments.model] if arguments.model else []
    return words + (["--output", arguments.output] if arguments.output else [])


CHUNK = Command(
    "retrieval",
    "chunk",
    "cut documents into chunks whose offsets give back the source exactly",
    "dpe retrieval chunk docs --strategy markdown --size 1200 --output chunks.jsonl",
    _declare,
    _chunk,
)
