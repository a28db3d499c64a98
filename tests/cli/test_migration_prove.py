"""`dpe migration prove` as a user and an agent meet it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_platform.cli import main
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database

SCOPE = """
## Project Scope
### Active Roles
- Data Platform Engineer: Shop DB
"""
BASE = "CREATE TABLE orders (id bigint PRIMARY KEY, amount integer NOT NULL, note text);\n"
MODEL = """
kind: model
store: Shop DB
tables:
  orders:
    rows: 250
    columns:
      id: {type: bigint, primary_key: true}
      amount: integer
      note: {type: text, nullable: true}
access_patterns:
  by_note:
    sql: SELECT id FROM orders WHERE note = :note
    parameters: {note: text}
"""
LATER = MODEL.replace("note", "remark").replace("by_remark", "by_note")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    (tmp_path / "base.sql").write_text(BASE)
    (tmp_path / "model.yaml").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["migration", "prove", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_migration_that_holds_nobody_up(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "m.sql").write_text("ALTER TABLE orders ADD COLUMN tag text;\n")
    code, said = answer(capsys, "m.sql", "--schema", "base.sql", "--rows", "500")
    assert (code, said["status"], said["command"]) == (0, "ok", "migration prove")
    result = said["result"]
    assert result["verdict"] == "proven"
    (one,) = result["statements"]
    wanted = {"index", "file", "line", "sql", "seconds", "error", "locks", "rewrites", "scans", "wal_bytes"}
    assert wanted | {"max_read_stall_s", "max_write_stall_s"} <= one.keys()
    assert (one["index"], one["file"], one["line"], one["error"]) == (1, "m.sql", 1, None)
    assert {"relation": "public.orders", "mode": "ACCESS EXCLUSIVE", "kind": "table", "since": 1} in one[
        "locks"
    ]
    assert {"server_version", "reversible", "data_lost", "recovers", "estimate"} <= result.keys()


def test_what_fails_is_found_with_its_place_and_the_way_out(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "m.sql").write_text("SELECT 1;\nCREATE INDEX i ON orders (amount);\n")
    code, said = answer(capsys, "m.sql", "--schema", "base.sql", "--rows", "500", "--html", "p.html")
    assert (code, said["status"]) == (1, "failed")
    (finding,) = (one for one in said["findings"] if one["severity"] == "error")
    assert (finding["rule"], finding["file"], finding["line"]) == ("blocks-while-it-works", "m.sql", 2)
    page = (project / "p.html").read_text()
    assert "Locks over time" in page
    assert 'class="writes"' in page
    assert main(["migration", "prove", "m.sql", "--schema", "base.sql", "--rows", "500"]) == 1
    text = capsys.readouterr().out
    assert text.startswith("# Migration `m`: keeps out writes of `orders`")
    assert "CREATE INDEX CONCURRENTLY i ON" in text
    assert text.rstrip().endswith("dpe migration prove m.sql --schema base.sql --rows 500\n```")


def test_a_model_gives_schema_rows_and_what_the_application_asks(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "later.yaml").write_text(LATER)
    (project / "m.sql").write_text("ALTER TABLE orders RENAME COLUMN note TO remark;\n")
    words = ("m.sql", "--schema", "model.yaml", "--to", "later.yaml", "--rows", "500")
    code, said = answer(capsys, *words)
    assert code == 1
    old, new = said["result"]["patterns"]
    assert (old["model"], old["works_before"], old["breaks_after"]) == ("old", True, 1)
    assert (new["model"], new["works_before"], new["works_from"]) == ("new", False, 1)


def test_a_syntax_error_is_told_with_line_and_column(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "m.sql").write_text("SELECT 1;\n  ALTER TABEL orders ADD x int;\n")
    assert main(["migration", "prove", "m.sql", "--schema", "base.sql"]) == 2
    assert "m.sql:2:9" in capsys.readouterr().err


def test_commands_of_psql_are_left_out_and_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "m.sql").write_text("\\set ON_ERROR_STOP on\nALTER TABLE orders ADD COLUMN x int;\n")
    code, said = answer(capsys, "m.sql", "--schema", "base.sql", "--rows", "50", "--no-traffic")
    assert code == 0
    assert any("\\set" in note for note in said["result"]["notes"])


def test_down_is_taken_from_the_files_own_marks(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "-- migrate:up\nALTER TABLE orders ADD COLUMN x int;\n-- migrate:down\nALTER TABLE orders DROP COLUMN x;\n"
    (project / "m.sql").write_text(text)
    code, said = answer(capsys, "m.sql", "--schema", "base.sql", "--rows", "50", "--no-traffic")
    assert (code, said["result"]["reversible"]) == (0, True)
    assert len(said["result"]["statements"]) == 1


def test_an_extension_that_is_not_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "m.sql").write_text("CREATE EXTENSION timescaledb;\n")
    code, said = answer(capsys, "m.sql", "--schema", "base.sql", "--rows", "50")
    assert (code, said["result"]["verdict"]) == (1, "not_provable: extension timescaledb")


def test_a_live_server_gives_its_schema_and_row_counts_but_no_row(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    database: Database,
) -> None:
    with connect(database.conninfo, read_only=False) as live:
        live.execute(BASE)
        live.execute("INSERT INTO orders SELECT n, 7, 'a secret' FROM generate_series(1, 3000) AS n")
        live.execute("ANALYZE orders")
    monkeypatch.setenv("SHOP", database.conninfo)
    (project / "m.sql").write_text("ALTER TABLE orders ALTER amount TYPE bigint;\n")
    words = ("m.sql", "--dsn", "env:SHOP", "--store", "Shop DB", "--rows", "4000")
    code, said = answer(capsys, *words)
    assert code in (0, 1)  # by the machine's speed: production has no more rows than were run
    assert said["result"]["rows"][0]["rows"] == 4000
    assert said["result"]["statements"][0]["rewrites"] == ["public.orders"]
    assert said["result"]["statements"][0]["keeps_out"] == []
    assert "a secret" not in json.dumps(said)
    with connect(database.conninfo, read_only=True) as live:
        assert live.execute("SELECT count(*) FROM orders").fetchone() == (3000,)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rows", "many"), "--rows many"),
        (("--dsn", "env:X", "--schema", "base.sql"), "both say what the schema is"),
        (("--dsn", "env:X"), "--store"),
        (("--schema", "model.yaml", "--schema", "base.sql"), "a model is a whole schema"),
        (("--max-stall", "-1"), "--max-stall"),
    ],
)
def test_what_makes_no_sense_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    (project / "m.sql").write_text("SELECT 1;\n")
    assert main(["migration", "prove", "m.sql", *words]) == 2
    assert said in capsys.readouterr().err


def test_an_empty_migration_is_none(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "m.sql").write_text("-- nothing yet\n")
    assert main(["migration", "prove", "m.sql", "--schema", "base.sql"]) == 2
    assert "no statement" in capsys.readouterr().err
