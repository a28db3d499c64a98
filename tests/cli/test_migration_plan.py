"""`dpe migration plan` and `dpe migration render` as a user meets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from data_platform.cli import main

ROOT = Path(__file__).parents[2]
NEXT = ROOT / "examples" / "storefront" / "next"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "examples" / "storefront" / "CLAUDE.md", tmp_path)
    for file in NEXT.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(*more: str) -> list[str]:
    words = ["migration", "plan", "--from", "before.sql", "--to", "after.sql", "--store", "Customer DB"]
    return [*words, *more]


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_plan_reaches_the_new_schema_and_goes_back(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = answer(capsys, *plan("--rename", "customers.name=full_name"))
    result = told["result"]
    assert code == 0
    assert (result["verdict"], result["reversible"], result["data_lost"]) == ("reached", True, [])
    phases = [step["phase"] for step in result["steps"]]
    assert phases == sorted(phases, key=["expand", "backfill", "contract"].index)
    assert not any(step["blocks"] for step in result["steps"])
    assert {step["works_after"] for step in result["steps"]} == {"old", "old and new", "new"}


def test_what_would_be_lost_is_left_and_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = answer(capsys, *plan())
    assert code == 1
    (finding,) = [one for one in told["findings"] if one["rule"] == "data-loss"]
    assert "column customers.name" in finding["message"]
    assert finding["fix"].startswith("--allow-data-loss customers.name")
    code, told = answer(capsys, *plan("--allow-data-loss", "customers.name"))
    assert code == 0
    assert told["result"]["data_lost"] == ["public.customers.name"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rename", "customers"], "--rename customers"),
        (["--fill", "email=1"], "--fill email=1"),
        (["--fill", "customers.email=a b"], "--fill customers.email=a b"),
        (["--dsn", "env:NOWHERE"], "what is the schema now?"),
    ],
)
def test_words_that_cannot_be(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(plan(*words)) == 2
    assert message in capsys.readouterr().err


def test_a_rename_of_nothing_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = answer(capsys, *plan("--rename", "clients=people", "--allow-data-loss", "*"))
    assert code == 1
    assert any("no table clients" in finding["message"] for finding in told["findings"])


@pytest.mark.parametrize("tool", ["plain", "alembic", "django", "dbmate", "flyway", "goose", "rails"])
def test_files_of_a_tool(project: Path, capsys: pytest.CaptureFixture[str], tool: str) -> None:
    words = plan("--rename", "customers.name=full_name", "--output", "made", "--format", tool)
    code, told = answer(capsys, *words, *(["--app", "shop"] if tool == "django" else []))
    assert code == 0
    files = [Path(name) for name in told["artifacts"]]
    assert all(file.is_file() for file in files)
    assert any("swap_orders" in file.name for file in files)


def test_files_that_differ_stay(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = plan("--rename", "customers.name=full_name", "--output", "made")
    assert main(words) == 0
    first = min((project / "made").rglob("*.sql"))
    first.write_text("mine")
    capsys.readouterr()
    assert main(words) == 2
    assert first.name in capsys.readouterr().err
    assert main([*words, "--force"]) == 0


def test_an_older_server_gets_its_own_forms(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = plan("--rename", "customers.name=full_name", "--server-version", "14")
    code, told = answer(capsys, *words)
    said = [sql for step in told["result"]["steps"] for sql in step["up"]]
    assert code == 0
    assert not any("NOT NULL" in sql and "NOT VALID" in sql and "CHECK" not in sql for sql in said)
    assert any("SET NOT NULL" in sql for sql in said)


CHANGE = """
kind: change
store: Customer DB
base: before.sql
operations:
  - rename_column: {table: customers, column: name, to: full_name}
  - add_index: {table: orders, columns: [placed_at], name: orders_recent}
"""


def test_operations_are_rendered(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "change.yaml").write_text(CHANGE)
    code, told = answer(capsys, "migration", "render", "change.yaml", "--output", "made")
    assert code == 0
    assert told["result"]["verdict"] == "reached"
    assert any("orders_recent" in name for name in told["artifacts"])


def test_an_operation_that_cannot_be_has_its_place(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "change.yaml").write_text(CHANGE.replace("column: name", "column: nane"))
    assert main(["migration", "render", "change.yaml"]) == 2
    told = capsys.readouterr().err
    assert "change.yaml:6" in told
    assert "did you mean `name`?" in told


def test_a_store_of_others_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "change.yaml").write_text(CHANGE.replace("Customer DB", "Billing DB"))
    assert main(["migration", "render", "change.yaml"]) == 5
    assert main(["migration", "plan", "--from", "before.sql", "--to", "after.sql"]) == 2


OLD_TYPES = """kind: model
store: Customer DB
types:
  mood: {enum: [sad, happy]}
  age: {domain: integer, check: VALUE >= 0}
  place: {composite: {x: integer, y: integer}}
tables:
  people:
    columns: {id: bigint, mood: {type: mood, default: "'happy'"}, age: age, home: place}
    primary_key: [id]
"""
NEW_TYPES = """kind: model
store: Customer DB
types:
  feeling: {enum: [sad, glad], renamed_from: mood, renamed_labels: {glad: happy}}
  years: {domain: integer, check: VALUE >= 0, renamed_from: age}
  spot: {composite: {x: integer, y: integer}, renamed_from: place}
tables:
  people:
    columns: {id: bigint, mood: {type: feeling, default: "'glad'"}, age: years, home: spot}
    primary_key: [id]
"""


def test_types_and_labels_that_a_model_renames(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "old.yaml").write_text(OLD_TYPES)
    (project / "new.yaml").write_text(NEW_TYPES)
    code, told = answer(capsys, "migration", "plan", "--from", "old.yaml", "--to", "new.yaml")
    assert code == 0, told["findings"]
    result = told["result"]
    assert (result["verdict"], result["reversible"], result["data_lost"]) == ("reached", True, [])
    names = [step["name"] for step in result["steps"]]
    assert not any(name.startswith(("fill", "add_people", "drop_people")) for name in names), names
