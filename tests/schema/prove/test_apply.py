"""The DDL on a scratch database: what its owner may not do goes by the allow-list, what nobody may is told."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from data_platform.model.differences import Change, Differences
from data_platform.postgres.server import Database, Server
from data_platform.schema.prove.apply import apply
from data_platform.schema.prove.comparison import _Excuse, compared
from data_platform.schema.prove.prove import Plan, prove
from data_platform.schema.prove.result import LeftOut
from schema.designs import design

WIDE = """
schema: app
roles:
  ap_owner: {login: true, create_database: true}
  ap_reader: {inherit: false, member_of: [ap_group]}
  ap_group: {}
schemas: {app: {owner: ap_owner}}
functions: {told: {returns: event_trigger, body: "BEGIN NULL; END"}}
tables: {t: {owner: ap_owner, columns: {a: integer}}}
views: {v: {query: "SELECT a FROM app.t", owner: ap_owner}}
event_triggers: {e: {event: ddl_command_end, function: told}}
publications: {p: {all_tables: true}}
grants: [{on: schema app, to: ap_reader, privileges: usage}]
default_privileges: [{on: tables, owner: ap_owner, to: ap_reader, privileges: select}]
"""


def test_what_needs_more_than_the_owner_may(database: Database) -> None:
    done = apply(design(WIDE), database, 60)
    assert done.refused is None
    with psycopg.connect(database.conninfo) as connection:
        owner, publication, trigger, member = connection.execute(
            "SELECT (SELECT tableowner FROM pg_tables WHERE tablename = 't'), "
            "(SELECT puballtables FROM pg_publication), (SELECT evtname FROM pg_event_trigger), "
            "pg_has_role('ap_reader', 'ap_group', 'MEMBER')"
        ).fetchone()  # type: ignore[misc]
    assert (owner, publication, trigger, member) == ("ap_owner", True, "e", True)


def test_attributes_that_a_run_gives_nobody_are_told(database: Database) -> None:
    done = apply(design(WIDE), database, 60)
    assert [(part.object, part.why) for part in done.left_out] == [("role ap_owner", "without CREATEDB")]


def test_a_refusal_has_its_object_and_what_the_server_said(database: Database) -> None:
    done = apply(design("tables: {t: {columns: {a: {type: text, check: a > 1}}}}"), database, 60)
    assert done.refused is not None
    assert (done.refused.object, str(done.refused.table)) == ("table public.t", "public.t")
    assert done.refused.sqlstate == "42883"
    assert done.refused.message.startswith("operator does not exist")


def test_code_that_a_superuser_would_have_to_trust_is_left_out(server: Server) -> None:
    text = """
functions: {c: {language: c, returns: integer, link_symbol: [some_library, some_symbol]}}
tables: {t: {columns: {a: integer}}}
"""
    proof = prove(design(text), server, Plan(default_rows=5))
    assert [part.object for part in proof.left_out] == ["function public.c"]
    assert proof.catalog is not None
    assert proof.catalog.equal
    assert proof.verdict == "proven"


def test_what_is_refused_for_want_of_it_is_not_the_designs_fault(server: Server) -> None:
    text = """
functions: {c: {language: c, returns: integer, link_symbol: [some_library, some_symbol]}}
tables: {t: {columns: {a: {type: integer, default: c()}}}}
"""
    proof = prove(design(text), server, Plan(default_rows=5))
    assert proof.verdict == "not_provable"
    assert "`function public.c`" in proof.reasons[0]


def test_a_live_server_makes_no_role_and_says_so(server: Server) -> None:
    live = replace(server, embedded=False)
    user = "dpe_live_test"
    with psycopg.connect(live.conninfo, autocommit=True) as admin:
        admin.execute(f"DROP ROLE IF EXISTS {user}")
        admin.execute(f"CREATE ROLE {user} LOGIN CREATEDB PASSWORD 'x'")
    try:
        conninfo = psycopg.conninfo.make_conninfo(live.conninfo, user=user, password="x")
        text = """
roles: {ap_absent: {}}
tables:
  t: {columns: {a: integer}, owner: ap_absent, row_security: on, policies: {p: {using: "a > 0", roles: [ap_absent]}}}
grants: [{on: table t, to: ap_absent, privileges: select}]
"""
        proof = prove(design(text), replace(live, conninfo=conninfo), Plan(default_rows=5))
    finally:
        with psycopg.connect(live.conninfo, autocommit=True) as admin:
            admin.execute(f"DROP ROLE {user}")
    assert (proof.verdict, proof.refused, proof.broken) == ("proven", None, None)
    left = {part.object for part in proof.left_out}
    assert left == {"role ap_absent", "policy p on public.t", "owner of table t", "grant on table t"}


def test_only_what_was_left_out_is_excused() -> None:
    excuse = _Excuse(("role app", "function public.f", "event trigger e", "grant on table public.t"))
    assert all(excuse.covers(name) for name in ("role app", "function public.f(integer)", "event trigger e"))
    assert excuse.covers("grant SELECT on table public.t to other")
    assert excuse.covers("grant SELECT on table public.u to app")
    assert excuse.owns("app")
    for name in (
        "role apply",
        "function public.g()",
        "grant SELECT on table public.u to other",
        "table public.t",
    ):
        assert not excuse.covers(name)


def test_without_excuse_nothing_changes() -> None:
    empty = design("tables: {t: {columns: {a: integer}}}").database
    other = design("tables: {t: {columns: {a: text}}}").database
    left = LeftOut(object="role x", table=None, sql="", why="")
    expected = Differences(
        added=(),
        removed=(),
        changed=(Change(object="column public.t.a", property="type", before="integer", after="text"),),
    )
    assert compared(empty, other, ()) == compared(empty, other, (left,)) == expected
