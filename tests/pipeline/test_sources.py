"""Tables of another PostgreSQL that change between runs, or are on a server with settings of its own."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from data_platform.errors import UsageProblem
from data_platform.postgres.server import Database
from pipeline.running import ask, do, held
from pipeline.test_odd_pipelines import source

__all__ = ["source"]

TABLE = """
CREATE TABLE t (id int PRIMARY KEY, a text, n int, at timestamptz NOT NULL DEFAULT clock_timestamp());
INSERT INTO t SELECT n, 'x', n FROM generate_series(1, 3) n
"""
SPEC = """
pattern: incremental
retries: 0
sources: [{name: t, dsn: env:SOURCE, table: t, cursor: {column: at}}]
targets: [{table: w.t, key: [id]}]
"""
DECLARED = SPEC.replace("table: t,", "table: t, columns: {id: int, a: text, n: int, at: timestamptz},")
TOUCH = "UPDATE t SET at = clock_timestamp()"


@pytest.mark.parametrize("spec", [SPEC, DECLARED])
@pytest.mark.parametrize("change", ["ALTER TABLE t DROP COLUMN n", "ALTER TABLE t RENAME n TO m"])
def test_a_column_that_went_is_drift(
    database: Database, source: Database, tmp_path: Path, spec: str, change: str
) -> None:
    ask(source, TABLE)
    do(database, tmp_path, spec)
    ask(source, change)
    ask(source, TOUCH)
    with pytest.raises(UsageProblem, match="has drifted: it does not have n"):
        do(database, tmp_path, spec)
    do(database, tmp_path, spec + "drift: ignore\n")
    assert ask(
        database, "SELECT count(*), count(*) FILTER (WHERE at > now() - interval '1 hour') FROM w.t"
    ) == [(3, 3)]


@pytest.mark.parametrize(
    ("type_", "value"),
    [("text", "'x'"), ("bigint", "5000000000"), ("numeric(6, 2)", "5.50"), ("varchar", "'1e3'")],
)
def test_a_type_that_changed_is_told_of_its_rows(
    database: Database, source: Database, tmp_path: Path, type_: str, value: str
) -> None:
    ask(source, TABLE)
    do(database, tmp_path, DECLARED)
    ask(source, f"ALTER TABLE t ALTER n TYPE {type_} USING n::{type_}")
    ask(source, f"UPDATE t SET n = {value}, at = clock_timestamp() WHERE id = 3")
    ask(source, "UPDATE t SET n = '8', at = clock_timestamp() WHERE id = 1")
    do(database, tmp_path, DECLARED)
    assert [reasons for _, reasons in held(database)] == [["n: not int"]]
    assert ask(database, "SELECT id, n FROM w.t ORDER BY id") == [(1, 8), (2, 2), (3, 3)]


def test_a_row_that_is_read_again_is_in_quarantine_once(
    database: Database, source: Database, tmp_path: Path
) -> None:
    ask(source, TABLE)
    ask(source, "UPDATE t SET a = '7'; UPDATE t SET a = 'bad' WHERE id = 2")
    spec = DECLARED.replace("a: text", "a: int").replace("column: at", "column: at, lag: 1 day")
    for _ in range(3):
        assert do(database, tmp_path, spec).counts.quarantined == 1
    there = "SELECT count(*) FROM dpe_pipeline.quarantine WHERE replayed_at IS NULL"
    assert ask(database, there) == [(1,)]


def test_a_cursor_and_a_table_that_are_gone_are_told(
    database: Database, source: Database, tmp_path: Path
) -> None:
    ask(source, TABLE)
    do(database, tmp_path, SPEC)
    ask(source, "ALTER TABLE t DROP COLUMN at")
    with pytest.raises(UsageProblem, match=r"there is no column at in public\.t, which is the cursor"):
        do(database, tmp_path, SPEC)
    ask(source, "DROP TABLE t")
    with pytest.raises(UsageProblem, match=r"there is no table public\.t"):
        do(database, tmp_path, SPEC)


SETTINGS = (
    "statement_timeout = '20ms'", "idle_in_transaction_session_timeout = '50ms'", "datestyle = 'SQL, DMY'",
    "timezone = 'Asia/Kolkata'", "extra_float_digits = -5", "bytea_output = 'escape'", "intervalstyle = 'iso_8601'",
    "client_encoding = 'LATIN1'", "default_transaction_read_only = on", "search_path = ''", "row_security = off",
)  # fmt: skip


def test_settings_of_the_source_change_no_value(database: Database, source: Database, tmp_path: Path) -> None:
    ask(
        source,
        "CREATE TABLE t (id int PRIMARY KEY, d date, ts timestamptz, iv interval, f float8, b bytea, e text);"
        " INSERT INTO t SELECT n, '2026-02-01', '2026-02-01 10:00+00', '1 mon 2 days 03:04:05', 0.1::float8 + 0.2,"
        " '\\xde00ff', 'é' || chr(8364) FROM generate_series(1, 20000) n",
    )
    name = psycopg.conninfo.conninfo_to_dict(source.conninfo)["dbname"]
    ask(source, "; ".join(f'ALTER DATABASE "{name}" SET {setting}' for setting in SETTINGS))
    spec = SPEC.replace(", cursor: {column: at}", "")
    assert do(database, tmp_path, spec).counts.read == 20_000
    found = ask(database, "SELECT DISTINCT d, ts = '2026-02-01 10:00+00', iv, f, b, e FROM w.t")
    span = timedelta(days=32, hours=3, minutes=4, seconds=5)
    assert found == [(date(2026, 2, 1), True, span, 0.30000000000000004, b"\xde\x00\xff", "é€")]


def test_rows_that_a_policy_hides_are_not_taken_for_gone(
    database: Database, source: Database, tmp_path: Path
) -> None:
    ask(source, TABLE)
    spec = SPEC.replace("pattern: incremental", "pattern: snapshot").replace(", cursor: {column: at}", "")
    do(database, tmp_path, spec)
    ask(source, "ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY")
    ask(source, "CREATE POLICY few ON t USING (id < 2)")
    with pytest.raises(UsageProblem, match=r"row security hides rows of public\.t from this role"):
        do(database, tmp_path, spec)
    assert ask(database, "SELECT count(*) FROM w.t") == [(3,)]
    do(database, tmp_path, spec.replace("table: t", "query: SELECT * FROM t"))
    assert ask(database, "SELECT count(*) FROM w.t") == [(1,)]
