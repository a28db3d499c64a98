"""Another model for a store that is searched and written meanwhile: no failed search, no short one, and back."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from data_platform.errors import UsageProblem
from data_platform.postgres.server import Database
from data_platform.retrieval.changing import back, change, drop, prepare
from data_platform.retrieval.embedding import embedder
from data_platform.retrieval.filling import Filling, fill
from data_platform.retrieval.pgvector.names import slug
from data_platform.spec.retrieval import Chunking, Filter, Hybrid, Model, Needs, Retrieval, Source
from retrieval.embedding.server import running

NOTHING = lambda what, share: None  # noqa: E731
DOCUMENTS = 40


@pytest.fixture
def folder(tmp_path: Path, tokenizer_file: Path) -> Path:
    for number in range(DOCUMENTS):
        (tmp_path / f"d{number}.md").write_text(f"# Doc {number}\n\nsome words and more words {number}")
    for width in (8, 24):
        np.save(
            tmp_path / f"t{width}.npy",
            np.random.default_rng(width).normal(size=(200, width)).astype(np.float32),
        )
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    return tmp_path


def spec_of(width: int) -> Retrieval:
    return Retrieval(
        store="Shop",
        name="help",
        model=Model(
            name=f"static {width}",
            provider="static",
            dimensions=width,
            path=f"t{width}.npy",
            tokenizer="tokenizer.json",
        ),
        chunking=Chunking(strategy="markdown"),
        sources=(Source(path="*.md", metadata={"category": "a"}),),
        filters=(Filter(name="category", type="text"),),
        hybrid=Hybrid(),
        needs=Needs(rows_in_a_year=1_000_000),
    )


class Client(threading.Thread):
    """Reads which model is active, embeds with it, searches: over and over."""

    def __init__(self, conninfo: str, folder: Path) -> None:
        super().__init__(daemon=True)
        self.conninfo, self.over = conninfo, threading.Event()
        self.models = {f"static {w}": embedder(spec_of(w).model, folder) for w in (8, 24)}
        self.answers: list[tuple[str, int]] = []
        self.failed: list[str] = []

    def run(self) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            while not self.over.is_set():
                try:
                    row = connection.execute("SELECT name FROM help.models WHERE state = 'active'").fetchone()
                    assert row
                    vector = self.models[row[0]].embed(["more words"])[0].tolist()
                    function = f"help.search_{slug(row[0])}"
                    found = connection.execute(
                        f"SELECT * FROM {function}(%s::vector, 10)".encode(), [str(vector)]
                    ).fetchall()
                    self.answers.append((row[0], len(found)))
                except psycopg.Error as error:
                    self.failed.append(str(error))


@contextmanager
def searched(database: Database, folder: Path) -> Iterator[list[Client]]:
    clients = [Client(database.conninfo, folder) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.over.set()
            client.join(20)


def load(database: Database, spec: Retrieval, folder: Path) -> None:
    fill(database.conninfo, Filling(spec, folder, folder / "v.sqlite", create=True), NOTHING)


def active(database: Database) -> list[Any]:
    with psycopg.connect(database.conninfo) as connection:
        return connection.execute("SELECT name, state FROM help.models ORDER BY id").fetchall()


def test_no_search_fails_or_is_short_while_the_model_changes(vectors: Database, folder: Path) -> None:
    load(vectors, spec_of(8), folder)
    with searched(vectors, folder) as clients:
        prepared = prepare(vectors.conninfo, spec_of(24), folder, folder / "v.sqlite", NOTHING)
        assert prepared.embedded == DOCUMENTS
        assert active(vectors) == [("static 8", "active"), ("static 24", "building")]
        (folder / "late.md").write_text("# Late\n\nwords that came meanwhile")
        load(vectors, spec_of(8), folder)
        changed = change(vectors.conninfo, spec_of(24), folder, folder / "v.sqlite", NOTHING)
        time.sleep(0.3)
        assert (changed.active, changed.before) == ("static 24", "static 8")
        assert back(vectors.conninfo, spec_of(24)).active == "static 8"
        time.sleep(0.2)
        change(vectors.conninfo, spec_of(24), folder, folder / "v.sqlite", NOTHING)
        time.sleep(0.2)
    answers = [answer for client in clients for answer in client.answers]
    assert [error for client in clients for error in client.failed] == []
    assert {name for name, _ in answers} == {"static 8", "static 24"}
    assert {count for _, count in answers} == {10}
    with psycopg.connect(vectors.conninfo) as connection:
        assert connection.execute("SELECT count(*) FROM help.embeddings_static_24").fetchone() == (
            DOCUMENTS + 1,
        )


def test_the_old_model_can_be_forgotten_but_not_the_active_one(vectors: Database, folder: Path) -> None:
    load(vectors, spec_of(8), folder)
    with pytest.raises(UsageProblem, match="not prepared"):
        change(vectors.conninfo, spec_of(24), folder, folder / "v.sqlite", NOTHING)
    with pytest.raises(UsageProblem, match="no model to go back to"):
        back(vectors.conninfo, spec_of(24))
    prepare(vectors.conninfo, spec_of(24), folder, folder / "v.sqlite", NOTHING)
    change(vectors.conninfo, spec_of(24), folder, folder / "v.sqlite", NOTHING)
    with pytest.raises(UsageProblem, match="is the active model"):
        drop(vectors.conninfo, spec_of(24), "static 24")
    drop(vectors.conninfo, spec_of(24), "static 8")
    assert active(vectors) == [("static 24", "active")]


def test_back_goes_to_the_model_that_was_active_last(vectors: Database, folder: Path) -> None:
    np.save(folder / "t16.npy", np.random.default_rng(16).normal(size=(200, 16)).astype(np.float32))
    load(vectors, spec_of(8), folder)
    for width in (24, 16):
        prepare(vectors.conninfo, spec_of(width), folder, folder / "v.sqlite", NOTHING)
    for width in (16, 24):
        change(vectors.conninfo, spec_of(width), folder, folder / "v.sqlite", NOTHING)
    assert back(vectors.conninfo, spec_of(24)).active == "static 16"


CHILD = """
import sys; sys.path[:0] = [sys.argv[1] + "/scripts", sys.argv[1] + "/tests"]
from dataclasses import replace
from pathlib import Path
from data_platform.retrieval.changing import prepare
from data_platform.spec.retrieval import Model
from retrieval.test_changing import spec_of, NOTHING
folder = Path(sys.argv[2])
model = Model(name="served", provider="openai", dimensions=8, url=sys.argv[4])
prepare(sys.argv[3], replace(spec_of(8), model=model), folder, folder / "w.sqlite", NOTHING)
print("done")
"""


def test_killed_in_the_middle_it_goes_on(vectors: Database, folder: Path) -> None:
    load(vectors, spec_of(8), folder)
    root = Path(__file__).parents[2]
    with running() as (url, fake):
        fake.plan = ["slow"] * 1000
        command = [sys.executable, "-c", CHILD, str(root), str(folder), vectors.conninfo, url]
        for wait in (0.0, 0.03, 0.06):
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            asked = len(fake.times)
            while len(fake.times) == asked and child.poll() is None:
                time.sleep(0.005)
            time.sleep(wait)
            child.send_signal(signal.SIGKILL)
            child.wait()
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "done\n"
    with psycopg.connect(vectors.conninfo) as connection:
        row = connection.execute(
            "SELECT count(*), count(DISTINCT chunk_id) FROM help.embeddings_served"
        ).fetchone()
    assert row == (DOCUMENTS, DOCUMENTS)
