"""Partitions that come, leave and get other bounds: catalog, rows, and that no row is looked at under a lock."""

from __future__ import annotations

import psycopg
import pytest

from data_platform.migration.plan import partitions
from data_platform.migration.plan.hints import Hints
from data_platform.postgres.server import Server
from migration.plan.ground import ground
from migration.plan.locks import read_under_a_lock

PARENT = """
CREATE TABLE kinds (id int PRIMARY KEY);
CREATE TABLE log (id bigint NOT NULL, day date NOT NULL, kind int NOT NULL REFERENCES kinds,
                  note text CHECK (note <> ''),
                  PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE INDEX log_note ON log (note);
CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
"""
MORE = "CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');"
REST = "CREATE TABLE log_rest PARTITION OF log DEFAULT;"
ALONE = """
CREATE TABLE log_2 (id bigint NOT NULL, day date NOT NULL, kind int NOT NULL, note text CHECK (note <> ''));
"""
WIDER = PARENT.replace("TO ('2025-01-01')", "TO ('2027-01-01')")
ROWS = """
INSERT INTO kinds SELECT generate_series(1, 3);
INSERT INTO log SELECT n, date '2024-01-01' + n % 300, 1 + n % 3, 'n' || n FROM generate_series(1, 3000) AS n;
"""
ALONE_ROWS = """
INSERT INTO log_2 SELECT n, date '2025-01-01' + n % 300, 1 + n % 3, 'n' || n FROM generate_series(1, 3000) AS n;
"""
LOSE = Hints(lost=frozenset({"*"}))
LISTS = """
CREATE TABLE log (id bigint NOT NULL, kind text) PARTITION BY LIST (kind);
CREATE TABLE log_a PARTITION OF log FOR VALUES IN ('a', NULL);
CREATE TABLE log_b PARTITION OF log FOR VALUES IN ('b');
"""
HASHES = """
CREATE TABLE log (id bigint NOT NULL, kind text) PARTITION BY HASH (id);
CREATE TABLE log_0 PARTITION OF log FOR VALUES WITH (MODULUS 2, REMAINDER 0);
"""
HASH_ALONE = "CREATE TABLE log_1 (id bigint NOT NULL, kind text);"
HASH_MORE = "CREATE TABLE log_1 PARTITION OF log FOR VALUES WITH (MODULUS 2, REMAINDER 1);"

CASES = {
    "a new one": (PARENT, PARENT + MORE, ROWS),
    "a new one beside DEFAULT": (PARENT + REST, PARENT + REST + MORE, ROWS),
    "a new DEFAULT": (PARENT, PARENT + REST, ROWS),
    "one and DEFAULT": (PARENT, PARENT + REST + MORE, ROWS),
    "a table joins": (PARENT + ALONE, PARENT + MORE, ROWS + ALONE_ROWS),
    "a table joins beside DEFAULT": (PARENT + REST + ALONE, PARENT + REST + MORE, ROWS + ALONE_ROWS),
    "one is gone": (PARENT + MORE, PARENT, ROWS),
    "one is gone beside DEFAULT": (PARENT + MORE + REST, PARENT + REST, ROWS),
    "a wider bound": (PARENT, WIDER, ROWS),
    "a bound gives way to a new one": (WIDER, PARENT + MORE, ROWS),
    "two become one": (PARENT + MORE, WIDER, ROWS),
    "lists": (
        LISTS,
        LISTS.replace("IN ('b')", "IN ('b', 'c')"),
        "INSERT INTO log VALUES (1, 'b'), (2, NULL);",
    ),
    "a hash joins": (HASHES + HASH_ALONE, HASHES + HASH_MORE, ""),
}


@pytest.mark.parametrize(("before", "after", "rows"), CASES.values(), ids=CASES.keys())
def test_there_and_back(server: Server, before: str, after: str, rows: str) -> None:
    with ground(server, before, after, partitions.steps, rows=rows, hints=LOSE) as here:
        assert not here.refused
        looked_at = read_under_a_lock(here)
        assert here.left.equal, here.left
        assert looked_at == []
        here.down()
        assert here.taken_back.equal, here.taken_back


def test_rows_outside_the_bound_are_told_before_anything_changes(server: Server) -> None:
    rows = ROWS + "INSERT INTO log VALUES (1, '2025-06-01', 1, 'x');"
    with ground(server, WIDER, PARENT, partitions.steps, rows=rows) as here:
        with pytest.raises(psycopg.errors.CheckViolation):
            here.up()
        assert len(here.rows("SELECT FROM log")) == 3001


def test_a_partition_is_not_lost_unasked(server: Server) -> None:
    with ground(server, PARENT + MORE, PARENT, partitions.steps, rows=ROWS) as here:
        assert [(one.what, one.fix) for one in here.refused] == [
            ("partition log_2", "--allow-data-loss log_2, or keep it as a table of its own")
        ]
        assert not here.steps


def test_a_partition_becomes_a_table_of_its_own(server: Server) -> None:
    with ground(server, PARENT + MORE, PARENT + ALONE, partitions.steps, rows=ROWS) as here:
        here.up()
        assert here.rows("SELECT relispartition FROM pg_class WHERE relname = 'log_2'") == [(False,)]
        assert not [one for one in here.left.removed if "bound" in one]
        here.down()
        assert here.taken_back.equal, here.taken_back
