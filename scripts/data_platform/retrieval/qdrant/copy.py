"""Between the store on PostgreSQL and a collection: upserts by the same ids, so that a second run changes nothing.

Afterwards both sides are counted, and stored vectors that are drawn are searched for on Qdrant and compared exactly on
PostgreSQL: a copy that lost, doubled or mixed up anything has another count or a lower recall.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pgvector import SparseVector

from data_platform.errors import UsageProblem
from data_platform.postgres.vectors.ask import Session
from data_platform.postgres.vectors.points import Point, points
from data_platform.postgres.vectors.sessions import Vector
from data_platform.qdrant.calls import Call, path_of
from data_platform.qdrant.rest import Rest
from data_platform.retrieval.metrics import Interval, interval, recall
from data_platform.retrieval.qdrant.collection import VECTOR, WORDS
from data_platform.spec.retrieval import Retrieval

Tell = Callable[[str, float], None]

_PAGE = 250
_LARGEST = 2**32
_CONFIDENCE_ROWS = 2
"""Fewer vectors than these tell nothing about recall."""


@dataclass(frozen=True)
class Copied:
    """Points that went over, and what each side counts now. `collisions`: words of one chunk that share an index."""

    sent: int
    collection: int
    store: int
    collisions: int = 0
    pruned: int = 0
    recall: Interval | None = None
    """Of the collection's answers; None where nothing was sampled."""


def required(server: Rest, collection: str) -> None:
    """UsageProblem where the collection is not there."""
    if collection not in server.server().collections:
        raise UsageProblem(f"there is no collection `{collection}`", try_="dpe qdrant apply")


# --- to Qdrant ---


def send(
    server: Rest, collection: str, batches: Iterable[list[Point]], expected: int, tell: Tell
) -> tuple[int, int]:
    """Each batch is acknowledged before the next is read. Points sent, and words that shared an index with another."""
    path, sent, shared = path_of(collection, "/points"), 0, 0
    for batch in batches:
        bodies = []
        for one in batch:
            sparse, collided = sparse_of(one.words)
            shared += collided
            named: dict[str, Any] = {VECTOR: as_json(one.vector)}
            named |= {WORDS: sparse} if sparse else {}
            bodies.append({"id": str(one.id), "vector": named, "payload": one.payload})
        server.call(Call("PUT", f"{path}?wait=true", {"points": bodies}))
        sent += len(batch)
        tell(f"{sent:,} of {expected:,} points", sent / max(expected, 1))
    return sent, shared


def as_json(vector: Vector) -> Any:
    """As Qdrant takes a vector, of a sparse one the places with their numbers."""
    if isinstance(vector, SparseVector):
        return {"indices": vector.indices(), "values": vector.values()}
    return vector.tolist()


def sparse_of(words: Mapping[str, int]) -> tuple[dict[str, list[Any]] | None, int]:
    """A sparse vector: each lexeme's place is a hash of it, its value how often it is there (Qdrant adds the idf).

    Also how many lexemes share a place with another; their values are added up.
    """
    found: dict[int, float] = {}
    for word, times in words.items():
        place = index_of(word)
        found[place] = found.get(place, 0.0) + times
    if not found:
        return None, 0
    places = sorted(found)
    return {"indices": places, "values": [found[place] for place in places]}, len(words) - len(found)


def index_of(word: str) -> int:
    """The place of a lexeme in a sparse vector, below 2³²; the same in whatever program hashes it so."""
    return int.from_bytes(hashlib.blake2s(word.encode(), digest_size=4).digest(), "big") % _LARGEST


def prune(server: Rest, collection: str, known: Collection[uuid.UUID]) -> int:
    """Delete the points whose ids are not among `known`; how many."""
    body: dict[str, Any] = {"limit": _PAGE * 20, "with_payload": False, "with_vector": False}
    stale = [
        one["id"]
        for page in _pages(server, collection, body)
        for one in page
        if uuid.UUID(str(one["id"])) not in known
    ]
    for first in range(0, len(stale), _PAGE):
        gone = {"points": stale[first : first + _PAGE]}
        server.call(Call("POST", path_of(collection, "/points/delete?wait=true"), gone))
    return len(stale)


def _pages(server: Rest, collection: str, body: Mapping[str, Any]) -> Iterator[list[Mapping[str, Any]]]:
    path, offset = path_of(collection, "/points/scroll"), None
    while True:
        page = server.call(Call("POST", path, {**body, **({"offset": offset} if offset else {})}))
        yield page["points"]
        offset = page.get("next_page_offset")
        if not offset:
            return


# --- from Qdrant ---


def received(
    server: Rest, collection: str, expected: int, dimensions: int, tell: Tell
) -> Iterator[list[Point]]:
    """All points of a collection, page by page. UsageProblem for one whose id or vector is not what a store has."""
    seen = 0
    for page in _pages(server, collection, {"limit": _PAGE, "with_payload": True, "with_vector": [VECTOR]}):
        found = [_received(one, dimensions) for one in page]
        if found:
            yield found
        seen += len(found)
        tell(f"{seen:,} of {expected:,} points", seen / max(expected, 1))


def _received(one: Mapping[str, Any], dimensions: int) -> Point:
    vector = one.get("vector")
    values = vector.get(VECTOR) if isinstance(vector, dict) else vector
    if not isinstance(values, list | dict):
        raise UsageProblem(f"the point {one['id']} has no vector `{VECTOR}`", try_="dpe qdrant audit")
    try:
        id_ = uuid.UUID(str(one["id"]))
    except ValueError:
        raise UsageProblem(f"the point {one['id']} has a number for an id", expected="a uuid") from None
    made: Vector = (
        SparseVector(dict(zip(values["indices"], values["values"], strict=True)), dimensions)
        if isinstance(values, dict)
        else np.array(values, dtype=np.float32)
    )
    return Point(id_, made, one.get("payload") or {})


# --- what came of it ---


def counted(server: Rest, collection: str) -> int:
    """Points of the collection, exactly."""
    return int(server.call(Call("POST", path_of(collection, "/points/count"), {"exact": True}))["count"])


def sampled_recall(
    server: Rest, collection: str, one: Session, spec: Retrieval, sample: int
) -> Interval | None:
    """Recall@k of the collection for stored vectors drawn by their ids, against exact search on PostgreSQL."""
    ids = one.drawn(sample)
    k = spec.needs.k
    rows = one.rows()
    if len(ids) < _CONFIDENCE_ROWS or rows < k:
        return None
    tenant = spec.tenants.column if spec.tenants else None
    names = [tenant] if tenant else []
    found, truth = [], []
    for batch in points(one, names, only=ids):
        for asked in batch:
            own = {tenant: asked.payload[tenant]} if tenant else {}
            exact = one.exact(asked.vector, k, own)
            near = one.distances(asked.vector, _search(server, collection, asked, k, own))
            if len(exact) == k:
                found.append(np.pad(near, (0, k - len(near)), constant_values=np.inf))
                truth.append(exact)
    return interval(recall(np.array(found), np.array(truth))) if truth else None


def _search(server: Rest, collection: str, asked: Point, k: int, own: Mapping[str, Any]) -> list[uuid.UUID]:
    body: dict[str, Any] = {
        "query": as_json(asked.vector),
        "using": VECTOR,
        "limit": k,
        "with_payload": False,
    }
    if own:
        body["filter"] = {"must": [{"key": key, "match": {"value": value}} for key, value in own.items()]}
    answer = server.call(Call("POST", path_of(collection, "/points/query"), body))
    return [uuid.UUID(str(point["id"])) for point in answer["points"]]
