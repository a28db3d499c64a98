"""What is taken for an answer that nobody gave: it follows from the kind of data; and which of these decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from data_platform.spec.storage import Need, StorageNeed
from data_platform.storage.catalogue import Answer, catalogue
from data_platform.storage.demand import vector_only_bytes
from data_platform.storage.select import Selection, choose, neighbours

USUAL: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Made from other data, so a search may lag behind it, and the newest seconds can be made again.
        "vectors": {"consistency": "eventual", "loss": "seconds"},
        "text": {"consistency": "eventual", "loss": "seconds", "search": "words"},
        # A point is never changed, and is found by its time.
        "time_series": {
            "consistency": "eventual",
            "loss": "seconds",
            "queries": "aggregate",
            "row_bytes": 100,
        },
        "key_value": {"consistency": "record", "loss": "seconds", "queries": "by_key"},
    }
)
"""Kind of data → the defaults that are not those of the spec."""
_COUNTS = frozenset({"rows", "documents", "vectors"})


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A default without which another system would be first: with `other` it would be `then`."""

    key: str
    taken: Any
    other: Any
    then: str


def with_defaults(asked: StorageNeed) -> StorageNeed:
    """The need with the defaults of its kind of data. Answers that were given stay."""
    return replace(asked, need=_completed(asked.need, asked.answered))


def _completed(need: Need, answered: frozenset[str]) -> Need:
    usual = {key: value for key, value in USUAL.get(need.data, {}).items() if key not in answered}
    counted = {"vectors": need.vectors, "text": need.documents}.get(need.data, 0)
    if counted and "rows" not in answered:
        usual["rows"] = counted
    if need.data == "vectors" and "row_bytes" not in answered:
        usual["row_bytes"] = need.row_bytes + vector_only_bytes(need)
    return replace(need, **usual)


def decided(asked: StorageNeed, selection: Selection) -> tuple[Decided, ...]:
    """The defaults that chose the first system: another value of one of them alone, and another would be first."""
    return tuple(_deciding(asked, selection))


def _deciding(asked: StorageNeed, selection: Selection) -> Iterator[Decided]:
    for answer in sorted(catalogue().answers.values(), key=lambda answer: not answer.values):
        taken = getattr(asked.need, answer.key)
        if answer.key in asked.answered or not _asks(answer, taken) or _follows(answer.key, asked):
            continue
        for other in _others(answer, taken, asked.need):
            then = choose(replace(asked.need, **{answer.key: other}))
            if then.system != selection.choice.system:
                yield Decided(key=answer.key, taken=taken, other=other, then=str(then))
                break


def _asks(answer: Answer, taken: Any) -> bool:
    """Whether the default asks something of a system at all: `any` and 0 do not, nor that no system runs yet."""
    silent = {value for c in catalogue().criteria if answer.key in c.answers for value in c.silent}
    return bool(taken) and taken not in silent


def _follows(key: str, asked: StorageNeed) -> bool:
    """Whether the number is one that was given under another name: as many records as vectors."""
    return key in _COUNTS and asked.need.data in ("vectors", "text") and bool(_COUNTS & asked.answered)


def _others(answer: Answer, taken: Any, need: Need) -> list[Any]:
    """The values to try: all of them where the default follows from the kind of data, else the nearest."""
    if answer.key in USUAL.get(need.data, {}) and answer.values:
        return [value for value in answer.values if value != taken]
    return neighbours(answer, taken)
