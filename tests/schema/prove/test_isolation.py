"""Tables tried as another tenant: what is right is proven, and each hole in a policy is found."""

from __future__ import annotations

import pytest

from data_platform.postgres.server import Server
from data_platform.schema.prove.isolation import isolation
from data_platform.schema.prove.promises import (
    COPIED,
    EMPTY,
    GUARDED,
    INSERTED,
    MOVED,
    OWN,
    REFERRED,
    TOUCHED,
    UNSET,
)
from data_platform.schema.prove.result import Claim

from .grounds import failed, filled, states

CLOSED = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
COLUMNS = """
      tenant_id: {references: {table: tenants, on_delete: cascade}}
      id: {type: bigint, identity: always}
      name: text"""

GOOD = f"""
tables:
  tenants:
    rows: 5
    columns: {{id: {{type: uuid, primary_key: true}}, name: text}}
    row_security: forced
    policies: {{own: {{using: "id = nullif(current_setting('app.tenant_id', true), '')::uuid"}}}}
  orders:
    columns:{COLUMNS}
    primary_key: [tenant_id, id]
    row_security: forced
    policies: {{own: {{using: "{CLOSED}"}}}}
  items:
    columns: {{tenant_id: uuid, order_id: bigint, line: integer}}
    primary_key: [tenant_id, order_id, line]
    foreign_keys:
      - {{columns: [tenant_id, order_id], references: {{table: orders, columns: [tenant_id, id]}}, on_delete: cascade}}
    row_security: forced
    policies: {{own: {{using: "{CLOSED}"}}}}
"""


def _table(name: str, security: str, policies: str) -> str:
    return f"""
  {name}:
    columns:{COLUMNS}
    primary_key: [tenant_id, id]
    row_security: {security}
    policies: {{{policies}}}
"""


READ = f'own: {{command: select, using: "{CLOSED}"}}'
ALL = 'own: {command: select, using: "true"}'
BROKEN = f"""
tables:
  tenants: {{rows: 5, columns: {{id: {{type: uuid, primary_key: true}}, name: text}}}}
  forgotten:
    columns:{COLUMNS}
    primary_key: [tenant_id, id]
{_table("good", "forced", f'own: {{using: "{CLOSED}"}}')}
{_table("not_forced", "on", f'own: {{using: "{CLOSED}"}}')}
{_table("opens", "forced", f'''own: {{using: "current_setting('app.tenant_id', true) IS NULL OR {CLOSED}"}}''')}
{_table("opens_empty", "forced", f'''own: {{using: "current_setting('app.tenant_id', true) = '' OR {CLOSED}"}}''')}
{_table("errs", "forced", '''own: {using: "tenant_id = current_setting('app.tenant_id')::uuid"}''')}
{_table("errs_empty", "forced", '''own: {using: "tenant_id = current_setting('app.tenant_id', true)::uuid"}''')}
{_table("stray", "forced", f'''own: {{using: "{CLOSED}"}}, all: {{command: select, using: "true"}}''')}
{_table("unchecked", "forced", f'{READ}, w: {{command: insert, with_check: "true"}}')}
{_table("movable", "forced", f'{ALL}, w: {{command: update, using: "{CLOSED}", with_check: "true"}}')}
{_table("wiped", "forced", f'{READ}, w: {{command: delete, using: "true"}}')}
{_table("stolen", "forced", f'{READ}, w: {{command: update, using: "true", with_check: "{CLOSED}"}}')}
{_table("blind", "forced", '''own: {using: "tenant_id::text = md5(current_setting('app.tenant_id', true))"}''')}
"""


@pytest.fixture(scope="module")
def broken(server: Server) -> tuple[Claim, ...]:
    with filled(server, BROKEN) as (ground, _, _):
        return isolation(ground)


def test_a_design_that_isolates_is_proven(server: Server) -> None:
    with filled(server, GOOD) as (ground, _, _):
        claims = isolation(ground)
    assert {claim.state for claim in claims} == {"proven"}
    told = states(claims)
    for table in ("tenants", "orders", "items"):
        for promise in (UNSET, EMPTY, OWN, INSERTED, MOVED, TOUCHED):
            assert told[table, promise] == "proven", (table, promise)
    assert told["items", REFERRED] == "proven"


@pytest.mark.parametrize(
    ("table", "promises"),
    [
        ("good", set()),
        ("forgotten", {GUARDED}),
        ("not_forced", {GUARDED}),
        ("opens", {UNSET}),
        ("opens_empty", {EMPTY}),
        ("errs", {UNSET, EMPTY}),
        ("errs_empty", {EMPTY}),
        ("stray", {UNSET, EMPTY, OWN}),
        ("unchecked", {INSERTED}),
        ("wiped", {TOUCHED}),
        ("stolen", {TOUCHED}),
        ("blind", {OWN}),
    ],
)
def test_each_hole_is_found(broken: tuple[Claim, ...], table: str, promises: set[str]) -> None:
    assert {promise for object_, promise in failed(broken) if object_ == table} == promises


def test_rows_that_can_be_moved_to_another_tenant(broken: tuple[Claim, ...]) -> None:
    assert ("movable", MOVED) in failed(broken)


def test_what_failed_says_how_many_rows(broken: tuple[Claim, ...]) -> None:
    details = {(c.object, c.claim): c.detail for c in broken}
    assert details["public.stray", UNSET] == "40 rows are visible"
    assert "rows of other tenants are visible" in details["public.stray", OWN]
    assert "unrecognized configuration parameter" in details["public.errs", UNSET]


def test_a_reference_that_may_cross_tenants_is_a_warning(server: Server) -> None:
    text = f"""
tables:
  orders:
    columns: {{tenant_id: uuid, id: {{type: bigint, primary_key: true}}}}
    row_security: forced
    policies: {{own: {{using: "{CLOSED}"}}}}
  items:
    columns:
      tenant_id: uuid
      id: {{type: bigint, primary_key: true}}
      order_id: {{references: {{table: orders, on_delete: cascade}}}}
    row_security: forced
    policies: {{own: {{using: "{CLOSED}"}}}}
"""
    with filled(server, text.replace("tenant_id: uuid", "tenant_id: {type: uuid, data: {distinct: 4}}")) as (
        ground,
        _,
        _,
    ):
        claims = [claim for claim in isolation(ground) if claim.claim == REFERRED]
    assert [(claim.state, bool(claim.warning)) for claim in claims] == [("not checked", True)]


def test_a_composite_key_that_is_gone_is_found(server: Server) -> None:
    """The prober believes the catalog: the server has lost the key since."""
    with filled(server, GOOD) as (ground, _, _):
        ground.connection.execute("ALTER TABLE items DROP CONSTRAINT items_tenant_id_order_id_fkey")
        ground.connection.execute(
            "ALTER TABLE items ADD CONSTRAINT items_tenant_id_order_id_fkey CHECK (true)"
        )
        assert ("items", REFERRED) in failed(isolation(ground))


ROLES = f"""
roles: {{iso_api: {{}}, iso_support: {{}}, iso_batch: {{}}}}
tables:
  orders:
    columns: {{tenant_id: {{type: uuid, data: {{distinct: 4}}}}, id: {{type: bigint, primary_key: true}}}}
    row_security: on
    policies:
      own: {{using: "{CLOSED}", roles: [iso_api]}}
      support: {{command: select, using: "true", roles: [iso_support]}}
  secret: {{columns: {{tenant_id: uuid, id: {{type: bigint, primary_key: true}}}}}}
grants:
  - {{on: table orders, to: iso_api, privileges: [select, insert]}}
  - {{on: table orders, to: iso_support, privileges: select}}
"""


def test_the_role_that_policies_are_for_is_tried_and_others_are_not(server: Server) -> None:
    with filled(server, ROLES) as (ground, _, _):
        claims = isolation(ground)
    assert {claim.role for claim in claims} == {"iso_api"}
    assert failed(claims) == set()
    assert states(claims)["secret", GUARDED] == "proven", "no tenant may read it"


def test_a_tenant_in_a_json_object(server: Server) -> None:
    using = "tenant_id = (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'tenant')::uuid"
    text = f"""
functions:
  tenant: {{language: sql, returns: uuid, volatility: stable, body: "SELECT ({using.partition(" = ")[2]})"}}
tables:
  a:
    columns: {{tenant_id: {{type: uuid, data: {{distinct: 4}}}}, id: {{type: bigint, primary_key: true}}}}
    row_security: forced
    policies: {{own: {{using: "tenant_id = tenant()"}}}}
"""
    with filled(server, text) as (ground, _, _):
        claims = isolation(ground)
    assert failed(claims) == set()
    assert states(claims)["a", OWN] == "proven"


LOOKED_UP = f"""
tables:
  orders:
    columns: {{tenant_id: {{type: uuid, data: {{distinct: 4}}}}, id: {{type: bigint, primary_key: true}}}}
    row_security: forced
    policies: {{own: {{using: "{CLOSED}"}}}}
  notes:
    columns:
      id: {{type: bigint, primary_key: true}}
      order_id: {{references: {{table: orders, on_delete: cascade}}}}
    row_security: forced
    policies: {{own: {{using: "EXISTS (SELECT FROM orders AS o WHERE o.id = order_id AND POLICY)"}}}}
"""


@pytest.mark.parametrize(
    ("policy", "broken"),
    [
        (f"o.{CLOSED}", set()),
        (
            "current_setting('app.tenant_id', true) IS NOT NULL AND current_setting('app.tenant_id', true) <> ''",
            {OWN},
        ),
    ],
)
def test_a_tenant_looked_up_in_another_table(server: Server, policy: str, broken: set[str]) -> None:
    """Row-level security of the table that is looked into holds in the policy too, so it is off for the second case."""
    text = LOOKED_UP.replace("POLICY", policy)
    change = "ALTER TABLE orders DISABLE ROW LEVEL SECURITY" if broken else ""
    if broken:
        text = text.replace("POLICY", policy)
    with filled(server, text) as (ground, _, _):
        if change:
            ground.connection.execute("ALTER TABLE orders NO FORCE ROW LEVEL SECURITY")
        assert {promise for object_, promise in failed(isolation(ground)) if object_ == "notes"} >= broken


def test_a_partition_read_by_its_own_name_is_a_warning(server: Server) -> None:
    text = f"""
tables:
  a:
    columns: {{tenant_id: {{type: uuid, data: {{distinct: 4}}}}, id: bigint}}
    primary_key: [tenant_id, id]
    row_security: forced
    policies: {{own: {{using: "{CLOSED}"}}}}
    partition_by: {{hash: id}}
    partitions: {{a0: "WITH (modulus 2, remainder 0)", a1: "WITH (modulus 2, remainder 1)"}}
"""
    with filled(server, text) as (ground, _, _):
        claims = isolation(ground)
    assert failed(claims) == set()
    assert [bool(claim.warning) for claim in claims if claim.claim == OWN] == [True]


def test_without_policies_that_read_a_setting_there_is_nothing_to_do(server: Server) -> None:
    text = 'tables: {a: {columns: {b: integer}, row_security: on, policies: {p: {using: "b > 0"}}}}'
    with filled(server, text) as (ground, _, _):
        assert isolation(ground) == ()


def test_an_empty_table_proves_nothing(server: Server) -> None:
    with filled(server, GOOD) as (ground, _, _):
        ground.connection.execute("TRUNCATE items")
        claims = [claim for claim in isolation(ground) if claim.object == "public.items"]
    assert {claim.claim for claim in claims} == {UNSET, EMPTY, OWN}
    assert {(claim.state, claim.detail) for claim in claims} == {("not checked", "the table is empty")}


LOG = """
tables:
  log: {columns: {id: {type: bigint, identity: always, primary_key: true}, what: text}}
  counts: {columns: {id: {type: bigint, identity: always, primary_key: true}}}
  orders:
    columns: {tenant_id: {type: uuid, data: {distinct: 4}}, id: {type: bigint, primary_key: true}}
    row_security: SECURITY
    policies: {own: {using: "CLOSED"}}
    triggers:
      tell: {timing: after, events: [insert, update, delete], function: tell}
      quiet: {timing: before, events: insert, function: quiet}
functions:
  tell:
    returns: trigger
    security_definer: true
    body: "BEGIN INSERT INTO public.log (what) VALUES (TG_OP); RETURN NULL; END"
  quiet: {returns: trigger, body: "BEGIN RETURN NEW; END"}
""".replace("CLOSED", CLOSED)
APP = """
roles: {copy_app: {}}
grants:
  - {on: table orders, to: copy_app, privileges: [select, insert, update, delete]}
"""


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (LOG.replace("SECURITY", "forced"), "failed"),
        (LOG.replace("SECURITY", "on") + APP, "proven"),
        (
            LOG.replace("SECURITY", "on") + APP + "  - {on: table log, to: copy_app, privileges: select}\n",
            "failed",
        ),
        (LOG.replace("SECURITY", "on"), "not checked"),
    ],
)
def test_rows_that_a_trigger_copies(server: Server, text: str, state: str) -> None:
    with filled(server, text) as (ground, _, _):
        (claim,) = [claim for claim in isolation(ground) if claim.claim == COPIED]
    assert (claim.object, claim.state) == ("public.orders", state)
    assert claim.detail.startswith("`tell` writes to `public.log`, ")


def test_a_log_with_row_security_is_not_told(server: Server) -> None:
    guarded = LOG.replace(
        "primary_key: true}, what: text}}", 'primary_key: true}, what: text}, row_security: "on"}'
    )
    with filled(server, guarded.replace("SECURITY", "forced")) as (ground, _, _):
        assert [claim for claim in isolation(ground) if claim.claim == COPIED] == []
