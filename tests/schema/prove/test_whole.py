"""Whole proofs of designs with partitions, policies, triggers, views and roles: verdict, report, findings, JSON."""

from __future__ import annotations

import json

import pytest

from data_platform.postgres.server import Server
from data_platform.report.markdown import markdown
from data_platform.schema.prove import report
from data_platform.schema.prove.findings import findings
from data_platform.schema.prove.prove import Plan, prove
from data_platform.schema.prove.result import Proof
from schema.designs import design

MODEL = """
roles: {wh_api: {}}
functions:
  stamp: {returns: trigger, body: "BEGIN NEW.name := lower(NEW.name); RETURN NEW; END"}
  stop: {returns: trigger, body: "BEGIN RAISE EXCEPTION 'no insert while loading'; END"}
tables:
  tenants: {rows: 4, columns: {id: {type: uuid, primary_key: true}, name: text}}
  orders:
    columns:
      tenant_id:
        default: nullif(current_setting('app.tenant_id', true), '')::uuid
        references: {table: tenants, on_delete: cascade}
      id: {type: bigint, identity: always}
      at: timestamptz
      name: text
    primary_key: [tenant_id, id, at]
    indexes: [[at]]
    partition_by: {range: at}
    partitions:
      o2025: "FROM ('2025-01-01 00:00:00+00') TO ('2026-01-01 00:00:00+00')"
      o2026: "FROM ('2026-01-01 00:00:00+00') TO ('2027-01-01 00:00:00+00')"
      later: default
    row_security: forced
    policies: {own: {using: "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"}}
    triggers: {stamp: {timing: before, events: [insert, update], function: stamp}}
  guarded:
    columns: {id: {type: bigint, primary_key: true}, name: text}
    triggers: {stop: {timing: before, events: insert, function: stop}}
  old:
    columns: {id: {type: bigint, primary_key: true}, total: {type: integer, check: total > 0}}
    checks: {loose: {expression: total < 10, enforced: false}}
  base: {columns: {id: {type: bigint, primary_key: true}}}
  child: {inherits: base, columns: {more: text}}
  rooms:
    columns: {room: integer, during: tstzrange}
    primary_key: {columns: [room, during], without_overlaps: true}
extensions: [btree_gist]
views: {names: {query: "SELECT id, name FROM orders", options: {security_invoker: true}}}
materialized_views: {totals: {query: "SELECT id, total FROM old", indexes: [{columns: [id], unique: true}]}}
grants:
  - {on: table orders, to: wh_api, privileges: [select, insert, update, delete]}
  - {on: table names, to: wh_api, privileges: select}
access_patterns:
  totals_of:
    sql: "SELECT total FROM totals WHERE id = :id"
    parameters: {id: {type: bigint, from: old.id}}
    expected_rows: 1
  add_order:
    sql: "INSERT INTO orders (at, name) VALUES (:at, :name)"
    parameters: {at: timestamptz, name: text}
  of_a_day: {sql: "SELECT name FROM orders WHERE at = :at", parameters: {at: timestamptz}, expected_rows: 1}
"""


@pytest.fixture(scope="module")
def proof(server: Server) -> Proof:
    return prove(design(MODEL), server, Plan(default_rows=60))


def test_all_of_it_is_proven(proof: Proof) -> None:
    assert (proof.broken, proof.refused) == (None, None)
    assert proof.catalog is not None
    assert proof.catalog.equal, proof.catalog
    assert (proof.verdict, proof.reasons) == ("proven", ())


def test_only_tables_that_hold_rows_are_filled(proof: Proof) -> None:
    rows = {str(fill.table): fill.rows for fill in proof.filled}
    assert rows == {
        "public.tenants": 4,
        "public.orders": 60,
        "public.guarded": 60,
        "public.old": 60,
        "public.base": 60,
        "public.child": 60,
        "public.rooms": 60,
    }


def test_constraints_are_tried_in_spite_of_triggers(proof: Proof) -> None:
    states = {(str(p.table), p.kind, p.constraint): (p.state, p.detail) for p in proof.constraints}
    assert states["public.guarded", "primary key", "guarded_pkey"][0] == "proven"
    assert states["public.orders", "primary key", "orders_pkey"][0] == "proven"
    assert states["public.base", "primary key", "base_pkey"][0] == "proven"
    assert states["public.rooms", "primary key", "rooms_pkey"] == (
        "proven",
        "the key of another row: refused (23P01)",
    )
    assert states["public.old", "check", "loose"][0] == "not checked"
    assert "NOT ENFORCED" in states["public.old", "check", "loose"][1]
    assert not [table for table, _, _ in states if table.startswith("public.o2")]


def test_a_materialized_view_has_rows_when_patterns_run(proof: Proof) -> None:
    assert {measured.pattern.name: measured.rows for measured in proof.patterns}["totals_of"] == 1


def test_a_default_that_is_the_sessions_tenant_is_tried_with_one(proof: Proof) -> None:
    states = {(str(p.table), p.constraint): p.state for p in proof.constraints if p.kind == "default"}
    assert states["public.orders", "tenant_id"] == "proven"
    assert {measured.pattern.name: measured.error for measured in proof.patterns}["add_order"] is None


def test_an_index_of_a_partitioned_table_is_told_once(proof: Proof) -> None:
    told = [(str(use.table), use.index) for use in proof.indexes]
    assert told == [("public.orders", "orders_at_idx")]
    assert any("`of_a_day`" in reason for reason in proof.indexes[0].reasons)


def test_every_stage_had_something_to_do(proof: Proof) -> None:
    assert all(proof.claims.values())
    assert [refresh.state for refresh in proof.refreshes] == ["proven"]
    assert (proof.aside.triggers, proof.aside.forced) == (5, 1)


def test_the_report_tells_each_stage(proof: Proof) -> None:
    text = markdown(report.report(design(MODEL), proof, "dpe schema prove model.yaml"))
    for heading in ("Tenant isolation", "Partitions", "Triggers", "Privileges", "Materialized views"):
        assert f"## {heading}" in text
    assert "with 5 triggers and 1 table's row-level security set aside" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") <= 8


def test_the_json_has_all_of_it(proof: Proof) -> None:
    told = report.result(proof)
    assert json.loads(json.dumps(told)) == told
    assert {"isolation", "partitions", "refreshes", "triggers", "grants", "left_out", "set_aside"} <= set(
        told
    )
    assert {"object", "kind", "claim", "role", "state", "detail", "table", "warning"} == set(
        told["isolation"][0]
    )


def test_what_is_broken_fails_and_is_told_with_its_place(server: Server) -> None:
    text = MODEL.replace(", options: {security_invoker: true}", "").replace(
        "row_security: forced", "row_security: on"
    )
    wrong = design(text)
    broken = prove(wrong, server, Plan(default_rows=60))
    assert broken.verdict == "failed"
    assert any("`public.names`" in reason for reason in broken.reasons)
    found = [finding for finding in findings(wrong, broken) if finding.rule == "isolation-broken"]
    assert {finding.object for finding in found} == {"public.names"}
    assert all(finding.line and finding.evidence == "measured" for finding in found)
    shown = markdown(report.report(wrong, broken, "dpe schema prove model.yaml"))
    assert "**failed**" in shown.split("## Tenant isolation", 1)[1]


def test_a_design_with_none_of_it_has_no_sections(server: Server) -> None:
    plain = design("tables: {t: {columns: {a: integer}}}")
    proof = prove(plain, server, Plan(default_rows=5))
    assert not any(proof.claims.values())
    text = markdown(report.report(plain, proof, "dpe schema prove model.yaml"))
    assert "Tenant isolation" not in text
    assert "set aside" not in text
