"""Designs whose parts need each other in every direction: each loads, whatever the names sort like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from data_platform.ddl import files, statements
from data_platform.model.database import (
    Check,
    Database,
    Domain,
    Enum,
    Exclusion,
    ExclusionElement,
    ForeignKey,
    Function,
    Generated,
    Index,
    IndexElement,
    MaterializedView,
    Name,
    Partitioning,
    PartitionOf,
    PrimaryKey,
    Raw,
    Sequence,
    Trigger,
    View,
)
from data_platform.postgres.server import Server
from schema.everything.builders import app, apply, column, design, key, table, trigger_function


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[psycopg.Connection[Any]]:
    with server.scratch_database() as database:
        connection = psycopg.connect(database.admin_conninfo, autocommit=True)
        with connection:
            yield connection


def sql(name: str, arguments: str = "", returns: str = "integer", **more: Any) -> Function:
    """An immutable function in SQL."""
    return Function(
        name=app(name), language="sql", arguments=arguments, returns=returns, volatility="immutable", **more
    )


def references(name: str, target: str, *columns: str, to: tuple[str, ...] = ("id",)) -> ForeignKey:
    """A foreign key."""
    return ForeignKey(name=name, columns=columns, target=app(target), target_columns=to)


ID = column("id", "integer")
KEYED: dict[str, Any] = {"primary_key": PrimaryKey(name="a_pkey", columns=("id",))}

TANGLED: dict[str, dict[str, Any]] = {
    "a domain whose check calls a function": {
        "types": (Domain(name=app("a"), base="text", checks=(Check(name="c", expression="app.z(VALUE)"),)),),
        "functions": (sql("z", "t text", "boolean", sql_body="RETURN t <> ''"),),
    },
    "a domain over an enum, an array of a domain in a composite": {
        "types": (
            Domain(name=app("a"), base="app.b[]"),
            Domain(name=app("b"), base="app.z"),
            Enum(name=app("z"), labels=("x",)),
        ),
    },
    "a function over the rows of a table": {
        "functions": (sql("a", "t app.z", sql_body="RETURN (t).id"),),
        "tables": (table("z", ID),),
    },
    "a function over the rows of a table whose check calls it": {
        "functions": (sql("a", "t app.z, n integer", "boolean", sql_body="RETURN n > 0"),),
        "tables": (
            table("z", ID, checks=(Check(name="c", expression="app.a(NULL, id)", comment="positive"),)),
        ),
    },
    "a function that reads a table whose default calls it": {
        "functions": (sql("a", sql_body="RETURN (SELECT max(id) FROM app.z)"),),
        "tables": (table("z", column("id", default="app.a()")),),
    },
    "a domain whose default and check call functions over the domain": {
        "types": (
            Domain(
                name=app("a"),
                base="integer",
                default="app.f(NULL)",
                checks=(Check(name="c", expression="app.f(NULL) IS NULL OR VALUE > 0"),),
            ),
        ),
        "functions": (sql("f", "x app.a", body="SELECT 1"),),
    },
    "functions that call each other": {
        "functions": (
            sql("a", "n integer", sql_body="RETURN CASE WHEN n > 0 THEN app.b(n - 1) END"),
            sql("b", "n integer", sql_body="RETURN app.a(n)"),
        ),
    },
    "a view that calls a function that reads the view": {
        "functions": (sql("a", sql_body="RETURN (SELECT max(id) FROM app.v)"),),
        "views": (View(name=app("v"), query="SELECT 1 AS id, app.a() AS n"),),
    },
    "views over views": {
        "views": (
            View(name=app("a"), query="WITH z AS (SELECT 1) SELECT id FROM app.b, z"),
            View(name=app("b"), query="SELECT id FROM app.c"),
            View(name=app("c"), query="SELECT id FROM app.t"),
        ),
        "tables": (table("t", ID),),
    },
    "a view over a materialized view, which a function reads, which a default calls": {
        "tables": (table("a", column("id", default="app.f()")), table("t", ID)),
        "functions": (sql("f", sql_body="RETURN (SELECT max(id) FROM app.m)"),),
        "views": (View(name=app("v"), query="SELECT * FROM app.m"),),
        "materialized_views": (MaterializedView(name=app("m"), query="SELECT id FROM app.t"),),
    },
    "a table of the rows of a view": {
        "tables": (table("a", column("id", "app.v")),),
        "views": (View(name=app("v"), query="SELECT 1 AS id"),),
    },
    "a generated column over functions": {
        "tables": (table("a", ID, column("b", generated=Generated(expression="app.f(id)"))),),
        "functions": (
            sql("f", "n integer", sql_body="RETURN app.g(n)"),
            sql("g", "n integer", sql_body="RETURN n"),
        ),
    },
    "a sequence in defaults, by every spelling": {
        "sequences": (Sequence(name=app("s")), Sequence(name=Name("public", "Other"))),
        "tables": (
            table("a", column("id", "bigint", default="nextval('app.s'::regclass)")),
            table("b", column("id", "bigint", default="nextval('app.s')")),
            table("c", column("id", "bigint", default="nextval('\"Other\"'::text::regclass)")),
        ),
    },
    "a sequence that counts for a column of which it is": {
        "sequences": (Sequence(name=app("s"), owned_by=(app("a"), "id")),),
        "tables": (table("a", column("id", "bigint", default="nextval('app.s'::regclass)")),),
    },
    "an operator class of its own in an index": {
        "tables": (
            table(
                "a",
                ID,
                indexes=(Index(name="i", elements=(IndexElement(column="id", opclass="app.z_ops"),)),),
            ),
        ),
        "functions": (sql("z_cmp", "a integer, b integer", sql_body="RETURN b - a"),),
        "raw": (
            Raw(
                kind="operator class",
                name="app.z_ops",
                sql="CREATE OPERATOR CLASS app.z_ops FOR TYPE integer USING btree AS OPERATOR 1 >, OPERATOR 2 >=,"
                " OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 app.z_cmp(integer, integer)",
            ),
        ),
    },
    "an operator and an aggregate in a check, a view and an exclusion": {
        "functions": (sql("eq", "a integer, b integer", "boolean", sql_body="RETURN a = b"),),
        "raw": (
            Raw(
                kind="aggregate",
                name="app.sum_of",
                sql="CREATE AGGREGATE app.sum_of(integer) (SFUNC = int4pl, STYPE = integer)",
            ),
            Raw(
                kind="operator",
                name="app.===",
                sql="CREATE OPERATOR app.=== (LEFTARG = integer, RIGHTARG = integer, FUNCTION = app.eq,"
                " COMMUTATOR = OPERATOR(app.===))",
            ),
        ),
        "tables": (table("a", ID, checks=(Check(name="c", expression="id OPERATOR(app.===) id"),)),),
        "views": (
            View(
                name=app("v"),
                query="SELECT app.sum_of(id) FROM app.a HAVING bool_and(id OPERATOR(app.===) 1)",
            ),
        ),
    },
    "a text search configuration of a dictionary in a generated column": {
        "raw": (
            Raw(
                kind="text search configuration",
                name="app.a",
                sql="CREATE TEXT SEARCH CONFIGURATION app.a (COPY = simple); ALTER TEXT SEARCH"
                " CONFIGURATION app.a ALTER MAPPING FOR asciiword WITH app.z",
            ),
            Raw(
                kind="text search dictionary",
                name="app.z",
                sql="CREATE TEXT SEARCH DICTIONARY app.z (TEMPLATE = pg_catalog.simple)",
            ),
        ),
        "tables": (
            table(
                "t",
                column("w", "text"),
                column("v", "tsvector", generated=Generated(expression="to_tsvector('app.a'::regconfig, w)")),
            ),
        ),
    },
    "a base type": {
        "functions": tuple(
            Function(
                name=app(name),
                language="internal",
                arguments=takes,
                returns=gives,
                body=body,
                strict=True,
                volatility="immutable",
            )
            for name, takes, gives, body in (
                ("a_in", "cstring", "app.z", "int4in"),
                ("a_out", "app.z", "cstring", "int4out"),
            )
        ),
        "raw": (
            Raw(
                kind="type",
                name="app.z",
                sql="CREATE TYPE app.z (INPUT = app.a_in, OUTPUT = app.a_out, LIKE = integer)",
            ),
            Raw(kind="shell type", name="app.z", sql="CREATE TYPE app.z"),
        )[::-1],
        "tables": (table("t", column("a", "app.z", default="'7'::app.z")),),
    },
    "foreign keys in a circle, to unique indexes, to itself": {
        "tables": (
            table(
                "a",
                ID,
                column("other", nullable=True),
                indexes=(Index(name="a_unique", elements=key("other"), unique=True),),
                foreign_keys=(references("f1", "b", "other"), references("f2", "a", "id", to=("other",))),
                **KEYED,
            ),
            table(
                "b",
                ID,
                primary_key=PrimaryKey(name="b_pkey", columns=("id",)),
                foreign_keys=(references("f3", "a", "id"), references("f4", "c", "id")),
            ),
            table("c", ID, indexes=(Index(name="c_unique", elements=key("id"), unique=True),)),
        ),
    },
    "an heir of a table that refers to it": {
        "tables": (
            table("a", replace(ID, inherited=True), inherits=(app("z"),), **KEYED),
            table("z", ID, foreign_keys=(references("f", "a", "id"),)),
        ),
    },
    "partitions whose parents sort last, with keys between them": {
        "tables": (
            table(
                "a",
                ID,
                column("at", "date"),
                partition_of=PartitionOf(
                    table=app("z"), bound="FOR VALUES FROM ('2026-01-01') TO (MAXVALUE)"
                ),
                partition_by=Partitioning(strategy="range", key=(IndexElement(expression="(id + 1)"),)),
                indexes=(Index(name="own", elements=key("at")),),
            ),
            table("b", ID, column("at", "date"), partition_of=PartitionOf(table=app("a"), bound="DEFAULT")),
            table(
                "z",
                ID,
                column("at", "date"),
                partition_by=Partitioning(strategy="range", key=(IndexElement(column="at"),)),
                indexes=(
                    Index(name="all", elements=key("at")),
                    Index(name="none", elements=key("id"), only=True),
                ),
                foreign_keys=(references("f", "zz", "id"),),
                checks=(Check(name="c", expression="app.f(id) > 0"),),
            ),
            table("zz", ID, **KEYED),
        ),
        "functions": (sql("f", "n integer", sql_body="RETURN n"),),
    },
    "an index over a function whose body reads a later table": {
        "tables": (
            table(
                "a",
                ID,
                indexes=(
                    Index(name="i", elements=(IndexElement(expression="app.f(id)"),), where="app.g(id) > 0"),
                ),
            ),
            table("z", ID),
        ),
        "functions": (
            sql("f", "n integer", body="SELECT app.g(n)"),
            sql("g", "n integer", body="SELECT coalesce((SELECT max(id) FROM app.z), n)"),
        ),
    },
    "a materialized view over a function whose body reads a later one": {
        "materialized_views": (
            MaterializedView(name=app("a"), query="SELECT app.f() AS n"),
            MaterializedView(name=app("b"), query="SELECT 1 AS n"),
        ),
        "functions": (sql("f", body="SELECT n FROM app.b"),),
    },
    "triggers over views and tables that come later": {
        "functions": (trigger_function(),),
        "tables": (
            table(
                "a",
                ID,
                triggers=(
                    Trigger(
                        name="t",
                        timing="after",
                        events=("insert",),
                        function=app("touch"),
                        constraint=True,
                        from_table=app("z"),
                    ),
                ),
            ),
            table("z", ID),
        ),
    },
    "names that the search path finds": {
        "functions": (
            sql("a", "t z", "boolean", sql_body="RETURN (t).mood = 'x'::mood AND EXISTS (SELECT FROM z)"),
        ),
        "tables": (
            table(
                "z",
                column("mood", "mood", default="'x'::mood"),
                checks=(Check(name="c", expression="a(NULL)"),),
            ),
        ),
        "types": (Enum(name=app("mood"), labels=("x",)),),
    },
    "an exclusion with an operator of its own": {
        "functions": (sql("meets", "a box, b box", "boolean", sql_body="RETURN a && b"),),
        "tables": (
            table(
                "a",
                column("b", "box"),
                exclusions=(
                    Exclusion(
                        name="e",
                        method="gist",
                        elements=(
                            ExclusionElement(
                                element=IndexElement(column="b", opclass="app.boxes"),
                                operator="OPERATOR(app.&&&)",
                            ),
                        ),
                    ),
                ),
            ),
        ),
        "raw": (
            Raw(
                kind="operator",
                name="app.&&&",
                sql="CREATE OPERATOR app.&&& (LEFTARG = box, RIGHTARG = box, FUNCTION = app.meets,"
                " COMMUTATOR = OPERATOR(app.&&&))",
            ),
            Raw(
                kind="operator class",
                name="app.boxes",
                sql="CREATE OPERATOR CLASS app.boxes FOR TYPE box USING gist AS OPERATOR 3 app.&&&,"
                " FUNCTION 1 gist_box_consistent(internal, box, smallint, oid, internal),"
                " FUNCTION 2 gist_box_union(internal, internal), FUNCTION 5 gist_box_penalty(internal,"
                " internal, internal),"
                " FUNCTION 6 gist_box_picksplit(internal, internal), FUNCTION 7 gist_box_same(box, box, internal)",
            ),
        ),
    },
}


@pytest.mark.parametrize("name", TANGLED)
def test_what_is_tangled_loads(admin: psycopg.Connection[Any], name: str) -> None:
    database = Database(schemas=("app",), **TANGLED[name])
    with admin.transaction(force_rollback=True):
        admin.execute("SET LOCAL search_path TO public, app")
        apply(admin, database, default_schema="app")


@pytest.mark.parametrize("name", TANGLED)
def test_its_files_load_in_the_order_of_their_names(admin: psycopg.Connection[Any], name: str) -> None:
    database = Database(schemas=("app",), **TANGLED[name])
    with admin.transaction(force_rollback=True):
        for _, text in sorted(files(design(database, default_schema="app"), "dpe").items()):
            admin.execute(text.encode())


@pytest.mark.parametrize("name", TANGLED)
def test_nothing_is_lost_or_said_twice(name: str) -> None:
    made = statements(design(Database(schemas=("app",), **TANGLED[name])))
    assert len({statement.sql for statement in made}) == len(made)


def test_what_can_be_put_off_is() -> None:
    database = Database(**TANGLED["a function over the rows of a table whose check calls it"])
    made = [statement.object for statement in statements(design(database))]
    assert made == [
        "table app.z",
        "function app.a",
        "constraint c on app.z",
        "comment on constraint c on app.z",
    ]


def test_a_cycle_that_nothing_breaks_keeps_its_order_and_ends() -> None:
    views = (View(name=app("a"), query="TABLE app.b"), View(name=app("b"), query="TABLE app.a"))
    made = [statement.object for statement in statements(design(Database(views=views)))]
    assert sorted(made) == ["view app.a", "view app.b"]


def test_a_query_too_deep_to_read_is_rendered_in_its_place() -> None:
    deep = "SELECT " + "(" * 300 + "1" + ")" * 300 + " + " + " + ".join(["1"] * 400)
    made = statements(design(Database(views=(View(name=app("a"), query=deep),))))
    assert deep in made[0].sql


def test_a_long_chain_is_no_deep_recursion() -> None:
    views = tuple(
        View(name=app(f"v{number:05}"), query=f"TABLE app.v{number + 1:05}") for number in range(5000)
    )
    made = [statement.object for statement in statements(design(Database(views=views)))]
    assert made == [f"view app.v{number:05}" for number in reversed(range(5000))]


def test_tables_stay_in_the_order_of_their_keys_when_nothing_else_is_needed() -> None:
    tables = (
        table("a", ID, foreign_keys=(references("f", "z", "id"),)),
        table("m", ID),
        table("z", ID, **KEYED),
    )
    made = [statement.object for statement in statements(design(Database(tables=tables)))]
    assert made == ["table app.m", "table app.z", "table app.a"]


def test_an_event_trigger_comes_when_nothing_can_fire_it() -> None:
    from schema.everything import EVERYTHING

    made = [statement.section for statement in statements(design(EVERYTHING))]
    assert set(made[made.index("event_triggers") :]) == {"event_triggers"}
