"""An evaluation of a store with known answers: figures by hand, filters, what is missed, the whole way at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_platform.errors import UsageProblem
from data_platform.postgres.server import Database, Server
from data_platform.postgres.vectors.ask import Session, session
from data_platform.retrieval.evaluation.evaluate import filtered, judged, recall_of
from data_platform.retrieval.evaluation.judgements import Query, graded, known_items, read_queries
from data_platform.retrieval.evaluation.run import Extent, store_of
from data_platform.retrieval.evaluation.told import findings, report, result
from data_platform.retrieval.proof import prove
from data_platform.spec.retrieval import Chunking, Filter, Hybrid, Model, Needs, Retrieval, Source
from retrieval.pgvector.stores import fill, spec_of, store

NOTHING = lambda what, share: None  # noqa: E731


def values(rows: int) -> np.ndarray:
    drawn = np.random.default_rng(7)
    return np.tanh(drawn.normal(size=(rows, 4)) @ drawn.normal(size=(4, 16))).astype(np.float32)


def rows_of(count: int) -> list[dict[str, Any]]:
    return [
        {
            "content": f"word{n} common",
            "category": "rare" if n % 100 == 0 else "usual",
            "labels": [f"l{n % 5}"],
        }
        for n in range(count)
    ]


def test_recall_filters_and_judgements(database: Database) -> None:
    spec, found = spec_of(), values(1200)
    with store(database, spec) as connection:
        fill(connection, spec, found, rows_of(1200))
        connection.execute("ANALYZE")
    questions = [(found[n], f"word{n}") for n in range(0, 200, 10)]
    with session(database.conninfo, store_of(spec)) as one:
        exact, rows, wanted = recall_of(one, questions, 10)
        assert (rows, wanted) == (10, 10)
        assert exact.value > 0.9
        by_filter = {
            (f.name, str(f.value)): f for f in filtered(one, ["category", "labels"], questions, 10, 100)
        }
        rare = by_filter[("category", "rare")]
        assert rare.share == pytest.approx(0.01)
        assert rare.recall.value == 1.0
        assert rare.rows == 10
        assert rare.strategy == "prefilter"
        assert by_filter[("labels", "['l0']")].strategy == "iterative"
        assert by_filter[("labels", "['l0']")].rows == 10
        queries = [Query(str(n), f"word{n}", {str(_uri(n)): 1.0}) for n in range(0, 200, 10)]
        metrics, compared = judged(
            one, queries, [found[(n + 1) % 200] for n in range(0, 200, 10)], ("vector", "keyword"), 10
        )
    keyword = {m.name: m.found.value for m in metrics if m.mode == "keyword"}
    assert keyword["mrr"] == keyword["ndcg"] == keyword["recall"] == 1.0
    assert keyword["precision"] == pytest.approx(0.1)
    assert compared[0].difference.high <= 0


def _uri(number: int) -> Any:
    import uuid

    return uuid.UUID(int=number + 1)


NAIVE = """
CREATE FUNCTION help.search_mini_lm(query vector, k integer, category text DEFAULT NULL, labels text[] DEFAULT NULL)
RETURNS TABLE (chunk_id uuid, document_id uuid, content text, distance double precision) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT e.chunk_id, e.chunk_id, ''::text, e.embedding <=> query
    FROM (SELECT * FROM help.embeddings_mini_lm e ORDER BY e.embedding::halfvec(16) <=> query::halfvec(16) LIMIT k) e
    WHERE search_mini_lm.category IS NULL OR e.category = search_mini_lm.category;
END $$
"""


def test_a_search_that_leaves_rows_out_is_a_finding(database: Database) -> None:
    spec, found = spec_of(hybrid=None), values(800)
    with store(database, spec) as connection:
        fill(connection, spec, found, rows_of(800))
        # As applications write it: the filter after the index, without going on.
        connection.execute("DROP FUNCTION help.search_mini_lm")
        connection.execute(NAIVE)
    with session(database.conninfo, store_of(spec)) as one:
        found_by = _evaluated(one, spec, found)
    rules = {one.rule for one in findings(spec, found_by)}
    assert "retrieval-filter-short" in rules
    assert "retrieval-recall-low" in rules
    assert not report(spec, found_by, "again").good


def _evaluated(one: Session, spec: Retrieval, found: np.ndarray) -> Any:
    from data_platform.retrieval.evaluation.evaluate import Evaluation, Metric

    questions = [(row, "") for row in found[:20]]
    exact, _, _ = recall_of(one, questions, 10)
    return Evaluation(
        rows=len(found),
        k=10,
        metrics=(Metric("exact_recall", "vector", 10, exact),),
        filters=filtered(one, ["category"], questions, 10, 100),
    )


def test_the_whole_way(server: Server, minilm: Model, tmp_path: Path) -> None:
    topics = ["parcels", "passwords", "invoices", "gardens", "trains", "cheese"]
    for topic in topics:
        text = "\n\n".join(f"## {topic} {n}\n\nThis is what we know of {topic}, part {n}." for n in range(3))
        (tmp_path / f"{topic}.md").write_text(f"# {topic}\n\n{text}\n")
    spec = Retrieval(
        store="Shop",
        name="help",
        model=minilm,
        chunking=Chunking(strategy="markdown", size=80),
        sources=(Source(path="*.md", metadata={"category": "guide"}),),
        filters=(Filter(name="category", type="text"),),
        hybrid=Hybrid(),
        needs=Needs(rows_now=20, rows_in_a_year=20, latency_ms=1000),
    )
    proof = prove(server, spec, tmp_path, tmp_path / "v.sqlite", None, Extent(12, 2, 0.3), NOTHING)
    assert (proof.loaded, proof.again) == (6, 0)
    told = result(proof.evaluation)
    assert told["known_items"]
    assert {m["mode"] for m in told["metrics"]} == {"vector", "keyword", "hybrid"}
    assert next(m["value"] for m in told["metrics"] if m["name"] == "exact_recall") == 1.0
    assert next(m["value"] for m in told["metrics"] if (m["name"], m["mode"]) == ("mrr", "hybrid")) > 0.8
    assert told["latency"]["queries_per_second"] > 0
    assert told["latency"]["cold"]["queries"] == 12
    assert told["latency"]["cold"]["p95_ms"] >= told["latency"]["cold"]["p50_ms"] > 0
    assert findings(spec, proof.evaluation) == ()


def test_judgements_are_read_in_both_forms(tmp_path: Path) -> None:
    queries, trec, lines = tmp_path / "q.jsonl", tmp_path / "r.txt", tmp_path / "r.jsonl"
    queries.write_text('{"id": "1", "text": "a"}\n{"id": 2, "text": "b"}\n')
    trec.write_text("1 0 docA 2\n1 0 docB 0\n")
    lines.write_text('{"query": "2", "document": "docA"}\n')
    assert read_queries(queries, trec) == [Query("1", "a", {"docA": 2.0, "docB": 0.0})]
    assert read_queries(queries, lines)[0].id == "2"
    trec.write_text("nonsense\n")
    with pytest.raises(UsageProblem, match=r"r\.txt:1"):
        read_queries(queries, trec)
    trec.write_text("9 0 x 1\n")
    with pytest.raises(UsageProblem, match="no query of these has a judgement"):
        read_queries(queries, trec)


def test_documents_are_known_by_address_or_by_what_follows_it() -> None:
    query = Query("1", "", {"a.md": 1, "7": 1})
    assert graded(query, ["a.md", "docs.jsonl#7", "docs.jsonl#8"]) == ["a.md", "7", "8"]


def test_known_items_are_sentences_of_their_documents() -> None:
    (one,) = known_items([("# Title\n\nShort. This is the longest sentence here. End.", "a.md", "t")])
    assert one.text == "This is the longest sentence here."
    assert one.grades == {"a.md": 1.0}
