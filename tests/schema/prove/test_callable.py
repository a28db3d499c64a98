"""Calls of functions: which values an argument gets, and what cannot be called."""

from __future__ import annotations

import psycopg
import pytest

from data_platform.postgres.server import Database
from data_platform.schema.prove.callable import Held, Routine, routines

HELD = (
    Held("orders", "tenant_id", "uuid", "b-tenant", is_key=False, is_tenant=True),
    Held("orders", "id", "bigint", "7", is_key=True, is_tenant=False),
    Held("items", "line", "integer", "3", is_key=True, is_tenant=False),
    Held("orders", "name", "character varying(20)", "Ann", is_key=False, is_tenant=False),
)


def _routine(*arguments: tuple[str, str], variadic: bool = False, procedure: bool = False) -> Routine:
    return Routine("app", "f", "app.f()", "app.f()", procedure, False, True, "x", arguments, variadic)


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        ((), "app.f()"),
        ((("p_order_id", "bigint"),), "app.f('7'::bigint)"),
        ((("id", "bigint"),), "app.f('7'::bigint)"),
        ((("", "bigint"),), "app.f('7'::bigint)"),
        ((("tenant", "uuid"),), "app.f('b-tenant'::uuid)"),
        ((("name", "character varying"),), "app.f('Ann'::character varying)"),
        ((("since", "date"),), "app.f('2026-01-01'::date)"),
        ((("ids", "bigint[]"),), "app.f('{}'::bigint[])"),
        ((("mood", "app.mood"),), "app.f('calm'::app.mood)"),
    ],
)
def test_values_by_name_then_by_type(arguments: tuple[tuple[str, str], ...], call: str) -> None:
    (made, *_) = _routine(*arguments).calls(HELD, {"app.mood": "calm"})
    assert f"FROM {call} AS" in made


def test_procedures_are_called_and_variadic_arguments_marked() -> None:
    assert list(_routine(("n", "integer"), procedure=True).calls(HELD, {})) == ["CALL app.f('3'::integer)"]
    (made,) = _routine(("n", "point[]"), variadic=True).calls(HELD, {})
    assert "app.f(VARIADIC '{}'::point[])" in made


def test_a_type_of_which_nothing_is_known_is_not_called() -> None:
    assert list(_routine(("where", "point")).calls(HELD, {})) == []


def test_what_the_server_has(database: Database) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA app")
        for sql in (
            "FUNCTION app.plain(a integer, OUT b integer) LANGUAGE sql AS 'SELECT 1'",
            "FUNCTION app.nameless(integer, VARIADIC text[]) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "FUNCTION app.any_of(anyelement) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "FUNCTION app.fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "PROCEDURE app.out_of(OUT a integer) LANGUAGE sql AS 'SELECT 1'",
        ):
            connection.execute(f"CREATE {sql}".encode())
        connection.execute("CREATE TYPE app.span AS RANGE (subtype = integer)")
        found = {routine.name: routine for routine in routines(connection)}
    assert set(found) == {"plain", "nameless", "any_of", "out_of"}
    assert found["plain"].arguments == (("a", "integer"),)
    assert (found["nameless"].arguments, found["nameless"].variadic) == (
        (("", "integer"), ("", "text[]")),
        True,
    )
    assert found["any_of"].why_not == "it takes `anyelement`"
    assert found["out_of"].why_not == "it has OUT parameters"
