"""Sequences: there and back on a real server."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.plan import sequences
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Step
from data_platform.postgres.server import Database
from migration.plan.harness import Reached, reach


def steps(pair: Pair) -> Iterator[Step]:
    yield from sequences.steps(pair)
    yield from sequences.gone(pair)


def arrives(reached: Reached) -> None:
    assert reached.refused == ()
    assert reached.up.equal, reached.up
    assert reached.down is None or reached.down.equal, reached.down


def test_new_changed_and_gone(database: Database) -> None:
    before = """CREATE TABLE t (id bigint); CREATE SEQUENCE gone CACHE 5; COMMENT ON SEQUENCE gone IS 'it was';
        GRANT USAGE ON SEQUENCE gone TO public;
        CREATE SEQUENCE owned OWNED BY t.id; CREATE SEQUENCE wide AS integer MAXVALUE 1000 CYCLE;
        CREATE SEQUENCE back INCREMENT BY 2;
        CREATE UNLOGGED SEQUENCE quick; CREATE SEQUENCE was OWNED BY t.id; INSERT INTO t VALUES (7);"""
    after = """CREATE TABLE t (id bigint); CREATE SEQUENCE made START WITH 100; CREATE SEQUENCE of_t OWNED BY t.id;
        CREATE SEQUENCE owned;
        CREATE SEQUENCE wide CACHE 3; CREATE SEQUENCE back INCREMENT BY -1 MINVALUE -9; CREATE SEQUENCE quick;"""
    reached = reach(database, before, after, steps)
    arrives(reached)
    assert {step.name for step in reached.steps if step.phase == "contract"} == {
        "owned_by_of_t",
        "owned_by_owned",
        "drop_gone",
        "drop_was",
    }
