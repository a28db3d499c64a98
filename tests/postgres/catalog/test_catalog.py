"""What the catalog says comes out as the model's objects, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.model.database import Database as Model
from data_platform.model.database import (
    Foreign,
    Grant,
    IndexElement,
    Name,
    NotNull,
    PartitionOf,
    SequenceOptions,
)
from data_platform.postgres.catalog import read
from data_platform.postgres.catalog.sequences import usual_options
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database, Server
from data_platform.sql.naming import default_name

EVERYTHING = """
CREATE SCHEMA app;
COMMENT ON SCHEMA app IS 'ours';
CREATE TYPE app.mood AS ENUM ('good', 'bad');
CREATE DOMAIN app.positive AS int CONSTRAINT above CHECK (VALUE > 0) NOT NULL DEFAULT 1;
CREATE TYPE app.pair AS (a int, b text COLLATE "C");
CREATE TYPE app.span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE COLLATION app.plain (provider = libc, locale = 'C');
CREATE SEQUENCE app.numbers START 10 INCREMENT 5;
CREATE FUNCTION app.listed(a int, b text DEFAULT 'x', VARIADIC c int[] DEFAULT '{}') RETURNS TABLE (x int, y text)
  LANGUAGE plpgsql STABLE STRICT ROWS 5 SET search_path = app, public AS $$ BEGIN RETURN; END $$;
CREATE FUNCTION app.next(a int) RETURNS int LANGUAGE sql IMMUTABLE RETURN a + 1;
CREATE PROCEDURE app.work(INOUT a int) LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE AGGREGATE app.total(int) (sfunc = int4pl, stype = int, initcond = '0');
COMMENT ON AGGREGATE app.total(int) IS 'a sum';
CREATE OPERATOR app.<<+>> (leftarg = int, rightarg = int, function = int4pl);
CREATE TEXT SEARCH CONFIGURATION app.words (COPY = english);
CREATE TABLE app.things (
  id bigint GENERATED ALWAYS AS IDENTITY (START 100) PRIMARY KEY,
  mood app.mood NOT NULL,
  amount app.positive,
  label text COLLATE app.plain CONSTRAINT has_label NOT NULL,
  twice int GENERATED ALWAYS AS (app.next(1)) STORED,
  tags text[] DEFAULT '{}',
  UNIQUE (mood, label) INCLUDE (amount),
  CONSTRAINT high CHECK (id > 0) NO INHERIT
) WITH (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false);
ALTER TABLE app.things ALTER tags SET STORAGE external, ALTER tags SET STATISTICS 500, ALTER id SET (n_distinct = -0.5);
ALTER TABLE app.things ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON app.things FOR SELECT USING (id IN (SELECT 5));
CREATE STATISTICS app.both (dependencies) ON mood, label FROM app.things;
CREATE FUNCTION app.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE OF label, mood ON app.things FOR EACH ROW
  WHEN (new.label <> ') EXECUTE (') EXECUTE FUNCTION app.stamp('a b', 'c''d', '');
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON app.things DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION app.stamp();
ALTER TABLE app.things DISABLE TRIGGER later;
CREATE TRIGGER seen AFTER UPDATE ON app.things REFERENCING OLD TABLE AS was NEW TABLE AS is_now
  FOR EACH STATEMENT EXECUTE FUNCTION app.stamp();
CREATE RULE keep AS ON DELETE TO app.things WHERE old.id = 3 DO INSTEAD NOTHING;
CREATE VIEW app.good WITH (security_invoker = true) AS SELECT id, label FROM app.things WHERE mood = 'good';
CREATE MATERIALIZED VIEW app.counts AS SELECT label, count(*) AS number FROM app.things GROUP BY label;
CREATE UNIQUE INDEX counts_label ON app.counts (label);
CREATE TABLE app.events (at timestamptz NOT NULL, kind int, body jsonb, PRIMARY KEY (at, kind)) PARTITION BY RANGE (at);
CREATE TABLE app.events_2025 PARTITION OF app.events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE app.events_rest PARTITION OF app.events DEFAULT PARTITION BY HASH (kind);
CREATE INDEX events_kind ON app.events (kind DESC, (body ->> 'a') COLLATE app.plain text_pattern_ops) WHERE kind > 3;
CREATE TABLE app.parent (a int DEFAULT 1, b text CONSTRAINT parent_has_b NOT NULL, CONSTRAINT up CHECK (a > 0));
CREATE TABLE app.child (c int, a int DEFAULT 5) INHERITS (app.parent);
CREATE ROLE {role};
GRANT SELECT (id, label), UPDATE (label) ON app.things TO {role};
GRANT SELECT ON app.events TO {role} WITH GRANT OPTION;
REVOKE EXECUTE ON FUNCTION app.next(int) FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO {role};
CREATE PUBLICATION out FOR TABLE app.things (id, label) WHERE (id > 3) WITH (publish = 'insert');
CREATE FUNCTION app.watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION app.watch();
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing OPTIONS (host 'x');
CREATE FOREIGN TABLE app.far (a int OPTIONS (column_name 'A')) SERVER elsewhere OPTIONS (name 'y');
"""


@pytest.fixture(scope="module")
def model(server: Server) -> Iterator[tuple[Model, str]]:
    with (
        server.scratch_database() as database,
        connect(database.admin_conninfo, read_only=False) as connection,
    ):
        role = f"{database.name}_reader"
        connection.execute(EVERYTHING.replace("{role}", role).encode())
        yield read(connection), role
        connection.execute(f"DROP OWNED BY {role} CASCADE".encode())
        connection.execute(f"DROP ROLE {role}".encode())


@pytest.fixture(scope="module")
def found(model: tuple[Model, str]) -> Model:
    return model[0]


def test_columns_say_what_is_unusual(found: Model) -> None:
    things = found.table(Name("app", "things"))
    assert things.column("id").sequence == SequenceOptions(start=100)
    assert things.column("id").options == (("n_distinct", "-0.5"),)
    assert things.column("label").not_null == NotNull(name="has_label")
    assert things.column("label").collation == 'app."plain"'
    assert things.column("mood").not_null is None
    assert (things.column("tags").storage, things.column("tags").statistics) == ("external", 500)


def test_a_table_says_what_hangs_on_it(found: Model) -> None:
    things = found.table(Name("app", "things"))
    assert things.options == (
        ("autovacuum_enabled", "false"),
        ("fillfactor", "70"),
        ("toast.autovacuum_enabled", "false"),
    )
    assert things.row_security == "forced"
    assert things.policies[0].using == "(id IN ( SELECT 5))"
    assert things.uniques[0].include == ("amount",)
    assert [check.no_inherit for check in things.checks] == [True]
    assert things.statistics[0].kinds == ("dependencies",)
    assert things.rules[0].sql.startswith("CREATE RULE keep AS")


def test_triggers_in_full(found: Model) -> None:
    triggers = {trigger.name: trigger for trigger in found.table(Name("app", "things")).triggers}
    stamp = triggers["stamp"]
    assert stamp.when == "(new.label <> ') EXECUTE ('::text)"
    assert stamp.arguments == ("a b", "c'd", "")
    assert (stamp.events, stamp.update_of) == (("insert", "update"), ("label", "mood"))
    assert triggers["later"].constraint
    assert triggers["later"].deferral == "initially deferred"
    assert triggers["later"].enabled == "disabled"
    assert (triggers["seen"].level, triggers["seen"].old_table, triggers["seen"].new_table) == (
        "statement",
        "was",
        "is_now",
    )


def test_partitions_and_children(found: Model) -> None:
    events = found.table(Name("app", "events"))
    assert events.partition_by is not None
    assert events.partition_by.key == (IndexElement(column="at"),)
    part = found.table(Name("app", "events_2025"))
    assert part.partition_of == PartitionOf(
        table=events.name,
        bound="FOR VALUES FROM ('2025-01-01 00:00:00+00') TO ('2026-01-01 00:00:00+00')",
    )
    assert part.columns == events.columns
    assert part.primary_key is not None
    assert part.primary_key.name == "events_2025_pkey"
    child = found.table(Name("app", "child"))
    assert [(column.name, column.inherited) for column in child.columns] == [
        ("a", False),
        ("b", True),
        ("c", False),
    ]
    assert child.column("b").not_null is None
    assert child.checks == ()


def test_functions_in_full(found: Model) -> None:
    functions = {function.name.name: function for function in found.functions}
    assert functions["next"].sql_body == "RETURN (a + 1)"
    assert functions["next"].body is None
    assert functions["work"].procedure
    assert functions["work"].returns is None
    listed = functions["listed"]
    assert listed.returns == "TABLE(x integer, y text)"
    assert (listed.volatility, listed.strict, listed.rows, listed.cost) == ("stable", True, 5, None)
    assert listed.settings == (("search_path", "app, public"),)


def test_grants_are_what_differs_from_the_defaults(model: tuple[Model, str]) -> None:
    found, role = model
    assert found.grants == (
        Grant(
            kind="function", object="app.next(integer)", role="public", privileges=("EXECUTE",), revoked=True
        ),
        Grant(kind="table", object="app.events", role=role, privileges=("SELECT",), grantable=True),
        Grant(kind="table", object="app.far", role=role, privileges=("SELECT",)),
        Grant(kind="table", object="app.things", role=role, privileges=("SELECT",), columns=("id",)),
        Grant(
            kind="table", object="app.things", role=role, privileges=("SELECT", "UPDATE"), columns=("label",)
        ),
    )
    assert [part.schema for part in found.default_privileges] == ["app"]
    assert [part.name for part in found.roles] == [role]


def test_the_rest_has_its_own_form(found: Model) -> None:
    assert [type(type_).__name__ for type_ in found.types] == ["Enum", "Composite", "Domain", "Range"]
    assert found.sequences[0].sequence == SequenceOptions(start=10, increment=5)
    assert found.views[0].options == (("security_invoker", "true"),)
    assert found.materialized_views[0].indexes[0].unique
    assert found.publications[0].tables[0].columns == ("id", "label")
    assert found.event_triggers[0].tags == ("CREATE TABLE",)
    assert found.servers[0].options == (("host", "x"),)
    far = found.table(Name("app", "far"))
    assert far.foreign == Foreign(server="elsewhere", options=(("name", "y"),))
    assert far.column("a").options == (("column_name", "A"),)


def test_what_has_no_form_is_kept_as_sql(found: Model) -> None:
    raw = {(part.kind, part.name): part.sql for part in found.raw}
    assert "SFUNC = int4pl" in raw["aggregate", "app.total(integer)"]
    assert raw["foreign data wrapper", "nothing"] == "CREATE FOREIGN DATA WRAPPER nothing;"
    assert raw["operator", "app.<<+>>"].startswith("CREATE OPERATOR app.<<+>>")
    assert raw["text search configuration", "app.words"].count("ADD MAPPING") > 10
    assert any("a sum" in sql for (kind, _), sql in raw.items() if kind == "comment")


def test_an_anonymous_owner_is_not_named(database: Database) -> None:
    with connect(database.conninfo, read_only=False) as owner:
        owner.execute("CREATE TABLE mine (id int)")
    with connect(database.admin_conninfo, read_only=False) as admin:
        assert read(admin).tables[0].owner == database.name
        assert read(admin, anonymous=[database.name]).tables[0].owner is None


_PARTS = st.text(st.sampled_from("aé漢_1"), min_size=1, max_size=40).filter(
    lambda name: len(name.encode()) <= 63
)


@settings(max_examples=30, deadline=None)
@given(table=_PARTS, column=_PARTS)
def test_default_names_are_the_servers(shared: psycopg.Connection[Any], table: str, column: str) -> None:
    with shared.transaction(force_rollback=True):
        shared.execute(f'CREATE TABLE "{table}" ("{column}" int GENERATED ALWAYS AS IDENTITY)'.encode())
        made = read(shared).tables[0].columns[0]
    assert made.sequence_name is None
    assert made.not_null is None
    assert len(default_name(table, column, "seq").encode()) <= 63


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[psycopg.Connection[Any]]:
    with server.scratch_database() as database, connect(database.conninfo, read_only=False) as connection:
        yield connection


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (SequenceOptions(increment=1, start=1, minimum=1, maximum=2**63 - 1, cache=1), None),
        (SequenceOptions(increment=-1, start=-1, maximum=-1), SequenceOptions(increment=-1)),
        (SequenceOptions(minimum=5, start=5), SequenceOptions(minimum=5)),
        (SequenceOptions(cycle=True), SequenceOptions(cycle=True)),
    ],
)
def test_usual_options_are_left_out(given: SequenceOptions, kept: SequenceOptions | None) -> None:
    assert usual_options(given, "bigint") == kept


def test_a_range_with_a_canonical_function_is_no_raw_type(database: Database) -> None:
    with connect(database.admin_conninfo, read_only=False) as admin:
        admin.execute("CREATE TYPE whole; CREATE TYPE bare")
        admin.execute(
            "CREATE FUNCTION tidy(whole) RETURNS whole LANGUAGE internal IMMUTABLE AS 'int4range_canonical'"
        )
        admin.execute("CREATE TYPE whole AS RANGE (subtype = int, canonical = tidy)")
        found = read(admin)
    assert [type_.name.name for type_ in found.types] == ["whole"]
    assert [(part.kind, part.name) for part in found.raw] == [("type", "public.bare")]
