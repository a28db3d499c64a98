"""`dpe quality` as a user and an agent meet it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from data_platform.cli import main
from data_platform.postgres.server import Database
from data_platform.spec import document, validate
from data_platform.spec.quality import read_quality

SCOPE = """## Project Scope
### Active Roles
- Data Platform Engineer: Shop DB
### Data Stores
| Store | Engine | Owner Role | Owner |
|-------|--------|------------|-------|
| Shop DB | postgresql | Data Platform Engineer | @data |
| Billing DB | postgresql | Backend Developer | @billing |
"""
SPEC = """kind: quality
store: Shop DB
name: shop
sensitive: [email]
checks:
  - {on: people, check: not_null, columns: [id]}
  - {on: people, check: format, columns: [email], format: email, tolerance: {share: 0.1}}
  - {on: people, check: set, columns: [state], values: [new, old], severity: warning}
  - {on: people, check: unique, columns: [id]}
  - {on: people, check: range, columns: [age], min: 0, below: 150, where: state = 'new'}
  - {on: people, check: reference, columns: [state], to: {table: states, columns: [name]}}
  - {on: people, check: rows, min: 1}
  - {on: people, check: rows, name: steady, change: 0.5}
  - {on: people, check: freshness, columns: [at], within: 1 day}
  - {on: people, check: sql, name: none is older, sql: SELECT 1 WHERE false}
"""
ROWS = """
CREATE TABLE states (name text PRIMARY KEY);
INSERT INTO states VALUES ('new'), ('old');
CREATE TABLE people (id int PRIMARY KEY, email text, state text, age int, at timestamptz);
INSERT INTO people SELECT g, 'p' || g || '@example.org', 'new', g % 90, now() FROM generate_series(1, 200) g;
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database) -> Path:
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    (tmp_path / "q.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP", database.conninfo)
    do(database, ROWS)
    return tmp_path


def do(database: Database, text: str) -> list[Any]:
    with psycopg.connect(database.conninfo) as connection:
        cursor = connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["quality", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_all_is_well(project: Path, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = answer(capsys, "check", "q.yaml", "--dsn", "env:SHOP")
    assert (code, said["status"], said["result"]["verdict"]) == (0, "ok", "passed")
    assert [one["state"] for one in said["result"]["checks"]].count("no history") == 1
    assert [one["rule"] for one in said["findings"]] == ["check-without-history"]
    assert do(database, "SELECT to_regnamespace('dpe_quality')") == [(None,)]


def test_what_fails_is_an_exit_code_and_a_page(
    project: Path, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    do(
        database,
        "INSERT INTO people VALUES (201, 'secret', 'odd', 200, now()); UPDATE people SET age = -1 WHERE id = 1",
    )
    words = ["check", "q.yaml", "--dsn", "env:SHOP"]
    code, said = answer(capsys, *words, "--html", "page.html")
    assert (code, said["status"]) == (1, "findings")
    failed = {one["name"]: one for one in said["result"]["checks"] if one["state"] == "failed"}
    assert set(failed) == {"people set state", "people range age", "people reference state"}
    assert failed["people range age"]["samples"] == [{"id": "1", "age": "-1"}]
    assert {one["rule"]: one["severity"] for one in said["findings"] if one["line"]}["check-set"] == "warning"
    assert "people range age" in (project / "page.html").read_text().replace("<wbr>", "")
    assert main(["quality", *words, "--fail-on", "never"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# 3 of 10 checks fail in `Shop DB`")
    assert "secret" not in text + json.dumps(said) + (project / "page.html").read_text()


def test_kept_results_are_what_the_next_is_compared_with(
    project: Path, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(capsys, "check", "q.yaml", "--dsn", "env:SHOP", "--keep")[0] == 0
    do(database, "DELETE FROM people WHERE id > 50")
    code, said = answer(capsys, "check", "q.yaml", "--dsn", "env:SHOP")
    assert (code, [one["rule"] for one in said["findings"]]) == (1, ["check-rows"])
    assert do(database, "SELECT count(*) FROM dpe_quality.results") == [(10,)]


def test_the_gate(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "q.yaml").write_text(SPEC.replace("store: Shop DB", "store: Billing DB"))
    assert main(["quality", "check", "q.yaml", "--dsn", "env:SHOP"]) == 5
    other = "to: {table: t, columns: [name], dsn: 'env:SHOP', store: Billing DB}"
    (project / "q.yaml").write_text(SPEC.replace("to: {table: states, columns: [name]}", other))
    for words in (["check", "q.yaml", "--dsn", "env:SHOP"], ["export", "q.yaml", "--to", "dbt"]):
        capsys.readouterr()
        assert main(["quality", *words]) == 5
        assert "Billing DB" in capsys.readouterr().err
    assert main(["quality", "profile", "people", "--dsn", "env:SHOP", "--store", "Billing DB"]) == 5
    assert main(["quality", "profile", "people", "--dsn", "env:SHOP"]) == 2
    assert main(["quality", "check", "--dsn", "env:SHOP"]) == 2


def test_the_other_side_of_an_own_store(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = "to: {table: states, columns: [name], dsn: 'env:SHOP', store: Shop DB}"
    (project / "q.yaml").write_text(SPEC.replace("to: {table: states, columns: [name]}", other))
    code, said = answer(capsys, "check", "q.yaml", "--dsn", "env:SHOP", "--store", "Shop DB")
    assert (code, said["result"]["verdict"]) == (0, "passed")


def test_without_a_spec_constraints_are_held_against_their_rows(
    project: Path, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", "--dsn", "env:SHOP", "--store", "Shop DB"]
    assert answer(capsys, *words)[0] == 0
    do(
        database,
        "UPDATE people SET state = 'lost' WHERE id = 7;"
        "ALTER TABLE people ADD FOREIGN KEY (state) REFERENCES states NOT VALID;"
        "ALTER TABLE people ADD CONSTRAINT young CHECK (age < 89) NOT VALID",
    )
    code, said = answer(capsys, *words)
    assert code == 1
    assert [(one["name"], one["failing"]) for one in said["result"]["checks"]] == [
        ("public.people people_state_fkey", 1),
        ("public.people young", 2),
    ]


def test_a_profile_proposes_checks_that_hold(
    project: Path, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    do(database, "CREATE VIEW seen AS SELECT *, '{}'::json AS more FROM people")
    words = ["--dsn", "env:SHOP", "--store", "Shop DB", "--sensitive", "age"]
    code, said = answer(capsys, "profile", "seen", *words, "--output", "proposed.yaml")
    assert code == 0
    columns = {one["name"]: one for one in said["result"]["columns"]}
    assert columns["state"]["top"] == [{"value": "new", "rows": 200}]
    assert (columns["age"]["max"], columns["email"]["top"][0]["value"]) == ("•••", "•••")
    assert (columns["id"]["distinct"], columns["more"]["distinct"], columns["id"]["max"]) == (
        200,
        None,
        "200",
    )
    assert columns["email"]["formats"]["email"] == 200
    proposed = {(one["check"], *one.get("columns", ())) for one in said["result"]["proposed"]}
    assert {("rows",), ("set", "state"), ("format", "email"), ("unique", "id"), ("range", "id")} <= proposed
    assert ("range", "age") not in proposed
    assert all(one["description"] for one in said["result"]["proposed"])
    read = document.read(project / "proposed.yaml")
    validate.check(read, "quality")
    assert read_quality(read).sensitive == {"age", "email"}
    code, said = answer(capsys, "check", "proposed.yaml", "--dsn", "env:SHOP")
    assert (code, said["result"]["verdict"]) == (0, "passed")


VISITS = """
CREATE SCHEMA ward;
CREATE TABLE ward.patients (id bigint PRIMARY KEY);
INSERT INTO ward.patients SELECT generate_series(1, 1000);
CREATE TABLE ward.rooms (id int PRIMARY KEY);
CREATE TABLE ward.visits (patient_id int, nurse_id int, room_id int REFERENCES ward.rooms, code text, word text,
                          long text, note text, at timestamptz, ends timestamptz, planned date);
INSERT INTO ward.rooms VALUES (1);
INSERT INTO ward.visits
SELECT CASE WHEN g % 200 = 0 THEN 0 ELSE g % 1000 + 1 END, g, 1, 'AB' || g % 50 || '/' || lpad(g::text, 4, '0'),
       repeat('w', 1 + g % 50), repeat('y ', 51), '', now() - g * interval '10 minutes',
       now() - interval '1 year' - g * interval '10 minutes', current_date + g FROM generate_series(0, 1999) g;
"""


def test_a_profile_finds_patterns_references_and_how_often_rows_come(
    project: Path, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    do(database, VISITS)
    words = ["--dsn", "env:SHOP", "--store", "Shop DB"]
    code, said = answer(capsys, "profile", "ward.visits", *words, "--output", "proposed.yaml")
    assert code == 0
    checks = {(one["check"], *one.get("columns", ())): one for one in said["result"]["proposed"]}
    assert checks["format", "code"]["pattern"] == r"^[A-Z]{2}[0-9]{1,2}\/[0-9]{4}$"
    assert checks["reference", "patient_id"]["to"] == {"table": "ward.patients", "columns": ["id"]}
    assert checks["reference", "patient_id"]["tolerance"] == {"share": 0.005}
    assert checks["reference", "patient_id"]["description"].startswith("1,990 of 2,000")
    assert checks["freshness", "at"]["within"] == "20 minutes"
    assert checks["rows",]["min"] == 1000
    # No table of nurses; a key ensures rooms; words of any length; a set of texts that are cut; one that says nothing;
    # times that have stopped to come, or are to come.
    absent = {"nurse_id", "room_id", "word", "long", "note", "ends", "planned"}
    assert {
        key[1] for key in checks if key[0] in ("reference", "format", "set", "freshness")
    } & absent == set()
    code, said = answer(capsys, "check", "proposed.yaml", "--dsn", "env:SHOP")
    assert (code, said["result"]["verdict"]) == (0, "passed")


def test_a_sample_and_a_table_that_is_not_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--dsn", "env:SHOP", "--store", "Shop DB"]
    code, said = answer(capsys, "profile", "people", *words, "--sample", "0.5")
    assert (code, said["result"]["share"]) == (0, 0.5)
    assert answer(capsys, "profile", "nothing", *words)[0] == 2
    assert answer(capsys, "profile", "people", *words, "--sample", "2")[0] == 2
    assert answer(capsys, "profile", "people", *words, "--sensitive", "x")[0] == 2


@pytest.mark.parametrize("tool", ["dbt", "great-expectations", "soda", "pandera"])
def test_an_export_says_it_all_or_lists_what_it_does_not(
    project: Path, capsys: pytest.CaptureFixture[str], tool: str
) -> None:
    code, said = answer(capsys, "export", "q.yaml", "--to", tool, "--output", "made")
    assert code == 0
    assert len(said["artifacts"]) == len(said["result"]["files"]) == 1
    (text,) = said["result"]["files"].values()
    missing = {one["check"] for one in said["result"]["not_said"]}
    assert {one["message"].split("`")[1] for one in said["findings"]} == missing
    assert "steady" in missing
    data = (
        json.loads(text)
        if tool == "great-expectations"
        else None
        if tool == "pandera"
        else yaml.safe_load(text)
    )
    if tool == "dbt":
        tests, other = data["sources"][0]["tables"]
        assert other == {"name": "states"}
        assert {column["name"] for column in tests["columns"]} == {"id", "state"}
        assert tests["loaded_at_field"] == "at"
    elif tool == "soda":
        assert len(data["checks for people"]) == 9
    elif tool == "great-expectations":
        kinds = {one["type"]: one["kwargs"] for one in data["expectations"]}
        assert kinds["expect_column_values_to_match_regex"]["mostly"] == 0.9
    else:
        compile(text, "schemas.py", "exec")


def test_the_same_as_a_process(project: Path) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(root / "scripts" / "dpe.py"), "quality", "check", "q.yaml", "--dsn", "env:SHOP"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# Every check holds in `Shop DB`")
