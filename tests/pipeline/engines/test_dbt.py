"""The project for dbt, run by dbt in an environment of its own, and compared row by row with a run of ours."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines import dbt as project
from data_platform.postgres.server import Database, Server
from pipeline.engines.projects import columns_of, environment_of, land, python_with, rendered, rows
from pipeline.engines.shop import CSV, SECOND, SPECS
from pipeline.running import ask, do

PACKAGES = ("dbt-core>=1.10,<1.12", "dbt-postgres>=1.9,<1.11")
DRIVER = """
import json, os, sys
from dbt.cli.main import dbtRunner
for line in sys.stdin:
    asked = json.loads(line)
    os.environ |= asked["environment"]
    done = dbtRunner().invoke(["--quiet", "build", "--project-dir", asked["folder"], "--profiles-dir", asked["folder"]])
    told = [f"{one.node.name}: {one.status} {one.message}" for one in done.result or []]
    print("DONE " + json.dumps([done.success, told, str(done.exception)]), flush=True)
"""


class Dbt:
    """dbt in a process of its own, which builds one project after another."""

    def __init__(self, python: Path) -> None:
        quiet = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}
        self.process = subprocess.Popen(
            [python, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet
        )

    def build(self, folder: Path, database: Database) -> list[str]:
        """What became of each model and test."""
        environment = environment_of(database)
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"folder": str(folder), "environment": environment}) + "\n")
        self.process.stdin.flush()
        said = []
        for line in self.process.stdout:
            if line.startswith("DONE "):
                good, told, fault = json.loads(line.removeprefix("DONE "))
                assert good, [told, fault, said]
                return list(told)
            said.append(line)
        raise AssertionError(said)


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dbt]:
    python = python_with(tmp_path_factory.mktemp("dbt") / "environment", PACKAGES)
    running = Dbt(python)
    yield running
    with running.process as process:
        assert process.stdin
        process.stdin.close()


@pytest.mark.parametrize("name", SPECS)
def test_it_gives_the_rows_of_a_run(
    server: Server, database: Database, dbt: Dbt, tmp_path: Path, name: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    folder = rendered(project, server, tmp_path, SPECS[name])
    with server.scratch_database(extensions=["btree_gist"]) as ours:
        for body in (None, SECOND):
            if body:
                (tmp_path / "in" / "2.csv").write_text(body)
            do(ours, tmp_path, SPECS[name])
            land(database, folder)
            told = dbt.build(folder, database)
            expected = rows(ours, columns_of(ours))
            assert rows(database, columns_of(ours)) == expected
            assert expected
    assert ("unique_shop__t__id_: pass None" in told) == (
        name in ("incremental", "no version", "etl", "snapshot")
    )


GROWS = """pattern: incremental
sources:
  - name: rows
    path: 'in/*.csv'
    columns: {id: bigint, "a {{ 1 }}  b'c": text, v: int, gone: boolean}
    deletes: {column: gone}
targets: [{table: shop.t, from: rows, key: ["a {{ 1 }}  b'c", id], version: v}]
"""


def test_only_keys_that_came_again_are_written_and_a_failed_build_notes_nothing(
    server: Server, database: Database, dbt: Dbt, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    folder = rendered(project, server, tmp_path, GROWS)

    def lands(name: str, *lines: str) -> None:
        head = "id,a {{ 1 }}  b'c,v,gone"
        (tmp_path / "in" / name).write_text("\n".join((head, *lines)) + "\n")
        land(database, folder)

    def there() -> list[Any]:
        return ask(database, "SELECT id, v, xmin::text FROM shop.t ORDER BY id")

    lands("1.csv", "1,x,5,f", "2,x,5,f", "3,x,5,f")
    dbt.build(folder, database)
    first = there()
    dbt.build(folder, database)
    assert there() == first  # nothing came
    lands("2.csv", "2,x,6,f", "3,x,7,t", "4,x,1,f")
    ask(database, "ALTER TABLE shop.t ADD CONSTRAINT small CHECK (v < 6)")
    with pytest.raises(AssertionError, match="small"):
        dbt.build(folder, database)
    assert there() == first
    ask(database, "ALTER TABLE shop.t DROP CONSTRAINT small")
    dbt.build(folder, database)
    second = there()
    assert [row[:2] for row in second] == [(1, 5), (2, 6), (4, 1)]
    assert second[0] == first[0]
    lands("3.csv", "3,x,6,f", "4,x,0,f")  # late: after a deletion, and after a greater version
    dbt.build(folder, database)
    assert [row[:2] for row in there()] == [(1, 5), (2, 6), (4, 1)]
    assert there()[:2] == second[:2]


@pytest.mark.parametrize(
    ("name", "sql", "how"),
    [
        ("incremental", None, "incremental"),
        ("incremental", "SELECT r.* FROM rows AS r WHERE total > 0 ORDER BY id", "incremental"),
        ("incremental", "SELECT DISTINCT ON (id) * FROM rows ORDER BY id", "table"),
        ("incremental", "SELECT a.* FROM rows a JOIN rows b USING (id)", "table"),
        ("incremental", "SELECT * FROM rows UNION ALL SELECT * FROM rows", "table"),
        ("scd 2", None, "incremental"),
        ("etl", None, "table"),
        ("elt", None, "table"),
    ],
)
def test_a_model_grows_where_its_rows_are_of_one_landed_row_each(
    server: Server, tmp_path: Path, name: str, sql: str | None, how: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    text = SPECS[name]
    if sql:
        text = text[: text.index("    sql: |")] + f"    sql: {sql}\n" + text[text.index("targets:") :]
    model = (rendered(project, server, tmp_path, text) / "models" / "shop__t.sql").read_text()
    assert f"materialized='{how}'" in model


def test_what_is_landed_anew_makes_the_model_anew(
    server: Server, database: Database, dbt: Dbt, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    folder = rendered(project, server, tmp_path, SPECS["added"])
    land(database, folder)
    dbt.build(folder, database)
    ask(database, "DROP TABLE p_landing.rows; DROP SCHEMA dpe_pipeline CASCADE")
    (tmp_path / "in" / "1.csv").write_text("\n".join(CSV.splitlines()[:3]) + "\n")
    land(database, folder)
    dbt.build(folder, database)
    assert ask(database, "SELECT id FROM shop.t ORDER BY id") == [(1,), (2,)]


@given(text=st.text("{}%#' a\n-", max_size=40))
def test_no_text_of_a_spec_is_read_as_jinja(text: str) -> None:
    made = Environment(autoescape=False, keep_trailing_newline=True).from_string(project._jinja(text))
    assert made.render() == text


def test_names_and_sql_that_are_jinja_stay_what_they_are(
    server: Server, database: Database, dbt: Dbt, tmp_path: Path
) -> None:
    text = """pattern: etl
sources: [{name: rows, path: 'in/*.csv', columns: {id: bigint, 'a {{ 1 }} "b" c': text}}]
transforms:
  - name: named
    sql: |
      SELECT id, "a {{ 1 }} ""b"" c" || ' {% raw %} {# c' AS "o'clock {{", '{{ target.password }}' AS secret FROM rows
targets: [{table: shop.t, from: named, key: [id, secret]}]
"""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text('id,"a {{ 1 }} ""b"" c"\n1,x\n')
    folder = rendered(project, server, tmp_path, text)
    land(database, folder)
    told = dbt.build(folder, database)
    assert "shop__t_key: pass None" in told
    assert ask(database, "SELECT * FROM shop.t") == [(1, "x {% raw %} {# c", "{{ target.password }}")]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("shop.t", "'\"a b\".t'", "dbt can have nothing of the name 'a b'"),
        (", version: updated_at, type: 2", ", type: 2", "cannot be made anew"),
    ],
)
def test_what_has_no_form_is_refused(server: Server, tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(UsageProblem, match=re.escape(told)):
        rendered(project, server, tmp_path, SPECS["scd 2"].replace(old, new))


def test_files_are_yaml_and_hold_no_secret(server: Server, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    folder = rendered(project, server, tmp_path, SPECS["elt"])
    for path in folder.rglob("*.y*ml"):
        assert yaml.safe_load(path.read_text())
    profile = yaml.safe_load((folder / "profiles.yml").read_text())
    assert profile["p"]["outputs"]["default"]["password"] == "{{ env_var('PGPASSWORD') }}"
    landing = yaml.safe_load((folder / "landing.yaml").read_text())
    assert landing["sources"][0]["path"] == "../in/*.csv"
