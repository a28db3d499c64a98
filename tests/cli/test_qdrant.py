"""`dpe qdrant` as a user meets it: against a server that answers as documented, and PostgreSQL itself."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from data_platform.cli import main
from data_platform.cli.parser import parse
from data_platform.cli.qdrant import COMMANDS
from data_platform.postgres.server import Database
from data_platform.retrieval.qdrant.copy import index_of, sparse_of
from retrieval.qdrant.server import Recorded, running

SCOPE = "## Project Scope\n### Active Roles\n- Data Platform Engineer: Shop DB\n"
SPEC = """
kind: retrieval
store: Shop DB
name: notes
sources: [{path: notes/*.md, metadata: {topic: garden, labels: [a, b]}}]
chunking: {strategy: markdown}
model: {name: words, provider: static, dimensions: 16, path: t.npy, tokenizer: tokenizer.json}
queries: {k: 3}
filters: [{name: topic, type: text}, {name: labels, type: "text[]"}]
hybrid: true
"""
TABLES = ("documents", "chunks", "embeddings_words")
COLUMNS = {
    "documents": "id, uri, title, media_type, content_hash, metadata",
    "chunks": "id, document_id, ordinal, content, content_hash, start_offset, end_offset, heading_path, topic, labels",
    "embeddings_words": "chunk_id, topic, labels",
}


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database, tokenizer_file: Path
) -> Path:
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    (tmp_path / "notes").mkdir()
    known = ["some", "words", "and", "more", "words", "of", "them", "several", "believable"]
    for number in range(20):
        text = " ".join(word for place, word in enumerate(known) if (number + 1) >> place % 5 & 1)
        (tmp_path / "notes" / f"{number}.md").write_text(f"# Note {number}\n\n{text}\n")
    (tmp_path / "notes.yaml").write_text(SPEC)
    np.save(tmp_path / "t.npy", np.random.default_rng(3).normal(size=(200, 16)).astype(np.float32))
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    with psycopg.connect(database.admin_conninfo, autocommit=True) as admin:
        admin.execute("CREATE EXTENSION vector")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP", database.conninfo)
    monkeypatch.setenv("KEY", "secret-key")
    assert main(["retrieval", "load", "notes.yaml", "--dsn", "env:SHOP", "--create"]) == 0
    return tmp_path


@pytest.fixture
def qdrant() -> Iterator[tuple[str, Recorded]]:
    with running() as (url, recorded):
        yield url, recorded


def ask(capsys: pytest.CaptureFixture[str], url: str, verb: str, *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["qdrant", verb, "notes.yaml", "--url", url, "--key", "env:KEY", *words, "--json"])
    said = json.loads(capsys.readouterr().out)
    return code, said if said["status"] == "error" else said["result"]


def stored(database: Database) -> dict[str, list[Any]]:
    with psycopg.connect(database.conninfo) as connection:
        return {
            table: connection.execute(
                f"SELECT {COLUMNS[table]} FROM notes.{table} ORDER BY 1".encode()
            ).fetchall()
            for table in TABLES
        }


def test_made_loaded_and_looked_at(
    project: Path, qdrant: tuple[str, Recorded], capsys: pytest.CaptureFixture[str]
) -> None:
    url, recorded = qdrant
    assert ask(capsys, url, "apply")[1]["calls"] > 0
    assert ask(capsys, url, "apply")[1]["calls"] == 0
    for _ in range(2):
        code, done = ask(capsys, url, "load", "--dsn", "env:SHOP")
        assert (code, done["sent"], done["counted"], done["store"]) == (0, 20, 20, 20)
        assert (done["recall"]["value"], done["recall"]["queries"]) == (1.0, 20)
    assert set(recorded.keys) == {"secret-key"}
    point = next(iter(recorded.points["notes_v1"].values()))
    assert point["payload"]["topic"] == "garden"
    assert index_of("word") in point["vector"]["words"]["indices"]
    assert ask(capsys, url, "audit")[0] == 0


def test_there_and_back_nothing_is_lost(
    project: Path, qdrant: tuple[str, Recorded], capsys: pytest.CaptureFixture[str], database: Database
) -> None:
    url, _ = qdrant
    before = stored(database)
    ask(capsys, url, "apply")
    ask(capsys, url, "load", "--dsn", "env:SHOP")
    with psycopg.connect(database.conninfo) as connection:
        connection.execute("DROP SCHEMA notes CASCADE")
    code, done = ask(capsys, url, "copy", "--dsn", "env:SHOP", "--create")
    assert (code, done["sent"], done["store"], done["recall"]["value"]) == (0, 20, 20, 1.0)
    assert stored(database) == before
    assert ask(capsys, url, "copy", "--dsn", "env:SHOP")[1]["store"] == 20
    main(["retrieval", "load", "notes.yaml", "--dsn", "env:SHOP", "--json"])
    assert json.loads(capsys.readouterr().out)["result"]["unchanged"] == 20


def test_points_that_the_store_does_not_have(
    project: Path, qdrant: tuple[str, Recorded], capsys: pytest.CaptureFixture[str]
) -> None:
    url, recorded = qdrant
    ask(capsys, url, "apply")
    ask(capsys, url, "load", "--dsn", "env:SHOP")
    (project / "notes" / "0.md").unlink()
    main(["retrieval", "load", "notes.yaml", "--dsn", "env:SHOP"])
    code, done = ask(capsys, url, "load", "--dsn", "env:SHOP")
    assert (code, done["counted"], done["store"]) == (1, 20, 19)
    code, done = ask(capsys, url, "load", "--dsn", "env:SHOP", "--prune")
    assert (code, done["counted"], done["pruned"], len(recorded.points["notes_v1"])) == (0, 19, 1, 19)


def test_answers_that_are_not_the_nearest_are_seen(
    project: Path,
    qdrant: tuple[str, Recorded],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, recorded = qdrant
    ask(capsys, url, "apply")
    farthest = recorded._nearest
    monkeypatch.setattr(
        recorded,
        "_nearest",
        lambda name, body: farthest(name, {**body, "query": [-one for one in body["query"]]}),
    )
    code, done = ask(capsys, url, "load", "--dsn", "env:SHOP")
    assert done["recall"]["high"] < 0.95
    assert (code, done["counted"], done["store"]) == (1, 20, 20)


def test_a_point_without_a_text_stops_the_copy(
    project: Path, qdrant: tuple[str, Recorded], capsys: pytest.CaptureFixture[str], database: Database
) -> None:
    url, recorded = qdrant
    ask(capsys, url, "apply")
    ask(capsys, url, "load", "--dsn", "env:SHOP")
    before = stored(database)
    *_, last = sorted(recorded.points["notes_v1"])
    recorded.points["notes_v1"][last]["payload"].pop("content")
    for point in recorded.points["notes_v1"].values():
        point["payload"]["topic"] = "kitchen"
    code, said = ask(capsys, url, "copy", "--dsn", "env:SHOP")
    assert (code, last in said["findings"][0]["message"]) == (2, True)
    assert stored(database) == before


def test_an_empty_collection_makes_no_store(
    project: Path, qdrant: tuple[str, Recorded], capsys: pytest.CaptureFixture[str], database: Database
) -> None:
    url, _ = qdrant
    ask(capsys, url, "apply")
    with psycopg.connect(database.conninfo) as connection:
        connection.execute("DROP SCHEMA notes CASCADE")
    code, said = ask(capsys, url, "copy", "--dsn", "env:SHOP", "--create")
    assert (code, said["findings"][0]["message"]) == (2, "the collection `notes_v1` is empty")
    with psycopg.connect(database.conninfo) as connection:
        assert connection.execute("SELECT to_regnamespace('notes')").fetchone() == (None,)


def test_alias_snapshot_and_restore(
    project: Path, qdrant: tuple[str, Recorded], capsys: pytest.CaptureFixture[str]
) -> None:
    url, recorded = qdrant
    ask(capsys, url, "apply")
    ask(capsys, url, "load", "--dsn", "env:SHOP", "--sample", "0")
    made = ask(capsys, url, "snapshot")[1]["snapshot"]["name"]
    place = f"file:///qdrant/snapshots/{made}"
    code, restored = ask(capsys, url, "restore", "--from", place, "--into", "notes v2/a")
    assert (code, restored["points"]) == (0, 20)
    assert ask(capsys, url, "restore", "--from", place, "--into", "notes v2/a")[0] == 2
    assert ask(capsys, url, "alias", "--to", "absent")[0] == 2
    assert ask(capsys, url, "alias", "--to", "notes v2/a")[0] == 0
    assert recorded.aliases == {"notes": "notes v2/a"}
    assert ask(capsys, url, "alias", "--to", "notes_v1")[1]["before"] == "notes v2/a"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("load", "--dsn", "env:SHOP"), "there is no alias `notes`"),
        (("load", "--dsn", "env:SHOP", "--to", "other"), "there is no collection `other`"),
        (("copy", "--dsn", "env:SHOP", "--from", "other"), "there is no collection `other`"),
        (("copy", "--dsn", "env:SHOP", "--sample", "-1"), "--sample -1"),
        (("snapshot",), "there is no alias `notes`"),
    ],
)
def test_what_cannot_be_is_told(
    project: Path,
    qdrant: tuple[str, Recorded],
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    told: str,
) -> None:
    code, said = ask(capsys, qdrant[0], *words)
    assert (code, told in said["findings"][0]["message"]) == (2, True)


def test_a_store_that_is_not_ours_is_refused(
    project: Path, qdrant: tuple[str, Recorded], capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "notes.yaml").write_text(SPEC.replace("Shop DB", "Billing DB"))
    url, recorded = qdrant
    for verb in ("apply", "load", "copy"):
        words = ["--dsn", "env:SHOP"] if verb != "apply" else []
        assert main(["qdrant", verb, "notes.yaml", "--url", url, *words]) == 5
    assert recorded.asked == []


def test_the_commands_that_are_told_are_whole(
    project: Path, qdrant: tuple[str, Recorded], capsys: pytest.CaptureFixture[str]
) -> None:
    url, _ = qdrant
    ask(capsys, url, "apply")
    for verb, *words in (
        ("apply",),
        ("load", "--dsn", "env:SHOP", "--to", "notes_v1", "--sample", "5"),
        ("copy", "--dsn", "env:SHOP", "--from", "notes_v1"),
        ("alias", "--to", "notes_v1"),
        ("audit",),
        ("plan",),
    ):
        capsys.readouterr()
        given = ["qdrant", verb, "notes.yaml", "--url", url, "--key", "env:KEY", *words]
        assert main(given) == 0
        told = [part for part in capsys.readouterr().out.split("`") if part.startswith(f"dpe qdrant {verb} ")]
        command = next(one for one in COMMANDS if one.verb == verb)
        assert vars(parse(command, shlex.split(told[-1])[3:])) == vars(parse(command, given[2:]))


def test_words_become_places_that_any_program_can_make() -> None:
    sparse, shared = sparse_of({"garden": 2, "bed": 1})
    assert (sparse is not None, shared) == (True, 0)
    assert sparse is not None
    assert sparse["indices"] == sorted(sparse["indices"])
    assert dict(zip(sparse["indices"], sparse["values"], strict=True))[index_of("garden")] == 2.0
    assert sparse_of({}) == (None, 0)
