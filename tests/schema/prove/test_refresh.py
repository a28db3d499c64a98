"""Materialized views refreshed under a reader: with and without a key, in order, and wrong ones."""

from __future__ import annotations

import pytest

from data_platform.model.database import Name
from data_platform.postgres.server import Database, Server
from data_platform.schema.prove.refresh import refreshes
from data_platform.schema.prove.result import Refresh

from .grounds import filled

MODEL = """
tables:
  orders:
    columns: {id: {type: bigint, primary_key: true}, state: {type: text, data: {values: [a, b]}}, total: integer}
  hidden:
    columns: {id: {type: bigint, primary_key: true}, tenant: text}
    row_security: forced
    policies: {p: {using: "tenant = current_setting('app.tenant', true)"}}
materialized_views:
  by_state:
    query: "SELECT state, count(*) AS n FROM orders GROUP BY state"
    indexes: [{columns: [state], unique: true}]
  a_of_by_state: "SELECT sum(n) AS total FROM by_state"
  partial: {query: "SELECT id, state FROM orders", indexes: [{columns: [id], unique: true, where: id > 0}]}
  dice: "SELECT random() AS x"
  division: {query: "SELECT 1 / (total - total) AS x FROM orders", populated: false}
  of_hidden: "SELECT id FROM hidden"
"""


@pytest.fixture(scope="module")
def found(server: Server) -> dict[str, Refresh]:
    with filled(server, MODEL) as (ground, _, conninfo):
        return {refresh.view.name: refresh for refresh in refreshes(ground, conninfo)}


def test_with_a_key_it_is_refreshed_concurrently(found: dict[str, Refresh]) -> None:
    one = found["by_state"]
    assert (one.state, one.concurrently, one.rows, one.warning) == ("proven", True, 2, None)
    assert one.reads >= 1
    assert one.refresh_ms > 0
    assert one.stall_ms < 1000


@pytest.mark.parametrize("name", ["a_of_by_state", "partial"])
def test_without_a_key_over_all_rows_readers_wait(found: dict[str, Refresh], name: str) -> None:
    assert (found[name].state, found[name].concurrently) == ("proven", False)
    assert "readers wait" in (found[name].warning or "")


def test_each_comes_after_what_it_reads(found: dict[str, Refresh]) -> None:
    order = list(found)
    assert order.index("by_state") < order.index("a_of_by_state")


def test_a_query_that_never_answers_the_same_is_not_checked(found: dict[str, Refresh]) -> None:
    assert found["dice"].state == "not checked"


def test_a_refresh_that_fails(found: dict[str, Refresh]) -> None:
    assert found["division"].state == "failed"
    assert "division by zero" in found["division"].detail


def test_one_that_row_security_empties(found: dict[str, Refresh]) -> None:
    assert found["of_hidden"].state == "failed"
    assert "had 40 rows without row-level security" in found["of_hidden"].detail


def test_one_whose_rows_are_not_those_of_its_query(server: Server) -> None:
    """The prober believes the catalog: on the server the view has another query since."""
    text = 'tables: {t: {columns: {a: integer}}}\nmaterialized_views: {m: "SELECT a FROM t"}'
    with filled(server, text) as (ground, _, conninfo):
        ground.connection.execute("DROP MATERIALIZED VIEW m")
        ground.connection.execute("CREATE MATERIALIZED VIEW m AS SELECT a + 1 AS a FROM t")
        (one,) = refreshes(ground, conninfo)
    assert (one.view, one.state) == (Name("public", "m"), "failed")
    assert "not those of its query" in one.detail


def test_one_without_rows_proves_nothing(server: Server) -> None:
    text = """
tables: {t: {columns: {a: integer}}}
materialized_views: {m: "SELECT a FROM t", none: "SELECT a FROM t WHERE a IS NULL AND a > 0"}
"""
    with filled(server, text) as (ground, _, conninfo):
        found = {one.view.name: one for one in refreshes(ground, conninfo)}
        ground.connection.execute("TRUNCATE t; REFRESH MATERIALIZED VIEW m")
        (empty, _) = refreshes(ground, conninfo)
    assert found["m"].state == "proven"
    assert (found["none"].state, "finds no row" in found["none"].detail) == ("not checked", True)
    assert (empty.state, empty.detail) == ("not checked", "the table is empty: `public.t`")


def test_what_its_reader_cannot_read_is_not_proven(server: Server, database: Database) -> None:
    """The reader's session is in a database that has no such view."""
    text = 'tables: {t: {columns: {a: integer}}}\nmaterialized_views: {m: "SELECT a FROM t"}'
    with filled(server, text) as (ground, _, _conninfo):
        (one,) = refreshes(ground, database.conninfo)
    assert (one.state, one.reads) == ("not checked", 0)
    assert 'relation "m" does not exist' in one.detail
