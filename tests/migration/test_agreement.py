"""Lint and prove never contradict each other: what lint tells of prove sees, and nothing where lint is silent.

Every rule's hazards, their safe twins and the safe forms that lint proposes run on one schema with rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from random import Random

import pytest

from data_platform.migration.files import read_bytes
from data_platform.migration.lint.lint import Linted
from data_platform.migration.prove.options import Options
from data_platform.migration.prove.result import MODES, Proof
from data_platform.postgres.server import Server
from data_platform.report.finding import Finding
from migration.agreement import WORK, Ground, blocking, contradictions, ground, kept_out, refusals
from migration.lint.linting import linted
from migration.lint.test_rules import proposals
from migration.lint.test_twins import SCHEMA, TWINS, Way
from migration.prove.grounds import proven

ROWS = """
INSERT INTO customers SELECT n, 'name' FROM generate_series(1, 200) AS n;
INSERT INTO orders (id, total, status, code, customer_id, at, checked, old, data, span)
SELECT 1000 + n, n, 'new', 'code' || n, CASE WHEN n > 100 THEN n END, timestamp '2020-01-01' + n * interval '1 min',
       1, 'o', '{}', int4range(n, n + 1) FROM generate_series(1, 200) AS n;
INSERT INTO events SELECT n, '2020-06-01' FROM generate_series(1, 200) AS n;
INSERT INTO events_2 SELECT n, '2021-06-01' FROM generate_series(1, 200) AS n;
INSERT INTO events_3 SELECT n, '2022-06-01' FROM generate_series(1, 200) AS n;
INSERT INTO secret SELECT n FROM generate_series(1, 200) AS n;
REFRESH MATERIALIZED VIEW totals;
"""
REFUSED = {
    "add-column-required": {"23502"},
    "concurrently-in-transaction": {"25001"},
    "concurrently-on-partitioned": {"0A000"},
    "enum-value-in-transaction": {"55P04"},
}
"""Rules about what the server refuses, and how it says so."""


class Asked:
    """Both about one way, each asked once."""

    def __init__(self, ground_: Ground) -> None:
        self.ground = ground_
        self.lint = cache(self._lint)
        self.prove = cache(self._prove)

    def _lint(self, way: Way) -> Linted:
        return linted(way.sql, way.schema, way.transaction, way.version)

    def _prove(self, way: Way) -> Proof:
        return self.ground.tried(self.lint(way).script.statements)

    def told(self, way: Way, *rules: str) -> list[Finding]:
        """The findings of these rules that are more than a remark."""
        return [one for one in self.lint(way).findings if one.rule in rules and one.severity != "info"]


@pytest.fixture(scope="module")
def asked(server: Server) -> Iterator[Asked]:
    with ground(server, SCHEMA, ROWS) as made:
        yield Asked(made)


def ways(rule: str, *, hazards: bool = True, safe: bool = True) -> list[Way]:
    """A rule's ways that concern this schema on this server."""
    given = [*(TWINS[rule][0] if hazards else ()), *(TWINS[rule][1] if safe else ())]
    return [way for way in given if way.schema == SCHEMA and way.version == 18]


UNSEEN = {
    "DROP INDEX orders_status": "a short lock, which only a long query makes long",
    "ALTER TABLE events DETACH PARTITION events_1": "a short lock, which only a long query makes long",
    "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES fresh": "the new table has no key",
    "ALTER TABLE orders SET TABLESPACE fast": "there is no such tablespace",
    "DEFAULT unheard_of()": "there is no such function",
    "plpgsql AS 'BEGIN END'": "the function returns nothing",
    "ALTER TABLE orders ALTER id TYPE int": "a view shows the column",
    "ALTER TABLE orders ALTER total TYPE": "a view shows the column",
    "ADD PRIMARY KEY USING INDEX orders_code": "the table has a primary key",
    "DROP OWNED BY somebody": "there is nobody of that name",
    "DROP TRIGGER IF EXISTS": "there is no such trigger, and what triggers there are lint does not know",
    "VACUUM (FULL, ANALYZE) orders": "its locks are gone when it ends",
}
"""Hazards that cannot be seen here, by a part of their SQL."""


def visible(way: Way) -> bool:
    return not any(part in way.sql for part in UNSEEN)


@pytest.mark.parametrize("rule", sorted(WORK))
def test_work_that_lint_tells_of_keeps_clients_out(rule: str, asked: Asked) -> None:
    told = [way for way in ways(rule, safe=False) if visible(way) and asked.told(way, rule)]
    certain = [way for way in told if any(one.evidence == "parsed" for one in asked.told(way, rule))]
    assert certain
    assert [way.sql for way in certain if not kept_out(asked.prove(way))] == []


@pytest.mark.parametrize("rule", sorted(TWINS))
def test_where_lint_tells_of_no_work_none_keeps_clients_out(rule: str, asked: Asked) -> None:
    silent = [way for way in ways(rule) if not asked.told(way, *WORK)]
    assert {way.sql: found for way in silent if (found := kept_out(asked.prove(way)))} == {}


@pytest.mark.parametrize("rule", sorted(TWINS))
def test_a_lock_without_a_timeout_is_seen_by_both(rule: str, asked: Asked) -> None:
    there = {*(table.name for table in asked.ground.before.values()), "public.seen", "public.totals"}
    for way in (way for way in ways(rule) if visible(way)):
        locking = [(blocking(one), one) for one in asked.prove(way).statements if not one.lock_timeout_s]
        unbounded = [one for locks, one in locking if any(lock.relation in there for lock in locks)]
        ran = not any(one.error for one in asked.prove(way).statements)
        if unbounded:
            assert asked.told(way, "missing-lock-timeout"), way.sql
        elif ran:
            assert not asked.told(way, "missing-lock-timeout"), way.sql


@pytest.mark.parametrize("rule", sorted(REFUSED))
def test_what_lint_says_is_refused_is_refused(rule: str, asked: Asked) -> None:
    assert [way.sql for way in ways(rule, safe=False) if not refusals(asked.prove(way)) & REFUSED[rule]] == []
    assert [way.sql for way in ways(rule, hazards=False) if refusals(asked.prove(way)) & REFUSED[rule]] == []


TEXTS = [
    way.sql
    for rule in TWINS
    for way in ways(rule)
    if way.transaction == "as-written" and "BEGIN" not in way.sql and visible(way)
]


@pytest.mark.parametrize("seed", range(60))
def test_any_of_them_together(seed: int, asked: Asked) -> None:
    chance = Random(seed)
    text = ";\n".join(["SET timezone = 'UTC'", *chance.sample(TEXTS, chance.randrange(1, 4))])
    one = linted(text, SCHEMA, chance.choice(("as-written", "wrapped")))
    assert contradictions(one, asked.ground.tried(one.script.statements)) == []


def test_several_tables_under_access_exclusive(asked: Asked) -> None:
    def most(way: Way) -> int:
        return max(
            len({lock.relation for lock in one.locks if lock.kind != "index" and lock.mode == MODES[-1]})
            for one in asked.prove(way).statements
        )

    rule = "multiple-access-exclusive"
    assert {way.sql: most(way) for way in ways(rule, safe=False) if most(way) < 2} == {}


@pytest.mark.parametrize("way", ways("data-loss"), ids=lambda way: way.sql[:60])
def test_what_is_lost_is_told_by_both(way: Way, asked: Asked) -> None:
    proof = asked.prove(way)
    if visible(way) and not refusals(proof) and not any(one.skipped for one in proof.statements):
        assert bool(asked.told(way, "data-loss")) == any(not one.some for one in proof.lost)


@pytest.mark.parametrize("way", ways("update-all-rows"), ids=lambda way: way.sql[:60])
def test_an_update_of_all_rows_changes_them(way: Way, asked: Asked) -> None:
    proof = asked.prove(way)
    if not refusals(proof):
        changed = max(one.rows_changed for one in proof.statements)
        assert bool(asked.told(way, "update-all-rows")) == (changed == 200)


@pytest.mark.parametrize(("before", "fix"), proposals(), ids=lambda text: text[:60])
def test_a_safe_form_keeps_nobody_out(before: str, fix: str, asked: Asked) -> None:
    first = read_bytes("m.sql", before.encode(), "as-written").statements
    text = f"{before};\n{fix}" if before else fix
    proof = asked.ground.tried(read_bytes("m.sql", text.encode(), "as-written").statements)
    ours = [one for one in kept_out(proof) if int(one.partition(":")[0]) > len(first)]
    assert ours == []


BREAKS = {
    "rename-breaks-clients": ("ALTER TABLE orders RENAME TO o", "ALTER TABLE orders RENAME code TO c"),
    "drop-breaks-clients": ("ALTER TABLE orders DROP old", "DROP TABLE customers CASCADE"),
}
KEEPS = (
    Way("ALTER TABLE orders RENAME TO o; CREATE VIEW orders AS TABLE o", "wrapped"),
    Way("ALTER TABLE orders ADD c int; ALTER TABLE orders RENAME c TO d"),
)


@pytest.mark.parametrize(("rule", "sql"), [(rule, sql) for rule, texts in BREAKS.items() for sql in texts])
def test_clients_break_where_lint_says_so(rule: str, sql: str, server: Server, asked: Asked) -> None:
    assert asked.told(Way(sql), rule)
    proof = proven(server, sql, base=SCHEMA, options=Options(default_rows=50, kills=False))
    assert any(error.effect == "broken" for error in proof.client_errors)


@pytest.mark.parametrize("way", KEEPS, ids=lambda way: way.sql[:60])
def test_clients_go_on_where_lint_says_nothing(way: Way, server: Server, asked: Asked) -> None:
    assert not asked.told(way, *BREAKS)
    proof = proven(
        server,
        way.sql,
        base=SCHEMA,
        transaction=way.transaction,
        options=Options(default_rows=50, kills=False),
    )
    assert not any(error.effect == "broken" for error in proof.client_errors)


def test_rows_are_hidden_where_lint_says_so(asked: Asked) -> None:
    (way,) = ways("row-security-without-policy", safe=False)
    assert asked.told(way, "row-security-without-policy")
    assert not refusals(asked.prove(way))


@pytest.mark.parametrize("place", [0, 1], ids=["hazard", "safe"])
def test_an_invalid_index_is_left_where_lint_says_so(place: int, server: Server, asked: Asked) -> None:
    rule = "invalid-index-left"
    (way,) = TWINS[rule][place]
    proof = proven(server, way.sql, base=SCHEMA, options=Options(default_rows=50, clients=False))
    assert any(kill.silent for kill in proof.kills) == bool(asked.told(way, rule))
