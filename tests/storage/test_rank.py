"""The ranking can be added up again, excludes for a reason, and does not depend on anything but the need."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from data_platform.spec.storage import Need
from data_platform.storage.catalogue import catalogue
from data_platform.storage.demand import settled
from data_platform.storage.rank import Standing, rank

from .needs import need, needs

KNOWN = catalogue()


def ranked(asked: Need, home: str | None = None) -> dict[str, Standing]:
    return {standing.system.name: standing for standing in rank(settled(asked), KNOWN, home)}


def test_points_are_marks_times_weights() -> None:
    shop = ranked(need(data="relational", queries="join"), "PostgreSQL")["MySQL"]
    marks = {j.criterion.id: (j.mark, j.criterion.weight) for j in shop.judgements}
    assert marks["data"] == (3, 4)
    assert marks["one_system"] == (0, 3)
    # data 12, queries 9, consistency 9, loss 6, record 3, volume 9, writes 9, reads 3, latency 3, operators 6, cost 6
    assert shop.points == 75
    assert shop.score == round(100 * 75 / 84)


@given(needs)
@settings(max_examples=60, deadline=None)
def test_every_need_has_a_ranking_of_all_systems(asked: Need) -> None:
    standings = rank(settled(asked), KNOWN, "PostgreSQL")
    assert sorted(s.system.name for s in standings) == sorted(s.name for s in KNOWN.systems)
    excluded = [bool(standing.excluded_by) for standing in standings]
    assert excluded == sorted(excluded)
    able = [standing.points for standing in standings if not standing.excluded_by]
    assert able == sorted(able, reverse=True)
    assert all(0 <= standing.score <= 100 for standing in standings)
    assert standings == rank(settled(asked), KNOWN, "PostgreSQL")


@given(needs)
@settings(max_examples=60, deadline=None)
def test_more_is_never_easier(asked: Need) -> None:
    """Ten times the rows, reads and writes raise no system's mark."""
    more = replace(
        asked,
        rows=asked.rows * 10,
        reads_per_second=asked.reads_per_second * 10,
        writes_per_second=asked.writes_per_second * 10,
    )
    before, after = ranked(asked), ranked(more)
    for name, standing in before.items():
        for criterion in ("volume", "reads", "writes"):
            assert after[name].mark(criterion) <= standing.mark(criterion)


@pytest.mark.parametrize(
    ("rows", "mark"), [(20_000_000_000, 3), (20_000_000_001, 1), (200_000_000_000, 1), (200_000_000_001, 0)]
)
def test_a_limit_holds_to_the_last_record(rows: int, mark: int) -> None:
    found = ranked(need(data="relational", rows=rows, row_bytes=500))["PostgreSQL"]
    assert found.mark("volume") == mark
    assert [j.criterion.id for j in found.excluded_by] == ([] if mark else ["volume"])


@pytest.mark.parametrize(("milliseconds", "mark"), [(2, 3), (1.99, 1), (0.2, 1), (0.19, 0)])
def test_less_time_is_the_harder_answer(milliseconds: float, mark: int) -> None:
    asked = need(data="key_value", latency_ms=milliseconds)
    assert ranked(asked)["PostgreSQL"].mark("latency") == mark


def test_the_largest_record_is_refused_without_a_second_chance() -> None:
    asked = need(data="documents", largest_bytes=16_777_217)
    assert [j.criterion.id for j in ranked(asked)["MongoDB"].excluded_by] == ["record"]
    assert not ranked(replace(asked, largest_bytes=16_777_216))["MongoDB"].excluded_by


def test_a_job_beside_the_main_one_excludes_nobody() -> None:
    beside = ranked(need(data="relational", vectors=10_000_000_000))
    assert not beside["PostgreSQL"].excluded_by
    assert beside["PostgreSQL"].mark("vectors") == 1
    assert "vectors" in [
        j.criterion.id for j in ranked(need(data="vectors", rows=10**10))["pgvector"].excluded_by
    ]


def test_what_asks_nothing_counts_for_nobody() -> None:
    quiet = need(data="relational", operators="dedicated", cost="secondary")
    counted = {j.criterion.id for j in ranked(quiet)["PostgreSQL"].judgements}
    assert not counted & {
        "search",
        "documents",
        "vectors",
        "dimensions",
        "regions",
        "hosting",
        "licence",
        "runs",
    }
    assert not counted & {"operators", "cost", "one_system"}


def test_what_the_team_operates_is_preferred_but_excludes_nobody() -> None:
    found = ranked(need(data="relational", runs=["pgvector"]))
    assert found["pgvector"].mark("runs") == 3
    assert found["PostgreSQL"].mark("runs") == 3
    assert found["PostgreSQL JSONB"].mark("runs") == 3
    assert found["TimescaleDB"].mark("runs") == 1
    assert found["MySQL"].mark("runs") == 0
    assert not found["MySQL"].excluded_by


def test_equal_points_go_to_the_better_fit_and_then_by_the_table() -> None:
    asked = need(data="relational", queries="join", rows=2_000_000_000, growth_per_year=1.0, years=5)
    first, second, third, *_ = rank(settled(asked), KNOWN, None)
    assert first.points == second.points == third.points
    assert [s.system.name for s in (first, second, third)] == ["PostgreSQL", "MySQL", "TimescaleDB"]
