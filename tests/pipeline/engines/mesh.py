"""SQLMesh in an environment of its own, which plans what is rendered; its rows beside those of a run of ours."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines import sqlmesh
from data_platform.postgres.server import Database, Server
from environments import python_with
from pipeline.engines.projects import columns_of, environment_of, land, rendered, rows
from pipeline.engines.shop import CSV, SECOND, SPECS
from pipeline.running import do

PACKAGES = ("sqlmesh[postgres]>=0.230,<0.300",)
DRIVER = """
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    os.environ |= asked["environment"]
    from sqlmesh import Context
    told = "done"
    try:
        context = Context(paths=asked["folder"])
        context.plan("prod", auto_apply=True, no_prompts=True, restate_models=asked["restate"] or None)
        context.close()
    except Exception as error:
        told = repr(error)
    print("DONE " + json.dumps(told), flush=True)
"""
MISSING = SPECS["etl"].replace("deletes: {column: deleted}", "deletes: {column: deleted, missing: true}")
ODD = """pattern: snapshot
sources: [{name: rows, path: 'in/*.csv', columns: {id: bigint, customer: bigint, status: text, total: 'numeric(12,2)',
  quantity: integer, day: date, updated_at: timestamptz, deleted: boolean}}]
transforms:
  - name: Odd
    sql: |
      SELECT id, status AS "Status; of 'it'",
             total / 3 AS "a ""b"" c", E'tab\\t' || $q$it's; -- no comment$q$ AS "select",
             date_trunc('month', day) AS month, now() > updated_at AS past, quantity::float8 / 3 AS share,
             array[id, customer] AS both, status ~ '^[a-z]' AS lower, day + interval '1 day' AS next
      FROM rows WHERE status IS DISTINCT FROM 'x' -- of all; of them
targets: [{table: shop.t, from: Odd, key: [id, "a \\"b\\" c"]}]
"""


class Mesh:
    """SQLMesh in a process of its own, which plans one project after another."""

    def __init__(self, home: Path) -> None:
        python = python_with(home, PACKAGES)
        self.process = subprocess.Popen(
            [python, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        self.process.communicate(timeout=60)

    def plan(self, folder: Path, database: Database, restate: list[str]) -> str:
        """What went wrong, or `done`."""
        asked: dict[str, Any] = {"folder": str(folder), "restate": restate}
        asked["environment"] = {**environment_of(database), "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "true"}
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        said = []
        for line in self.process.stdout:
            if line.startswith("DONE "):
                told = str(json.loads(line.removeprefix("DONE ")))
                return told if told == "done" else told + "\n" + "".join(said)
            said.append(line)
        raise AssertionError(said)


def compared(server: Server, mesh: Mesh, folder: Path, text: str) -> str:
    """`same` with the number of rows after each day, or what is not."""
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "1.csv").write_text(CSV)
    try:
        project = rendered(sqlmesh, server, folder, text)
    except UsageProblem as problem:
        return f"refused: {problem}"
    told = []
    restate: list[str] = []
    with (
        server.scratch_database(extensions=["btree_gist"]) as ours,
        server.scratch_database() as theirs,
    ):
        for body in (None, SECOND):
            if body:
                (folder / "in" / "2.csv").write_text(body)
            do(ours, folder, text)
            land(theirs, project)
            went = mesh.plan(project, theirs, restate)
            if went != "done":
                return f"FAILS: {went}"
            restate = [one.replace("__", ".", 1) for one in targets_of(project)]
            expected, found = rows(ours, columns_of(ours)), rows(theirs, columns_of(ours))
            if expected != found:
                return f"DIFFERS: {expected} but {found}"
            told.append(str(len(found)))
    return f"same: {', then '.join(told)} rows"


def targets_of(project: Path) -> list[str]:
    return [one.stem for one in (project / "models").glob("*.sql") if "FULL" in one.read_text()]


ALL = {**SPECS, "etl, missing": MISSING, "odd": ODD}
"""Specs by name; of these a few are run by the tests, all by the benchmark."""
