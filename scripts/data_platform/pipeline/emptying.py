"""A source that gives no row: more often it is a fault than the truth, and it would empty what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from data_platform.errors import UsageProblem
from data_platform.pipeline.history.dimension import TO
from data_platform.pipeline.plan import Chain
from data_platform.pipeline.streams import Place
from data_platform.postgres.pipelines.state import Connection
from data_platform.spec.pipeline import Deletes, Pipeline
from data_platform.sql.text import Sql, identifier, phrase


def takes_away(spec: Pipeline, chain: Chain) -> bool:
    """Whether a target loses the rows that a batch, which is the whole, does not have."""
    if spec.pattern == "scd":
        return chain.deletes.missing
    if spec.pattern == "snapshot" or (spec.pattern == "etl" and not chain.target.key):
        return True
    return is_whole(spec, chain) and chain.deletes.missing


def is_whole(spec: Pipeline, chain: Chain) -> bool:
    """Whether a batch is all that there is: always so of HTTP."""
    return spec.pattern in ("etl", "snapshot") or chain.sources[0].url is not None


def deletes_of(
    connection: Connection,
    place: Place,
    spec: Pipeline,
    chain: Chain,
    target: Sql,
    came: Mapping[str, int],
) -> Deletes:
    """How rows go where none is left of what came, `came` rows by source; without a limit where that is meant.

    UsageProblem where a source gave nothing, its target has rows, and nobody said that it may be left without one.
    """
    silent = next((source.name for source in chain.sources if not came.get(source.name)), None)
    if silent is None or not _has_any(connection, spec, chain, target):
        return chain.deletes
    if place.allow_empty:
        return replace(chain.deletes, at_most=1.0)
    raise UsageProblem(
        f"`{silent}` gives no row, and {target} would be left without one",
        expected="at least one: an answer without rows is more often a fault than the truth",
        try_="look at the source; where it is meant: dpe pipeline run --allow-empty",
    )


def _has_any(connection: Connection, spec: Pipeline, chain: Chain, target: Sql) -> bool:
    """Whether there is a row to lose; of a history, one that holds now."""
    holds = Sql("true")
    if spec.pattern == "scd" and chain.target.type != 1:
        holds = phrase("{to} IS NULL", to=identifier(TO))
    query = phrase("SELECT FROM {target} WHERE {holds} LIMIT 1", target=target, holds=holds)
    return connection.execute(query.encode()).fetchone() is not None
