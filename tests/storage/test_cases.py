"""Worked cases: what is chosen for a need, for the reason that was expected."""

from __future__ import annotations

import pytest

from data_platform.storage.select import Selection, select

from .needs import Case, cases

CASES = cases()


@pytest.fixture(params=CASES, ids=lambda case: case.name, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="module")
def selection(case: Case) -> Selection:
    return select(case.asked.need)


def test_there_are_thirty_of_them_and_every_system_is_in_one() -> None:
    assert len(CASES) >= 30
    assert len({case.name for case in CASES}) == len(CASES)
    named = {case.choice for case in CASES} | {name for case in CASES for name in case.companions}
    assert len(named - {None}) == 13


def test_the_expected_system_is_first(case: Case, selection: Selection) -> None:
    assert selection.choice.system == case.choice
    assert [companion.system for companion in selection.choice.companions] == case.companions
    if case.choice:
        assert list(selection.tied) == case.tied


def test_for_the_expected_reason(case: Case, selection: Selection) -> None:
    assert case.reason
    assert case.over or case.choice is None
    standings = {standing.system.name: standing for standing in selection.standings}
    for rival, criterion in case.over.items():
        assert standings[str(case.choice)].mark(criterion) > standings[rival].mark(criterion), rival


def test_says_whether_postgresql_alone_is_enough(case: Case, selection: Selection) -> None:
    assert selection.enough.enough == case.enough
    if case.until:
        assert selection.enough.until is not None
        assert selection.enough.until.criterion.id == case.until
        assert selection.enough.until.years is not None
