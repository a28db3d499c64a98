"""A page holds the elements of its template, none that the data brought, and it loads nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_platform.report.document import (
    STATES,
    Bars,
    Block,
    Bullets,
    Check,
    Checklist,
    Code,
    Heading,
    Inline,
    Paragraph,
    Piece,
    Report,
    Strong,
    Table,
    shown,
    shown_block,
    shown_words,
)
from data_platform.report.html import page

VOID = {"meta", "wbr"}
EMPTY_IN_SVG = {"path", "circle", "rect", "use"}

HOSTILE = [
    "<script>alert(1)</script>",
    "</code></td></table><img src=http://x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' style='x",
    "{{ 7 * 7 }}{% raw %}",
    "</style><!-- <![CDATA[ ]]> -->",
    "&lt;b&gt; &amp; &#60;",
    "a" * 1000,
]
ANY_TEXT = st.sampled_from(HOSTILE) | st.text(
    st.sampled_from("<>&\"'/!-[]{}%#=; \n\r\t\0\u202e\ud800abc_.é") | st.characters(exclude_categories=())
)


@dataclass
class Element:
    """An element as it stands in the source."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """Reads a page; fails when an element closes that is not the one that is open."""

    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append(Element(tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in EMPTY_IN_SVG
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")

    def all(self, tag: str, **attributes: str) -> list[Element]:
        return [
            element
            for element in self.elements
            if element.tag == tag and attributes.items() <= element.attributes.items()
        ]


def parsed(source: str) -> Page:
    result = Page()
    result.feed(source)
    result.close()
    assert not result.open
    return result


def report(*pieces: Piece, title: Inline = "A finding", good: bool | None = True) -> Report:
    return Report(title=title, verdict="proven", good=good, pieces=pieces)


def with_everything(data: str) -> Report:
    """Every piece, with `data` wherever text can stand."""
    run = (data, Code(data), Strong(data))
    checks = tuple(Check(run, state, run) for state in STATES)
    pieces: tuple[Piece, ...] = (
        Paragraph(run),
        *(Heading((f"Section {n} ", *run)) for n in range(4)),
        Bullets((run, data)),
        Block(data, data),
        Table((f"a{data}", "b"), ((run, Code(data)),), frozenset({1})),
        Checklist(checks),
        Bars(data, ((run, 1.5), ("b", 0))),
    )
    return Report(title=run, verdict=data, good=False, pieces=pieces, summary=run)


def skeleton(source: str) -> list[tuple[str, tuple[str, ...], str | None]]:
    """The elements with the names of their attributes and their class, without the breaks in long names."""
    return [
        (element.tag, tuple(element.attributes), element.attributes.get("class"))
        for element in parsed(source).elements
        if element.tag != "wbr"
    ]


HARMLESS = skeleton(page(with_everything("x")))


@given(ANY_TEXT.filter(bool))
@example(HOSTILE[0])
@example(HOSTILE[1])
@example(HOSTILE[2])
@example(HOSTILE[5])
def test_no_element_comes_from_the_data(data: str) -> None:
    assert skeleton(page(with_everything(data))) == HARMLESS


@given(st.lists(ANY_TEXT, min_size=1))
@example(HOSTILE)
@example(["", " ", " a ", "a\n b", "a_b.c/d", "x" * 60])
def test_code_and_blocks_come_back(texts: list[str]) -> None:
    codes = [Code(text) for text in texts]
    rows = tuple((code, "") for code in codes)
    read = parsed(page(report(Table(("a", "b"), rows), *(Block(text) for text in texts))))
    assert [element.text for element in read.all("code")] == [
        *map(shown, codes),
        *(shown_block(text) for text in texts),
    ]
    assert len(read.all("table")) == 1
    assert len(read.all("tr")) == 1 + len(rows)
    assert len(read.all("td")) == 2 * len(rows)


@given(ANY_TEXT)
def test_the_title_of_the_window_has_the_code_too(data: str) -> None:
    title = parsed(page(report(title=("On ", Code(data), ": ", Strong("slow"))))).all("title")[0]
    assert title.text == f"On {shown(Code(data))}: slow"


@given(ANY_TEXT)
def test_words_come_back(data: str) -> None:
    assert parsed(page(report(Paragraph(data)))).all("p")[-1].text == shown_words(data)


# What the page may load ------------------------------------------------------------------------------------


def test_nothing_is_loaded_from_anywhere() -> None:
    source = page(with_everything("x"))
    read = parsed(source)
    assert "http:" not in source
    assert "https:" not in source
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & {e.tag for e in read.elements}
    references = [e.attributes[key] for e in read.elements for key in ("href", "src") if key in e.attributes]
    assert references
    assert all(reference and reference.startswith("#") for reference in references)
    style = read.all("style")[0].text
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_this_style_and_nothing_else() -> None:
    read = parsed(page(report()))
    style = read.all("style")[0].text
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = read.all("meta", **{"http-equiv": "Content-Security-Policy"})[0].attributes["content"]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not any("style" in element.attributes for element in read.elements)


def test_every_reference_within_the_page_has_its_target() -> None:
    read = parsed(page(with_everything("x")))
    targets = [element.attributes["id"] for element in read.elements if "id" in element.attributes]
    assert len(targets) == len(set(targets))
    used = {
        element.attributes[key] for element in read.elements for key in ("href",) if key in element.attributes
    }
    assert used <= {f"#{target}" for target in targets}


def test_the_same_report_gives_the_same_bytes() -> None:
    assert page(with_everything("x")) == page(with_everything("x"))


def test_the_page_begins_with_its_type_and_encoding() -> None:
    assert page(report()).startswith('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n')
    assert page(report()).endswith("</html>\n")


# What it looks like ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "tone", "shape"),
    [(True, "good", "proven"), (False, "bad", "failed"), (None, "open", "not-checked")],
)
def test_the_verdict_has_a_word_a_colour_and_a_shape(good: bool | None, tone: str, shape: str) -> None:
    source = page(report(good=good))
    assert "Verdict: proven" in parsed(source).all("div", **{"class": f"verdict {tone}"})[0].text
    assert (
        f'<div class="verdict {tone}">\n<svg aria-hidden="true"><use href="#mark-{shape}"/></svg>' in source
    )


def test_checks_are_told_apart_by_word_and_shape() -> None:
    read = parsed(page(report(Checklist(tuple(Check("a", state, "") for state in STATES)))))
    assert [element.text for element in read.all("span", **{"class": "state"})] == list(STATES)
    marks = [element.attributes["href"] for element in read.all("use")][-3:]
    assert marks == ["#mark-proven", "#mark-failed", "#mark-not-checked"]
    assert not read.all("span", **{"class": "reason"})


def test_numeric_columns_are_marked_and_a_page_takes_more_columns_than_markdown() -> None:
    read = parsed(page(report(Table(("a",) * 9, (("1",) * 9,), frozenset({0, 8})))))
    assert len(read.all("th", **{"class": "number"})) == len(read.all("td", **{"class": "number"})) == 2
    assert read.all("div", **{"class": "scroll wide"})


def test_bars_are_drawn_to_one_scale_and_say_their_figures() -> None:
    read = parsed(page(report(Bars("ms", (("a", 40.0), (Code("b"), 10.5), ("c", 0))))))
    assert [element.attributes["width"] for element in read.all("rect")] == ["100.00%", "26.25%", "0.00%"]
    assert [element.text for element in read.all("td", **{"class": "number"})] == [
        "40.0 ms",
        "10.5 ms",
        "0.0 ms",
    ]


def test_only_a_long_report_has_a_list_of_its_sections() -> None:
    sections = tuple(Heading(f"Part {n}") for n in range(4))
    assert not parsed(page(report(*sections[:3]))).all("nav")
    assert [element.text for element in parsed(page(report(*sections))).all("a")] == [
        f"Part {n}" for n in range(4)
    ]


def palettes() -> list[dict[str, str]]:
    """The colours in the light, in the dark and on paper."""
    style = parsed(page(report())).all("style")[0].text
    roots = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    return [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", root)) for root in roots]


TEXT_ON = [
    *((text, ground) for text in ("text", "muted", "link") for ground in ("page", "soft")),
    *(("text", ground) for ground in ("mark", "good-soft", "bad-soft", "open-soft")),
    *((tone, ground) for tone in ("good", "bad", "open") for ground in ("page", f"{tone}-soft")),
]


@pytest.mark.parametrize(("text", "ground"), TEXT_ON)
def test_text_has_enough_contrast(text: str, ground: str) -> None:
    assert len(palettes()) == 3
    for colours in palettes():
        assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("shape", ["good-line", "bad-line", "open-line", "bar"])
def test_shapes_have_enough_contrast(shape: str) -> None:
    for colours in palettes():
        assert contrast(colours[shape], colours["page"]) >= 3


def contrast(one: str, other: str) -> float:
    """The ratio of the Web Content Accessibility Guidelines, 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
