"""A whole move between the two: read, written, counted on both sides, and its recall sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_platform.errors import UsageProblem
from data_platform.postgres.vectors.ask import session
from data_platform.postgres.vectors.create import create as make
from data_platform.postgres.vectors.create import finish, finished, missing
from data_platform.postgres.vectors.points import keep, points
from data_platform.postgres.vectors.rights import refuse_hidden
from data_platform.postgres.vectors.sessions import alone, writing
from data_platform.postgres.vectors.store import register
from data_platform.qdrant.rest import Rest
from data_platform.retrieval.design import design
from data_platform.retrieval.embedding import embedder, fingerprint
from data_platform.retrieval.evaluation.run import store_of
from data_platform.retrieval.filling import target_of
from data_platform.retrieval.pgvector.names import names_of
from data_platform.retrieval.pgvector.store import files, secured_table
from data_platform.retrieval.qdrant.copy import (
    Copied,
    counted,
    prune,
    received,
    required,
    sampled_recall,
    send,
)
from data_platform.spec.retrieval import Retrieval

Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class There:
    """A collection of a server."""

    server: Rest
    collection: str


def to_qdrant(
    conninfo: str,
    spec: Retrieval,
    there: There,
    *,
    sample: int,
    prunes: bool,
    tell: Tell,
) -> Copied:
    """The store's live chunks as points; with `prunes` other points are deleted.

    UsageProblem where there is no store or no such collection.
    """
    server, collection = there.server, there.collection
    required(server, collection)
    names = [one.name for one in spec.filters] + ([spec.tenants.column] if spec.tenants else [])
    with session(conninfo, store_of(spec)) as one:
        batches = points(one, names, words=spec.hybrid is not None)
        sent, shared = send(server, collection, batches, one.rows(), tell)
        tell("comparing", 0.95)
        pruned = prune(server, collection, frozenset(one.drawn(one.rows()))) if prunes else 0
        recall = sampled_recall(server, collection, one, spec, sample) if sample else None
        return Copied(sent, counted(server, collection), sent, shared, pruned, recall)


def to_postgres(
    conninfo: str,
    spec: Retrieval,
    folder: Path,
    there: There,
    *,
    create: bool,
    sample: int,
    tell: Tell,
) -> Copied:
    """The collection's points as documents, chunks and vectors of the store, in one transaction.

    Raises UsageProblem: no such collection or store, vectors of another width, points without a text.
    """
    server, collection = there.server, there.collection
    required(server, collection)
    target = target_of(spec, fingerprint(embedder(spec.model, folder)))
    expected = counted(server, collection)
    if not expected:
        raise UsageProblem(f"the collection `{collection}` is empty", try_="dpe qdrant audit")
    chosen = design(spec)
    if create and missing(conninfo, spec.name):
        make(conninfo, files(spec, chosen)[:1])
    with writing(conninfo) as connection, alone(connection):
        register(connection, target)
        refuse_hidden(connection, target.schema)
        sent = keep(connection, target, received(server, collection, expected, spec.model.dimensions, tell))
    if create and not finished(conninfo, names_of(spec).search, secured_table(spec)):
        tell("building indexes", 0.9)
        finish(conninfo, spec.name, lambda there: files(spec, chosen, there)[1:])
    tell("comparing", 0.95)
    with session(conninfo, store_of(spec)) as one:
        recall = sampled_recall(server, collection, one, spec, sample) if sample else None
        return Copied(sent, expected, one.rows(), recall=recall)
