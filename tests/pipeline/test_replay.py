"""Rows in quarantine tried again: those that are good now are written once, the others stay, and nothing is lost."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from data_platform.errors import UsageProblem
from data_platform.pipeline.replay import Replayed, Which, replay
from data_platform.pipeline.streams import Place
from data_platform.postgres.server import Database
from pipeline.running import ask, do, spec_of

SCRIPTS = Path(__file__).parents[2] / "scripts"
ROWS = "{name: rows, path: 'in/*.csv', columns: {id: int, note: text, total: TYPE}}"
SPEC = f"pattern: incremental\nsources: [{ROWS}]\ntargets: [{{table: t.rows KEY}}]\n"


def spec(type_: str = "int", key: str = ", key: [id]") -> str:
    return SPEC.replace(" KEY", key).replace("TYPE", type_)


def again(database: Database, folder: Path, text: str, **which: Any) -> Replayed:
    dry_run = which.pop("dry_run", False)
    place = Place(database.conninfo, folder)
    done = replay(spec_of(folder, text), place, Which(**which), dry_run=dry_run)
    counts = done.ran.counts
    assert counts.read == counts.written + counts.unchanged + counts.quarantined
    return done


def write(folder: Path, name: str, lines: str, header: str = "id,note,total") -> None:
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / name).write_text(f"{header}\n{lines}")


def waiting(database: Database) -> list[Any]:
    return ask(
        database,
        "SELECT unit, number, reasons FROM dpe_pipeline.quarantine WHERE replayed_at IS NULL ORDER BY unit, number",
    )


@pytest.mark.parametrize("key", ["", ", key: [id]"])
def test_rows_that_are_good_now_leave_and_the_others_say_why(
    database: Database, tmp_path: Path, key: str
) -> None:
    write(tmp_path, "1.csv", "1,a,1\n2,b,2.5\n3,c,x\n4,few\n")
    write(tmp_path, "2.csv", '5,"",7.5\n')
    do(database, tmp_path, spec(key=key))
    assert len(waiting(database)) == 4
    # The table would round what the spec now takes.
    assert again(database, tmp_path, spec("numeric", key), dry_run=True).ran.counts.inserted == 0
    ask(database, "ALTER TABLE t.rows ALTER total TYPE numeric")
    tried = again(database, tmp_path, spec("numeric", key), dry_run=True)
    assert (tried.ran.counts.inserted, tried.after, len(waiting(database))) == (2, 2, 4)
    done = again(database, tmp_path, spec("numeric", key))
    counts = done.ran.counts
    assert (counts.read, counts.inserted, counts.quarantined) == (4, 2, 2)
    assert (done.before, done.after) == (4, 2)
    assert ask(database, "SELECT id, note, total::text FROM t.rows ORDER BY 1") == [
        (1, "a", "1"),
        (2, "b", "2.5"),
        (5, "", "7.5"),
    ]
    assert waiting(database) == [
        ("in/1.csv", 3, ["total: not numeric"]),
        ("in/1.csv", 4, ["2 fields where 3 are expected"]),
    ]
    assert again(database, tmp_path, spec("numeric", key)).ran.counts.written == 0
    assert ask(database, "SELECT count(*) FROM t.rows") == [(3,)]


def test_a_row_that_a_target_refused_goes_to_that_target_alone(database: Database, tmp_path: Path) -> None:
    ask(
        database,
        "CREATE SCHEMA t; CREATE TABLE t.users (id int PRIMARY KEY);"
        " CREATE TABLE t.picky (id int, user_id int REFERENCES t.users, at timestamptz, tags text[])",
    )
    text = (
        "pattern: incremental\n"
        "sources: [{name: r, path: 'in/*.jsonl', columns: {id: int, user_id: int, at: timestamptz, tags: 'text[]'}}]\n"
        'transforms: [{name: tidy, sql: "SELECT id, user_id, at, tags FROM r"}]\n'
        "targets: [{table: t.picky, from: tidy}, {table: t.all, from: r}]\n"
    )
    (tmp_path / "in").mkdir()
    rows = [
        {"id": n, "user_id": n % 2, "at": "2026-03-01T00:00:00Z", "tags": ["a,b", str(n)]} for n in range(4)
    ]
    (tmp_path / "in" / "1.jsonl").write_text("\n".join(map(json.dumps, rows)))
    do(database, tmp_path, text)
    assert ask(database, "SELECT count(*) FROM t.picky") == [(0,)]
    ask(database, "INSERT INTO t.users VALUES (1)")
    done = again(database, tmp_path, text, reason="PICKY_USER_ID")
    assert (done.ran.counts.inserted, done.ran.counts.quarantined) == (2, 2)
    assert ask(database, "SELECT count(*) FROM t.all") == [(4,)]
    assert ask(database, "SELECT id, tags FROM t.picky WHERE at = '2026-03-01T00:00:00Z' ORDER BY 1") == [
        (1, ["a,b", "1"]),
        (3, ["a,b", "3"]),
    ]
    ask(database, "INSERT INTO t.users VALUES (0)")
    assert again(database, tmp_path, text, source="r").after == 0
    assert ask(database, "SELECT count(DISTINCT id), count(*) FROM t.picky") == [(4, 4)]


JSON_KEPT = ["5", "say", None, {"a": "5"}, 5, [1.5, "x"]]


@pytest.mark.parametrize("how", ["lines", "separated"])
@pytest.mark.parametrize("refused", ["type", "check", "target"])
def test_json_is_the_same_after_quarantine(
    database: Database, tmp_path: Path, how: str, refused: str
) -> None:
    """Whatever set the row aside: a column of a wrong type, a check of the source, a rule of the target."""
    (tmp_path / "in").mkdir()
    rows = [
        {"id": n, "total": "x" if refused == "type" else "1", "note": note}
        for n, note in enumerate(JSON_KEPT)
    ]
    if how == "lines":
        (tmp_path / "in" / "1.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        with (tmp_path / "in" / "1.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "total", "note"])
            for row in rows:
                note = "" if row["note"] is None else json.dumps(row["note"])
                writer.writerow([row["id"], row["total"], note])

    def text(type_: str, checks: str = "") -> str:
        columns = f"columns: {{id: int, total: {type_}, note: jsonb}}"
        source = f"sources: [{{name: rows, path: 'in/*.{'jsonl' if how == 'lines' else 'csv'}', {columns}}}]"
        return f"pattern: incremental\n{source}\ntargets: [{{table: t.rows, key: [id]}}]\n{checks}"

    rule = " CHECK (total <> '1')" if refused == "target" else ""
    ask(
        database,
        f"CREATE SCHEMA t; CREATE TABLE t.rows (id int PRIMARY KEY, total text{rule}, note jsonb)",
    )
    checks = "checks: [{check: range, columns: [id], max: -1, on: rows, action: quarantine}]\n"
    do(database, tmp_path, text("int" if refused == "type" else "text", checks if refused == "check" else ""))
    assert len(waiting(database)) == len(JSON_KEPT)
    ask(database, "ALTER TABLE t.rows DROP CONSTRAINT IF EXISTS rows_total_check")
    assert again(database, tmp_path, text("text")).after == 0
    assert [note for (note,) in ask(database, "SELECT note FROM t.rows ORDER BY id")] == JSON_KEPT


def test_the_version_guards_what_came_later(database: Database, tmp_path: Path) -> None:
    text = spec(key=", key: [id], version: total")
    ask(
        database,
        "CREATE SCHEMA t; CREATE TABLE t.rows (id int PRIMARY KEY, note text CHECK (note <> 'b'), total int)",
    )
    write(tmp_path, "1.csv", "1,b,1\n2,b,9\n3,b,1\n")
    do(database, tmp_path, text)
    write(tmp_path, "2.csv", "1,late,2\n2,late,2\n")
    do(database, tmp_path, text)
    ask(database, "ALTER TABLE t.rows DROP CONSTRAINT rows_note_check")
    counts = again(database, tmp_path, text).ran.counts
    assert (counts.read, counts.inserted, counts.updated, counts.unchanged) == (3, 1, 1, 1)
    assert ask(database, "SELECT * FROM t.rows ORDER BY 1") == [(1, "late", 2), (2, "b", 9), (3, "b", 1)]


def test_without_a_version_nothing_is_written_over(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "1.csv", "1,a,x\n2,b,x\n")
    do(database, tmp_path, spec())
    write(tmp_path, "2.csv", "1,late,7\n")
    do(database, tmp_path, spec())
    ask(database, "ALTER TABLE t.rows ALTER total TYPE text")
    done = again(database, tmp_path, spec("text"))
    assert (done.ran.counts.inserted, done.ran.counts.quarantined) == (1, 1)
    assert "nobody can say which is newer" in waiting(database)[0][2][0]
    assert ask(database, "SELECT * FROM t.rows ORDER BY 1") == [(1, "late", "7"), (2, "b", "x")]
    assert again(database, tmp_path, spec("text"), overwrite=True).after == 0
    assert ask(database, "SELECT * FROM t.rows ORDER BY 1") == [(1, "a", "x"), (2, "b", "x")]


def test_a_limit_and_a_source(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "1.csv", "".join(f"{n},a,0.5\n" for n in range(7)))
    write(tmp_path, "2.csv", "".join(f"{n},a,0.5\n" for n in range(10, 17)))
    do(database, tmp_path, spec(key=""))
    ask(database, "ALTER TABLE t.rows ALTER total TYPE numeric")
    assert again(database, tmp_path, spec("numeric", ""), limit=9).ran.counts.inserted == 9
    assert len(waiting(database)) == 5
    with pytest.raises(UsageProblem, match="no source `other`"):
        again(database, tmp_path, spec("numeric", ""), source="other")
    assert again(database, tmp_path, spec("numeric", ""), source="rows").after == 0
    assert ask(database, "SELECT count(DISTINCT id), count(*) FROM t.rows") == [(14, 14)]


def test_a_row_alone_would_give_another_sum(database: Database, tmp_path: Path) -> None:
    text = spec(key=", from: sums, key: [note]") + (
        'transforms: [{name: sums, sql: "SELECT note, sum(total) AS total FROM rows GROUP BY note"}]\n'
    )
    write(tmp_path, "1.csv", "1,a,1\n2,a,x\n")
    do(database, tmp_path, text)
    with pytest.raises(UsageProblem, match="`sums` makes one row of several"):
        again(database, tmp_path, text.replace("total: int", "total: text"))


CHECKED = (
    SPEC.replace("TYPE", "int").replace(" KEY", ", from: doubled, key: [id]") + "transforms:\n"
    "  - {name: named, sql: 'SELECT id, note, total FROM rows WHERE id > 0'}\n"
    "  - {name: doubled, sql: 'SELECT id, note, total * 2 AS total FROM named'}\n"
    "checks: [{on: named, check: range, columns: [total], max: 5, action: quarantine}]\n"
)


def test_rows_that_a_check_of_a_transform_set_aside(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "1.csv", "1,a,1\n2,b,7\n3,c,9\n")
    do(database, tmp_path, CHECKED)
    assert [reasons for _, _, reasons in waiting(database)] == [["check named range total"]] * 2
    done = again(database, tmp_path, CHECKED.replace("max: 5", "max: 8"))
    assert (done.orphans, done.before, done.after) == (0, 2, 1)
    assert ask(database, "SELECT id, total FROM t.rows ORDER BY 1") == [(1, 2), (2, 14)]
    assert again(database, tmp_path, CHECKED.replace("max: 5", "max: 8")).after == 1
    # A file that is read again as a whole tells again what of it is bad.
    write(tmp_path, "1.csv", "1,a,1\n2,b,7\n3,c,3\n")
    do(database, tmp_path, CHECKED.replace("max: 5", "max: 8"))
    assert waiting(database) == []
    assert ask(database, "SELECT id, total FROM t.rows ORDER BY 1") == [(1, 2), (2, 14), (3, 6)]


def test_rows_of_a_transform_that_is_joined_on_with_its_batch(database: Database, tmp_path: Path) -> None:
    joined = CHECKED.replace("FROM named'", "FROM named JOIN rows USING (id, note, total)'")
    write(tmp_path, "1.csv", "1,a,1\n2,b,7\n")
    do(database, tmp_path, joined)
    with pytest.raises(UsageProblem, match="`doubled` reads rows too"):
        again(database, tmp_path, joined.replace("max: 5", "max: 8"))
    assert len(waiting(database)) == 1


def test_rows_set_aside_on_the_way_to_what_is_derived(database: Database, tmp_path: Path) -> None:
    text = CHECKED.replace("incremental", "elt").replace(
        "targets: [", "targets: [{table: raw.rows, from: rows}, "
    )
    write(tmp_path, "1.csv", "1,a,1\n2,b,7\n")
    do(database, tmp_path, text)
    write(tmp_path, "2.csv", "3,c,9\n")
    do(database, tmp_path, text)
    assert len(waiting(database)) == 2
    done = again(database, tmp_path, text.replace("max: 5", "max: 8"))
    assert (done.orphans, done.after) == (0, 1)
    assert ask(database, "SELECT id, total FROM t.rows ORDER BY 1") == [(1, 2), (2, 14)]


def test_what_is_derived_follows(database: Database, tmp_path: Path) -> None:
    text = (
        f"pattern: elt\nsources: [{ROWS}]\n"
        'transforms: [{name: sums, sql: "SELECT note, sum(total) AS total FROM rows GROUP BY note"}]\n'
        "targets: [{table: raw.rows, from: rows, key: [id]}, {table: t.sums, from: sums, key: [note]}]\n"
    )
    write(tmp_path, "1.csv", "1,a,1\n2,a,0.5\n")
    do(database, tmp_path, text.replace("TYPE", "int"))
    ask(
        database, "ALTER TABLE raw.rows ALTER total TYPE numeric; ALTER TABLE t.sums ALTER total TYPE numeric"
    )
    assert again(database, tmp_path, text.replace("TYPE", "numeric")).after == 0
    assert ask(database, "SELECT total::text FROM t.sums") == [("1.5",)]
    # What a derived table refuses is derived again.
    ask(database, "ALTER TABLE t.sums ADD CONSTRAINT little CHECK (total < 2)")
    write(tmp_path, "2.csv", "3,a,1\n")
    do(database, tmp_path, text.replace("TYPE", "numeric"))
    assert [row[2] for row in waiting(database)] == [["violates little"]]
    ask(database, "ALTER TABLE t.sums DROP CONSTRAINT little")
    assert again(database, tmp_path, text.replace("TYPE", "numeric")).after == 0
    assert ask(database, "SELECT total::text FROM t.sums") == [("2.5",)]


@pytest.mark.parametrize("pattern", ["etl", "snapshot"])
def test_a_whole_is_read_again(database: Database, tmp_path: Path, pattern: str) -> None:
    text = spec().replace("incremental", pattern)
    ask(
        database,
        "CREATE SCHEMA t; CREATE TABLE t.rows (id int PRIMARY KEY, note text, total int CHECK (total > 0))",
    )
    write(tmp_path, "1.csv", "1,a,1\n2,b,-2\n3,c,x\n")
    do(database, tmp_path, text)
    ask(database, "ALTER TABLE t.rows DROP CONSTRAINT rows_total_check")
    with pytest.raises(UsageProblem, match="no part of it"):
        again(database, tmp_path, text, limit=1)
    done = again(database, tmp_path, text)
    assert (done.before, done.after, done.ran.counts.inserted) == (2, 1, 1)
    # What is mended at the source is not bad any more, and a run says so as well.
    write(tmp_path, "1.csv", "1,a,1\n2,b,-2\n3,c,4\n")
    do(database, tmp_path, text)
    assert waiting(database) == []


def test_a_file_that_was_mended_is_bad_no_more(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "1.csv", "1,a,x\n2,b,x\n")
    write(tmp_path, "2.csv", "3,a,x\n")
    do(database, tmp_path, spec())
    write(tmp_path, "1.csv", "1,a,1\n2,b,y\n")
    do(database, tmp_path, spec())
    assert [(unit, number) for unit, number, _ in waiting(database)] == [("in/1.csv", 2), ("in/2.csv", 1)]


def test_versions_of_a_dimension(database: Database, tmp_path: Path) -> None:
    text = (
        "pattern: scd\nsources: [{name: p, path: 'in/*.csv', columns: {id: int, city: text, since: TYPE}}]\n"
        "targets: [{table: t.p, key: [id], version: since}]\n"
    )
    write(tmp_path, "1.csv", "1,Bonn,2026-01-01\n1,Kiel,March\n1,Ulm,2026-05-01\n", "id,city,since")
    do(database, tmp_path, text.replace("TYPE", "date"))
    # What was in quarantine is mended by hand, as a person would.
    ask(database, 'UPDATE dpe_pipeline.quarantine SET content = content || \'{"since": "2026-03-01"}\'')
    done = again(database, tmp_path, text.replace("TYPE", "date"))
    assert (done.ran.counts.written, done.after) == (1, 0)
    assert ask(database, "SELECT city, valid_from::text, valid_to::text FROM t.p ORDER BY 2") == [
        ("Bonn", "2026-01-01", "2026-03-01"),
        ("Kiel", "2026-03-01", "2026-05-01"),
        ("Ulm", "2026-05-01", None),
    ]


def test_what_the_spec_has_no_more_stays(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "1.csv", "1,a,x\n")
    do(database, tmp_path, spec())
    done = again(database, tmp_path, spec("text").replace("name: rows", "name: others"))
    assert (done.orphans, done.after, done.ran.steps) == (1, 1, ())


def test_tables_of_an_earlier_version(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "1.csv", "1,a,x\n")
    do(database, tmp_path, spec())
    ask(
        database,
        "ALTER TABLE dpe_pipeline.runs DROP kind; ALTER TABLE dpe_pipeline.quarantine DROP target;"
        " ALTER TABLE t.rows ALTER total TYPE text",
    )
    assert again(database, tmp_path, spec("text")).ran.counts.inserted == 1


# --- killed ---

CHILD = """
import sys
from pathlib import Path
from data_platform.pipeline.replay import Which, replay
from data_platform.pipeline.streams import Place
from data_platform.spec import document
from data_platform.spec.pipeline import read_pipeline
print("begun", flush=True)
path = Path(sys.argv[1])
replay(read_pipeline(document.read(path)), Place(sys.argv[2], path.parent), Which())
"""


def start(database: Database, path: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), database.conninfo], stdout=subprocess.PIPE, env=environment
    )
    assert child.stdout is not None
    child.stdout.readline()
    return child


def test_killed_at_any_point_nothing_is_lost_and_nothing_doubled(database: Database, tmp_path: Path) -> None:
    draw = random.Random(7)
    for number in range(6):
        lines = "".join(f"{number * 2_500 + n},note {n},{n}.5\n" for n in range(2_500))
        write(tmp_path, f"{number:02}.csv", lines)
    do(database, tmp_path, spec(key=""))
    ask(database, "ALTER TABLE t.rows ALTER total TYPE numeric")
    path = Path(spec_of(tmp_path, spec("numeric", "")).file)
    law = (
        "SELECT (SELECT count(*) FROM t.rows), (SELECT count(DISTINCT id) FROM t.rows),"
        " (SELECT count(*) FROM dpe_pipeline.quarantine WHERE replayed_at IS NULL)"
    )
    hit = 0
    for _ in range(12):
        child = start(database, path)
        time.sleep(draw.uniform(0, 0.1))
        hit += child.poll() is None
        child.kill()
        child.communicate()
        with psycopg.connect(database.conninfo, autocommit=True) as connection:
            there = (
                "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            while connection.execute(there).fetchone():
                time.sleep(0.005)
        rows, distinct, held = ask(database, law)[0]
        assert rows == distinct
        assert rows + held == 15_000
        if not held:
            break
    assert hit >= 3
    child = start(database, path)
    child.communicate()
    assert child.returncode == 0
    assert ask(database, law) == [(15_000, 15_000, 0)]
