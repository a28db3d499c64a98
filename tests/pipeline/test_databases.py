"""Rows of another database: what commits late, what comes twice, and what is no more."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from data_platform.errors import Problem, UsageProblem
from data_platform.pipeline.run import run
from data_platform.pipeline.streams import Place
from data_platform.postgres.connect import Unreachable
from data_platform.postgres.server import Database, Server
from pipeline.running import ask, do, spec_of

WRITERS, SECONDS, LONGEST = 6, 2.5, 0.2
TABLE = """
CREATE TABLE events (id bigserial PRIMARY KEY, writer int NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id())
"""
FILLED = """
INSERT INTO events (id, writer, at)
SELECT n, 1, '2026-01-01'::timestamptz + n * interval '1 day' FROM generate_series(1, 9) n
"""
EXACT = """
pattern: incremental
sources: [{name: events, dsn: 'env:SOURCE', table: events, cursor: {column: xid, kind: xid8}}]
targets: [{table: copy.events}]
"""
BY_TIME = """
pattern: incremental
sources: [{name: events, dsn: 'env:SOURCE', table: events, cursor: {column: at, lag: 2 seconds}}]
targets: [{table: copy.events, key: [id]}]
"""


@pytest.fixture
def source(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    with server.scratch_database() as made:
        monkeypatch.setenv("SOURCE", made.conninfo)
        ask(made, TABLE)
        yield made


def write(conninfo: str, number: int, until: float) -> None:
    draw = random.Random(number)
    with psycopg.connect(conninfo) as connection:
        while time.monotonic() < until:
            connection.execute("INSERT INTO events (writer) VALUES (%s)", [number])
            time.sleep(draw.uniform(0, LONGEST))
            connection.commit()


@pytest.mark.parametrize("text", [EXACT, BY_TIME])
def test_six_writers_who_commit_late_lose_nothing(
    database: Database, source: Database, tmp_path: Path, text: str
) -> None:
    until = time.monotonic() + SECONDS
    writers = [threading.Thread(target=write, args=(source.conninfo, n, until)) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    runs = 0
    while any(writer.is_alive() for writer in writers):
        do(database, tmp_path, text)
        runs += 1
    for writer in writers:
        writer.join()
    do(database, tmp_path, text)
    wanted = ask(source, "SELECT id FROM events ORDER BY 1")
    assert runs > 5
    assert len(wanted) > 50
    # Without a key a row that was delivered twice would be there twice.
    assert ask(database, "SELECT id FROM copy.events ORDER BY 1") == wanted


def test_an_update_comes_and_the_last_value_is_read_again(
    database: Database, source: Database, tmp_path: Path
) -> None:
    ask(source, "INSERT INTO events (id, writer, at) VALUES (1, 1, '2026-01-01'), (2, 1, '2026-01-02')")
    text = BY_TIME.replace(", lag: 2 seconds", "")
    assert do(database, tmp_path, text).counts.inserted == 2
    ask(source, "INSERT INTO events (id, writer, at) VALUES (3, 1, '2026-01-02')")
    ask(source, "UPDATE events SET writer = 7, at = '2026-01-03' WHERE id = 1")
    ran = do(database, tmp_path, text)
    assert (ran.counts.inserted, ran.counts.updated, ran.counts.unchanged) == (1, 1, 1)
    assert ask(database, "SELECT id, writer FROM copy.events ORDER BY 1") == [(1, 7), (2, 1), (3, 1)]


def test_a_part_is_brought_in_again_and_the_cursor_stays(
    database: Database, source: Database, tmp_path: Path
) -> None:
    ask(
        source,
        FILLED,
    )
    do(database, tmp_path, BY_TIME)
    ask(database, "DELETE FROM copy.events WHERE id BETWEEN 3 AND 6")
    ran = do(database, tmp_path, BY_TIME, since="2026-01-05", until="2026-01-07")
    assert (ran.counts.read, ran.counts.inserted) == (2, 2)
    assert ask(database, "SELECT id FROM copy.events ORDER BY 1") == [(n,) for n in (1, 2, 4, 5, 7, 8, 9)]
    assert do(database, tmp_path, BY_TIME).counts.inserted == 0


def test_what_the_source_has_no_more_is_deleted_but_not_all_of_it(
    database: Database, source: Database, tmp_path: Path
) -> None:
    ask(source, "INSERT INTO events (id, writer) SELECT n, 1 FROM generate_series(1, 10) n")
    text = BY_TIME.replace("cursor:", "deletes: {missing: true}, cursor:")
    do(database, tmp_path, text)
    ask(source, "DELETE FROM events WHERE id <= 3")
    assert do(database, tmp_path, text).counts.deleted == 3
    ask(source, "DELETE FROM events WHERE id < 10")
    with pytest.raises(UsageProblem, match="6 of 7 rows"):
        do(database, tmp_path, text)
    ask(source, "TRUNCATE events")
    with pytest.raises(UsageProblem, match="would be left without one"):
        do(database, tmp_path, text)
    assert ask(database, "SELECT count(*) FROM copy.events") == [(7,)]


def test_a_cursor_that_is_no_xid8_is_told(database: Database, source: Database, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"the cursor id of public\.events is bigint"):
        do(database, tmp_path, EXACT.replace("column: xid", "column: id"))
    with pytest.raises(UsageProblem, match="reads its last value again, so rows need a key"):
        do(database, tmp_path, BY_TIME.replace(", key: [id]", ""))
    whole = EXACT.replace("cursor: {column: xid, kind: xid8}", "").replace(
        "copy.events", "copy.events, key: [id]"
    )
    with pytest.raises(UsageProblem, match=r"no table public\.absent"):
        do(database, tmp_path, whole.replace("table: events", "table: absent"))


def test_a_source_whose_password_is_wrong_does_not_show_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE", "postgresql://u:hunter2@127.0.0.1:1/nowhere")
    with pytest.raises(Problem) as raised:
        run(spec_of(tmp_path, EXACT), Place(database.conninfo, tmp_path))
    assert "hunter2" not in str(raised.value)
    row = ask(database, "SELECT status, error FROM dpe_pipeline.runs ORDER BY id DESC LIMIT 1")[0]
    assert row[0] == "failed"
    assert "hunter2" not in row[1]


def test_a_source_that_lets_nobody_in_is_asked_again(
    server: Server, database: Database, source: Database, tmp_path: Path
) -> None:
    ask(source, FILLED)

    def let_in(whether: str) -> None:
        with psycopg.connect(server.conninfo, autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {source.name} ALLOW_CONNECTIONS {whether}".encode())

    let_in("false")
    later = threading.Timer(0.8, let_in, ["true"])
    later.start()
    ran = do(database, tmp_path, BY_TIME)
    later.join()
    assert ran.attempts > 1
    assert ran.counts.inserted == 9


def test_a_target_that_never_answered_is_told_at_once(source: Database, tmp_path: Path) -> None:
    said: list[str] = []
    place = Place("postgresql://u@127.0.0.1:1/nowhere", tmp_path)
    with pytest.raises(Unreachable, match="cannot connect"):
        run(spec_of(tmp_path, BY_TIME), place, tell=lambda text, share: said.append(text))
    assert said == []


ODD = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN above_zero AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
"""
ODD_TABLE = r"""
CREATE TABLE "Odd Name" ("Id" bigint, "select" text, mood mood, above above_zero, span int4range, spans nummultirange,
    ip inet, took interval, n numeric, texts text[], grid int[][], j jsonb, raw bytea, u uuid, bits bit(5),
    at timestamptz, daily timetz, one "char", mac macaddr, two pair, padded char(5), price money, place point,
    words tsvector, "ünïcode" text, PRIMARY KEY ("Id", "select"));
INSERT INTO "Odd Name" VALUES (1, 'a', 'sad', 1, '[1,5)', '{[1,2),[3,4)}', '10.0.0.1/8', '1 mon 2 days 03:04:05.6',
    'NaN', ARRAY['a,b', '"q"', NULL, ''], '{{1,2},{3,4}}', '{"a": [1, null]}', '\x00ff',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', B'10101',
    '2026-03-29 01:30:00+00', '10:00+02', 'x', '08:00:2b:01:02:03', ROW(1, 'x,"y'), 'ab', '$1.50', '(1,2)',
    'fat cat'::tsvector, 'ß🌱'),
  (1, 'b', NULL, NULL, 'empty', '{}', NULL, '-1 year', 'Infinity', '{}', '{}', '"5"', '', NULL, NULL, 'infinity', NULL,
    NULL, NULL, NULL, '', '-$1.00', NULL, '', ''),
  (2, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'null', NULL, NULL, NULL, '-infinity', NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, E'tab\t\\N nl\n');
"""


@pytest.mark.parametrize("pattern", ["etl", "snapshot", "incremental", "scd"])
def test_every_type_and_name_comes_as_it_is(
    database: Database, source: Database, tmp_path: Path, pattern: str
) -> None:
    ask(source, ODD + ODD_TABLE)
    text = (
        f"pattern: {pattern}\nsources: [{{name: r, dsn: 'env:SOURCE', table: public.Odd Name}}]\n"
        "targets: [{table: t.odd, from: r, key: [Id, select]}]\n"
    )
    with pytest.raises(UsageProblem, match=r"of a type that the target has not: .*mood"):
        do(database, tmp_path, text)
    ask(database, ODD)
    assert do(database, tmp_path, text).counts.inserted == 3
    assert do(database, tmp_path, text).counts.written == 0
    names = ask(
        source,
        "SELECT string_agg(quote_ident(attname) || '::text', ', ' ORDER BY attnum) FROM pg_attribute"
        " WHERE attrelid = '\"Odd Name\"'::regclass AND attnum > 0",
    )[0][0]
    theirs = ask(source, f'SELECT {names} FROM "Odd Name" ORDER BY 1, 2')
    assert ask(database, f"SELECT {names} FROM t.odd ORDER BY 1, 2") == theirs
