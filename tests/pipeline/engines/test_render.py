"""`dpe pipeline render` as it is typed: what it writes, refuses and never overwrites."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

import pytest

from data_platform.cli import main

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLES / "pipelines", tmp_path / "pipelines")
    shutil.copy(EXAMPLES / "storefront" / "CLAUDE.md", tmp_path / "CLAUDE.md")
    return tmp_path


def render(project: Path, spec: str, *words: str) -> int:
    return main(["pipeline", "render", str(project / spec), "--project", str(project), *words])


@pytest.mark.parametrize(
    ("target", "file"), [("airflow", "shipments_dag.py"), ("dagster", "shipments_definitions.py")]
)
def test_a_scheduler_runs_the_spec_and_knows_no_secret(
    project: Path, target: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIPPING_URL", "postgres://u:secret@h/db")
    out = project / "out"
    assert render(project, "pipelines/incremental.yaml", "--target", target, "--output", str(out)) == 0
    text = (out / file).read_text()
    ast.parse(text)
    assert "secret" not in text
    assert "env:PIPELINE_DATABASE_CUSTOMER_DB" in text
    assert "pipelines/incremental.yaml" in text
    assert "PIPELINE_SPEC" not in text


@pytest.mark.parametrize(
    ("table", "key"),
    [('shop."Order Lines"', ["shop", "Order_Lines"]), ("shop.订单", ["shop", "8BA25355"])],
)
def test_a_name_that_dagster_does_not_take_is_another_one_there(
    project: Path, table: str, key: list[str]
) -> None:
    spec = project / "pipelines" / "etl.yaml"
    spec.write_text(spec.read_text().replace("facts.orders", table))
    assert render(project, "pipelines/etl.yaml", "--target", "dagster", "--output", str(project / "out")) == 0
    assert f"MADE = [{key}]" in (project / "out" / "order_facts_definitions.py").read_text()


def test_work_of_the_user_is_not_overwritten(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("pipelines/etl.yaml", "--target", "duckdb", "--output", str(project / "out"))
    assert render(project, *words) == 0
    assert render(project, *words) == 0
    changed = project / "out" / "pipeline.py"
    changed.write_text("# mine\n")
    assert render(project, *words) == 2
    assert "exist and differ" in capsys.readouterr().err
    assert changed.read_text() == "# mine\n"
    assert render(project, *words, "--force") == 0


def test_what_differs_is_found_and_nothing_is_written(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = project / "pipelines" / "elt.yaml"
    spec.write_text(spec.read_text().replace("sum(total) AS total", "sum(total) / count(*) AS total"))
    code = render(
        project, "pipelines/elt.yaml", "--target", "duckdb", "--output", str(project / "out"), "--json"
    )
    answer = json.loads(capsys.readouterr().out)
    assert (code, answer["status"], answer["artifacts"]) == (1, "findings", [])
    (one,) = [found for found in answer["findings"] if found["severity"] == "error"]
    assert "sum(total) / count(*)" in spec.read_text().splitlines()[one["line"] - 1]
    assert not (project / "out").exists()


@pytest.mark.parametrize(
    ("spec", "told"),
    [("pipelines/incremental.yaml", "the target duckdb reads files, and `shipments` is none")],
)
def test_what_it_cannot_do_is_said(
    project: Path, spec: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render(project, spec, "--target", "duckdb") == 2
    assert told in capsys.readouterr().err


def test_without_the_comparison_it_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert render(project, "pipelines/etl.yaml", "--target", "duckdb", "--no-verify", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert {one["rule"] for one in answer["findings"]} >= {"engine-not-tried"}


@pytest.mark.parametrize("target", ["postgres", "duckdb", "spark", "dlt"])
def test_packed_files_are_for_runs_of_ours(
    project: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    spec = project / "pipelines" / "etl.yaml"
    spec.write_text(spec.read_text().replace("orders/*.csv", "orders/*.csv.gz"))
    assert render(project, "pipelines/etl.yaml", "--target", target, "--output", str(project / "out")) == 2
    assert "`orders` is packed by gzip" in capsys.readouterr().err
