"""From the store on PostgreSQL to a collection: upserts by the same ids, so that a second run changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from data_platform.errors import UsageProblem
from data_platform.postgres.vectors.points import Point
from data_platform.retrieval.qdrant.changes import Call, path_of
from data_platform.retrieval.qdrant.collection import VECTOR
from data_platform.retrieval.qdrant.rest import Rest

Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Copied:
    """Points that were sent, and what the collection counts now."""

    sent: int
    counted: int


def copy(server: Rest, collection: str, batches: Iterable[list[Point]], expected: int, tell: Tell) -> Copied:
    """Each batch is acknowledged before the next is read. UsageProblem where the collection is not there."""
    if collection not in server.server().collections:
        raise UsageProblem(f"there is no collection `{collection}`", try_="dpe qdrant apply")
    path, sent = path_of(collection, "/points"), 0
    for batch in batches:
        body = {
            "points": [
                {"id": str(one.id), "vector": {VECTOR: one.vector.tolist()}, "payload": one.payload}
                for one in batch
            ]
        }
        server.call(Call("PUT", f"{path}?wait=true", body))
        sent += len(batch)
        tell(f"{sent:,} of {expected:,} points", sent / max(expected, 1))
    counted = server.call(Call("POST", f"{path}/count", {"exact": True}))["count"]
    return Copied(sent, int(counted))
