"""Indexes and constraints of partitioned tables: partition by partition, and nothing built or read under a lock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from data_platform.errors import EnvironmentProblem
from data_platform.migration.plan.pair import Pair, changes, tables_of_both
from data_platform.migration.plan.partitioned import constraint_steps, index_steps
from data_platform.migration.plan.step import Step
from data_platform.postgres.server import Server, embedded_server
from migration.plan.ground import ground
from migration.plan.locks import read_under_a_lock

BEFORE = """
CREATE TABLE kinds (id int PRIMARY KEY);
CREATE TABLE log (id bigint NOT NULL, day date NOT NULL, kind int, note text) PARTITION BY RANGE (day);
CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (kind);
CREATE TABLE log_2_a PARTITION OF log_2 FOR VALUES IN (1, 2);
CREATE TABLE log_2_b PARTITION OF log_2 DEFAULT;
"""
ROWS = """
INSERT INTO kinds SELECT generate_series(1, 3);
INSERT INTO log SELECT n, date '2024-01-01' + n % 700, 1 + n % 3, 'n' || n FROM generate_series(1, 3000) AS n;
"""
CASES = {
    "index": "CREATE INDEX log_kind ON log (kind, lower(note)) WHERE note <> 'x';",
    "unique index": "CREATE UNIQUE INDEX log_key ON log (id, day, kind);",
    "index of the table only": "CREATE INDEX log_only ON ONLY log (note);",
    "two alike": "CREATE INDEX log_n1 ON log (note); CREATE INDEX log_n2 ON log (note);",
    "unique": "ALTER TABLE log ADD CONSTRAINT log_id UNIQUE (id, day, kind);",
    "foreign key": "ALTER TABLE log ADD CONSTRAINT log_kind FOREIGN KEY (kind) REFERENCES kinds;",
    "check": "ALTER TABLE log ADD CONSTRAINT log_note CHECK (note <> '');",
}
PRIMARY = """
CREATE TABLE log (id bigint NOT NULL, day date NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO log SELECT n, date '2024-01-01' + n % 300 FROM generate_series(1, 3000) AS n;
"""


def recipe(pair: Pair) -> Iterator[Step]:
    for old, new in tables_of_both(pair):
        if new.partition_by is not None:
            for index in changes(old.indexes, new.indexes).added:
                yield from index_steps(pair, new, index)
            for constraint in changes(old.constraints, new.constraints).added:
                yield from constraint_steps(pair, new, constraint)


@pytest.fixture(scope="module", params=[18, 16])
def servers(request: pytest.FixtureRequest, server: Server) -> Iterator[Server]:
    """The newest version, and one in which a partitioned table has no foreign key that is NOT VALID."""
    if request.param == 18:
        yield server
        return
    try:
        older = embedded_server(major=request.param)
        running = older.__enter__()
    except EnvironmentProblem as problem:
        pytest.skip(f"no package with PostgreSQL {request.param}: {problem}")
    yield running
    older.__exit__(None, None, None)


@pytest.mark.parametrize("added", CASES.values(), ids=CASES.keys())
def test_there_and_back(servers: Server, added: str) -> None:
    with ground(servers, BEFORE, BEFORE + added, recipe, rows=ROWS) as here:
        assert here.steps
        assert read_under_a_lock(here) == []
        assert here.left.equal, here.left
        here.down()
        assert here.taken_back.equal, here.taken_back


def test_primary_key(servers: Server) -> None:
    added = "ALTER TABLE log ADD CONSTRAINT log_pkey PRIMARY KEY (id, day);"
    with ground(servers, PRIMARY, PRIMARY + added, recipe) as here:
        assert read_under_a_lock(here) == []
        assert here.left.equal, here.left
        here.down()
        assert here.taken_back.equal, here.taken_back


def test_an_exclusion_says_that_it_blocks(server: Server) -> None:
    added = "ALTER TABLE log ADD CONSTRAINT log_x EXCLUDE USING btree (day WITH =, id WITH =);"
    with ground(server, PRIMARY, PRIMARY.replace("INSERT", added + "INSERT"), recipe) as here:
        (step,) = here.steps
        assert step.blocks
        here.up()
        assert here.left.equal, here.left
