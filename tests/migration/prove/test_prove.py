"""Whole proofs: what a migration does to live clients, to rows, and to whoever runs it again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data_platform.errors import UsageProblem
from data_platform.migration.prove.answer import findings, result
from data_platform.migration.prove.options import Options
from data_platform.migration.prove.result import Proof
from data_platform.postgres.server import Server
from migration.prove.grounds import FEW, SHOP, proven

NO_CLIENTS = replace(FEW, clients=False)
KILLED = replace(NO_CLIENTS, kills=True)


def rules(proof: Proof, severity: str = "error") -> set[str]:
    return {finding.rule for finding in findings(proof, FEW) if finding.severity == severity}


# --- clients ---


def test_a_safe_migration_is_proven_under_readers_and_writers(server: Server) -> None:
    proof = proven(
        server,
        "ALTER TABLE orders ADD COLUMN tag text; CREATE INDEX CONCURRENTLY i ON orders (amount)",
        down="DROP INDEX i; ALTER TABLE orders DROP COLUMN tag",
        options=replace(FEW, kills=True),
    )
    assert (proof.verdict, proof.reasons) == ("proven", ())
    assert proof.clients == 2
    assert proof.untried == ()
    assert all(one.max_read_stall_s is not None for one in proof.statements)
    assert proof.round_trip.reversible is True
    answer = result(proof)
    assert (answer["reversible"], answer["data_lost"], answer["estimate"]) == (True, [], [])


@pytest.mark.parametrize(
    ("up", "sqlstate", "roles"),
    [
        ("ALTER TABLE orders DROP COLUMN note", "42703", {"reader", "writer"}),
        ("ALTER TABLE orders RENAME COLUMN note TO remark", "42703", {"reader", "writer"}),
        ("ALTER TABLE orders RENAME TO purchases", "42P01", {"reader", "writer"}),
        ("ALTER TABLE orders ADD tenant integer NOT NULL DEFAULT 1; ALTER TABLE orders ALTER tenant DROP DEFAULT",
         "23502", {"writer"}),
    ],
)  # fmt: skip
def test_clients_that_name_what_is_gone_break(
    server: Server, up: str, sqlstate: str, roles: set[str]
) -> None:
    proof = proven(server, up)
    broken = {(error.client, error.sqlstate) for error in proof.client_errors if error.effect == "broken"}
    assert broken == {(role, sqlstate) for role in roles}
    assert proof.verdict == "failed"
    assert "breaks-clients" in rules(proof)
    assert {e.statement for e in proof.client_errors if e.effect == "broken"} == {len(proof.statements)}


def test_a_rename_behind_a_view_breaks_nobody(server: Server) -> None:
    up = (
        "BEGIN; ALTER TABLE orders RENAME TO purchases; CREATE VIEW orders AS SELECT * FROM purchases; COMMIT"
    )
    proof = proven(server, up)
    assert [error for error in proof.client_errors if error.effect == "broken"] == []
    assert proof.verdict == "proven"


def test_a_type_of_more_room_makes_prepared_statements_anew_and_breaks_nothing(server: Server) -> None:
    proof = proven(server, "ALTER TABLE orders ALTER status TYPE varchar(40)")
    assert {error.effect for error in proof.client_errors} <= {"planned again"}
    assert proof.verdict == "proven"


def test_clients_wait_as_long_as_a_lock_is_held(server: Server) -> None:
    up = "BEGIN; ALTER TABLE orders ADD COLUMN x integer; SELECT pg_sleep(0.4); COMMIT"
    proof = proven(server, up)
    asleep = proof.statements[2]
    assert asleep.max_read_stall_s is not None
    assert 0.3 < asleep.max_read_stall_s < 2.0
    assert 0.3 < asleep.blocked_s < 2.0
    assert asleep.blocked_on == "public.orders"
    assert proof.verdict == "failed"
    assert "stalls-clients" in rules(proof)
    held = [s for s in proof.spans if s.mode == "ACCESS EXCLUSIVE" and s.relation == "public.orders"]
    assert held
    assert held[0].end - held[0].start > 0.4


def test_a_wait_behind_a_long_reader_ends_with_lock_timeout_and_is_tried_again(server: Server) -> None:
    up = "SET lock_timeout = '40ms'; ALTER TABLE orders ADD COLUMN x integer"
    proof = proven(server, up, options=replace(FEW, long_reader_s=0.7))
    assert proof.statements[1].error is None
    assert proof.statements[1].attempts > 1
    assert proof.verdict == "proven"


def test_without_lock_timeout_everybody_waits_behind_the_long_reader(server: Server) -> None:
    proof = proven(server, "ALTER TABLE orders ADD COLUMN x integer", options=replace(FEW, long_reader_s=0.5))
    (one,) = proof.statements
    assert one.waited_s > 0.2
    assert one.blocked_s > 0.2
    assert proof.verdict == "failed"


def test_work_under_a_lock_fails_however_few_the_rows_unless_production_has_as_few(server: Server) -> None:
    up = "ALTER TABLE orders ALTER amount TYPE bigint"
    grows = proven(server, up, options=NO_CLIENTS)
    assert grows.verdict == "failed"
    assert "blocks-while-it-works" in rules(grows)
    small = proven(server, up, options=replace(NO_CLIENTS, rows={"orders": 200}))
    assert small.verdict == "proven"


def test_a_long_change_behind_an_exclusive_lock_is_told(server: Server) -> None:
    up = "ALTER TABLE orders ADD COLUMN x integer; UPDATE orders SET x = 1"
    assert proven(server, up, options=NO_CLIENTS).verdict == "proven"
    together = proven(server, up, options=NO_CLIENTS, transaction="wrapped")
    assert together.verdict == "failed"
    assert together.statements[1].rows_changed == 300


# --- rows ---


def test_a_column_that_wants_a_value_fails_on_any_row(server: Server) -> None:
    proof = proven(server, "ALTER TABLE orders ADD COLUMN tenant integer NOT NULL", options=NO_CLIENTS)
    (one,) = proof.statements
    assert one.error is not None
    assert (one.error.sqlstate, one.depends_on_rows) == ("23502", None)
    assert proof.verdict == "failed"


@pytest.mark.parametrize(
    ("up", "sqlstate"),
    [
        ("ALTER TABLE orders ALTER note SET NOT NULL", "23502"),
        ("ALTER TABLE orders ADD UNIQUE (amount, note)", ""),
        ("ALTER TABLE orders ADD CHECK (amount > 500)", "23514"),
        ("ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers", "23503"),
        ("ALTER TABLE orders ALTER note TYPE integer USING note::integer", "22P02"),
    ],
)
def test_what_depends_on_the_rows_is_run_on_rows_that_allow_it(
    server: Server, up: str, sqlstate: str
) -> None:
    (one,) = proven(server, up, options=NO_CLIENTS).statements
    assert one.error is None
    assert (one.depends_on_rows.sqlstate if one.depends_on_rows else "") == sqlstate


def test_what_is_lost_is_named_and_may_be_allowed(server: Server) -> None:
    up = "ALTER TABLE orders DROP COLUMN note"
    untold = proven(server, up, options=NO_CLIENTS)
    assert (untold.verdict, result(untold)["data_lost"]) == ("failed", ["public.orders.note"])
    told = proven(server, up, options=replace(FEW, allow_data_loss=frozenset({"orders.note"})))
    assert (told.verdict, result(told)["data_lost"]) == ("proven", ["public.orders.note"])
    assert told.client_errors == ()  # whoever lets a column go does not name it any more


def test_down_that_does_not_restore_is_told(server: Server) -> None:
    up = "ALTER TABLE orders ALTER status DROP DEFAULT; UPDATE orders SET note = 'x'"
    down = "SELECT 1"
    trip = proven(server, up, down=down, options=NO_CLIENTS).round_trip
    assert trip.reversible is False
    assert trip.differences is not None
    assert [change.property for change in trip.differences.changed] == ["default"]
    assert [lost.object for lost in trip.lost] == ["public.orders.note"]


def test_down_that_fails_is_told_with_its_place(server: Server) -> None:
    proof = proven(
        server,
        "ALTER TABLE orders ADD COLUMN x integer",
        down="ALTER TABLE orders DROP y",
        options=NO_CLIENTS,
    )
    assert proof.round_trip.reversible is False
    assert proof.round_trip.error is not None
    assert "d.sql:1: 42703" in proof.round_trip.error


# --- kills ---


def test_a_statement_in_a_transaction_recovers(server: Server) -> None:
    up = "BEGIN; ALTER TABLE orders ADD COLUMN x integer; UPDATE orders SET x = 1; COMMIT; DROP INDEX orders_created_at"
    proof = proven(server, up, options=KILLED)
    assert [(kill.statement, kill.recovers) for kill in proof.kills] == [(2, True), (3, True), (5, True)]


def test_an_index_that_was_being_built_is_left_invalid(server: Server) -> None:
    plain = proven(server, "CREATE INDEX CONCURRENTLY i ON orders (amount)", options=KILLED)
    (kill,) = plain.kills
    assert (kill.recovers, kill.left_behind) == (False, ("invalid index public.i",))
    assert plain.verdict == "proven"
    assert "does-not-recover" in rules(plain, "warning")


def test_if_not_exists_passes_an_invalid_index_by(server: Server) -> None:
    proof = proven(server, "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON orders (amount)", options=KILLED)
    (kill,) = proof.kills
    assert (kill.recovers, kill.silent) == (False, True)


def test_an_index_without_a_name_is_made_twice(server: Server) -> None:
    (kill,) = proven(server, "CREATE INDEX CONCURRENTLY ON orders (amount)", options=KILLED).kills
    assert (kill.silent, kill.left_behind) == (True, ("invalid index public.orders_amount_idx",))


def test_dropping_the_leftover_first_recovers(server: Server) -> None:
    up = "DROP INDEX CONCURRENTLY IF EXISTS i; CREATE INDEX CONCURRENTLY i ON orders (amount)"
    proof = proven(server, up, options=KILLED)
    assert [kill.statement for kill in proof.kills if kill.recovers is False] == []
    (second,) = [kill for kill in proof.kills if kill.statement == 2]
    assert second.left_behind == ("invalid index public.i",)
    assert second.detail.startswith("its file run again from the start: goes through")


# --- what cannot be proven, and what is no migration ---


def test_an_extension_that_is_not_there_is_never_proven(server: Server) -> None:
    proof = proven(server, "CREATE EXTENSION postgis; ALTER TABLE orders ADD COLUMN x integer")
    assert proof.verdict == "not_provable: extension postgis"


def test_a_type_of_a_missing_extension_is_not_held_against_the_migration(server: Server) -> None:
    proof = proven(server, "CREATE EXTENSION postgis; ALTER TABLE orders ADD COLUMN place geometry")
    assert proof.verdict == "not_provable: extension postgis"


def test_extensions_that_are_there_are_made(server: Server) -> None:
    proof = proven(
        server, "CREATE EXTENSION citext; ALTER TABLE orders ADD COLUMN x citext", options=NO_CLIENTS
    )
    assert proof.verdict == "proven"


def test_an_extension_of_the_base_and_one_of_the_migration_may_be_dropped(server: Server) -> None:
    up = "BEGIN; DROP EXTENSION citext; COMMIT; CREATE EXTENSION pg_trgm;"
    proof = proven(
        server, up, base=f"{SHOP}CREATE EXTENSION citext;", down="BEGIN; DROP EXTENSION pg_trgm; COMMIT;"
    )
    assert [one.error for one in proof.statements if one.error] == []
    assert proof.round_trip.error is None


def test_rows_that_a_policy_hides_are_not_lost(server: Server) -> None:
    up = "ALTER TABLE orders ENABLE ROW LEVEL SECURITY; ALTER TABLE orders FORCE ROW LEVEL SECURITY;"
    assert proven(server, up).lost == ()


def test_roles_that_a_grant_names_are_made_up(server: Server) -> None:
    proof = proven(server, "GRANT SELECT ON orders TO some_reporting_role", options=NO_CLIENTS)
    assert proof.statements[0].error is None


def test_a_base_schema_that_does_not_load_is_the_users_to_mend(server: Server) -> None:
    with pytest.raises(UsageProblem, match=r"base\.sql:2"):
        proven(server, "SELECT 1", base="CREATE TABLE a (id bigint);\nCREATE TABLE b (id nothing);")


def test_partitions_are_filled_and_attached(server: Server) -> None:
    base = """
        CREATE TABLE events (id bigint, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
        CREATE TABLE events_2024 (id bigint NOT NULL, at date NOT NULL);
    """
    up = "ALTER TABLE events ATTACH PARTITION events_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')"
    (one,) = proven(server, up, base=base, options=NO_CLIENTS).statements
    assert one.error is None
    assert one.depends_on_rows is not None
    modes = {(lock.relation, lock.mode) for lock in one.locks}
    assert ("public.events", "SHARE UPDATE EXCLUSIVE") in modes
    assert ("public.events_2024", "ACCESS EXCLUSIVE") in modes


def test_the_same_migration_gives_the_same_facts(server: Server) -> None:
    up = "ALTER TABLE orders ALTER amount TYPE bigint; CREATE INDEX CONCURRENTLY i ON orders (note)"
    one, other = (proven(server, up, options=NO_CLIENTS) for _ in range(2))

    def facts(proof: Proof) -> list[object]:
        return [(s.rewrites, s.scans, {(x.relation, x.mode) for x in s.locks}) for s in proof.statements]

    assert facts(one) == facts(other)
    assert one.filled == other.filled


def test_materialized_views_have_readers_who_are_kept_out_by_a_refresh(server: Server) -> None:
    base = (
        SHOP
        + "CREATE MATERIALIZED VIEW totals AS SELECT status, sum(amount) AS s FROM orders GROUP BY status;"
    )
    proof = proven(
        server, "REFRESH MATERIALIZED VIEW totals", base=base, options=Options(default_rows=300, kills=False)
    )
    assert proof.clients == 3
    assert proof.statements[0].rewrites == ("public.totals",)
    assert proof.verdict == "failed"


def test_a_time_at_more_rows_is_an_estimate_with_its_interval(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_platform.migration.prove.options.MOST_RUN", 3000)
    monkeypatch.setattr("data_platform.migration.prove.prove.MOST_RUN", 3000)
    up = "BEGIN; LOCK TABLE orders; SELECT pg_sleep(count(*) / 10000.0) FROM orders; COMMIT"
    proof = proven(server, up, options=replace(FEW, rows={"orders": 30_000}))
    estimates = [one for one in proof.estimates if one.statement == 3]
    assert [(one.relation, one.rows, one.sizes) for one in estimates] == [
        ("public.orders", 30_000, (300, 900, 3000))
    ]
    (one,) = estimates
    assert one.low < 3.0 < one.high
    assert 2.0 < one.seconds < 4.5
    assert result(proof)["estimate"][0]["kind"] == "estimate"


RENAMED_BY_STAGES = """
ALTER TABLE orders ADD COLUMN remark text;
UPDATE orders SET remark = note;
ALTER TABLE orders DROP COLUMN note;
"""


def test_the_new_application_is_not_broken_by_what_it_does_not_name(server: Server) -> None:
    old = proven(server, RENAMED_BY_STAGES)
    assert {error.statement for error in old.client_errors if error.effect == "broken"} == {3}
    new = proven(server, RENAMED_BY_STAGES, options=replace(FEW, deploy_after=2))
    assert [error for error in new.client_errors if error.effect == "broken"] == []
    assert (new.verdict, new.lost) == ("proven", ())


def test_the_new_application_asks_nothing_that_will_not_be_there(server: Server) -> None:
    up = "ALTER TABLE orders ADD COLUMN x integer; ALTER TABLE orders RENAME TO purchases"
    assert proven(server, up, options=replace(FEW, deploy_after=1)).client_errors == ()
