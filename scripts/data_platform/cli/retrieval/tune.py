"""`dpe retrieval tune`: an index and how to ask it, from measurements on the user's own vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_html, with_output
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.retrieval.evaluation.judgements import Query
    from data_platform.retrieval.tuning.hybrid import Fused
    from data_platform.retrieval.tuning.trial import Goal, Tuned
    from data_platform.retrieval.tuning.tune import Vectors
    from data_platform.spec.retrieval import Retrieval

_MB = 1024 * 1024
_RECALL, _K = 0.95, 10
_MOST_ROWS = 200_000
"""Vectors that are taken from a store: enough to tell settings apart, and no hour of work."""
_MOST_BYTES = 1536 * 1024 * 1024
"""Of rows in memory; some of what is done with them holds them twice."""
_MOST_QUERIES = 1_000
_FEWEST_QUERIES = 50


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("spec", nargs="?", metavar="SPEC.yaml", help="a spec of kind retrieval, with --dsn")
    parser.add_argument(
        "--dsn", metavar="URL|env:NAME|service:NAME", help="the server with the spec's store; only read"
    )
    parser.add_argument("--write", action="store_true", help="put the settings into the spec")
    parser.add_argument(
        "--vectors",
        metavar="FILE[#NAME]",
        help="instead of a spec: the rows, as npy, npz, parquet, jsonl, csv, fvecs, bvecs or hdf5",
    )
    parser.add_argument(
        "--queries",
        metavar="FILE[#NAME]",
        help="vectors that will be asked for (default: some of the rows, which are then left out)",
    )
    parser.add_argument(
        "--distance", choices=("cosine", "l2", "ip"), help="of the search (a spec has its own)"
    )
    parser.add_argument(
        "--target-recall",
        type=float,
        metavar="R",
        help="share of the true k nearest (default: the spec's, else 0.95)",
    )
    parser.add_argument(
        "--k", type=int, metavar="K", help="rows that a search wants (default: the spec's, else 10)"
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
    spec, allowed = _spec(invocation)
    goal = _goal(arguments, spec)
    vectors, notes = _of_store(arguments, spec, goal) if spec else _vectors(arguments, goal)
    tuned, measured_on = _tuned(vectors, goal)
    tuned = _with_notes(tuned, notes)
    fused = _fused(arguments, spec) if spec and spec.hybrid and spec.judgements else None
    written = _write(invocation, tuned, fused) if arguments.write and spec else ()
    return Outcome(
        text=report(tuned, measured_on, again(TUNE, invocation, *_words(arguments)), fused),
        result=result(tuned, fused),
        failed=not tuned.reachable,
        artifacts=written,
        decision=allowed.decision,
    )


def _spec(invocation: Invocation) -> tuple[Retrieval | None, Invocation]:
    """The spec behind the gate, or None where files of vectors are tuned on. Raises UsageProblem for neither."""
    from data_platform.cli.retrieval.render import read_spec  # noqa: PLC0415

    arguments = invocation.arguments
    if arguments.spec is not None:
        if arguments.vectors or not arguments.dsn:
            raise UsageProblem(
                "a spec is tuned on the vectors of its store",
                expected="SPEC.yaml --dsn URL, without --vectors",
            )
        return read_spec(invocation, arguments.spec)
    if not arguments.vectors or not arguments.distance:
        raise UsageProblem(
            "which vectors?", expected="--vectors FILE --distance cosine|l2|ip, or SPEC.yaml --dsn URL"
        )
    return None, invocation


def _of_store(arguments: Any, spec: Retrieval, goal: Goal) -> tuple[Vectors, tuple[str, ...]]:
    """The vectors of the store, and the judged queries as questions where there are enough."""
    import numpy as np  # noqa: PLC0415

    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415
    from data_platform.postgres.vectors.ask import session  # noqa: PLC0415
    from data_platform.retrieval.evaluation.run import store_of  # noqa: PLC0415
    from data_platform.retrieval.tuning.rows import parted  # noqa: PLC0415

    most = min(arguments.limit or _MOST_ROWS, _MOST_BYTES // (4 * spec.model.dimensions))
    with session(resolve_dsn(arguments.dsn), store_of(spec)) as one:
        rows, every = one.vectors(most), one.rows()
    if not rows:
        raise UsageProblem("the store is empty", try_="dpe retrieval load")
    asked = _questions(arguments, spec)
    queries = asked[1] if asked is not None and len(asked[1]) >= _FEWEST_QUERIES else None
    values = np.array(rows, dtype=np.float32)
    sparse = spec.model.non_zero is not None
    vectors, notes = parted(
        values, queries, spec.model.distance, k=goal.k, seed=arguments.seed, sparse=sparse
    )
    return vectors, (*notes, *_cut(len(rows), every))


def _cut(rows: int, every: int) -> tuple[str, ...]:
    if rows == every:
        return ()
    return (
        f"{rows:,} of the store's {every:,} vectors were tuned on, drawn by their ids: with more rows the same setting"
        " finds a little less, so evaluate the store with it.",
    )


def _questions(arguments: Any, spec: Retrieval) -> tuple[list[Query], Any] | None:
    """The spec's judged queries with their vectors."""
    from pathlib import Path  # noqa: PLC0415

    from data_platform.retrieval.embedding import embedder  # noqa: PLC0415
    from data_platform.retrieval.evaluation.judgements import read_queries  # noqa: PLC0415

    if not spec.judgements:
        return None
    folder = Path(arguments.spec).resolve().parent
    found = read_queries(folder / spec.judgements["queries"], folder / spec.judgements["qrels"])[
        :_MOST_QUERIES
    ]
    return found, embedder(spec.model, folder).embed([spec.model.query_prefix + one.text for one in found])


def _fused(arguments: Any, spec: Retrieval) -> Fused | None:
    """Which way to search, by the judged queries on the store as it is."""
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415
    from data_platform.postgres.vectors.ask import session  # noqa: PLC0415
    from data_platform.retrieval.evaluation.evaluate import ndcg_of  # noqa: PLC0415
    from data_platform.retrieval.evaluation.run import store_of  # noqa: PLC0415
    from data_platform.retrieval.tuning.hybrid import fused  # noqa: PLC0415

    asked = _questions(arguments, spec)
    if asked is None or len(asked[0]) < _FEWEST_QUERIES:
        return None
    queries, vectors = asked
    with session(resolve_dsn(arguments.dsn), store_of(spec)) as one:
        return fused(lambda way: ndcg_of(one, way[0], way[1], queries, list(vectors), spec.needs.k))


def _write(invocation: Invocation, tuned: Tuned, fused: Fused | None) -> tuple[str, ...]:
    from pathlib import Path  # noqa: PLC0415

    from data_platform.cli.files import write_files  # noqa: PLC0415
    from data_platform.retrieval.tuning.told import chosen  # noqa: PLC0415
    from data_platform.retrieval.tuning.written import with_settings  # noqa: PLC0415

    path = Path(invocation.arguments.spec)
    settings = chosen(tuned.index, tuned.search)
    if tuned.filtering is not None:
        settings["prefilter_rows"] = tuned.filtering.prefilter_rows
    if fused is not None:
        settings["weight"] = fused.weight
    text = with_settings(path.read_text(encoding="utf-8"), settings)
    return write_files({path: text}, force=True)


def _tuned(vectors: Vectors, goal: Goal) -> tuple[Tuned, str]:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.postgres.server import embedded_server  # noqa: PLC0415
    from data_platform.postgres.vectors.bench import bench, settings_for  # noqa: PLC0415
    from data_platform.retrieval.tuning.tune import tune  # noqa: PLC0415

    with progress("reading") as tell, embedded_server(settings=settings_for(vectors.values)) as server:
        tuned = tune(
            vectors,
            goal,
            lambda values, queries: bench(
                server, values, queries, vectors.distance, as_sparse=vectors.sparse
            ),
            tell,
        )
        return tuned, server.describe()


def _with_notes(tuned: Tuned, notes: tuple[str, ...]) -> Tuned:
    from dataclasses import replace  # noqa: PLC0415

    return replace(tuned, notes=(*notes, *tuned.notes))


# --- arguments ---


def _goal(arguments: Any, spec: Retrieval | None) -> Goal:
    from data_platform.retrieval.tuning.trial import Goal  # noqa: PLC0415

    needed = spec.needs.recall if spec else _RECALL
    recall = arguments.target_recall if arguments.target_recall is not None else needed
    k = arguments.k if arguments.k is not None else (spec.needs.k if spec else _K)
    if not 0 < recall < 1:
        raise UsageProblem(
            f"--target-recall {recall:g}",
            expected="a number between 0 and 1",
            try_="0.99; for all of them an exact search is the only way",
        )
    if not 1 <= k <= 1000:
        raise UsageProblem(f"--k {k}", expected="a number from 1 to 1000, the longest list of candidates")
    for name in ("max_latency", "max_memory", "limit"):
        value = getattr(arguments, name)
        if value is not None and not value > 0:
            raise UsageProblem(f"--{name.replace('_', '-')} {value:g}", expected="a number above zero")
    return Goal(
        recall=recall,
        k=k,
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
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    words = [arguments.spec, "--dsn", shown(arguments.dsn)] if arguments.spec else []
    words += ["--vectors", arguments.vectors, "--distance", arguments.distance] if arguments.vectors else []
    words += ["--queries", arguments.queries] if arguments.queries else []
    words += ["--target-recall", f"{arguments.target_recall:g}"] if arguments.target_recall else []
    words += ["--k", str(arguments.k)] if arguments.k is not None else []
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
