"""Rows that are gone: from a target behind our back, from a source that gives none, from one that gives a part."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_platform.errors import UsageProblem
from data_platform.pipeline.status import status
from data_platform.pipeline.told import findings_of, report
from data_platform.postgres.server import Database
from data_platform.spec.document import SpecProblem
from pipeline.running import ask, do, spec_of
from pipeline.test_odd_pipelines import DERIVED, FOLDER, source

__all__ = ["source"]


@pytest.mark.parametrize("pattern", ["incremental", "scd"])
def test_a_target_that_lost_its_rows_is_told_and_read_again(
    database: Database, tmp_path: Path, pattern: str
) -> None:
    text = f"pattern: {pattern}" + FOLDER.replace("key: [a]", "key: [a], version: b").replace(
        "b: text", "b: date"
    )
    (tmp_path / "a.csv").write_text("a,b\n1,2026-01-01\n2,2026-01-02\n")
    assert not do(database, tmp_path, text).emptied
    query = "SELECT a FROM w.t ORDER BY 1"
    ask(database, "DELETE FROM w.t")
    told = [one.rule for one in status(spec_of(tmp_path, text), database.conninfo).findings]
    assert told == ["target-emptied"]
    said = report(spec_of(tmp_path, text), do(database, tmp_path, text), "again", dry_run=False)
    assert "Nothing new came." in str(said.summary)
    (tmp_path / "b.csv").write_text("a,b\n3,2026-01-03\n")
    ran = do(database, tmp_path, text)
    assert ran.emptied == ("w.t",)
    assert [one.rule for one in findings_of(spec_of(tmp_path, text), ran)] == ["target-emptied"]
    assert ask(database, query) == [(3,)]
    assert not do(database, tmp_path, text, reload=True, dry_run=True).counts.deleted
    assert ask(database, query) == [(3,)]
    do(database, tmp_path, text, reload=True)
    assert ask(database, query) == [(1,), (2,), (3,)]
    again = do(database, tmp_path, text)
    assert (again.steps, again.emptied) == ((), ())
    ask(database, "DROP SCHEMA w CASCADE")
    told = [one.rule for one in status(spec_of(tmp_path, text), database.conninfo).findings]
    assert told == ["target-gone"]


def test_what_derives_does_not_shrink_to_what_is_new(database: Database, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    do(database, tmp_path, DERIVED)
    ask(database, "TRUNCATE w.t")
    (tmp_path / "b.csv").write_text("a,b\n2,y\n")
    with pytest.raises(UsageProblem, match=r"w\.t is empty(.|\n)*--reload"):
        do(database, tmp_path, DERIVED)
    assert ask(database, "SELECT * FROM w.u") == [(1, "X")]
    do(database, tmp_path, DERIVED, reload=True)
    assert ask(database, "SELECT * FROM w.u ORDER BY 1") == [(1, "X"), (2, "Y")]


def test_what_has_no_key_is_read_again_into_an_empty_table_only(database: Database, tmp_path: Path) -> None:
    text = "pattern: incremental" + FOLDER.replace(", key: [a]", "")
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    do(database, tmp_path, text)
    with pytest.raises(UsageProblem, match=r"twice(.|\n)*TRUNCATE"):
        do(database, tmp_path, text, reload=True)
    ask(database, "TRUNCATE w.t")
    do(database, tmp_path, text, reload=True)
    assert ask(database, "SELECT * FROM w.t") == [(1, "x")]
    with pytest.raises(UsageProblem, match="--reload is for"):
        do(database, tmp_path, "pattern: etl" + FOLDER, reload=True)
    with pytest.raises(UsageProblem, match="--since and --until"):
        do(database, tmp_path, text, reload=True, since="1")


@pytest.mark.parametrize(
    ("source", "target"),
    [("", ", key: [a]"), ("", ", key: [a], swap: true"), ("", ""),
     (", deletes: {missing: true, at_most: 1}", ", key: [a]")],
)  # fmt: skip
def test_a_source_without_a_row_empties_nothing_unless_it_may(
    database: Database, tmp_path: Path, source: str, target: str
) -> None:
    text = f"""
pattern: snapshot
sources: [{{name: t, path: t.csv, columns: {{a: int, b: text}}{source}}}]
targets: [{{table: w.t{target}}}]
"""
    (tmp_path / "t.csv").write_text("a,b\n")
    do(database, tmp_path, text)  # there was nothing to lose
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")
    do(database, tmp_path, text)
    (tmp_path / "t.csv").write_text("a,b\n")
    with pytest.raises(UsageProblem, match=r"`t` gives no row(.|\n)*--allow-empty"):
        do(database, tmp_path, text)
    assert ask(database, "SELECT * FROM w.t ORDER BY 1") == [(1, "x"), (2, "y")]
    assert do(database, tmp_path, text, allow_empty=True).counts.deleted == 2
    assert ask(database, "SELECT * FROM w.t") == []


def test_a_transform_that_leaves_no_row_is_meant(database: Database, tmp_path: Path) -> None:
    text = """
pattern: snapshot
sources: [{name: t, path: t.csv, columns: {a: int, b: text}}]
transforms: [{name: u, sql: "SELECT a, b FROM t WHERE b = 'open'"}]
targets: [{table: w.t, from: u, key: [a]}]
"""
    (tmp_path / "t.csv").write_text("a,b\n1,open\n")
    do(database, tmp_path, text)
    (tmp_path / "t.csv").write_text("a,b\n1,done\n")
    assert do(database, tmp_path, text).counts.deleted == 1


@pytest.mark.parametrize("pattern", ["incremental", "scd"])
def test_a_database_without_a_row_takes_nothing_away_unless_it_may(
    database: Database, source: Database, tmp_path: Path, pattern: str
) -> None:
    ask(source, "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    text = f"""
pattern: {pattern}
sources: [{{name: t, dsn: env:SOURCE, table: t, deletes: {{missing: true, at_most: 1}}}}]
targets: [{{table: w.t, key: [id]}}]
"""
    do(database, tmp_path, text)
    ask(source, "TRUNCATE t")
    with pytest.raises(UsageProblem, match="`t` gives no row"):
        do(database, tmp_path, text)
    assert do(database, tmp_path, text, allow_empty=True).counts.deleted == 2
    assert do(database, tmp_path, text).counts.deleted == 0  # there is nothing more to lose


def test_keys_are_compared_as_the_source_has_them_only(
    database: Database, source: Database, tmp_path: Path
) -> None:
    ask(source, "CREATE TABLE t (code text PRIMARY KEY, v text, at timestamptz NOT NULL DEFAULT now())")
    ask(source, "INSERT INTO t (code, v) VALUES ('a', 'x'), ('b', 'y')")
    text = """
pattern: incremental
sources: [{name: t, dsn: env:SOURCE, table: t, cursor: {column: at}, deletes: {missing: true}}]
transforms: [{name: u, sql: "SELECT code, upper(v) AS v FROM t"}]
targets: [{table: w.t, from: u, key: [code]}]
"""
    with pytest.raises(UsageProblem, match=r"`code` of w\.t is made by SQL"):
        do(database, tmp_path, text.replace("SELECT code", "SELECT upper(code) AS code"))
    do(database, tmp_path, text)
    ask(source, "DELETE FROM t WHERE code = 'a'")
    do(database, tmp_path, text)
    assert ask(database, "SELECT code, v FROM w.t") == [("b", "Y")]


def test_a_part_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    text = """
pattern: scd
sources: [{name: t, dsn: env:SOURCE, table: t, cursor: {column: at}, deletes: {missing: true}}]
targets: [{table: w.t, key: [id]}]
"""
    with pytest.raises(SpecProblem, match="a cursor reads a part"):
        spec_of(tmp_path, text)
    text = "pattern: incremental" + FOLDER.replace("text}", "text}, deletes: {missing: true}")
    with pytest.raises(SpecProblem, match="what one file does not have"):
        spec_of(tmp_path, text)


def test_rows_without_a_transaction_come_each_time_or_are_told(
    database: Database, source: Database, tmp_path: Path
) -> None:
    ask(source, "CREATE TABLE t (id int PRIMARY KEY, w xid8 DEFAULT pg_current_xact_id())")
    ask(source, "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2, NULL)")
    text = """
pattern: incremental
sources: [{name: t, dsn: env:SOURCE, table: t, cursor: {column: w, kind: xid8}}]
targets: [{table: w.t, key: [id]}]
"""
    do(database, tmp_path, text)
    ask(source, "INSERT INTO t VALUES (3, NULL)")
    do(database, tmp_path, text)
    assert ask(database, "SELECT id FROM w.t ORDER BY 1") == [(1,), (2,), (3,)]
    bare = text.replace("table: w.t, key: [id]", "table: w.bare").replace(
        "targets", "state_schema: own\ntargets"
    )
    with pytest.raises(UsageProblem, match="have no w, and without a key") as raised:
        do(database, tmp_path, bare)
    ask(source, str(raised.value).partition("there: ")[2])
    do(database, tmp_path, bare)
    assert ask(database, "SELECT id FROM w.bare ORDER BY 1") == [(1,), (2,), (3,)]


def test_a_role_that_may_only_add_rows_is_enough(database: Database, tmp_path: Path) -> None:
    """Whether a table was emptied is not asked where nobody may look."""
    text = "pattern: incremental" + FOLDER.replace(", key: [a]", "")
    name = ask(database, "SELECT current_user")[0][0]
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    ask(database, f'CREATE SCHEMA w; CREATE TABLE w.t (a int, b text); REVOKE SELECT ON w.t FROM "{name}"')
    do(database, tmp_path, text)
    assert not status(spec_of(tmp_path, text), database.conninfo).findings
    ask(database, f'GRANT SELECT ON w.t TO "{name}"')
    assert ask(database, "SELECT * FROM w.t") == [(1, "x")]
