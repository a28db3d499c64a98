"""A disk that fills up while a store is loaded: a clear answer, nothing half done, and room is all that it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest

from data_platform.cli import main
from data_platform.postgres.server import Database, Server
from disks import ROOT_ONLY, database_on, leave, make_room, mounted

DOCUMENTS, WIDTH = 7000, 64
SCOPE = """
## Project Scope
### Active Roles
- Data Platform Engineer: Shop DB
"""
SPEC = f"""
kind: retrieval
store: Shop DB
name: help
sources: [{{path: lines.jsonl}}]
chunking: {{size: 1000}}
model: {{name: m, provider: static, dimensions: {WIDTH}, path: t.npy, tokenizer: tokenizer.json}}
rows: {{now: {DOCUMENTS}, in_a_year: 1000000}}
hybrid: true
"""
LOAD = ("retrieval", "load", "help.yaml", "--dsn", "env:SHOP", "--create")
WHOLE = """
SELECT count(*), count(*) FILTER (WHERE chunks = 1 AND vectors = 1) FROM (
    SELECT count(c.id) AS chunks, count(e.chunk_id) AS vectors
    FROM help.documents d LEFT JOIN help.chunks c ON c.document_id = d.id
    LEFT JOIN help.embeddings_m e ON e.chunk_id = c.id GROUP BY d.id) AS each
"""

pytestmark = ROOT_ONLY


@pytest.fixture
def disk() -> Iterator[Path]:
    with mounted(64) as path:
        yield path


@pytest.fixture
def small(server: Server, disk: Path) -> Iterator[Database]:
    """A database on that disk."""
    with database_on(disk, server, ("vector",)) as database:
        yield database


@pytest.fixture
def project(tmp_path: Path, small: Database, tokenizer_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    (tmp_path / "help.yaml").write_text(SPEC)
    words = "some words and more words of them several believable " * 5
    lines = [json.dumps({"id": n, "text": f"{n} {words}"}) + "\n" for n in range(DOCUMENTS)]
    (tmp_path / "lines.jsonl").write_text("".join(lines))
    np.save(tmp_path / "t.npy", np.random.default_rng(3).normal(size=(200, WIDTH)).astype(np.float32))
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP", small.conninfo)
    return tmp_path


def whole(database: Database) -> tuple[int, int]:
    """Documents, and how many of them have their chunk and its vector."""
    with psycopg.connect(database.conninfo) as connection:
        row = connection.execute(WHOLE).fetchone()
    assert row
    return row


def searched(database: Database) -> list[bool]:
    """The indexes of the vectors and the words, whether each is valid; and a search must answer."""
    with psycopg.connect(database.conninfo) as connection:
        found = connection.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid IN"
            " ('help.embeddings_m_near'::regclass, 'help.chunks_search'::regclass)"
        ).fetchall()
        query = str([1.0] * WIDTH)
        answer = connection.execute("SELECT count(*) FROM help.search_m(%s::vector, 10)", [query]).fetchone()
    assert answer == (10,)
    return [row[0] for row in found]


def test_in_the_middle_of_the_rows(
    project: Path, small: Database, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(disk, 7.5)
    assert main(list(LOAD)) == 6
    said = capsys.readouterr().err
    assert "the server's disk is full: could not extend file" in said
    assert "try: make room on the server's disk, then the same command again" in said
    documents, complete = whole(small)
    assert 0 < documents < DOCUMENTS
    assert documents == complete
    make_room(disk)
    assert main([*LOAD, "--json"]) == 0
    done = json.loads(capsys.readouterr().out)["result"]
    assert (done["new"], done["unchanged"]) == (DOCUMENTS - documents, documents)
    assert whole(small) == (DOCUMENTS, DOCUMENTS)
    assert searched(small) == [True, True]


def test_while_the_indexes_are_built(
    project: Path, small: Database, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(disk, 10)
    assert main(list(LOAD)) == 6
    assert "the server's disk is full: could not extend file" in capsys.readouterr().err
    assert whole(small) == (DOCUMENTS, DOCUMENTS)
    make_room(disk)
    assert main([*LOAD, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["unchanged"] == DOCUMENTS
    assert searched(small) == [True, True]


def test_of_the_memory_of_vectors(
    project: Path, small: Database, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mounted(1) as kept:
        assert main([*LOAD, "--memory", str(kept / "v.sqlite")]) == 6
        said = capsys.readouterr().err
        assert "database or disk is full" in said
        assert "try: another --memory FILE" in said
    assert whole(small) == (0, 0)
    assert main([*LOAD, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["new"] == DOCUMENTS
