"""Locks, rewrites and scans of single statements, as the server has them: the table of the manual, run."""

from __future__ import annotations

import pytest

from data_platform.postgres.server import Database
from migration.prove.grounds import SHOP, locks, seen

EXCLUSIVE, SHARE_ROW, SHARE_UPDATE = "ACCESS EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE"

CASES = [
    ("ALTER TABLE orders ADD COLUMN x integer", EXCLUSIVE, False, False),
    ("ALTER TABLE orders ADD COLUMN x integer NOT NULL DEFAULT 7", EXCLUSIVE, False, False),
    ("ALTER TABLE orders ADD COLUMN x timestamptz DEFAULT now()", EXCLUSIVE, False, False),
    ("ALTER TABLE orders ADD COLUMN x uuid DEFAULT gen_random_uuid()", EXCLUSIVE, True, False),
    ("ALTER TABLE orders ADD COLUMN x bigserial", EXCLUSIVE, True, False),
    ("ALTER TABLE orders ADD COLUMN x integer GENERATED ALWAYS AS (amount * 2) STORED", EXCLUSIVE, True, False),
    ("ALTER TABLE orders ALTER amount TYPE bigint", EXCLUSIVE, True, False),
    ("ALTER TABLE orders ALTER status TYPE varchar(40)", EXCLUSIVE, False, False),
    ("ALTER TABLE orders ALTER status TYPE text", EXCLUSIVE, False, False),
    ("ALTER TABLE orders ALTER note SET NOT NULL", EXCLUSIVE, False, True),
    ("ALTER TABLE orders ADD CHECK (amount > 0)", EXCLUSIVE, False, True),
    ("ALTER TABLE orders ADD CHECK (amount > 0) NOT VALID", EXCLUSIVE, False, False),
    ("ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers", SHARE_ROW, False, True),
    ("ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers NOT VALID", SHARE_ROW, False, False),
    ("ALTER TABLE orders ADD UNIQUE (amount)", EXCLUSIVE, False, True),
    ("CREATE INDEX i ON orders (amount)", "SHARE", False, True),
    ("CREATE INDEX CONCURRENTLY i ON orders (amount)", SHARE_UPDATE, False, True),
    ("REINDEX TABLE orders", "SHARE", False, True),
    ("VACUUM FULL orders", EXCLUSIVE, True, False),
    ("CLUSTER orders USING orders_created_at", EXCLUSIVE, True, False),
    ("UPDATE orders SET amount = amount + 1", "ROW EXCLUSIVE", False, False),
    ("ALTER TABLE orders RENAME COLUMN note TO remark", EXCLUSIVE, False, False),
    ("CREATE TRIGGER t AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
     SHARE_ROW, False, False),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "lock", "rewrites", "scans"), CASES, ids=[case[0][:60] for case in CASES])
def test_one_statement(database: Database, sql: str, lock: str, rewrites: bool, scans: bool) -> None:
    (one,) = seen(database, sql)
    assert one.error is None
    assert locks(one).get("orders") == lock
    assert one.rewrites == (("public.orders",) if rewrites else ())
    assert one.scans == (("public.orders",) if scans else ())


def test_a_foreign_key_locks_both_tables(database: Database) -> None:
    (one,) = seen(database, "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers")
    assert locks(one) == {"orders": SHARE_ROW, "customers": SHARE_ROW}


def test_validation_alone_takes_a_weak_lock_and_with_the_constraint_a_strong_one(database: Database) -> None:
    apart = "ALTER TABLE orders ADD CONSTRAINT c CHECK (amount > 0) NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT c"
    _, alone = seen(database, apart)
    assert (locks(alone)["orders"], alone.scans) == (SHARE_UPDATE, ("public.orders",))


def test_in_one_transaction_the_lock_of_an_earlier_statement_is_still_held(database: Database) -> None:
    both = "ALTER TABLE orders ADD CONSTRAINT c CHECK (amount > 0) NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT c"
    first, second = seen(database, both, transaction="wrapped")
    assert first.scans == ()
    assert (locks(second)["orders"], second.scans) == (EXCLUSIVE, ("public.orders",))
    held = next(lock for lock in second.locks if lock.mode == EXCLUSIVE)
    assert held.since == first.index


def test_tables_that_the_migration_makes_do_not_count(database: Database) -> None:
    made = (
        "CREATE TABLE fresh (id bigint PRIMARY KEY, n integer); INSERT INTO fresh VALUES (1, 1);"
        "ALTER TABLE fresh ALTER n TYPE bigint; CREATE INDEX ON fresh (n); ALTER TABLE fresh ADD CHECK (n > 0)"
    )
    for one in seen(database, made):
        assert (one.error, one.rewrites, one.scans) == (None, (), ())


def test_truncate_is_no_rewrite(database: Database) -> None:
    (one,) = seen(database, "TRUNCATE orders")
    assert (one.truncated, one.rewrites, one.scans) == (("public.orders",), (), ())


def test_a_valid_check_spares_the_scan(database: Database) -> None:
    steps = "ALTER TABLE orders ADD CONSTRAINT c CHECK (note IS NOT NULL); ALTER TABLE orders ALTER note SET NOT NULL"
    checked, proven = seen(database, steps)
    assert checked.scans == ("public.orders",)
    assert (proven.scans, proven.proven) == ((), ("orders.note",))


def test_concurrently_in_a_transaction_is_refused_as_the_tool_would_have_it(database: Database) -> None:
    (one,) = seen(database, "CREATE INDEX CONCURRENTLY i ON orders (amount)", transaction="wrapped")
    assert one.error is not None
    assert one.error.sqlstate == "25001"


def test_a_failed_statement_ends_its_transaction_and_not_the_run(database: Database) -> None:
    text = "BEGIN; ALTER TABLE orders ADD COLUMN x integer; SELECT 1 / 0; SELECT 2; COMMIT; SELECT 3"
    results = seen(database, text)
    assert [bool(one.error) for one in results] == [False, False, True, False, False, False]
    assert [one.skipped for one in results][3:] == ["not run: statement 3 failed"] * 2 + [None]


def test_the_place_of_an_error_is_that_in_the_file(database: Database) -> None:
    (_, one) = seen(database, "SELECT 1;\nUPDATE orders\n  SET nothing = 1")
    assert one.error is not None
    assert (one.error.sqlstate, one.error.line, one.error.column) == ("42703", 3, 7)


def test_a_block_that_commits_runs_outside_a_transaction(database: Database) -> None:
    text = (
        "DO $$ BEGIN UPDATE orders SET amount = 1 WHERE id < 50; COMMIT; UPDATE orders SET amount = 1; END $$"
    )
    (one,) = seen(database, text)
    assert one.error is None


def test_the_migration_cannot_silence_the_server(database: Database) -> None:
    _, one = seen(database, "SET client_min_messages = error; ALTER TABLE orders ALTER amount TYPE bigint")
    assert one.rewrites == ("public.orders",)


def test_nothing_of_a_file_runs_as_superuser(database: Database) -> None:
    (one,) = seen(database, "COPY orders TO PROGRAM 'true'")
    assert one.error or one.skipped


def test_files_of_the_server_are_out_of_reach(database: Database) -> None:
    (one,) = seen(database, "SELECT pg_read_file('/etc/passwd')")
    assert one.error is not None
    assert one.error.sqlstate == "42501"


def test_a_rewrite_is_told_of_the_statement_that_did_it(database: Database) -> None:
    steps = (
        "BEGIN; ALTER TABLE orders ADD COLUMN x integer; ALTER TABLE orders ALTER amount TYPE bigint;"
        "ALTER TABLE orders ALTER amount SET DEFAULT 3; COMMIT"
    )
    results = seen(database, steps)
    assert [one.rewrites for one in results] == [(), (), ("public.orders",), (), ()]
    assert results[4].locks == ()


def test_rows_that_a_migration_carries_are_loaded(database: Database) -> None:
    text = "COPY customers (email, name) FROM stdin;\na@b.c\tA\nd@e.f\t\\N\n\\.\nUPDATE customers SET name = 'x';"
    one, two = seen(database, text)
    assert (one.error, one.skipped, one.rows_changed) == (None, None, 2)
    assert two.rows_changed == 102


def test_rows_that_are_there_already_are_passed_over(database: Database) -> None:
    text = "COPY customers (email, name) FROM stdin;\nc1\tA\n\\.\nUPDATE customers SET name = 'x';"
    one, two = seen(database, text, transaction="wrapped")
    assert one.error is None
    assert "do not go with the synthetic ones" in (one.skipped or "")
    assert two.rows_changed == 100


def test_rows_that_are_none_are_refused(database: Database) -> None:
    (one,) = seen(database, "COPY orders (amount) FROM stdin;\nmany\n\\.\n")
    assert one.error is not None
    assert one.error.sqlstate == "22P02"


def test_a_file_of_the_server_is_not_loaded(database: Database) -> None:
    (one,) = seen(database, "COPY customers FROM '/etc/passwd'")
    assert one.skipped


PARTITIONS = """
CREATE TABLE log (id bigint, d date NOT NULL) PARTITION BY RANGE (d);
CREATE TABLE log_rest PARTITION OF log DEFAULT;
CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
"""
NEW = "CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')"


def test_a_new_partition_has_the_default_one_read(database: Database) -> None:
    (one,) = seen(database, NEW, base=SHOP + PARTITIONS)
    assert one.scans == ("public.log_rest",)


def test_unless_a_constraint_says_what_it_holds(database: Database) -> None:
    known = "ALTER TABLE log_rest ADD CHECK (d < '2020-01-01');"
    (one,) = seen(database, NEW, base=SHOP + PARTITIONS + known)
    assert one.scans == ()


def test_rows_read_behind_a_lock_are_counted(database: Database) -> None:
    view = "CREATE MATERIALIZED VIEW v AS SELECT id FROM customers; CREATE UNIQUE INDEX ON v (id);"
    steps = "ALTER TABLE orders ADD x integer; REFRESH MATERIALIZED VIEW CONCURRENTLY v; SELECT count(*) FROM customers"
    _, two, three = seen(database, steps, base=SHOP + view, transaction="wrapped")
    assert two.rows_read["public.customers"] == three.rows_read["public.customers"] == 100
