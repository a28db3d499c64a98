"""Vectors of which most numbers are zero: more dimensions than `vector` has, from a file to an index and answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_platform.errors import UsageProblem
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database, Server
from data_platform.postgres.vectors.ask import session
from data_platform.postgres.vectors.bench import bench
from data_platform.postgres.vectors.facts import facts
from data_platform.qdrant.calls import Call
from data_platform.qdrant.rest import Rest
from data_platform.retrieval.changing import change, prepare
from data_platform.retrieval.design import design
from data_platform.retrieval.diagnosis.rules import findings
from data_platform.retrieval.embedding import embedder
from data_platform.retrieval.embedding.models import PROBES
from data_platform.retrieval.evaluation.evaluate import recall_of
from data_platform.retrieval.evaluation.run import store_of
from data_platform.retrieval.exact import nearest
from data_platform.retrieval.filling import Filling, fill
from data_platform.retrieval.qdrant.collection import collection
from data_platform.retrieval.qdrant.engine import tried
from data_platform.retrieval.qdrant.moves import There, to_postgres, to_qdrant
from data_platform.retrieval.tuning.candidates import types
from data_platform.retrieval.tuning.rows import parted
from data_platform.retrieval.tuning.trial import Goal
from data_platform.retrieval.tuning.tune import tune
from data_platform.retrieval.vectors import read_vectors
from data_platform.spec.retrieval import Hybrid, Model, Needs, Retrieval, Source
from retrieval.pgvector.stores import spec_of
from retrieval.qdrant.server import running
from retrieval.test_changing import NOTHING

WIDTH, NON_ZERO, ROWS = 20_000, 40, 600


def sparse_rows(rows: int, width: int = WIDTH, topics: int = 20) -> np.ndarray:
    """Topics have words in common."""
    drawn = np.random.default_rng(5)
    words = drawn.integers(0, width, (topics, 2 * NON_ZERO))
    found = np.zeros((rows, width), dtype=np.float32)
    for number, row in enumerate(found):
        own = [*drawn.choice(words[number % topics], NON_ZERO - 8), *drawn.integers(0, width, 8)]
        row[own] = drawn.random(NON_ZERO) + 0.1
    return found


def as_json(vector: np.ndarray) -> dict[str, Any]:
    places = np.flatnonzero(vector)
    return {"indices": places.tolist(), "values": vector[places].tolist()}


VALUES = sparse_rows(ROWS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sparse")
    texts = [f"text number {n}" for n in range(ROWS)]
    lines = [
        json.dumps({"text": text, "embedding": as_json(vector)})
        for text, vector in zip([*texts, *PROBES], [*VALUES, *VALUES[:3]], strict=True)
    ]
    (path / "v.jsonl").write_text("\n".join(lines))
    rows = [json.dumps({"id": f"d{n}", "text": text}) for n, text in enumerate(texts)]
    (path / "docs.jsonl").write_text("\n".join(rows))
    return path


def spec(**more: Any) -> Retrieval:
    model = Model(
        name="splade",
        provider="precomputed",
        dimensions=WIDTH,
        non_zero=NON_ZERO,
        distance="ip",
        normalised=False,
        path="v.jsonl",
    )
    made = Retrieval(
        store="Shop",
        name="help",
        model=model,
        chunking=spec_of().chunking,
        sources=(Source(path="docs.jsonl", format="jsonl"),),
        hybrid=Hybrid(),
        needs=Needs(rows_now=ROWS, rows_in_a_year=1_000_000),
    )
    return replace(made, **more)


def test_a_store_is_filled_asked_diagnosed_and_gets_another_model(
    vectors: Database, folder: Path, tmp_path: Path
) -> None:
    done = fill(vectors.conninfo, Filling(spec(), folder, tmp_path / "m.db", create=True), NOTHING)
    assert (done.new, done.embedded) == (ROWS, ROWS)
    again = fill(vectors.conninfo, Filling(spec(), folder, tmp_path / "m.db"), NOTHING)
    assert again.unchanged == ROWS
    questions = [(row, f"number {n}") for n, row in enumerate(VALUES[:30])]
    with session(vectors.conninfo, store_of(spec())) as one:
        one.connection.execute("SET enable_seqscan = off")
        found, rows, wanted = recall_of(one, questions, 10)
        assert found.value >= 0.9
        assert rows == wanted == 10
        truth = nearest(VALUES[:5], VALUES, "ip", 10)
        for (vector, _), expected in zip(questions, truth.distances, strict=False):
            assert np.allclose(one.exact(vector, 10), expected, atol=1e-3)
        assert one.ask("hybrid", *questions[3], 5)[0].content == "text number 3"
        seen = facts(one.connection, "help")
    usual = round(np.count_nonzero(VALUES) / ROWS)
    assert [(c.type, c.dimensions, c.non_zero) for c in seen.columns] == [("sparsevec", WIDTH, usual)]
    assert seen.columns[0].lengths == pytest.approx(np.linalg.norm(VALUES, axis=1), rel=1e-3)
    (index,) = seen.indexes
    assert (index.type, index.columns) == (f"sparsevec({WIDTH})", ("embedding",))
    assert [one.rule for one in findings(seen)] == ["vector-index-needless"]  # of so few rows
    other = spec(model=replace(spec().model, name="other", non_zero=NON_ZERO + 1))
    prepare(vectors.conninfo, other, folder, tmp_path / "m.db", NOTHING)
    assert change(vectors.conninfo, other, folder, tmp_path / "m.db", NOTHING).active == "other"


def test_points_of_qdrant_and_back(vectors: Database, folder: Path, tmp_path: Path) -> None:
    fill(vectors.conninfo, Filling(spec(), folder, tmp_path / "m.db", create=True), NOTHING)
    body = collection(spec(), design(spec()))
    assert body["vectors"] == {}
    assert set(body["sparse_vectors"]) == {"content", "words"}
    with running() as (url, recorded):
        server = Rest(url, None)
        server.call(Call("PUT", "/collections/help", body))
        there = There(server, "help")
        sent = to_qdrant(vectors.conninfo, spec(), there, sample=20, prunes=False, tell=NOTHING)
        assert (sent.sent, sent.collection) == (ROWS, ROWS)
        assert sent.recall is not None
        assert sent.recall.value == 1.0
        (one,) = [p for p in recorded.points["help"].values() if p["payload"]["content"] == "text number 7"]
        assert one["vector"]["content"]["indices"] == np.flatnonzero(VALUES[7]).tolist()
        with connect(vectors.conninfo, read_only=False) as connection:
            connection.execute("DROP SCHEMA help CASCADE")
            connection.commit()
        to_postgres(vectors.conninfo, spec(), folder, there, create=True, sample=20, tell=NOTHING)
    with session(vectors.conninfo, store_of(spec())) as back:
        assert back.rows() == ROWS
        truth = nearest(VALUES[:3], VALUES, "ip", 10)
        for vector, expected in zip(VALUES, truth.distances, strict=False):
            assert np.allclose(back.exact(vector, 10), expected, atol=1e-3)


def test_the_collection_on_qdrants_engine() -> None:
    pytest.importorskip("qdrant_edge")
    for model in (spec().model, replace(spec().model, distance="cosine", normalised=True)):
        asked = spec(target="qdrant", model=model)
        for found in tried(asked, collection(asked, design(asked))):
            assert (found.recall, found.rows) == (1.0, found.wanted)


def test_it_is_tuned_on_what_it_has(server: Server) -> None:
    values = sparse_rows(1_500, width=3_000, topics=50)
    made, _ = parted(values, None, "cosine", k=10, sparse=True)
    tuned = tune(
        made,
        Goal(recall=0.9, k=10),
        lambda rows, asked: bench(server, rows, asked, "cosine", as_sparse=True),
        NOTHING,
    )
    assert {one.index.type for one in tuned.tried if one.index.method == "hnsw"} == {"sparsevec"}
    assert tuned.reachable
    assert tuned.recall.value >= 0.9
    assert tuned.non_zero <= NON_ZERO


def test_a_vector_column_is_tried_as_sparse_where_most_numbers_are_zero(server: Server) -> None:
    values = sparse_rows(1_500, width=2_500, topics=50)
    assert types(values) == ["sparsevec", "halfvec", "bit"]
    assert types(np.ones((3, 100), dtype=np.float32)) == ["halfvec", "vector"]
    made, _ = parted(values, None, "cosine", k=10)
    tuned = tune(
        made, Goal(recall=0.8, k=10), lambda rows, asked: bench(server, rows, asked, "cosine"), NOTHING
    )
    tried = {one.index.type for one in tuned.tried if one.stage == "sample"}
    assert tried == {"sparsevec", "halfvec"}


def test_where_halves_are_the_same_they_are_not_tried(server: Server) -> None:
    values = np.zeros((1_500, 2_500), dtype=np.float32)
    values[:, :12] = 1 + 1e-4 * np.random.default_rng(3).random((1_500, 12))
    made, _ = parted(values, None, "l2", k=10)
    tuned = tune(made, Goal(recall=0.9, k=10), lambda rows, asked: bench(server, rows, asked, "l2"), NOTHING)
    assert {one.index.type for one in tuned.tried if one.index.method == "hnsw"} == {"sparsevec"}
    assert tuned.reachable


def test_what_no_index_takes_is_compared() -> None:
    wide = spec(model=replace(spec().model, non_zero=1_001))
    assert design(wide).index.method == "none"
    assert any("HNSW takes 1,000" in one.why for one in design(wide).choices)
    with pytest.raises(UsageProblem, match="1,001 numbers are not zero"):
        parted(np.ones((50, 1_001), dtype=np.float32), None, "ip", k=10, sparse=True)


@pytest.mark.parametrize(
    ("embedding", "said"),
    [
        ({"indices": [1, 1], "values": [1, 2]}, "no places with their numbers"),
        ({"indices": [1], "values": [1, 2]}, "no places with their numbers"),
        ({"indices": ["a"], "values": [1]}, "no places with their numbers"),
        ({"indices": [0.5], "values": [1]}, "no places with their numbers"),
        ({"values": [1]}, "no places with their numbers"),
        ({"indices": [WIDTH], "values": [1]}, "a place outside of 0 to 19,999"),
        ({"indices": [-1], "values": [1]}, "a place outside of 0 to 19,999"),
        ([1, 2], "vectors of 2 dimensions"),
        (as_json(np.ones(WIDTH)), "20,000 numbers are not zero"),
    ],
)
def test_lines_that_are_no_such_vectors(tmp_path: Path, embedding: object, said: str) -> None:
    line = {"text": "a", "embedding": embedding}
    (tmp_path / "v.jsonl").write_text(json.dumps(line))
    with pytest.raises(UsageProblem, match=said):
        embedder(spec().model, tmp_path).embed(["a"])


def test_files_of_them_for_tune(tmp_path: Path) -> None:
    lines = [json.dumps({"id": n, "vector": as_json(row[:300])}) for n, row in enumerate(VALUES[:4])]
    (tmp_path / "v.jsonl").write_text("\n".join(lines))
    found = read_vectors(str(tmp_path / "v.jsonl")).values
    assert np.array_equal(found, VALUES[:4, : found.shape[1]])
    assert not VALUES[:4, found.shape[1] : 300].any()
