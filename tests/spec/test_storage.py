"""Specs of kind `storage`: the example holds every key once, and what is left out has its default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_platform.spec import document, validate
from data_platform.spec.document import SpecProblem
from data_platform.spec.storage import ANSWERS, Need, StorageNeed, read_storage

STOREFRONT = Path(__file__).parents[2] / "examples" / "storefront" / "storage.yaml"


def read(text: str) -> StorageNeed:
    found = document.parse(text.encode(), "needs.yaml")
    assert validate.check(found) == "storage"
    return read_storage(found)


def refused(text: str) -> str:
    with pytest.raises(SpecProblem) as caught:
        read(text)
    return str(caught.value)


def test_the_example_has_every_key_of_the_schema() -> None:
    example = read(validate.example_text("storage"))
    assert example.answered == set(ANSWERS)
    text = validate.example_text("storage")
    assert all(f"\n{key}: " in text for key in json.loads(validate.schema_text("storage"))["properties"])


def test_the_storefront_has_one() -> None:
    found = document.read(STOREFRONT)
    assert validate.check(found, "storage") == "storage"
    asked = read_storage(found)
    assert asked.store == "Customer DB"
    assert asked.need.vectors == 50_000


def test_one_answer_is_enough() -> None:
    asked = read("kind: storage\ndata: text\n")
    assert asked.need == Need(data="text")
    assert asked.answered == {"data"}
    assert asked.store is None


def test_lists_become_tuples() -> None:
    assert read("{kind: storage, data: text, runs: [Redis, MySQL]}").need.runs == ("Redis", "MySQL")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("data: graph", "expected one of relational, documents"),
        ("runs: [Oracle]", "expected one of PostgreSQL, MySQL"),
        ("runs: [Redis, Redis]", "names something twice"),
        ("row: 5", "`rows:`"),
        ("rows: -1", "minimum is 0"),
        ("rows: 1e3", "expected a whole number"),
        ("latency_ms: 0", "exclusiveMinimum is 0"),
        ("growth_per_year: .inf", "expected a number"),
        ('consistency: "yes"', "expected one of eventual, record, transactions"),
    ],
)
def test_a_mistake_says_what_was_expected(line: str, said: str) -> None:
    rest = "" if line.startswith("data") else "data: text\n"
    assert said in refused(f"kind: storage\n{rest}{line}\n")


def test_the_one_question_that_must_be_answered() -> None:
    assert "needs `data:`" in refused("kind: storage\nrows: 5\n")


def test_a_spec_of_another_kind_is_refused_where_one_kind_is_meant() -> None:
    found = document.parse(b"kind: storage\ndata: text\n", "needs.yaml")
    with pytest.raises(SpecProblem) as caught:
        validate.check(found, "model")
    assert "needs.yaml:1:1: this is a spec of kind storage; expected one of kind model" in str(caught.value)
