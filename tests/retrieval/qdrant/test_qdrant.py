"""A spec on Qdrant: the calls there and on, what is wrong with a collection, and the engine itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.qdrant.rest import Rest, rest
from data_platform.retrieval.design import Design, design
from data_platform.retrieval.qdrant.audit import findings
from data_platform.retrieval.qdrant.changes import Change, change
from data_platform.retrieval.qdrant.collection import collection, payload_indexes, sizes
from data_platform.retrieval.qdrant.engine import tried
from data_platform.spec.retrieval import GIB, Needs, Retrieval
from retrieval.pgvector.stores import spec_of, tenants
from retrieval.qdrant.server import Recorded, running


@pytest.fixture
def qdrant() -> Iterator[tuple[Rest, Recorded]]:
    with running() as (url, recorded):
        yield rest(url, None), recorded


def spec() -> Retrieval:
    return spec_of(target="qdrant")


def apply(server: Rest, wanted: Retrieval, made: Design | None = None) -> Change:
    planned = change(wanted, made or design(wanted), server.server())
    for call in planned.calls:
        server.call(call)
    return planned


def test_from_nothing_and_again_nothing(qdrant: tuple[Rest, Recorded]) -> None:
    client, recorded = qdrant
    first = apply(client, spec())
    assert first.to == "help_v1"
    assert recorded.aliases == {"help": "help_v1"}
    assert set(recorded.collections["help_v1"]["payload_schema"]) == {"category", "labels"}
    assert apply(client, spec()).calls == ()
    assert list(findings(spec(), design(spec()), client.server())) == []


def test_what_can_be_changed_is_changed_in_place(qdrant: tuple[Rest, Recorded]) -> None:
    client, recorded = qdrant
    apply(client, spec())
    del recorded.collections["help_v1"]["payload_schema"]["category"]
    denser = spec_of(target="qdrant", settings={"m": 32})
    planned = apply(client, denser)
    assert [call.method for call in planned.calls] == ["PATCH", "PUT"]
    assert recorded.collections["help_v1"]["config"]["hnsw_config"]["m"] == 32


def test_another_dimension_is_a_new_collection_and_the_alias_stays(qdrant: tuple[Rest, Recorded]) -> None:
    client, recorded = qdrant
    apply(client, spec())
    wider = replace(spec(), model=replace(spec().model, dimensions=32))
    planned = apply(client, wider)
    assert planned.to == "help_v2"
    assert planned.because == ("content.size: 16 is to be 32",)
    assert recorded.aliases == {"help": "help_v1"}


def test_what_is_wrong_is_found(qdrant: tuple[Rest, Recorded]) -> None:
    client, recorded = qdrant
    made = design(spec())
    assert [one.rule for one in findings(spec(), made, client.server())] == ["qdrant-no-alias"]
    apply(client, spec())
    told = recorded.collections["help_v1"]
    told["payload_schema"].clear()
    told |= {"status": "yellow", "optimizer_status": {"error": "disk"}, "points_count": 90_000}
    told["config"]["hnsw_config"]["full_scan_threshold"] = 10
    told["config"]["params"]["shard_number"] = 3
    rules = {one.rule for one in findings(spec(), made, client.server())}
    assert rules == {
        "qdrant-filter-unindexed",
        "qdrant-not-green",
        "qdrant-optimizer",
        "qdrant-unindexed-vectors",
        "qdrant-full-scan-threshold",
        "qdrant-differs",
    }


def test_tenants_have_their_own_graph() -> None:
    own = spec_of(tenants=tenants())
    body = collection(own, design(own))
    assert body["hnsw_config"]["m"] == 0
    assert body["hnsw_config"]["payload_m"] > 0
    assert payload_indexes(own)["tenant_id"]["field_schema"]["is_tenant"]


def test_what_is_too_large_is_quantized_and_spread() -> None:
    big = spec_of(needs=Needs(rows_in_a_year=2_000_000_000, memory_bytes=8 * GIB))
    body = collection(big, design(big))
    assert body["quantization_config"]["scalar"]["type"] == "int8"
    assert body["shard_number"] == sizes(big).nodes > 1
    assert body["replication_factor"] == 2


def test_a_refusal_and_a_silence_are_told_without_the_key(
    qdrant: tuple[Rest, Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, recorded = qdrant
    monkeypatch.setenv("QDRANT_KEY", "s3cret")
    keyed = rest(client.url, "env:QDRANT_KEY")
    with pytest.raises(UsageProblem, match="HTTP 404") as told:
        keyed.get("/nothing")
    assert recorded.keys[-1] == "s3cret"
    assert "s3cret" not in f"{told.value}{keyed!r}"
    with pytest.raises(EnvironmentProblem, match="no answer from Qdrant"):
        rest("http://127.0.0.1:9", None).get("/collections")
    for url, key in (("nonsense", None), (client.url, "plain"), (client.url, "env:UNSET_")):
        with pytest.raises(UsageProblem):
            rest(url, key)


def test_short_vectors_are_tried_without_making_millions_of_them() -> None:
    short = spec_of()
    short = replace(short, model=replace(short.model, dimensions=3))
    before = time.process_time()
    for found in tried(short, collection(short, design(short))):
        assert found.recall >= 0.9
        assert found.rows == found.wanted
    assert time.process_time() - before < 60


@pytest.mark.parametrize("more", [{}, {"needs": Needs(rows_in_a_year=500_000_000)}, {"tenants": tenants()}])
def test_the_engine_finds_what_an_exact_search_does(more: dict[str, Any]) -> None:
    wide = spec_of(**more)
    wide = replace(wide, model=replace(wide.model, dimensions=256))
    for found in tried(wide, collection(wide, design(wide))):
        assert found.rows == found.wanted, found
        assert found.recall >= 0.95, found
