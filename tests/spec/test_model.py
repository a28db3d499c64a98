"""From a checked document to a `Design`: what the words of the format mean, and every error with its place."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform import ddl
from data_platform.model.database import (
    Column,
    Composite,
    Database,
    Domain,
    Enum,
    Extension,
    Generated,
    Index,
    IndexElement,
    Name,
    Table,
)
from data_platform.model.design import DataHint, Design, Mark
from data_platform.report.finding import Finding
from data_platform.spec import validate
from data_platform.spec.document import MAX_FINDINGS, SpecProblem, parse
from data_platform.spec.model import read_model

HEAD = "kind: model\nstore: Shop DB\n"


def _read(text: str) -> Design:
    document = parse((HEAD + text).encode(), "model.yaml")
    validate.check(document)
    return read_model(document)


def _database(text: str) -> Database:
    return _read(text).database


def _table(text: str, name: str = "a") -> Table:
    return _database(text).table(Name("public", name))


def _findings(text: str) -> tuple[Finding, ...]:
    with pytest.raises(SpecProblem) as caught:
        _read(text)
    return caught.value.findings


def _columns(text: str) -> str:
    return f"tables: {{a: {{columns: {{{text}}}}}}}\n"


# --- defaults and conventions ---


def test_a_column_is_not_null_unless_it_says_so() -> None:
    table = _table(_columns("b: text, c: {type: int, nullable: true}"))
    assert table.columns == (Column(name="b", type="text"), Column(name="c", type="int", nullable=True))


def test_the_server_is_18_and_the_schema_public() -> None:
    design = _read(_columns("b: text"))
    assert (design.server_version, design.default_schema) == (18, "public")
    assert design.database.schemas == ()


def test_a_default_may_be_a_number_a_truth_or_an_expression() -> None:
    table = _table(
        _columns(
            "b: {type: int, default: 0}, c: {type: bool, default: false}, d: {type: text, default: \"'x'\"}"
        )
    )
    assert [column.default for column in table.columns] == ["0", "false", "'x'"]


@pytest.mark.parametrize(
    ("rule", "column"),
    [
        ("uuid", Column(name="id", type="uuid", default="gen_random_uuid()")),
        ("uuidv7", Column(name="id", type="uuid", default="uuidv7()")),
        ("identity", Column(name="id", type="bigint", identity="always")),
    ],
)
def test_the_key_of_the_house_rules(rule: str, column: Column) -> None:
    table = _table(f"conventions: {{primary_key: {rule}}}\n" + _columns("b: text"))
    assert table.columns == (column, Column(name="b", type="text"))
    assert table.primary_key is not None
    assert table.primary_key.columns == ("id",)
    assert table.primary_key.name == "a_pkey"


def test_the_key_of_the_house_rules_gives_way_to_the_authors() -> None:
    rules = "conventions: {primary_key: uuid}\n"
    assert [c.name for c in _table(rules + _columns("b: {type: int, primary_key: true}")).columns] == ["b"]
    assert _table(
        rules + "tables: {a: {columns: {b: int, c: int}, primary_key: [c, b]}}"
    ).primary_key.columns == ("c", "b")  # type: ignore[union-attr]
    own = _table(rules + _columns("id: int"))
    assert own.columns == (Column(name="id", type="int"),)
    assert own.primary_key is not None


def test_timestamps_bring_columns_a_trigger_and_its_function() -> None:
    database = _database("conventions: {timestamps: true}\n" + _columns("b: text"))
    (table,) = database.tables
    assert [column.name for column in table.columns] == ["b", "created_at", "updated_at"]
    assert [trigger.function for trigger in table.triggers] == [Name("public", "set_updated_at")]
    assert [function.name for function in database.functions] == [Name("public", "set_updated_at")]


def test_the_triggers_function_has_a_schema_to_live_in() -> None:
    database = _database(
        "schema: own\nconventions: {timestamps: true}\ntables: {other.a: {columns: {b: text}}}\n"
    )
    assert database.functions[0].name.schema in database.schemas


def test_soft_delete_makes_unique_keys_hold_among_living_rows() -> None:
    text = "conventions: {soft_delete: true}\ntables: {a: {columns: {b: {type: int, unique: true}, c: int}, "
    text += (
        "unique: [{columns: [c], include_deleted: true}, {columns: [b, c], deferral: initially deferred}]}}\n"
    )
    design = _read(text)
    (table,) = design.database.tables
    element = IndexElement(column="b")
    assert table.indexes == (
        Index(name="a_b_key", elements=(element,), unique=True, where="deleted_at IS NULL"),
    )
    assert [unique.columns for unique in table.uniques] == [("b", "c"), ("c",)]
    assert design.soft_deleted == {table.name}


def test_a_table_overrides_the_house_rules() -> None:
    text = "conventions: {metadata: true, timestamps: true}\n"
    text += "tables: {a: {columns: {b: int}, conventions: {timestamps: false}}, c: {columns: {d: int}}}\n"
    database = _database(text)
    assert [[column.name for column in table.columns] for table in database.tables] == [
        ["b", "metadata"],
        ["d", "metadata", "created_at", "updated_at"],
    ]


def test_a_column_of_the_author_stands_for_that_of_the_house_rules() -> None:
    table = _table("conventions: {metadata: true}\n" + _columns("metadata: json, b: int"))
    assert [(column.name, column.type) for column in table.columns] == [("metadata", "json"), ("b", "int")]


# --- types ---


def test_types_are_sorted_and_made_after_those_they_are_made_of() -> None:
    text = "types:\n  t3: {enum: [z, y, x]}\n  t1: {composite: {x: t2, y: 't3[]'}}\n  t2: {domain: t3}\n"
    design = _read(text + _columns("f: int"))
    found = design.database.types
    assert [type_.name.name for type_ in found] == ["t1", "t2", "t3"]
    assert isinstance(found[0], Composite)
    assert isinstance(found[1], Domain)
    assert found[2] == Enum(name=Name("public", "t3"), labels=("z", "y", "x"))
    made = [statement.object for statement in ddl.statements(design) if statement.section == "types"]
    assert made == ["type public.t3", "domain public.t2", "type public.t1"]


def test_a_type_of_another_schema_is_qualified_where_it_is_used() -> None:
    database = _database("schema: shop\ntypes: {e: {enum: [x]}}\n" + _columns("b: e, c: 'e[]', d: shop.e"))
    assert [column.type for column in database.tables[0].columns] == ["shop.e", "shop.e[]", "shop.e"]
    assert database.schemas == ("shop",)


def test_extensions_bring_their_types() -> None:
    database = _database(
        "extensions: [vector, {name: citext, schema: ext}]\n" + _columns("b: vector(3), c: citext")
    )
    assert database.extensions == (Extension(name="citext", schema="ext"), Extension(name="vector"))
    assert [column.type for column in database.tables[0].columns] == ["vector(3)", "ext.citext"]


# --- keys and indexes ---


def test_a_reference_gives_the_column_its_type_and_an_index() -> None:
    text = "tables:\n  a: {columns: {id: {type: uuid, primary_key: true}}}\n"
    text += "  b: {columns: {a_id: {primary_key: true, references: {table: a, on_delete: cascade}}}}\n"
    text += "  c: {columns: {b_id: {references: {table: b, on_delete: restrict}}}}\n"
    c = _table(text, "c")
    assert c.columns == (Column(name="b_id", type="uuid"),)
    (key,) = c.foreign_keys
    assert (key.name, key.target, key.target_columns, key.on_delete) == (
        "c_b_id_fkey",
        Name("public", "b"),
        ("a_id",),
        "restrict",
    )
    assert c.indexes == (Index(name="c_b_id_idx", elements=(IndexElement(column="b_id"),)),)
    assert _table(text, "b").indexes == (), "the primary key serves already"


@pytest.mark.parametrize(
    ("extra", "served"),
    [
        ("", False),
        ("indexes: [[a_id, x]]", True),
        ("indexes: [[x, a_id]]", False),
        ("indexes: [{columns: [a_id], where: a_id IS NOT NULL}]", True),
        ("indexes: [{columns: [a_id], where: x > 0}]", False),
        ("indexes: [{columns: [x], include: [a_id]}]", False),
        ("indexes: [{columns: [a_id], using: hash}]", False),
        ("unique: [[a_id, x]]", True),
        ("primary_key: [a_id, x]", True),
    ],
)
def test_an_index_that_serves_a_reference_is_not_made_twice(extra: str, served: bool) -> None:
    text = "tables:\n  a: {columns: {id: {type: int, primary_key: true}}}\n"
    text += f"  b: {{columns: {{a_id: {{references: {{table: a, on_delete: cascade}}}}, x: int}}, {extra}}}\n"
    made = len(_table(text, "b").indexes) - extra.startswith("indexes")
    assert made == (0 if served else 1)


def test_an_index_reads_in_full() -> None:
    text = "tables: {a: {columns: {b: text, c: int}, indexes: [{columns: [{column: c, order: desc}, "
    text += "{expression: lower(b), opclass: text_pattern_ops, nulls: first}], include: [b], where: c > 0, "
    text += "with: {fillfactor: 90, deduplicate_items: false}}]}}\n"
    assert _table(text).indexes == (
        Index(
            name="a_c_expr_idx",
            elements=(
                IndexElement(column="c", descending=True, nulls_first=True),
                IndexElement(expression="lower(b)", opclass="text_pattern_ops", nulls_first=True),
            ),
            include=("b",),
            where="c > 0",
            options=(("deduplicate_items", "off"), ("fillfactor", "90")),
        ),
    )


def test_names_that_are_taken_are_numbered() -> None:
    text = "tables:\n  a: {columns: {b: int}, indexes: [[b], {columns: [b], where: b > 0}]}\n"
    text += "  a_b_idx: {columns: {c: int}}\n"
    assert [index.name for index in _table(text).indexes] == ["a_b_idx1", "a_b_idx2"]


def test_a_generated_column_may_use_those_of_the_house_rules() -> None:
    table = _table(
        "conventions: {metadata: true}\n" + _columns("b: {type: text, generated: metadata ->> 'b'}")
    )
    assert table.column("b").generated == Generated(expression="metadata ->> 'b'")


# --- access patterns, rows, data ---


def test_an_access_pattern_reads_in_full() -> None:
    text = _columns("b: int, c: text, d: date")
    text += "access_patterns:\n  p:\n    sql: |\n      SELECT c FROM a AS x\n"
    text += "      WHERE x.b = :b AND d < :d AND c = :c::text;\n"
    text += "    parameters: {d: {type: date, value: 2026-01-31}, b: int, c: {type: text, from: a.c}}\n"
    text += "    frequency: 120/min\n    expected_rows: 3\n    latency_ms: 1.5\n"
    (pattern,) = _read(text).access_patterns
    assert pattern.sql == "SELECT c FROM a AS x\nWHERE x.b = $2 AND d < $1 AND c = $3::text"
    assert (pattern.per_second, pattern.expected_rows, pattern.latency_ms) == (2.0, 3, 1.5)
    table = Name("public", "a")
    assert [(p.name, p.type, p.value, p.column) for p in pattern.parameters] == [
        ("d", "date", "2026-01-31", None),
        ("b", "int", None, (table, "b")),
        ("c", "text", None, (table, "c")),
    ]


def test_what_an_insert_writes_is_new_and_what_an_update_sets_is_not() -> None:
    text = _columns("b: int, c: text")
    text += "access_patterns:\n  i: {sql: 'INSERT INTO a (b, c) VALUES (:x, :y)', parameters: {x: int, y: text}}\n"
    text += "  u: {sql: 'UPDATE a SET c = :y WHERE b = :x', parameters: {x: int, y: text}}\n"
    insert, update = _read(text).access_patterns
    assert [(p.column[1], p.inserted) for p in insert.parameters if p.column] == [("b", True), ("c", True)]
    assert [(p.column[1], p.inserted) for p in update.parameters if p.column] == [("b", False), ("c", False)]


def test_a_common_table_expression_is_no_unknown_table() -> None:
    text = _columns("b: int") + "access_patterns: {p: {sql: WITH t AS (SELECT b FROM a) SELECT b FROM t}}\n"
    assert len(_read(text).access_patterns) == 1


def test_rows_hints_and_marks_are_kept() -> None:
    design = _read(
        "tables:\n  a:\n    rows: 5\n    columns:\n      b: {type: int, data: {values: {1: 3, 2: 1}, skew: 1}}\n"
    )
    name = Name("public", "a")
    assert dict(design.rows) == {name: 5}
    assert design.hints[(name, "b")] == DataHint(values=(("1", 3.0), ("2", 1.0)), skew=1.0)
    assert design.mark(name, "columns", "b") == Mark(7, 7)
    assert design.mark(name, "indexes", "0") == Mark(4, 3)


def test_tables_and_what_hangs_on_them_are_sorted_and_columns_are_not() -> None:
    database = _database(
        "tables: {z: {columns: {b: int, a: int}, indexes: [[b], [a]]}, y: {columns: {c: int}}}\n"
    )
    assert [table.name.name for table in database.tables] == ["y", "z"]
    assert [column.name for column in database.tables[1].columns] == ["b", "a"]
    assert [index.name for index in database.tables[1].indexes] == ["z_a_idx", "z_b_idx"]


# --- errors ---

A = "tables: {a: {columns: {b: int}"
REFERS = "tables: {a: {columns: {i: {type: int, primary_key: true}, b: {references: {table: a, %s}}}}}"


@pytest.mark.parametrize(
    ("text", "rule", "column", "message"),
    [
        # types
        (_columns("b: txet"), "spec-type", 24, "unknown type `txet`"),
        (_columns("b: serial"), "spec-type", 24, "sequence default"),
        (_columns("b: citext"), "spec-type", 24, "comes with the extension citext"),
        (_columns("b: nope.int"), "spec-type", 24, "unknown type `nope.int`"),
        (_columns("b: 'int x'"), "spec-type", 24, "is not a type"),
        (_columns("b: {type: 'numeric((select 1))'}"), "spec-type", 28, "constants"),
        ("types: {e: {enum: [x], domain: int}}", "spec-type-kind", 9, "exactly one of"),
        ("types: {e: {}}", "spec-type-kind", 9, "exactly one of"),
        ("types: {e: {composite: {x: e}}}", "spec-type-cycle", 9, "made of each other"),
        ("types: {e: {enum: [x], check: 'true'}}", "spec-unknown-key", 24, "domains only"),
        (f"types: {{e: {{enum: [{'é' * 40}]}}}}", "spec-name", 20, "63 bytes"),
        ("types: {text: {enum: [x]}}", "spec-name", 9, "type of PostgreSQL"),
        ("types: {public.e: {enum: [x]}, e: {enum: [x]}}", "spec-duplicate", 32, "twice"),
        ("extensions: [vector, vector]", "spec-duplicate", 22, "twice"),
        # columns
        (_columns("b: {}"), "spec-missing-key", 24, "no `type:`"),
        (_columns("b: {type: text, default: new}"), "spec-default-column", 40, "cannot refer to one"),
        (_columns('b: {type: text, default: "\'new"}'), "spec-expression", 40, "unterminated"),
        (_columns("b: {type: int, default: (select 1)}"), "spec-expression", 39, "subquery"),
        (_columns("b: {type: int, check: b > $1}"), "spec-expression", 39, "parameter"),
        (_columns("b: {type: int, check: 'b, b'}"), "spec-expression", 39, "comma"),
        (_columns("b: {type: int, check: 'b > 0 -- always'}"), "spec-expression", 39, "comment"),
        (_columns("b: {type: int, check: 'b > 0; DROP TABLE a'}"), "spec-expression", 39, "semicolon"),
        (_columns("b: {type: int, check: 'b > 0) OR (true'}"), "spec-expression", 39, "closes nothing"),
        (
            _columns("b: {type: int, check: '" + "NOT " * 200 + "true'}"),
            "spec-expression",
            39,
            "nested too deeply",
        ),
        (
            _columns("b: {type: int, check: c > 0}"),
            "spec-unknown-column",
            39,
            "no column `c` in this table (b)",
        ),
        (_columns("b: {type: int, default: 1, identity: always}"), "spec-conflict", 51, "exclude each other"),
        (_columns("b: {type: int, identity: always, nullable: true}"), "spec-conflict", 57, "never NULL"),
        (_columns("b: {type: int, generated: b + 1}"), "spec-conflict", 39, "generated itself"),
        (_columns("b: {type: int, generated: id + 1}"), "spec-unknown-column", 39, "no column `id`"),
        (_columns("ctid: int"), "spec-name", 24, "system column"),
        (_columns("é" * 32 + ": int"), "spec-name", 24, "has at most 63 bytes"),
        (_columns("b: {type: int, data: {values: [1], minimum: 3}}"), "spec-data", 59, "beside `values`"),
        ("tables: {a: {}}", "spec-empty", 10, "no columns"),
        ("tables: {}", "spec-empty", 1, "`tables` is empty"),
        ("tables: {a.b.c: {columns: {d: int}}}", "spec-name", 10, "schema.name"),
        ("tables: {a: {columns: {d: int}}, public.a: {columns: {d: int}}}", "spec-duplicate", 34, "twice"),
        # keys and indexes
        (A + ", primary_key: [c]}}", "spec-unknown-column", 47, "no column `c`"),
        (
            "tables: {a: {columns: {b: {type: int, primary_key: true}}, primary_key: [b]}}",
            "spec-conflict",
            60,
            "at the column `b`",
        ),
        (
            "tables: {a: {columns: {b: {type: int, nullable: true}}, primary_key: [b]}}",
            "spec-conflict",
            39,
            "never NULL",
        ),
        (A + ", indexes: [[b desc]]}}", "spec-unknown-column", 44, "its own key"),
        (A + ", indexes: [[{column: b, expression: b}]]}}", "spec-index-key", 44, "exactly one of"),
        (A + ", indexes: [{columns: [b], using: hnsw}]}}", "spec-extension", 58, "extension vector"),
        (
            A + ", indexes: [{columns: [{column: b, order: desc}], using: gin}]}}",
            "spec-conflict",
            54,
            "no order",
        ),
        (A + ", indexes: [{columns: [b], name: a}]}}", "spec-duplicate", 58, "`a` is taken"),
        (A + ", indexes: [{columns: [{column: b, opclass: a..b}]}]}}", "spec-name", 66, "empty"),
        (
            A + ", exclude: [{elements: [{column: b, with: '= b.'}]}]}}",
            "spec-expression",
            67,
            "not an operator",
        ),
        # references
        (
            _columns("b: {type: int, references: {table: z, on_delete: cascade}}"),
            "spec-unknown-table",
            52,
            "no table `z`",
        ),
        (
            _columns("b: {type: int, references: {table: a, on_delete: cascade}}"),
            "spec-foreign-key",
            39,
            "no primary key",
        ),
        (
            _columns("b: {type: int, references: {table: a, column: b, on_delete: cascade}}"),
            "spec-foreign-key",
            39,
            "no unique key",
        ),
        (REFERS % "on_delete: set null", "spec-foreign-key", 86, "`b` is NOT NULL"),
        (
            REFERS.replace("{references", "{type: text, references") % "on_delete: cascade",
            "spec-foreign-key",
            75,
            "`b` is text",
        ),
        (
            "schema: x\n" + _columns("b: {type: int, references: {table: public.a, on_delete: cascade}}"),
            "spec-unknown-table",
            52,
            "public.a",
        ),
        # access patterns
        (A + "}}\naccess_patterns: {x: {sql: SELEC 1}}", "spec-sql", 23, "SELEC"),
        (A + "}}\naccess_patterns: {x: {sql: SELECT 1; SELECT 2}}", "spec-sql", 23, "found 2"),
        (A + '}}\naccess_patterns: {x: {sql: "SELECT 1; DROP TABLE a"}}', "spec-sql", 23, "found 2"),
        (A + "}}\naccess_patterns: {x: {sql: DROP TABLE a}}", "spec-sql", 23, "expected a SELECT"),
        (A + "}}\naccess_patterns: {x: {sql: SELECT b FROM c}}", "spec-unknown-table", 23, "no table `c`"),
        (A + "}}\naccess_patterns: {x: {sql: 'SELECT :y'}}", "spec-sql", 23, "the parameter :y"),
        (A + "}}\naccess_patterns: {x: {sql: SELECT $1}}", "spec-sql", 23, "$1 has no entry"),
        (
            A + "}}\naccess_patterns: {x: {sql: SELECT 1, parameters: {y: int}}}",
            "spec-unused",
            51,
            "does not use :y",
        ),
        (
            A + "}}\naccess_patterns: {x: {sql: 'SELECT :y', parameters: {y: {type: int, from: a.c}}}}",
            "spec-unknown-column",
            69,
            "no column `c`",
        ),
        (
            A + "}}\naccess_patterns: {x: {sql: 'SELECT :y', parameters: {y: {type: int, from: zzz}}}}",
            "spec-unknown-column",
            69,
            "names no column",
        ),
        # versions
        (
            "server_version: 17\nconventions: {primary_key: uuidv7}\n" + _columns("b: int"),
            "spec-server-version",
            10,
            "uuidv7() needs PostgreSQL 18",
        ),
        (
            "server_version: 14\n" + A + ", unique: [{columns: [b], nulls_not_distinct: true}]}}",
            "spec-server-version",
            42,
            "needs PostgreSQL 15",
        ),
    ],
)
def test_each_error_has_rule_place_and_remedy(text: str, rule: str, column: int, message: str) -> None:
    if "tables:" not in text:
        text += "\n" + _columns("f: int")
    (found,) = _findings(text)
    assert found.rule == rule
    assert found.column == column
    assert message in found.message
    assert found.fix
    assert found.file == "model.yaml"
    lines = text.splitlines()
    assert found.line is not None
    assert 3 <= found.line < 3 + len(lines)
    assert column <= len(lines[found.line - 3])


def test_the_nearest_name_is_proposed() -> None:
    (found,) = _findings("tables: {a: {columns: {price: int, total: {type: int, check: prize > 0}}}}")
    assert found.fix == "price"
    (found,) = _findings(_columns("b: integr"))
    assert found.fix == "integer"


def test_all_errors_come_at_once_in_the_order_of_the_file() -> None:
    found = _findings(
        "tables:\n  a:\n    columns:\n      b: txet\n      c: {type: int, check: d > 0}\n    primary_key: [e]\n"
    )
    assert [finding.line for finding in found] == [6, 7, 8]


def test_more_errors_than_anyone_reads_are_cut() -> None:
    many = ", ".join(f"c{n}: txet" for n in range(1500))
    assert len(_findings(_columns(many))) == MAX_FINDINGS


def test_a_message_holds_nothing_that_moves_a_terminal() -> None:
    (found,) = _findings(_columns('b: "te\\e[31mxt\\u202e"'))
    assert found.message.isprintable()


# --- random changes to the example ---

_EXAMPLE: dict[str, Any] = parse(validate.example_text("model").encode(), "model.yaml").data
_JUNK = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        -1,
        3,
        2.5,
        "",
        "x",
        "id",
        "a b",
        "int",
        "text[]",
        "public.orders",
        "orders",
        "sku",
        "x'; DROP TABLE orders; --",
        '"',
        "(",
        "1, 2",
        "now()",
        ":p",
        "$1",
        "total > 0",
        "é" * 40,
        "\n",
        "SELECT 1",
        [],
        {},
        ["id"],
        ["id", "id"],
        {"column": "id"},
        {"type": "int"},
        {"table": "orders", "on_delete": "cascade"},
        "set null",
        "cascade",
        "always",
        "gin",
        "hnsw",
        10**30,
        ".inf",
    ]
)


def _paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from _paths(value, (*path, key))


_PATHS = list(_paths(_EXAMPLE))


def _at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


@st.composite
def _changed(draw: st.DrawFn) -> dict[str, Any]:
    data: dict[str, Any] = copy.deepcopy(_EXAMPLE)
    for _ in range(draw(st.integers(1, 3))):
        *parent_path, key = draw(st.sampled_from(_PATHS))
        try:
            parent = _at(data, tuple(parent_path))
            parent[key]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
        if isinstance(parent, str):
            continue
        match draw(st.sampled_from(["junk", "delete", "transplant", "rename"])):
            case "junk":
                parent[key] = draw(_JUNK)
            case "delete":
                del parent[key]
            case "transplant":
                parent[key] = copy.deepcopy(_at(_EXAMPLE, draw(st.sampled_from(_PATHS))))
            case "rename" if isinstance(parent, dict):
                other = draw(st.sampled_from(_PATHS))[-1]
                parent[str(other)] = parent.pop(key)
    return data


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_changed())
def test_a_changed_example_is_a_design_that_renders_or_a_problem_with_places(data: dict[str, Any]) -> None:
    text = json.dumps(data, indent=1, ensure_ascii=False)
    lines = text.splitlines()
    try:
        document = parse(text.encode(), "model.yaml")
        validate.check(document)
        design = read_model(document)
    except SpecProblem as problem:
        for finding in problem.findings:
            assert finding.file == "model.yaml"
            assert finding.line is not None
            assert finding.column is not None
            assert 1 <= finding.line <= len(lines)
            assert 1 <= finding.column <= len(lines[finding.line - 1])
            assert finding.message.isprintable()
            assert finding.fix, finding
    else:
        assert ddl.script(design, "again") == ddl.script(design, "again")
