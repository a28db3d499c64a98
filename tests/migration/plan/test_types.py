"""Types: there and back on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from data_platform.migration.plan import types
from data_platform.migration.plan.hints import Hints
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Refusal, Step
from data_platform.model.database import Name
from data_platform.postgres.server import Database
from migration.plan.harness import Reached, reach


def name(text: str) -> Name:
    return Name("public", text)


def steps(pair: Pair) -> Iterator[Step | Refusal]:
    yield from types.steps(pair)
    yield from types.gone(pair)


def arrives(reached: Reached) -> None:
    assert reached.refused == ()
    assert reached.up.equal, reached.up
    assert reached.down is None or reached.down.equal, reached.down


def test_new_and_gone(database: Database) -> None:
    before = """CREATE TYPE old AS ENUM ('a', 'b'); COMMENT ON TYPE old IS 'it was';
        CREATE DOMAIN gone AS int CHECK (VALUE > 0);
        CREATE TYPE over AS (x gone, y old);"""
    after = """CREATE DOMAIN percent AS numeric(5, 2) DEFAULT 0 NOT NULL CHECK (VALUE <= 100);
        CREATE TYPE span AS RANGE (subtype = float8);"""
    reached = reach(database, before, after, steps)
    arrives(reached)
    assert [step.phase for step in reached.steps] == ["expand"] * 2 + ["contract"] * 3


def test_labels_are_added_where_they_belong(database: Database) -> None:
    before = "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE people (mood mood);"
    after = """CREATE TYPE mood AS ENUM ('awful', 'sad', 'ok', 'fine', 'happy', 'great');
        CREATE TABLE people (mood mood);"""
    reached = reach(database, before, after, steps, back=False)
    arrives(reached)
    assert not any(step.transaction for step in reached.steps)


def test_labels_and_types_get_other_names(database: Database) -> None:
    before = """CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE people (mood mood);
        INSERT INTO people VALUES ('happy');"""
    after = """CREATE SCHEMA app; CREATE TYPE app.feeling AS ENUM ('sad', 'glad');
        CREATE TABLE people (mood app.feeling);"""
    feeling = Name("app", "feeling")
    hints = Hints(
        types=MappingProxyType({feeling: name("mood")}), labels=MappingProxyType({(feeling, "glad"): "happy"})
    )
    reached = reach(database, "CREATE SCHEMA app;" + before, after, steps, hints, first=types.first)
    arrives(reached)
    assert [step.name for step in reached.steps if step.ends_old] == [
        "rename_label_app_feeling_happy_to_glad",
        "drop_domain_mood",
    ]


def test_an_enum_that_loses_a_label_gives_way(database: Database) -> None:
    before = "CREATE TYPE mood AS ENUM ('sad', 'happy', 'odd');"
    reached = reach(database, before, "CREATE TYPE mood AS ENUM ('happy', 'sad');", steps, first=types.first)
    arrives(reached)
    assert [(step.phase, step.name) for step in reached.steps] == [
        ("expand", "aside_mood"),
        ("contract", "drop_type_mood_old"),
    ]


def test_a_domain_changes(database: Database) -> None:
    before = """CREATE DOMAIN age AS int DEFAULT 1 CONSTRAINT low CHECK (VALUE >= 0) CONSTRAINT gone CHECK (VALUE <> 7);
        CREATE DOMAIN free AS text NOT NULL; CREATE TABLE people (age age); INSERT INTO people VALUES (3);"""
    after = """CREATE DOMAIN age AS int NOT NULL CONSTRAINT low CHECK (VALUE >= 1) CONSTRAINT high CHECK (VALUE < 200);
        CREATE DOMAIN free AS text; CREATE TABLE people (age age);"""
    reached = reach(database, before, after, steps)
    arrives(reached)
    assert [step.name for step in reached.steps if step.blocks] == ["not_null_age"]


def test_a_domain_of_another_base_gives_way_where_it_is_used(database: Database) -> None:
    before = "CREATE DOMAIN number AS int; CREATE TABLE t (n number);"
    after = "CREATE DOMAIN number AS bigint; CREATE TABLE t (n number);"
    reached = reach(database, before, after, lambda _pair: (), first=types.first)
    assert [step.name for step in reached.steps] == ["aside_number"]
    assert (reached.up.added, reached.up.removed) == ((), ("type public.number__old",))
    assert reached.down is not None
    assert reached.down.equal


def test_a_domain_of_another_base_is_made_again_where_it_is_not(database: Database) -> None:
    before = "CREATE DOMAIN number AS int; COMMENT ON DOMAIN number IS 'n'; REVOKE USAGE ON DOMAIN number FROM public;"
    after = before.replace("int", "bigint")
    arrives(reach(database, before, after, steps, first=types.first))


def test_a_composite_changes(database: Database) -> None:
    before = """CREATE TYPE place AS (x int, y int, label text); CREATE TABLE t (place place);
        CREATE TYPE loose AS (a int, b int);"""
    after = """CREATE TYPE place AS (x int, y int, z int, "Name" text COLLATE "C"); CREATE TABLE t (place place);
        CREATE TYPE loose AS (a int, b bigint);"""
    refused = reach(database, before, after, steps)
    assert [refusal.what for refusal in refused.refused] == ["attribute place.label"]
    assert refused.down is not None
    assert refused.down.equal


def test_a_composite_loses_what_may_be_lost(database: Database) -> None:
    before = "CREATE TYPE place AS (x int, label text); CREATE TABLE t (place place);"
    after = "CREATE TYPE place AS (x int, y int); CREATE TABLE t (place place);"
    hints = Hints(lost=frozenset({"place.label"}))
    reached = reach(database, before, after, steps, hints)
    arrives(reached)
    assert [step.lost for step in reached.steps] == [(), ("public.place.label",)]


def test_a_range_is_made_again_only_where_nothing_has_it(database: Database) -> None:
    before = "CREATE TYPE span AS RANGE (subtype = float8); CREATE TABLE t (s span);"
    after = "CREATE TYPE span AS RANGE (subtype = float4); CREATE TABLE t (s span);"
    reached = reach(database, before, after, steps, first=types.first)
    assert [refusal.what for refusal in reached.refused] == ["type span"]


def test_a_range_without_columns(database: Database) -> None:
    before = "CREATE TYPE span AS RANGE (subtype = float8);"
    arrives(reach(database, before, before.replace("float8", "float4"), steps, first=types.first))
