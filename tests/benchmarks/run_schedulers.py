"""What is rendered for Airflow and Dagster, started by Airflow's scheduler and Dagster's daemon themselves.

python tests/benchmarks/run_schedulers.py [--only airflow|dagster]

The same for both: a run by the schedule, a run killed by SIGKILL that the scheduler tries again, several runs at
once, and a backfill of a cursor's part; rows are compared with a run of ours. Exit code 1 where something else came
to pass. Takes some minutes, since no schedule is shorter than one. Needs a package index, for environments apart.
"""

from __future__ import annotations

# ruff: noqa: E402 - the path comes first
import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from data_platform.cli import main as dpe
from data_platform.pipeline.run import run
from data_platform.pipeline.streams import Place
from data_platform.postgres.server import Server, embedded_server
from data_platform.spec import document
from data_platform.spec.pipeline import read_pipeline
from pipeline.engines.daemons import Airflow, Dagster, Project, Tool, killed, running
from pipeline.engines.shop import CSV, SECOND, SPECS
from pipeline.running import ask

TOOLS: dict[str, type[Tool]] = {"airflow": Airflow, "dagster": Dagster}
HEAD = "kind: pipeline\nstore: Customer DB\nretries: 2\nservice_levels: {freshness: 1 hour, duration: 5 minutes}\n"
FILES = f"{HEAD}name: p\nschedule: '* * * * *'\n{SPECS['incremental']}"
CURSOR = f"""{HEAD}name: q
schedule: '0 3 * * *'
pattern: incremental
sources:
  - name: rows
    dsn: env:SHOP_URL
    table: public.rows
    columns: {{id: bigint, at: timestamptz}}
    cursor: {{column: at}}
targets: [{{table: shop.late, key: [id], version: at}}]
"""
DAYS = [f"2026-01-0{day}T03:00:00+00:00" for day in (4, 5, 6)]
LATE = {
    10: "2026-01-04 02:59:59.999999Z",
    11: DAYS[0],
    12: DAYS[1],
    13: "2026-01-06 02:59:59.999999Z",
    14: DAYS[2],
}
"""Rows behind the cursor by when they are of: a backfill of DAYS brings 11 to 13."""
MANY = 400_000
"""Rows that take long enough for a kill."""


def scenario(server: Server, name: str, folder: Path) -> Iterator[str]:
    """What came to pass, step by step. AssertionError with what did not."""
    (folder / "specs" / "in").mkdir(parents=True)
    shutil.copy(ROOT / "examples" / "storefront" / "CLAUDE.md", folder / "CLAUDE.md")
    (folder / "specs" / "in" / "1.csv").write_text(CSV)
    with server.scratch_database() as target, server.scratch_database() as source:
        project = Project(folder, target, source)
        tool = TOOLS[name](folder / name, project)
        yield f"environment: {tool.version}"
        for spec, text in {"p": FILES, "q": CURSOR}.items():
            project.spec(spec).write_text(text)
            words = ["--target", name, "--output", str(folder / name / "rendered"), "--project", str(folder)]
            with redirect_stdout(sys.stderr):
                assert dpe(["pipeline", "render", str(project.spec(spec)), *words]) == 0
        tool.start()
        try:
            tool.wait("that it is ready", tool.ready)
            yield from scheduled(server, tool)
            yield from killed_and_at_once(server, tool)
            yield from backfilled(tool)
        finally:
            tool.stop()


def scheduled(server: Server, tool: Tool) -> Iterator[str]:
    tool.switch("p", on=True)
    assert tool.wait_for_runs("p", 1)[0] == tool.good
    assert tool.tries("p") == 1, "it was tried again"
    tool.wait("shop.t is up to date", lambda: tool.knows("shop.t"))
    yield f"the schedule began a run: {same(server, tool.project)} rows as of ours, and the asset is up to date"


def killed_and_at_once(server: Server, tool: Tool) -> Iterator[str]:
    project, before = tool.project, len(tool.ended("p"))
    many = (f"{number},7,new,1.00,3,2024-02-29,2026-02-01T00:00:00Z,f\n" for number in range(10, MANY))
    late = project.folder / "specs" / "in" / "2.csv"
    late.with_suffix(".part").write_text(SECOND + "".join(many))
    late.with_suffix(".part").rename(late)
    tool.wait("a run that loads", lambda: killed(tool.process.pid, project.target))
    tool.wait("another try", lambda: tool.tries("p") > 1)
    states = tool.wait_for_runs("p", before + 1)
    tool.wait("the end of runs", lambda: not running(tool.process.pid))
    yield f"killed, and tried again by the scheduler: {same(server, project):,} rows as of ours"

    before, told = len(tool.ended("p")), ask(project.target, "SELECT xmin, t::text FROM shop.t ORDER BY 2")
    for _ in range(2):
        tool.launch("p")
    beside = project.dpe("run", "p")
    assert beside["status"] == "ok" or "another run of p" in beside["findings"][0]["message"], beside
    states = tool.wait_for_runs("p", before + 2)
    assert set(states) == {tool.good}, states
    assert ask(project.target, "SELECT xmin, t::text FROM shop.t ORDER BY 2") == told, (
        "a row was written again"
    )
    tool.switch("p", on=False)
    yield f"two runs at once, and one of ours beside them ({beside['status']}): no row was touched"

    status = project.dpe("status", "p")
    assert status["status"] == "ok", status["findings"]
    runs = ask(
        project.target, "SELECT status, count(*) FROM dpe_pipeline.runs WHERE pipeline = 'p' GROUP BY 1"
    )
    yield f"pipeline status: ok; runs: {', '.join(f'{number} {state}' for state, number in runs)}"


def backfilled(tool: Tool) -> Iterator[str]:
    project = tool.project

    def loaded() -> list[int]:
        return [number for (number,) in ask(project.target, "SELECT id FROM shop.late ORDER BY 1")]

    ask(project.source, "CREATE TABLE public.rows (id bigint PRIMARY KEY, at timestamptz NOT NULL)")
    ask(project.source, "INSERT INTO public.rows VALUES (1, '2026-02-01Z'), (2, '2026-02-02Z')")
    tool.switch("q", on=True)
    if not tool.begins_at_once:
        tool.launch("q")
    tool.wait_for_runs("q", 1)
    assert loaded() == [1, 2], loaded()
    values = ", ".join(f"({number}, '{at}')" for number, at in LATE.items())
    ask(project.source, f"INSERT INTO public.rows VALUES {values}")
    tool.launch("q")
    tool.wait_for_runs("q", 2)
    assert loaded() == [1, 2], "rows behind the cursor came without a backfill"
    runs = tool.backfill("q", DAYS)
    states = tool.wait_for_runs("q", 2 + runs)
    assert states == [tool.good] * (2 + runs), states
    assert tool.tries("q") == 1, "a run met another one"
    assert loaded() == [1, 2, 11, 12, 13], loaded()
    yield f"a backfill of {runs} run{'s' if runs > 1 else ''} brought what is in its part, and only that"


def same(server: Server, project: Project) -> int:
    """How many rows there are, which are those of a run of ours."""
    with server.scratch_database() as ours:
        run(read_pipeline(document.read(project.spec("p"))), Place(ours.conninfo, project.spec("p").parent))
        expected, found = (
            ask(one, "SELECT t::text FROM shop.t ORDER BY 1") for one in (ours, project.target)
        )
    assert found == expected, "other rows than a run of ours"
    return len(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=TOOLS)
    given = parser.parse_args()
    broken = False
    with tempfile.TemporaryDirectory(prefix="dpe-schedulers-") as folder, embedded_server() as server:
        for name in [given.only] if given.only else TOOLS:
            began = time.monotonic()
            try:
                for told in scenario(server, name, Path(folder) / name):
                    print(f"{name}: {told} ({time.monotonic() - began:.0f} s)", flush=True)
                    began = time.monotonic()
            except AssertionError as problem:
                broken = True
                print(f"{name}: {problem}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
