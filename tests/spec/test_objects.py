"""Everything beside plain tables as a person would write it: short forms, what they mean, each error with its place."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from data_platform.model import database as model
from data_platform.model.database import (
    Check,
    Column,
    Database,
    DefaultPrivilege,
    Grant,
    Index,
    IndexElement,
    Name,
    NotNull,
    Partitioning,
    PartitionOf,
    Policy,
    PrimaryKey,
    Range,
    Role,
    Rule,
    Schema,
    Sequence,
    SequenceOptions,
    Statistics,
    Table,
    Trigger,
    View,
)
from data_platform.report.finding import Finding
from data_platform.spec import validate
from data_platform.spec.document import SpecProblem, parse
from data_platform.spec.model import codec, read_model

HEAD = "kind: model\nstore: Shop DB\n"
ONE = "tables: {a: {columns: {b: int}}}\n"


def _database(text: str) -> Database:
    document = parse((HEAD + text).encode(), "model.yaml")
    validate.check(document)
    return read_model(document).database


def _table(text: str, name: str = "a", schema: str = "public") -> Table:
    return _database(text).table(Name(schema, name))


def _findings(text: str) -> tuple[Finding, ...]:
    with pytest.raises(SpecProblem) as caught:
        _database(text)
    return caught.value.findings


# --- sections ---


def test_schemas_may_have_nothing_to_say() -> None:
    database = _database("schemas: {empty: , app: {comment: x}, public: {owner: o}}\n" + ONE)
    assert database.schemas == ("app", "empty")
    assert database.schema_details == (Schema(name="app", comment="x"), Schema(name="public", owner="o"))


def test_roles_and_sequences() -> None:
    database = _database(
        "roles: {b: {login: true, member_of: a}, a: }\nsequences: {s: {increment: 5, owned_by: a.b}}\n" + ONE
    )
    assert database.roles == (Role(name="a"), Role(name="b", login=True, member_of=("a",)))
    (sequence,) = database.sequences
    assert sequence == Sequence(
        name=Name("public", "s"), sequence=SequenceOptions(increment=5), owned_by=(Name("public", "a"), "b")
    )


def test_a_range_type() -> None:
    database = _database("types: {r: {range: float8, difference: pg_catalog.float8mi, owner: o}}\n" + ONE)
    wanted = Range(
        name=Name("public", "r"), subtype="float8", difference=Name("pg_catalog", "float8mi"), owner="o"
    )
    assert database.types == (wanted,)


def test_functions_by_name_and_by_what_tells_them_apart() -> None:
    text = "functions:\n  f(text): {arguments: t text, returns: text, language: sql, body: SELECT t}\n"
    text += "  app.f: {sql_body: RETURN 1, returns: int}\n  f: {returns: trigger, body: BEGIN END}\n"
    found = _database(text + ONE).functions
    assert [(str(function.name), function.arguments, function.language) for function in found] == [
        ("app.f", "", "sql"),
        ("public.f", "", "plpgsql"),
        ("public.f", "t text", "sql"),
    ]


def test_a_view_may_be_just_its_query() -> None:
    database = _database(
        "views: {v: SELECT b FROM a;}\nmaterialized_views: {m: {query: TABLE a, indexes: [[b]]}}\n" + ONE
    )
    assert database.views == (View(name=Name("public", "v"), query="SELECT b FROM a"),)
    assert database.materialized_views[0].indexes == (
        Index(name="m_b_idx", elements=(IndexElement(column="b"),)),
    )


def test_a_pattern_may_ask_a_view() -> None:
    assert _database("views: {v: SELECT b FROM a}\naccess_patterns: {p: {sql: SELECT b FROM v}}\n" + ONE)


def test_grants_and_revokes() -> None:
    text = "grants:\n  - {on: table a, to: app, privileges: [select, INSERT]}\n"
    text += "  - {on: 'function f(int)', from: public, privileges: all}\n"
    text += "  - {on: table a, to: app, privileges: all, columns: b}\n"
    text += "default_privileges: [{on: tables, owner: o, to: app, privileges: [select]}]\n"
    database = _database(text + ONE)
    assert database.grants == (
        Grant(kind="table", object="a", role="app", privileges=("INSERT", "SELECT")),
        Grant(kind="function", object="f(int)", role="public", privileges=("EXECUTE",), revoked=True),
        Grant(
            kind="table",
            object="a",
            role="app",
            privileges=("INSERT", "REFERENCES", "SELECT", "UPDATE"),
            columns=("b",),
        ),
    )
    assert database.default_privileges == (
        DefaultPrivilege(kind="tables", role="app", privileges=("SELECT",), owner="o"),
    )


def test_all_grows_with_the_server() -> None:
    text = "grants: [{on: table a, to: app, privileges: all}]\n" + ONE
    assert "MAINTAIN" in _database(text).grants[0].privileges
    assert "MAINTAIN" not in _database("server_version: 16\n" + text).grants[0].privileges


def test_a_collation_of_the_model_gets_its_schema() -> None:
    text = "collations: {german: {options: {provider: icu, locale: de}}}\n"
    text += "tables: {a: {columns: {b: {type: text, collation: german}, c: {type: text, collation: C}}}}\n"
    assert [column.collation for column in _table(text).columns] == ['public."german"', "C"]


# --- what hangs on tables ---


def test_triggers_policies_rules_and_statistics() -> None:
    text = "functions: {f: {returns: trigger, body: BEGIN END}}\n"
    text += "tables:\n  a:\n    columns: {b: int, c: text}\n    row_security: true\n"
    text += "    triggers: {t: {timing: before, events: update, function: f, update_of: b, arguments: x}}\n"
    text += "    policies: {p: {using: b IN (SELECT 1)}}\n    rules: {r: CREATE RULE r AS ON DELETE TO a DO NOTHING}\n"
    text += "    statistics: {s: {on: [b, {expression: lower(c)}], kinds: mcv}}\n"
    table = _table(text)
    assert table.triggers == (
        Trigger(
            name="t",
            timing="before",
            events=("update",),
            function=Name("public", "f"),
            update_of=("b",),
            arguments=("x",),
        ),
    )
    assert table.row_security == "on"
    assert table.policies == (Policy(name="p", using="b IN (SELECT 1)"),)
    assert table.rules == (Rule(name="r", sql="CREATE RULE r AS ON DELETE TO a DO NOTHING"),)
    wanted = (IndexElement(column="b"), IndexElement(expression="lower(c)"))
    assert table.statistics == (Statistics(name="s", on=wanted, kinds=("mcv",)),)


def test_constraints_in_full() -> None:
    text = "tables: {a: {columns: {b: {type: int, not_null: {name: nn}}, r: daterange}, primary_key: {columns: [b, r], "
    text += "without_overlaps: true, comment: x}, checks: {k: {expression: b > 0, validated: false}}}}\n"
    table = _table(text)
    assert table.column("b").not_null == NotNull(name="nn")
    assert table.primary_key == PrimaryKey(
        name="a_pkey", columns=("b", "r"), without_overlaps=True, comment="x"
    )
    assert table.checks == (Check(name="k", expression="b > 0", validated=False),)


def test_a_table_may_have_no_columns_where_that_is_meant() -> None:
    assert _table("tables: {a: {columns: {}}}").columns == ()


# --- partitions and inheritance ---

EVENTS = """
tables:
  log.events:
    columns:
      id: {type: bigint, identity: always}
      at: {type: timestamptz, comment: when}
      kind: text
    primary_key: [id, at]
    conventions: {timestamps: true}
    partition_by: {range: [at]}
    partitions:
      events_2026_11:
        bound: FROM ('2026-11-01') TO ('2026-12-01')
        partition_by: {list: kind}
        partitions: {events_2026_11_a: "FOR VALUES IN ('a')"}
      other.events_rest: default
"""


def test_partitions_stand_under_their_parent() -> None:
    database = _database("conventions: {primary_key: uuid, soft_delete: true}\n" + EVENTS)
    parent = database.table(Name("log", "events"))
    assert parent.partition_by == Partitioning(strategy="range", key=(IndexElement(column="at"),))
    bounds = {str(t.name): t.partition_of for t in database.tables if t.partition_of}
    assert bounds == {
        "log.events_2026_11": PartitionOf(
            table=parent.name, bound="FOR VALUES FROM ('2026-11-01') TO ('2026-12-01')"
        ),
        "log.events_2026_11_a": PartitionOf(table=Name("log", "events_2026_11"), bound="FOR VALUES IN ('a')"),
        "other.events_rest": PartitionOf(table=parent.name, bound="DEFAULT"),
    }


def test_a_partition_has_its_parents_columns_and_nothing_else() -> None:
    database = _database(EVENTS)
    leaf = database.table(Name("log", "events_2026_11_a"))
    assert [(column.name, column.identity, column.comment) for column in leaf.columns] == [
        ("id", "always", None),
        ("at", None, None),
        ("kind", None, None),
        ("created_at", None, None),
        ("updated_at", None, None),
    ]
    assert (leaf.primary_key, leaf.triggers, leaf.indexes) == (None, (), ())
    assert not any(column.inherited for column in leaf.columns)


def test_a_key_of_the_parent_is_unique_in_a_partition() -> None:
    text = EVENTS + "  m:\n    columns: {i: bigint, t: timestamptz}\n    foreign_keys: [{columns: [i, t], "
    text += "references: {table: other.events_rest, columns: [id, at]}, on_delete: cascade}]\n"
    assert len(_table(text, "m").foreign_keys) == 1


INHERITS = """
tables:
  base: {columns: {id: {type: bigint, identity: always}, name: {type: text, default: "'x'"}, n: int}}
  kid: {inherits: base, columns: {extra: int, name: {inherited: true, default: "'y'"}, n: {type: int, comment: own}}}
"""


def test_a_child_has_its_parents_columns_first() -> None:
    kid = _table(INHERITS, "kid")
    assert kid.columns == (
        Column(name="id", type="bigint", inherited=True),
        Column(name="name", type="text", default="'y'", inherited=True),
        Column(name="n", type="int", comment="own"),
        Column(name="extra", type="int"),
    )


def test_a_child_that_lists_every_column_keeps_its_own_order() -> None:
    text = "tables: {base: {columns: {a: int, b: int}}, kid: {inherits: base, columns: {b: int, c: int, a: int}}}"
    assert [column.name for column in _table(text, "kid").columns] == ["b", "c", "a"]


def test_a_child_takes_the_type_that_only_a_reference_gives() -> None:
    text = (
        "tables: {t: {columns: {id: {type: uuid, primary_key: true}}}, kid: {inherits: base, columns: {}}, "
    )
    text += "base: {columns: {t_id: {references: {table: t, on_delete: cascade}}}}}"
    assert _table(text, "kid").columns == (Column(name="t_id", type="uuid", inherited=True),)


def test_a_typed_table_takes_the_types_fields() -> None:
    table = _table("types: {p: {composite: {x: int}}}\ntables: {a: {of_type: p}}")
    assert table.columns == (Column(name="x", type="int", nullable=True),)


# --- what a real database holds ---


def test_rows_of_tables_and_views_are_types() -> None:
    text = (
        "views: {v: SELECT 1 AS x}\ntables: {a: {columns: {b: int}}, c: {columns: {d: a, e: 'public.v[]'}}}"
    )
    assert [column.type for column in _table(text, "c").columns] == ["a", "public.v[]"]


def test_types_that_only_raw_statements_make() -> None:
    raw = "raw: [{kind: type, name: app.t, sql: CREATE TYPE app.t}]\nschemas: {app: }\n"
    assert _table(raw + "tables: {a: {columns: {b: app.t, c: u}}}").columns[0].type == "app.t"
    (found,) = _findings(raw + "tables: {a: {columns: {b: nope.t}}}")
    assert found.rule == "spec-type"


def test_an_index_may_be_named_like_an_enum_and_a_constraint_like_one_of_another_table() -> None:
    text = "types: {e: {enum: [x]}}\ntables: {a: {columns: {b: int}, "
    text += "indexes: [{columns: [b], name: e}], checks: {k: b > 0}}, "
    assert _database(text + "c: {columns: {d: int}, checks: {k: d > 0}}}").tables


def test_what_postgresql_accepts_is_accepted_of_an_imported_model() -> None:
    text = "tables: {a: {columns: {i: {type: int, primary_key: true}, "
    text += "b: {type: int, references: {table: a, on_delete: set null}}}, "
    text += "unique: [[b], {columns: [b], name: again}]}}"
    assert {finding.rule for finding in _findings(text)} == {"spec-foreign-key", "spec-duplicate"}
    assert len(_table("imported: true\n" + text).uniques) == 2


def test_a_constant_may_hold_what_nobody_sees() -> None:
    table = _table("tables: {a: {columns: {b: {type: text, default: \"'\\u200b'\"}}}}")
    assert table.columns[0].default == "'\u200b'"


# --- errors ---

F = "functions: {f: {%s}}\n" + ONE
V = "views: {v: %s}\n" + ONE
T = "tables: {a: {columns: {b: int, c: text}, %s}}"


@pytest.mark.parametrize(
    ("text", "rule", "message"),
    [
        (F % "returns: int, body: '', sql_body: RETURN 1", "spec-conflict", "exactly one of `body`"),
        (F % "returns: int AS 'x', body: ''", "spec-sql", "something other"),
        (
            F % "arguments: 'a int) RETURNS int AS $$x$$ --', returns: int, body: ''",
            "spec-sql",
            "syntax error",
        ),
        (F % "returns: int, sql_body: RETURN 1; DROP TABLE a", "spec-sql", "something other"),
        (V % "DROP TABLE a", "spec-sql", "expected one SELECT"),
        (V % "SELECT 1; DROP TABLE a", "spec-sql", "a semicolon"),
        (V % "SELECT b INTO x FROM a", "spec-sql", "makes a table"),
        (V % "SELECT $1", "spec-sql", "a parameter"),
        ("views: {a: SELECT 1}\n" + ONE, "spec-duplicate", "twice"),
        (F % "procedure: true, returns: int, body: ''", "spec-conflict", "returns nothing"),
        (T % "rules: {r: DROP TABLE a}", "spec-sql", "one CREATE RULE"),
        ("raw: [{kind: cast, name: x, sql: CRETE CAST}]\n" + ONE, "spec-sql", "syntax error"),
        ("grants: [{on: table a, privileges: [select]}]\n" + ONE, "spec-grant", "exactly one of `to`"),
        (
            "grants: [{on: table a, to: x, privileges: [selct]}]\n" + ONE,
            "spec-grant",
            "no privilege of a table",
        ),
        ("grants: [{on: 'table a, b', to: x, privileges: all}]\n" + ONE, "spec-grant", "no table as GRANT"),
        (
            "grants: [{on: 'table a TO y; DROP', to: x, privileges: all}]\n" + ONE,
            "spec-grant",
            "no table as GRANT",
        ),
        (
            "grants: [{on: tabel a, to: x, privileges: all}]\n" + ONE,
            "spec-grant",
            "does not begin with a kind",
        ),
        (
            T % "triggers: {t: {timing: after, events: [insert], function: g}}",
            "spec-unknown-function",
            "`public.g`",
        ),
        (
            T % "triggers: {t: {timing: after, events: [updte], function: g}}",
            "spec-not-a-choice",
            "expected one of insert",
        ),
        (T % "policies: {p: {using: 'b > $1'}}", "spec-sql", "a parameter"),
        (T % "policies: {p: {command: insert, using: 'true'}}", "spec-conflict", "with_check"),
        (T % "policies: {p: {command: select, with_check: 'true'}}", "spec-conflict", "no new rows"),
        (T % "partition_by: {range: [z]}", "spec-unknown-column", "no column `z`"),
        (T % "partition_by: {range: [b], list: [c]}", "spec-conflict", "one of `range`"),
        (T % "partition_by: {range: [b]}, partitions: {p: FROM 1}", "spec-sql", "syntax error"),
        (
            T % "partition_by: {range: [b]}, partitions: {p: DEFAULT PARTITION BY LIST (b)}",
            "spec-sql",
            "the bound",
        ),
        (T % "partitions: {p: default}", "spec-conflict", "no `partition_by:`"),
        (T % "inherits: z", "spec-unknown-table", "no table `public.z`"),
        (
            "tables: {a: {inherits: b, columns: {}}, b: {inherits: a, columns: {}}}",
            "spec-conflict",
            "descend from each other",
        ),
        ("tables: {a: {of_type: z}}", "spec-type", "no composite type"),
        (T % "statistics: {s: {on: [z]}}", "spec-unknown-column", "no column `z`"),
        ("tables: {a: {columns: {b: {inherited: true}}}}", "spec-conflict", "has a column `b`"),
        ("types: {e: {enum: [x], canonical: f}}\n" + ONE, "spec-unknown-key", "for ranges only"),
        (T % "indexes: [{columns: [b], using: gni}]", "spec-not-a-choice", "expected one of btree"),
        (
            "server_version: 17\n" + T % "checks: {k: {expression: b > 0, enforced: false}}",
            "spec-server-version",
            "needs PostgreSQL 18",
        ),
        (
            "server_version: 14\npublications: {p: {schemas: [public]}}\n" + ONE,
            "spec-server-version",
            "needs PostgreSQL 15",
        ),
        (
            "server_version: 14\nviews: {v: {query: SELECT 1, options: {security_invoker: true}}}\n" + ONE,
            "spec-server-version",
            "needs PostgreSQL 15",
        ),
        ("sequences: {s: {owned_by: b_c}}\n" + ONE, "spec-name", "names no column"),
    ],
)
def test_each_error(text: str, rule: str, message: str) -> None:
    (found,) = _findings(text)
    assert found.rule == rule
    assert message in found.message
    assert found.fix
    assert found.line is not None
    assert found.line >= 3


# --- the JSON Schema says what the dataclasses say ---

SCHEMA: dict[str, Any] = json.loads(validate.schema_text("model"))
DEFS: dict[str, Any] = SCHEMA["$defs"]
BY_FIELDS: dict[str, type[Any]] = {
    "trigger": model.Trigger,
    "rule": model.Rule,
    "policy": model.Policy,
    "statistics": model.Statistics,
    "foreign": model.Foreign,
    "not_null": model.NotNull,
    "sequence_options": model.SequenceOptions,
    "role": model.Role,
    "schema": model.Schema,
    "collation_object": model.CollationObject,
    "function": model.Function,
    "view": model.View,
    "materialized_view": model.MaterializedView,
    "server": model.Server,
    "event_trigger": model.EventTrigger,
    "published_table": model.PublishedTable,
    "publication": model.Publication,
    "check": model.Check,
    "attribute": model.Attribute,
    "raw_object": model.Raw,
}


@pytest.mark.parametrize(("name", "cls"), BY_FIELDS.items(), ids=BY_FIELDS)
def test_the_schema_has_the_fields_of_the_class(name: str, cls: type[Any]) -> None:
    hints = get_type_hints(cls)
    own = {field.name for field in fields(cls)} - ({"name"} if cls in codec.NAMED_BY_KEY else set())
    properties = DEFS[name]["properties"]
    assert set(properties) == own
    for key, schema in properties.items():
        if get_origin(hints[key]) is Literal:
            assert tuple(schema["enum"]) == get_args(hints[key])


def test_the_schema_has_the_fields_of_tables_and_columns() -> None:
    constraints = {"uniques", "checks", "exclusions", "foreign_keys", "indexes", "name"}
    own = {field.name for field in fields(model.Table)} - constraints
    assert own <= set(DEFS["table"]["properties"])
    assert {field.name for field in fields(model.Column)} - {"name"} <= set(DEFS["column"]["properties"])
    partition = set(DEFS["partition"]["properties"])
    not_of_partitions = {"partition_of", "inherits", "of_type", "renamed_from"}
    assert partition == set(DEFS["table"]["properties"]) - not_of_partitions | {"bound"}
