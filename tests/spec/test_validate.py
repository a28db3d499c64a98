"""A spec against its JSON Schema: each violation says what was expected, where, and what to try."""

from __future__ import annotations

import json
import time

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.report.finding import Finding
from data_platform.spec import validate
from data_platform.spec.document import MAX_FINDINGS, SpecProblem, parse

HEAD = "kind: model\nstore: Shop DB\n"
TABLE = "tables: {orders: {columns: {id: uuid}}}\n"


def _findings(text: str) -> tuple[Finding, ...]:
    with pytest.raises(SpecProblem) as caught:
        validate.check(parse(text.encode(), "model.yaml"))
    return caught.value.findings


def _finding(text: str) -> Finding:
    (only,) = _findings(text)
    return only


def test_the_least_spec_is_fine() -> None:
    assert validate.check(parse((HEAD + TABLE).encode(), "f")) == "model"


@pytest.mark.parametrize("kind", validate.KINDS)
def test_schemas_are_schemas_and_examples_agree_with_them(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(validate.schema_text(kind)))
    assert validate.check(parse(validate.example_text(kind).encode(), "example.yaml")) == kind


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ("", "spec-not-a-mapping", "empty"),
        ("- a\n", "spec-not-a-mapping", "a list"),
        ("12\n", "spec-not-a-mapping", "12"),
        ("store: x\n", "spec-kind", "missing"),
        ("kind: modle\n", "spec-kind", '"modle"'),
        ("kind: [model]\n", "spec-kind", "model"),
        ("kind: null\n", "spec-kind", "null"),
    ],
)
def test_a_spec_is_a_mapping_of_a_known_kind(text: str, rule: str, words: str) -> None:
    found = _finding(text)
    assert found.rule == rule
    assert words in found.message
    assert "expected" in found.message
    assert found.fix


@pytest.mark.parametrize(
    ("text", "rule", "place", "message", "fix"),
    [
        (
            "tabels: {}\n" + TABLE,
            "spec-unknown-key",
            (3, 1),
            "unknown key `tabels`; expected one of access_patterns",
            "`tables:`",
        ),
        (
            "tables:\n  orders:\n    colums: {id: uuid}\n",
            "spec-unknown-key",
            (5, 5),
            "unknown key `colums` in `orders`",
            "`columns:`",
        ),
        (
            "tables: {orders: {columns: {id: {type: uuid, zzz: 1}}}}\n",
            "spec-unknown-key",
            (3, 46),
            "unknown key `zzz` in `id`",
            "one of check, collation, comment",
        ),
        ("", "spec-missing-key", (1, 1), "needs `tables:` (Tables, by name", "add `tables:`"),
        (
            "tables: {orders: {columns: {id: uuid}, indexes: [{columns: [id]}, {columns: [id], colums: [id]}]}}\n",
            "spec-unknown-key",
            (3, 83),
            "unknown key `colums` in `indexes[1]`",
            "`columns:`",
        ),
        (
            "tables:\n  orders:\n    columns:\n      a: {references: {table: orders}}\n",
            "spec-missing-key",
            (6, 11),
            "`references` needs `on_delete:`",
            "add `on_delete:`",
        ),
        ("tables: []\n", "spec-wrong-type", (3, 1), "`tables` is a list; expected a mapping", None),
        (
            "tables: {orders: {columns: {id: uuid}, rows: many}}\n",
            "spec-wrong-type",
            (3, 40),
            '`rows` is "many"; expected a whole number',
            None,
        ),
        (
            "tables: {orders: {columns: {id: uuid}, rows: 1e3}}\n",
            "spec-wrong-type",
            (3, 40),
            "`rows` is 1000.0; expected a whole number",
            "1000",
        ),
        (
            "tables: {orders: {columns: {id: uuid}, rows: true}}\n",
            "spec-wrong-type",
            (3, 40),
            "`rows` is true; expected a whole number",
            None,
        ),
        (
            "tables: {orders: {columns: {id: {type: int, data: {skew: .nan}}}}}\n",
            "spec-wrong-type",
            (3, 52),
            "`skew` is NaN; expected a number",
            None,
        ),
        (
            "tables: {orders: {columns: {id: 5}}}\n",
            "spec-wrong-type",
            (3, 29),
            "`id` is 5; expected text or a mapping",
            'quote it: "5"',
        ),
        (
            "tables: {orders: {columns: {id: uuid}, comment: true}}\n",
            "spec-wrong-type",
            (3, 40),
            "`comment` is true; expected text",
            'quote it: "true"',
        ),
        (
            "tables: {orders: {columns: {id: {type: uuid, nullable: yes}}}}\n",
            "spec-wrong-type",
            (3, 46),
            '`nullable` is "yes"; expected true or false',
            "true or false, without quotes",
        ),
        (
            "tables: {orders: {columns: {id: uuid}, unique: id}}\n",
            "spec-wrong-type",
            (3, 40),
            '`unique` is "id"; expected a list',
            "[id]",
        ),
        ("extensions:\n  -\n" + TABLE, "spec-wrong-type", (4, 4), "is nothing; expected text", None),
        (
            "tables: {orders: {columns: {id: {identity: allways}}}}\n",
            "spec-not-a-choice",
            (3, 34),
            '`identity` is "allways"; expected one of always, by default',
            "always",
        ),
        (
            "tables: {orders: {columns: {id: {type: int, primary_key: false}}}}\n",
            "spec-not-a-choice",
            (3, 45),
            "`primary_key` is false; expected true",
            "primary_key: true",
        ),
        (
            "tables: {orders: {columns: {id: ''}}}\n",
            "spec-empty",
            (3, 29),
            "`id` is empty",
            "give it a value, or remove it",
        ),
        (
            "tables: {orders: {columns: {id: int}, primary_key: [id, id]}}\n",
            "spec-duplicate",
            (3, 39),
            "`primary_key` names something twice",
            "keep one",
        ),
        (
            "tables: {orders: {columns: {id: int}}}\naccess_patterns: {a: {sql: SELECT 1, frequency: often}}\n",
            "spec-format",
            (4, 38),
            '`frequency` is "often"; expected: How often, such as `50/s`',
            None,
        ),
        ("server_version: 12\n" + TABLE, "spec-out-of-range", (3, 1), "minimum is 13", "Default 18"),
        (
            "tables: {orders: {columns: {'': int}}}\n",
            "spec-name",
            (3, 29),
            'the key is ""; expected: A name of at most 63 bytes',
            "rename it",
        ),
        (
            f"tables: {{orders: {{columns: {{{'x' * 64}: int}}}}}}\n",
            "spec-name",
            (3, 29),
            "expected: A name of at most 63 bytes",
            "rename it",
        ),
        (
            "tables: {orders: {columns: {a: int}, indexes: [{columns: [a], with: {M: 16}}]}}\n",
            "spec-name",
            (3, 70),
            'the key is "M"; expected: text that matches',
            "rename it",
        ),
        (
            f"tables: {{orders: {{columns: {{{', '.join(f'c{n}: int' for n in range(1601))}}}}}}}\n",
            "spec-too-large",
            (3, 19),
            "`columns` has 1,601 entries; at most 1,600 are allowed",
            "at most 1,600",
        ),
        (
            f"tables: {{orders: {{columns: {{a: {{type: {'x' * 501}}}}}}}}}\n",
            "spec-too-large",
            (3, 33),
            "`type` has 501 characters; at most 500 are allowed",
            "at most 500",
        ),
    ],
)
def test_each_violation(text: str, rule: str, place: tuple[int, int], message: str, fix: str | None) -> None:
    found = _finding(HEAD + text)
    assert found.rule == rule
    assert (found.line, found.column) == place
    assert message in found.message
    assert fix is None or fix in (found.fix or "")
    assert found.file == "model.yaml"
    assert found.severity == "error"


def test_all_violations_come_at_once_in_the_order_of_the_file() -> None:
    found = _findings(
        "kind: model\nstore: 5\nextra: 1\nserver_version: x\ntables: {a: {columns: {b: {}, c: 1}}}\n"
    )
    assert [finding.line for finding in found] == [2, 3, 4, 5]
    assert len({finding.rule for finding in found}) == 2


def test_two_missing_keys_are_two_findings() -> None:
    found = _findings("kind: model\n")
    assert [finding.message.split("`")[3] for finding in found] == ["store:", "tables:"]


def test_a_duplicate_among_values_that_are_not_text_is_found() -> None:
    found = _findings(HEAD + "types: {e: {enum: [{a: 1}, {a: 1}, 1, true]}}\n" + TABLE)
    assert "spec-duplicate" in {finding.rule for finding in found}
    found = _findings(HEAD + "types: {e: {enum: [1, true]}}\n" + TABLE)
    assert "spec-duplicate" not in {finding.rule for finding in found}


def test_what_was_written_is_shown_shortened_and_harmless() -> None:
    found = _finding(HEAD + TABLE + 'server_version: "\\e[31m\\u202e' + "x" * 5000 + '"\n')
    assert found.message.isprintable()
    assert len(found.message) < 200


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "mappings where labels belong",
            f"types: {{e: {{enum: [{', '.join(f'{{a: {n}}}' for n in range(20_000))}]}}}}\n",
        ),
        ("unknown keys", "".join(f"key{n}: 1\n" for n in range(50_000))),
        ("wrong values", f"extensions: [{', '.join('1' for _ in range(100_000))}]\n"),
        ("one long text many times", f"x: &x {'y' * 100_000}\nextensions: [{', '.join(['[*x]'] * 400)}]\n"),
        ("long keys", f"{'k' * 1000}: 1\n"),
    ],
)
def test_a_hostile_spec_is_refused_quickly_and_briefly(name: str, text: str) -> None:
    started = time.perf_counter()
    found = _findings(HEAD + text + TABLE)
    assert time.perf_counter() - started < 4, name
    assert 1 <= len(found) <= MAX_FINDINGS
    assert all(len(finding.message) < 500 for finding in found)


# --- any data ---

_WORDS = st.sampled_from(
    [
        "kind",
        "model",
        "store",
        "tables",
        "columns",
        "type",
        "text",
        "uuid",
        "int",
        "primary_key",
        "unique",
        "references",
        "table",
        "on_delete",
        "cascade",
        "indexes",
        "expression",
        "where",
        "types",
        "enum",
        "domain",
        "access_patterns",
        "sql",
        "parameters",
        "frequency",
        "rows",
        "a",
        "b",
    ]
)
_TEXT = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=5)
_DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 20) | st.floats() | _WORDS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=15,
)


@given(_DATA, _DATA)
def test_any_data_is_accepted_or_refused_with_places(tables: object, rest: object) -> None:
    data = {"kind": "model", "store": "S", "tables": tables}
    if isinstance(rest, dict):
        data = {**rest, **data}
    text = json.dumps(data, ensure_ascii=False).replace("NaN", ".nan").replace("Infinity", ".inf")
    document = parse(text.encode(), "f")
    try:
        validate.check(document)
    except SpecProblem as problem:
        for finding in problem.findings:
            assert finding.line == 1
            assert finding.column is not None
            assert finding.column >= 1
            assert finding.message.isprintable()
            assert finding.fix is None or finding.fix.isprintable()
