"""Defaults follow from the kind of data, an answer that was given stays, and a default that decides is found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from data_platform.spec.storage import ANSWERS, Need, StorageNeed
from data_platform.storage.defaults import USUAL, decided, with_defaults
from data_platform.storage.select import choose, select

from .needs import answered, by_options, needs, questions


def test_a_kind_of_data_and_its_answers_are_those_of_the_spec() -> None:
    asked = questions()
    assert set(USUAL) < set(asked["data"]["enum"])
    for usual in USUAL.values():
        for key, value in usual.items():
            assert value in asked[key].get("enum", [value]), key
            assert value != asked[key]["default"], key


@pytest.mark.parametrize("data", USUAL)
def test_what_is_not_said_follows_from_the_data(data: str) -> None:
    found = by_options(data=data).need
    for key, value in USUAL[data].items():
        assert getattr(found, key) == value


@pytest.mark.parametrize("data", ["relational", "documents"])
def test_other_data_have_the_defaults_of_the_spec(data: str) -> None:
    assert by_options(data=data).need == Need(data=data)


def test_a_vector_is_a_record_and_has_its_bytes() -> None:
    found = by_options(data="vectors", vectors=5000, dimensions=100).need
    assert (found.rows, found.row_bytes) == (5000, 500 + 400)
    assert by_options(data="vectors", vectors=5000, rows=70, row_bytes=9).need.rows == 70
    assert by_options(data="vectors", vectors=5000, rows=70, row_bytes=9).need.row_bytes == 9
    assert by_options(data="text", documents=5000).need.rows == 5000
    assert by_options(data="relational", vectors=5000).need.rows == 1_000_000


@given(needs)
@settings(max_examples=60, deadline=None)
def test_what_was_answered_stays(need: Need) -> None:
    asked = StorageNeed(store=None, need=need, answered=frozenset(ANSWERS), file="", sha256="")
    assert with_defaults(asked) == asked


@pytest.mark.parametrize(
    "answers",
    [
        {"data": "vectors", "vectors": 500_000_000, "latency_ms": 20},
        {"data": "text", "documents": 20_000_000},
        {"data": "key_value", "latency_ms": 0.5},
    ],
    ids=lambda answers: answers["data"],
)
def test_what_decided_decides(answers: dict[str, object]) -> None:
    asked = by_options(**answers)
    selection = select(asked.need)
    found = decided(asked, selection)
    assert found
    for one in found:
        assert one.key not in answers
        assert getattr(asked.need, one.key) == one.taken
        again = choose(replace(asked.need, **{one.key: one.other}))
        assert again.system != selection.choice.system
        assert str(again) == one.then


def test_what_was_answered_or_asks_nothing_did_not_decide() -> None:
    asked = answered(
        **{"data": "vectors", "rows": 500_000_000} | {"consistency": "eventual", "queries": "filter"}
    )
    keys = {one.key for one in decided(asked, select(asked.need))}
    assert not keys & {"consistency", "queries", "rows", "vectors", "licence", "hosting", "regions", "runs"}
    assert "memory_gb" in keys
