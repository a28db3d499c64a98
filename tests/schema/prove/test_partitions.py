"""Partitioned tables: routing, what lies outside, what comes next, and which partitions a query reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from data_platform.model.design import AccessPattern
from data_platform.postgres.server import Server
from data_platform.schema.prove.partitions import AHEAD, KEYS, LANDS, NARROW, OUTSIDE, PRUNED, partitions
from data_platform.schema.prove.result import Claim, Measured

from .grounds import failed, filled, states


def _month(ahead: int) -> str:
    """The first of a month, `ahead` of this one, as the server prints it."""
    first = datetime.now(UTC).replace(day=1)
    month = first.month - 1 + ahead
    return f"{first.year + month // 12}-{month % 12 + 1:02}-01 00:00:00+00"


def _by_time(months: tuple[int, ...], default: bool) -> str:
    parts = [f"        m{n}: \"FROM ('{_month(m)}') TO ('{_month(m + 1)}')\"" for n, m in enumerate(months)]
    parts += ["        rest: default"] if default else []
    return """
tables:
  events:
    columns: {id: {type: bigint, identity: always}, at: timestamptz, kind: text}
    primary_key: [id, at]
    partition_by: {range: at}
    partitions:
""" + "\n".join(parts)


def _claims(server: Server, text: str, **given: object) -> tuple[Claim, ...]:
    with filled(server, text) as (ground, _, _):
        return partitions(ground, given.get("patterns", ()))  # type: ignore[arg-type]


def test_a_table_by_month_is_proven(server: Server) -> None:
    claims = _claims(server, _by_time((-1, 0, 1), default=True))
    told = states(claims)
    assert {claim.state for claim in claims if claim.claim != NARROW} == {"proven"}
    assert told["m0", LANDS] == told["m1", LANDS] == told["m2", LANDS] == told["rest", LANDS] == "proven"
    details = {(claim.object, claim.claim): claim.detail for claim in claims}
    assert details["public.events", OUTSIDE] == "it went to `public.rest`"
    assert details["public.events", PRUNED].startswith("an equality reads 1")
    assert told["events", AHEAD] == told["events", KEYS] == "proven"


def test_rows_stay_within_the_partitions_where_there_is_no_default(server: Server) -> None:
    claims = _claims(server, _by_time((-1, 0, 1), default=False))
    details = {(claim.object, claim.claim): claim.detail for claim in claims}
    assert "refused (23514)" in details["public.events", OUTSIDE]
    assert sum(int(details[f"public.m{n}", LANDS].split()[0]) for n in range(3)) == 40
    assert failed(claims) == set()


@pytest.mark.parametrize("months", [(-2, -1), (-1, 0)])
def test_a_table_that_will_refuse_the_next_rows(server: Server, months: tuple[int, ...]) -> None:
    claims = _claims(server, _by_time(months, default=False))
    assert failed(claims) == {("events", AHEAD)}


def test_a_default_that_will_take_them_is_a_warning(server: Server) -> None:
    claims = _claims(server, _by_time((-1, 0), default=True))
    assert failed(claims) == set()
    assert [bool(claim.warning) for claim in claims if claim.claim == AHEAD] == [True]


def test_lists_of_lists_and_hashes(server: Server) -> None:
    text = """
tables:
  sales:
    columns: {region: text, id: bigint, year: integer}
    primary_key: [region, id, year]
    partition_by: {list: region}
    partitions:
      north: {bound: "IN ('n', 'nw')", partition_by: {hash: id}, partitions: {
        north0: "WITH (modulus 2, remainder 0)", north1: "WITH (modulus 2, remainder 1)"}}
      south: {bound: "IN ('s')", partition_by: {range: year}, partitions: {
        south_old: "FROM (2000) TO (2020)", south_new: "FROM (2020) TO (MAXVALUE)"}}
"""
    claims = _claims(server, text)
    told = states(claims)
    assert failed(claims) == set()
    leaves = ("north0", "north1", "south_old", "south_new")
    assert [told[leaf, LANDS] for leaf in leaves] == ["proven"] * 4
    assert told["sales", OUTSIDE] == "proven"
    assert told["sales", PRUNED] == "proven"


def test_an_empty_partition_gets_a_row_of_its_own(server: Server) -> None:
    text = """
tables:
  t:
    columns: {k: {type: integer, data: {minimum: 1, maximum: 9}}, a: text}
    partition_by: {range: k}
    partitions: {low: "FROM (0) TO (10)", high: "FROM (10) TO (20)"}
"""
    with filled(server, text) as (ground, _, _):
        ground.connection.execute("DELETE FROM high")
        claims = partitions(ground, ())
    details = {claim.object: claim.detail for claim in claims if claim.claim == LANDS}
    assert details["public.high"] == "a new row went to `public.high`"


def test_a_table_without_partitions(server: Server) -> None:
    text = (
        "tables: {t: {columns: {k: integer}, partition_by: {range: k}, partitions: {p: 'FROM (0) TO (10)'}}}"
    )
    with filled(server, text) as (ground, _, _):
        ground.connection.execute("ALTER TABLE t DETACH PARTITION p")
        object.__setattr__(ground, "database", _without_partitions(ground.database))
        assert failed(partitions(ground, ())) == {("t", LANDS)}


def _without_partitions(database: object) -> object:
    from dataclasses import replace

    tables = tuple(t for t in database.tables if t.partition_of is None)  # type: ignore[attr-defined]
    return replace(database, tables=tables)  # type: ignore[type-var]


def test_a_pattern_that_reads_every_partition_is_named(server: Server) -> None:
    whole = Measured(pattern=AccessPattern(name="all_of_them", sql="SELECT 1"), reads=("m0", "m1", "m2"))
    one = Measured(pattern=AccessPattern(name="one", sql="SELECT 1"), reads=("m1",))
    with filled(server, _by_time((-1, 0, 1), default=False)) as (ground, _, _):
        narrow = [c for c in partitions(ground, (one,)) if c.claim == NARROW]
        wide = [c for c in partitions(ground, (one, whole)) if c.claim == NARROW]
    assert [(claim.detail, claim.warning) for claim in narrow] == [("at most 1 of 3", None)]
    assert "`all_of_them`" in (wide[0].warning or "")


def test_a_key_of_a_partition_alone_is_a_warning(server: Server) -> None:
    text = """
tables:
  t:
    columns: {k: integer, a: text}
    partition_by: {hash: k}
    partitions: {p0: "WITH (modulus 1, remainder 0)"}
"""
    with filled(server, text) as (ground, _, _):
        ground.connection.execute("CREATE UNIQUE INDEX alone ON p0 (k, a)")
        (keys,) = [claim for claim in partitions(ground, ()) if claim.claim == KEYS]
    assert "`alone`" in (keys.warning or "")


def test_the_months_of_these_tests_follow_one_another() -> None:
    first = datetime.fromisoformat(_month(0))
    assert first <= datetime.now(UTC) < datetime.fromisoformat(_month(1)) <= first + timedelta(days=31)


@pytest.mark.parametrize("column", ["at: timestamptz", "at: {type: timestamptz, default: now()}"])
def test_rows_lie_within_the_partitions_though_there_is_a_default(server: Server, column: str) -> None:
    text = _by_time((-1, 0, 1), default=True).replace("at: timestamptz", column)
    details = {claim.object: claim.detail for claim in _claims(server, text) if claim.claim == LANDS}
    assert sum(int(details[f"public.m{n}"].split()[0]) for n in range(3)) == 40
    assert details["public.rest"] == "empty: every row had a partition of its own"


@pytest.mark.parametrize(
    "key", ["k: {type: integer, check: k > 50}", "k: {type: integer, data: {minimum: 50, maximum: 90}}"]
)
def test_rows_that_can_only_lie_in_the_default_lie_there(server: Server, key: str) -> None:
    text = f"""
tables:
  t:
    columns: {{{key}, a: text}}
    partition_by: {{range: k}}
    partitions: {{low: FROM (0) TO (10), rest: default}}
"""
    details = {claim.object: claim.detail for claim in _claims(server, text) if claim.claim == LANDS}
    assert details["public.rest"].startswith("40 rows")


def test_a_key_of_partitions_that_refers_elsewhere_keeps_the_default(server: Server) -> None:
    text = """
tables:
  p: {columns: {id: {type: integer, primary_key: true, data: {minimum: 500, maximum: 900}}}}
  t:
    columns: {k: {references: {table: p, on_delete: cascade}}, a: text}
    partition_by: {range: k}
    partitions: {low: FROM (0) TO (10), rest: default}
"""
    details = {claim.object: claim.detail for claim in _claims(server, text) if claim.claim == LANDS}
    assert "rows" in details["public.rest"]


def test_an_empty_table_proves_little(server: Server) -> None:
    pattern = Measured(pattern=AccessPattern(name="one", sql="SELECT 1"), reads=("m1",))
    with filled(server, _by_time((-1, 0, 1), default=True)) as (ground, _, _):
        ground.connection.execute("TRUNCATE events")
        told = {(c.object, c.claim): (c.state, c.detail) for c in partitions(ground, (pattern,))}
    assert told["public.events", NARROW] == ("not checked", "the table is empty")
    assert told["public.rest", LANDS] == ("not checked", "the table is empty")
    assert told["public.events", PRUNED][0] == "not checked"
