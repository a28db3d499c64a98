"""What would change the choice is what changes it: each step is taken and everything ranked again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from data_platform.spec.storage import Need
from data_platform.storage.catalogue import catalogue
from data_platform.storage.demand import settled
from data_platform.storage.select import Selection, choose, select, steps

from .needs import need, needs

KNOWN = catalogue()
SHOP = need(data="relational", queries="join", rows=5_000_000, vectors=200_000, dimensions=384)


@pytest.fixture(scope="module")
def shop() -> Selection:
    return select(SHOP)


def test_a_step_is_one_answer_to_its_neighbour(shop: Selection) -> None:
    taken = {(answer.key, after) for answer, _, after, _ in steps(shop.need, KNOWN)}
    assert {after for key, after in taken if key == "consistency"} == {"record"}
    assert {after for key, after in taken if key == "queries"} == {"aggregate"}
    assert {after for key, after in taken if key == "rows"} == {500_000, 50_000_000}
    assert {after for key, after in taken if key == "growth_per_year"} == {0.5}
    assert len({after for key, after in taken if key == "data"}) == 5
    assert len({after for key, after in taken if key == "runs"}) == 13


def test_every_step_that_changes_the_choice_is_listed_and_no_other(shop: Selection) -> None:
    listed = {(c.answer.key, c.after): c.choice.system for c in shop.would_change}
    added = {(c.answer.key, c.after): str(c.choice) for c in shop.would_add}
    for answer, _, after, changed in steps(shop.need, KNOWN):
        again = choose(changed)
        key = (answer.key, after)
        assert listed.get(key, shop.choice.system) == again.system
        assert added.get(key, str(shop.choice)) == str(again) or key in listed


def test_some_step_changes_something(shop: Selection) -> None:
    assert {change.answer.key for change in shop.would_change} == {"data", "runs"}
    assert {change.answer.key for change in shop.would_add} >= {"runs"}
    assert not {str(change.choice) for change in shop.would_change} & {str(shop.choice)}


def test_a_second_system_in_the_same_server_is_with_and_another_is_beside() -> None:
    asked = replace(SHOP, search="relevance", documents=1_000_000, latency_ms=0.5)
    chosen = choose(asked)
    assert str(chosen) == "PostgreSQL with pgvector + Meilisearch for search + Redis as cache"
    assert [(c.system, c.inside) for c in chosen.companions] == [
        ("Meilisearch", False),
        ("pgvector", True),
        ("Redis", False),
    ]


def test_what_nobody_can_do_is_said() -> None:
    chosen = choose(replace(SHOP, latency_ms=0.01))
    assert chosen.system == "PostgreSQL"
    assert [(c.part, c.system) for c in chosen.companions if c.part == "cache"] == [("cache", None)]


def test_texts_and_vectors_are_the_records_unless_told_apart() -> None:
    assert settled(need(data="vectors", rows=7)).vectors == 7
    assert settled(need(data="vectors", rows=7, vectors=3)).vectors == 3
    assert settled(need(data="vectors", rows=3, vectors=7)).rows == 7
    assert settled(need(data="relational", rows=3, vectors=7)).rows == 3
    assert settled(need(data="text", rows=7)).search == "words"
    assert settled(need(data="text", rows=7)).documents == 7
    assert settled(need(data="relational", rows=7)).documents == 0


@given(needs)
@settings(max_examples=15, deadline=None)
def test_every_need_has_an_answer(asked: Need) -> None:
    selection = select(asked)
    first = selection.standings[0]
    assert selection.choice.system == (None if first.excluded_by else first.system.name)
    assert selection == select(asked)
    for companion in selection.choice.companions:
        assert companion.system != selection.choice.system
    for change in selection.would_change:
        assert change.choice.system != selection.choice.system
