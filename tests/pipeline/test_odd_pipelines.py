"""Runs over odd sources: names that our own SQL uses, cursors that hold no place, servers that are others now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.errors import UsageProblem
from data_platform.postgres.server import Database, Server
from pipeline.running import ask, do


@pytest.fixture
def source(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    with server.scratch_database() as made:
        monkeypatch.setenv("SOURCE", made.conninfo)
        yield made


def test_a_column_r_is_set_aside_with_its_row(database: Database, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("r,line,o\n1,2,3\n2,x,4\n3,,5\n")
    text = """
pattern: incremental
sources: [{name: r, path: a.csv, columns: {r: int, line: int, o: text}}]
targets: [{table: r.r, key: [r]}]
checks: [{on: r, check: not_null, columns: [line], action: quarantine, name: c}]
"""
    do(database, tmp_path, text)
    assert ask(database, "SELECT * FROM r.r") == [(1, 2, "3")]
    assert ask(database, "SELECT content FROM dpe_pipeline.quarantine ORDER BY number") == [
        ({"r": "2", "line": "x", "o": "4"},),
        ({"r": 3, "line": None, "o": "5"},),
    ]


@pytest.mark.parametrize(
    ("type_", "odd", "new"),
    [
        ("timestamptz", ("infinity", "9999-12-31"), "now"),
        ("timestamp", ("infinity", "9999-12-31"), "now"),
        ("date", ("infinity", "9999-12-31"), "today"),
        ("numeric", ("NaN", "Infinity"), "2"),
        ("double precision", ("NaN", "Infinity"), "2"),
    ],
)
def test_a_cursor_does_not_stand_still_at_a_value_that_nothing_is_behind(
    database: Database, source: Database, tmp_path: Path, type_: str, odd: tuple[str, str], new: str
) -> None:
    first = "2026-01-01" if type_.startswith(("t", "d")) and type_ != "double precision" else "1"
    ask(source, f"CREATE TABLE t (id int PRIMARY KEY, at {type_})")
    ask(source, f"INSERT INTO t VALUES (1, '{first}'), (2, '{odd[0]}'), (3, '{odd[1]}'), (4, NULL)")
    text = """
pattern: incremental
sources: [{name: t, dsn: env:SOURCE, table: t, cursor: {column: at}}]
targets: [{table: w.t, key: [id]}]
"""
    do(database, tmp_path, text)
    ask(source, f"INSERT INTO t VALUES (5, '{new}'), (6, NULL), (7, '{odd[0]}')")
    do(database, tmp_path, text)
    query = "SELECT id, at::text FROM {} ORDER BY id"
    assert ask(database, query.format("w.t")) == ask(source, query.format("t"))


def test_a_source_that_is_another_cluster_now_is_told(
    database: Database, source: Database, tmp_path: Path
) -> None:
    ask(
        source,
        "CREATE TABLE t (id int PRIMARY KEY, w xid8 DEFAULT pg_current_xact_id()); INSERT INTO t VALUES (1)",
    )
    text = """
pattern: incremental
sources: [{name: t, dsn: env:SOURCE, table: t, cursor: {column: w, kind: xid8}}]
targets: [{table: w.t, key: [id]}]
"""
    do(database, tmp_path, text)
    ahead = """UPDATE dpe_pipeline.checkpoints SET position = '{"after": "99999999999"}' WHERE step = 't'"""
    ask(database, ahead)
    with pytest.raises(UsageProblem, match="the last run read up to 99999999999") as raised:
        do(database, tmp_path, text)
    assert "UPDATE public.t SET w = pg_current_xact_id()" in str(raised.value)
    kept = "SELECT position FROM dpe_pipeline.checkpoints WHERE step = 't'"
    assert ask(database, kept) == [({"after": "99999999999"},)]
    ask(source, "UPDATE t SET w = pg_current_xact_id()")
    do(database, tmp_path, text, reload=True)
    assert ask(database, "SELECT id FROM w.t") == [(1,)]


def test_a_part_is_not_read_again_where_rows_have_no_key(
    database: Database, source: Database, tmp_path: Path
) -> None:
    ask(source, "CREATE TABLE t (id int, w xid8 DEFAULT pg_current_xact_id()); INSERT INTO t VALUES (1)")
    text = """
pattern: incremental
sources: [{name: t, dsn: env:SOURCE, table: t, cursor: {column: w, kind: xid8}}]
targets: [{table: w.t}]
"""
    do(database, tmp_path, text)
    with pytest.raises(UsageProblem, match="without a key they would be there twice"):
        do(database, tmp_path, text, since="0")
    assert ask(database, "SELECT id FROM w.t") == [(1,)]


FOLDER = """
sources: [{name: t, path: '*.csv', columns: {a: int, b: text}}]
targets: [{table: w.t, key: [a]}]
"""


@pytest.mark.parametrize("pattern", ["etl", "snapshot"])
@pytest.mark.parametrize("loss", ["DROP TABLE w.t", "TRUNCATE w.t"])
def test_a_target_that_was_emptied_is_filled_again(
    database: Database, tmp_path: Path, pattern: str, loss: str
) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    do(database, tmp_path, f"pattern: {pattern}" + FOLDER)
    ask(database, loss)
    do(database, tmp_path, f"pattern: {pattern}" + FOLDER)
    assert ask(database, "SELECT * FROM w.t") == [(1, "x")]
    assert not do(database, tmp_path, f"pattern: {pattern}" + FOLDER).steps


@pytest.mark.parametrize("pattern", ["incremental", "elt"])
def test_a_target_that_is_gone_is_told_and_not_begun_anew(
    database: Database, tmp_path: Path, pattern: str
) -> None:
    text = f"pattern: {pattern}" + FOLDER
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    do(database, tmp_path, text)
    ask(database, "DROP TABLE w.t")
    (tmp_path / "b.csv").write_text("a,b\n2,y\n")
    with pytest.raises(UsageProblem, match=r"is not read again.*\n.*\n.*--reload"):
        do(database, tmp_path, text)
    assert ask(database, "SELECT to_regclass('w.t')") == [(None,)]
    do(database, tmp_path, text, reload=True)
    assert ask(database, "SELECT * FROM w.t ORDER BY 1") == [(1, "x"), (2, "y")]


DERIVED = """
pattern: elt
sources: [{name: t, path: '*.csv', columns: {a: int, b: text}}]
transforms: [{name: u, sql: "SELECT a, upper(b) AS b FROM t"}]
targets: [{table: w.t, from: t, key: [a]}, {table: w.u, from: u, key: [a]}]
"""


def test_what_derives_is_derived_again_where_it_is_gone(database: Database, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    do(database, tmp_path, DERIVED)
    ask(database, "DROP TABLE w.u")
    do(database, tmp_path, DERIVED)
    assert ask(database, "SELECT * FROM w.u") == [(1, "X")]


@pytest.mark.parametrize(
    "made",
    ["VIEW w.t AS SELECT 1 AS a, 'x'::text AS b", "MATERIALIZED VIEW w.t AS SELECT 1 AS a, 'x'::text AS b"],
)
def test_a_target_that_is_no_table_is_told(database: Database, tmp_path: Path, made: str) -> None:
    ask(database, f"CREATE SCHEMA w; CREATE {made}")
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    for pattern in ("incremental", "snapshot"):
        with pytest.raises(UsageProblem, match=r"w\.t is no table"):
            do(database, tmp_path, f"pattern: {pattern}" + FOLDER)
