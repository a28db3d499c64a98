"""Checks of a pipeline: rows that fail are set aside with the reason, or nothing of the unit is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.errors import UsageProblem
from data_platform.pipeline.told import findings_of
from data_platform.postgres.server import Database
from data_platform.spec.document import SpecProblem
from pipeline.running import ask, do, held, spec_of

SOURCE = "sources: [{name: orders, path: 'in/*.csv', columns: {id: int, email: text, total: numeric}}]\n"
TARGET = "targets: [{table: shop.orders, key: [id]}]\n"
ROWS = "id,email,total\n1,a@b.org,5\n2,nobody,7\n3,,-1\n4,c@d.org,-2\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(ROWS)
    return tmp_path


ASIDE = """checks:
  - {on: orders, check: format, name: an address, columns: [email], format: email, action: quarantine}
  - {on: orders, check: range, name: no debt, columns: [total], min: 0, action: quarantine, where: id > 3}
"""


@pytest.mark.parametrize("pattern", ["etl", "incremental", "elt", "snapshot", "scd"])
def test_rows_that_fail_are_set_aside_with_the_reason(database: Database, folder: Path, pattern: str) -> None:
    ran = do(database, folder, f"pattern: {pattern}\n{SOURCE}{TARGET}{ASIDE}")
    counts = ran.counts
    assert (counts.read, counts.inserted, counts.quarantined) == (4, 2, 2)
    assert ask(database, "SELECT id FROM shop.orders ORDER BY id") == [(1,), (3,)]
    assert held(database) == [(2, ["check an address"]), (4, ["check no debt"])]


@pytest.mark.parametrize("pattern", ["etl", "incremental", "elt"])
def test_a_check_that_fails_takes_all_of_the_unit_back(
    database: Database, folder: Path, pattern: str
) -> None:
    check = "checks: [{on: orders, check: format, columns: [email], format: email}]\n"
    with pytest.raises(UsageProblem, match=r"`orders format email` does not hold: 1 of 4 rows"):
        do(database, folder, f"pattern: {pattern}\n{SOURCE}{TARGET}{check}")
    assert ask(database, "SELECT to_regclass('shop.orders')") == [(None,)]
    assert ask(database, "SELECT count(*) FROM dpe_pipeline.checkpoints") == [(0,)]
    assert ask(database, "SELECT status FROM dpe_pipeline.runs") == [("failed",)]
    (folder / "in" / "1.csv").write_text(ROWS.replace("nobody", "n@b.org"))
    assert do(database, folder, f"pattern: {pattern}\n{SOURCE}{TARGET}{check}").counts.inserted == 4


def test_the_target_is_looked_at_as_the_transaction_leaves_it(database: Database, folder: Path) -> None:
    text = f"pattern: incremental\n{SOURCE}{TARGET}"
    check = "checks: [{on: shop.orders, check: rows, max: 4}]\n"
    do(database, folder, text + check)
    (folder / "in" / "2.csv").write_text("id,email,total\n5,e@f.org,1\n")
    with pytest.raises(UsageProblem, match="5 rows; expected at most 4"):
        do(database, folder, text + check)
    assert ask(database, "SELECT count(*) FROM shop.orders") == [(4,)]
    assert do(database, folder, text).counts.inserted == 1


def test_a_warning_goes_on_and_is_told(database: Database, folder: Path) -> None:
    checks = (
        "checks: [{on: orders, check: range, columns: [total], min: 0, severity: warning},"
        " {on: shop.orders, check: unique, columns: [email], severity: info},"
        " {on: shop.orders, check: reference, columns: [total], action: warn,"
        " to: {table: shop.orders, columns: [id]}}]\n"
    )
    text = f"pattern: etl\n{SOURCE}{TARGET}{checks}"
    spec = spec_of(folder, text)
    ran = do(database, folder, text)
    found = findings_of(spec, ran)
    assert [(one.rule, one.severity) for one in found] == [
        ("check-range", "warning"),
        ("check-reference", "error"),
    ]
    assert ran.counts.inserted == 4


def test_rows_of_a_transform_are_set_aside(database: Database, folder: Path) -> None:
    text = (
        f"pattern: elt\n{SOURCE}"
        "transforms: [{name: cheap, sql: 'SELECT id, total FROM orders'}]\n"
        "targets: [{table: raw.orders, from: orders, key: [id]}, {table: dw.cheap, from: cheap, key: [id]}]\n"
        "checks: [{on: cheap, check: condition, name: not odd, condition: id % 2 = 0, action: quarantine}]\n"
    )
    counts = do(database, folder, text).counts
    assert counts.read == counts.inserted + counts.quarantined == 8
    assert ask(database, "SELECT id FROM dw.cheap ORDER BY id") == [(2,), (4,)]
    assert ask(database, "SELECT count(*) FROM raw.orders") == [(4,)]


def test_a_key_that_is_not_there_is_set_aside(database: Database, folder: Path) -> None:
    ask(database, "CREATE TABLE known (email text PRIMARY KEY)")
    ask(database, "INSERT INTO known VALUES ('a@b.org')")
    check = (
        "checks: [{on: orders, check: reference, columns: [email], to: {table: known}, action: quarantine}]\n"
    )
    counts = do(database, folder, f"pattern: etl\n{SOURCE}{TARGET}{check}").counts
    assert (counts.inserted, counts.quarantined) == (2, 2)
    assert held(database) == [(n, ["check orders reference email"]) for n in (2, 4)]


def test_with_rows_set_aside_nothing_is_deleted_for_missing(database: Database, folder: Path) -> None:
    text = f"pattern: snapshot\n{SOURCE}{TARGET}"
    do(database, folder, text)
    ran = do(database, folder, text + ASIDE)
    assert (ran.counts.deleted, ran.counts.quarantined, ran.counts.unchanged) == (0, 2, 2)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.integers(0, 9), st.integers(-3, 3)), max_size=30))
def test_read_is_written_unchanged_and_quarantined(
    database: Database, tmp_path: Path, rows: list[tuple[int, int]]
) -> None:
    ask(database, "DROP SCHEMA IF EXISTS dpe_pipeline CASCADE")
    ask(database, "DROP SCHEMA IF EXISTS shop CASCADE")
    (tmp_path / "rows.csv").write_text("id,v\n" + "".join(f"{a},{b}\n" for a, b in rows))
    text = "pattern: etl\nsources: [{name: s, path: rows.csv, columns: {id: int, v: int}}]\n"
    text += "targets: [{table: shop.t, key: [id]}]\n"
    text += "checks: [{on: s, check: range, columns: [v], min: 0, action: quarantine}]\n"
    counts = do(database, tmp_path, text).counts
    assert counts.read == len(rows) == counts.written + counts.unchanged + counts.quarantined
    assert counts.quarantined == sum(v < 0 for _, v in rows)
    assert sorted(ask(database, "SELECT id FROM shop.t")) == sorted({(a,) for a, v in rows if v >= 0})


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ("{on: other, check: not_null, columns: [id]}", "no target, source or transform"),
        ("{on: orders, check: unique, columns: [id], action: quarantine}", "quarantine"),
        ("{on: shop.orders, check: not_null, columns: [id], action: quarantine}", "quarantine"),
        ("{on: shop.orders, check: drift, measure: sum(total), change: 0.1}", "no history"),
        ("{on: orders, check: sql, sql: SELECT 1}", "of a target's table"),
    ],
)
def test_what_a_run_cannot_check_is_refused(folder: Path, check: str, told: str) -> None:
    with pytest.raises(SpecProblem, match=told):
        spec_of(folder, f"pattern: etl\n{SOURCE}{TARGET}checks: [{check}]\n")
