"""Runs of the pattern on a real source: what the target holds, and what stops a run."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.errors import EnvironmentProblem, Problem, UsageProblem
from data_platform.pipeline import capturing
from data_platform.pipeline.prove.following import LOGICAL
from data_platform.pipeline.replay import Replayed, Which, replay
from data_platform.pipeline.run import Ran
from data_platform.pipeline.status import status
from data_platform.pipeline.streams import Place
from data_platform.postgres.server import Database, embedded_server
from data_platform.spec.document import SpecProblem
from pipeline.capture.ends import SPEC, TABLES, Ends
from pipeline.running import ask, do, held, spec_of

CONFIRMED = "SELECT confirmed_flush_lsn::text FROM pg_replication_slots"
POSITION = "SELECT position ->> 'lsn' FROM dpe_pipeline.checkpoints WHERE step = '_dpe_stream'"


@pytest.fixture
def copied(ends: Ends) -> Ends:
    ends.source_does(TABLES)
    ends.run()
    ends.assert_same()
    return ends


def test_a_copy_and_then_what_changes(copied: Ends) -> None:
    copied.source_does(
        "UPDATE a SET n = 7 WHERE id = 1; UPDATE a SET id = 10, n = 8 WHERE id = 1; DELETE FROM b"
    )
    copied.source_does("INSERT INTO a VALUES (20, E'tab\\t, \\\\ and\\nline', 1), (21, '', 1), (22, NULL, 2)")
    copied.source_does("BEGIN; INSERT INTO b VALUES (9, '{}'); ROLLBACK")
    counts = copied.run().counts
    assert counts.read == counts.written + counts.unchanged + counts.quarantined == 10
    copied.assert_same()
    assert copied.run().steps == ()
    assert copied.source_does(CONFIRMED) == ask(copied.target, POSITION)


def checked(ends: Ends, action: str) -> Ran:
    """A run that is held against what the target is after each batch."""
    text = (
        SPEC.format(drift="freeze")
        + "checks:\n  - {on: dw.a, check: range, columns: [n], max: 100, action: %s}"
    )
    return do(
        ends.target, ends.folder, text % action, addresses=dict.fromkeys("ab", ends.source.admin_conninfo)
    )


def test_a_check_that_fails_takes_its_batch_back(copied: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capturing, "BATCH", 1)
    place = ask(copied.target, POSITION)
    copied.source_does("UPDATE a SET n = 5 WHERE id = 1")
    copied.source_does("UPDATE a SET n = 101 WHERE id = 2")
    copied.source_does("UPDATE a SET n = 6 WHERE id = 2")
    with pytest.raises(UsageProblem, match=r"does not hold: 1 of 3 rows .* nothing of this unit was kept"):
        checked(copied, "fail")
    assert ask(copied.target, "SELECT id, n FROM dw.a ORDER BY 1") == [
        (1, 5),
        (2, None),
        (3, Decimal("3.10")),
    ]
    assert ask(copied.target, POSITION) > place
    assert [len(step.told) for step in checked(copied, "warn").steps] == [1, 0]
    copied.assert_same()


def test_truncate_and_what_comes_behind_it_in_one_transaction(copied: Ends) -> None:
    copied.source_does(
        "BEGIN; INSERT INTO a VALUES (50, 'x', 1); TRUNCATE a, b; INSERT INTO a VALUES (1, 'y', 1); COMMIT"
    )
    copied.run()
    copied.assert_same()


def test_a_dry_run_leaves_all_as_it_was(ends: Ends) -> None:
    ends.source_does(TABLES)
    assert ends.run(dry_run=True).counts.inserted == 8
    assert ends.source_does("SELECT FROM pg_replication_slots UNION ALL SELECT FROM pg_publication") == []
    ends.run()
    ends.source_does("DELETE FROM a WHERE id = 1")
    before = ends.source_does(CONFIRMED)
    assert ends.run(dry_run=True).counts.deleted == 1
    assert ends.source_does(CONFIRMED) == before
    ends.run()
    ends.assert_same()


@pytest.mark.parametrize(
    "identity", ["REPLICA IDENTITY FULL", "REPLICA IDENTITY USING INDEX b_id_idx", "REPLICA IDENTITY DEFAULT"]
)
def test_every_identity_that_tells_rows(ends: Ends, identity: str) -> None:
    ends.source_does(
        TABLES + "CREATE UNIQUE INDEX b_id_idx ON b (id); ALTER TABLE b ALTER w SET STORAGE EXTERNAL"
    )
    ends.source_does(f"ALTER TABLE b {identity}; UPDATE b SET w = to_jsonb(repeat('z', 5000)) WHERE id = 2")
    ends.run()
    ends.source_does("UPDATE b SET id = id + 100; DELETE FROM b WHERE id = 105")
    ends.run()
    ends.assert_same()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ALTER TABLE b REPLICA IDENTITY NOTHING", "is NOTHING"),
        ("ALTER TABLE b DROP CONSTRAINT b_pkey", "no primary key"),
        (
            "ALTER TABLE b DROP CONSTRAINT b_pkey; ALTER TABLE b REPLICA IDENTITY FULL",
            "no unique index on id",
        ),
        (
            "ALTER TABLE b DROP CONSTRAINT b_pkey; ALTER TABLE b ADD PRIMARY KEY (id, w)",
            "the target's key is",
        ),
        ("ALTER TABLE b SET UNLOGGED", "not in the change stream"),
        ("SELECT pg_create_logical_replication_slot('p', 'pgoutput')", "not of this pipeline"),
        ("CREATE PUBLICATION p FOR TABLE a WITH (publish_via_partition_root = true)", "has not public.b"),
        ("CREATE PUBLICATION p FOR TABLE a, b", "tells partitions apart"),
    ],
)
def test_what_cannot_be_followed_is_refused_before_anything_is_made(
    ends: Ends, change: str, told: str
) -> None:
    ends.source_does(TABLES)
    ends.source_does(change)
    before = ends.source_does("SELECT slot_name FROM pg_replication_slots")
    with pytest.raises(UsageProblem, match=told):
        ends.run()
    assert ends.source_does("SELECT slot_name FROM pg_replication_slots") == before
    assert ask(ends.target, "SELECT to_regclass('dw.a')") == [(None,)]


def test_partitions_are_one_table(ends: Ends) -> None:
    ends.source_does(
        TABLES + "DROP TABLE b; CREATE TABLE b (id int PRIMARY KEY, w jsonb) PARTITION BY RANGE (id)"
    )
    ends.source_does("CREATE TABLE b1 PARTITION OF b FOR VALUES FROM (0) TO (10)")
    ends.source_does(
        "CREATE TABLE b2 PARTITION OF b FOR VALUES FROM (10) TO (20); INSERT INTO b VALUES (1, '1')"
    )
    ends.run()
    ends.source_does("UPDATE b SET id = 11; INSERT INTO b VALUES (2, '{}')")
    ends.run()
    ends.assert_same()


def test_drift_stops_behind_what_came_before_it(copied: Ends) -> None:
    copied.source_does("INSERT INTO a VALUES (4, 'before', 1)")
    copied.source_does("ALTER TABLE a ADD COLUMN extra int; INSERT INTO a VALUES (5, 'behind', 1, 2)")
    for _ in range(2):
        with pytest.raises(UsageProblem, match="it has extra now"):
            copied.run()
        assert ask(copied.target, "SELECT max(id) FROM dw.a") == [(4,)]
    copied.run(drift="evolve")
    assert ask(copied.target, "SELECT extra FROM dw.a WHERE id = 5") == [(2,)]
    copied.source_does("INSERT INTO a VALUES (6, 'c', 1, 3)")
    copied.run()
    copied.assert_same()


def test_columns_nobody_wants_are_left_out(copied: Ends) -> None:
    copied.source_does(
        "BEGIN; ALTER TABLE a ADD COLUMN extra int; INSERT INTO a VALUES (5, 'e', 1, 2); COMMIT"
    )
    copied.run(drift="ignore")
    theirs, ours = copied.both("a", "id, v, n")
    assert theirs == ours


def test_a_row_that_the_target_refuses_is_in_quarantine(copied: Ends) -> None:
    ask(copied.target, "ALTER TABLE dw.a ADD CHECK (n < 100)")
    copied.source_does(
        "UPDATE a SET n = 1000 WHERE id = 1; DELETE FROM a WHERE id = 2; INSERT INTO a VALUES (7, '', 1)"
    )
    counts = copied.run().counts
    assert (counts.read, counts.inserted, counts.quarantined, counts.deleted) == (3, 1, 1, 1)
    assert ask(copied.target, "SELECT n FROM dw.a WHERE id = 1") == [(1,)]
    assert held(copied.target)[0][1] == ["violates a_n_check"]


def again(ends: Ends, **how: Any) -> Replayed:
    """Quarantine tried again."""
    addresses = dict.fromkeys("ab", ends.source.admin_conninfo)
    place = Place(ends.target.conninfo, ends.folder, addresses=addresses)
    spec = spec_of(ends.folder, SPEC.format(drift="freeze"))
    return replay(
        spec, place, Which(**{k: v for k, v in how.items() if k != "dry_run"}), dry_run="dry_run" in how
    )


def test_rows_in_quarantine_are_read_again_as_the_source_has_them(copied: Ends) -> None:
    ask(copied.target, "ALTER TABLE dw.a ADD CONSTRAINT small CHECK (n < 100)")
    copied.source_does(
        "UPDATE a SET n = 200 WHERE id = 1; INSERT INTO a VALUES (7, 'new', 300), (8, 'x', 400)"
    )
    copied.source_does("INSERT INTO a VALUES (9, 'y', 500)")
    copied.run()
    assert ask(copied.target, "SELECT count(*) FROM dpe_pipeline.quarantine") == [(4,)]
    # What is newer than the quarantine, and not streamed yet: a value, a deletion, and one that is refused still.
    copied.source_does(
        "UPDATE a SET n = 50 WHERE id = 7; DELETE FROM a WHERE id = 8; UPDATE a SET v = 'z' WHERE id = 2"
    )
    ask(copied.target, "ALTER TABLE dw.a DROP CONSTRAINT small, ADD CONSTRAINT small CHECK (n < 450)")
    before = ask(copied.target, "SELECT * FROM dw.a ORDER BY id")
    assert again(copied, dry_run=True).ran.counts.quarantined == 1
    assert ask(copied.target, "SELECT * FROM dw.a ORDER BY id") == before
    done = again(copied)
    counts = done.ran.counts
    assert counts.read == counts.written + counts.unchanged + counts.quarantined
    assert (done.before, done.after, done.orphans) == (4, 1, 0)
    assert ask(copied.target, "SELECT id, n FROM dw.a WHERE id <> 3 ORDER BY 1") == [
        (1, 200),
        (2, None),
        (7, 50),
    ]
    ask(copied.target, "ALTER TABLE dw.a DROP CONSTRAINT small")
    assert again(copied, source="b").after == 1
    assert again(copied, source="a").after == 0
    copied.assert_same()
    assert again(copied).ran.steps == ()
    copied.source_does("UPDATE a SET n = 1 WHERE id = 9")
    copied.run()
    copied.assert_same()
    assert copied.source_does("SELECT count(*) FROM pg_replication_slots") == [(1,)]
    with pytest.raises(UsageProblem, match="all of a source at once"):
        again(copied, limit=1)


def test_a_lost_slot_is_told_and_copied_anew(copied: Ends) -> None:
    copied.source_does(
        "SELECT pg_drop_replication_slot('p'); DELETE FROM a WHERE id = 1; INSERT INTO b VALUES (77, '1')"
    )
    with pytest.raises(EnvironmentProblem, match="the slot p is gone") as told:
        copied.run()
    assert "--resnapshot" in str(told.value)
    assert copied.run(resnapshot=True).counts.deleted == 1
    copied.assert_same()
    copied.source_does("INSERT INTO b VALUES (78, '1')")
    copied.run()
    copied.assert_same()


def test_a_target_that_is_older_than_the_slot_is_told(copied: Ends) -> None:
    old = ask(copied.target, "SELECT position FROM dpe_pipeline.checkpoints WHERE step = '_dpe_stream'")[0][0]
    copied.source_does("INSERT INTO b VALUES (77, '1')")
    copied.run()
    lsn = old["lsn"]
    ask(
        copied.target,
        f"UPDATE dpe_pipeline.checkpoints SET position = jsonb_set(position, '{{lsn}}', '\"{lsn}\"')",
    )
    with pytest.raises(EnvironmentProblem, match="was read by another, or the target is older"):
        copied.run()


@pytest.mark.parametrize(
    ("altered", "restored"),
    [
        ("SET (publish = 'insert')", "SET (publish = 'insert, update, delete, truncate')"),
        ("SET TABLE a WHERE (id < 3), b", "SET TABLE a, b"),
        ("DROP TABLE a", "ADD TABLE a"),
    ],
)
def test_what_a_publication_left_out_is_not_taken_for_nothing(
    copied: Ends, altered: str, restored: str
) -> None:
    """Also where it was put back before the next run: the stream does not have what it missed."""
    copied.source_does(f"ALTER PUBLICATION p {altered}")
    copied.source_does("INSERT INTO a VALUES (7, 'x', 7)")
    copied.source_does("DELETE FROM a WHERE id = 7")
    with pytest.raises(UsageProblem, match="the publication p"):
        copied.run()
    copied.source_does(f"ALTER PUBLICATION p {restored}")
    with pytest.raises(EnvironmentProblem, match=r"was altered since the copy(.|\n)*--resnapshot"):
        copied.run()
    copied.run(resnapshot=True)
    copied.source_does("INSERT INTO a VALUES (7, 'x', 7)")
    copied.run()
    copied.assert_same()


def test_a_first_copy_deletes_no_rows_that_are_not_its_own(ends: Ends) -> None:
    ends.source_does(TABLES)
    ask(ends.target, "CREATE SCHEMA dw; CREATE TABLE dw.a (id int PRIMARY KEY, v text, n numeric)")
    ask(ends.target, "INSERT INTO dw.a VALUES (77, 'mine', 1)")
    with pytest.raises(UsageProblem, match=r"dw\.a has rows already(.|\n)*--resnapshot"):
        ends.run()
    assert ask(ends.target, "SELECT id FROM dw.a") == [(77,)]
    assert ends.source_does("SELECT count(*) FROM pg_replication_slots") == [(0,)]
    ends.run(resnapshot=True)
    ends.assert_same()


@pytest.mark.parametrize("loss", ["DROP TABLE dw.a", "TRUNCATE dw.a"])
def test_a_copy_that_was_emptied_is_told_and_copied_anew(copied: Ends, loss: str) -> None:
    ask(copied.target, loss)
    spec = spec_of(copied.folder, SPEC.format(drift="freeze"))
    found = status(spec, copied.target.conninfo, dict.fromkeys("ab", copied.source.admin_conninfo))
    assert {one.rule for one in found.findings} & {"target-gone", "target-emptied"}
    copied.source_does("INSERT INTO a VALUES (901)")  # what is new hides nothing
    with pytest.raises(UsageProblem, match=r"is not there|is empty, and") as raised:
        copied.run()
    assert "--resnapshot" in str(raised.value)
    copied.run(resnapshot=True)
    copied.assert_same()


def test_a_table_that_its_source_empties_and_fills_again_is_well(copied: Ends) -> None:
    for number in range(910, 913):
        copied.source_does(f"DELETE FROM a; INSERT INTO a VALUES ({number})")
        copied.run()
        copied.assert_same()
        copied.source_does("DELETE FROM a")
        copied.run()
        copied.run()
        copied.assert_same()


def test_a_copy_that_was_killed_starts_anew(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    ends.source_does(TABLES)

    def dies(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        # As if the process were gone: what a block does at its end is not done.
        patched.setattr(capturing.slots, "_take_away", lambda *_: None)
        patched.setattr(capturing, "_copied", dies)
        with pytest.raises(SystemExit):
            ends.run()
    assert ends.source_does("SELECT slot_name::text FROM pg_replication_slots") == [("p",)]
    ends.run()
    ends.assert_same()


def test_batches_are_whole_transactions(copied: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capturing, "BATCH", 5)
    for first in range(100, 130, 10):
        copied.source_does(f"INSERT INTO a SELECT g FROM generate_series({first}, {first} + 6) g")
    assert [step.counts.inserted for step in copied.run().steps] == [7, 7, 7]
    copied.assert_same()


def test_a_transaction_that_is_longer_than_a_batch_is_one_all_the_same(
    copied: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capturing, "BATCH", 5)
    copied.source_does("INSERT INTO a VALUES (4, 'before', 1)")
    place = "INSERT INTO a SELECT g FROM generate_series(100, 120) g; ALTER TABLE a ADD COLUMN extra int"
    copied.source_does(f"BEGIN; {place}; INSERT INTO a VALUES (5, 'behind', 1, 2); COMMIT")
    with pytest.raises(UsageProblem, match="it has extra now"):
        copied.run()
    assert ask(copied.target, "SELECT max(id) FROM dw.a") == [(4,)], "all of it or nothing"
    ran = copied.run(drift="evolve")
    assert [(step.counts.read, step.counts.inserted) for step in ran.steps] == [(22, 22)]
    copied.assert_same()
    copied.source_does("BEGIN; UPDATE a SET n = id; DELETE FROM a WHERE id > 110; TRUNCATE b; COMMIT")
    assert {step.target: step.counts.deleted for step in copied.run().steps}["dw.a"] == 10
    copied.assert_same()


HISTORIES = st.lists(
    st.lists(
        st.sampled_from(
            [
                "INSERT INTO {t} (id) SELECT coalesce(max(id), 0) + 1 FROM {t}",
                "INSERT INTO a VALUES ({k}, repeat('long', 2000), {k}) ON CONFLICT (id) DO UPDATE SET v = excluded.v",
                "UPDATE a SET n = n + 1 WHERE id <= {k}",
                "UPDATE {t} SET id = id + 1000 WHERE id = {k}",
                "UPDATE {t} SET id = id - 1000 WHERE id > 1000",
                "DELETE FROM {t} WHERE id = {k}",
                "TRUNCATE {t}",
                "SAVEPOINT s; DELETE FROM {t}; ROLLBACK TO s",
            ]
        ).flatmap(
            lambda text: (
                st.builds(text.format, t=st.sampled_from(["a", "b"]), k=st.integers(1, 4))
                if "{" in text
                else st.just(text)
            )
        ),
        min_size=1,
        max_size=6,
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=16, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HISTORIES, st.sampled_from([1, 3, 50_000]))
def test_any_history_leads_to_what_the_source_holds(
    copied: Ends, monkeypatch: pytest.MonkeyPatch, history: list[list[str]], batch: int
) -> None:
    monkeypatch.setattr(capturing, "BATCH", batch)
    for one in history:
        # Two rows of one key: such a transaction does not happen.
        with suppress(psycopg.errors.UniqueViolation):
            copied.source_does("BEGIN; " + "; ".join(one) + "; COMMIT")
    copied.run()
    copied.assert_same()


def test_status_tells_of_the_slot(copied: Ends) -> None:
    spec = spec_of(copied.folder, SPEC.format(drift="freeze"))
    addresses = {"a": copied.source.admin_conninfo}
    found = status(spec, copied.target.conninfo, addresses)
    assert found.slot is not None
    assert found.slot.wal_status == "reserved"
    assert {one.rule for one in found.findings} == {"slot-unbounded"}
    copied.source_does("SELECT pg_drop_replication_slot('p')")
    assert {one.rule for one in status(spec, copied.target.conninfo, addresses).findings} == {"slot-lost"}


def test_a_slot_that_fell_too_far_behind_is_lost_and_told(tmp_path: Path) -> None:
    bound = {**LOGICAL, "max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    with (
        embedded_server(settings=bound) as server,
        server.scratch_database() as one,
        server.scratch_database() as two,
    ):
        ends = Ends(one, two, tmp_path)
        ends.source_does(TABLES)
        ends.run()
        ends.source_does("UPDATE b SET w = '7' WHERE id = 1")
        for _ in range(4):
            ends.source_does("SELECT pg_switch_wal()")
            ends.source_does("UPDATE b SET w = '8' WHERE id = 1")
        ends.source_does("CHECKPOINT")
        with pytest.raises(EnvironmentProblem, match="is lost"):
            ends.run()
        found = status(
            spec_of(ends.folder, SPEC.format(drift="freeze")), two.conninfo, {"a": one.admin_conninfo}
        )
        assert {"slot-lost"} <= {finding.rule for finding in found.findings}
        ends.run(resnapshot=True)
        ends.assert_same()
        ends.source_does("SELECT pg_drop_replication_slot('p')")


def test_a_server_that_does_not_write_it_is_told(database: Database, tmp_path: Path) -> None:

    ask(database, "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    with pytest.raises(EnvironmentProblem, match="wal_level is minimal"):
        Ends(database, database, tmp_path).run()


def test_a_role_without_the_right_is_told(ends: Ends) -> None:
    ends.source_does(TABLES)
    addresses = dict.fromkeys("ab", ends.source.conninfo)
    with pytest.raises(EnvironmentProblem, match="may not read the change stream") as told:
        do(ends.target, ends.folder, SPEC.format(drift="freeze"), addresses=addresses)
    assert "REPLICATION" in str(told.value)


def test_no_slot_left_is_told_and_nothing_stays_half_made(ends: Ends) -> None:
    ends.source_does(TABLES)
    for name in ("x", "y", "z"):
        ends.source_does(f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")
    with pytest.raises(EnvironmentProblem, match="no slot left"):
        ends.run()
    ends.source_does("SELECT pg_drop_replication_slot('x')")
    ends.run()
    ends.assert_same()


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("pattern: cdc", "pattern: cdc\ntransforms: [{name: t, sql: SELECT 1}]", "keeps the source's tables"),
        ("table: public.a", "table: public.a, slot: other", "their `slot` differ"),
        ("table: public.a", "table: public.a, cursor: {column: id}", "has its own order"),
        ("key: [id]}]", "key: [id], version: id}]", "is in order"),
        ("drift: freeze", "drift: quarantine", ""),
    ],
)
def test_what_a_stream_has_no_use_for_is_refused(ends: Ends, was: str, becomes: str, told: str) -> None:
    with pytest.raises(SpecProblem) as problem:
        spec_of(ends.folder, SPEC.format(drift="freeze").replace(was, becomes))
    assert any(told in one.message for one in problem.value.findings)


def test_resnapshot_is_of_cdc(ends: Ends) -> None:
    with pytest.raises(Problem, match="is for the pattern cdc"):
        do(
            ends.target,
            ends.folder,
            "pattern: snapshot\nsources: [{name: a, path: x.csv, columns: {id: int}}]\ntargets: [{table: dw.a}]\n",
            resnapshot=True,
        )
