"""Points with a version, written so that an older one never overwrites a newer, whenever and how often it comes.

Each point holds `_dpe: {relay, version}` in its payload. A write carries a filter by which the server itself compares
versions. A point that is gone stays as a tombstone without a vector, which no search by a vector finds, until nobody
can send an older one any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_platform.qdrant.calls import Call, path_of

OWN = "_dpe"
"""The key of a payload under which these writes keep what is theirs."""
CONDITIONAL = (1, 16)
"""The version from which on a write takes a filter; an older server would leave it out without a word."""
TOMBSTONE_SECONDS = 3_600
"""How long a tombstone stays: far longer than a call may take."""
_INDEXES = {"relay": "keyword", "version": "integer", "gone_at": "integer"}


@dataclass(frozen=True)
class Versioned:
    """One point. `vector` is None where it is gone."""

    id: str
    version: int
    vector: Sequence[float] | None
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """A collection, who writes there, and the name of its vector; "" where it has only the one."""

    collection: str
    relay: str
    vector: str = ""


def created(place: Place, dimensions: int, distance: str) -> Call:
    """Make the collection."""
    one = {"size": dimensions, "distance": distance}
    return Call("PUT", path_of(place.collection), {"vectors": {place.vector: one} if place.vector else one})


def indexed(place: Place) -> tuple[Call, ...]:
    """Indexes of the payload, by which old points and tombstones are found; made again they change nothing."""
    path = path_of(place.collection, "/index?wait=true")
    return tuple(
        Call("PUT", path, {"field_name": f"{OWN}.{name}", "field_schema": type_})
        for name, type_ in _INDEXES.items()
    )


def written(place: Place, points: Sequence[Versioned], now: int) -> Call:
    """Put these there, but for those of which the server has the same or a newer version; answered once it is done.

    `now` is the time in seconds, from which a tombstone's age counts.
    """
    body = {
        "points": [_point(place, one, now) for one in points],
        "update_filter": {"should": [_newer(one) for one in points]},
    }
    return Call("PUT", path_of(place.collection, "/points?wait=true"), body)


def older(place: Place, version: int, limit: int) -> Call:
    """Asks for points of this relay that are older and are no tombstones: their ids are in `points` of the answer."""
    conditions = [
        _own(place),
        {"key": f"{OWN}.version", "range": {"lt": version}},
        {"is_empty": {"key": f"{OWN}.gone_at"}},
    ]
    body = {"filter": {"must": conditions}, "limit": limit, "with_payload": False, "with_vector": False}
    return Call("POST", path_of(place.collection, "/points/scroll"), body)


def newer(place: Place, version: int, limit: int) -> Call:
    """Asks for points of this relay that are newer: their versions are in the payloads of the answer's `points`."""
    conditions = [_own(place), {"key": f"{OWN}.version", "range": {"gt": version}}]
    body = {"filter": {"must": conditions}, "limit": limit, "with_payload": True, "with_vector": False}
    return Call("POST", path_of(place.collection, "/points/scroll"), body)


def removed(place: Place) -> Call:
    """Take away all points of this relay, tombstones too; those of others stay."""
    path = path_of(place.collection, "/points/delete?wait=true")
    return Call("POST", path, {"filter": {"must": [_own(place)]}})


def tombstones_removed(place: Place, now: int) -> Call:
    """Take away the tombstones of this relay that have stood long enough."""
    old = {"key": f"{OWN}.gone_at", "range": {"lt": now - TOMBSTONE_SECONDS}}
    path = path_of(place.collection, "/points/delete?wait=true")
    return Call("POST", path, {"filter": {"must": [_own(place), old]}})


def _point(place: Place, one: Versioned, now: int) -> dict[str, Any]:
    own: dict[str, Any] = {"relay": place.relay, "version": one.version}
    if one.vector is None:
        return {"id": one.id, "vector": {}, "payload": {OWN: {**own, "gone_at": now}}}
    vector = {place.vector: one.vector} if place.vector else one.vector
    return {"id": one.id, "vector": vector, "payload": {**one.payload, OWN: own}}


def _newer(one: Versioned) -> dict[str, Any]:
    return {"must": [{"has_id": [one.id]}, {"key": f"{OWN}.version", "range": {"lt": one.version}}]}


def _own(place: Place) -> dict[str, Any]:
    return {"key": f"{OWN}.relay", "match": {"value": place.relay}}
