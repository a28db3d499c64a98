"""What both writers show of a report: bounded, visible, and refused where it cannot be drawn."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_platform.report.document import (
    LONGEST_CODE,
    Bars,
    Check,
    Checklist,
    Code,
    Strong,
    Table,
    plain,
    shown,
    shown_block,
    shown_words,
    spans,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("orders", "orders"),
        (" padded ", " padded "),
        ("one\ntwo\r\nthree", "one↵two↵three"),
        ("a\tb\x00c\x7f", "a⇥b␀c␡"),
        ("\x85", "‹U+0085›"),
        ("abc\u202etxt.exe", "abc‹U+202E›txt.exe"),
        ("zero\u200bwidth", "zero‹U+200B›width"),
        ("half \ud83d", "half ‹U+D83D›"),
        ("žluťoučký 馬 🐎", "žluťoučký 馬 🐎"),
    ],
)
def test_code_shows_what_would_hide(text: str, expected: str) -> None:
    assert shown(Code(text)) == expected


def test_code_is_bounded() -> None:
    text = shown(Code("x" * 1_000_000))
    assert len(text) == LONGEST_CODE
    assert text.endswith("x…")
    assert shown(Code("x" * LONGEST_CODE)) == "x" * LONGEST_CODE


@given(st.text(st.characters(exclude_categories=())))
def test_everything_shown_can_be_written_as_utf_8(text: str) -> None:
    for result in (shown(Code(text)), shown_block(text), shown_words(text)):
        result.encode()
    assert "\n" not in shown(Code(text)) + shown_words(text)


def test_a_block_keeps_lines_and_tabs() -> None:
    assert shown_block("a\r\n\tb\x1b[31m\n\n") == "a\n\tb␛[31m\n"


def test_spans_join_neighbours_of_one_kind() -> None:
    run = ("a", "", "b", Code("x"), "", Strong(""), Code(""), Strong("1"), Strong("2"), "")
    assert spans(run) == ("ab", Code("x"), " ", Code(""), Strong("12"))
    assert spans("") == ()


def test_plain_text_is_what_it_was() -> None:
    assert plain(("a ", Code("b\n"), Strong(" c"))) == "a b\n c"
    assert plain(Code("")) == ""


@pytest.mark.parametrize("columns", [(), ("a",), ("a", "b", "c")])
def test_a_table_whose_rows_do_not_fit_is_refused(columns: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="column"):
        Table(columns, (("1", "2"),))


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_a_bar_that_cannot_be_drawn_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        Bars("ms", (("a", value),))


@pytest.mark.parametrize(
    ("values", "figures"),
    [
        ((1200, 3), ("1,200", "3")),
        ((41.8, 0.97), ("41.80", "0.97")),
        ((12.5, 0.0), ("12.5", "0.0")),
        ((5.0, 0.00001), ("5.000", "0.000")),
        ((), ()),
    ],
)
def test_figures_have_decimals_in_common(values: tuple[float, ...], figures: tuple[str, ...]) -> None:
    assert Bars("ms", tuple(("", value) for value in values)).figures() == figures


@given(st.lists(st.floats(min_value=0, allow_nan=False, allow_infinity=False)))
@example([0.0, 0.0])
def test_the_longest_bar_is_full(values: list[float]) -> None:
    shares = Bars("ms", tuple(("", value) for value in values)).shares()
    assert all(0 <= share <= 1 for share in shares)
    assert max(shares, default=1) == (1 if any(values) or not values else 0)


def test_counts_name_the_states_that_occur() -> None:
    checks = tuple(Check("", state, "") for state in ("not checked", "proven", "proven"))
    assert Checklist(checks).counts() == (("proven", 2), ("not checked", 1))
