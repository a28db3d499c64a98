"""The project for dlt, run by dlt in an environment of its own, and compared row by row with a run of ours."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from psycopg.conninfo import conninfo_to_dict
from pyarrow import parquet

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines import dlt as project
from data_platform.pipeline.engines.look import as_it_is
from data_platform.postgres.server import Database, Server
from environments import python_with
from pipeline.engines.projects import columns_of, rows
from pipeline.engines.shop import CSV, KINDS_OF, LINES, SECOND, SPECS, write_parquet
from pipeline.running import ask, do, spec_of

PACKAGES = ("dlt[postgres]>=1.5", "pyarrow>=17")
DRIVER = """
import importlib.util, json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    os.environ |= asked["environment"]
    spec = importlib.util.spec_from_file_location("rendered", asked["script"])
    module = sys.modules["rendered"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        module.run(asked["base"], asked["state"])
        told = ""
    except BaseException as error:
        told = f"{type(error).__name__} {error}"
    print("DONE " + json.dumps(told), flush=True)
"""


class Dlt:
    """dlt in a process of its own, which runs one project after another."""

    def __init__(self, python: Path) -> None:
        self.python = python
        self.process = subprocess.Popen(
            [python, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet()
        )

    def run(self, folder: Path, database: Database) -> str:
        """What stopped it, or nothing."""
        asked = {
            "script": str(folder / "project" / "pipeline.py"), "base": str(folder), "state": str(folder / "state"),
            "environment": environment_of(database),
        }  # fmt: skip
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("DONE "):
                return str(json.loads(line.removeprefix("DONE ")))
        raise AssertionError("it said nothing")


def quiet() -> dict[str, str]:
    return {**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}


def environment_of(database: Database) -> Mapping[str, str]:
    parts = conninfo_to_dict(database.conninfo)
    who = f"{parts['user']}:{parts['password']}"
    # dlt asks for a host; the socket after it is where libpq goes.
    url = f"postgresql://{who}@localhost:{parts['port']}/{parts['dbname']}?host={parts['host']}"
    return {"DESTINATION__POSTGRES__CREDENTIALS": url}


@pytest.fixture(scope="module")
def dlt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dlt]:
    running = Dlt(python_with(tmp_path_factory.mktemp("dlt") / "environment", PACKAGES))
    yield running
    with running.process as process:
        assert process.stdin
        process.stdin.close()


def rendered(server: Server, folder: Path, text: str) -> None:
    made = project.render(as_it_is(server, spec_of(folder, text), ["made in a test"]))
    for name, body in made.files.items():
        (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / name).write_text(body)


def both(ours: Database, theirs: Database) -> tuple[list[Any], list[Any]]:
    columns = columns_of(ours)
    return rows(ours, columns), rows(theirs, columns)


@pytest.mark.parametrize("name", SPECS)
def test_it_gives_the_rows_of_a_run(
    server: Server, database: Database, dlt: Dlt, tmp_path: Path, name: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    rendered(server, tmp_path, SPECS[name])
    with server.scratch_database(extensions=["btree_gist"]) as ours:
        for body in (None, SECOND):
            if body:
                (tmp_path / "in" / "2.csv").write_text(body)
            do(ours, tmp_path, SPECS[name])
            assert dlt.run(tmp_path, database) == ""
            expected, found = both(ours, database)
            assert found == expected != []


@pytest.mark.parametrize("name", KINDS_OF)
def test_every_kind_of_value_comes_as_it_is(
    server: Server, database: Database, dlt: Dlt, tmp_path: Path, name: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(LINES)
    write_parquet(tmp_path / "in" / "b.parquet")
    rendered(server, tmp_path, KINDS_OF[name])
    assert dlt.run(tmp_path, database) == ""
    with server.scratch_database() as ours:
        do(ours, tmp_path, KINDS_OF[name])
        expected, found = both(ours, database)
    assert len(expected) == 5
    assert found == expected


def test_killed_while_it_loads_a_row_is_there_once(
    server: Server, database: Database, dlt: Dlt, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    header, line = CSV.splitlines()[:2]
    many = "\n".join(line.replace("1,", f"{number},", 1) for number in range(20_000))
    (tmp_path / "in" / "1.csv").write_text(f"{header}\n{many}\n")
    rendered(server, tmp_path, SPECS["added"])
    script = tmp_path / "project" / "pipeline.py"
    command = [dlt.python, script, "--base", tmp_path]
    landed = "SELECT count(*) FROM pg_class WHERE relname = 'rows' AND relkind = 'r'"
    environment = {**quiet(), **environment_of(database), "DLT_DATA_DIR": str(tmp_path / "home")}
    with subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    ) as going:
        while going.poll() is None and not ask(database, landed)[0][0]:
            time.sleep(0.005)
        os.killpg(going.pid, signal.SIGKILL)
    (tmp_path / "in" / "2.csv").write_text(f"{header}\n{line.replace('1,', '20000,', 1)}\n")
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert ask(database, "SELECT count(*), count(DISTINCT id) FROM shop.t") == [(20_001, 20_001)]


NESTED = r"""{"id": 1, "note": {"a": 1.50, "ß": [1e2, "\\"]}, "said": {"a": [2.5]}, "total": 1e-8, "marks": [1]}
{"id": 2, "note": [], "said": [1], "total": 0.00000000, "marks": []}
{"id": 3, "note": [0.1, {}], "said": 1.0, "total": 1e3, "marks": [null, -2]}
{"id": 6, "note": "5", "said": "5"}
{"id": 7, "note": "say \"so\"", "said": null}
{"id": 8, "note": null}
"""


def test_json_and_small_numbers_come_as_they_are(
    server: Server, database: Database, dlt: Dlt, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(NESTED)
    small = pa.array([Decimal("0E-8"), Decimal("1E-8")], pa.decimal128(20, 8))
    lists = pa.array([[1, 2], []], pa.list_(pa.int32()))
    parquet.write_table(
        pa.table({"id": [4, 5], "note": lists, "said": ["", None], "total": small, "marks": lists}),
        tmp_path / "in" / "b.parquet",
    )
    columns = "columns: {id: bigint, note: jsonb, said: text, total: 'numeric(20,8)', marks: 'int[]'}"
    text = f"""pattern: etl
sources: [{{name: lines, path: 'in/*.jsonl', {columns}}}, {{name: typed, path: 'in/*.parquet', {columns}}}]
transforms: [{{name: every, sql: "SELECT * FROM lines UNION ALL SELECT * FROM typed"}}]
targets: [{{table: shop.t, from: every, key: [id]}}]
"""
    rendered(server, tmp_path, text)
    assert dlt.run(tmp_path, database) == ""
    with server.scratch_database() as ours:
        do(ours, tmp_path, text)
        expected, found = both(ours, database)
    assert len(expected) == 8
    assert found == expected


@pytest.mark.parametrize(
    ("columns", "body", "many"),
    [
        ("name: text", 'name\n"a"\n\n""\n', 3),
        ("id: bigint, name: text", "id,name\n", 0),
        ("id: bigint, name: text", f"id,name\n1,{'x' * 3_000_000}\n\n2,\n", 2),
    ],
    ids=["empty lines of one column", "a header alone", "a long record"],
)
def test_lines_that_are_not_like_the_others(
    server: Server,
    database: Database,
    dlt: Dlt,
    tmp_path: Path,
    columns: str,
    body: str,
    many: int,
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(body)
    text = f"""pattern: incremental
sources: [{{name: rows, path: 'in/*.csv', columns: {{{columns}}}}}]
targets: [{{table: shop.t}}]
"""
    rendered(server, tmp_path, text)
    assert dlt.run(tmp_path, database) == ""
    with server.scratch_database() as ours:
        do(ours, tmp_path, text)
        expected, found = both(ours, database)
    assert found == expected
    assert len(found) == many


def test_what_is_wrong_stops_it_and_the_tables_stay(
    server: Server, database: Database, dlt: Dlt, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    rendered(server, tmp_path, SPECS["incremental"])
    assert dlt.run(tmp_path, database) == ""
    before = ask(database, "SELECT * FROM shop.t ORDER BY id")
    (tmp_path / "in" / "1.csv").write_text(SECOND)
    assert "1.csv was landed and holds something else now" in dlt.run(tmp_path, database)
    (tmp_path / "in" / "1.csv").write_text(CSV)
    (tmp_path / "in" / "2.csv").write_text(SECOND.replace("deleted\n", "other\n", 1))
    assert "2.csv has drifted: deleted, other" in dlt.run(tmp_path, database)
    (tmp_path / "in" / "2.csv").write_text(SECOND.replace("6,10,A,5,9", "6,1.5,A,5,9"))
    assert "customer: not bigint: 1.5" in dlt.run(tmp_path, database)
    assert ask(database, "SELECT * FROM shop.t ORDER BY id") == before


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("path: 'in/*.csv'", "dsn: env:SHOP, table: rows", "this project reads files"),
        ("status: text", "_dlt_id: text", "is a column of dlt's"),
    ],
)
def test_what_has_no_form_is_refused(server: Server, tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(UsageProblem, match=re.escape(told)):
        rendered(server, tmp_path, SPECS["added"].replace(old, new))
