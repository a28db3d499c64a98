"""What is known of the systems, and what is asked of them: read from criteria.yaml and systems/, one file a system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import yaml

from data_platform.report.finding import Evidence

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A question to the user. `scale` says what one step is: any, next, times (the `factor`) or toggle."""

    key: str
    question: str
    scale: str
    values: tuple[str, ...] = ()
    factor: int = 1
    from_zero: float = 0


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """What systems are marked by. A `part` is a job that a second system may do beside the first."""

    id: str
    name: str
    answers: tuple[str, ...]
    weight: int
    why: str
    source: str
    silent: tuple[Any, ...] = ()
    hard: bool = False
    preference: bool = False
    part: str | None = None
    core_for: str | None = None

    @property
    def numeric(self) -> bool:
        """Whether systems have a limit in it and not a mark for each answer."""
        return self.id in _NUMERIC


_NUMERIC = frozenset({"record", "volume", "writes", "reads", "latency", "documents", "vectors", "dimensions"})


@dataclass(frozen=True, kw_only=True)
class Memory:
    """A limit that follows from memory: `share` of it on each of `nodes`; a vector takes factor x 4 d + overhead."""

    share: float
    nodes: int
    factor: float = 1.0
    overhead: int = 0


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What one system does about one criterion: marks by answer, the most it takes, or the least time it needs."""

    because: str
    source: str
    evidence: Evidence
    url: str | None = None
    marks: Mapping[str, int] = field(default_factory=dict)
    limit: float | None = None
    floor: float | None = None
    memory: Memory | None = None


@dataclass(frozen=True, kw_only=True)
class System:
    """A system. One that `extends` another runs in it; `inside` says how much it is part of it, 1 to 3."""

    name: str
    order: int
    facts: Mapping[str, Fact] = field(repr=False)
    extends: str | None = None
    inside: int = 0

    @property
    def family(self) -> str:
        """The server that it runs in: its own, or that of the system it extends."""
        return self.extends or self.name


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All of it, in the order of the storage table."""

    answers: Mapping[str, Answer]
    criteria: tuple[Criterion, ...]
    systems: tuple[System, ...]

    def system(self, name: str) -> System:
        """The system of that name."""
        return next(system for system in self.systems if system.name == name)

    def relatives(self, system: System) -> tuple[System, ...]:
        """The systems that run in the same server, itself among them."""
        return tuple(other for other in self.systems if other.family == system.family)


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The catalogue that the package carries."""
    room = resources.files("data_platform.storage")
    asked = _read(room.joinpath("criteria.yaml").read_text(encoding="utf-8"))
    files = [file for file in room.joinpath("systems").iterdir() if file.name.endswith(".yaml")]
    raw = [_read(file.read_text(encoding="utf-8")) for file in files]
    bases = {entry["name"]: entry for entry in raw}
    systems = [_system(entry, bases) for entry in raw]
    return Catalogue(
        answers=MappingProxyType({key: _answer(key, value) for key, value in asked["answers"].items()}),
        criteria=tuple(_criterion(value) for value in asked["criteria"]),
        systems=tuple(sorted(systems, key=lambda system: system.order)),
    )


def _read(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)  # noqa: S506  a safe loader, and a file of our own


def _answer(key: str, value: dict[str, Any]) -> Answer:
    return Answer(key=key, **{**value, "values": tuple(value.get("values", ()))})


def _criterion(value: dict[str, Any]) -> Criterion:
    lists = {name: tuple(value.get(name, ())) for name in ("answers", "silent")}
    return Criterion(**{**value, **lists})


def _system(entry: dict[str, Any], bases: Mapping[str, dict[str, Any]]) -> System:
    """Facts that an extension does not state are those of the system it extends."""
    facts = _facts(bases[entry["extends"]]) if "extends" in entry else {}
    return System(
        name=entry["name"],
        order=entry["order"],
        extends=entry.get("extends"),
        inside=entry.get("inside", 0),
        facts=MappingProxyType(facts | _facts(entry)),
    )


def _facts(entry: dict[str, Any]) -> dict[str, Fact]:
    return {key: _fact(value, entry["sources"]) for key, value in entry["facts"].items()}


def _fact(value: dict[str, Any], sources: Mapping[str, dict[str, str]]) -> Fact:
    source = sources[value["source"]]
    memory = Memory(**value["memory"]) if "memory" in value else None
    return Fact(**{**value, "source": source["title"], "url": source.get("url"), "memory": memory})
