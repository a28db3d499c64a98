"""The pattern that texts share, by their shapes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.pipeline.quality.shapes import commonest, pattern


def shape(text: str) -> str:
    return re.sub("[0-9]", "9", re.sub("[a-z]", "a", re.sub("[A-Z]", "A", text)))


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["SW12 3AB", "SW1 9ZZ"], "^[A-Z]{2}[0-9]{1,2} [0-9][A-Z]{2}$"),
        (["0000000001"], "^[0-9]{10}$"),
        (["a.b-1", "c.d-22"], r"^[a-z]\.[a-z]-[0-9]{1,2}$"),
        (["DE", "FR"], "^[A-Z]{2}$"),
        (["red", "green"], None),
        (["Red", "red"], None),
        (["é1"], None),
        (["1\n"], None),
        (["--"], None),
        ([], None),
    ],
)
def test_what_texts_share(texts: list[str], wanted: str | None) -> None:
    assert pattern([shape(text) for text in texts]) == wanted


@given(
    st.lists(
        st.text(st.characters(codec="ascii"), max_size=8)
        | st.from_regex(r"[A-Z]{1,2}[0-9]{1,3}", fullmatch=True)
    )
)
def test_a_pattern_is_true_of_the_texts_that_it_is_from(texts: list[str]) -> None:
    found = pattern([shape(text) for text in texts])
    assert found is None or all(re.fullmatch(found[1:-1], text) for text in texts)


def test_the_commonest_have_runs_as_one() -> None:
    given_ = [("AA99", 2), ("Aa9", 3), ("é٣-", 1), ("", 1), ("#", 1), ("?", 9)]
    assert commonest(given_) == (("?", 9), ("a9", 5), ("", 1))
