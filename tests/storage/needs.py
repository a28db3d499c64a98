"""Needs for the tests: the worked cases as data, and any need that the schema allows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from data_platform.spec.document import Document
from data_platform.spec.storage import ANSWERS, Need, StorageNeed, read_storage
from data_platform.spec.validate import schema_text
from data_platform.storage.defaults import with_defaults

CASES = Path(__file__).with_name("cases.yaml")


@dataclass(frozen=True)
class Case:
    """A worked case: see the head of cases.yaml."""

    name: str
    need: dict[str, Any]
    choice: str | None
    enough: bool
    reason: str
    companions: list[str] = field(default_factory=list)
    over: dict[str, str] = field(default_factory=dict)
    tied: list[str] = field(default_factory=list)
    until: str | None = None
    by_options: bool = False

    @property
    def asked(self) -> StorageNeed:
        """The need, with what follows from its data where it was given by options."""
        return by_options(**self.need) if self.by_options else answered(**self.need)


def cases() -> list[Case]:
    return [Case(**raw) for raw in yaml.safe_load(CASES.read_text(encoding="utf-8"))]


def need(**answers: Any) -> Need:
    return Need(**{**answers, "runs": tuple(answers.get("runs", ()))})


def answered(store: str | None = None, **answers: Any) -> StorageNeed:
    return StorageNeed(
        store=store, need=need(**answers), answered=frozenset(answers), file="needs.yaml", sha256=""
    )


def by_options(**answers: Any) -> StorageNeed:
    return with_defaults(read_storage(Document("command line", "", {"kind": "storage", **answers}, {})))


def questions() -> dict[str, dict[str, Any]]:
    return {
        key: value
        for key, value in json.loads(schema_text("storage"))["properties"].items()
        if key in ANSWERS
    }


def _values(question: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "enum" in question:
        return st.sampled_from(question["enum"])
    if question["type"] == "array":
        return st.lists(st.sampled_from(question["items"]["enum"]), unique=True, max_size=3).map(tuple)
    if question["type"] == "integer":
        return st.integers(question["minimum"], question["maximum"])
    return st.floats(question.get("minimum", 0.001), question["maximum"])


needs: st.SearchStrategy[Need] = st.fixed_dictionaries(
    {"data": _values(questions()["data"])},
    optional={key: _values(question) for key, question in questions().items() if key != "data"},
).map(lambda answers: Need(**answers))
