"""`dpe pipeline` as a user and an agent meet it."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from data_platform.cli import main
from data_platform.cli.parser import parse
from data_platform.cli.pipeline import COMMANDS
from data_platform.postgres.pipelines.state import State
from data_platform.postgres.server import Database

ROOT = Path(__file__).parents[2]
SCOPE = "## Project Scope\n### Active Roles\n- Data Platform Engineer: Shop DB\n"
SPEC = """
kind: pipeline
store: Shop DB
name: orders
pattern: incremental
sources:
  - {name: orders, path: 'in/*.csv', columns: {id: bigint, email: text, total: 'numeric(10,2)'}, sensitive: [email]}
targets: [{table: shop.orders, key: [id]}]
service_levels: {loss: 0.4, freshness: 1 hour}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database) -> Path:
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    (tmp_path / "orders.yaml").write_text(SPEC)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text("id,email,total\n1,ann@example.org,5\n2,bob@example.org,x\n3,,1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP", database.conninfo)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], verb: str, *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["pipeline", verb, "orders.yaml", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    return answer(capsys, "run", "--dsn", "env:SHOP", *words)


def test_run_twice_and_looked_at(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "--dry-run")
    assert (code, said["result"]["rows"]["inserted"]) == (0, 2)
    code, said = run(capsys)
    assert (code, said["status"], said["scope"]["store"]) == (0, "ok", "Shop DB")
    rows = said["result"]["rows"]
    assert (rows["read"], rows["inserted"], rows["quarantined"]) == (3, 2, 1)
    assert [one["rule"] for one in said["findings"]] == ["rows-quarantined"]
    assert run(capsys)[1]["result"]["steps"] == []
    code, said = answer(capsys, "status", "--dsn", "env:SHOP")
    assert (code, [one["status"] for one in said["result"]["runs"]]) == (0, ["done", "done"])
    assert [one["reason"] for one in said["result"]["quarantine"]] == ["total: not numeric(10,2)"]
    (project / "in" / "2.csv").write_text("id,email,total\nx,,y\n")
    run(capsys)
    _, said = answer(capsys, "status", "--dsn", "env:SHOP")
    assert [one["rows"] for one in said["result"]["quarantine"]] == [2, 1]
    assert said["result"]["rows_in_quarantine"] == 2
    assert "rows in quarantine: 2; reasons: 2" in [one["message"] for one in said["findings"]]


def test_quarantine_is_tried_again(
    project: Path, capsys: pytest.CaptureFixture[str], database: Database
) -> None:
    run(capsys)
    assert main(["pipeline", "status", "orders.yaml", "--dsn", "env:SHOP"]) == 0
    assert "dpe pipeline replay" in capsys.readouterr().out
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute("ALTER TABLE shop.orders ALTER total TYPE text")
    (project / "orders.yaml").write_text(SPEC.replace("'numeric(10,2)'", "text"))
    code, said = answer(capsys, "replay", "--dsn", "env:SHOP")
    rows = said["result"]["rows"]
    assert (code, rows["replayed"], rows["written"], rows["still_quarantined"]) == (0, 1, 1, 0)
    assert said["result"]["quarantine"] == {"before": 1, "after": 0, "orphans": 0}
    code, said = answer(capsys, "status", "--dsn", "env:SHOP")
    assert [one["kind"] for one in said["result"]["runs"]] == ["replay", "run"]


def test_more_loss_than_is_allowed_is_an_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "orders.yaml").write_text(SPEC.replace("loss: 0.4", "loss: 0.1"))
    code, said = run(capsys)
    assert (code, said["status"], said["findings"][0]["severity"]) == (1, "findings", "error")
    assert run(capsys, "--fail-on", "never")[0] == 0
    (project / "in" / "2.csv").write_text("id,email,total\n9,a,x\n")
    assert main(["pipeline", "run", "orders.yaml", "--dsn", "env:SHOP"]) == 1
    assert "**Verdict: done, but not as promised.**" in capsys.readouterr().out


def test_what_is_sensitive_is_not_shown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys)
    assert main(["pipeline", "status", "orders.yaml", "--dsn", "env:SHOP"]) == 0
    assert "bob@example.org" not in capsys.readouterr().out


def test_status_before_any_run(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = answer(capsys, "status", "--dsn", "env:SHOP")
    assert (code, [one["rule"] for one in said["findings"]]) == (0, ["never-ran"])


def test_a_run_that_is_going_on_is_told(
    project: Path, capsys: pytest.CaptureFixture[str], database: Database
) -> None:
    run(capsys)
    with psycopg.connect(database.conninfo) as connection:
        state = State(connection, "dpe_pipeline", "orders")
        with state.run("0"):
            connection.commit()
            assert (
                answer(capsys, "status", "--dsn", "env:SHOP")[1]["result"]["runs"][0]["status"] == "running"
            )
    assert answer(capsys, "status", "--dsn", "env:SHOP")[1]["result"]["runs"][0]["status"] == "stopped"


def test_a_run_that_was_killed_is_told_and_goes_on(
    project: Path, capsys: pytest.CaptureFixture[str], database: Database
) -> None:
    (project / "in" / "2.csv").write_text(
        "id,email,total\n" + "".join(f"{n},a,1\n" for n in range(10, 400_000))
    )
    command = [
        sys.executable,
        str(ROOT / "scripts" / "dpe.py"),
        "pipeline",
        "run",
        "orders.yaml",
        "--dsn",
        "env:SHOP",
    ]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        waiting = "SELECT FROM pg_stat_progress_copy WHERE datname = current_database()"
        while connection.execute(waiting).fetchone() is None and child.poll() is None:
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        child.wait()
        there = "SELECT count(*) > 1 FROM pg_stat_activity WHERE datname = current_database()"
        while connection.execute(there).fetchone() == (True,):
            time.sleep(0.01)
    code, said = answer(capsys, "status", "--dsn", "env:SHOP")
    assert (code, said["result"]["runs"][0]["status"]) == (1, "stopped")
    assert run(capsys)[0] == 0
    with psycopg.connect(database.conninfo) as connection:
        assert connection.execute("SELECT count(*) FROM shop.orders").fetchone() == (399_992,)


def test_a_proof(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = answer(capsys, "prove", "--kills", "1", "--rows", "100")
    assert (code, said["result"]["verdict"]) == (0, "proven")
    assert {"fault", "at", "lost", "doubled", "equal", "why"} == set(said["result"]["runs"][0])
    assert said["result"]["rows"]["shop.orders"] > 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("prove", "--kills", "-1"), "--kills -1"),
        (("prove", "--rows", "1"), "--rows 1"),
        (("replay", "--dsn", "env:SHOP", "--limit", "0"), "--limit 0"),
        (("run", "--dsn", "env:NOWHERE"), "NOWHERE is not set"),
    ],
)
def test_what_cannot_be_is_told(
    project: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    code, said = answer(capsys, *words)
    assert (code, told in said["findings"][0]["message"]) == (2, True)


def test_a_store_that_is_not_ours_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "orders.yaml").write_text(SPEC.replace("Shop DB", "Billing DB"))
    for verb, words in (
        ("run", ["--dsn", "env:SHOP"]),
        ("replay", ["--dsn", "env:SHOP"]),
        ("status", ["--dsn", "env:SHOP"]),
        ("prove", []),
    ):
        assert main(["pipeline", verb, "orders.yaml", *words]) == 5


def test_the_store_of_a_collection_is_asked_for_too(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "kind: pipeline\nstore: Shop DB\nname: p\npattern: cqrs\n"
    text += "sources: [{name: things, dsn: target, table: things, key: [id]}]\n"
    text += "collections: [{name: c, store: Search, url: env:Q, collection: c, from: things,"
    text += " vector: {column: v, dimensions: 2}}]"
    (project / "orders.yaml").write_text(text)
    for words in (["pipeline", "run", "orders.yaml", "--dsn", "env:SHOP"], ["spec", "check", "orders.yaml"]):
        assert main(words) == 5
    stores = "### Data Stores\n| Store | Engine | Owner Role |\n|---|---|---|\n"
    stores += "| Search | {} | Data Platform Engineer |\n"
    (project / "CLAUDE.md").write_text(SCOPE + stores.format("Qdrant"))
    assert main(["spec", "check", "orders.yaml"]) == 0
    (project / "CLAUDE.md").write_text(SCOPE + stores.format("redis"))
    capsys.readouterr()
    assert main(["pipeline", "run", "orders.yaml", "--dsn", "env:SHOP"]) == 2
    assert "Search is a store of redis" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        "run orders.yaml --dsn env:SHOP",
        "replay orders.yaml --dsn env:SHOP --reason 'not a' --limit 3",
        "prove orders.yaml --kills 0 --rows 60 --seed 2",
    ],
)
def test_the_command_that_is_told_is_one(
    project: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    assert main(["pipeline", *shlex.split(words)]) == 0
    told = next(part for part in capsys.readouterr().out.split("`") if part.startswith("dpe pipeline"))
    command = next(one for one in COMMANDS if one.verb == words.split(maxsplit=1)[0])
    assert vars(parse(command, shlex.split(told)[3:])) == vars(parse(command, shlex.split(words)[1:]))
