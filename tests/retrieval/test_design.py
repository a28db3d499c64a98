"""What is chosen when nothing was measured yet, and that what was measured is kept."""

from __future__ import annotations

import pytest

from data_platform.retrieval.design import design
from data_platform.retrieval.sizing import hnsw_bytes
from data_platform.spec.retrieval import GIB, Model, Needs
from retrieval.pgvector.stores import spec_of, tenants


def test_design_says_what_it_rests_on() -> None:
    measured = design(
        spec_of(
            settings={
                "type": "halfvec",
                "index": "hnsw",
                "m": 8,
                "ef_construction": 64,
                "ef_search": 33,
                "prefilter_rows": 5,
            }
        )
    )
    assert {one.evidence for one in measured.choices} <= {"measured", "documented"}
    assert measured.search.ef_search == 33
    small = design(spec_of(settings={}, needs=Needs(rows_in_a_year=500)))
    assert small.index.method == "none"
    assert any(one.evidence == "assumed" for one in design(spec_of(settings={})).choices)


@pytest.mark.parametrize(
    ("dimensions", "type_"), [(384, "halfvec"), (3072, "halfvec"), (4000, "halfvec"), (4001, "bit")]
)
def test_the_type_is_one_that_can_be_indexed(dimensions: int, type_: str) -> None:
    made = design(
        spec_of(settings={}, model=Model(name="m", provider="onnx", path="m", dimensions=dimensions))
    )
    assert made.index.type == type_
    assert (made.search.rerank > 0) == (type_ == "bit")


@pytest.mark.parametrize("dimensions", [64, 384, 768, 1536])
def test_more_links_than_usual_only_where_they_cost_nothing_on_disk(dimensions: int) -> None:
    model = Model(name="m", provider="onnx", path="m", dimensions=dimensions)
    made = design(spec_of(settings={}, model=model))
    usual = hnsw_bytes(1_000_000, made.index.type, dimensions, 16)
    assert 16 <= made.index.m <= 32
    assert made.index.ef_construction >= 2 * made.index.m
    assert made.index_bytes <= usual * 1.02


def test_lists_have_a_size_and_no_index_has_none() -> None:
    assert design(spec_of(settings={"index": "ivfflat"})).index_bytes > 0
    assert design(spec_of(settings={"index": "none"})).index_bytes == 0


def test_how_tenants_are_kept_apart_is_said() -> None:
    chosen = {one.what: one.chosen for one in design(spec_of(settings={}, tenants=tenants())).choices}
    assert chosen["tenants"] == "row security"


def test_a_build_leaves_half_of_the_memory_and_says_when_that_is_too_little() -> None:
    few = design(spec_of(settings={}, needs=Needs(rows_in_a_year=1_000_000, memory_bytes=GIB)))
    many = design(spec_of(settings={}, needs=Needs(rows_in_a_year=900_000_000, memory_bytes=GIB)))
    assert few.maintenance_mb <= 512
    assert many.maintenance_mb <= 512
    assert "build" in {one.what for one in few.choices}
    assert many.partitions > 0


def test_a_measured_threshold_is_the_one_that_is_told() -> None:
    choices = {one.what: one.chosen for one in design(spec_of(settings={"prefilter_rows": 77})).choices}
    assert choices["filters"] == "compare all up to 77 rows"
