"""Types, functions and procedures with every field."""

from __future__ import annotations

from data_platform.model.database import (
    Attribute,
    Check,
    Composite,
    Domain,
    Enum,
    Function,
    Name,
    NotNull,
    Range,
)
from schema.everything.builders import app, trigger_function

TYPES = (
    Domain(
        name=app("code"),
        base="text",
        nullable=False,
        default="'x'::text",
        collation="C",
        checks=(
            Check(name="code_short", expression="length(VALUE) < 9", comment="short"),
            Check(name="code_later", expression="VALUE <> ''", validated=False, comment="later"),
        ),
        not_null=NotNull(name="code_there"),
        comment="a code",
        owner="dpe_r_owner",
    ),
    Composite(
        name=app("place"),
        attributes=(
            Attribute(name="street", type="text", collation='app."german"', comment="and number"),
            Attribute(name="lat", type="double precision"),
        ),
        comment="a place",
        owner="dpe_r_owner",
    ),
    Composite(
        name=app("row_of"),
        attributes=(Attribute(name="id", type="integer"), Attribute(name="n", type="text")),
    ),
    Enum(name=app("mood"), labels=("sad", "it's ok"), comment="a mood", owner="dpe_r_owner"),
    Range(
        name=app("span"),
        subtype="double precision",
        opclass="float8_ops",
        difference=Name("pg_catalog", "float8mi"),
        multirange=app("spans"),
        comment="a span",
        owner="dpe_r_owner",
    ),
    Range(name=app("textrange"), subtype="text", collation='app."german"'),
    Range(name=app("whole"), subtype="integer", canonical=app("whole_canonical")),
)

FUNCTIONS = (
    Function(
        name=app("add"),
        language="sql",
        arguments="a integer, b integer DEFAULT 1",
        returns="integer",
        sql_body="RETURN a + b",
        volatility="immutable",
        strict=True,
        parallel="safe",
        cost=12.5,
        comment="a sum",
        owner="dpe_r_owner",
    ),
    Function(
        name=app("add"), language="sql", arguments="a text", returns="text", body="SELECT a", comment="a text"
    ),
    Function(
        name=app("all_moods"),
        language="plpgsql",
        arguments="VARIADIC wanted app.mood[]",
        returns="TABLE(id integer, mood app.mood)",
        body="BEGIN RETURN QUERY SELECT o.id, o.mood FROM orders o; END $$; --'",
        volatility="stable",
        security_definer=True,
        leakproof=True,
        parallel="restricted",
        rows=7,
        settings=(("search_path", '"$user", app'), ("statement_timeout", "5s"), ("work_mem", "8MB")),
    ),
    Function(name=app("ddl"), language="plpgsql", returns="event_trigger", body="BEGIN END"),
    Function(
        name=app("likes"),
        language="internal",
        arguments="internal",
        returns="internal",
        body="textlike_support",
        strict=True,
        volatility="immutable",
    ),
    Function(
        name=app("liked"),
        language="internal",
        arguments="text, text",
        returns="boolean",
        body="textlike",
        strict=True,
        volatility="immutable",
        support=app("likes"),
    ),
    Function(
        name=app("handler"),
        language="c",
        returns="language_handler",
        link_symbol=("$libdir/plpgsql", "plpgsql_call_handler"),
    ),
    Function(
        name=app("move"),
        language="sql",
        arguments="IN a integer, INOUT b integer DEFAULT 3",
        procedure=True,
        sql_body="BEGIN ATOMIC\n SELECT a + b;\nEND",
        comment="a procedure",
        owner="dpe_r_owner",
    ),
    Function(
        name=app("nth"),
        language="internal",
        arguments="anyelement",
        returns="bigint",
        body="window_rank",
        window=True,
    ),
    trigger_function(),
    Function(
        name=app("whole_canonical"),
        language="internal",
        arguments="app.whole",
        returns="app.whole",
        body="int4range_canonical",
        strict=True,
        volatility="immutable",
    ),
)
