"""The data: every system has a fact with a source for every criterion, and the questions are those of the spec."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from data_platform.report.finding import Evidence
from data_platform.spec.storage import ANSWERS, Need
from data_platform.storage.catalogue import System, catalogue

from .needs import questions

ROOT = Path(__file__).parents[2]
KNOWN = catalogue()
JUDGED = [criterion for criterion in KNOWN.criteria if not criterion.preference]
EVIDENCE = Evidence.__args__  # type: ignore[attr-defined]


@pytest.fixture(params=KNOWN.systems, ids=lambda system: system.name)
def system(request: pytest.FixtureRequest) -> System:
    return request.param


def test_the_thirteen_systems_in_the_order_of_the_table() -> None:
    assert [system.name for system in KNOWN.systems] == questions()["runs"]["items"]["enum"]
    assert len({system.order for system in KNOWN.systems}) == 13


def test_every_criterion_has_a_fact(system: System) -> None:
    assert set(system.facts) == {criterion.id for criterion in JUDGED}


def test_every_fact_answers_every_question(system: System) -> None:
    for criterion in JUDGED:
        fact = system.facts[criterion.id]
        values = KNOWN.answers[criterion.answers[0]].values
        assert set(fact.marks) == set(values) - set(criterion.silent) - _without_mark(criterion.id), (
            criterion.id
        )
        assert all(0 <= mark <= 3 for mark in fact.marks.values())
        numbers = [value is not None for value in (fact.limit, fact.floor, fact.memory)]
        assert sum(numbers) == (not values) == criterion.numeric, criterion.id


def _without_mark(criterion: str) -> set[str]:
    """Answers that no system has a mark for, since they ask nothing."""
    return {"operators": {"dedicated"}, "cost": {"secondary"}}.get(criterion, set())


def test_every_fact_says_why_and_how_that_is_known(system: System) -> None:
    for criterion, fact in system.facts.items():
        assert fact.because, criterion
        assert not fact.because.endswith("."), criterion
        assert fact.evidence in EVIDENCE
        assert fact.source
        if fact.evidence == "documented":
            assert fact.url is not None, criterion
            assert fact.url.startswith("https://"), criterion
        if fact.evidence == "measured":
            assert fact.source.startswith("measured here: "), criterion


def test_every_criterion_says_why_it_is_asked() -> None:
    for criterion in KNOWN.criteria:
        assert criterion.why
        assert criterion.source
        assert criterion.weight > 0
        assert set(criterion.answers) <= set(ANSWERS)
    assert {key for criterion in KNOWN.criteria for key in criterion.answers} | {"years"} == set(ANSWERS)


def test_the_questions_are_those_of_the_spec() -> None:
    assert set(KNOWN.answers) == set(ANSWERS) - {"years"}
    for key, answer in KNOWN.answers.items():
        assert answer.question.endswith("?")
        assert list(answer.values) == questions()[key].get("enum", []), key


def test_the_defaults_are_those_of_the_schema() -> None:
    defaults = {field.name: field.default for field in fields(Need) if field.name != "data"}
    stated = {key: question["default"] for key, question in questions().items() if key != "data"}
    assert defaults == stated | {"runs": ()}
    for key, question in questions().items():
        assert key in ("data", "runs") or f"Default {question['default']}." in question["description"], key


def test_an_extension_takes_over_what_it_does_not_state() -> None:
    postgresql, pgvector = KNOWN.system("PostgreSQL"), KNOWN.system("pgvector")
    assert pgvector.facts["loss"] == postgresql.facts["loss"]
    assert pgvector.facts["vectors"] != postgresql.facts["vectors"]
    assert [system.name for system in KNOWN.relatives(pgvector)] == [
        "PostgreSQL",
        "PostgreSQL JSONB",
        "pgvector",
        "TimescaleDB",
    ]


def test_the_reference_states_the_same_limits() -> None:
    text = (ROOT / "references" / "storage-selection.md").read_text(encoding="utf-8")
    facts = KNOWN.system("PostgreSQL").facts
    for criterion in ("writes", "reads", "documents"):
        assert f"{facts[criterion].limit:,}" in text
    assert f"{(facts['volume'].limit or 0) / 1e12:.0f} TB" in text
    assert f"{facts['latency'].floor:g} ms" in text
    memory = KNOWN.system("pgvector").facts["vectors"].memory
    assert memory is not None
    assert memory.share == 0.5
    assert f"half of the memory / (4 x dimensions + {memory.overhead} bytes)" in text
    assert f"{KNOWN.system('PostgreSQL JSONB').facts['record'].limit:,}" in text
