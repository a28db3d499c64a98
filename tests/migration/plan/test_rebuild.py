"""A table built again beside itself: catalog, rows, clients that go on, and the way back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from data_platform.migration.plan import rebuild
from data_platform.migration.plan.pair import Pair, tables_of_both
from data_platform.migration.plan.step import Refusal, Step
from data_platform.postgres.server import Server
from migration.plan.ground import ground
from migration.plan.writers import writing


def recipe(pair: Pair) -> Iterator[Step | Refusal]:
    for old, new in tables_of_both(pair):
        if rebuild.needs_rebuild(old, new):
            yield from rebuild.steps(pair, old, new)


PLAIN = """
CREATE TABLE customers (id bigint PRIMARY KEY);
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    customer_id bigint NOT NULL REFERENCES customers,
    created_at timestamptz NOT NULL DEFAULT now(),
    note text DEFAULT 'none' CHECK (note <> ''),
    size int GENERATED ALWAYS AS (length(note)) STORED,
    PRIMARY KEY (id, created_at)
);
CREATE INDEX ON events (customer_id);
COMMENT ON TABLE events IS 'what happened';
"""
SPLIT = """
CREATE TABLE customers (id bigint PRIMARY KEY);
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    customer_id bigint NOT NULL REFERENCES customers,
    created_at timestamptz NOT NULL DEFAULT now(),
    note text DEFAULT 'none' CHECK (note <> ''),
    size int GENERATED ALWAYS AS (length(note)) STORED,
    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE INDEX ON events (customer_id);
COMMENT ON TABLE events IS 'what happened';
"""
ROWS = """
INSERT INTO customers SELECT generate_series(1, 10);
INSERT INTO events (customer_id, created_at, note)
    SELECT 1 + n % 10, timestamptz '2024-03-01' + n * interval '1 hour', 'n' || n FROM generate_series(1, 12000) AS n;
"""

UNIQUE_ID = PLAIN.replace("PRIMARY KEY (id, created_at)", "PRIMARY KEY (id)")
WITHOUT_KEY = SPLIT.replace(",\n    PRIMARY KEY (id, created_at)", "")
ATTRIBUTES = "id, customer_id, created_at, note, size"

PAIRS = {
    "partitioned": (PLAIN, SPLIT),
    "partitioned by a column that joins the key": (UNIQUE_ID, SPLIT),
    "partitioned without a key": (UNIQUE_ID, WITHOUT_KEY),
    "no longer partitioned": (SPLIT, PLAIN),
    "partitioned otherwise, partitions of the same names": (
        SPLIT,
        SPLIT.replace("RANGE (created_at)", "HASH (id)")
        .replace(
            "FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')", "FOR VALUES WITH (MODULUS 2, REMAINDER 0)"
        )
        .replace(
            "FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')", "FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
        )
        .replace("CREATE TABLE events_rest PARTITION OF events DEFAULT;", ""),
    ),
    "unlogged": (PLAIN, PLAIN.replace("CREATE TABLE events", "CREATE UNLOGGED TABLE events")),
}


@pytest.mark.parametrize(("before", "after"), PAIRS.values(), ids=PAIRS.keys())
def test_there_and_back(server: Server, before: str, after: str) -> None:
    with ground(server, before, after, recipe, rows=ROWS) as here:
        assert not here.refused
        rows = f"SELECT {ATTRIBUTES} FROM events ORDER BY id"
        was = here.rows(rows)
        here.up()
        assert here.left.equal, here.left
        assert here.rows(rows) == was
        here.run(["INSERT INTO events (customer_id, created_at) VALUES (1, '2025-05-05')"], together=True)
        assert here.rows("SELECT max(id) FROM events") == [(12001,)]
        here.down()
        assert here.taken_back.equal, here.taken_back
        assert len(here.rows(rows)) == 12001
        here.run(["INSERT INTO events (customer_id, created_at) VALUES (1, '2025-05-05')"], together=True)
        assert here.rows("SELECT max(id) FROM events") == [(12002,)]


# --- while clients write ---

BY_DEFAULT = [
    text.replace("ALWAYS AS IDENTITY", "BY DEFAULT AS IDENTITY")
    for text in (UNIQUE_ID, SPLIT, PLAIN, WITHOUT_KEY)
]


@pytest.mark.parametrize(
    ("before", "after"),
    [BY_DEFAULT[:2], BY_DEFAULT[1:3], (BY_DEFAULT[0], BY_DEFAULT[3])],
    ids=["partitioned", "no longer partitioned", "partitioned without a key"],
)
def test_no_change_of_a_client_is_lost(server: Server, before: str, after: str) -> None:
    with (
        ground(server, before, after, recipe, rows=ROWS) as here,
        writing(here.conninfo, here.connection) as writers,
    ):
        for step in here.steps:
            here.patiently(step.up, together=step.transaction)
            time.sleep(0.05)
        told = {writer.number: (writer.done, round(writer.longest, 3)) for writer in writers}
        print(told)
        for step in reversed(here.steps):
            here.patiently(step.down, together=step.transaction)
    assert all(writer.done > 50 for writer in writers)


def test_killed_in_the_middle_of_the_copy_and_run_again(server: Server) -> None:
    before, after, *_ = BY_DEFAULT
    with ground(server, before, after, recipe, rows=ROWS) as here, writing(here.conninfo, here.connection):
        for step in here.steps:
            if step.fill is not None:
                here.killed(step.up, after="SELECT count(*) > 2000 FROM events__new")
                assert 0 < here.rows("SELECT count(*) FROM events__new")[0][0] < 12000
            here.patiently(step.up, together=step.transaction)
        assert here.left.equal
