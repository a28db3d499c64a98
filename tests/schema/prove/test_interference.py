"""Views and functions asked with and without another tenant's rows: what leaks is found by its answer."""

from __future__ import annotations

import pytest

from data_platform.postgres.server import Server
from data_platform.schema.prove.interference import NOTHING, SILENT, UNTOUCHED
from data_platform.schema.prove.isolation import isolation
from data_platform.schema.prove.result import Claim

from .grounds import failed, filled, states

MODEL = """
schema: app
roles: {leak_api: {}, leak_owner: {}, leak_bypass: {bypass_row_security: true}}
functions:
  tenant:
    {language: sql, returns: uuid, volatility: stable,
     sql_body: "RETURN nullif(current_setting('app.tenant_id', true), '')::uuid"}
  of_order:
    {language: sql, arguments: "p_order_id bigint", returns: text, volatility: stable,
     body: "SELECT name FROM app.orders WHERE id = p_order_id"}
  of_any_order:
    {language: sql, arguments: "p_order_id bigint", returns: text, volatility: stable, security_definer: true,
     body: "SELECT name FROM app.orders WHERE id = p_order_id"}
  wipe: {returns: void, security_definer: true, body: "BEGIN DELETE FROM app.orders; END"}
  wipe_own: {returns: void, body: "BEGIN DELETE FROM app.orders; END"}
  dice: {language: sql, returns: double precision, body: "SELECT random()"}
  any_kind: {language: sql, arguments: "x anyelement", returns: integer, body: "SELECT 1"}
tables:
  orders:
    columns:
      tenant_id: {type: uuid, data: {distinct: 4}}
      id: {type: bigint, primary_key: true}
      name: text
    row_security: on
    policies: {own: {using: "tenant_id = app.tenant()"}}
  plans: {columns: {id: {type: bigint, primary_key: true}, name: text}}
views:
  safe: {query: "SELECT id, name FROM app.orders", options: {security_invoker: true}}
  unsafe: "SELECT id, name FROM app.orders"
  bypassing: {query: "SELECT id, name FROM app.orders", owner: leak_bypass}
  over_summary: "SELECT n FROM app.summary"
  public_plans: "SELECT id, name FROM app.plans"
  closed: "SELECT id FROM app.orders"
materialized_views:
  summary: "SELECT tenant_id, count(*) AS n FROM app.orders GROUP BY 1"
grants:
  - {on: schema app, to: leak_api, privileges: usage}
  - {on: schema app, to: leak_bypass, privileges: usage}
  - {on: table app.orders, to: leak_bypass, privileges: select}
  - {on: table app.orders, to: leak_api, privileges: [select, insert, update, delete]}
  - {on: table app.safe, to: leak_api, privileges: select}
  - {on: table app.unsafe, to: leak_api, privileges: select}
  - {on: table app.bypassing, to: leak_api, privileges: select}
  - {on: table app.summary, to: leak_api, privileges: select}
  - {on: table app.over_summary, to: leak_api, privileges: select}
  - {on: table app.public_plans, to: leak_api, privileges: select}
"""


@pytest.fixture(scope="module")
def claims(server: Server) -> tuple[Claim, ...]:
    with filled(server, MODEL) as (ground, _, _):
        return isolation(ground)


@pytest.mark.parametrize(
    ("object_", "broken"),
    [
        ("safe", set()),
        ("public_plans", set()),
        ("closed", set()),
        ("tenant()", set()),
        ("of_order(p_order_id bigint)", set()),
        ("wipe_own()", set()),
        ("unsafe", {NOTHING, SILENT}),
        ("bypassing", {NOTHING, SILENT}),
        ("summary", {NOTHING, SILENT}),
        ("over_summary", {NOTHING, SILENT}),
        ("of_any_order(p_order_id bigint)", {NOTHING, SILENT}),
        ("wipe()", {UNTOUCHED}),
    ],
)
def test_what_leaks_is_found(claims: tuple[Claim, ...], object_: str, broken: set[str]) -> None:
    assert {promise for name, promise in failed(claims) if name == object_} == broken


def test_the_reason_is_given(claims: tuple[Claim, ...]) -> None:
    told = {claim.object: claim.detail for claim in claims if claim.state == "failed"}
    assert "security_invoker" in told["app.unsafe"]
    assert "`leak_bypass`" in told["app.bypassing"]
    assert "SECURITY DEFINER" in told["app.of_any_order(p_order_id bigint)"]
    assert "no policy holds for a materialized view" in told["app.summary"]


def test_what_cannot_be_tried_is_said(claims: tuple[Claim, ...]) -> None:
    told = states(claims)
    assert told["dice()", SILENT] == "not checked"
    assert told["any_kind(x anyelement)", SILENT] == "not checked"
    details = {(claim.object, claim.claim): claim.detail for claim in claims}
    assert details["app.dice()", SILENT] == "it never answers the same twice"
    assert "anyelement" in details["app.any_kind(x anyelement)", SILENT]


def test_a_view_of_a_forced_table_is_safe_with_its_owner(server: Server) -> None:
    text = """
tables:
  orders:
    columns: {tenant_id: {type: uuid, data: {distinct: 4}}, id: {type: bigint, primary_key: true}}
    row_security: forced
    policies: {own: {using: "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"}}
views: {v: "SELECT id FROM orders"}
"""
    with filled(server, text) as (ground, _, _):
        found = isolation(ground)
    assert failed(found) == set()
    assert states(found)["v", SILENT] == "proven"


OPEN = """
roles: {leak_app: {}}
tables:
  tenants: {rows: 8, columns: {id: {type: uuid, primary_key: true}, name: text}}
  patients:
    columns: {tenant_id: {references: {table: tenants, on_delete: cascade}}, id: integer}
    primary_key: [tenant_id, id]
    row_security: forced
    policies: {own: {using: "tenant_id = nullif(current_setting('app.tenant', true), '')::uuid"}}
  visits:
    columns: {tenant_id: {references: {table: tenants, on_delete: cascade}}, id: integer, fee: integer}
    primary_key: [tenant_id, id]
  lines:
    columns: {id: {type: bigint, primary_key: true}, tenant: uuid, visit: integer, text: text}
    foreign_keys:
      - {columns: [tenant, visit], references: {table: visits, columns: [tenant_id, id]}, on_delete: cascade}
  prices: {columns: {id: {type: bigint, primary_key: true}, amount: integer}}
views:
  fees: SELECT tenant_id, id, fee FROM visits
  texts: SELECT id, text FROM lines
  price_list: SELECT id, amount FROM prices
  own: {query: SELECT id FROM patients, options: {security_invoker: true}}
materialized_views: {fee_sums: "SELECT tenant_id, sum(fee) AS s FROM visits GROUP BY 1"}
functions:
  all_fees: {arguments: "", returns: bigint, language: sql, volatility: stable, body: SELECT sum(fee) FROM visits}
grants:
  - {on: table patients, to: leak_app, privileges: select}
  - {on: table visits, to: leak_app, privileges: select}
  - {on: table lines, to: leak_app, privileges: select}
  - {on: table fees, to: leak_app, privileges: select}
  - {on: table texts, to: leak_app, privileges: select}
  - {on: table price_list, to: leak_app, privileges: select}
  - {on: table own, to: leak_app, privileges: select}
  - {on: table fee_sums, to: leak_app, privileges: select}
"""


@pytest.fixture(scope="module")
def open_claims(server: Server) -> tuple[Claim, ...]:
    with filled(server, OPEN) as (ground, _, _):
        return isolation(ground)


@pytest.mark.parametrize("object_", ["fees", "texts", "fee_sums", "all_fees()"])
@pytest.mark.parametrize("promise", [NOTHING, SILENT])
def test_rows_that_no_policy_guards_leak(open_claims: tuple[Claim, ...], object_: str, promise: str) -> None:
    assert states(open_claims)[object_, promise] == "failed"


@pytest.mark.parametrize("object_", ["price_list", "own"])
def test_what_is_everybodys_or_guarded_does_not(open_claims: tuple[Claim, ...], object_: str) -> None:
    assert states(open_claims)[object_, SILENT] == states(open_claims)[object_, NOTHING] == "proven"


def test_the_table_without_policies_is_named(open_claims: tuple[Claim, ...]) -> None:
    told = {claim.object: claim.detail for claim in open_claims if claim.state == "failed"}
    assert told["public.fees"] == "it reads `public.visits`, which has no row-level security"


def _details(server: Server, change: str) -> dict[tuple[str, str], tuple[str, str]]:
    with filled(server, OPEN) as (ground, _, _):
        ground.connection.execute(change.encode())
        claims = isolation(ground)
    return {(claim.object, claim.claim): (claim.state, claim.detail) for claim in claims}


def test_an_empty_table_proves_nothing(server: Server) -> None:
    told = _details(server, "TRUNCATE visits, lines; REFRESH MATERIALIZED VIEW fee_sums")
    empty = ("not checked", "the table is empty: `public.visits`")
    for object_ in ("public.fees", "public.fee_sums", "public.all_fees()"):
        assert told[object_, SILENT] == told[object_, NOTHING] == empty
    assert told["public.own", SILENT] == ("proven", "the same answer")


def test_nobody_elses_rows_prove_nothing(server: Server) -> None:
    """Rows of the one tenant that asks, and of no other."""
    told = _details(
        server,
        """
        ALTER TABLE patients NO FORCE ROW LEVEL SECURITY;
        DELETE FROM visits;
        INSERT INTO visits SELECT tenant_id, 1, 1 FROM patients GROUP BY 1 ORDER BY count(*) DESC, tenant_id LIMIT 1;
        ALTER TABLE patients FORCE ROW LEVEL SECURITY
        """,
    )
    assert told["public.fees", SILENT] == ("not checked", "no other tenant has a row in `public.visits`")
    assert told["public.fees", NOTHING][0] == "failed"
