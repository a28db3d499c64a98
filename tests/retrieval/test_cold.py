"""Searches with empty caches: pages are really gone before each, and who may not empty them is told so."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import psycopg
import pytest

from data_platform.errors import UsageProblem
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database
from data_platform.postgres.vectors import cold
from data_platform.postgres.vectors.ask import latencies, session
from data_platform.retrieval.evaluation.run import store_of
from data_platform.spec.retrieval import Retrieval
from retrieval.pgvector.stores import WIDTH, fill, spec_of, store

ROWS = 1_000
VALUES = np.random.default_rng(2).normal(size=(ROWS, WIDTH)).astype(np.float32)
QUESTIONS = [(row, "") for row in VALUES[:8]]


def spec() -> Retrieval:
    return spec_of(hybrid=None, filters=(), settings={"index": "hnsw", "type": "vector"})


@pytest.fixture
def filled(database: Database) -> Database:
    with connect(database.admin_conninfo, read_only=False) as admin:
        admin.execute("CREATE EXTENSION pg_buffercache")
        admin.commit()
    with store(database, spec()) as connection:
        fill(connection, spec(), VALUES, [{}] * ROWS)
    return database


@pytest.mark.parametrize("evict", [cold._EVICT, cold._EVICT_17])
def test_no_page_of_the_store_is_left_in_the_server(filled: Database, evict: str) -> None:
    with session(filled.conninfo, store_of(spec())) as one, psycopg.connect(filled.admin_conninfo) as admin:
        latencies(one, "vector", QUESTIONS, 10)
        relations = admin.execute(cold._RELATIONS, ["help"]).fetchall()
        names = {admin.execute("SELECT %s::oid::regclass::text", [oid]).fetchone() for oid, _ in relations}
        assert {("help.embeddings_mini_lm_near",), ("help.chunks",), ("help.chunks_pkey",)} <= names
        held = (
            "SELECT count(*) FROM pg_buffercache b JOIN unnest(%s::oid[]) one"
            " ON b.relfilenode = pg_relation_filenode(one)"
        )
        oids = [oid for oid, _ in relations]
        assert admin.execute(held, [oids]).fetchone() != (0,)
        admin.execute(evict, [oids])
        assert admin.execute(held, [oids]).fetchone() == (0,)


def test_pages_come_from_the_files_again(filled: Database) -> None:
    with psycopg.connect(filled.admin_conninfo, autocommit=True) as admin:
        read = (
            "SELECT sum(heap_blks_read + idx_blks_read) FROM pg_statio_user_tables WHERE schemaname = 'help'"
        )
        before = admin.execute(read).fetchone()
        assert before is not None
        found = cold.cold_latencies(filled.conninfo, filled.admin_conninfo, store_of(spec()), QUESTIONS, 10)
        expected, deadline = before[0] + 5 * len(QUESTIONS), time.monotonic() + 5
        after = admin.execute(read).fetchone()
        while after and after[0] < expected and time.monotonic() < deadline:  # told as a session ends
            time.sleep(0.01)
            after = admin.execute(read).fetchone()
    assert len(found.ms) == len(QUESTIONS)
    assert after is not None
    assert after[0] >= expected
    assert found.system == hasattr(os, "posix_fadvise")


def test_a_role_that_may_not_is_told_what_is_needed(filled: Database) -> None:
    with pytest.raises(UsageProblem, match="as a superuser"):
        cold.cold_latencies(filled.conninfo, filled.conninfo, store_of(spec()), QUESTIONS, 10)


def test_a_database_of_ones_own_gets_what_is_needed(database: Database) -> None:
    assert cold.with_cache_control(database.admin_conninfo)
    assert not cold.with_cache_control(database.conninfo)


def test_files_that_are_not_here_are_left(filled: Database) -> None:
    with psycopg.connect(filled.admin_conninfo) as admin:
        assert cold._files(admin, ["base/1/0"]) == []
        (path,) = admin.execute("SELECT pg_relation_filepath('help.chunks')").fetchone() or ()
        assert [one.name for one in cold._files(admin, [path])] == [Path(path).name]
