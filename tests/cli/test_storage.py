"""`dpe storage select` as a user and an agent meet it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_platform.cli import main

ROOT = Path(__file__).parents[2]
SCOPE = """
## Project Scope
### Active Roles
- Data Platform Engineer: Customer DB
"""
NEEDS = "kind: storage\nstore: Customer DB\ndata: relational\nqueries: join\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    (tmp_path / "needs.yaml").write_text(NEEDS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["storage", "select", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_ranks_by_a_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = answer(capsys, "needs.yaml")
    assert code == 0
    assert found["status"] == "ok"
    assert found["scope"]["store"] == "Customer DB"
    assert found["result"]["choice"] == "PostgreSQL"
    assert found["result"]["companion"] is None


def test_ranks_by_options_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", "key_value", "--queries", "by_key", "--loss", "regenerate", "--latency-ms", "0.5"]
    code, found = answer(capsys, *words, "--consistency", "record")
    assert code == 0
    assert found["result"]["choice"] == "Redis"
    assert set(found["result"]["not_answered"]).isdisjoint({"data", "queries", "loss", "latency_ms"})


def test_an_option_takes_the_place_of_the_files_answer(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = answer(capsys, "needs.yaml", "--vectors", "200000", "--dimensions", "384")
    assert found["result"]["companion"] == "pgvector"
    _, found = answer(capsys, "needs.yaml", "--runs", "MySQL", "--runs", "Redis")
    assert found["result"]["choice"] == "MySQL"
    assert found["result"]["need"]["runs"] == ["MySQL", "Redis"]


def test_the_report_repeats_its_command(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["storage", "select", "needs.yaml", "--latency-ms", "0.5", "--runs", "PostgreSQL"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# `Customer DB`: PostgreSQL + Redis as cache; PostgreSQL alone is not enough\n")
    assert out.endswith("\ndpe storage select needs.yaml --latency-ms 0.5 --runs PostgreSQL\n```\n")


def test_none_is_a_failure_with_its_reasons(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = answer(
        capsys,
        "--data",
        "vectors",
        "--rows",
        "5000000000",
        "--consistency",
        "transactions",
        "--licence",
        "open_source",
    )
    assert code == 1
    assert found["status"] == "failed"
    assert found["result"]["choice"] is None
    assert all(entry["excluded"] for entry in found["result"]["ranking"])


@pytest.mark.parametrize("words", [["billing.yaml"], ["--data", "text", "--store", "Billing DB"]])
def test_a_store_of_others_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    (project / "billing.yaml").write_text(NEEDS.replace("Customer DB", "Billing DB"))
    assert main(["storage", "select", *words]) == 5
    assert capsys.readouterr().out == ""


def test_no_scope_no_answer(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "CLAUDE.md").unlink()
    assert main(["storage", "select", "--data", "text"]) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs `data:`"),
        (["--data", "graph"], "invalid choice"),
        (["--data", "text", "--rows", "-5"], "minimum is 0"),
        (["--data", "text", "--growth-per-year", "nan"], "expected a number"),
        (["nothing.yaml"], "no such file"),
        (["model.yaml"], "expected one of kind storage"),
    ],
)
def test_mistakes(project: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    (project / "model.yaml").write_text(
        "kind: model\nstore: Customer DB\ntables: {a: {columns: {b: text}}}\n"
    )
    assert main(["storage", "select", *words]) == 2
    assert said in capsys.readouterr().err


def test_writes_text_and_page(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["storage", "select", "needs.yaml", "--output", "choice.md", "--html", "choice.html"]) == 0
    assert (project / "choice.md").read_text().startswith("# `Customer DB`: PostgreSQL;")
    assert "PostgreSQL alone" in (project / "choice.html").read_text()


def test_spec_check_and_example_know_the_kind(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "check", "needs.yaml"]) == 0
    assert capsys.readouterr().out.startswith("needs.yaml is a valid storage need for Customer DB: 2 answers")
    assert main(["spec", "example", "storage"]) == 0
    (project / "example.yaml").write_text(capsys.readouterr().out)
    assert main(["spec", "check", "example.yaml"]) == 0


def test_the_same_need_gives_the_same_bytes(project: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "dpe.py"), "storage", "select", "needs.yaml"]
    runs = [
        subprocess.run(
            command, cwd=project, capture_output=True, check=True, env={"PYTHONHASHSEED": seed, "PATH": ""}
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


def test_what_is_not_said_follows_from_the_data(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", "vectors", "--vectors", "500000000", "--dimensions", "768", "--latency-ms", "20"]
    _, found = answer(capsys, *words)
    assert found["result"]["choice"] == "Pinecone"
    assert found["result"]["need"]["consistency"] == "eventual"
    assert found["result"]["need"]["rows"] == 500_000_000
    assert "consistency" in {one["answer"] for one in found["result"]["decided_by_default"]}
