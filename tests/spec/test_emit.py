"""Any data comes back from the YAML that is written, in both versions of YAML, and looks as a person would write it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.spec.document import parse
from data_platform.spec.emit import Block, emit

ODD = [
    "yes",
    "on",
    "n",
    "0o17",
    "1_000",
    "12:30",
    "1e5",
    "2020-01-01",
    "~",
    "<<",
    "=",
    "- a",
    "? b",
    "k: v",
    "a #b",
]
ODD += [
    "\nBEGIN\n  x;\nEND;\n",
    "a\n\n",
    " a\nb",
    "\ta\n b",
    "now()",
    "a::text",
    "x > 0",
    "'a'",
    'it\'s "x"',
    "\u202e",
]
texts = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12),
    st.text(" \n\tab:#-'\"{}[],?|>&*!%@`~=<0123.eoxyn\\\u00a0\u2028\x85\ufeff", max_size=12),
    st.sampled_from(ODD),
)
data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(data)
def test_any_data_comes_back(made: Any) -> None:
    assert parse(emit(made).encode(), "f").data == made


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, max_size=3) | st.dictionaries(texts, texts, max_size=3))
def test_a_reader_of_yaml_1_1_finds_the_same_texts(made: Any) -> None:
    assert yaml.safe_load(emit(made)) == made


@pytest.mark.parametrize(
    ("made", "text"),
    [
        ({"a": "numeric(12, 2)", "b": "x > 0"}, "a: numeric(12, 2)\nb: x > 0\n"),
        ({"a": {"type": "numeric(12, 2)"}}, "a: {type: 'numeric(12, 2)'}\n"),
        ({"a": "'new'"}, "a: \"'new'\"\n"),
        ({"a": Block({"b": 1})}, "a:\n  b: 1\n"),
        ({"a": "SELECT 1\nFROM b"}, "a: |-\n  SELECT 1\n  FROM b\n"),
        ({"a": "\nBEGIN\nEND\n"}, "a: |2\n\n  BEGIN\n  END\n"),
        (
            {"a": [{"b": "x\ny", "c": [1, 2]}, None]},
            "a:\n  - b: |-\n      x\n      y\n    c: [1, 2]\n  - null\n",
        ),
        ({"a": None, "b": "no", "n": 1.0, "c": 1e-5}, "a:\nb: 'no'\n'n': 1.0\nc: 1.0e-05\n"),
        ({"a": "50/s", "b": "1.50", "c": "\u200b"}, "a: 50/s\nb: '1.50'\nc: \"\\u200B\"\n"),
        ({"a": ["x" * 60, "y" * 60]}, f"a:\n  - {'x' * 60}\n  - {'y' * 60}\n"),
    ],
)
def test_looks_as_a_person_would_write_it(made: Any, text: str) -> None:
    assert emit(made) == text
