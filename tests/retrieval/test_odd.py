"""Odd input to a load: a clear answer each, and nothing half done."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from data_platform.errors import UsageProblem
from data_platform.postgres.server import Database, Server
from data_platform.postgres.vectors.store import Loaded
from data_platform.retrieval.embedding.models import PROBES
from data_platform.retrieval.filling import Filling, fill
from data_platform.retrieval.tuning.rows import parted
from data_platform.spec.document import SpecProblem, parse
from data_platform.spec.retrieval import Chunking, Filter, Model, Retrieval, Source, Tenants, read_retrieval
from data_platform.spec.validate import check

NOTHING = lambda what, share: None  # noqa: E731
WIDTH = 4
TEXTS = {"a.txt": "words of a", "b.txt": "words of b"}


@pytest.fixture
def store(server: Server) -> Any:
    with server.scratch_database(extensions=["vector"]) as database:
        yield database


def spec(**model: Any) -> Retrieval:
    """Vectors that lie in a file, by text."""
    given = {
        "name": "m",
        "provider": "precomputed",
        "dimensions": WIDTH,
        "path": "v.jsonl",
        "normalised": False,
    }
    return Retrieval(
        store="-",
        name="help",
        model=Model(**{**given, **model}),
        chunking=Chunking(),
        sources=(Source(path="*.txt"),),
    )


def written(folder: Path, **vectors: list[float]) -> None:
    """The documents, with these vectors."""
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    found = {TEXTS[f"{name}.txt"]: vector for name, vector in vectors.items()}
    for number, text in enumerate(PROBES):
        found[text] = [1.0, float(number), 0.0, 0.0]
    lines = [json.dumps({"text": text, "embedding": vector}) + "\n" for text, vector in found.items()]
    (folder / "v.jsonl").write_text("".join(lines))


def run(store: Database, asked: Retrieval, folder: Path) -> Loaded:
    return fill(store.conninfo, Filling(asked, folder, folder / ".m" / "v.sqlite", create=True), NOTHING)


def count(store: Database, table: str) -> Any:
    with psycopg.connect(store.conninfo) as connection:
        return connection.execute(f"SELECT count(*) FROM help.{table}".encode()).fetchone()


@pytest.mark.parametrize(
    ("vector", "said"),
    [
        ([0.0] * WIDTH, "a vector of zeros for 'words of b': it has no cosine distance"),
        ([1.0, float("nan"), 0.0, 0.0], "no number in the vector"),
        ([1.0, float("inf"), 0.0, 0.0], "no number in the vector"),
    ],
)
def test_vectors_that_cannot_be_searched(
    store: Database, tmp_path: Path, vector: list[float], said: str
) -> None:
    written(tmp_path, a=[1.0, 2.0, 3.0, 4.0], b=vector)
    with pytest.raises(UsageProblem, match=said):
        run(store, spec(), tmp_path)
    assert count(store, "documents") == count(store, "chunks") == (0,)
    written(tmp_path, a=[1.0, 2.0, 3.0, 4.0], b=[2.0, 2.0, 3.0, 4.0])
    assert run(store, spec(), tmp_path).new == 2


def test_zeros_are_vectors_where_the_distance_is_a_length(store: Database, tmp_path: Path) -> None:
    written(tmp_path, a=[1.0, 2.0, 3.0, 4.0], b=[0.0] * WIDTH)
    assert run(store, spec(distance="l2"), tmp_path).new == 2


def test_another_dimension_than_the_spec_says(store: Database, tmp_path: Path) -> None:
    written(tmp_path, a=[1.0, 2.0, 3.0, 4.0], b=[2.0, 2.0, 3.0, 4.0])
    with pytest.raises(UsageProblem, match="vectors of 4 dimensions"):
        run(store, spec(dimensions=5), tmp_path)
    with psycopg.connect(store.conninfo) as connection:
        assert connection.execute("SELECT to_regnamespace('help')").fetchone() == (None,)


def test_a_hundred_thousand_dimensions() -> None:
    text = (
        "kind: retrieval\nstore: S\nname: n\nmodel: {name: m, provider: onnx, path: m, dimensions: 100000}\n"
    )
    with pytest.raises(SpecProblem, match=r"16,?000"):
        read_retrieval(parse(text.encode(), "help.yaml"))
    with pytest.raises(SpecProblem, match="300000"):
        check(parse(text.replace("100000", "300001").encode(), "help.yaml"), "retrieval")
    assert (
        read_retrieval(parse(text.replace("100000", "16000").encode(), "help.yaml")).model.dimensions
        == 16_000
    )


def test_a_hundred_thousand_dimensions_to_tune_on() -> None:
    with pytest.raises(UsageProblem, match="16,000"):
        parted(np.ones((30, 100_000), dtype=np.float32), None, "l2", k=10)


def test_an_id_that_comes_twice(store: Database, tmp_path: Path) -> None:
    written(tmp_path, a=[1.0, 2.0, 3.0, 4.0], b=[2.0, 2.0, 3.0, 4.0])
    (tmp_path / "lines.jsonl").write_text(
        '{"id": 1, "text": "words of a"}\n{"id": 1, "text": "words of b"}\n'
    )
    asked = replace(spec(), sources=(Source(path="lines.jsonl"),))
    with pytest.raises(UsageProblem, match=r"lines.jsonl#1: two documents have this address"):
        run(store, asked, tmp_path)
    assert count(store, "documents") == (0,)


def test_an_empty_document_has_no_chunk_and_is_no_news(store: Database, tmp_path: Path) -> None:
    written(tmp_path, a=[1.0, 2.0, 3.0, 4.0], b=[2.0, 2.0, 3.0, 4.0])
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "blank.txt").write_text(" \n\n ")
    done = run(store, spec(), tmp_path)
    assert (done.new, done.chunks) == (4, 2)
    assert run(store, spec(), tmp_path) == Loaded(unchanged=4)


def test_fifty_megabytes_in_one_document(store: Database, tmp_path: Path, tokenizer_file: Path) -> None:
    line = "some words and more words of them several believable words\n"
    size = 50 * 1024 * 1024
    (tmp_path / "big.txt").write_text("".join(f"{n} {line}" for n in range(size // len(line)))[:size])
    np.save(tmp_path / "t.npy", np.random.default_rng(3).normal(size=(200, WIDTH)).astype(np.float32))
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    asked = replace(
        spec(provider="static", path="t.npy", tokenizer="tokenizer.json", max_tokens=64),
        chunking=Chunking(size=10_000),
    )
    done = run(store, asked, tmp_path)
    with psycopg.connect(store.conninfo) as connection:
        found = connection.execute("SELECT max(end_offset), sum(length(content)) FROM help.chunks").fetchone()
    assert done.new == 1
    assert found
    assert size - 100 < found[0] <= size
    assert found[1] > 0.99 * size
    assert run(store, asked, tmp_path) == Loaded(unchanged=1)


# --- hostile documents ---


def lines(folder: Path, *rows: str) -> Retrieval:
    """JSON lines as they stand, with a vector for every text that may come of them, and none for the probes."""
    (folder / "a.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    texts = {"one", "one\u2028two\x85three", "a\0b", "a\ufffdb"}
    found = [json.dumps({"text": text, "embedding": [1.0, 2.0, 3.0, 4.0]}) for text in sorted(texts)]
    (folder / "v.jsonl").write_text("\n".join(found))
    return replace(spec(), sources=(Source(path="a.jsonl", fields={"year": "year"}),))


def rows_of(store: Database, query: str) -> list[Any]:
    with psycopg.connect(store.conninfo) as connection:
        return connection.execute(query.encode()).fetchall()


def test_a_file_of_vectors_needs_none_for_texts_of_ours(store: Database, tmp_path: Path) -> None:
    assert run(store, lines(tmp_path, '{"id": 1, "text": "one"}'), tmp_path).new == 1
    assert run(store, lines(tmp_path, '{"id": 1, "text": "one"}'), tmp_path).unchanged == 1


def test_a_file_of_vectors_is_read_again_when_it_has_changed(store: Database, tmp_path: Path) -> None:
    asked = lines(tmp_path, '{"id": 1, "text": "one"}')
    run(store, asked, tmp_path)
    (tmp_path / "v.jsonl").write_text('{"text": "one", "embedding": [4, 3, 2, 1]}')
    asked = replace(asked, name="other")
    run(store, asked, tmp_path)
    assert rows_of(store, "SELECT embedding::text FROM other.embeddings_m") == [("[4,3,2,1]",)]


@pytest.mark.parametrize(
    ("row", "content"),
    [
        ('{"id": 1, "text": "one\u2028two\x85three"}', "one\u2028two\x85three"),
        ('{"id": 1, "text": "a\\u0000b", "title": "t\\u0000", "year": "a\\u0000"}', "a\ufffdb"),
        ('{"id": 1, "text": "a\\ud800b", "title": "\\ud800", "year": "\\ud800"}', "a\ufffdb"),
    ],
)
def test_what_no_database_takes_is_told_apart_or_replaced(
    store: Database, tmp_path: Path, row: str, content: str
) -> None:
    asked = replace(lines(tmp_path, row), filters=(Filter(name="year", type="text"),))
    assert run(store, asked, tmp_path).new == 1
    assert rows_of(store, "SELECT content FROM help.chunks") == [(content,)]
    assert run(store, asked, tmp_path).unchanged == 1


def test_addresses_and_numbers_that_are_none(store: Database, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="no text that a database takes"):
        run(store, lines(tmp_path, '{"id": "x\\u0000", "text": "one"}'), tmp_path)
    with pytest.raises(UsageProblem, match="NaN is no number of JSON"):
        run(store, lines(tmp_path, '{"id": 1, "text": "one", "year": NaN}'), tmp_path)


@pytest.mark.parametrize(
    ("type_", "given", "stored"),
    [
        ("date", '"2024-02-03"', "2024-02-03"),
        ("timestamptz", '"2024-02-03T01:00:00+01:00"', "2024-02-03 00:00:00+00"),
        ("boolean", '"true"', "true"),
        ("boolean", "true", "true"),
        ("integer", '"12"', "12"),
        ("numeric", "1.5", "1.5"),
        ("uuid", '"7d444840-9dc0-11d1-b245-5ffdce74fad2"', "7d444840-9dc0-11d1-b245-5ffdce74fad2"),
        ("text", "5", "5"),
        ("text[]", '["a", "b"]', "{a,b}"),
        ("integer[]", "[1, 2]", "{1,2}"),
        ("date", "null", None),
    ],
)
def test_values_of_filters_get_the_type_of_their_column(
    store: Database, tmp_path: Path, type_: str, given: str, stored: str | None
) -> None:
    asked = lines(tmp_path, f'{{"id": 1, "text": "one", "year": {given}}}')
    run(store, replace(asked, filters=(Filter(name="year", type=type_),)), tmp_path)
    for table in ("chunks", "embeddings_m"):
        query = f"SELECT CASE WHEN year IS NOT NULL THEN year::text END FROM help.{table}"
        assert rows_of(store, query) == [(stored,)]


@pytest.mark.parametrize(
    ("type_", "given"),
    [
        ("integer", "1000000000000"),
        ("integer", "1.5"),
        ("integer", '"x"'),
        ("date", '"2024-02-30"'),
        ("boolean", '"perhaps"'),
        ("integer[]", '["x"]'),
        ("uuid", "5"),
    ],
)
def test_a_value_that_its_column_cannot_hold_is_named(
    store: Database, tmp_path: Path, type_: str, given: str
) -> None:
    """An integer that was too large was stored as another one."""
    good, bad = '{"id": 1, "text": "one"}', f'{{"id": 2, "text": "one", "year": {given}}}'
    asked = replace(lines(tmp_path, good, bad), filters=(Filter(name="year", type=type_),))
    with pytest.raises(UsageProblem, match=r"`year` is ") as refused:
        run(store, asked, tmp_path)
    assert refused.value.where == "a.jsonl#2"
    assert count(store, "documents") == (0,)


def test_a_tenant_of_a_file_is_of_the_type_of_its_column(store: Database, tmp_path: Path) -> None:
    asked = lines(tmp_path, '{"id": 1, "text": "one", "year": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}')
    asked = replace(asked, tenants=Tenants(column="year", row_security=False))
    assert run(store, asked, tmp_path).new == 1


def test_the_planner_knows_how_many_documents_and_chunks_there_are(store: Database, tmp_path: Path) -> None:
    run(store, lines(tmp_path, *(f'{{"id": {n}, "text": "one"}}' for n in range(50))), tmp_path)
    query = "SELECT relname, reltuples FROM pg_class WHERE relname IN ('documents', 'chunks') ORDER BY 1"
    assert rows_of(store, query) == [("chunks", 50.0), ("documents", 50.0)]
