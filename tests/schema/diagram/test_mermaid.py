"""The diagram says what the design says, and Mermaid can read it whatever the names are.

The grammar below is a subset of what the parsers of Mermaid 10.9, 11.0 and 11.17 were seen to accept.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings

from data_platform.model.design import Design
from data_platform.schema.diagram.mermaid import mermaid
from data_platform.spec import document, validate
from data_platform.spec.document import SpecProblem
from data_platform.spec.model import read_model
from strategies import models

# Backslash, percent, braces and line ends are what breaks a quoted name; "direction TB" what hides in one.
QUOTED = r'"(?:(?!direction )[^"%\\{}\[\]<>;`:\n\r\v\f]|#[0-9]+;)+"'
WORD = r"(?!(?:[PFU]K|[pfu]k)\b)[A-Za-z][A-Za-z0-9_]*"
ENTITY = re.compile(rf"    ({QUOTED}) \{{")
ATTRIBUTE = re.compile(rf"        {WORD}(?:\[\])? ({WORD})(?: [PFU]K(?:, [PFU]K)*)?(?: {QUOTED})?")
RELATIONSHIP = re.compile(rf"    ({QUOTED}) (?:\|\||\|o)(?:--|\.\.)(?:o\||o\{{) ({QUOTED}) : {QUOTED}")

HOSTILE = [
    *[
        "pk",
        "FK",
        "pk-x",
        "direction",
        "x direction TB",
        "direction  LR",
        "style",
        "style:#x;",
        "classDef",
        "class",
    ],
    *[
        "end",
        "subgraph",
        "erDiagram",
        "to",
        "u",
        "many(0)",
        "only one",
        "zero or more",
        "1",
        "0+",
        "--",
        "---",
    ],
    *[
        "accTitle: x",
        "accDescr {",
        "%%{init: {}}%%",
        "#35;",
        "#quot;",
        "<b>x</b>",
        "**b**",
        "_x_",
        "`x`",
        "~a~",
    ],
    *['a"b', "it's", "\\", "{", "}", "[x]", "(", "a:b", "a.b", " ", "\t", "a\nb", "\u2028", "é", "日本", "𝒳"],
]


def _design(spec: dict[str, Any]) -> Design:
    text = yaml.safe_dump({"kind": "model", "store": "Test DB", **spec}, allow_unicode=True, sort_keys=False)
    read = document.parse(text.encode(), "model.yaml")
    validate.check(read)
    return read_model(read)


def _diagram(tables: dict[str, Any], **rest: Any) -> list[str]:
    return [line.strip() for line in mermaid(_design({**rest, "tables": tables})).splitlines()]


def _assert_parses(design: Design) -> None:
    """Every line is of the grammar, and nothing of the design is missing."""
    first, *lines = mermaid(design).splitlines()
    assert first == "erDiagram"
    entities, attributes, relationships, ends = 0, 0, 0, 0
    for line in lines:
        entities += ENTITY.fullmatch(line) is not None
        attributes += ATTRIBUTE.fullmatch(line) is not None
        relationships += RELATIONSHIP.fullmatch(line) is not None
        ends += line == "    }"
    assert entities + attributes + relationships + ends == len(lines), lines
    tables = design.database.tables
    assert entities == ends == len(tables)
    assert attributes == sum(len(table.columns) for table in tables)
    assert relationships == sum(len(table.foreign_keys) for table in tables)


def test_columns_have_type_name_and_marks() -> None:
    tables = {
        "customers": {"columns": {"id": {"type": "bigint", "primary_key": True}}},
        "orders": {
            "columns": {
                "id": {"type": "uuid", "primary_key": True, "comment": "Sorted by time.\nSecond line."},
                "number": {"type": "int", "unique": True},
                "customer_id": {"references": {"table": "customers", "on_delete": "restrict"}},
                "total": "numeric(12, 2)",
                "tags": "varchar(20)[]",
                "at": "timestamp with time zone",
            }
        },
    }
    assert _diagram(tables) == [
        "erDiagram",
        '"customers" {',
        "bigint id PK",
        "}",
        '"orders" {',
        'uuid id PK "Sorted by time."',
        "integer number UK",
        "bigint customer_id FK",
        "numeric_12_2 total",
        "varchar_20[] tags",
        "timestamptz at",
        "}",
        '"customers" ||..o{ "orders" : "customer_id - on delete restrict"',
    ]


@pytest.mark.parametrize(
    ("child", "ends"),
    [
        ({"columns": {"p_id": {"references": "?"}}}, "||..o{"),
        ({"columns": {"p_id": {"nullable": True, "references": "?"}}}, "|o..o{"),
        ({"columns": {"p_id": {"unique": True, "references": "?"}}}, "||..o|"),
        ({"columns": {"p_id": {"unique": True, "nullable": True, "references": "?"}}}, "|o..o|"),
        ({"columns": {"p_id": {"primary_key": True, "references": "?"}}}, "||--o|"),
        ({"columns": {"p_id": {"references": "?"}, "n": "int"}, "primary_key": ["p_id", "n"]}, "||--o{"),
        (
            {"columns": {"p_id": {"unique": True, "references": "?"}}, "conventions": {"soft_delete": True}},
            "||..o{",
        ),
    ],
    ids=["many", "optional", "one", "optional one", "same key", "part of the key", "one among the living"],
)
def test_cardinality_comes_from_the_constraints(child: dict[str, Any], ends: str) -> None:
    child["columns"]["p_id"]["references"] = {"table": "p", "on_delete": "cascade"}
    lines = _diagram({"p": {"columns": {"id": {"type": "bigint", "primary_key": True}}}, "c": child})
    assert lines[-1] == f'"p" {ends} "c" : "p_id - on delete cascade"'


def test_a_key_among_living_rows_is_marked_too() -> None:
    lines = _diagram(
        {"t": {"columns": {"code": {"type": "text", "unique": True}}}}, conventions={"soft_delete": True}
    )
    assert "text code UK" in lines


def test_tables_of_another_schema_are_qualified() -> None:
    key = {"columns": {"id": {"type": "bigint", "primary_key": True}}}
    lines = _diagram({"a": key, "public.b": key, "audit.c": key}, schema="shop")
    assert [line for line in lines if line.endswith("{")] == ['"audit.c" {', '"public.b" {', '"a" {']


def test_names_that_are_no_words_stand_in_the_comment_and_stay_apart() -> None:
    table = {
        "columns": {
            "a b": "int",
            "a-b": "int",
            "pk": "int",
            "größe": "int",
            "2nd": {"type": "int", "comment": "x"},
        }
    }
    assert _diagram({"t": table})[2:-1] == [
        'integer a_b "a b"',
        'integer a_b_2 "a-b"',
        'integer pk_ "pk"',
        'integer gr_e "größe"',
        'integer c_2nd "2nd - x"',
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_parse(name: str) -> None:
    key = '"' + name.replace('"', '""') + '"'
    columns = {
        name: {"type": "bigint", "primary_key": True, "comment": f"{name} {name}\n{name}"},
        f"{name}x": {"type": "bigint", "references": {"table": key, "on_delete": "cascade"}},
    }
    _assert_parses(_design({"tables": {key: {"columns": columns}}}))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(models())
def test_random_models_parse(spec: dict[str, Any]) -> None:
    try:
        design = _design(spec)
    except SpecProblem:
        assume(False)
    _assert_parses(design)
    assert mermaid(design) == mermaid(design)
