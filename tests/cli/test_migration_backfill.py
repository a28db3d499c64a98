"""`dpe migration backfill` as a user and an agent meet it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from data_platform.cli import main
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database

ROOT = Path(__file__).parents[2]
SCOPE = """
## Project Scope
### Active Roles
- Data Platform Engineer: Shop DB
"""
SPEC = """
kind: change
store: Shop DB
operations:
  - backfill: {table: orders, set: {amount_new: "amount::bigint", "times": times + 1}, where: amount_new IS NULL}
"""
SHOP = """
CREATE TABLE orders (id bigint PRIMARY KEY, amount integer NOT NULL, amount_new bigint, times int NOT NULL DEFAULT 0);
INSERT INTO orders SELECT n, n FROM generate_series(1, 3000) AS n;
"""
RATED = ("migration", "backfill", "change.yaml", "--dsn", "env:SHOP", "--max-rate", "300")
TIMES = "SELECT count(amount_new), min(times), max(times) FROM orders"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database) -> Path:
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    (tmp_path / "change.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP", database.conninfo)
    return tmp_path


@pytest.fixture
def live(database: Database) -> Iterator[psycopg.Connection]:
    with connect(database.conninfo, read_only=False) as connection:
        connection.execute(SHOP)
        yield connection


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["migration", "backfill", "change.yaml", "--dsn", "env:SHOP", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_it_fills_and_says_how(
    project: Path, live: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = answer(capsys)
    assert (code, said["status"], said["scope"]["store"]) == (0, "ok", "Shop DB")
    result = said["result"]
    assert {"rows", "seconds", "batches", "pauses", "resumed", "rate"} <= result.keys()
    assert (result["rows"], result["resumed"], result["fills"][0]["rows_left"]) == (3000, False, False)
    assert live.execute(TIMES).fetchone() == (3000, 1, 1)
    assert main(["migration", "backfill", "change.yaml", "--dsn", "env:SHOP", "--max-rate", "500"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# Backfill: 0 rows filled")
    assert "was done before" in text
    assert text.rstrip().endswith("dpe migration backfill change.yaml --dsn env:SHOP --max-rate 500\n```")


def test_a_dry_run_changes_nothing(
    project: Path, live: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = answer(capsys, "--dry-run")
    assert (code, said["result"]["dry_run"]) == (0, True)
    assert said["result"]["rows"] > 1000
    assert live.execute(TIMES).fetchone() == (0, 0, 0)
    assert live.execute("SELECT to_regclass('dpe_backfill')").fetchone() == (None,)
    assert main(["migration", "backfill", "change.yaml", "--dsn", "env:SHOP", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "**Verdict: nothing was changed" in text
    assert "UPDATE orders SET amount_new" in text


def test_rows_that_are_left_are_a_warning(
    project: Path, live: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "change.yaml").write_text(SPEC.replace("amount::bigint", "NULL"))
    code, said = answer(capsys, "--fail-on", "warning")
    assert (code, said["findings"][0]["rule"]) == (1, "backfill-rows-left")


def test_an_interruption_is_resumable_and_says_so(
    project: Path, live: psycopg.Connection, capsys: pytest.CaptureFixture[str], database: Database
) -> None:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "dpe.py"), *RATED],
        cwd=project,
        env={**os.environ, "SHOP": database.conninfo},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    for _ in range(200):
        if (live.execute(TIMES).fetchone() or (0,))[0]:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "the same command goes on from there" in said
    code, answered = answer(capsys)
    assert (code, answered["result"]["resumed"]) == (0, True)
    assert live.execute(TIMES).fetchone() == (3000, 1, 1)


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("Shop DB", "Billing DB", 5, "Billing DB"),
        ("store: Shop DB\n", "", 2, "whose database"),
        ("kind: change", "kind: model", 2, "no spec of kind change"),
        ("backfill:", "fill_back:", 2, "unknown key `fill_back`"),
        ("amount::bigint", "amount::", 2, "change.yaml:5"),
        ("where:", "were:", 2, "`where:`"),
        ("table: orders", "table: order.s.x", 2, "schema.name"),
        ("table: orders", "table: nowhere", 2, "there is no table `public.nowhere`"),
        ("times + 1", "tmes + 1", 2, '"tmes" does not exist'),
        ("where:", "key: [amount], where:", 2, "cannot be gone through"),
        ("set: {", "set: {}, x: {", 2, "needs `set:`"),
    ],
)
def test_what_makes_no_sense_is_refused(
    project: Path,
    live: psycopg.Connection,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    code: int,
    said: str,
) -> None:
    assert old in SPEC
    (project / "change.yaml").write_text(SPEC.replace(old, new))
    assert main(["migration", "backfill", "change.yaml", "--dsn", "env:SHOP"]) == code
    assert said in capsys.readouterr().err
    assert live.execute(TIMES).fetchone() == (0, 0, 0)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--batch-ms", "0"), ("--max-rate", "-1"), ("--max-active", "-1"), ("--place-schema", "")],
)
def test_options_that_make_no_sense(
    project: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert main(["migration", "backfill", "change.yaml", "--dsn", "env:SHOP", option, value]) == 2
    assert option in capsys.readouterr().err


def test_the_example_runs(
    live: psycopg.Connection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.execute(
        "DROP TABLE orders; CREATE TABLE orders (id bigint PRIMARY KEY, placed_at timestamptz, note text)"
    )
    live.execute("INSERT INTO orders VALUES (1, '2025-03-01Z'), (2, '2026-03-01Z')")
    monkeypatch.setenv("SHOP", database.conninfo)
    project = str(ROOT / "examples" / "storefront")
    spec = f"{project}/order_notes.yaml"
    assert main(["migration", "backfill", spec, "--dsn", "env:SHOP", "--project", project]) == 0
    notes = live.execute("SELECT note FROM orders ORDER BY id").fetchall()
    assert notes == [("placed in 2025",), (None,)]


def test_the_fills_of_other_operations_run_too(
    project: Path, live: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """Expand has run on the server: the columns are there, and their values are not."""
    (project / "base.sql").write_text("CREATE TABLE labels (id bigint PRIMARY KEY, size integer);")
    (project / "change.yaml").write_text(
        "kind: change\nstore: Shop DB\nbase: base.sql\noperations:\n"
        "  - add_column: {table: labels, column: code, type: text, required: true, fill: \"'c' || id\"}\n"
    )
    live.execute("CREATE TABLE labels (id bigint PRIMARY KEY, size integer, code text)")
    live.execute("INSERT INTO labels SELECT i, i FROM generate_series(1, 500) AS i")
    assert main(["migration", "backfill", "change.yaml", "--dsn", "env:SHOP"]) == 0
    assert "500" in capsys.readouterr().out
    found = live.execute("SELECT count(*) FROM labels WHERE code = 'c' || id").fetchone()
    assert found == (500,)
