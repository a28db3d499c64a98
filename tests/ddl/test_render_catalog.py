"""The server is asked for what the DDL of EVERYTHING made: kind after kind, field after field."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from data_platform.postgres.server import Server
from schema.everything import EVERYTHING, ROLES
from schema.everything.builders import apply


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[psycopg.Connection[Any]]:
    with server.scratch_database() as database, psycopg.connect(database.admin_conninfo) as connection:
        apply(connection, EVERYTHING)
        connection.commit()
        yield connection
    with psycopg.connect(server.conninfo, autocommit=True) as admin:
        for role in ROLES:
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


COLUMN = "SELECT {} FROM pg_attribute WHERE attrelid = 'app.{}'::regclass AND attname = '{}'"
CLASS = "SELECT {} FROM pg_class WHERE oid = 'app.{}'::regclass"
CONSTRAINT = "SELECT {} FROM pg_constraint WHERE conname = '{}'"
ROLE = "SELECT {} FROM pg_roles WHERE rolname = '{}'"
FUNCTION = "SELECT {} FROM pg_proc WHERE oid = 'app.{}'::regprocedure"
INDEX = "SELECT pg_get_indexdef('app.{}'::regclass)"
TRIGGER = "SELECT {} FROM pg_trigger WHERE tgname = '{}' AND tgparentid = 0"

QUESTIONS: dict[str, tuple[str, Any]] = {
    # the whole
    "role": (
        ROLE.format("(rolcanlogin, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls)", "dpe_r_owner"),
        ("t", "t", "t", "t", "t"),
    ),
    "role: superuser, noinherit": (ROLE.format("(rolsuper, rolinherit)", "dpe_r_reader"), ("t", "f")),
    "memberships": (
        "SELECT array_agg(roleid::regrole::text ORDER BY 1)"
        " FROM pg_auth_members WHERE member = 'dpe_r_reader'::regrole",
        ["dpe_r_group", "dpe_r_writer"],
    ),
    "schema owner": ("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'app'", "dpe_r_owner"),
    "extension's schema": (
        "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'citext'",
        "other",
    ),
    "collation": (
        "SELECT (collprovider, collcollate, collisdeterministic) FROM pg_collation WHERE collname = 'german'",
        ("c", "C", "t"),
    ),
    # types
    "enum": ("SELECT enum_range(NULL::app.mood)::text", '{sad,"it\'s ok"}'),
    "domain": (
        "SELECT (typnotnull, typdefault, typcollation::regcollation, format_type(typbasetype, NULL))"
        " FROM pg_type WHERE typname = 'code'",
        ("t", "'x'::text", '"C"', "text"),
    ),
    "domain's constraints": (
        "SELECT array_agg((conname, contype, convalidated)::text ORDER BY conname) FROM pg_constraint"
        " WHERE contypid = 'app.code'::regtype",
        ["(code_later,c,f)", "(code_short,c,t)", "(code_there,n,t)"],
    ),
    "composite": (
        COLUMN.format("(atttypid::regtype, attcollation::regcollation)", "place", "street"),
        ("text", "app.german"),
    ),
    "range": (
        "SELECT (rngsubtype::regtype, rngmultitypid::regtype, rngsubdiff::regproc)"
        " FROM pg_range WHERE rngtypid = 'app.span'::regtype",
        ("double precision", "app.spans", "float8mi"),
    ),
    "range: collation": (
        "SELECT rngcollation::regcollation::text FROM pg_range WHERE rngtypid = 'app.textrange'::regtype",
        "app.german",
    ),
    "range: canonical": ("SELECT app.whole(1, 4, '[]')::text", "[1,5)"),
    "multirange's made-up name": ("SELECT 'app.textmultirange'::regtype::text", "app.textmultirange"),
    # sequences
    "sequence": (
        "SELECT (seqtypid::regtype, seqincrement, seqmin, seqmax, seqstart, seqcache, seqcycle) FROM pg_sequence"
        " WHERE seqrelid = 'app.numbers'::regclass",
        ("integer", "-2", "-99", "-1", "-5", "1", "f"),
    ),
    "owned by": ("SELECT pg_get_serial_sequence('app.orders', 'number')", "app.numbers"),
    "unlogged sequence": (CLASS.format("relpersistence", "plain"), "u"),
    "identity's sequence": (
        "SELECT (seqincrement, seqmin, seqmax, seqstart, seqcache, seqcycle) FROM pg_sequence"
        " WHERE seqrelid = 'app.order_numbers'::regclass",
        ("5", "5", "1000", "10", "3", "t"),
    ),
    # functions
    "function": (
        FUNCTION.format("(provolatile, proisstrict, proparallel, procost, prosrc)", "add(integer, integer)"),
        ("i", "t", "s", "12.5", ""),
    ),
    "function: standard body": (
        FUNCTION.format("pg_get_function_sqlbody(oid)", "add(integer, integer)"),
        "RETURN (a + b)",
    ),
    "function: default": ("SELECT app.add(1)", 2),
    "function: settings": (
        FUNCTION.format("proconfig", "all_moods(app.mood[])"),
        ['search_path="$user", app', "statement_timeout=5s", "work_mem=8MB"],
    ),
    "function: the rest": (
        FUNCTION.format(
            "(prosecdef, proleakproof, proparallel, prorows, provariadic::regtype, prosrc)",
            "all_moods(app.mood[])",
        ),
        ("t", "t", "r", "7", "app.mood", "BEGIN RETURN QUERY SELECT o.id, o.mood FROM orders o; END $$; --'"),
    ),
    "function: window": (FUNCTION.format("prokind", "nth(anyelement)"), "w"),
    "function: support": (FUNCTION.format("prosupport::text", "liked(text, text)"), "app.likes"),
    "function: library": (
        FUNCTION.format("(probin, prosrc)", "handler()"),
        ("$libdir/plpgsql", "plpgsql_call_handler"),
    ),
    "procedure": (
        FUNCTION.format("(prokind, pg_get_function_arguments(oid))", "move(integer, integer)"),
        ("p", "IN a integer, INOUT b integer DEFAULT 3"),
    ),
    # tables
    "table options": (CLASS.format("reloptions", "orders"), ["autovacuum_enabled=false", "fillfactor=70"]),
    "toast options": (
        "SELECT t.reloptions"
        " FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.oid = 'app.orders'::regclass",
        ["autovacuum_enabled=false"],
    ),
    "table": (
        CLASS.format("(relrowsecurity, relforcerowsecurity, relreplident, relowner::regrole)", "orders"),
        ("t", "t", "i", "dpe_r_owner"),
    ),
    "row security without force": (
        CLASS.format("(relrowsecurity, relforcerowsecurity)", "customers"),
        ("t", "f"),
    ),
    "unlogged": (CLASS.format("relpersistence", "scratch"), "u"),
    "replica identity full": (CLASS.format("relreplident", "empty"), "f"),
    "replica identity and cluster": (
        "SELECT (indisreplident, indisclustered) FROM pg_index WHERE indexrelid = 'app.orders_replica'::regclass",
        ("t", "t"),
    ),
    "table without columns": (CLASS.format("relnatts", "empty"), 0),
    "typed": (CLASS.format("reloftype::regtype::text", "typed"), "app.row_of"),
    "typed: what it adds": (COLUMN.format("(attnotnull, atthasdef)", "typed", "id"), ("t", "t")),
    "foreign": (
        "SELECT (s.srvname, t.ftoptions) FROM pg_foreign_table t JOIN pg_foreign_server s ON s.oid = ftserver",
        ("dpe_r_server", "{table=x}"),
    ),
    "foreign column": (COLUMN.format("attfdwoptions", "elsewhere", "id"), ["column_name=it's"]),
    # columns
    "identity": (COLUMN.format("attidentity", "orders", "id"), "a"),
    "column": (
        COLUMN.format(
            "(attstorage, attcompression, attstattarget, attoptions, attcollation::regcollation)",
            "orders",
            "note",
        ),
        ("e", "p", "500", "{n_distinct=-0.5}", "app.german"),
    ),
    "virtual": (COLUMN.format("attgenerated", "orders", "length"), "v"),
    "stored": (COLUMN.format("attgenerated", "orders", "twice"), "s"),
    "not null, named": (
        CONSTRAINT.format("(contype, connoinherit, convalidated)", "tenant_there"),
        ("n", "t", "t"),
    ),
    "not null, not valid": (
        CONSTRAINT.format("(contype, connoinherit, convalidated)", "number_later"),
        ("n", "f", "f"),
    ),
    # inheritance
    "inherited columns": (
        "SELECT array_agg((attname, attislocal, attinhcount)::text ORDER BY attnum) FROM pg_attribute"
        " WHERE attrelid = 'app.heir'::regclass AND attnum > 0",
        ["(id,f,1)", "(n,f,1)", "(t,f,1)", "(own,t,0)"],
    ),
    "inherited column's default": (
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'app.heir'::regclass",
        "2",
    ),
    "inherited column's not null": (CONSTRAINT.format("conislocal", "heir_n"), True),
    "inherited column's storage": (COLUMN.format("attstorage", "heir", "t"), "x"),
    "two parents": ("SELECT count(*) FROM pg_inherits WHERE inhrelid = 'app.heir'::regclass", 2),
    # constraints
    "primary key": (
        CONSTRAINT.format("pg_get_constraintdef(oid)", "orders_pkey"),
        "PRIMARY KEY (id) INCLUDE (tenant)",
    ),
    "unique": (
        CONSTRAINT.format("pg_get_constraintdef(oid)", "orders_number"),
        "UNIQUE NULLS NOT DISTINCT (tenant, number) INCLUDE (mood) DEFERRABLE INITIALLY DEFERRED",
    ),
    "temporal key": (
        CONSTRAINT.format("pg_get_constraintdef(oid)", "orders_temporal"),
        "UNIQUE (number, during WITHOUT OVERLAPS)",
    ),
    "check": (
        CONSTRAINT.format("pg_get_constraintdef(oid)", "orders_checked"),
        "CHECK ((number > 0)) NO INHERIT",
    ),
    "check, not valid": (
        CONSTRAINT.format("pg_get_constraintdef(oid)", "orders_later"),
        "CHECK ((number < 1000000)) NOT VALID",
    ),
    "check, not enforced": (
        CONSTRAINT.format("pg_get_constraintdef(oid)", "orders_off"),
        "CHECK ((number <> 13)) NOT ENFORCED",
    ),
    "exclusion": (
        CONSTRAINT.format("pg_get_constraintdef(oid)", "orders_apart"),
        "EXCLUDE USING gist (during WITH &&) INCLUDE (tenant) WITH (fillfactor='70') WHERE ((number > 0)) DEFERRABLE",
    ),
    "foreign key with period": (
        CONSTRAINT.format("pg_get_constraintdef(oid)", "stays_customer"),
        "FOREIGN KEY (customer, PERIOD during) REFERENCES app.customers(id, PERIOD during)",
    ),
    "foreign key, not valid": (
        CONSTRAINT.format("pg_get_constraintdef(oid)", "stays_later"),
        "FOREIGN KEY (order_id) REFERENCES app.orders(id) ON DELETE SET NULL (order_id) DEFERRABLE"
        " INITIALLY DEFERRED NOT VALID",
    ),
    "foreign key, not enforced": (
        CONSTRAINT.format("pg_get_constraintdef(oid)", "stays_off"),
        "FOREIGN KEY (order_id) REFERENCES app.orders(id) MATCH FULL ON UPDATE CASCADE NOT ENFORCED",
    ),
    "options of keys": (
        "SELECT array_agg(reloptions::text ORDER BY relname)"
        " FROM pg_class WHERE relname IN ('orders_pkey', 'orders_number')",
        ["{fillfactor=80}", "{fillfactor=90}"],
    ),
    # indexes and statistics
    "index": (
        INDEX.format("orders_search"),
        "CREATE UNIQUE INDEX orders_search ON app.orders USING btree (app.add(number, 1) DESC NULLS LAST,"
        " note COLLATE \"C\" text_pattern_ops NULLS FIRST) INCLUDE (mood) NULLS NOT DISTINCT WITH (fillfactor='60')"
        " WHERE (mood = 'sad'::app.mood)",
    ),
    "index statistics": (COLUMN.format("attstattarget", "orders_search", "add"), 300),
    "operator class options": (
        INDEX.format("orders_words"),
        "CREATE INDEX orders_words ON app.orders USING gist (to_tsvector('app.short'::regconfig, note)"
        " tsvector_ops (siglen='64'))",
    ),
    "statistics": (
        "SELECT (stxkind, stxstattarget) FROM pg_statistic_ext WHERE stxname = 'orders_related'",
        ("{f,m}", "200"),
    ),
    "statistics elsewhere": (
        "SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxname = 'orders_lengths'",
        "CREATE STATISTICS other.orders_lengths ON length(note) FROM app.orders",
    ),
    # triggers, rules, policies
    "trigger": (
        TRIGGER.format("pg_get_triggerdef(oid)", "orders_touch"),
        "CREATE TRIGGER orders_touch BEFORE INSERT OR UPDATE OF note, mood ON app.orders FOR EACH ROW"
        " WHEN ((new.number > 0)) EXECUTE FUNCTION app.touch('it''s', '2')",
    ),
    "trigger with tables": (
        TRIGGER.format("pg_get_triggerdef(oid)", "orders_seen"),
        "CREATE TRIGGER orders_seen AFTER UPDATE ON app.orders REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"
        " FOR EACH STATEMENT EXECUTE FUNCTION app.touch()",
    ),
    "constraint trigger": (
        TRIGGER.format("pg_get_triggerdef(oid)", "orders_deferred"),
        "CREATE CONSTRAINT TRIGGER orders_deferred AFTER INSERT OR DELETE ON app.orders FROM app.customers"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.touch()",
    ),
    "when triggers fire": (
        "SELECT array_agg(tgenabled ORDER BY tgname) FROM pg_trigger WHERE tgname LIKE 'orders_%'",
        ["R", "O", "D", "A"],
    ),
    "trigger on a view": (TRIGGER.format("tgrelid::regclass::text", "instead"), "app.a_of_b"),
    "trigger on a foreign table": (
        TRIGGER.format("tgrelid::regclass::text", "elsewhere_touch"),
        "app.elsewhere",
    ),
    "rule": ("SELECT ev_enabled FROM pg_rewrite WHERE rulename = 'no_delete'", "D"),
    "rule of two statements": (
        "SELECT count(*) FROM regexp_matches((SELECT pg_get_ruledef(oid)"
        " FROM pg_rewrite WHERE rulename = 'swallow'), ';', 'g')",
        3,
    ),
    "policy": (
        "SELECT (polpermissive, polcmd, polroles::regrole[], pg_get_expr(polwithcheck, polrelid)"
        " LIKE '%FROM app.customers c%')"
        " FROM pg_policy WHERE polname = 'own rows'",
        ("t", "*", "{-}", "t"),
    ),
    "restrictive policy": (
        "SELECT (polpermissive, polcmd, polroles::regrole[]) FROM pg_policy WHERE polname = 'readers'",
        ("f", "r", "{dpe_r_reader,dpe_r_owner}"),
    ),
    # partitions
    "bounds": (
        "SELECT array_agg(pg_get_expr(relpartbound, oid) ORDER BY relname)"
        " FROM pg_class WHERE relispartition AND relkind IN ('r', 'p')",
        [
            "FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2027-01-01 00:00:00+00')",
            "FOR VALUES WITH (modulus 1, remainder 0)",
            "DEFAULT",
        ],
    ),
    "partition keys": (
        "SELECT array_agg(pg_get_partkeydef(partrelid) ORDER BY partrelid::regclass::text) FROM pg_partitioned_table",
        ["RANGE (at)", "HASH (id)", 'LIST (lower(kind) COLLATE "C")'],
    ),
    "keys under their own names": (
        "SELECT array_agg(inhrelid::regclass::text ORDER BY inhrelid::regclass::text)"
        " FROM pg_inherits WHERE inhparent IN ('app.events_pkey'::regclass, 'app.events_at'::regclass)",
        ['app."key of 2026"', 'app."time of 2026"', "app.events_rest_at_idx", "app.events_rest_pkey"],
    ),
    "index not followed": (
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'app.events_only'::regclass",
        0,
    ),
    "identity given by attaching": (COLUMN.format("attidentity", "events_2026", "id"), "d"),
    "partition's own default": (
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'app.events_rest'::regclass",
        "'rest'::text",
    ),
    "parent's checks": (
        "SELECT count(*) FROM pg_constraint WHERE conname = 'events_kind' AND NOT conislocal",
        3,
    ),
    "cloned triggers": ("SELECT count(*) FROM pg_trigger WHERE tgname = 'events_touch'", 4),
    # views
    "view options": (
        CLASS.format("reloptions", "a_of_b"),
        ["check_option=local", "security_barrier=true", "security_invoker=true"],
    ),
    "view default": (
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'app.a_of_b'::regclass",
        "42",
    ),
    "materialized view": (
        CLASS.format("(relkind, reloptions, relispopulated, relowner::regrole)", "counted"),
        ("m", "{fillfactor=70}", "t", "dpe_r_owner"),
    ),
    "materialized view without data": (CLASS.format("relispopulated", "unfilled"), False),
    "materialized view's cluster": (
        "SELECT indisclustered FROM pg_index WHERE indexrelid = 'app.counted_mood'::regclass",
        True,
    ),
    # servers, publications, event triggers
    "server": (
        "SELECT (srvtype, srvversion, srvoptions, srvowner::regrole) FROM pg_foreign_server",
        ("t'", "1", "{host=it's}", "dpe_r_owner"),
    ),
    "publication": (
        "SELECT (pubviaroot, pubinsert, pubupdate, pubdelete, pubowner::regrole)"
        " FROM pg_publication WHERE pubname = 'dpe_r_some'",
        ("t", "t", "t", "f", "dpe_r_reader"),
    ),
    "published": (
        "SELECT array_agg((tablename, attnames, rowfilter)::text ORDER BY tablename) FROM pg_publication_tables"
        " WHERE pubname = 'dpe_r_some' AND tablename <> 'base'",
        ['(orders,"{tenant,number}","(number > 0)")'],
    ),
    "published without heirs": (
        "SELECT array_agg(tablename ORDER BY 1) FROM pg_publication_tables WHERE pubname = 'dpe_r_some'",
        ["base", "orders"],
    ),
    "published schemas": ("SELECT pnnspid::regnamespace::text FROM pg_publication_namespace", "other"),
    "publication of all": ("SELECT puballtables FROM pg_publication WHERE pubname = 'dpe_r_all'", True),
    "event trigger": (
        "SELECT (evtevent, evtenabled, evttags, evtowner::regrole) FROM pg_event_trigger",
        ("ddl_command_end", "D", '{"CREATE TABLE","DROP TABLE"}', "dpe_r_reader"),
    ),
    # rights
    "revoked": (
        "SELECT has_function_privilege('dpe_r_writer', 'app.add(integer, integer)', 'EXECUTE')",
        False,
    ),
    "granted on": (
        "SELECT has_function_privilege('dpe_r_group', 'app.add(integer, integer)', 'EXECUTE WITH GRANT OPTION')",
        True,
    ),
    "columns": (
        "SELECT (has_column_privilege('dpe_r_writer', 'app.orders', 'note', 'SELECT'), attacl::text"
        " LIKE '%dpe_r_reader=rw/%')"
        " FROM pg_attribute WHERE attrelid = 'app.orders'::regclass AND attname = 'note'",
        ("f", "t"),
    ),
    "table grant": (CLASS.format("has_table_privilege('dpe_r_group', oid, 'INSERT')", "orders"), True),
    "maintain": (CLASS.format("has_table_privilege('dpe_r_group', oid, 'MAINTAIN')", "counted"), True),
    "sequence grant": (CLASS.format("has_sequence_privilege('dpe_r_group', oid, 'USAGE')", "plain"), True),
    "schema grant": ("SELECT has_schema_privilege('dpe_r_writer', 'app', 'USAGE')", True),
    "type": ("SELECT has_type_privilege('dpe_r_writer', 'app.mood', 'USAGE')", False),
    "language": ("SELECT has_language_privilege('dpe_r_writer', 'dpe_r_language', 'USAGE')", False),
    "server grant": ("SELECT has_server_privilege('dpe_r_group', 'dpe_r_server', 'USAGE')", True),
    "default privileges": (
        "SELECT array_agg((defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype)::text"
        " ORDER BY defaclobjtype) FROM pg_default_acl"
        " WHERE defaclrole = 'dpe_r_owner'::regrole",
        ["(dpe_r_owner,-,L)", "(dpe_r_owner,-,f)", "(dpe_r_owner,app,r)"],
    ),
    # what has no form
    "aggregate": ("SELECT app.product(n) FROM generate_series(1, 5) n", 120),
    "text search": ("SELECT to_tsvector('app.short', 'A b')::text", "'a':1 'b':2"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_server_says_what_the_model_said(connection: psycopg.Connection[Any], name: str) -> None:
    question, expected = QUESTIONS[name]
    row = connection.execute(question.encode()).fetchone()
    assert row is not None
    assert row[0] == expected


def said(field: str, value: Any = EVERYTHING) -> Iterator[Any]:
    """Every value of a field of that name in the model."""
    if dataclasses.is_dataclass(value):
        for item in dataclasses.fields(value):
            inner = getattr(value, item.name)
            if item.name == field and inner is not None:
                yield inner
            else:
                yield from said(field, inner)
    elif isinstance(value, tuple):
        for item in value:
            yield from said(field, item)


def test_every_comment_is_there(connection: psycopg.Connection[Any]) -> None:
    rows = connection.execute(
        "SELECT description FROM pg_description WHERE objoid >= 16384 OR objoid = 'public'::regnamespace"
        " UNION ALL SELECT description FROM pg_shdescription JOIN pg_roles ON objoid = pg_roles.oid"
        " WHERE classoid = 'pg_authid'::regclass AND rolname ~ '^dpe_r_'"
    )
    columns = (text for pairs in said("column_comments") for _, text in pairs)
    extensions = {
        "support for indexing common datatypes in GiST",
        "data type for case-insensitive character strings",
    }
    wanted = [*said("comment"), *columns, "short", "off"]  # the last two stand in raw statements
    assert sorted(text for (text,) in rows if text not in extensions) == sorted(wanted)


def test_everything_is_its_owners(connection: psycopg.Connection[Any]) -> None:
    rows = connection.execute(
        "SELECT refobjid::regrole::text, (pg_identify_object(classid, objid, objsubid)).type FROM pg_shdepend"
        " WHERE deptype = 'o' AND refobjid::regrole::text LIKE 'dpe_r_%'"
    ).fetchall()
    assert sorted(set(rows)) == [
        *(("dpe_r_owner", kind) for kind in OWNED),
        ("dpe_r_reader", "event trigger"),
        ("dpe_r_reader", "publication"),
    ]
    assert len(rows) >= len(list(said("owner")))


OWNED = (
    "collation",
    "default acl",
    "foreign table",
    "function",
    "materialized view",
    "procedure",
    "schema",
    "sequence",
    "server",
    "table",
    "type",
    "view",
)
