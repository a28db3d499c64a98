"""The page shows what the design says, holds no element that the data brought, and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_platform.model.database import (
    Check,
    Column,
    Database,
    Exclusion,
    ExclusionElement,
    ForeignKey,
    Generated,
    Index,
    IndexElement,
    Name,
    PrimaryKey,
    Table,
    Unique,
)
from data_platform.model.design import AccessPattern, Design
from data_platform.report.document import Code, shown
from data_platform.resources import resource
from data_platform.schema.diagram.drawing import shown_columns
from data_platform.schema.diagram.page import page
from data_platform.schema.diagram.tables import marks
from schema.large_designs import large

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    '" onload="alert(1)',
    "' & &lt;b&gt; ]]>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "a\u2028b\u202e\x00\n\t",
    "\ud800",
    "name with a blank#and=this&that",
)
ANY_TEXT = st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=30)


def shop(text: str = "customers", schema: str = "public") -> Design:
    """Two tables with one of everything; `text` stands wherever a name, an expression or a comment can."""
    customers = Table(
        name=Name(schema, text),
        columns=(
            Column(name="id", type="bigint", identity="always"),
            Column(name=text + "x", type=text, nullable=True, default=text, comment=text),
            Column(name="sum", type="integer", generated=Generated(expression=text, stored=False)),
        ),
        primary_key=PrimaryKey(name=text, columns=("id",)),
        uniques=(Unique(name=text, columns=(text + "x",), nulls_not_distinct=True),),
        checks=(Check(name=text, expression=text),),
        exclusions=(Exclusion(name=text, method=text, elements=(_excluded(text),), where=text),),
        indexes=(_index(text),),
        comment=text,
    )
    orders = Table(
        name=Name(schema, "orders"),
        columns=(
            Column(name="id", type="uuid"),
            Column(name="customer", type="bigint", nullable=True),
        ),
        primary_key=PrimaryKey(name="orders_pkey", columns=("id",)),
        foreign_keys=(_key("customer", customers.name, text),),
    )
    pattern = AccessPattern(
        name=text, sql="SELECT o.id FROM orders AS o", per_second=20.0, expected_rows=1, latency_ms=2.5
    )
    return Design(
        store=text,
        server_version=18,
        database=Database(schemas=(schema,), tables=(customers, orders)),
        default_schema="public",
        access_patterns=(pattern,),
        rows={orders.name: 800000},
    )


def _excluded(text: str) -> ExclusionElement:
    return ExclusionElement(element=IndexElement(expression=text), operator=text)


def _index(text: str) -> Index:
    element = IndexElement(column="sum", opclass=text, collation=text, descending=True)
    return Index(
        name=text, elements=(element,), include=(text,), where=text, options=((text, text),), comment=text
    )


def _key(column: str, target: Name, name: str) -> ForeignKey:
    return ForeignKey(
        name=name, columns=(column,), target=target, target_columns=("id",), on_delete="set null"
    )


class Page(HTMLParser):
    """Reads a page: its elements with their attributes, and what stands in each kind."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        self._last = tag

    def handle_data(self, data: str) -> None:
        if self.elements:
            self.texts[self._last][-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    @property
    def data(self) -> Any:
        return json.loads(self.texts["script"][0])

    @property
    def skeleton(self) -> list[tuple[str, tuple[str, ...]]]:
        """The elements and their attributes' names; a name takes as many lines as it needs."""
        return [(tag, tuple(attributes)) for tag, attributes in self.elements if tag != "tspan"]


HARMLESS = Page(page(shop("x"))).skeleton


@given(ANY_TEXT)
@settings(max_examples=25, deadline=None)
@example(HOSTILE[0])
@example(HOSTILE[1])
@example(HOSTILE[2])
def test_no_element_comes_from_the_data(text: str) -> None:
    source = page(shop(text))
    source.encode()
    assert Page(source).skeleton == HARMLESS


@given(ANY_TEXT.filter(lambda text: text != "orders"))
@settings(max_examples=25, deadline=None)
def test_every_text_comes_back_as_it_is_shown_everywhere(text: str) -> None:
    read = Page(page(shop(text)))
    seen = shown(Code(text))
    assert read.data["tables"][0]["label"] == read.texts["h1"][0].rstrip("\n") == seen
    assert read.data["references"][0]["name"] == read.data["patterns"][0]["name"] == seen
    labels = {
        attributes["aria-label"]
        for tag, attributes in read.elements
        if "box" in (attributes.get("class") or "")
    }
    assert labels == {seen, "orders"}


@pytest.mark.parametrize("text", HOSTILE)
def test_each_table_has_a_link_that_names_it(text: str) -> None:
    read = Page(page(shop(text)))
    links = {unquote(href) for tag, a in read.elements if tag == "a" and (href := a["href"])}
    assert links == {f"#table={table['label']}" for table in read.data["tables"]}


# What the page may do ----------------------------------------------------------------------------------------


def test_nothing_is_loaded_from_anywhere() -> None:
    read = Page(page(shop()))
    assert not {"link", "img", "iframe", "object", "embed", "base", "form", "image", "foreignobject"} & set(
        read.texts
    )
    for tag, attributes in read.elements:
        assert not {"src", "style", "xlink:href"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert (attributes.get("href") or "#").startswith("#")
    style = read.texts["style"][0]
    assert set(re.findall(r"url\((.*?)\)", style)) == {'"#many"', '"#one"', '"#head"'}
    assert "@import" not in style
    assert "@font-face" not in style


def test_the_policy_allows_this_style_and_this_script_and_nothing_else() -> None:
    source = page(shop())
    read = Page(source)
    policy = next(
        a["content"] for tag, a in read.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    style, script = (
        re.findall(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)[-1] for tag in ("style", "script")
    )
    assert policy == (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_script_puts_nothing_into_the_page_as_markup() -> None:
    script = Page(page(shop())).texts["script"][1]
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|fetch\(|import\("
    assert "replaceChildren" in script
    assert not re.search(ways, script)


# What it says ------------------------------------------------------------------------------------------------


def test_the_same_design_gives_the_same_bytes() -> None:
    assert page(large(60)) == page(large(60))


def test_the_details_of_a_table() -> None:
    customers, orders = Page(page(shop("name"))).data["tables"]
    assert customers["columns"] == [
        ["id", "bigint", ["PK"], False, "identity, always", ""],
        ["namex", "name", ["UK"], True, "name", "name"],
        ["sum", "integer", [], False, "virtual: name", ""],
    ]
    assert customers["rules"] == [
        ["name", "PRIMARY KEY (id)"],
        ["name", "UNIQUE NULLS NOT DISTINCT (namex)"],
        ["name", "CHECK (name)"],
        ["name", "EXCLUDE USING name ((name) WITH name) WHERE name"],
    ]
    index = "btree (sum COLLATE name name DESC NULLS LAST) INCLUDE (name) WITH (name = name) WHERE name"
    assert customers["indexes"] == [["name", index, "name"]]
    assert (customers["rows"], customers["patterns"]) == (None, [])
    assert (orders["rows"], orders["patterns"]) == (800000, [0])
    assert orders["columns"][1][2] == ["FK"]


def test_the_foreign_keys_and_access_patterns() -> None:
    data = Page(page(shop("name"))).data
    assert data["references"] == [
        {
            "name": "name",
            "source": 1,
            "target": 0,
            "columns": ["customer"],
            "targets": ["id"],
            "deletes": "set null",
            "updates": "no action",
            "optional": True,
            "single": False,
        }
    ]
    facts = "20 a second, 1 row, within 2.5 ms"
    assert data["patterns"] == [{"name": "name", "sql": "SELECT o.id FROM orders AS o", "facts": facts}]


def test_a_pattern_finds_its_tables_by_the_search_path_and_not_its_own_expressions() -> None:
    sql = "WITH customers AS (SELECT 1) SELECT * FROM customers, analytics.other"
    design = shop()
    other = Table(name=Name("analytics", "other"), columns=(Column(name="id", type="int"),))
    tables = (other, *design.database.tables)
    changed = replace(
        design,
        database=replace(design.database, tables=tables),
        access_patterns=(AccessPattern(name="p", sql=sql),),
    )
    found = {table["label"]: table["patterns"] for table in Page(page(changed)).data["tables"]}
    assert found == {"analytics.other": [0], "customers": [], "orders": []}


def test_a_column_unique_among_living_rows_is_marked() -> None:
    index = Index(name="i", elements=(IndexElement(column="email"),), unique=True, where="deleted_at IS NULL")
    columns = (Column(name="email", type="text"), Column(name="a", type="text"))
    table = Table(name=Name("public", "t"), columns=columns, indexes=(index,))
    assert list(marks(table, "email")) == ["UK"]
    other = replace(table, indexes=(replace(index, where="a = 'x'"),))
    assert list(marks(other, "email")) == []


def test_keys_are_shown_before_other_columns() -> None:
    columns = tuple(Column(name=name, type="int") for name in "abcde")
    key = PrimaryKey(name="k", columns=("e",))
    assert shown_columns(Table(name=Name("public", "t"), columns=columns, primary_key=key), 3) == (0, 1, 4)


def test_tables_of_one_name_in_two_schemas_keep_apart() -> None:
    tables = tuple(
        Table(name=Name(schema, name), columns=())
        for schema, name in (("a", "b.c"), ("a.b", "c"), ("public", "c"), ("public", "a.b"))
    )
    design = Design(store="s", server_version=18, database=Database(tables=tables))
    labels = [table["label"] for table in Page(page(design)).data["tables"]]
    assert labels == ['a."b.c"', '"a.b".c', "c", "a.b"]


def test_a_key_to_a_table_outside_the_design_is_left_out() -> None:
    design = shop()
    alone = replace(design, database=replace(design.database, tables=design.database.tables[1:]))
    assert Page(page(alone)).data["references"] == []


def test_a_design_without_tables_has_a_page() -> None:
    read = Page(page(Design(store="Empty DB", server_version=18, database=Database())))
    assert read.data["tables"] == []


@pytest.mark.parametrize(("count", "seconds"), [(300, 2), (1000, 10)])
def test_large_designs_are_fast_and_small_enough(count: int, seconds: float) -> None:
    design = large(count)
    start = time.process_time()
    source = page(design)
    assert time.process_time() - start < seconds
    assert len(source.encode()) < 5_000_000
    assert sum(a.get("class", "").startswith("box") for _, a in Page(source).elements) == count


# What it looks like ------------------------------------------------------------------------------------------


def _colours(style: str) -> Mapping[str, str]:
    return dict(re.findall(r"(\.hue-\d|--[a-z]+)(?: \{ --hue)?: (#[0-9a-f]{6})", style))


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_text_colour_has_contrast_on_light_dark_and_paper() -> None:
    style = Path(resource("templates", "diagram", "diagram.css")).read_text(encoding="utf-8")
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    for colours in map(_colours, (light, dark.split("*, ::before")[0], dark.split("@media print")[1])):
        texts = {
            name for name in colours if name in ("--text", "--muted", "--link") or name.startswith(".hue")
        }
        assert len(texts) == 11
        for name in texts:
            assert _contrast(colours[name], colours["--page"]) >= 4.5, name
            assert _contrast(colours[name], colours["--map"]) >= 4.5, name


# What it does, in a browser ----------------------------------------------------------------------------------

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
in_browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")


def _opened(design: Design, address: str, place: Path) -> str:
    """The page's document after its script has run."""
    (place / "page.html").write_text(page(design), encoding="utf-8")
    switches = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync --dump-dom"
    quiet = "--disable-background-networking --disable-component-update --virtual-time-budget=1500"
    url = (place / "page.html").as_uri() + address
    command = [str(BROWSER), *switches.split(), *quiet.split(), f"--user-data-dir={place / 'profile'}", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


@in_browser
def test_the_address_opens_a_table_with_its_neighbours(tmp_path: Path) -> None:
    source = _opened(shop("customers"), "#table=orders&distance=2&rest=hidden", tmp_path)
    assert re.search(r'<svg id="map"[^>]*class="focused alone"', source)
    assert re.search(r'<aside id="detail"[^>]*><header><h2>orders</h2>', source)
    assert "800,000 rows expected" in source
    assert "on delete set null, may be NULL" in source
    assert len(re.findall(r'class="box [^"]*near', source)) == 2
    assert 'aria-current="true"' in source


@in_browser
def test_hostile_names_stay_text_when_the_script_has_run(tmp_path: Path) -> None:
    text = HOSTILE[0]
    source = _opened(shop(text), "#table=%3C/script%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E", tmp_path)
    assert "<img" not in source.split('<script type="application/json"')[0]
    assert "<h2>&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;</h2>" in source


@in_browser
def test_an_empty_design_opens(tmp_path: Path) -> None:
    source = _opened(Design(store="Empty DB", server_version=18, database=Database()), "", tmp_path)
    assert re.search(r'<svg id="map"[^>]*viewBox="-', source)
