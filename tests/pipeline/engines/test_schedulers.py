"""The DAG and the definitions, run by Airflow and Dagster themselves in environments of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_platform.cli import main
from data_platform.pipeline.run import run
from data_platform.pipeline.streams import Place
from data_platform.postgres.server import Database, Server
from data_platform.spec import document
from data_platform.spec.pipeline import read_pipeline
from environments import python_with
from pipeline.engines.daemons import DPE, killed
from pipeline.engines.shop import CSV, SECOND, SPECS
from pipeline.running import ask

ROOT = Path(__file__).parents[3]
PACKAGES = {"dagster": ["dagster>=1.12,<2"], "airflow": ["apache-airflow>=3,<4"]}
DAGSTER = """
import importlib.util, json, os, sys
import dagster
sys.stdout, answers = sys.stderr, sys.stdout
for line in sys.stdin:
    asked = json.loads(line)
    os.environ |= asked["environment"]
    found = importlib.util.spec_from_file_location("definitions", asked["folder"] + "/type_definitions.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    with dagster.DagsterInstance.ephemeral() as instance:
        done = module.defs.resolve_job_def("type_job").execute_in_process(instance=instance, raise_on_error=False)
    passed = [one.passed for one in done.get_asset_check_evaluations()]
    made = [one.asset_key.to_user_string() for one in done.get_asset_materialization_events()]
    print(json.dumps({"good": done.success, "fresh": passed == [True], "made": made}), file=answers, flush=True)
"""
AIRFLOW = """
import importlib.util, json, os, sys
sys.stdout, answers = sys.stderr, sys.stdout
for line in sys.stdin:
    asked = json.loads(line)
    os.environ |= asked["environment"]
    found = importlib.util.spec_from_file_location("dag", asked["folder"] + "/type_dag.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    done = module.dag.test()
    tasks = {one.task_id: str(one.state) for one in done.get_task_instances()}
    told = {"good": str(done.state) == "success", "fresh": tasks["status"] == "success", "made": sorted(tasks)}
    print(json.dumps(told), file=answers, flush=True)
"""
SPEC = f"""kind: pipeline
store: Customer DB
name: type
schedule: "*/5 * * * *"
service_levels: {{freshness: 1 hour, duration: 5 minutes}}
retries: 0
{SPECS["incremental"]}"""
"""Its name is a reserved word of Dagster."""
HERE = "it's {{ here }}"
"""A folder within the project that bash and Jinja would read otherwise."""


class Tool:
    """Airflow or Dagster in a process of its own, which does one run after another."""

    def __init__(self, name: str, home: Path) -> None:
        self.name, self.folder = name, home / "dags"
        self.folder.mkdir()
        python = python_with(home / "environment", PACKAGES[name])
        environment = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        environment |= {"AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"), "DO_NOT_TRACK": "1"}
        if name == "airflow":
            migrate = [str(python.with_name("airflow")), "db", "migrate"]
            subprocess.run(migrate, check=True, env=environment, capture_output=True)
        self.said = (home / "said").open("w+")
        self.process = subprocess.Popen(
            [python, "-c", AIRFLOW if name == "airflow" else DAGSTER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, text=True, env=environment,
        )  # fmt: skip

    def begin(self, folder: Path, database: Database) -> None:
        environment = {
            "DPE": " ".join(DPE),
            "PIPELINE_PROJECT": str(folder),
            "PIPELINE_DATABASE_CUSTOMER_DB": database.conninfo,
        }
        shutil.copytree(folder / "out", self.folder, dirs_exist_ok=True)
        asked = {"folder": str(self.folder), "environment": environment}
        assert self.process.stdin
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()

    def end(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        self.said.seek(0)
        assert line, self.said.read()[-3000:]
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run(self, folder: Path, database: Database) -> dict[str, Any]:
        self.begin(folder, database)
        return self.end()

    def close(self) -> None:
        self.process.communicate(timeout=60)
        self.said.close()


@pytest.fixture(scope="module", params=PACKAGES)
def tool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tool]:
    found = Tool(request.param, tmp_path_factory.mktemp(request.param))
    yield found
    found.close()


@pytest.fixture
def project(tool: Tool, tmp_path: Path) -> Path:
    """A project with the spec and what is rendered of it."""
    shutil.copy(ROOT / "examples" / "storefront" / "CLAUDE.md", tmp_path / "CLAUDE.md")
    (tmp_path / HERE / "in").mkdir(parents=True)
    (tmp_path / HERE / "spec.yaml").write_text(SPEC)
    (tmp_path / HERE / "in" / "1.csv").write_text(CSV)
    words = ["--target", tool.name, "--output", str(tmp_path / "out"), "--project", str(tmp_path)]
    assert main(["pipeline", "render", str(tmp_path / HERE / "spec.yaml"), *words]) == 0
    return tmp_path


def rows(database: Database) -> list[Any]:
    return ask(database, "SELECT t::text FROM shop.t ORDER BY 1")


def expected(server: Server, project: Path) -> list[Any]:
    """What one run of ours makes of all that is there now."""
    with server.scratch_database() as ours:
        spec = read_pipeline(document.read(project / HERE / "spec.yaml"))
        run(spec, Place(ours.conninfo, project / HERE))
        return rows(ours)


def kill(tool: Tool, database: Database) -> None:
    """The command that the tool runs now, while it loads."""
    until = time.monotonic() + 60
    while not killed(tool.process.pid, database):
        assert time.monotonic() < until, "it does not load"
        time.sleep(0.01)


def test_it_gives_the_rows_of_a_run(server: Server, database: Database, tool: Tool, project: Path) -> None:
    made = ["run", "status"] if tool.name == "airflow" else ["shop/t"]
    for body in (None, SECOND):
        if body:
            (project / HERE / "in" / "2.csv").write_text(body)
        assert tool.run(project, database) == {"good": True, "fresh": True, "made": made}
        assert rows(database) == expected(server, project)
    assert len(rows(database)) == 4


def test_what_fails_and_what_is_killed_is_so_there_and_the_next_one_does_it(
    server: Server, database: Database, tool: Tool, project: Path
) -> None:
    late = project / HERE / "in" / "2.csv"
    late.write_text(SECOND.replace("deleted\n", "other\n", 1))
    assert not tool.run(project, database)["good"]
    assert ask(database, "SELECT to_regclass('shop.t')") == [(None,)] or len(rows(database)) == 5
    many = (f"{number},7,new,1.00,3,2024-02-29,2026-02-01T00:00:00Z,f\n" for number in range(10, 400_000))
    late.write_text(SECOND + "".join(many))
    tool.begin(project, database)
    kill(tool, database)
    assert not tool.end()["good"]
    assert tool.run(project, database)["good"]
    assert rows(database) == expected(server, project)
    assert len(rows(database)) == 4 + 399_990


@pytest.mark.parametrize(
    ("levels", "first"),
    [("", SECOND.replace("deleted\n", "other\n", 1)), ("loss: 0.01, ", SECOND + "x,y\n")],
)
def test_what_no_second_try_mends_is_not_tried_again(
    database: Database, tool: Tool, project: Path, levels: str, first: str
) -> None:
    """A source that drifted, and more rows lost than may be: a second run would find nothing new, and be green."""
    text = SPEC.replace("retries: 0", "retries: 2").replace("{freshness", f"{{{levels}freshness")
    (project / HERE / "spec.yaml").write_text(text)
    (project / HERE / "in" / "2.csv").write_text(first)
    shutil.rmtree(project / "out")
    words = ["--target", tool.name, "--output", str(project / "out"), "--project", str(project)]
    assert main(["pipeline", "render", str(project / HERE / "spec.yaml"), *words]) == 0
    assert not tool.run(project, database)["good"]
    assert ask(database, "SELECT count(*) FROM dpe_pipeline.runs") == [(1,)]
