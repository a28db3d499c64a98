"""Backfills on a real server: every row once, whatever clients do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.model.database import Name
from data_platform.postgres.backfill.job import Job, Limits
from data_platform.postgres.backfill.rehearse import rehearse
from data_platform.postgres.backfill.run import backfill
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database
from data_platform.sql.text import Sql
from postgres.backfill.jobs import COUNTED, UNFINISHED, counting, updating

QUICK = Limits(batch_s=0.02)
TIMES = "SELECT count(*), min(times), max(times) FROM counted"


@pytest.fixture
def live(database: Database) -> Iterator[psycopg.Connection]:
    with connect(database.conninfo, read_only=False) as connection:
        connection.execute(COUNTED.format(rows=5000))
        yield connection


def test_every_row_once_and_a_second_run_knows_it(database: Database, live: psycopg.Connection) -> None:
    (first,) = backfill(database.conninfo, [counting()], QUICK)
    assert (first.rows, first.resumed, first.already_done, first.left) == (5000, False, False, None)
    assert first.batches > 3
    (second,) = backfill(database.conninfo, [counting()], QUICK)
    assert (second.rows, second.rows_before, second.already_done) == (0, 5000, True)
    assert live.execute(TIMES).fetchone() == (5000, 1, 1)
    (third,) = backfill(database.conninfo, [counting()], QUICK, again=True)
    assert third.rows == 5000
    assert live.execute(TIMES).fetchone() == (5000, 2, 2)


def test_rows_that_are_done_are_left_alone_and_what_is_left_is_told(
    database: Database, live: psycopg.Connection
) -> None:
    live.execute("UPDATE counted SET times = 1 WHERE id % 2 = 0")
    (done,) = backfill(database.conninfo, [counting(UNFINISHED)], QUICK)
    assert (done.rows, done.left) == (2500, False)
    never = Job(
        table=Name("public", "counted"),
        what="notes",
        statement=updating("counted", "note = note", Sql("note <> ''")),
        needed=Sql("note <> ''"),
    )
    assert [one.left for one in backfill(database.conninfo, [never], QUICK)] == [True]


@pytest.mark.parametrize(
    ("key", "columns", "values"),
    [
        ("a", 'a text COLLATE "C"', "CASE WHEN n % 2 = 0 THEN 'B''%' ELSE 'a\\' END || n"),
        ("a", "a uuid", "gen_random_uuid()"),
        ("a", "a numeric(20, 3)", "n / 7.0"),
        ("a", "a float8", "n / 7.0::float8"),
        (
            "a",
            "a timestamptz",
            "'2026-10-25 00:00:00Z'::timestamptz + n * interval '3 seconds 1 microsecond'",
        ),
        ("a", "a character(12)", "n"),
        ("a", "a bytea", "sha256(n::text::bytea)"),
        ("a", "a int4range", "int4range(n, n + 5)"),
        ("b, a", "a int, b text", "n % 7, 'x' || n / 7"),
        ('"odd ""key"" %s"', '"odd ""key"" %s" date', "'2026-01-01'::date + n"),
        ("a", "a color", "color.color FROM (SELECT enum_range(NULL::color)) AS c (r), unnest(c.r) AS color"),
    ],
)
def test_keys_of_every_type(database: Database, key: str, columns: str, values: str) -> None:
    source = values if " FROM " in values else f"{values} FROM generate_series(1, 2000) AS n"
    with connect(database.conninfo, read_only=False) as live:
        live.execute("CREATE TYPE color AS ENUM ('red', 'green', 'blue', 'grey')")
        live.execute(f"CREATE TABLE counted ({columns}, PRIMARY KEY ({key}))")
        live.execute(f"INSERT INTO counted SELECT {source}")
        live.execute("ALTER TABLE counted ADD times int NOT NULL DEFAULT 0")
        rows = live.execute("SELECT count(*) FROM counted").fetchone()
        backfill(
            f"{database.conninfo} options='-c TimeZone=Europe/Berlin -c DateStyle=German'",
            [counting()],
            QUICK,
        )
        assert live.execute(TIMES).fetchone() == (*(rows or ()), 1, 1)


def test_a_partitioned_table_by_its_key_and_one_without_by_pages(database: Database) -> None:
    with connect(database.conninfo, read_only=False) as live:
        for table, key in (("counted", ", PRIMARY KEY (id)"), ("log", "")):
            live.execute(f"CREATE TABLE {table} (id int, times int DEFAULT 0 {key}) PARTITION BY RANGE (id)")
            for start, end in ((1, 2001), (2001, 2501), (2501, 4501)):
                bounds = f"FROM ({start}) TO ({end})"
                live.execute(f"CREATE TABLE {table}_{start} PARTITION OF {table} FOR VALUES {bounds}")
            live.execute(f"INSERT INTO {table} SELECT n FROM generate_series(1, 4000) AS n")
        jobs = [counting(), counting(UNFINISHED, table="log")]
        assert [done.rows for done in backfill(database.conninfo, jobs, QUICK)] == [4000, 4000]
        assert live.execute(TIMES).fetchone() == (4000, 1, 1)
        assert live.execute(TIMES.replace("counted", "log")).fetchone() == (4000, 1, 1)


def test_an_empty_table_and_a_schema_of_the_users(database: Database, live: psycopg.Connection) -> None:
    live.execute("CREATE SCHEMA ops; CREATE TABLE nothing (id int PRIMARY KEY, times int)")
    (done,) = backfill(database.conninfo, [counting(table="nothing")], QUICK, schema="ops")
    assert (done.rows, done.batches) == (0, 0)
    assert live.execute("SELECT to_regclass('ops.dpe_backfill'), to_regclass('dpe_backfill')").fetchone() == (
        "ops.dpe_backfill",
        None,
    )


@contextmanager
def thread(work: object) -> Iterator[None]:
    running = threading.Thread(target=work)  # type: ignore[arg-type]
    running.start()
    yield
    running.join()


def test_it_ends_under_constant_inserts_behind_and_before_it(
    database: Database, live: psycopg.Connection
) -> None:
    stop = threading.Event()

    def insert() -> None:
        with connect(database.conninfo, read_only=False) as client:
            number = 0
            while not stop.is_set():
                number += 1
                client.execute(
                    "INSERT INTO counted VALUES (%s, '', 1), (%s, '', 1)", [-number, 10**6 + number]
                )

    with thread(insert):
        (done,) = backfill(database.conninfo, [counting(UNFINISHED)], Limits(batch_s=0.005))
        stop.set()
    assert (done.rows, done.left) == (5000, False)
    assert live.execute("SELECT max(times) FROM counted").fetchone() == (1,)


def test_a_row_that_somebody_holds_is_tried_again(database: Database, live: psycopg.Connection) -> None:
    """Held until the backfill has waited for it and given up."""
    waits = (
        "SELECT true FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    held = threading.Event()

    def hold() -> None:
        with (
            connect(database.conninfo, read_only=True) as watching,
            connect(database.conninfo, read_only=False) as client,
            client.transaction(),
        ):
            client.execute("UPDATE counted SET note = '' WHERE id = 21000")
            held.set()
            for state in ((True,), None):
                while watching.execute(waits).fetchone() != state:
                    time.sleep(0.002)

    with thread(hold):
        assert held.wait(30)
        (done,) = backfill(database.conninfo, [counting()], QUICK)
    assert [pause.reason for pause in done.pauses] == ["rows held by others"]
    assert live.execute(TIMES).fetchone() == (5000, 1, 1)


def test_a_table_that_is_locked_as_a_whole(database: Database, live: psycopg.Connection) -> None:
    def lock() -> None:
        with connect(database.conninfo, read_only=False) as client, client.transaction():
            client.execute("LOCK TABLE counted")
            time.sleep(1.0)

    with thread(lock):
        time.sleep(0.2)
        (done,) = backfill(database.conninfo, [counting()], QUICK)
    assert [pause.reason for pause in done.pauses] == ["rows held by others"]
    assert live.execute(TIMES).fetchone() == (5000, 1, 1)


def test_patience_ends_with_who_holds_the_row(database: Database, live: psycopg.Connection) -> None:
    with live.transaction():
        live.execute("UPDATE counted SET note = '' WHERE id = 21000")
        with pytest.raises(EnvironmentProblem, match=f"process {live.info.backend_pid}"):
            backfill(database.conninfo, [counting()], Limits(batch_s=0.02, patience_s=0.5))
    (done,) = backfill(database.conninfo, [counting()], QUICK)
    assert done.resumed
    assert live.execute(TIMES).fetchone() == (5000, 1, 1)


def test_clients_that_wait_are_given_way(database: Database, live: psycopg.Connection) -> None:
    live.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.003); RETURN NEW; END $$"
    )
    live.execute("CREATE TRIGGER slow BEFORE UPDATE OF times ON counted FOR EACH ROW EXECUTE FUNCTION slow()")
    live.execute("DELETE FROM counted WHERE id > 2800")
    stop, longest = threading.Event(), [0.0]

    def update() -> None:
        with connect(database.conninfo, read_only=False) as client:
            while not stop.is_set():
                began = time.monotonic()
                client.execute("UPDATE counted SET note = '' WHERE id < 140")
                longest.append(time.monotonic() - began)
                time.sleep(0.01)

    with thread(update):
        (done,) = backfill(database.conninfo, [counting()], Limits(batch_s=0.3))
        stop.set()
    assert "clients waiting" in [pause.reason for pause in done.pauses]
    assert live.execute(TIMES).fetchone() == (400, 1, 1)


def test_two_runs_at_once(database: Database, live: psycopg.Connection) -> None:
    job = counting()
    with connect(database.conninfo, read_only=False) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [job.mark(("id",))])
        with pytest.raises(EnvironmentProblem, match="another run"):
            backfill(database.conninfo, [job], QUICK)


def test_a_rate_is_kept(database: Database, live: psycopg.Connection) -> None:
    (done,) = backfill(database.conninfo, [counting()], Limits(batch_s=0.02, max_rate=4000))
    assert 0.6 * 4000 <= done.rate <= 4000


def test_a_busy_server_is_waited_for(database: Database, live: psycopg.Connection) -> None:
    def work() -> None:
        with connect(database.conninfo, read_only=True) as client:
            client.execute("SELECT pg_sleep(1.5)")

    with thread(work):
        time.sleep(0.2)
        (done,) = backfill(database.conninfo, [counting()], Limits(max_active=0))
    assert [pause.reason for pause in done.pauses] == ["load"]
    assert done.seconds > 1


def test_a_rehearsal_changes_nothing(database: Database, live: psycopg.Connection) -> None:
    live.execute("UPDATE counted SET times = 1 WHERE id % 2 = 0; ANALYZE counted")
    before = live.execute("SELECT md5(string_agg(c::text, ',' ORDER BY id)) FROM counted AS c").fetchone()
    (said,) = rehearse(database.conninfo, [counting(UNFINISHED)], QUICK)
    assert len(said.tried) > 1
    assert 2000 < said.rows < 3000
    assert said.estimate_s is not None
    assert said.estimate_s > 0
    after = live.execute("SELECT md5(string_agg(c::text, ',' ORDER BY id)) FROM counted AS c").fetchone()
    assert before == after
    assert live.execute("SELECT to_regclass('dpe_backfill')").fetchone() == (None,)


def test_a_mistake_in_the_values_stops_it_and_the_place_stays(
    database: Database, live: psycopg.Connection
) -> None:
    live.execute("ALTER TABLE counted ADD CHECK (id <> 21000 OR times = 0)")
    with pytest.raises(UsageProblem, match="SQLSTATE 23514"):
        backfill(database.conninfo, [counting()], QUICK)
    live.execute("ALTER TABLE counted DROP CONSTRAINT counted_check")
    (done,) = backfill(database.conninfo, [counting()], QUICK)
    assert done.resumed
    assert done.rows + done.rows_before == 5000
    assert live.execute(TIMES).fetchone() == (5000, 1, 1)


@pytest.mark.parametrize(
    ("ddl", "job", "said"),
    [
        ("", counting(table="nowhere"), "there is no table"),
        ("CREATE TABLE heap (times int)", counting(table="heap"), "no key"),
        ("", counting(key=("note",)), "cannot be gone through by `note`"),
        ("CREATE TABLE other (id int PRIMARY KEY)", counting(table="other"), '"times" does not exist'),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything(
    database: Database, live: psycopg.Connection, ddl: str, job: Job, said: str
) -> None:
    live.execute(ddl or "SELECT 1")
    with pytest.raises(UsageProblem, match=said):
        backfill(database.conninfo, [counting(), job], QUICK)
    assert live.execute("SELECT to_regclass('dpe_backfill'), max(times) FROM counted").fetchone() == (None, 0)


def test_a_table_of_the_same_name_before_public(database: Database, live: psycopg.Connection) -> None:
    live.execute("CREATE SCHEMA app; CREATE TABLE app.counted (LIKE counted INCLUDING ALL)")
    with pytest.raises(UsageProblem, match="search path"):
        backfill(f"{database.conninfo} options='-c search_path=app,public'", [counting()], QUICK)
