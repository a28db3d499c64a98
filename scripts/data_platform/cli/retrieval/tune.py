"""`dpe retrieval tune`: an index and how to ask it, from measurements on the user's own vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_html, with_output
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.retrieval.tuning.trial import Goal, Tuned
    from data_platform.retrieval.tuning.tune import Vectors

_MB = 1024 * 1024
_MOST_QUERIES = 1_000
_FEWEST_QUERIES = 20


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--vectors",
        required=True,
        metavar="FILE[#NAME]",
        help="the rows: npy, npz, parquet, jsonl, csv, fvecs, bvecs or hdf5",
    )
    parser.add_argument(
        "--queries",
        metavar="FILE[#NAME]",
        help="vectors that will be asked for (default: some of the rows, which are then left out)",
    )
    parser.add_argument("--distance", choices=("cosine", "l2", "ip"), required=True, help="of the search")
    parser.add_argument(
        "--target-recall",
        type=float,
        default=0.95,
        metavar="R",
        help="share of the true k nearest (default: 0.95)",
    )
    parser.add_argument(
        "--k", type=int, default=10, metavar="K", help="rows that a search wants (default: 10)"
    )
    parser.add_argument(
        "--max-latency", type=float, metavar="MS", help="for one search in twenty at most (p95)"
    )
    parser.add_argument("--max-memory", type=float, metavar="MB", help="for the index")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N vectors of the file")
    parser.add_argument("--seed", type=int, default=1, help="draws the queries (default: 1)")
    with_output(parser)
    with_html(parser)


def _tune(invocation: Invocation) -> Outcome:
    from data_platform.cli.files import refuse_existing  # noqa: PLC0415
    from data_platform.retrieval.tuning.told import report, result  # noqa: PLC0415

    arguments = invocation.arguments
    refuse_existing([arguments.output, arguments.html], arguments.force)
    goal = _goal(arguments)
    vectors, notes = _vectors(arguments, goal)
    tuned, measured_on = _tuned(vectors, goal)
    tuned = _with_notes(tuned, notes)
    return Outcome(
        text=report(tuned, measured_on, again(TUNE, invocation, *_words(arguments))),
        result=result(tuned),
        failed=not tuned.reachable,
    )


def _tuned(vectors: Vectors, goal: Goal) -> tuple[Tuned, str]:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.postgres.server import embedded_server  # noqa: PLC0415
    from data_platform.postgres.vectors.bench import bench, settings_for  # noqa: PLC0415
    from data_platform.retrieval.tuning.tune import tune  # noqa: PLC0415

    with progress("reading") as tell, embedded_server(settings=settings_for(vectors.values)) as server:
        tuned = tune(
            vectors, goal, lambda values, queries: bench(server, values, queries, vectors.distance), tell
        )
        return tuned, server.describe()


def _with_notes(tuned: Tuned, notes: tuple[str, ...]) -> Tuned:
    from dataclasses import replace  # noqa: PLC0415

    return replace(tuned, notes=(*notes, *tuned.notes))


# --- arguments ---


def _goal(arguments: Any) -> Goal:
    from data_platform.retrieval.tuning.trial import Goal  # noqa: PLC0415

    if not 0 < arguments.target_recall < 1:
        raise UsageProblem(
            f"--target-recall {arguments.target_recall:g}",
            expected="a number between 0 and 1",
            try_="0.99; for all of them an exact search is the only way",
        )
    if not 1 <= arguments.k <= 1000:
        raise UsageProblem(
            f"--k {arguments.k}", expected="a number from 1 to 1000, the longest list of candidates"
        )
    for name in ("max_latency", "max_memory", "limit"):
        value = getattr(arguments, name)
        if value is not None and not value > 0:
            raise UsageProblem(f"--{name.replace('_', '-')} {value:g}", expected="a number above zero")
    return Goal(
        recall=arguments.target_recall,
        k=arguments.k,
        max_latency_ms=arguments.max_latency,
        max_memory_bytes=round(arguments.max_memory * _MB) if arguments.max_memory else None,
    )


def _vectors(arguments: Any, goal: Goal) -> tuple[Vectors, tuple[str, ...]]:
    from data_platform.retrieval.tuning.rows import parted  # noqa: PLC0415
    from data_platform.retrieval.vectors import read_vectors  # noqa: PLC0415

    values = read_vectors(arguments.vectors, limit=arguments.limit).values
    queries = read_vectors(arguments.queries).values if arguments.queries else None
    if queries is not None and queries.shape[1] != values.shape[1]:
        raise UsageProblem(
            f"queries of {queries.shape[1]} dimensions",
            where=arguments.queries,
            expected=f"{values.shape[1]}, as {arguments.vectors} has",
        )
    return parted(values, queries, arguments.distance, k=goal.k, seed=arguments.seed)


def _words(arguments: Any) -> list[str]:
    words = ["--vectors", arguments.vectors, "--distance", arguments.distance]
    words += ["--queries", arguments.queries] if arguments.queries else []
    words += ["--target-recall", f"{arguments.target_recall:g}", "--k", str(arguments.k)]
    words += ["--max-latency", f"{arguments.max_latency:g}"] if arguments.max_latency else []
    words += ["--max-memory", f"{arguments.max_memory:g}"] if arguments.max_memory else []
    words += ["--limit", str(arguments.limit)] if arguments.limit else []
    return words + (["--seed", str(arguments.seed)] if arguments.seed != 1 else [])


TUNE = Command(
    "retrieval",
    "tune",
    "choose a vector index and its settings by measuring them on your vectors",
    "dpe retrieval tune --vectors vectors.npy --distance cosine --target-recall 0.95",
    _declare,
    _tune,
)
