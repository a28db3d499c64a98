"""The script for psql, rendered, run as its user runs it, and compared row by row with a run of ours."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines import postgres
from data_platform.pipeline.engines.look import as_it_is
from data_platform.postgres.binaries import find_programs, server_account
from data_platform.postgres.server import Database, Server
from pipeline.engines.shop import CSV, SECOND, SPECS, with_bad
from pipeline.running import ask, do, spec_of

KEYED = [name for name in SPECS if name != "added"]


def rendered(server: Server, folder: Path, text: str) -> str:
    return postgres.render(as_it_is(server, spec_of(folder, text), ["made in a test"])).files["pipeline.sql"]


def run(database: Database, folder: Path, script: str, *, code: int = 0) -> str:
    (folder / "pipeline.sql").write_text(script)
    program = find_programs(server_account()) / "psql"
    command = [
        program,
        "--no-psqlrc",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-d",
        database.conninfo,
        "-f",
        "pipeline.sql",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr[-2000:]
    return done.stderr


def rows(database: Database) -> list[Any]:
    columns = ask(
        database,
        "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY column_name) FROM information_schema.columns"
        " WHERE table_schema = 'shop' AND table_name = 't' AND column_name <> 'valid'",
    )[0][0]
    return sorted(ask(database, f"SELECT ROW({columns})::text FROM shop.t"))


@pytest.mark.parametrize("name", KEYED)
def test_it_gives_the_rows_of_a_run(server: Server, tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    script = rendered(server, tmp_path, SPECS[name])
    assert script == rendered(server, tmp_path, SPECS[name])
    with server.scratch_database() as ours, server.scratch_database() as theirs:
        for body in (None, SECOND, None):
            if body:
                (tmp_path / "in" / "2.csv").write_text(body)
            do(ours, tmp_path, SPECS[name])
            run(theirs, tmp_path, script)
            assert rows(theirs) == rows(ours) != []


def test_what_is_bad_stops_it_and_changes_nothing(server: Server, database: Database, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    script = rendered(server, tmp_path, SPECS["incremental"])
    run(database, tmp_path, script)
    before = rows(database)
    for body, told in (
        (with_bad("total", "1.005"), "total: not numeric(12,2): 1.005"),
        (with_bad("customer", "x"), "customer: not bigint: x"),
        (SECOND.replace("deleted\n", "other\n", 1), "2.csv: the header is not id,customer"),
    ):
        (tmp_path / "in" / "2.csv").write_text(body)
        assert told in run(database, tmp_path, script, code=3)
        assert rows(database) == before


def test_rows_that_could_be_there_twice_are_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="has no key"):
        rendered(server, tmp_path, SPECS["added"])


NAMES = st.text(st.sampled_from("aZ_ '\"\\;$:`()-"), min_size=1, max_size=12).map(lambda one: f"n{one}n")
UNSHRUNK = (Phase.explicit, Phase.generate)
"""Each name costs a database."""


@settings(
    max_examples=4,
    deadline=None,
    phases=UNSHRUNK,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=NAMES)
@example(name="n' \" \\ ;`$(a)`-:a")
def test_a_name_stays_a_name(server: Server, tmp_path: Path, name: str) -> None:
    """In a column, a file's name and a header: psql, the shell and awk read it as it is."""
    quoted = "'" + name.replace("'", "''") + "'"
    (tmp_path / "in").mkdir(exist_ok=True)
    file = tmp_path / "in" / f"{name}.csv"
    file.write_text('id,"' + name.replace('"', "") + '"\n1,x\n')
    path = "'in/" + name.replace("'", "''") + ".csv'"
    plain = quoted.replace('"', "")
    text = (
        f"pattern: etl\nsources: [{{name: rows, path: {path}, columns: {{id: bigint, {plain}: text}}}}]\n"
        f"targets: [{{table: shop.t, key: [id]}}]"
    )
    script = rendered(server, tmp_path, text)
    with server.scratch_database() as database:
        run(database, tmp_path, script)
        assert rows(database) == [("(1,x)",)]
