"""Locks over time: a drawing in HTML, a table in Markdown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.report.document import BLOCKS, Code, Report, Series, Stretch, Timeline
from data_platform.report.html import page
from data_platform.report.markdown import markdown

TIMELINE = Timeline(
    lanes=(Code("orders"), Code("<b>odd</b>")),
    stretches=(
        Stretch(0, 0.0, 3.0, "ACCESS EXCLUSIVE", "reads and writes", "statement 1"),
        Stretch(1, 3.0, 4.0, "SHARE", "writes", "statement 2"),
    ),
    marks=((0.0, "1"), (3.0, "2")),
    series=(Series("readers", ((0.1, 2.9), (3.5, 0.002))),),
    seconds=4.0,
)


def of(timeline: Timeline) -> Report:
    return Report("t", "v", None, (timeline,))


def test_markdown_lists_what_was_held() -> None:
    text = markdown(of(TIMELINE))
    assert re.search(
        r"\| `orders` +\| ACCESS EXCLUSIVE +\| statement 1 +\| +0\.000 \| +3\.000 \| reads and writes", text
    )
    assert text.count("\n| `") == 2


def test_the_page_draws_each_stretch_to_scale() -> None:
    html = page(of(TIMELINE))
    assert '<rect class="reads-and-writes" x="0.00%" y="4" width="75.00%"' in html
    assert '<rect class="writes" x="75.00%" y="4" width="25.00%"' in html
    assert "<title>ACCESS EXCLUSIVE, statement 1: 3.000 s, blocks reads and writes</title>" in html
    assert "<b>odd" not in html
    assert '<rect x="2.50%" y="0.0%" width="72.50%" height="100.0%"/>' in html


def test_of_many_stretches_the_longest_are_listed() -> None:
    many = tuple(Stretch(0, n / 100, n / 50, "SHARE", "writes", f"statement {n}") for n in range(1, 60))
    text = markdown(of(Timeline((Code("t"),), many, (), (), 2.0)))
    assert "29 shorter ones are left out" in text
    assert "statement 59 " in text
    assert "statement 3 " not in text


@pytest.mark.parametrize(("seconds", "lane"), [(0.0, 0), (1.0, 2), (1.0, -1)])
def test_what_cannot_be_drawn_is_refused(seconds: float, lane: int) -> None:
    with pytest.raises(ValueError, match=r"timeline|lane"):
        Timeline((Code("t"),), (Stretch(lane, 0, 1, "SHARE", "writes", "s"),), (), (), seconds)


@given(
    st.lists(st.tuples(st.floats(-1, 9), st.floats(0, 9), st.sampled_from(BLOCKS)), max_size=5),
    st.floats(0.01, 9),
)
def test_nothing_is_drawn_outside_the_axis(spans: list[tuple[float, float, str]], seconds: float) -> None:
    stretches = tuple(Stretch(0, start, start + took, "L", blocks, "s") for start, took, blocks in spans)  # type: ignore[arg-type]
    html = page(of(Timeline((Code("t"),), stretches, (), (), seconds)))
    for left, width in re.findall(r'<rect class="[a-z-]+" x="([\d.]+)%" y="4" width="([\d.]+)%"', html):
        assert 0 <= float(left) <= 100
        assert float(width) > 0
        assert float(left) + float(width) < 100.2
