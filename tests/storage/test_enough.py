"""When PostgreSQL alone is enough, and the year in which it ends: checked against figures worked out by hand."""

from __future__ import annotations

from math import log

import pytest
from hypothesis import given, settings

from data_platform.spec.storage import Need
from data_platform.storage.catalogue import catalogue
from data_platform.storage.demand import FAR, demand, settled
from data_platform.storage.enough import Enough, Limit, enough

from .needs import need, needs

KNOWN = catalogue()


def found(**answers: object) -> Enough:
    return enough(settled(need(**answers)), KNOWN)


def limit(answer: Enough, criterion: str) -> Limit:
    return next(limit for limit in answer.limits if limit.criterion.id == criterion)


def test_a_terabyte_that_doubles_ends_after_the_logarithm() -> None:
    volume = limit(found(data="relational", rows=2_000_000_000, growth_per_year=1.0), "volume")
    assert volume.now == 1e12
    assert volume.at_horizon == 8e12
    assert volume.most == 1e13
    assert volume.years == pytest.approx(log(10) / log(2), abs=0.06)


def test_measurements_grow_by_what_is_added() -> None:
    answer = found(data="time_series", rows=0, row_bytes=100, added_rows_per_year=10_000_000_000)
    assert limit(answer, "volume").years == pytest.approx(10, abs=0.06)


def test_without_growth_nothing_ends_and_the_nearest_limit_is_named() -> None:
    answer = found(data="relational", reads_per_second=40_000)
    assert answer.enough
    assert all(each.years is None for each in answer.limits)
    assert answer.until is not None
    assert answer.until.criterion.id == "reads"
    assert answer.until.headroom == 2


def test_the_first_limit_counts() -> None:
    answer = found(
        data="relational", reads_per_second=1000, writes_per_second=10_000, load_growth_per_year=0.5
    )
    assert answer.until is not None
    assert answer.until.criterion.id == "writes"
    assert answer.until.years == pytest.approx(log(1.7) / log(1.5), abs=0.06)


def test_what_is_over_today_ends_today() -> None:
    answer = found(data="relational", writes_per_second=17_001)
    assert not answer.enough
    assert limit(answer, "writes").years == 0
    assert [criterion.id for criterion, _ in answer.lacking] == ["writes"]


@pytest.mark.parametrize(
    ("dimensions", "memory_gb", "most"),
    [(384, 64, 14_215_904), (768, 64, 8_449_960), (768, 128, 16_899_920), (1536, 64, 4_665_403)],
)
def test_vectors_end_where_half_of_the_memory_is_full(dimensions: int, memory_gb: int, most: int) -> None:
    """Half of the memory by 4 bytes a dimension, 8 of header, 32 x 16 of links and 195: by hand."""
    answer = found(data="vectors", dimensions=dimensions, memory_gb=memory_gb)
    assert limit(answer, "vectors").most == most == memory_gb * 10**9 // 2 // (4 * dimensions + 8 + 512 + 195)
    assert answer.with_ == ("pgvector",)


def test_more_dimensions_than_an_index_takes() -> None:
    assert found(data="vectors", dimensions=4000).enough
    assert [c.id for c, _ in found(data="vectors", dimensions=4001).lacking] == ["dimensions"]


def test_a_job_beside_the_main_one_is_told_apart() -> None:
    beside = found(data="relational", search="relevance", documents=1000)
    assert (beside.enough, beside.for_main_job) == (False, True)
    main = found(data="text", search="relevance", rows=1000)
    assert (main.enough, main.for_main_job) == (False, False)


@given(needs)
@settings(max_examples=60, deadline=None)
def test_the_year_is_where_the_demand_passes_the_limit(asked: Need) -> None:
    asked = settled(asked)
    for each in enough(asked, KNOWN).limits:
        if each.years is None:
            assert float(demand(asked, each.criterion.id, FAR)) <= each.most
        elif each.years:
            after, before = (float(demand(asked, each.criterion.id, each.years + by)) for by in (0.1, -0.1))
            assert after >= each.most >= before
        else:
            assert each.now > each.most or float(demand(asked, each.criterion.id, 0.1)) > each.most
