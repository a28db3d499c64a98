"""Privileges tried as each role: what is granted works, what is not is refused, and what is wrong is found."""

from __future__ import annotations

import pytest

from data_platform.postgres.server import Server
from data_platform.schema.prove.grants import HOLDS, LATER, grants
from data_platform.schema.prove.result import Claim

from .grounds import filled

MODEL = """
schema: app
roles:
  gr_reader: {}
  gr_writer: {member_of: [gr_reader]}
  gr_apart: {member_of: [gr_reader], inherit: false}
  gr_columns: {}
  gr_outside: {}
  gr_owner: {}
schemas: {app: {owner: gr_owner}}
functions:
  open: {language: sql, returns: integer, body: SELECT 1}
  closed: {language: sql, returns: integer, body: SELECT 1}
  half_closed: {language: sql, returns: integer, body: SELECT 1}
sequences: {numbers: {}}
tables:
  orders:
    owner: gr_owner
    columns: {id: {type: bigint, identity: always, primary_key: true}, name: text, secret: text}
  other: {columns: {id: {type: bigint, primary_key: true}}}
views: {v: "SELECT id FROM app.other"}
grants:
  - {on: schema app, to: gr_reader, privileges: usage}
  - {on: schema app, to: gr_columns, privileges: usage}
  - {on: table app.orders, to: gr_reader, privileges: select}
  - {on: table app.orders, to: gr_writer, privileges: [insert, update, delete]}
  - {on: table app.orders, to: gr_columns, privileges: [select, update], columns: [id, name]}
  - {on: table app.orders, to: gr_outside, privileges: select}
  - {on: table app.v, to: gr_reader, privileges: select}
  - {on: sequence app.numbers, to: gr_writer, privileges: usage}
  - {on: function app.closed(), to: gr_writer, privileges: execute}
  - {on: function app.closed(), from: public, privileges: execute}
  - {on: function app.half_closed(), to: gr_writer, privileges: execute}
default_privileges:
  - {on: tables, schema: app, owner: gr_owner, to: gr_reader, privileges: select}
  - {on: functions, owner: gr_owner, from: public, privileges: execute}
"""


@pytest.fixture(scope="module")
def claims(server: Server) -> tuple[Claim, ...]:
    with filled(server, MODEL) as (ground, design, _):
        return grants(ground, design.database.grants, design.database.default_privileges)


def _of(claims: tuple[Claim, ...], role: str, object_: str) -> Claim:
    (found,) = [c for c in claims if (c.role, c.object, c.claim) == (role, object_, HOLDS)]
    return found


@pytest.mark.parametrize(
    ("role", "object_", "detail"),
    [
        ("gr_reader", "app.orders", "SELECT works; INSERT, UPDATE, DELETE refused"),
        ("gr_writer", "app.orders", "SELECT, INSERT, UPDATE, DELETE works"),
        ("gr_apart", "app.orders", "SELECT, INSERT, UPDATE, DELETE refused"),
        ("gr_owner", "app.orders", "SELECT, INSERT, UPDATE, DELETE works"),
        ("gr_reader", "app.other", "SELECT, INSERT, UPDATE, DELETE refused"),
        ("gr_reader", "app.v", "SELECT works; INSERT, UPDATE, DELETE refused"),
        ("gr_writer", "app.numbers", "USAGE works; SELECT refused"),
        ("gr_reader", "app.numbers", "USAGE, SELECT refused"),
        ("gr_reader", "app", "USAGE works; CREATE refused"),
        ("gr_owner", "app", "USAGE, CREATE works"),
        ("gr_writer", "app.closed()", "EXECUTE works"),
        ("gr_reader", "app.closed()", "EXECUTE refused"),
        ("gr_reader", "app.open()", "EXECUTE works"),
        ("gr_outside", "app.open()", "EXECUTE refused"),
    ],
)
def test_what_is_right_is_proven(claims: tuple[Claim, ...], role: str, object_: str, detail: str) -> None:
    found = _of(claims, role, object_)
    assert (found.state, found.detail) == ("proven", detail)


def test_columns_one_by_one(claims: tuple[Claim, ...]) -> None:
    found = _of(claims, "gr_columns", "app.orders")
    assert found.state == "proven"
    works, refused = found.detail.split("; ")
    assert set(works.removesuffix(" works").split(", ")) == {
        "SELECT (id)",
        "SELECT (name)",
        "UPDATE (id)",
        "UPDATE (name)",
    }
    assert set(refused.removesuffix(" refused").split(", ")) == {
        "INSERT",
        "DELETE",
        "SELECT (secret)",
        "UPDATE (secret)",
    }


def test_a_grant_without_the_schema_does_not_work(claims: tuple[Claim, ...]) -> None:
    found = _of(claims, "gr_outside", "app.orders")
    assert found.state == "failed"
    assert "SELECT is granted and refused: `permission denied for schema app`" in found.detail


def test_a_function_for_some_that_everybody_may_call(claims: tuple[Claim, ...]) -> None:
    found = _of(claims, "gr_reader", "app.half_closed()")
    assert found.state == "failed"
    assert "PostgreSQL gives it to PUBLIC" in found.detail


def test_default_privileges_by_an_object_made_for_it(claims: tuple[Claim, ...]) -> None:
    later = {(c.object, c.role): (c.state, c.detail) for c in claims if c.claim == LATER}
    assert later["in app", "gr_reader"] == ("proven", "it has SELECT")
    assert later["in any schema", "public"][0] in ("proven", "not checked")


@pytest.mark.parametrize(
    ("change", "object_", "detail"),
    [
        ("GRANT DELETE ON app.orders TO gr_reader", "app.orders", "DELETE works and is not granted"),
        ("REVOKE SELECT ON app.orders FROM gr_reader", "app.orders", "SELECT is granted and refused"),
        ("GRANT USAGE ON SEQUENCE app.numbers TO gr_reader", "app.numbers", "USAGE works and is not granted"),
        ("GRANT CREATE ON SCHEMA app TO gr_reader", "app", "CREATE works and is not granted"),
        ("REVOKE EXECUTE ON FUNCTION app.open() FROM PUBLIC", "app.open()", None),
    ],
)
def test_what_the_server_has_otherwise_is_found(
    server: Server, change: str, object_: str, detail: str | None
) -> None:
    """The prober goes by the model: on the server somebody has granted or revoked since."""
    with filled(server, MODEL, rows=1, change=change) as (ground, design, _):
        found = _of(grants(ground, design.database.grants, ()), "gr_reader", object_)
    assert (found.state, detail or "EXECUTE refused") == (
        "failed" if detail else "proven",
        detail or found.detail,
    )
    assert detail is None or detail in found.detail


def test_no_statement_trigger_runs_and_no_policy_refuses(server: Server) -> None:
    text = """
roles: {gr_plain: {}}
functions: {stop: {returns: trigger, body: "BEGIN RAISE EXCEPTION 'stop'; END"}}
tables:
  t:
    columns: {id: {type: bigint, primary_key: true}}
    row_security: forced
    policies: {p: {using: "id = current_setting('app.none')::bigint"}}
    triggers: {s: {timing: before, events: [insert, update, delete], level: statement, function: stop}}
grants: [{on: table t, to: gr_plain, privileges: [select, insert, update, delete]}]
"""
    with filled(server, text) as (ground, design, _):
        found = _of(grants(ground, design.database.grants, ()), "gr_plain", "public.t")
    assert (found.state, found.detail) == ("proven", "SELECT, INSERT, UPDATE, DELETE works")


def test_a_sequence_that_an_insert_needs(server: Server) -> None:
    text = """
roles: {gr_serial: {}, gr_both: {}}
sequences: {t_id_seq: {owned_by: t.id}}
tables: {t: {columns: {id: {type: bigint, default: "nextval('t_id_seq')", primary_key: true}, a: text}}}
grants:
  - {on: table t, to: gr_serial, privileges: insert}
  - {on: table t, to: gr_both, privileges: insert}
  - {on: sequence t_id_seq, to: gr_both, privileges: usage}
"""
    with filled(server, text) as (ground, design, _):
        found = grants(ground, design.database.grants, ())
    wrong = {(claim.role, claim.object) for claim in found if claim.state == "failed"}
    assert wrong == {("gr_serial", "public.t")}


def test_the_work_is_bounded_and_what_is_left_is_said(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from data_platform.schema.prove import grants as module

    monkeypatch.setattr(module, "MAX_ATTEMPTS", 12)
    with filled(server, MODEL, rows=1) as (ground, design, _):
        found = grants(ground, design.database.grants, ())
    assert found[-1].state == "not checked"
    assert "beyond the limit of 12 attempts" in found[-1].detail
    assert {claim.role for claim in found[:-1]} == {"gr_apart"}


def test_without_roles_there_is_nothing_to_try(server: Server) -> None:
    with filled(server, "tables: {t: {columns: {a: integer}}}", rows=1) as (ground, _, _):
        assert grants(ground, (), ()) == ()
