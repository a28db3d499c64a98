"""A curve in both writers: every point is in the picture, and Markdown says where the wanted level is reached."""

from __future__ import annotations

import re

import pytest

from data_platform.report.document import Curve, Line, Report
from data_platform.report.html import page
from data_platform.report.markdown import markdown

CURVE = Curve(
    "ms",
    "recall",
    (Line("a <b>", ((0.2, 0.8), (0.4, 0.96), (1.0, 0.99)), chosen=True), Line("c", ((0.1, 0.5),))),
    0.95,
)


def of(curve: Curve) -> Report:
    return Report("t", "v", None, (curve,))


def test_the_page_draws_every_point_inside_the_picture() -> None:
    html = page(of(CURVE))
    assert "a &lt;b&gt;" in html
    places = [
        (float(x), float(y))
        for x, y in re.findall(r'<circle class="\S+" cx="([\d.]+)" cy="([\d.]+)" r="1"', html)
    ]
    assert len(places) == 4
    assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in places)
    assert 'class="wanted"' in html


def test_markdown_tells_the_ends_and_where_it_is_enough() -> None:
    text = markdown(of(CURVE))
    assert "0.800 at 0.200" in text
    assert "0.990 at 1.000" in text
    assert "0.960 at 0.400" in text
    assert "| c " in text
    assert "–  " in text


def test_a_curve_needs_points() -> None:
    for lines in ((), (Line("a", ()),)):
        with pytest.raises(ValueError, match="needs points"):
            Curve("x", "y", lines, 1.0)
