"""The patterns `events` and `cqrs` as a run does them: followed, built anew, stopped by what no handler takes."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from data_platform.errors import UsageProblem
from data_platform.pipeline.run import Ran
from data_platform.pipeline.run import run as run_spec
from data_platform.pipeline.status import status
from data_platform.pipeline.streams import Place
from data_platform.postgres.server import Database
from data_platform.spec.document import SpecProblem
from pipeline.running import ask, do, spec_of

EVENTS = """
pattern: events
events:
  schema: ledger
  types:
    Opened: {payload: {owner: text}, subject: true}
    Paid: {payload: {amount: int}}
projections:
  - name: balances
    tables: ["CREATE TABLE account (id text PRIMARY KEY, owner text, balance int NOT NULL)"]
    handlers:
      Opened: INSERT INTO account VALUES (e.stream, e.payload ->> 'owner', 0)
      Paid: UPDATE account SET balance = balance + (e.payload ->> 'amount')::int WHERE id = e.stream
      SubjectErased: UPDATE account SET owner = NULL WHERE id = e.stream
"""
CQRS = """
pattern: cqrs
sources:
  - {name: orders, dsn: target, table: shop.orders, key: [id]}
  - {name: people, dsn: target, table: shop.people, key: [id]}
projections:
  - name: overview
    tables:
      - CREATE TABLE spent (person int PRIMARY KEY, name text, seen int NOT NULL DEFAULT 0)
      - CREATE TABLE orders (id int PRIMARY KEY, person int, total int)
    handlers:
      orders.upsert: |
        INSERT INTO orders SELECT (e.payload ->> 'id')::int, (e.payload ->> 'person')::int, (e.payload ->> 'total')::int
        ON CONFLICT (id) DO UPDATE SET person = excluded.person, total = excluded.total
      orders.delete: DELETE FROM orders WHERE id = (e.payload ->> 'id')::int
      people.upsert: |
        INSERT INTO spent (person, name, seen) VALUES ((e.payload ->> 'id')::int, e.payload ->> 'name', 1)
        ON CONFLICT (person) DO UPDATE SET name = excluded.name, seen = spent.seen + 1
"""


def append(database: Database, stream: str, *events: tuple[str, dict[str, Any]]) -> None:
    with psycopg.connect(database.conninfo) as connection:
        append_as(connection, stream, *events)


def append_as(connection: psycopg.Connection[Any], stream: str, *events: tuple[str, dict[str, Any]]) -> None:
    written = [{"type": type_, "payload": payload, "subject": stream} for type_, payload in events]
    connection.execute("SELECT ledger.append(%s, NULL, %s)", [stream, Jsonb(written)])


def counted(ran: Ran) -> list[tuple[str, int, int, int]]:
    return [(one.way, one.counts.read, one.counts.inserted, one.counts.unchanged) for one in ran.steps]


# --- events ---


def test_events_are_followed(database: Database, tmp_path: Path) -> None:
    assert do(database, tmp_path, EVENTS).steps == ()
    append(database, "a", ("Opened", {"owner": "Ada"}), ("Paid", {"amount": 5}), ("Noted", {}))
    ran = do(database, tmp_path, EVENTS, dry_run=True)
    assert counted(ran) == [("applied", 3, 2, 1)]
    assert ask(database, "SELECT * FROM balances.account") == []
    assert counted(do(database, tmp_path, EVENTS)) == counted(ran)
    assert do(database, tmp_path, EVENTS).steps == ()
    ask(database, "SELECT ledger.erase('a', 'asked for')")
    do(database, tmp_path, EVENTS)
    assert ask(database, "SELECT * FROM balances.account") == [("a", None, 5)]


def test_what_no_handler_takes_is_named_and_what_came_before_is_there(
    database: Database, tmp_path: Path
) -> None:
    do(database, tmp_path, EVENTS)
    append(database, "a", *[("Opened", {"owner": "Ada"}), *[("Paid", {"amount": 1})] * 20])
    append(database, "b", ("Opened", {}), ("Paid", {"amount": "much"}))
    other = EVENTS + (
        "  - name: counts\n    tables: [CREATE TABLE n (n int)]\n"
        "    handlers: {Paid: INSERT INTO n VALUES (1)}\n"
    )
    told = (
        r"balances stands before event 23 \(Paid, version 2 of b\): .* invalid input syntax for type integer"
    )
    with pytest.raises(UsageProblem, match=told) as raised:
        do(database, tmp_path, other)
    # The value may be about a person who will be forgotten, and what a run says of an error is kept.
    assert "much" not in str(raised.value)
    assert "much" not in str(ask(database, "SELECT error FROM dpe_pipeline.runs"))
    assert ask(database, "SELECT id, balance FROM balances.account ORDER BY 1") == [("a", 20), ("b", 0)]
    assert ask(database, "SELECT count(*) FROM counts.n") == [(21,)], "others go on"
    assert ask(database, "SELECT status, rows_read FROM dpe_pipeline.runs ORDER BY id DESC LIMIT 1") == [
        ("failed", 45)
    ]
    spec = spec_of(tmp_path, other)
    standing = {one.name: (one.age_seconds, one.told) for one in status(spec, database.conninfo).standing}
    assert (standing["balances"][0] or 0) > 0
    assert (standing["balances"][1], standing["counts"]) == ("1 events not read", (0.0, "0 events not read"))
    mended = other.replace("(e.payload ->> 'amount')::int", "length(e.payload ->> 'amount')")
    assert [way for way, *_ in counted(do(database, tmp_path, mended))] == ["built beside", "built anew"]
    assert ask(database, "SELECT id, balance FROM balances.account ORDER BY 1") == [("a", 20), ("b", 4)]


def test_two_specs_read_a_store_by_the_same_upcasters(database: Database, tmp_path: Path) -> None:
    one = EVENTS.replace(
        "  types:", "  upcasters: [{type: Paid, since: 1, sql: \"payload || '{}'\"}]\n  types:"
    )
    other = one.replace("'{}'", "jsonb_build_object('amount', 1)")
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()

    def run(folder: Path, text: str) -> Ran:
        spec = replace(spec_of(folder, text.replace("balances", f"balances_{folder.name}")), name=folder.name)
        return run_spec(spec, Place(database.conninfo, folder))

    a, b = folders
    run(a, one)
    with pytest.raises(UsageProblem, match="by the upcasters of the pipeline a; these are others"):
        run(b, other)
    run(b, one)
    append(database, "x", ("Opened", {"owner": "Ada"}), ("Paid", {"amount": 5}))
    run(a, other)
    assert ask(database, "SELECT balance FROM balances_a.account") == [(1,)]
    with pytest.raises(UsageProblem, match="by the upcasters of the pipeline a; these are others"):
        run(b, one)
    run(b, other)
    assert ask(database, "SELECT balance FROM balances_b.account") == [(1,)]


def test_who_is_forgotten_while_others_write_and_runs_go_on(database: Database, tmp_path: Path) -> None:
    """Appends that commit late or not at all, erasures among them, projections made anew: as a replay at the end."""
    do(database, tmp_path, EVENTS)
    until = time.monotonic() + 3

    def write(number: int) -> None:
        rng = random.Random(number)
        with psycopg.connect(database.conninfo) as own:
            while time.monotonic() < until:
                stream = f"s{rng.randrange(6)}"
                events = [{"type": "Opened", "payload": {"owner": f"Ada of {stream}"}, "subject": stream}]
                events += [{"type": "Paid", "payload": {"amount": 1}}] * rng.randrange(3)
                own.execute("SELECT ledger.append(%s, NULL, %s)", [stream, Jsonb(events)])
                if rng.random() < 0.15:
                    own.execute("SELECT ledger.erase(%s, 'asked for')", [f"s{rng.randrange(6)}"])
                time.sleep(rng.random() * 0.2)
                own.rollback() if rng.random() < 0.2 else own.commit()

    def worker(number: int) -> None:
        with suppress(psycopg.errors.DeadlockDetected):
            write(number)

    threads = [threading.Thread(target=worker, args=[number]) for number in range(6)]
    text = EVENTS.replace("INSERT INTO account VALUES (e.stream, e.payload ->> 'owner', 0)", UPSERT)
    for one in threads:
        one.start()
    for turn in range(1000):
        do(
            database,
            tmp_path,
            text if turn % 3 else text.replace("owner = NULL", f"owner = NULL /* {turn} */"),
        )
        if time.monotonic() > until:
            break
    for one in threads:
        one.join()
    for subject in range(0, 6, 2):
        ask(database, f"SELECT ledger.erase('s{subject}', 'at last')")
    do(database, tmp_path, text)
    kept = ask(database, "SELECT * FROM balances.account ORDER BY 1")
    assert [owner for name, owner, _ in kept if name in ("s0", "s2", "s4")] == [None] * 3
    assert (
        ask(database, "SELECT DISTINCT subject FROM ledger.events WHERE payload::text ~ 'Ada of s[024]'")
        == []
    )
    do(database, tmp_path, text.replace("owner = NULL", "owner = NULL /* again */"))
    assert ask(database, "SELECT * FROM balances.account ORDER BY 1") == kept


UPSERT = (
    "INSERT INTO account VALUES (e.stream, e.payload ->> 'owner', 0)"
    " ON CONFLICT (id) DO UPDATE SET owner = excluded.owner"
)


def test_a_run_ends_though_others_write_on(database: Database, tmp_path: Path) -> None:
    text = EVENTS + CHECK.replace("max: 50", "min: 0") % "fail"
    do(database, tmp_path, EVENTS)
    done = threading.Event()

    def write() -> None:
        with psycopg.connect(database.conninfo, autocommit=True) as own:
            for number in count():
                append_as(own, f"s{number % 7}", ("Noted", {}))
                if done.is_set():
                    return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for spec in (EVENTS, text):
            assert len(do(database, tmp_path, spec).steps) <= 3
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("since", [(1, 3), (2, 4, 5)])
def test_upcasters_leave_no_version_out(tmp_path: Path, since: tuple[int, ...]) -> None:
    listed = ", ".join(f"{{type: Paid, since: {n}, sql: payload}}" for n in since)
    with pytest.raises(SpecProblem, match=f"no upcaster of `Paid` takes version {since[0] + 1}"):
        spec_of(tmp_path, EVENTS.replace("  types:", f"  upcasters: [{listed}]\n  types:"))


CHECK = "checks: [{on: balances.account, check: range, columns: [balance], max: 50, action: %s}]\n"


def test_a_check_takes_back_what_a_run_applied(database: Database, tmp_path: Path) -> None:
    do(database, tmp_path, EVENTS + CHECK % "fail")
    append(database, "a", ("Opened", {"owner": "Ada"}), ("Paid", {"amount": 70}), ("Paid", {"amount": -40}))
    assert counted(do(database, tmp_path, EVENTS + CHECK % "fail")) == [("applied", 3, 3, 0)]
    append(database, "b", ("Opened", {"owner": "Bob"}), ("Paid", {"amount": 60}))
    with pytest.raises(UsageProblem, match="nothing of this unit was kept"):
        do(database, tmp_path, EVENTS + CHECK % "fail")
    assert ask(database, "SELECT id, balance FROM balances.account") == [("a", 30)]
    ran = do(database, tmp_path, EVENTS + CHECK % "warn")
    assert [(step.counts.inserted, len(step.told)) for step in ran.steps] == [(2, 1)]


def test_an_event_that_is_refused_is_named_beside_checks_too(database: Database, tmp_path: Path) -> None:
    do(database, tmp_path, EVENTS)
    append(database, "a", ("Opened", {"owner": "Ada"}), ("Paid", {"amount": "much"}), ("Paid", {"amount": 1}))
    with pytest.raises(UsageProblem, match=r"stands before event 2 \(Paid, version 2 of a\)"):
        do(database, tmp_path, EVENTS + CHECK % "fail")
    assert ask(database, "SELECT count(*) FROM balances.account") == [(0,)]


def test_a_projection_that_is_built_anew_is_looked_at_before_it_is_exchanged(
    database: Database, tmp_path: Path
) -> None:
    do(database, tmp_path, EVENTS)
    append(database, "a", ("Opened", {"owner": "Ada"}), ("Paid", {"amount": 40}))
    do(database, tmp_path, EVENTS + CHECK % "fail")
    twice = EVENTS.replace("balance + (", "balance + 2 * (") + CHECK % "fail"
    with pytest.raises(UsageProblem, match="nothing of this unit was kept"):
        do(database, tmp_path, twice)
    assert ask(database, "SELECT balance FROM balances.account") == [(40,)]


def test_a_read_model_is_looked_at_as_it_is_filled(shop: Database, tmp_path: Path) -> None:
    check = "checks: [{on: overview.orders, check: rows, min: 100}]\n"
    with pytest.raises(UsageProblem, match="nothing of this unit was kept"):
        do(shop, tmp_path, CQRS + check)
    assert ask(shop, "SELECT to_regnamespace('overview')") == [(None,)]


@pytest.mark.parametrize(
    ("on", "told"),
    [
        ("orders", "nobody can set them aside"),
        ("shop.orders", "is nothing that is written by this pipeline"),
    ],
)
def test_checks_are_on_the_read_model(tmp_path: Path, on: str, told: str) -> None:
    with pytest.raises(SpecProblem, match=told):
        spec_of(tmp_path, CQRS + f"checks: [{{on: {on}, check: rows, min: 1}}]\n")


def test_a_projection_that_changed_is_built_beside_and_exchanged(database: Database, tmp_path: Path) -> None:
    do(database, tmp_path, EVENTS)
    append(database, "a", ("Opened", {"owner": "Ada"}), ("Paid", {"amount": 5}))
    do(database, tmp_path, EVENTS)
    ask(database, "GRANT USAGE ON SCHEMA balances TO PUBLIC; GRANT SELECT ON balances.account TO PUBLIC")
    changed = EVENTS.replace("balance + (", "balance + 100 * (")
    # Killed in the middle: what stands beside already is not begun again.
    do(database, tmp_path, changed, dry_run=True)
    assert [way for way, *_ in counted(do(database, tmp_path, changed))] == ["built beside", "built anew"]
    append(database, "a", ("Paid", {"amount": 1}))
    do(database, tmp_path, changed)
    assert ask(database, "SELECT balance FROM balances.account") == [(600,)]
    assert ask(database, "SELECT has_table_privilege('public', 'balances.account', 'SELECT')") == [(True,)]
    assert ask(database, "SELECT has_schema_privilege('public', 'balances', 'USAGE')") == [(True,)]


def test_a_projection_whose_schema_is_gone_begins_again(database: Database, tmp_path: Path) -> None:
    do(database, tmp_path, EVENTS)
    append(database, "a", ("Opened", {"owner": "Ada"}), ("Paid", {"amount": 5}))
    do(database, tmp_path, EVENTS)
    ask(database, "DROP SCHEMA balances CASCADE")
    append(database, "a", ("Paid", {"amount": 2}))
    do(database, tmp_path, EVENTS)
    assert ask(database, "SELECT * FROM balances.account") == [("a", "Ada", 7)]
    assert do(database, tmp_path, EVENTS).steps == ()


def test_a_projection_whose_table_is_gone_says_how_to_make_it_again(
    database: Database, tmp_path: Path
) -> None:
    do(database, tmp_path, EVENTS)
    ask(database, "DROP TABLE balances.account")
    append(database, "a", ("Opened", {"owner": "Ada"}))
    with pytest.raises(UsageProblem, match="DROP SCHEMA balances CASCADE;"):
        do(database, tmp_path, EVENTS)
    ask(database, "DROP SCHEMA balances CASCADE")
    do(database, tmp_path, EVENTS)
    assert ask(database, "SELECT * FROM balances.account") == [("a", "Ada", 0)]


def test_a_read_model_whose_schema_is_gone_is_filled_again(shop: Database, tmp_path: Path) -> None:
    do(shop, tmp_path, CQRS)
    before = ask(shop, "SELECT * FROM overview.orders ORDER BY id")
    ask(shop, "DROP SCHEMA overview CASCADE")
    do(shop, tmp_path, CQRS)
    assert ask(shop, "SELECT * FROM overview.orders ORDER BY id") == before != []


def test_old_events_are_read_as_the_newest_say(database: Database, tmp_path: Path) -> None:
    do(database, tmp_path, EVENTS)
    append(database, "a", ("Opened", {"owner": "Ada"}), ("Paid", {"amount": 5}))
    do(database, tmp_path, EVENTS)
    upcast = '  upcasters: [{type: Paid, since: 1, sql: "payload || \'{\\"amount\\": 7}\'"}]\nprojections:'
    do(database, tmp_path, EVENTS.replace("projections:", upcast))
    assert ask(database, "SELECT balance FROM balances.account") == [(7,)]


# --- cqrs ---


@pytest.fixture
def shop(database: Database) -> Database:
    ask(
        database,
        "CREATE SCHEMA shop; CREATE TABLE shop.people (id int PRIMARY KEY, name text);"
        "CREATE TABLE shop.orders (id int PRIMARY KEY, person int, total int);"
        "INSERT INTO shop.people VALUES (1, 'Ada'), (2, 'Bob'); INSERT INTO shop.orders VALUES (1, 1, 5), (2, 1, 7)",
    )
    return database


def test_what_the_spec_names_no_more_is_told_and_let_go(shop: Database, tmp_path: Path) -> None:
    both = CQRS + CQRS[CQRS.index("  - name: overview") :].replace("name: overview", "name: second")
    do(shop, tmp_path, both)
    do(shop, tmp_path, CQRS)
    ask(shop, "UPDATE shop.orders SET total = 9")
    do(shop, tmp_path, CQRS)
    assert ask(shop, "SELECT count(*) FROM p_outbox.outbox") == [(2,)]
    told = [
        one
        for one in status(spec_of(tmp_path, CQRS), shop.conninfo).findings
        if one.rule == "not-in-the-spec"
    ]
    assert ["projection second" in one.message and "2 events not read" in one.message for one in told] == [
        True
    ]
    ask(shop, "CREATE VIEW shop.mine AS SELECT * FROM second.orders")
    with pytest.raises(UsageProblem, match=r"would go with them: shop\.mine"):
        do(shop, tmp_path, CQRS, drop_removed=True)
    ask(shop, "DROP VIEW shop.mine")
    assert [step.way for step in do(shop, tmp_path, CQRS, drop_removed=True).steps] == ["let go"]
    assert ask(shop, "SELECT to_regnamespace('second')") == [(None,)]
    ask(shop, "UPDATE shop.orders SET total = 10")
    do(shop, tmp_path, CQRS)
    # What a reader's last window holds goes with the next one.
    assert ask(shop, "SELECT count(*) FROM p_outbox.outbox WHERE payload ->> 'total' = '9'") == [(0,)]
    assert status(spec_of(tmp_path, CQRS), shop.conninfo).findings == ()
    assert {step.way for step in do(shop, tmp_path, both).steps} == {"filled"}
    with pytest.raises(UsageProblem, match="--drop-removed is for"):
        do(
            shop,
            tmp_path,
            "pattern: etl\nsources: [{name: a, path: a.csv, columns: {id: int}}]\ntargets: [{table: t.t}]\n",
            drop_removed=True,
        )


def test_what_was_there_and_what_comes(shop: Database, tmp_path: Path) -> None:
    ran = do(shop, tmp_path, CQRS, dry_run=True)
    assert counted(ran) == [("filled", 4, 4, 0)]
    assert counted(do(shop, tmp_path, CQRS)) == counted(ran)
    ask(shop, "UPDATE shop.orders SET id = 3 WHERE id = 2; UPDATE shop.people SET name = 'Eve' WHERE id = 2")
    ask(shop, "DELETE FROM shop.orders WHERE id = 1; DELETE FROM shop.people WHERE id = 1")
    assert counted(do(shop, tmp_path, CQRS)) == [("applied", 5, 4, 1)]
    assert ask(shop, "SELECT * FROM overview.orders") == [(3, 1, 7)]
    assert ask(shop, "SELECT name, seen FROM overview.spent ORDER BY 1") == [("Ada", 1), ("Eve", 2)]
    ask(shop, "INSERT INTO shop.people VALUES (4, 'Zoe')")
    do(shop, tmp_path, CQRS)
    assert ask(shop, "SELECT count(*) FROM p_outbox.outbox WHERE position < 6") == [(0,)], "it is purged"
    # Built anew from the tables: the outbox has nothing of what was before.
    ran = do(shop, tmp_path, CQRS.replace("seen + 1", "seen + 2"))
    assert [way for way, *_ in counted(ran)] == ["filled", "built anew"]
    assert ask(shop, "SELECT name, seen FROM overview.spent ORDER BY 1") == [("Eve", 1), ("Zoe", 1)]


def test_a_new_read_model_begins_with_the_tables_and_not_with_the_outbox(
    shop: Database, tmp_path: Path
) -> None:
    do(shop, tmp_path, CQRS)
    ask(shop, "INSERT INTO shop.people VALUES (3, 'Zoe')")
    second = (
        CQRS
        + "  - {name: n, tables: [CREATE TABLE n (n int)], handlers: {people.upsert: INSERT INTO n VALUES (1)}}\n"
    )
    do(shop, tmp_path, second)
    assert ask(shop, "SELECT count(*) FROM n.n") == [(3,)]
    ask(shop, "INSERT INTO shop.people VALUES (4, 'Kim')")
    do(shop, tmp_path, second)
    assert ask(shop, "SELECT count(*) FROM n.n") == [(4,)]


def test_changes_that_no_trigger_told_are_not_missed(shop: Database, tmp_path: Path) -> None:
    do(shop, tmp_path, CQRS)
    ask(shop, "ALTER TABLE shop.people DISABLE TRIGGER USER; INSERT INTO shop.people VALUES (3, 'Zoe')")
    assert [way for way, *_ in counted(do(shop, tmp_path, CQRS))] == ["filled", "built anew"]
    assert ask(shop, "SELECT count(*) FROM overview.spent") == [(3,)]
    ask(shop, "INSERT INTO shop.people VALUES (4, 'Kim')")
    assert counted(do(shop, tmp_path, CQRS)) == [("applied", 1, 1, 0)]


def test_a_writer_in_the_middle_is_waited_for_and_not_missed(shop: Database, tmp_path: Path) -> None:
    with psycopg.connect(shop.conninfo) as late:
        late.execute("SELECT pg_current_xact_id()")
        do(shop, tmp_path, CQRS)
        late.execute("INSERT INTO shop.people VALUES (3, 'Zoe')")
        assert do(shop, tmp_path, CQRS).steps == ()
    do(shop, tmp_path, CQRS)
    assert ask(shop, "SELECT count(*), max(seen) FROM overview.spent") == [(3, 1)]


def test_rows_that_no_handler_takes_begin_nothing(shop: Database, tmp_path: Path) -> None:
    text = CQRS.replace("name text, seen int", "name text CHECK (name <> 'Bob'), seen int")
    with pytest.raises(UsageProblem, match=r"overview cannot be begun: .*spent_name_check"):
        do(shop, tmp_path, text)
    assert ask(shop, "SELECT to_regnamespace('overview')") == [(None,)]
    assert counted(do(shop, tmp_path, CQRS)) == [("filled", 4, 4, 0)]


def test_two_pipelines_share_an_outbox_only_by_the_same_names(shop: Database, tmp_path: Path) -> None:
    """Changes of another table under the same name would be read as rows of this one."""
    first = "outbox: told\n" + CQRS
    do(shop, tmp_path, first)
    ask(shop, "CREATE TABLE shop.visitors (id int PRIMARY KEY, name text)")
    second = first.replace("name: overview", "name: other")

    def other(text: str) -> Ran:
        return run_spec(replace(spec_of(tmp_path, text), name="q"), Place(shop.conninfo, tmp_path))

    for text in (second.replace("shop.people", "shop.visitors"), second.replace("people", "visitors", 1)):
        with pytest.raises(UsageProblem, match=r"the outbox in told has another table or name"):
            other(text.replace("people.", "visitors.") if "name: visitors" in text else text)
    ask(shop, "INSERT INTO shop.people VALUES (7, 'Zoe')")
    assert counted(do(shop, tmp_path, first)) == [("applied", 1, 1, 0)]
    other(second)
    ask(shop, "INSERT INTO shop.people VALUES (8, 'Kim')")
    do(shop, tmp_path, first)
    other(second)
    spent = [ask(shop, f"SELECT * FROM {name}.spent ORDER BY 1") for name in ("overview", "other")]
    assert spent[0] == spent[1]
    assert [name for _, name, _ in spent[0]] == ["Ada", "Bob", "Zoe", "Kim"]


def test_partitions_have_the_triggers_of_their_table(shop: Database, tmp_path: Path) -> None:
    ask(
        shop,
        "DROP TABLE shop.people; CREATE TABLE shop.people (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);"
        "CREATE TABLE shop.people_1 PARTITION OF shop.people FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE shop.people_2 PARTITION OF shop.people FOR VALUES FROM (100) TO (200)",
    )
    do(shop, tmp_path, CQRS)
    ask(shop, "INSERT INTO shop.people VALUES (1, 'Ada'), (101, 'Bob')")
    assert counted(do(shop, tmp_path, CQRS)) == [("applied", 2, 2, 0)]
    assert do(shop, tmp_path, CQRS).steps == ()
    assert ask(shop, "SELECT name FROM overview.spent ORDER BY 1") == [("Ada",), ("Bob",)]


def test_a_table_that_the_spec_left_tells_nothing_any_more(shop: Database, tmp_path: Path) -> None:
    do(shop, tmp_path, CQRS)
    ask(shop, "CREATE TABLE shop.visitors (id int PRIMARY KEY, name text)")
    ask(shop, "INSERT INTO shop.visitors VALUES (1, 'Vic')")
    moved = CQRS.replace("shop.people", "shop.visitors")
    do(shop, tmp_path, moved)
    ask(shop, "INSERT INTO shop.people VALUES (9, 'Ann'); INSERT INTO shop.visitors VALUES (2, 'Wim')")
    do(shop, tmp_path, moved)
    assert ask(shop, "SELECT name FROM overview.spent ORDER BY person") == [("Vic",), ("Wim",)]


def test_a_key_must_be_one(shop: Database, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"shop\.people has no unique index on name"):
        do(shop, tmp_path, CQRS.replace("table: shop.people, key: [id]", "table: shop.people, key: [name]"))


@pytest.mark.parametrize(
    ("text", "was", "now", "told"),
    [
        (EVENTS, "      Paid: UPDATE", "      Payed: UPDATE", "there is no event `Payed`"),
        (EVENTS, "INSERT INTO account VALUES", "SELECT", "another statement"),
        (EVENTS, "CREATE TABLE account", "DROP TABLE account; CREATE TABLE x", "another statement"),
        (EVENTS, "owner: text", "owner: nonsense type", "nonsense type"),
        (CQRS, "orders.delete:", "orders.update:", "`orders.update` has two handlers"),
        (CQRS, "table: shop.people, key: [id]", "table: shop.people", "tells rows by a key"),
        (CQRS, "dsn: target, table: shop.people", "dsn: 'env:X', table: shop.people", "of the store itself"),
        (CQRS, "people.upsert", "person.upsert", "there is no event `person.upsert`"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, was: str, now: str, told: str) -> None:
    assert was in text
    with pytest.raises(SpecProblem) as raised:
        spec_of(tmp_path, text.replace(was, now))
    assert told in str(raised.value)
    assert "spec.yaml:" in str(raised.value)
