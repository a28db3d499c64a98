"""The proof on a real server: what is right is proven, and each thing that is wrong is seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from data_platform.ddl import statements
from data_platform.model.database import Database, Name
from data_platform.model.design import Design
from data_platform.model.differences import differences
from data_platform.postgres.canonical import canonical
from data_platform.postgres.catalog import read
from data_platform.postgres.server import Server
from data_platform.postgres.synthetic import Generator
from data_platform.report.markdown import markdown
from data_platform.schema.prove import report
from data_platform.schema.prove.attempts import Trials
from data_platform.schema.prove.constraints import probe_constraints
from data_platform.schema.prove.deletes import probe_deletes
from data_platform.schema.prove.findings import findings
from data_platform.schema.prove.prove import Plan, prove
from data_platform.schema.prove.result import Probe, Proof
from schema.designs import SHOP, design

ROWS = Plan(default_rows=300)


@pytest.fixture(scope="module")
def shop(server: Server) -> Proof:
    return prove(design(SHOP), server, ROWS)


class TestARightDesign:
    def test_is_proven(self, shop: Proof) -> None:
        assert (shop.verdict, shop.reasons) == ("proven", ())
        assert shop.catalog is not None
        assert shop.catalog.equal
        assert {fill.rows for fill in shop.filled} == {300}

    def test_every_constraint_refused_its_row(self, shop: Proof) -> None:
        kinds = {(probe.kind, probe.constraint): probe.state for probe in shop.constraints}
        assert kinds[("check", "orders_total_check")] == "proven"
        assert kinds[("check", "code_check")] == "proven"
        assert kinds[("enum", "public.state")] == "proven"
        assert kinds[("unique", "customers_email_key")] == "proven"
        assert kinds[("primary key", "order_items_pkey")] == "proven"
        assert kinds[("foreign key", "orders_customer_id_fkey")] == "proven"
        assert kinds[("not null", "placed_at")] == "proven"
        assert set(kinds.values()) == {"proven"}

    def test_every_on_delete_did_what_it_says(self, shop: Proof) -> None:
        assert {(probe.kind, probe.constraint, probe.state) for probe in shop.deletes} == {
            ("on delete set null", "customers_referrer_id_fkey", "proven"),
            ("on delete restrict", "orders_customer_id_fkey", "proven"),
            ("on delete cascade", "order_items_order_id_fkey", "proven"),
        }

    def test_patterns_ran_on_rows_that_are_there(self, shop: Proof) -> None:
        read_, written = shop.patterns
        assert read_.rows >= 1
        assert ("orders", "orders_customer_id_placed_at_idx") in read_.usable_indexes
        assert written.error is None
        assert written.rows == 1

    def test_an_index_without_a_reason_is_a_finding(self, shop: Proof) -> None:
        found = [finding for finding in findings(design(SHOP), shop) if finding.rule == "index-unused"]
        assert [finding.object for finding in found] == ["public.orders.orders_total_idx"]
        assert found[0].line

    def test_the_json_has_the_keys_of_the_contract(self, shop: Proof) -> None:
        told = report.result(shop)
        assert {"verdict", "server_version", "rows", "access_patterns", "constraints", "checklist"} <= set(
            told
        )
        assert told["rows"] == {"public.customers": 300, "public.orders": 300, "public.order_items": 300}
        assert len(told["checklist"]) == 8

    def test_the_same_seed_finds_the_same(self, server: Server, shop: Proof) -> None:
        again = prove(design(SHOP), server, ROWS)
        assert [(p.constraint, p.state, p.detail) for p in again.constraints] == [
            (p.constraint, p.state, p.detail) for p in shop.constraints
        ]
        assert [measured.rows for measured in again.patterns] == [measured.rows for measured in shop.patterns]


class TestAWrongDesign:
    def test_ddl_that_the_server_refuses(self, server: Server) -> None:
        proof = prove(design("tables: {t: {columns: {a: {type: text, check: a > 1}}}}"), server, ROWS)
        assert proof.verdict == "failed"
        assert proof.refused is not None
        assert proof.refused.sqlstate == "42883"

    def test_a_pattern_that_does_not_run(self, server: Server) -> None:
        wrong = SHOP.replace("SELECT id, total", "SELECT id, totl")
        proof = prove(design(wrong), server, ROWS)
        assert proof.verdict == "failed"
        assert "42703" in (proof.patterns[0].error or "")

    def test_a_pattern_that_misses_its_target(self, server: Server) -> None:
        proof = prove(design(SHOP.replace("latency_ms: 200", "latency_ms: 0.000001", 1)), server, ROWS)
        assert proof.verdict == "failed"
        assert proof.patterns[0].meets_target is False

    def test_an_extension_that_is_not_there(self, server: Server) -> None:
        proof = prove(design("extensions: [timescaledb]\ntables: {t: {columns: {a: int}}}"), server, ROWS)
        assert proof.verdict == "not_provable"
        assert "timescaledb" in proof.reasons[0]

    def test_a_server_that_is_too_old(self, server: Server) -> None:
        older = replace(server, version="16.4", version_num=160004)
        assert prove(design(SHOP), older, ROWS).verdict == "not_provable"

    def test_rows_that_cannot_exist(self, server: Server) -> None:
        proof = prove(
            design("tables: {t: {columns: {a: {type: int, check: a > 5 AND a < 3}}}}"), server, ROWS
        )
        assert proof.verdict == "not_provable"
        assert proof.filled[0].note

    def test_a_query_that_reads_a_whole_table_for_few_rows(self, server: Server) -> None:
        text = """
tables: {t: {columns: {id: {type: bigint, primary_key: true}, a: {type: integer, data: {distinct: 1000}}}}}
access_patterns: {few: {sql: "SELECT id FROM t WHERE a = :a", parameters: {a: integer}}}
"""
        wrong = design(text)
        proof = prove(wrong, server, Plan(default_rows=3000))
        checks = {str(check.claim): check.state for check in proof.checks}
        assert checks["Indexes on frequently queried columns"] == "failed"
        assert "pattern-reads-whole-table" in {finding.rule for finding in findings(wrong, proof)}

    @pytest.mark.parametrize(
        "expression",
        ["pg_read_file('/etc/passwd')", "pg_ls_dir('/')::text", "lo_import('/etc/passwd')::text"],
    )
    def test_what_reaches_for_the_machine_is_refused(self, server: Server, expression: str) -> None:
        text = f"""
tables: {{t: {{columns: {{a: text}}}}}}
access_patterns: {{steal: {{sql: "SELECT {expression}"}}}}
"""
        proof = prove(design(text), server, Plan(default_rows=1))
        assert "42501" in (proof.patterns[0].error or "")

    def test_a_pattern_that_returns_far_too_much(self, server: Server) -> None:
        text = """
tables: {t: {columns: {a: integer}}}
access_patterns: {flood: {sql: "SELECT x.a FROM t AS x, t AS y, t AS z"}}
"""
        proof = prove(design(text), server, Plan(default_rows=60))
        assert "returns more than 100,000 rows" in (proof.patterns[0].error or "")

    def test_a_killed_backend_ends_the_run_and_not_the_tool(self, server: Server) -> None:
        text = """
tables: {t: {columns: {a: integer}}}
access_patterns: {suicide: {sql: "SELECT pg_terminate_backend(pg_backend_pid())"}}
"""
        proof = prove(design(text), server, Plan(default_rows=1))
        assert proof.verdict == "failed"
        assert "57P01" in (proof.patterns[0].error or "")
        assert proof.broken is not None

    def test_a_default_that_cannot_be_evaluated(self, server: Server) -> None:
        text = (
            "tables: {t: {columns: {a: {type: text, default: \"pg_read_file('/etc/passwd')\"}, b: integer}}}"
        )
        proof = prove(design(text), server, Plan(default_rows=5))
        assert proof.verdict == "failed"
        assert [p.state for p in proof.constraints if p.kind == "default"] == ["failed"]

    def test_an_extension_that_reaches_beyond_the_database(self, server: Server) -> None:
        proof = prove(design("extensions: [dblink]\ntables: {t: {columns: {a: int}}}"), server, ROWS)
        assert proof.verdict == "not_provable"
        assert "dblink" in proof.reasons[0]

    def test_ids_as_an_array(self, server: Server) -> None:
        text = """
tables: {t: {columns: {id: {type: bigint, primary_key: true}, name: text, tags: "text[]"}}}
access_patterns:
  some: {sql: "SELECT name FROM t WHERE id = ANY(:ids)", parameters: {ids: "bigint[]"}, expected_rows: 5}
  named: {sql: "SELECT id FROM t WHERE name = ANY(:names)", parameters: {names: "text[]"}, expected_rows: 5}
  tagged: {sql: "SELECT id FROM t WHERE :tag = ANY(tags)", parameters: {tag: text}, expected_rows: 5}
"""
        proof = prove(design(text), server, ROWS)
        assert [measured.error for measured in proof.patterns] == [None, None, None]
        assert [measured.rows > 0 for measured in proof.patterns] == [True, True, True]

    def test_a_check_that_compares_with_the_identity(self, server: Server) -> None:
        text = """
tables:
  t:
    columns:
      id: {type: bigint, identity: always, primary_key: true}
      up: {type: bigint, nullable: true, references: {table: t, on_delete: cascade}}
    checks: {not_own_parent: up <> id}
"""
        proof = prove(design(text), server, ROWS)
        assert {(p.constraint, p.state) for p in proof.constraints if p.kind == "check"} == {
            ("not_own_parent", "proven")
        }

    def test_no_rows_is_no_proof(self, server: Server) -> None:
        proof = prove(design("tables: {t: {columns: {a: int}}}"), server, Plan(default_rows=0))
        assert proof.verdict == "not_provable"

    def test_a_pattern_over_an_empty_table_meets_nothing(self, server: Server) -> None:
        text = """
tables:
  t: {columns: {id: {type: bigint, primary_key: true}}}
  events:
    columns: {k: integer, a: text}
    partition_by: {list: k}
    partitions: {p1: IN (1), rest: default}
  some_rows: {columns: {id: {type: bigint, primary_key: true}}}
access_patterns:
  of_one: {sql: "SELECT id FROM t WHERE id = :id", parameters: {id: bigint}, latency_ms: 500}
  joined: {sql: "SELECT f.id FROM some_rows AS f JOIN events AS e ON e.k = f.id", latency_ms: 500}
  add: {sql: "INSERT INTO t (id) VALUES (:id)", parameters: {id: bigint}, latency_ms: 500}
  other: {sql: "SELECT id FROM some_rows WHERE id = :id", parameters: {id: bigint}, latency_ms: 500}
  slow: {sql: "SELECT id FROM t", latency_ms: 0.000001}
"""
        rows = {Name("public", "t"): 0, Name("public", "events"): 0}
        proof = prove(design(text), server, Plan(default_rows=20, rows=rows))
        told = {pattern["name"]: pattern["status"] for pattern in report.result(proof)["access_patterns"]}
        assert told == {
            "of_one": "not checked",
            "joined": "not checked",
            "add": "met",
            "other": "met",
            "slow": "missed",
        }
        shown = markdown(report.report(design(text), proof, "dpe schema prove model.yaml"))
        assert "500 ms (not checked: `t` is empty)" in shown
        assert "2 of 5 access patterns run and meet their target" in shown

    def test_patterns_cannot_leave_their_transaction(self, server: Server) -> None:
        """A write is rolled back, so a second pattern does not see it."""
        text = """
tables: {t: {columns: {id: {type: bigint, primary_key: true}, a: integer}}}
access_patterns:
  write: {sql: "DELETE FROM t WHERE id > 0"}
  look: {sql: "SELECT id FROM t"}
"""
        proof = prove(design(text), server, Plan(default_rows=50))
        assert [measured.rows for measured in proof.patterns] == [50, 50]


class TestTheCatalogMustBeEqual:
    """What somebody changed behind the model's back is seen, property by property."""

    @pytest.mark.parametrize(
        ("change", "object_", "property_"),
        [
            ("ALTER TABLE orders ALTER total TYPE numeric(12,2)", "column public.orders.total", "type"),
            ("ALTER TABLE orders ALTER state SET DEFAULT 'paid'", "column public.orders.state", "default"),
            (
                "ALTER TABLE orders ALTER placed_at DROP NOT NULL",
                "column public.orders.placed_at",
                "nullable",
            ),
            ("COMMENT ON TABLE orders IS 'x'", "table public.orders", "comment"),
            ("ALTER TYPE state ADD VALUE 'lost'", "type public.state", "labels"),
        ],
    )
    def test_changed(self, server: Server, change: str, object_: str, property_: str) -> None:
        with loaded(server, design(SHOP)) as (connection, _):
            connection.execute(change.encode())
            now = read(connection)
            found = differences(canonical(connection, design(SHOP), now), now)
        assert [(c.object, c.property) for c in found.changed] == [(object_, property_)]

    @pytest.mark.parametrize(
        ("change", "missing"),
        [
            ("DROP INDEX orders_total_idx", "index orders_total_idx on public.orders"),
            (
                "ALTER TABLE orders DROP CONSTRAINT orders_total_check",
                "constraint orders_total_check on public.orders",
            ),
        ],
    )
    def test_missing(self, server: Server, change: str, missing: str) -> None:
        with loaded(server, design(SHOP)) as (connection, _):
            connection.execute(change.encode())
            now = read(connection)
            assert differences(canonical(connection, design(SHOP), now), now).removed == (missing,)


class TestProbesCanFail:
    """The prober believes a catalog from which the server has been changed since: it must notice."""

    @pytest.mark.parametrize(
        ("change", "constraint"),
        [
            ("ALTER TABLE orders DROP CONSTRAINT orders_total_check", "orders_total_check"),
            ("ALTER TABLE customers DROP CONSTRAINT customers_email_key", "customers_email_key"),
            ("ALTER TABLE order_items DROP CONSTRAINT order_items_pkey", "order_items_pkey"),
            ("ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey", "orders_customer_id_fkey"),
            ("ALTER TABLE orders ALTER placed_at DROP NOT NULL", "placed_at"),
        ],
    )
    def test_a_constraint_that_is_gone(self, server: Server, change: str, constraint: str) -> None:
        with loaded(server, design(SHOP)) as (connection, database):
            probes = _probed(connection, database, change)
        assert "proven" not in {probe.state for probe in probes if probe.constraint == constraint}

    @pytest.mark.parametrize(
        ("table", "constraint", "action"),
        [
            ("orders", "orders_customer_id_fkey", "CASCADE"),
            ("order_items", "order_items_order_id_fkey", "RESTRICT"),
            ("customers", "customers_referrer_id_fkey", "CASCADE"),
            ("customers", "customers_referrer_id_fkey", "NO ACTION"),
        ],
    )
    def test_an_on_delete_that_does_something_else(
        self, server: Server, table: str, constraint: str, action: str
    ) -> None:
        with loaded(server, design(SHOP)) as (connection, database):
            key = next(k for t in database.tables for k in t.foreign_keys if k.name == constraint)
            sql = (
                f"ALTER TABLE {table} DROP CONSTRAINT {constraint}, ADD CONSTRAINT {constraint} "
                f"FOREIGN KEY ({key.columns[0]}) REFERENCES {key.target.name} ON DELETE {action}"
            )
            generator = _filled(connection, database)
            connection.execute(sql.encode())
            probes = list(probe_deletes(Trials(connection, generator, database)))
        assert {probe.state for probe in probes if probe.constraint == constraint} == {"failed"}


class loaded:  # noqa: N801 - reads as a statement
    """A scratch database with the design in it, and its catalog."""

    def __init__(self, server: Server, wanted: Design) -> None:
        self._scratch = server.scratch_database()
        self._design = wanted

    def __enter__(self) -> tuple[psycopg.Connection[Any], Database]:
        database = self._scratch.__enter__()
        self._connection = psycopg.connect(database.conninfo, autocommit=True)
        for statement in statements(self._design):
            self._connection.execute(statement.sql.encode())
        return self._connection, read(self._connection)

    def __exit__(self, *exc: object) -> None:
        self._connection.close()
        self._scratch.__exit__(None, None, None)


def _filled(connection: psycopg.Connection[Any], database: Database) -> Generator:
    generator = Generator(database, {table.name: 50 for table in database.tables}, {}, 1)
    generator.fill(connection)
    return generator


def _probed(connection: psycopg.Connection[Any], database: Database, change: str) -> Iterator[Probe]:
    generator = _filled(connection, database)
    connection.execute(change.encode())
    return iter(list(probe_constraints(Trials(connection, generator, database))))


def test_plan_takes_the_smaller_of_ten_thousand_and_what_is_expected() -> None:
    small = design("tables: {few: {rows: 12, columns: {a: int}}, many: {rows: 1000000, columns: {a: int}}}")
    few, many = Name("public", "few"), Name("public", "many")
    assert Plan().rows_of(small) == {few: 12, many: 10_000}
    assert Plan(default_rows=7).rows_of(small) == {few: 7, many: 7}
    assert Plan(default_rows=50_000).rows_of(small) == {few: 12, many: 50_000}
    assert Plan(rows={many: 3}).rows_of(small) == {few: 12, many: 3}
