"""The fast test of a schema says yes only where jsonschema does, and always where it matters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.spec import validate
from data_platform.spec.agrees import compiled
from data_platform.spec.document import parse

SCHEMA: dict[str, Any] = json.loads(validate.schema_text("model"))
EXAMPLE: dict[str, Any] = parse(validate.example_text("model").encode(), "model.yaml").data
agrees = compiled(SCHEMA)

TREE = {
    "properties": {"a": {"type": "number"}},
    "additionalProperties": {"$ref": "#/$defs/tree"},
    "required": ["a"],
}
PIECES: list[dict[str, Any]] = [
    {"type": "integer"},
    {"type": ["string", "null"], "minLength": 2},
    {"enum": ["a", 1, True, None]},
    {"const": 0},
    {"minimum": 0, "exclusiveMinimum": 0, "maximum": 3},
    {"pattern": "^a+$"},
    {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "maxItems": 2},
    {"$ref": "#/$defs/tree", "$defs": {"tree": TREE}},
    {"propertyNames": {"maxLength": 1}, "additionalProperties": False, "properties": {"a": {}, "bb": {}}},
    {"minProperties": 1, "maxProperties": 1},
]
values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 4) | st.floats() | st.sampled_from(["", "a", "aa", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "bb", "c"]), inner, max_size=2)
    ),
    max_leaves=6,
)


@settings(max_examples=500)
@given(st.sampled_from(PIECES), values)
def test_agrees_with_jsonschema(schema: dict[str, Any], value: Any) -> None:
    judged = validate._Validator(schema).is_valid(value)
    fast = compiled(schema)(value)
    only_texts = not isinstance(value, list) or all(isinstance(item, str) for item in value)
    assert fast == judged if only_texts else not fast or judged


def test_says_yes_to_the_example_and_no_to_what_is_wrong_in_it() -> None:
    assert agrees(EXAMPLE)
    assert not agrees({**EXAMPLE, "rows": 1})
    assert not agrees({**EXAMPLE, "server_version": 18.0})
    assert not agrees({**EXAMPLE, "tables": {"a": {"columns": {"b": {"type": 1}}}}})


def test_a_keyword_without_a_test_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="format"):
        compiled({"properties": {"a": {"format": "date"}}})


@pytest.mark.parametrize("kind", validate.KINDS)
def test_every_schema_compiles(kind: str) -> None:
    assert compiled(json.loads(validate.schema_text(kind)))(None) is False
