"""`dpe retrieval load` and the job of `render`, as a user and an agent meet them."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from data_platform import __version__
from data_platform.cli import main
from data_platform.postgres.server import Server

SCOPE = """
## Project Scope
### Active Roles
- Data Platform Engineer: Shop DB
"""
WIDTH = 8
SPEC = f"""
kind: retrieval
store: Shop DB
name: help
sources: [{{path: "pages/*.md"}}]
chunking: {{strategy: markdown, size: 60}}
model:
  {{name: m, provider: static, dimensions: {WIDTH}, path: t.npy, tokenizer: tokenizer.json, max_tokens: 8, price: 100}}
rows: {{now: 100, in_a_year: 1000}}
"""
LOAD = ("retrieval", "load", "help.yaml", "--dsn", "env:SHOP")


@pytest.fixture
def project(tmp_path: Path, server: Server, tokenizer_file: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    (tmp_path / "help.yaml").write_text(SPEC)
    (tmp_path / "pages").mkdir()
    for number in range(6):
        text = f"# Page {number}\n\nsome words {number}\n\n## More\n\nseveral words of them, believable words {number}"
        (tmp_path / "pages" / f"p{number}.md").write_text(text)
    np.save(tmp_path / "t.npy", np.random.default_rng(3).normal(size=(200, WIDTH)).astype(np.float32))
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    monkeypatch.chdir(tmp_path)
    with server.scratch_database(extensions=["vector"]) as database:
        monkeypatch.setenv("SHOP", database.conninfo)
        yield tmp_path


def result(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*LOAD, *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["result"]
    return found


def schemas() -> Any:
    with psycopg.connect(os.environ["SHOP"]) as connection:
        return connection.execute("SELECT to_regnamespace('help')").fetchone()


def test_dry_before_there_is_a_store(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = result(capsys, "--create", "--dry-run")
    assert (found["new"], found["changed"], found["vanished"], found["creates_store"]) == (6, 0, 0, True)
    assert found["documents"]["new"] == [f"pages/p{n}.md" for n in range(6)]
    # Two chunks a page; their tokens are cut off at 8 by the model, and cost 100 USD a million.
    assert (found["chunks"], found["embedded"], found["tokens_evidence"]) == (12, 12, "measured")
    assert found["cost_usd"] == pytest.approx(found["tokens"] / 10_000)
    assert 6 * 8 < found["tokens"] <= 12 * 8
    assert schemas() == (None,)
    assert not (project / ".dpe").exists()
    assert main([*LOAD, "--dry-run"]) == 2
    assert "there is no store `help`" in capsys.readouterr().err


def test_dry_says_what_the_load_then_does(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result(capsys, "--create")
    assert result(capsys, "--dry-run")["unchanged"] == 6
    page = project / "pages" / "p1.md"
    page.write_text(page.read_text().replace("some words", "other words"))
    (project / "pages" / "p2.md").unlink()
    (project / "pages" / "p7.md").write_text((project / "pages" / "p3.md").read_text())
    files = {path: path.read_bytes() for path in (project / ".dpe").iterdir()}
    found = result(capsys, "--dry-run")
    assert found["documents"] == {
        "new": ["pages/p7.md"],
        "changed": ["pages/p1.md"],
        "vanished": ["pages/p2.md"],
    }
    # The copied page has the texts of another one, whose vectors are remembered.
    assert (found["unchanged"], found["chunks"], found["embedded"], found["remembered"]) == (4, 4, 1, 2)
    assert {path: path.read_bytes() for path in (project / ".dpe").iterdir()} == files
    assert main([*LOAD, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "nothing was written" in text
    assert "1 documents would be added, 1 replaced, 1 removed; 4 are as they were" in text
    done = result(capsys)
    for name in ("new", "changed", "unchanged", "vanished", "chunks"):
        assert done[name] == found[name], name
    assert done["embedded"] == found["embedded"] + found["remembered"]


def test_dry_refuses_what_the_load_refuses(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result(capsys, "--create")
    np.save(project / "t.npy", np.random.default_rng(4).normal(size=(200, WIDTH)).astype(np.float32))
    assert main([*LOAD, "--dry-run"]) == 2
    assert "made by another model" in capsys.readouterr().err
    (project / "help.yaml").write_text(SPEC.replace("strategy: markdown", "strategy: semantic"))
    assert main([*LOAD, "--dry-run"]) == 2
    assert "semantic chunks" in capsys.readouterr().err


def test_a_load_that_was_stopped_gets_its_indexes_when_it_goes_on(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pages" / "z.md").write_bytes(b"\xff")
    assert main([*LOAD, "--create"]) == 2
    (project / "pages" / "z.md").unlink()
    capsys.readouterr()
    result(capsys, "--create")
    with psycopg.connect(os.environ["SHOP"]) as connection:
        query = str([1.0] * WIDTH)
        assert connection.execute(
            "SELECT count(*) FROM help.search_m(%s::vector, 3)", [query]
        ).fetchone() == (3,)


def test_the_job_is_written_on_request(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["retrieval", "render", "help.yaml", "--output", "store"]
    assert main(words) == 0
    capsys.readouterr()
    assert not (project / "store" / "load_spark.py").exists()
    assert main([*words, "--job", "spark", "--force", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert "load_spark.py" in answer["result"]["files"]
    text = (project / "store" / "load_spark.py").read_text()
    assert f"data_platform_engineer-{__version__}-py3-none-any.whl" in text
    assert text.splitlines()[2] == (
        "# Make it again: dpe retrieval render help.yaml --job spark --output store"
    )
    names = {node.targets[0].id: node.value for node in ast.parse(text).body if isinstance(node, ast.Assign)}  # type: ignore[attr-defined]
    assert ast.literal_eval(names["SPEC"]) == SPEC


def test_no_job_without_sources(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "help.yaml").write_text(SPEC.replace('sources: [{path: "pages/*.md"}]', ""))
    assert main(["retrieval", "render", "help.yaml", "--job", "spark"]) == 2
    assert "the spec has no sources" in capsys.readouterr().err
