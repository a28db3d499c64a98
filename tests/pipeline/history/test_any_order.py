"""Random histories in random batches and orders: the table is what an independent reference says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.postgres.server import Server
from data_platform.sql.text import Sql

from .reference import Reference, Seen
from .stage import Connection, bring, dimension, held, made, places

KEYS = st.sampled_from([("de", 1), ("de", 2), ("fr", 1)])
VALUES = st.tuples(st.sampled_from([None, 1, 2]), st.sampled_from([None, '{"x": 1}', "{}"]))
ROWS = st.builds(Seen, KEYS, st.integers(1, 7), VALUES, st.sampled_from([False, False, True]))
BATCHES = st.lists(st.lists(ROWS, max_size=8), max_size=5)
MADE: dict[str, Any] = {}
FEW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[Connection]:
    with (
        server.scratch_database(extensions=["btree_gist"]) as database,
        psycopg.connect(database.conninfo, autocommit=True) as opened,
    ):
        yield opened


def fresh(connection: Connection, type_: int, **given: Any) -> Any:
    """The tables of the test before are emptied where they are the same."""
    wanted = dimension(type_, **given)
    if MADE.get("last") == wanted:
        marks = ', "Shop ""s""_marks"' if wanted.remembers else ""
        connection.execute(f'TRUNCATE "Shop ""s"""{marks}')
        return wanted
    connection.execute('DROP TABLE IF EXISTS "Shop ""s""", "Shop ""s""_marks" CASCADE')
    MADE["last"] = made(connection, wanted)
    return wanted


def without_last(rows: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    return {(*row[:-2], None, None) for row in rows}


@pytest.mark.parametrize(
    ("type_", "tracked", "version"),
    [(2, "ab", 18), (2, "ab", 17), (2, "a", 18), (6, "ab", 18), (6, "b", 18)],
)
@FEW
@given(batches=BATCHES)
def test_versions(
    connection: Connection, type_: int, tracked: str, version: int, batches: list[list[Seen]]
) -> None:
    table = fresh(connection, type_, tracked=tuple(tracked), server_version=version)
    reference = Reference()
    for rows in batches:
        batch = rows if tracked == "ab" else [apart(row) for row in rows]
        bring(connection, table, batch)
        reference.learn(batch)
        expected = reference.versions(tracked)
        if type_ == 2:
            assert held(connection, table) == without_last(expected)
        else:
            followed = {
                (*r[:6], *(r[6 + n] if c in tracked else None for n, c in enumerate("ab"))) for r in expected
            }
            assert six(connection, tracked) == followed
        before = places(connection, table)
        bring(connection, table, batch)
        assert places(connection, table) == before, "the same batch again changes nothing"


def apart(row: Seen) -> Seen:
    """With no delete at the very time of a row: of what is overwritten the value before that one is not kept."""
    return replace(row, at=row.at * 2 + row.gone)


def six(connection: Connection, tracked: str) -> set[tuple[Any, ...]]:
    """Type 6 has a copy of what is tracked only; the rest is itself what holds last."""
    copies = ", ".join(f"current_{c}::text" if c == "b" else f"current_{c}" for c in "ab" if c in tracked)
    rows = connection.execute(
        f'SELECT country, "No.", a, b::text, valid_from, valid_to, {copies} FROM "Shop ""s"""'
    ).fetchall()
    place = {c: n for n, c in enumerate(c for c in "ab" if c in tracked)}
    return {(*r[:6], *(r[6 + place[c]] if c in place else None for c in "ab")) for r in rows}


@FEW
@given(batches=BATCHES)
def test_the_last_value_only(connection: Connection, batches: list[list[Seen]]) -> None:
    table, reference = fresh(connection, 1), Reference()
    for batch in batches:
        bring(connection, table, batch)
        reference.learn(batch)
        assert held(connection, table) == reference.present()
        before = places(connection, table)[0]
        bring(connection, table, batch)
        assert places(connection, table)[0] == before


@FEW
@given(rows=st.lists(ROWS, max_size=10, unique_by=lambda row: (row.key, row.at)), data=st.data())
def test_any_split_and_order_gives_the_same_table(
    connection: Connection, rows: list[Seen], data: st.DataObject
) -> None:
    found = []
    for _ in range(2):
        order = data.draw(st.permutations(rows))
        cut = data.draw(st.integers(0, len(rows)))
        table = fresh(connection, 2, tracked=("a",))
        for batch in (order[:cut], order[cut:], order[cut // 2 : cut]):
            bring(connection, table, batch)
        found.append(held(connection, table))
    assert found[0] == found[1]


SNAPSHOTS = st.lists(st.dictionaries(KEYS, st.tuples(VALUES, st.integers(1, 9)), max_size=3), max_size=5)


@pytest.mark.parametrize("own_time", [True, False], ids=["rows say their time", "time of the run"])
@FEW
@given(snapshots=SNAPSHOTS)
def test_whole_snapshots(
    connection: Connection, own_time: bool, snapshots: list[dict[Any, tuple[Any, int]]]
) -> None:
    table = fresh(connection, 2, missing=True, tombstone=None, **({} if own_time else {"effective": None}))
    reference = Reference()
    for at, snapshot in enumerate(snapshots, 3):
        rows = [Seen(key, since if own_time else at, values) for key, (values, since) in snapshot.items()]
        bring(connection, table, rows, Sql(str(at)))
        reference.snapshot(rows, at)
        assert held(connection, table) == without_last(reference.versions())
        before = places(connection, table)
        bring(connection, table, rows, Sql(str(at)))
        assert places(connection, table) == before
