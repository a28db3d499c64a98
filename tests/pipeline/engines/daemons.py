"""Airflow's scheduler and Dagster's daemon themselves, each in an environment and with a store of state of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from data_platform.postgres.server import Database
from environments import python_with
from pipeline.running import ask

DPE = [sys.executable, str(Path(__file__).parents[3] / "scripts" / "dpe.py")]


@dataclass(frozen=True)
class Project:
    """A folder with specs and what is rendered of them, the store that they write to, and a source."""

    folder: Path
    target: Database
    source: Database

    def spec(self, name: str) -> Path:
        return self.folder / "specs" / f"{name}.yaml"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DPE": " ".join(DPE),
            "PIPELINE_PROJECT": str(self.folder),
            "PIPELINE_DATABASE_CUSTOMER_DB": self.target.conninfo,
            "SHOP_URL": self.source.conninfo,
            "DO_NOT_TRACK": "1",
        }

    def dpe(self, verb: str, spec: str) -> dict[str, Any]:
        """What a command of ours, typed beside the scheduler, answers."""
        words = ["--dsn", "env:PIPELINE_DATABASE_CUSTOMER_DB", "--project", str(self.folder), "--json"]
        command = [*DPE, "pipeline", verb, str(self.spec(spec)), *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


def running(process: int) -> list[psutil.Process]:
    """The runs of ours that a process began."""
    found = []
    for one in psutil.Process(process).children(recursive=True):
        try:
            if one.name().startswith("python") and {"pipeline", "run"} <= set(one.cmdline()):
                found.append(one)
        except psutil.Error:  # it is gone
            continue
    return found


def killed(process: int, database: Database) -> bool:
    """Whether a run that loads was found, which is then no more."""
    loading = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'COPY%'"
    if ask(database, loading) == [(0,)]:
        return False
    for one in running(process):
        one.send_signal(signal.SIGKILL)
        return True
    return False


class Tool(ABC):
    """A scheduler with a home of its own, for the specs p and q of a project."""

    packages: tuple[str, ...]
    good: str
    begins_at_once: bool
    """Whether a schedule that is switched on has a run to do before its next time."""

    def __init__(self, home: Path, project: Project) -> None:
        self.home, self.project = home, project
        (home / "rendered").mkdir(parents=True)
        self.python = python_with(home / "environment", self.packages)
        self.environment = {**project.environment, **self.settings()}
        self.said = (home / "said").open("w")

    @property
    def version(self) -> str:
        name = self.packages[0].partition(">")[0]
        told = f"from importlib.metadata import version; print({name!r}, version({name!r}))"
        return self.command("python", "-c", told).strip()

    @abstractmethod
    def settings(self) -> dict[str, str]: ...

    @abstractmethod
    def daemon(self) -> list[str]: ...

    @abstractmethod
    def switch(self, name: str, *, on: bool) -> None: ...

    @abstractmethod
    def launch(self, name: str) -> None: ...

    @abstractmethod
    def backfill(self, name: str, days: list[str]) -> int:
        """From the first of these days until before the last; how many runs that is."""

    @abstractmethod
    def ended(self, name: str) -> list[str]:
        """The states of a pipeline's runs that are over, the oldest first."""

    @abstractmethod
    def tries(self, name: str) -> int:
        """How often the step that runs was begun, at most, in one run."""

    @abstractmethod
    def knows(self, table: str) -> bool:
        """Whether it has written down that `schema.table` is up to date."""

    def ready(self) -> bool:
        """Whether it can begin runs."""
        return True

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.daemon(), env=self.environment, cwd=self.home, stdout=self.said, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def stop(self) -> None:
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        for one in psutil.wait_procs(children, 10)[1]:
            one.kill()
        self.said.close()

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [str(self.python.with_name(words[0])), *words[1:]],
            env=self.environment, cwd=self.home, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stdout[-3000:], done.stderr[-3000:])
        return done.stdout

    def rows(self, file: str, query: str, *values: str) -> list[tuple[Any, ...]]:
        """Of the scheduler's own database; none while it makes it."""
        path = self.home / file
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            try:
                return connection.execute(query, values).fetchall()
            except sqlite3.OperationalError as problem:
                if "no such table" in str(problem):
                    return []
                raise

    def wait(self, what: str, good: Callable[[], bool], seconds: float = 600) -> None:
        until = time.monotonic() + seconds
        while not good():
            ended = self.process.poll() is not None
            if ended or time.monotonic() > until:
                told = (self.home / "said").read_text()[-6000:]
                raise AssertionError(f"{'it ended' if ended else 'never came'}: {what}\n{told}")
            time.sleep(0.2)

    def wait_for_runs(self, name: str, number: int) -> list[str]:
        self.wait(f"{number} runs of {name}", lambda: len(self.ended(name)) >= number)
        return self.ended(name)


class Airflow(Tool):
    packages = ("apache-airflow>=3,<4",)
    good = "success"
    begins_at_once = True

    def settings(self) -> dict[str, str]:
        with closing(socket.socket()) as listener:
            listener.bind(("127.0.0.1", 0))
            port = self.port = listener.getsockname()[1]
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "rendered"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
        }

    def daemon(self) -> list[str]:
        self.command("airflow", "db", "migrate")
        self.command("airflow", "dags", "reserialize")
        return [str(self.python.with_name("airflow")), "standalone"]

    def ready(self) -> bool:
        """Whether its server listens: a task that is begun before fails."""
        with closing(socket.socket()) as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def switch(self, name: str, *, on: bool) -> None:
        self.command("airflow", "dags", "unpause" if on else "pause", name, "-y")

    def launch(self, name: str) -> None:
        self.command("airflow", "dags", "trigger", name)

    def backfill(self, name: str, days: list[str]) -> int:
        """A run for each day, two of them at once as far as the DAG allows."""
        part = ("--from-date", days[0], "--to-date", days[-2], "--max-active-runs", "2")
        self.command("airflow", "backfill", "create", "--dag-id", name, *part)
        return len(days) - 1

    def ended(self, name: str) -> list[str]:
        query = "SELECT state FROM dag_run WHERE dag_id = ? AND state IN ('success', 'failed') ORDER BY id"
        return [state for (state,) in self.rows("airflow.db", query, name)]

    def tries(self, name: str) -> int:
        query = "SELECT max(try_number) FROM task_instance WHERE dag_id = ? AND task_id = 'run'"
        return int(self.rows("airflow.db", query, name)[0][0])

    def knows(self, table: str) -> bool:
        query = "SELECT 1 FROM asset_event JOIN asset ON asset.id = asset_id WHERE name = ?"
        return bool(self.rows("airflow.db", query, table))


class Dagster(Tool):
    packages = ("dagster>=1.12,<2",)
    good = "SUCCESS"
    begins_at_once = False

    def settings(self) -> dict[str, str]:
        (self.home / "dagster.yaml").write_text(
            "telemetry: {enabled: false}\nconcurrency: {pools: {default_limit: 1}}\n"
        )
        return {"DAGSTER_HOME": str(self.home)}

    def file(self, name: str) -> Path:
        return self.home / "rendered" / f"{name}_definitions.py"

    def daemon(self) -> list[str]:
        self.command("dagster", "instance", "migrate")  # two at once cannot make its store
        files = [word for name in "pq" for word in ("-f", str(self.file(name)))]
        return [str(self.python.with_name("dagster-daemon")), "run", *files]

    def switch(self, name: str, *, on: bool) -> None:
        what = ("start" if on else "stop", f"{name}_job_schedule", "-f", str(self.file(name)))
        self.command("dagster", "schedule", *what)

    def launch(self, name: str, **part: str) -> None:
        config = json.dumps({"ops": {f"{name}_run": {"config": part}}} if part else {})
        words = ("-f", str(self.file(name)), "-j", f"{name}_job", "--config-json", config)
        self.command("dagster", "job", "launch", *words)

    def backfill(self, name: str, days: list[str]) -> int:
        self.launch(name, since=days[0], until=days[-1])
        return 1

    def ended(self, name: str) -> list[str]:
        query = (
            "SELECT status FROM runs WHERE pipeline_name = ? AND status IN ('SUCCESS', 'FAILURE') ORDER BY id"
        )
        return [state for (state,) in self.rows("history/runs.db", query, f"{name}_job")]

    def tries(self, name: str) -> int:
        found = self.rows("history/runs.db", "SELECT run_id FROM runs WHERE pipeline_name = ?", f"{name}_job")
        query = "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'STEP_RESTARTED'"
        counted = (self.rows(f"history/runs/{run_id}.db", query) for (run_id,) in found)
        return 1 + max((rows[0][0] for rows in counted if rows), default=0)

    def knows(self, table: str) -> bool:
        """As the daemon that watches freshness says."""
        kind, key = "FRESHNESS_STATE_CHANGE", json.dumps(table.split("."))
        query = "SELECT event FROM event_logs WHERE dagster_event_type = ? AND asset_key = ? ORDER BY id"
        told = self.rows("history/runs/index.db", query, kind, key)
        return bool(told) and '"new_state": {"__enum__": "FreshnessState.PASS"}' in told[-1][0]
