"""`dpe migration lint` as a user, an agent and a workflow meet it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from data_platform.cli import main
from data_platform.postgres.server import Database

SCOPE = """
## Project Scope
### Active Roles
- Data Platform Engineer: Customer DB
"""
SCHEMA = "CREATE TABLE orders (id bigint PRIMARY KEY, code varchar(20) NOT NULL, total numeric);"
MODEL = """
kind: model
store: Customer DB
tables:
  orders:
    columns:
      id: {type: bigint, identity: always, primary_key: true}
      code: varchar(20)
      total: numeric
"""
SAFE = (
    "SET lock_timeout = '400ms';\n"
    "ALTER TABLE orders ALTER code SET NOT NULL;\n"
    "ALTER TABLE orders ALTER code TYPE text;\n"
)
HAZARD = "ALTER TABLE orders ADD CHECK (total > 0);\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    (tmp_path / "base.sql").write_text(SCHEMA)
    (tmp_path / "model.yaml").write_text(MODEL)
    (tmp_path / "safe.sql").write_text(SAFE)
    (tmp_path / "hazard.sql").write_text(HAZARD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["migration", "lint", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def rules(document: dict[str, Any]) -> set[str]:
    return {finding["rule"] for finding in document["findings"]}


@pytest.mark.parametrize("schema", ["base.sql", "model.yaml"])
def test_with_a_schema_only_what_is_a_hazard_is_found(
    project: Path, capsys: pytest.CaptureFixture[str], schema: str
) -> None:
    code, document = answer(capsys, "safe.sql", "--schema", schema)
    assert (code, document["findings"], document["result"]["statements"]) == (0, [], 3)
    code, document = answer(capsys, "hazard.sql", "--schema", schema)
    assert (code, document["status"]) == (1, "findings")
    assert rules(document) == {"check-not-valid-missing", "access-exclusive-long", "missing-lock-timeout"}
    assert document["result"] | {"error": 1, "warning": 2, "info": 0, "schema": schema} == document["result"]


def test_without_a_schema_what_depends_on_it_is_assumed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = answer(capsys, "safe.sql")
    assert code == 1
    assert {finding["evidence"] for finding in document["findings"]} == {"assumed"}


def test_a_live_schema_is_read(project: Path, capsys: pytest.CaptureFixture[str], database: Database) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute(SCHEMA)
    parts = psycopg.conninfo.conninfo_to_dict(database.conninfo)
    dsn = f"postgresql:///{parts['dbname']}?" + "&".join(
        f"{key}={value}" for key, value in parts.items() if key in ("host", "port", "user", "password")
    )
    code, document = answer(capsys, "safe.sql", "--dsn", dsn, "--store", "Customer DB")
    assert (code, document["findings"]) == (0, [])
    code, document = answer(capsys, "safe.sql", "--dsn", dsn)
    assert code == 2
    assert "--store" in document["findings"][0]["message"]


def test_transactions_and_versions_are_the_users_word(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "m.sql").write_text("CREATE INDEX CONCURRENTLY ON orders (total);")
    assert answer(capsys, "m.sql", "--schema", "base.sql")[0] == 0
    assert rules(answer(capsys, "m.sql", "--transaction", "wrapped")[1]) == {"concurrently-in-transaction"}
    (project / "n.sql").write_text("SET lock_timeout = '1s'; ALTER TABLE orders ADD n bigint DEFAULT 1;")
    assert not rules(answer(capsys, "n.sql", "--schema", "base.sql", "--server-version", "11")[1])


def test_fail_on_decides_the_exit_code(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "m.sql").write_text("CREATE TABLE t (j json);")
    assert answer(capsys, "m.sql")[0] == 0
    assert answer(capsys, "m.sql", "--fail-on", "info")[0] == 1
    assert answer(capsys, "hazard.sql", "--fail-on", "never")[0] == 0


def test_a_person_reads_the_verdict_the_place_and_what_to_do(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migration", "lint", "hazard.sql", "--schema", "base.sql"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("# `hazard.sql`: 3 findings in 1 statement")
    assert "**Verdict: failed.** 1 error, 2 warning" in out
    assert "| error    | check-not-valid-missing, access-exclusive-long | `hazard.sql:1:1` |" in out
    assert "ALTER TABLE orders ADD CONSTRAINT orders_total_check CHECK (total > 0) NOT VALID;" in out
    assert "dpe migration lint hazard.sql --schema base.sql" in out


def test_new_tables_are_said_to_count_as_empty(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "m.sql").write_text("CREATE TABLE t (a text); CREATE INDEX ON t (a);")
    assert main(["migration", "lint", "m.sql"]) == 0
    assert "1 table of these files count as new and empty" in capsys.readouterr().out


def test_what_of_the_schema_is_no_sql_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "base.sql").write_text(f"CREATE TABEL a;\n{SCHEMA}")
    assert main(["migration", "lint", "safe.sql", "--schema", "base.sql"]) == 0
    assert "of which 1 statement could not be read" in capsys.readouterr().out


def test_sarif_and_annotations(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migration", "lint", "hazard.sql", "--sarif", "--output", "out.sarif"]) == 1
    document = json.loads((project / "out.sarif").read_text())
    assert document["version"] == "2.1.0"
    assert len(document["runs"][0]["results"]) == 3
    capsys.readouterr()
    assert main(["migration", "lint", "hazard.sql", "--github"]) == 1
    assert capsys.readouterr().out.count("::error file=hazard.sql,line=1") == 1
    assert main(["migration", "lint", "safe.sql", "--schema", "base.sql", "--github"]) == 0
    assert capsys.readouterr().out == ""


def test_fix_writes_the_safe_form_and_lints_what_it_wrote(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = answer(capsys, "hazard.sql", "safe.sql", "--schema", "base.sql", "--fix")
    assert (code, document["artifacts"], document["findings"]) == (0, ["hazard.sql"], [])
    assert "NOT VALID;\nALTER TABLE orders VALIDATE" in (project / "hazard.sql").read_text()
    assert (project / "safe.sql").read_text() == SAFE


def test_stdin_is_read_and_not_fixed(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(HAZARD.encode())))
    code, document = answer(capsys, "-", "--schema", "base.sql")
    assert (code, {finding["file"] for finding in document["findings"]}) == (1, {"<stdin>"})
    assert answer(capsys, "-", "--fix")[0] == 2


def test_a_syntax_error_has_its_place_and_the_rest_is_linted(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "m.sql").write_text(f"SELECT 1;\n  SELEC 2;\n{HAZARD}")
    code, document = answer(capsys, "m.sql")
    assert code == 1
    (error,) = [finding for finding in document["findings"] if finding["rule"] == "syntax-error"]
    assert (error["line"], error["column"]) == (2, 3)
    assert "check-not-valid-missing" in rules(document)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.sql"], "No such file"),
        (["hazard.sql", "--schema", "nowhere.sql"], "No such file"),
        (["hazard.sql", "--server-version", "9"], "invalid choice"),
        (["hazard.sql", "--schema", "a.sql", "--dsn", "env:X"], "not allowed with"),
    ],
)
def test_what_cannot_be_linted_is_exit_2(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    code, document = answer(capsys, *words)
    assert code == 2
    assert said in document["findings"][0]["message"]


def test_the_hook_of_pre_commit_runs_this_command() -> None:
    root = Path(__file__).parents[2]
    assert "entry: dpe migration lint" in (root / ".pre-commit-hooks.yaml").read_text()


def history(project: Path) -> None:
    """Two files that are deployed, and one that is new."""
    (project / "many").mkdir()
    (project / "many" / "1_make.sql").write_text("CREATE TABLE items (id bigint PRIMARY KEY, code text);\n")
    (project / "many" / "2_drop.sql").write_text("DROP TABLE orders;\n")
    (project / "many" / "10_index.sql").write_text("CREATE INDEX ON items (code);\n")


def test_what_is_deployed_is_there_and_holds_rows(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history(project)
    _, whole = answer(capsys, "many")
    assert "index-not-concurrent" not in rules(whole)
    _, since = answer(capsys, "many", "--since", "10_index.sql")
    assert {(one["rule"], one["file"]) for one in since["findings"] if one["severity"] == "error"} == {
        ("index-not-concurrent", "many/10_index.sql")
    }
    assert since["findings"][0]["evidence"] == "parsed"
    assert since["result"]["files"] == 1


def test_since_names_a_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history(project)
    code, document = answer(capsys, "many", "--since", "11_none.sql")
    assert code == 2
    assert "no such file among these" in document["findings"][0]["message"]
