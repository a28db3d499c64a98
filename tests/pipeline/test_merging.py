"""Merges by key against a reference that is a dictionary: late, doubled, deleted and disordered rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.errors import UsageProblem
from data_platform.postgres.server import Database, Server
from pipeline.running import ask, do, held

SPEC = """
pattern: incremental
sources:
  - name: rows
    path: 'in/*.csv'
    columns: {a: int, b: text, version: int, value: text, gone: boolean}
    deletes: {column: gone}
targets: [{table: t.rows, key: [a, b], version: version}]
"""
Row = tuple[int, str, int | None, str, bool]
ROWS = st.tuples(
    st.integers(1, 3),
    st.sampled_from(["x", ""]),
    st.none() | st.integers(0, 8),
    st.sampled_from(["p", "q", ""]),
    st.booleans(),
)


def write(folder: Path, batches: list[list[Row]]) -> None:
    (folder / "in").mkdir(exist_ok=True)
    for path in (folder / "in").iterdir():
        path.unlink()
    for number, batch in enumerate(batches):
        lines = [
            f'{a},"{b}",{"" if version is None else version},"{value}",{"t" if gone else "f"}\n'
            for a, b, version, value, gone in batch
        ]
        (folder / "in" / f"{number:03}.csv").write_text("a,b,version,value,gone\n" + "".join(lines))


def reference(batches: list[list[Row]]) -> list[tuple[int, str, int | None, str]]:
    """The greatest version of a key; among equals a deletion, then the last to come; where that says gone, nothing.

    None is less than any version.
    """
    latest: dict[tuple[int, str], tuple[int | None, str, bool]] = {}
    for batch in batches:
        for a, b, version, value, gone in batch:
            old = latest.get((a, b))
            if old is None or rank(version) > rank(old[0]) or (version == old[0] and (gone or not old[2])):
                latest[a, b] = (version, value, gone)
    return sorted((*key, version, value) for key, (version, value, gone) in latest.items() if not gone)


def rank(version: int | None) -> int:
    return -1 if version is None else version


def content(database: Database) -> list[Any]:
    return ask(database, "SELECT a, b, version, value FROM t.rows ORDER BY a, b")


@given(st.lists(st.lists(ROWS, max_size=6), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_in_whatever_order(server: Server, tmp_path: Path, batches: list[list[Row]]) -> None:
    write(tmp_path, batches)
    with server.scratch_database() as database:
        ran = do(database, tmp_path, SPEC)
        wanted = reference(batches)
        assert content(database) == wanted
        counts = ran.counts
        assert counts.read == sum(map(len, batches)) == counts.written + counts.unchanged + counts.quarantined
        write(tmp_path, [*batches, *batches])
        do(database, tmp_path, SPEC)
        assert content(database) == reference([*batches, *batches])


def test_a_partitioned_target_counts_as_any_other(database: Database, tmp_path: Path) -> None:
    ask(
        database,
        "CREATE SCHEMA t; CREATE TABLE t.rows (a int, b text, version int, value text, UNIQUE (a, b))"
        " PARTITION BY LIST (a); CREATE TABLE t.one PARTITION OF t.rows FOR VALUES IN (1);"
        " CREATE TABLE t.rest PARTITION OF t.rows DEFAULT;"
        " INSERT INTO t.rows VALUES (1, 'x', 1, 'p'), (2, 'x', 1, 'p')",
    )
    rows = [(1, "x", 2, "q", False), (1, "y", 2, "q", False), (2, "x", 1, "p", False), (3, "", 1, "", False)]
    write(tmp_path, [[*rows, (2, "x", 3, "p", True)]])
    counts = do(database, tmp_path, SPEC).counts
    assert (counts.inserted, counts.updated, counts.deleted, counts.unchanged) == (2, 1, 1, 2)
    assert content(database) == [(1, "x", 2, "q"), (1, "y", 2, "q"), (3, "", 1, "")]


@pytest.mark.parametrize("how", ["pattern: incremental", "pattern: etl"])
def test_what_the_table_would_round_is_set_aside(database: Database, tmp_path: Path, how: str) -> None:
    ask(database, "CREATE SCHEMA t; CREATE TABLE t.rows (a int, b date, c numeric(6, 2))")
    (tmp_path / "rows.csv").write_text(
        "a,b,c\n1,2026-01-01,1.50\n2.5,2026-01-01,1\n3,2026-01-01 10:00,1\n4,,1.234\n5,,\n"
    )
    columns = "columns: {a: numeric, b: timestamp, c: numeric}"
    text = f"{how}\nsources: [{{name: rows, path: '*.csv', {columns}}}]\ntargets: [{{table: t.rows}}]\n"
    counts = do(database, tmp_path, text).counts
    assert (counts.read, counts.inserted, counts.quarantined) == (5, 2, 3)
    assert ask(database, "SELECT a FROM t.rows ORDER BY a") == [(1,), (5,)]
    assert [reasons for _, reasons in held(database)] == [
        ["a: not as it is in integer"],
        ["b: not as it is in date"],
        ["c: not as it is in numeric(6,2)"],
    ]


@pytest.mark.parametrize("target", ["{table: t.rows}", "{table: t.rows, key: [a]}"])
def test_what_an_empty_table_would_round_is_set_aside(
    database: Database, tmp_path: Path, target: str
) -> None:
    """COPY would take every one of these rows."""
    ask(database, "CREATE SCHEMA t; CREATE TABLE t.rows (a int PRIMARY KEY, b date, c numeric(6, 2))")
    (tmp_path / "rows.csv").write_text("a,b,c\n1,2026-01-01,1.50\n2,2026-01-01 10:00,1\n3,,1.234\n")
    columns = "columns: {a: int, b: timestamp, c: 'numeric(8, 3)'}"
    text = f"pattern: incremental\nsources: [{{name: rows, path: '*.csv', {columns}}}]\ntargets: [{target}]\n"
    counts = do(database, tmp_path, text).counts
    assert (counts.read, counts.inserted, counts.quarantined) == (3, 1, 2)
    assert [reasons for _, reasons in held(database)] == [
        ["b: not as it is in date"],
        ["c: not as it is in numeric(6,2)"],
    ]


def test_what_a_dimension_would_round_is_set_aside(database: Database, tmp_path: Path) -> None:
    text = """
pattern: scd
sources: [{name: rows, path: '*.csv', columns: {id: int, price: TYPE, since: date}}]
targets: [{table: t.rows, key: [id], version: since}]
"""
    (tmp_path / "1.csv").write_text("id,price,since\n1,2,2026-01-01\n")
    do(database, tmp_path, text.replace("TYPE", "int"))
    (tmp_path / "2.csv").write_text("id,price,since\n1,2.5,2026-02-01\n1,3,2026-03-01\n")
    counts = do(database, tmp_path, text.replace("TYPE", "numeric")).counts
    assert (counts.inserted + counts.updated, counts.quarantined) == (1, 1)
    assert ask(database, "SELECT price FROM t.rows ORDER BY valid_from") == [(2,), (3,)]
    assert [reasons for _, reasons in held(database)] == [["price: not as it is in integer"]]


def test_an_older_row_that_comes_after_its_deletion_stays_away(database: Database, tmp_path: Path) -> None:
    write(tmp_path, [[(1, "x", 5, "p", True)], [(1, "x", 4, "p", False)]])
    do(database, tmp_path, SPEC)
    assert content(database) == []
    write(tmp_path, [[], [], [(1, "x", 6, "q", False)]])
    do(database, tmp_path, SPEC)
    assert content(database) == [(1, "x", 6, "q")]


def test_a_row_without_a_version_does_not_undo_a_deletion(database: Database, tmp_path: Path) -> None:
    write(tmp_path, [[(1, "x", 5, "p", True)], [(1, "x", None, "p", False), (2, "x", None, "p", False)]])
    do(database, tmp_path, SPEC)
    assert content(database) == [(2, "x", None, "p")]
    write(tmp_path, [[], [], [(2, "x", None, "p", True)], [(2, "x", None, "p", False)]])
    do(database, tmp_path, SPEC)
    assert content(database) == []
    write(tmp_path, [[], [], [], [], [(2, "x", 0, "q", False)]])
    do(database, tmp_path, SPEC)
    assert content(database) == [(2, "x", 0, "q")]


def test_a_target_without_an_index_on_its_key_is_refused(database: Database, tmp_path: Path) -> None:
    ask(database, "CREATE SCHEMA t; CREATE TABLE t.rows (a int, b text, version int, value text)")
    write(tmp_path, [[(1, "x", 1, "p", False)]])
    with pytest.raises(UsageProblem, match="no unique index on a, b") as raised:
        do(database, tmp_path, SPEC)
    assert "CREATE UNIQUE INDEX CONCURRENTLY ON t.rows (a, b)" in str(raised.value)
    # An index with a condition proves nothing about the other rows.
    ask(database, "CREATE UNIQUE INDEX ON t.rows (a, b) WHERE version > 0")
    with pytest.raises(UsageProblem, match="no unique index"):
        do(database, tmp_path, SPEC)
    ask(database, "CREATE UNIQUE INDEX ON t.rows (b, a)")
    do(database, tmp_path, SPEC)
    assert len(content(database)) == 1
