"""`dpe retrieval` as a user and an agent meet it: a folder of notes loaded, searched, measured and re-embedded."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from data_platform.cli import main
from data_platform.cli.parser import parse
from data_platform.cli.retrieval import COMMANDS
from data_platform.postgres.server import Database

SCOPE = "## Project Scope\n### Active Roles\n- Data Platform Engineer: Shop DB\n"
SPEC = """
kind: retrieval
store: Shop DB
name: notes
sources: [{path: notes/*.md, metadata: {topic: garden}}]
chunking: {strategy: markdown}
model: {name: words WIDTH, provider: static, dimensions: WIDTH, path: tWIDTH.npy, tokenizer: tokenizer.json}
filters: [{name: topic, type: text}]
hybrid: true
"""


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database, tokenizer_file: Path
) -> Path:
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    (tmp_path / "notes").mkdir()
    for number in range(12):
        (tmp_path / "notes" / f"{number}.md").write_text(f"# Note {number}\n\nwords about bed {number}\n")
    for width in (8, 16):
        (tmp_path / f"notes{width}.yaml").write_text(SPEC.replace("WIDTH", str(width)))
        table = np.random.default_rng(width).normal(size=(200, width))
        np.save(tmp_path / f"t{width}.npy", table.astype(np.float32))
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    with psycopg.connect(database.admin_conninfo, autocommit=True) as admin:
        admin.execute("CREATE EXTENSION vector")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP", database.conninfo)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["retrieval", *words, "--dsn", "env:SHOP", "--json"])
    return code, json.loads(capsys.readouterr().out)


def loaded(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code, said = answer(capsys, "load", "notes8.yaml", "--create")
    assert code == 0, said
    return dict(said["result"])


def test_loaded_twice_and_changed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert loaded(capsys)["new"] == 12
    again = answer(capsys, "load", "notes8.yaml")[1]["result"]
    assert (again["new"], again["changed"], again["unchanged"], again["embedded"]) == (0, 0, 12, 0)
    (project / "notes" / "0.md").write_text("# Another\n\nthing\n")
    (project / "notes" / "1.md").unlink()
    once = answer(capsys, "load", "notes8.yaml")[1]["result"]
    assert (once["changed"], once["vanished"], once["unchanged"]) == (1, 1, 10)


def test_asked(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded(capsys)
    code, said = answer(
        capsys, "search", "notes8.yaml", "words about bed 3", "--k", "3", "--filter", "topic=garden"
    )
    assert (code, said["result"]["mode"], len(said["result"]["hits"])) == (0, "hybrid", 3)
    assert said["result"]["hits"][0]["document"].startswith("notes/")
    assert (
        answer(capsys, "search", "notes8.yaml", "x", "--filter", "topic=kitchen")[1]["result"]["hits"] == []
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("search", "notes8.yaml", "x", "--k", "0"), "--k 0"),
        (("search", "notes8.yaml", "x", "--filter", "colour=red"), "--filter colour=red"),
        (("search", "notes16.yaml", "x"), "there is no store"),
        (("evaluate", "notes16.yaml"), "there is no store"),
        (("migrate-model", "notes16.yaml", "--switch"), "not prepared"),
    ],
)
def test_what_cannot_be_is_told(
    project: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    loaded(capsys)
    code, said = answer(capsys, *words)
    assert (code, said["status"]) == (2, "error")
    assert told in said["findings"][0]["message"]


def test_a_source_that_is_not_there_changes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded(capsys)
    text = SPEC.replace("WIDTH", "8").replace("sources: [", "sources: [{path: absent.md}, ")
    (project / "more.yaml").write_text(text)
    code, said = answer(capsys, "load", "more.yaml")
    assert (code, "absent.md" in json.dumps(said["findings"])) == (2, True)
    assert answer(capsys, "load", "notes8.yaml")[1]["result"]["unchanged"] == 12


@pytest.mark.parametrize("more", ["", "{name: year, type: integer}, "])
def test_a_filter_that_no_source_gives_is_told(
    project: Path, capsys: pytest.CaptureFixture[str], more: str
) -> None:
    text = SPEC.replace("WIDTH", "8").replace("filters: [", f"filters: [{more}")
    (project / "more.yaml").write_text(text)
    assert main(["retrieval", "load", "more.yaml", "--dsn", "env:SHOP", "--create"]) == 0
    assert ("No source gives year," in capsys.readouterr().out) == bool(more)


def test_measured(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded(capsys)
    code, said = answer(capsys, "evaluate", "notes8.yaml", "--clients", "1")
    assert code == 0
    assert {metric["name"] for metric in said["result"]["metrics"]} >= {"exact_recall", "ndcg"}
    assert [one["name"] for one in said["result"]["filters"]] == ["topic"]
    assert main(["retrieval", "evaluate", "notes8.yaml", "--dsn", "env:SHOP", "--clients", "1"]) == 0
    assert "With filters" in capsys.readouterr().out


def test_another_model_and_back(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded(capsys)
    assert answer(capsys, "migrate-model", "notes16.yaml")[0] == 0
    assert answer(capsys, "migrate-model", "notes16.yaml", "--switch")[1]["result"]["active"] == "words 16"
    assert answer(capsys, "search", "notes16.yaml", "bed", "--k", "2")[0] == 0
    assert answer(capsys, "migrate-model", "notes16.yaml", "--rollback")[1]["result"]["active"] == "words 8"


@pytest.mark.parametrize(
    "words", ["load notes8.yaml", "search notes8.yaml 'a b' --k 2 --filter topic=garden"]
)
def test_the_command_that_is_told_is_one(
    project: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    loaded(capsys)
    assert main(["retrieval", *shlex.split(words), "--dsn", "env:SHOP"]) == 0
    told = next(part for part in capsys.readouterr().out.split("`") if part.startswith("dpe retrieval"))
    _, noun, verb, *rest = shlex.split(told)
    command = next(one for one in COMMANDS if (one.noun, one.verb) == (noun, verb))
    assert parse(command, rest).dsn == "env:SHOP"
