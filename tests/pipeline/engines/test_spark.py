"""The project for Spark, rendered, run on real Spark in local mode, and compared row by row with a run of ours."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines import spark as project
from data_platform.pipeline.engines.look import look
from data_platform.pipeline.engines.prove import normal
from data_platform.pipeline.engines.running import spark_session
from data_platform.postgres.server import Database, Server
from data_platform.spec import document
from pipeline.engines.shop import (
    BAD,
    CSV,
    JSON_LINES,
    JSON_SPEC,
    JSON_VALUES,
    KINDS_OF,
    LINES,
    SECOND,
    SOURCE,
    SPECS,
    with_bad,
    write_parquet,
    write_rounded,
)
from pipeline.running import ask, do, spec_of

pytestmark = [
    pytest.mark.skipif(find_spec("pyspark") is None, reason="pyspark is not installed"),
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java"),
]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    session = spark_session()
    yield session
    session.stop()


def rendered(server: Server, folder: Path, text: str) -> Path:
    """The project, written beside the spec."""
    spec = spec_of(folder, text)
    read = document.read(folder / "spec.yaml")
    job, found, _ = look(server, read, spec, "spark", ["made in a test"], verify=False)
    assert [one.message for one in found if one.severity == "error"] == []
    for name, body in project.render(job).files.items():
        (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / name).write_text(body)
    return folder / "project" / "pipeline.py"


class Job:
    """The script in this process, with the session of all tests."""

    def __init__(self, spark: Any, script: Path, folder: Path) -> None:
        self.spark, self.folder = spark, folder
        self.script = runpy.run_path(str(script), run_name="rendered")

    def run(self) -> list[str]:
        return list(self.script["run"](self.spark, str(self.folder), str(self.folder / "warehouse")))

    def rows(self, name: str, columns: list[str]) -> list[Any]:
        frame = self.script["table"](self.spark, str(self.folder / "warehouse"), name)
        # A time with a zone comes as one of this machine's, without saying so.
        zoned = {name for name, kind in frame.dtypes if kind == "timestamp"}
        told = [f"unix_micros(`{one}`)" if one in zoned else f"`{one}`" for one in columns]
        return shown(frame.selectExpr(*told).collect())


def shown(rows: Any) -> list[Any]:
    """Rows in order; a time with a zone as microseconds."""
    return sorted((tuple(normal(_micros(one)) for one in row) for row in rows), key=str)


def _micros(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo:
        return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return value


def names_of(database: Database) -> list[str]:
    return [
        name
        for (name,) in ask(
            database,
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'shop' AND table_name = 't'"
            " AND column_name <> 'valid' ORDER BY ordinal_position",
        )
    ]


def both(database: Database, job: Job) -> tuple[list[Any], list[Any]]:
    names = names_of(database)
    listed = ", ".join(f'"{name}"' for name in names)
    return shown(ask(database, f"SELECT {listed} FROM shop.t")), job.rows("shop.t", names)


@pytest.mark.parametrize("name", SPECS)
def test_it_gives_the_rows_of_a_run(
    server: Server, database: Database, spark: Any, tmp_path: Path, name: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    job = Job(spark, rendered(server, tmp_path, SPECS[name]), tmp_path)
    again = (
        (None,) if name in ("incremental", "added", "etl", "scd 2") else ()
    )  # a run of Spark takes a second
    for body in (None, SECOND, *again):
        if body:
            (tmp_path / "in" / "2.csv").write_text(body)
        do(database, tmp_path, SPECS[name])
        job.run()
        expected, found = both(database, job)
        assert found == expected
        assert expected
    assert len(list((tmp_path / "warehouse" / "shop.t").glob("rows-*"))) <= 3


@pytest.mark.parametrize("name", KINDS_OF)
def test_every_kind_of_value_comes_as_it_is(
    server: Server, database: Database, spark: Any, tmp_path: Path, name: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a [1]{x}.jsonl").write_text(LINES)
    write_parquet(tmp_path / "in" / "b.parquet")
    job = Job(spark, rendered(server, tmp_path, KINDS_OF[name]), tmp_path)
    do(database, tmp_path, KINDS_OF[name])
    job.run()
    expected, found = both(database, job)
    assert len(expected) == 5
    assert found == expected


def test_a_text_of_json_stays_one(server: Server, database: Database, spark: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(JSON_LINES)
    job = Job(spark, rendered(server, tmp_path, JSON_SPEC), tmp_path)
    do(database, tmp_path, JSON_SPEC)
    job.run()
    found = [json.loads(note) if note is not None else None for _, note in job.rows("shop.t", ["id", "note"])]
    assert found == [note for (note,) in ask(database, "SELECT note FROM shop.t ORDER BY id")]
    assert found == [json.loads(value) for value in JSON_VALUES]


@pytest.mark.parametrize(("column", "value"), [*BAD, ("total", "1e3")])
def test_a_row_that_is_not_of_its_types_stops_it_and_changes_nothing(
    server: Server, spark: Any, tmp_path: Path, column: str, value: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(with_bad(column, value))
    job = Job(spark, rendered(server, tmp_path, SPECS["added"]), tmp_path)
    with pytest.raises(Exception, match=re.escape(f"{column}: not ") + ".*" + re.escape(value)):
        job.run()
    assert not (tmp_path / "warehouse" / "_runs").exists()


def test_what_drifts_or_changes_stops_it(server: Server, spark: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    job = Job(spark, rendered(server, tmp_path, SPECS["added"]), tmp_path)
    job.run()
    (tmp_path / "in" / "2.csv").write_text(SECOND.replace("deleted\n", "other\n", 1))
    with pytest.raises(SystemExit, match=r"2.csv has drifted: deleted, other"):
        job.run()
    (tmp_path / "in" / "2.csv").unlink()
    (tmp_path / "in" / "1.csv").write_text(SECOND)
    with pytest.raises(SystemExit, match=r"1.csv was loaded and is another file now"):
        job.run()
    (tmp_path / "in" / "1.csv").rename(tmp_path / "in" / "_1.csv")
    with pytest.raises(SystemExit, match="rename it"):
        job.run()
    assert len(job.rows("shop.t", ["id"])) == 7


def test_of_two_at_once_one_commits(server: Server, spark: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    job = Job(spark, rendered(server, tmp_path, SPECS["added"]), tmp_path)
    late = job.script["Store"](spark, str(tmp_path / "warehouse"))
    job.run()
    late.write("shop.t", "rows", spark.sql("SELECT 1 AS id"))
    with pytest.raises(SystemExit, match="another run was done before this one"):
        late.commit()
    assert len(job.rows("shop.t", ["id"])) == 7
    (tmp_path / "in" / "2.csv").write_text(SECOND)
    job.run()
    assert len(job.rows("shop.t", ["id"])) == 13
    assert not list((tmp_path / "warehouse" / "shop.t").glob(f"rows-{late.run}"))


def test_killed_it_has_changed_nothing_and_the_next_one_does_it(
    server: Server, database: Database, spark: Any, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    script = rendered(server, tmp_path, SPECS["incremental"])
    command = [
        sys.executable,
        str(script),
        "--base",
        str(tmp_path),
        "--warehouse",
        str(tmp_path / "warehouse"),
    ]
    settings = ("ui.enabled=false", "sql.shuffle.partitions=1", "sql.codegen.factoryMode=NO_CODEGEN",
                "sql.codegen.wholeStage=false", "driver.extraJavaOptions=-XX:TieredStopAtLevel=1")  # fmt: skip
    words = " ".join(f"--conf spark.{one}" for one in settings)
    quiet = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_SUBMIT_ARGS": f"{words} pyspark-shell"}
    with subprocess.Popen(
        command, env=quiet, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        while run.poll() is None and not list(tmp_path.glob("warehouse/shop.t/*")):
            time.sleep(0.01)
        os.killpg(run.pid, signal.SIGKILL)
    assert not list(tmp_path.glob("warehouse/_runs/*.json"))
    job = Job(spark, script, tmp_path)
    job.run()
    do(database, tmp_path, SPECS["incremental"])
    expected, found = both(database, job)
    assert found == expected


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (SOURCE.replace("in/*.csv", "in/**/*.csv"), "patterns know no"),
        (SOURCE.replace("customer: bigint", "customer: 'bigint[]'"), "Spark reads no {a,b}"),
    ],
)
def test_what_spark_cannot_read_is_refused(server: Server, tmp_path: Path, source: str, told: str) -> None:
    text = f"pattern: incremental\n{source}\ntargets: [{{table: shop.t, key: [id]}}]"
    with pytest.raises(UsageProblem, match=re.escape(told)):
        rendered(server, tmp_path, text)


def test_a_number_of_a_typed_file_is_not_rounded(server: Server, spark: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_rounded(tmp_path / "in" / "1.parquet")
    text = """pattern: incremental
sources: [{name: rows, path: 'in/*.parquet', columns: {id: bigint, total: 'numeric(12,2)'}}]
targets: [{table: shop.t, key: [id]}]
"""
    job = Job(spark, rendered(server, tmp_path, text), tmp_path)
    with pytest.raises(Exception, match=r"total: not numeric\(12,2\): 1.005"):
        job.run()


def test_letters_have_the_same_case(server: Server, database: Database, spark: Any, tmp_path: Path) -> None:
    """Java makes FI of a ligature, and another sigma at the end of a word."""
    text = """pattern: incremental
sources: [{name: rows, path: 'in/*.jsonl', columns: {id: int, name: text}}]
transforms:
  - name: cased
    sql: SELECT id, upper(name) AS u, lower(name) AS l FROM rows
targets: [{table: shop.t, from: cased, key: [id]}]
"""
    words = ["\ufb01n", "\u0391\u03a3 \u03a3", "stra\u00dfe", "\u00c5\u00c9", "\u01c6", "\u00b5", "A\u0301"]
    lines = [json.dumps({"id": number, "name": word}) for number, word in enumerate(words)]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.jsonl").write_text("\n".join(lines))
    job = Job(spark, rendered(server, tmp_path, text), tmp_path)
    do(database, tmp_path, text)
    job.run()
    expected, found = both(database, job)
    assert len(expected) == len(words)
    assert found == expected
