"""A database with every kind of object and every field of the model, for the renderer's tests.

Names begin with `dpe_r_` where they belong to the whole server, which the tests share.
"""

from __future__ import annotations

from data_platform.model.database import (
    CollationObject,
    Database,
    DefaultPrivilege,
    EventTrigger,
    Extension,
    Grant,
    Publication,
    PublishedTable,
    Raw,
    Role,
    Schema,
    Sequence,
    SequenceOptions,
    Server,
)
from schema.everything.builders import app
from schema.everything.orders import ORDERS
from schema.everything.programs import FUNCTIONS, TYPES
from schema.everything.tables import PARTITIONS, TABLES
from schema.everything.views import MATERIALIZED, VIEWS

EVERYTHING = Database(
    extensions=(
        Extension(name="btree_gist"),
        Extension(name="citext", schema="other"),
    ),
    schemas=("app", "other"),
    schema_details=(
        Schema(name="app", comment="the application's", owner="dpe_r_owner"),
        Schema(name="public", comment="not used"),
    ),
    roles=(
        Role(name="dpe_r_group", comment="a group"),
        Role(
            name="dpe_r_owner",
            login=True,
            create_database=True,
            create_role=True,
            replication=True,
            bypass_row_security=True,
        ),
        Role(name="dpe_r_reader", inherit=False, superuser=True, member_of=("dpe_r_group", "dpe_r_writer")),
        Role(name="dpe_r_writer"),
    ),
    collations=(
        CollationObject(
            name=app("german"),
            options=(("deterministic", "true"), ("locale", "C"), ("provider", "libc")),
            comment="as in C",
            owner="dpe_r_owner",
        ),
    ),
    types=TYPES,
    sequences=(
        Sequence(
            name=app("numbers"),
            type="integer",
            sequence=SequenceOptions(increment=-2, maximum=-1, minimum=-99, start=-5),
            owned_by=(app("orders"), "number"),
            comment="numbers",
            owner="dpe_r_owner",
        ),
        Sequence(name=app("little"), type="smallint"),
        Sequence(name=app("plain"), unlogged=True, owner="dpe_r_owner"),
    ),
    functions=FUNCTIONS,
    tables=tuple(sorted((*TABLES, *PARTITIONS, ORDERS), key=lambda table: table.name)),
    views=VIEWS,
    materialized_views=MATERIALIZED,
    servers=(
        Server(
            name="dpe_r_server",
            wrapper="dpe_r_wrapper",
            type="t'",
            version="1",
            options=(("host", "it's"),),
            comment="a server",
            owner="dpe_r_owner",
        ),
    ),
    event_triggers=(
        EventTrigger(
            name="dpe_r_events",
            event="ddl_command_end",
            function=app("ddl"),
            tags=("CREATE TABLE", "DROP TABLE"),
            enabled="disabled",
            comment="watches",
            owner="dpe_r_reader",
        ),
    ),
    publications=(
        Publication(name="dpe_r_all", all_tables=True, options=(("publish", "insert"),), comment="all"),
        Publication(
            name="dpe_r_some",
            tables=(
                PublishedTable(table=app("base")),
                PublishedTable(table=app("orders"), columns=("number", "tenant"), where="number > 0"),
            ),
            options=(("publish", "insert, update"), ("publish_via_partition_root", "true")),
            owner="dpe_r_reader",
        ),
        Publication(name="dpe_r_schema", schemas=("other",), tables=(PublishedTable(table=app("heir")),)),
    ),
    grants=(
        Grant(
            kind="function",
            object="app.add(integer,integer)",
            role="public",
            privileges=("EXECUTE",),
            revoked=True,
        ),
        Grant(
            kind="function",
            object="app.add(integer,integer)",
            role="dpe_r_group",
            privileges=("EXECUTE",),
            grantable=True,
        ),
        Grant(
            kind="procedure", object="app.move(integer,integer)", role="dpe_r_group", privileges=("EXECUTE",)
        ),
        Grant(kind="table", object="app.orders", role="dpe_r_group", privileges=("INSERT", "SELECT")),
        Grant(
            kind="table",
            object="app.orders",
            role="dpe_r_reader",
            privileges=("SELECT", "UPDATE"),
            columns=("number", "note"),
        ),
        Grant(kind="table", object="app.counted", role="dpe_r_group", privileges=("MAINTAIN",)),
        Grant(kind="sequence", object="app.plain", role="dpe_r_group", privileges=("USAGE",)),
        Grant(kind="schema", object="app", role="public", privileges=("USAGE",)),
        Grant(kind="type", object="app.mood", role="public", privileges=("USAGE",), revoked=True),
        Grant(kind="domain", object="app.code", role="dpe_r_group", privileges=("USAGE",)),
        Grant(kind="foreign server", object="dpe_r_server", role="dpe_r_group", privileges=("USAGE",)),
        Grant(kind="foreign data wrapper", object="dpe_r_wrapper", role="dpe_r_group", privileges=("USAGE",)),
        Grant(kind="language", object="dpe_r_language", role="public", privileges=("USAGE",), revoked=True),
    ),
    default_privileges=(
        DefaultPrivilege(kind="sequences", role="dpe_r_group", privileges=("SELECT", "USAGE")),
        DefaultPrivilege(kind="types", role="public", privileges=("USAGE",), revoked=True),
        DefaultPrivilege(kind="schemas", role="dpe_r_group", privileges=("USAGE",)),
        DefaultPrivilege(
            kind="tables",
            role="dpe_r_group",
            privileges=("SELECT",),
            owner="dpe_r_owner",
            schema="app",
            grantable=True,
        ),
        DefaultPrivilege(
            kind="functions", role="public", privileges=("EXECUTE",), owner="dpe_r_owner", revoked=True
        ),
        DefaultPrivilege(
            kind="large objects", role="dpe_r_group", privileges=("SELECT",), owner="dpe_r_owner"
        ),
    ),
    raw=(
        Raw(
            kind="aggregate",
            name="app.product",
            sql="CREATE AGGREGATE app.product(integer) (SFUNC = int4mul, STYPE = integer)",
        ),
        Raw(
            kind="foreign data wrapper", name="dpe_r_wrapper", sql="CREATE FOREIGN DATA WRAPPER dpe_r_wrapper"
        ),
        Raw(
            kind="procedural language",
            name="dpe_r_language",
            sql="CREATE TRUSTED LANGUAGE dpe_r_language HANDLER plpgsql_call_handler",
        ),
        Raw(
            kind="text search configuration",
            name="app.short",
            sql="CREATE TEXT SEARCH CONFIGURATION app.short (COPY = simple);"
            " COMMENT ON TEXT SEARCH CONFIGURATION app.short IS 'short'",
        ),
        Raw(
            kind="comment",
            name="on a constraint",
            sql="COMMENT ON CONSTRAINT orders_off ON app.orders IS 'off'; -- the end",
        ),
    ),
)

ROLES = tuple(role.name for role in EVERYTHING.roles)
