"""`dpe schema` and `dpe spec` as a user and an agent meet them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from data_platform.cli import main
from data_platform.postgres.server import Server

ROOT = Path(__file__).parents[2]
SCOPE = """
## Project Scope
### Active Roles
- Data Platform Engineer: Customer DB
"""
MODEL = """
kind: model
store: Customer DB
tables:
  customers:
    columns:
      id: {type: bigint, identity: always, primary_key: true}
      name: text
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    (tmp_path / "model.yaml").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_render_prints_sql(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "render", "model.yaml"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("-- Customer DB: made by data-platform-engineer")
    assert "CREATE TABLE customers (" in out


def test_render_writes_and_does_not_overwrite_what_differs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", "render", "model.yaml", "--output", "schema.sql"]) == 0
    first = (project / "schema.sql").read_text()
    assert main(["schema", "render", "model.yaml", "--output", "schema.sql"]) == 0
    (project / "schema.sql").write_text("mine")
    assert main(["schema", "render", "model.yaml", "--output", "schema.sql"]) == 2
    assert (project / "schema.sql").read_text() == "mine"
    assert main(["schema", "render", "model.yaml", "--output", "schema.sql", "--force"]) == 0
    assert (project / "schema.sql").read_text() == first


def test_split_files_run_in_the_order_of_their_names(
    project: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    import psycopg

    assert main(["schema", "render", "model.yaml", "--split", "--output", "ddl"]) == 0
    with server.scratch_database() as database, psycopg.connect(database.conninfo) as connection:
        for path in sorted((project / "ddl").iterdir()):
            connection.execute(path.read_bytes())
        assert connection.execute("SELECT count(*) FROM customers").fetchone() == (0,)


def test_split_needs_a_place(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "render", "model.yaml", "--split"]) == 2
    assert "--output DIR" in capsys.readouterr().err


def test_the_envelope(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, envelope = answer(capsys, "schema", "lint", "model.yaml")
    assert code in (0, 1)
    keys = {"tool", "version", "command", "status", "scope", "findings", "result", "artifacts", "elapsed_s"}
    assert set(envelope) == keys
    assert envelope["scope"]["verdict"] == "owned"
    assert envelope["scope"]["store"] == "Customer DB"


def test_a_store_that_is_not_ours_is_refused_before_the_spec_is_judged(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "model.yaml").write_text("kind: nonsense\nstore: Billing DB\n")
    code, envelope = answer(capsys, "schema", "prove", "model.yaml")
    assert (code, envelope["status"]) == (5, "refused")


def test_all_errors_of_a_spec_at_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "model.yaml").write_text(MODEL.replace("name: text", "name: txt\n      age: {typ: int}"))
    code, envelope = answer(capsys, "spec", "check", "model.yaml")
    assert (code, envelope["status"]) == (2, "error")
    assert [(f["line"], f["rule"]) for f in envelope["findings"]] == [(9, "spec-unknown-key")]


@pytest.mark.parametrize("rows", ["x", "-1", "customers=", "=5", "customer=5", "1e9"])
def test_rows_that_make_no_sense(project: Path, capsys: pytest.CaptureFixture[str], rows: str) -> None:
    assert main(["schema", "prove", "model.yaml", "--rows", rows]) == 2
    assert "--rows" in capsys.readouterr().err


def test_prove_on_a_live_server_leaves_nothing_and_hides_the_password(
    project: Path, server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    def left_overs() -> list[tuple[str, ...]]:
        query = """SELECT datname FROM pg_database WHERE datname LIKE 'dpe%'
                   UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE 'dpe%' ORDER BY 1"""
        with psycopg.connect(server.conninfo) as connection:
            return connection.execute(query).fetchall()

    before = left_overs()
    secret = conninfo_to_dict(server.conninfo)["password"]
    monkeypatch.setenv("SCRATCH", server.conninfo)
    assert (
        main(["schema", "prove", "model.yaml", "--rows", "20", "--dsn", "env:SCRATCH", "--output", "r.md"])
        == 0
    )
    text = (project / "r.md").read_text() + "".join(capsys.readouterr())
    assert secret not in text
    assert "live server" in text
    assert left_overs() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_proof_leaves_no_server(project: Path, number: signal.Signals, tmp_path: Path) -> None:
    """Interrupted in the middle of filling, it says so, exits 130, and the server is gone."""
    temporary = tmp_path / "t"
    temporary.mkdir(mode=0o777)
    temporary.chmod(0o777)
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = [
        sys.executable,
        str(ROOT / "scripts/dpe.py"),
        "schema",
        "prove",
        "model.yaml",
        "--rows",
        "3000000",
    ]
    process = subprocess.Popen(command, cwd=project, env=environment, stderr=subprocess.PIPE, text=True)
    runs = lambda: [p for d in (temporary, Path("/tmp")) for p in d.glob(f"dpe-{os.geteuid()}/*/owner.lock")]  # noqa: E731
    before = set(runs())
    deadline = time.monotonic() + 30
    while not (set(runs()) - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    mine = set(runs()) - before
    time.sleep(2.5)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert not [path for path in mine if path.exists()]
