"""Values that are of their declared type, and have no room in the column of a table that was there before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_platform.errors import UsageProblem
from data_platform.postgres.server import Database
from pipeline.running import ask, do, held

SOURCE = "retries: 0\nsources: [{name: t, path: a.csv, columns: {a: int, b: '%s'}}]\n"
TARGET = "targets: [{table: w.t, key: [a]}]\n"
SQL = "transforms: [{name: u, sql: 'SELECT a, b FROM t'}]\n"


@pytest.mark.parametrize("pattern", ["incremental", "snapshot", "scd"])
@pytest.mark.parametrize("transforms", ["", SQL])
@pytest.mark.parametrize(
    ("declared", "there", "values"),
    [
        ("text", "character varying(3)", ("abc", "abcd")),
        ("text", "character(2)", ("ab", "abc")),
        ("bigint", "integer", ("5", "5000000000")),
        ("double precision", "bigint", ("5", "NaN")),
        ("double precision", "bigint", ("5", "9223372036854775807")),
        ("numeric", "smallint", ("5", "32768")),
        ("numeric", "numeric(4,2)", ("99.99", "100")),
        ("double precision", "real", ("1", "1e300")),
        ("text[]", "character varying(2)[]", ("{ab}", "{abc}")),
    ],
)
def test_one_value_without_room_does_not_stop_the_others(
    database: Database,
    tmp_path: Path,
    pattern: str,
    transforms: str,
    declared: str,
    there: str,
    values: tuple[str, str],
) -> None:
    good, bad = values
    head = f"pattern: {pattern}\n"
    (tmp_path / "a.csv").write_text(f"a,b\n1,{good}\n")
    do(database, tmp_path, head + SOURCE % there + transforms + TARGET)
    (tmp_path / "a.csv").write_text(f"a,b\n2,{good}\n3,{bad}\n")
    counts = do(database, tmp_path, head + SOURCE % declared + transforms + TARGET).counts
    assert (counts.read, counts.quarantined) == (2, 1)
    assert held(database) == [(2, [f"b: not {there}"])]
    assert {a for (a,) in ask(database, "SELECT a FROM w.t")} == {1, 2}


@pytest.mark.parametrize(
    ("transforms", "kept"), [("", []), (SQL, [(2, 6)])]
)  # what SQL makes is meant to be rounded
def test_a_value_is_rounded_where_sql_made_it_only(
    database: Database, tmp_path: Path, transforms: str, kept: list[Any]
) -> None:
    ask(database, "CREATE SCHEMA w; CREATE TABLE w.t (a int PRIMARY KEY, b int)")
    (tmp_path / "a.csv").write_text("a,b\n2,5.50\n")
    do(database, tmp_path, "pattern: incremental\n" + SOURCE % "numeric" + transforms + TARGET)
    assert ask(database, "SELECT a, b FROM w.t") == kept


@pytest.mark.parametrize("pattern", ["incremental", "scd"])
def test_types_that_have_nothing_in_common_are_told(database: Database, tmp_path: Path, pattern: str) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,5\n")
    do(database, tmp_path, f"pattern: {pattern}\n" + SOURCE % "int" + TARGET)
    (tmp_path / "a.csv").write_text("a,b\n1,6\n")
    with pytest.raises(UsageProblem, match=r"a\.csv: `t` does not fit into w\.t"):
        do(database, tmp_path, f"pattern: {pattern}\n" + SOURCE % "text" + TARGET)


@pytest.mark.parametrize("pattern", ["incremental", "snapshot"])
def test_a_value_that_another_row_has_alone_does_not_stop_the_others(
    database: Database, tmp_path: Path, pattern: str
) -> None:
    ask(database, "CREATE SCHEMA w; CREATE TABLE w.t (a int PRIMARY KEY, b text UNIQUE)")
    ask(database, "INSERT INTO w.t VALUES (1, 'x')")
    (tmp_path / "a.csv").write_text("a,b\n1,x\n2,x\n3,y\n4,y\n5,\n6,\n")
    counts = do(database, tmp_path, f"pattern: {pattern}\n" + SOURCE % "text" + TARGET).counts
    assert (counts.read, counts.quarantined) == (6, 2)
    assert held(database) == [(2, ["violates t_b_key"]), (4, ["violates t_b_key"])]
    assert ask(database, "SELECT a FROM w.t ORDER BY a") == [(1,), (3,), (5,), (6,)]
