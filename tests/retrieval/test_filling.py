"""From files to a store that is searched: loaded once, loaded again, changed, vanished, stopped in the middle."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.postgres.server import Database
from data_platform.postgres.vectors.store import Loaded
from data_platform.retrieval.embedding import embedder
from data_platform.retrieval.filling import Filling, fill, query_vector
from data_platform.spec.retrieval import Chunking, Filter, Hybrid, Model, Retrieval, Source

PAGES = {
    "returns.md": "# Returns\n\nSend a parcel back within thirty days.\n\n"
    "## Refunds\n\nThe money comes back in a week.",
    "shipping.md": "# Shipping\n\nWe deliver to Norway and Iceland by boat.",
    "account.md": "# Account\n\nChange your password in the settings.",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def spec_of(minilm: Model, **more: Any) -> Retrieval:
    made = Retrieval(
        store="Shop",
        name="help",
        model=minilm,
        chunking=Chunking(strategy="markdown", size=60),
        sources=(Source(path="*.md", metadata={"category": "guide"}),),
        filters=(Filter(name="category", type="text"),),
        hybrid=Hybrid(),
    )
    return replace(made, **more)


def run(database: Database, spec: Retrieval, folder: Path, **more: Any) -> Loaded:
    what = Filling(spec, folder, folder / ".dpe" / "v.sqlite", create=True, **more)
    return fill(database.conninfo, what, lambda what, share: None)


def found(database: Database, spec: Retrieval, folder: Path, question: str) -> list[str]:
    vector = query_vector(embedder(spec.model, folder), spec, question).tolist()
    with psycopg.connect(database.conninfo) as connection:
        rows = connection.execute(
            "SELECT content FROM help.search_all_minilm_l6_v2(%s::vector, 3, category => 'guide')",
            [str(vector)],
        ).fetchall()
    return [row[0] for row in rows]


def test_loaded_found_and_loaded_again(vectors: Database, folder: Path, minilm: Model) -> None:
    spec = spec_of(minilm)
    first = run(vectors, spec, folder)
    assert (first.new, first.changed, first.unchanged) == (3, 0, 0)
    assert first.embedded == first.chunks == 4
    assert "thirty days" in found(vectors, spec, folder, "How long may I keep it before sending it back?")[0]
    assert "boat" in found(vectors, spec, folder, "Which countries do you ship to?")[0]
    again = run(vectors, spec, folder)
    assert again == Loaded(unchanged=3)
    with psycopg.connect(vectors.conninfo) as connection:
        row = connection.execute(
            "SELECT d.title, c.heading_path, c.content FROM help.chunks c JOIN help.documents d ON d.id = c.document_id"
            " WHERE c.content LIKE '%week%'"
        ).fetchone()
        registered = connection.execute("SELECT name, state FROM help.models").fetchall()
    assert row == ("Returns", ["Returns", "Refunds"], "## Refunds\n\nThe money comes back in a week.")
    assert registered == [("all-MiniLM-L6-v2", "active")]


def test_only_what_changed_is_embedded_and_what_vanished_is_not_found(
    vectors: Database, folder: Path, minilm: Model
) -> None:
    spec = spec_of(minilm)
    run(vectors, spec, folder)
    (folder / "returns.md").write_text(
        "# New\n\nA new beginning.\n\n" + PAGES["returns.md"].replace("a week", "two days")
    )
    (folder / "shipping.md").unlink()
    changed = run(vectors, spec, folder)
    assert (changed.changed, changed.unchanged, changed.vanished) == (1, 1, 1)
    assert changed.embedded == 2  # the new section and the changed one; the third only moved
    assert "boat" not in " ".join(found(vectors, spec, folder, "Which countries do you ship to?"))
    with psycopg.connect(vectors.conninfo) as connection:
        order = connection.execute(
            "SELECT ordinal, start_offset FROM help.chunks c JOIN help.documents d ON d.id = document_id"
            " WHERE uri = 'returns.md' ORDER BY ordinal"
        ).fetchall()
        gone = connection.execute("SELECT uri FROM help.documents WHERE deleted_at IS NOT NULL").fetchall()
        words = connection.execute(
            "SELECT count(*) FROM help.hybrid_all_minilm_l6_v2("
            "(SELECT embedding FROM help.embeddings_all_minilm_l6_v2 LIMIT 1), 'Norway', 10, weight => 1.0)"
        ).fetchone()
    assert [o for o, _ in order] == [0, 1, 2]
    assert order == sorted(order)
    assert gone == [("shipping.md",)]
    assert words == (0,)
    (folder / "shipping.md").write_text(PAGES["shipping.md"])
    back = run(vectors, spec, folder)
    assert back.new + back.changed == 1
    assert "boat" in found(vectors, spec, folder, "Which countries do you ship to?")[0]


def test_another_model_of_the_same_name_and_dimension_is_refused(
    vectors: Database, folder: Path, minilm: Model, tokenizer_file: Path
) -> None:
    import numpy as np

    run(vectors, spec_of(minilm), folder)
    np.save(folder / "t.npy", np.random.default_rng(1).normal(size=(200, 384)).astype(np.float32))
    other = replace(minilm, provider="static", path="t.npy", tokenizer=str(tokenizer_file))
    with pytest.raises(UsageProblem, match="made by another model"):
        run(vectors, spec_of(other), folder)


def test_readers_never_see_half_a_document(vectors: Database, folder: Path, minilm: Model) -> None:
    spec = spec_of(minilm)
    run(vectors, spec, folder)
    over, seen = threading.Event(), set[tuple[int, int]]()

    def read() -> None:
        with psycopg.connect(vectors.conninfo, autocommit=True) as connection:
            while not over.is_set():
                row = connection.execute(
                    "SELECT count(*), count(e.chunk_id)"
                    " FROM help.documents d JOIN help.chunks c ON c.document_id = d.id"
                    " LEFT JOIN help.embeddings_all_minilm_l6_v2 e ON e.chunk_id = c.id"
                    " WHERE uri = 'account.md'"
                ).fetchone()
                assert row
                seen.add((row[0], row[1]))

    thread = threading.Thread(target=read)
    thread.start()
    for version in range(1, 6):
        (folder / "account.md").write_text(
            "\n\n".join(f"# Part {n} of {version}\n\nText {version} {n}." for n in range(8))
        )
        run(vectors, spec, folder)
    over.set()
    thread.join()
    assert seen <= {(1, 1), (8, 8)}


def test_a_second_load_at_once_is_told(vectors: Database, folder: Path, minilm: Model) -> None:
    spec = spec_of(minilm)
    run(vectors, spec, folder)
    with psycopg.connect(vectors.conninfo, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(7364511230)")
        with pytest.raises(EnvironmentProblem, match="another load is running"):
            run(vectors, spec, folder)


def test_what_cannot_be_loaded_is_told_and_changes_nothing(
    vectors: Database, folder: Path, minilm: Model
) -> None:
    spec = spec_of(minilm)
    with pytest.raises(UsageProblem, match="there is no store"):
        fill(vectors.conninfo, Filling(spec, folder, folder / "v.sqlite"), lambda what, share: None)
    twice = replace(spec, sources=(Source(path="*.md"), Source(path="account.md")))
    with pytest.raises(UsageProblem, match="two documents have this address"):
        run(vectors, twice, folder)
    with psycopg.connect(vectors.conninfo) as connection:
        assert connection.execute("SELECT count(*) FROM help.documents").fetchone() == (0,)
