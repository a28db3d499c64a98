"""The whole way from documents to measured answers, on a throwaway server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data_platform.postgres.scratch import see_every_row
from data_platform.postgres.server import Server
from data_platform.postgres.vectors.cold import with_cache_control
from data_platform.retrieval.evaluation.evaluate import Evaluation
from data_platform.retrieval.evaluation.judgements import Query
from data_platform.retrieval.evaluation.run import Extent, evaluate
from data_platform.retrieval.filling import Filling, fill
from data_platform.spec.retrieval import Retrieval

Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Proof:
    """What was loaded, what a second load changed (nothing, if all is well), and what the answers are worth."""

    loaded: int
    again: int
    evaluation: Evaluation
    steps: tuple[str, ...]


def prove(
    server: Server,
    spec: Retrieval,
    folder: Path,
    memory: Path,
    queries: Sequence[Query] | None,
    extent: Extent,
    tell: Tell,
) -> Proof:
    """Make the store, load it twice, build the indexes, measure. Raises what the steps raise."""
    with server.scratch_database(extensions=["vector"]) as database:
        if spec.tenants and spec.tenants.row_security:
            see_every_row(database)
        what = Filling(spec, folder, memory, create=True)
        first = fill(database.conninfo, what, tell)
        second = fill(database.conninfo, what, tell)
        caches = database.admin_conninfo if with_cache_control(database.admin_conninfo) else None
        measured = evaluate(database.conninfo, spec, folder, queries, replace(extent, caches=caches), tell)
    changed = second.new + second.changed + second.vanished
    steps = (
        f"{first.new:,} documents were loaded as {first.chunks:,} chunks on {server.describe()}.",
        f"Loaded again: {changed:,} documents changed, {second.unchanged:,} were left alone.",
    )
    return Proof(first.new, changed, measured, steps)
