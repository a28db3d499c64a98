"""Names in specs, and the names that we invent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.model.database import Name
from data_platform.spec.naming import Namer, parse_name, shorten
from data_platform.sql.text import MAX_IDENTIFIER_BYTES, NotSql

_PARTS = st.text(min_size=1, max_size=63).filter(
    lambda text: "\0" not in text and len(text.encode("utf-8", "replace")) <= MAX_IDENTIFIER_BYTES
)


def _quoted(part: str) -> str:
    return '"' + part.replace('"', '""') + '"'


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("orders", Name("main", "orders")),
        ("Orders", Name("main", "Orders")),
        ("shop.orders", Name("shop", "orders")),
        ('"shop.orders"', Name("main", "shop.orders")),
        ('shop."a.b"', Name("shop", "a.b")),
        ('"a""b"."c"', Name('a"b', "c")),
        ('a"b', Name("main", 'a"b')),
        (" orders", Name("main", " orders")),
        ("public.orders", Name("public", "orders")),
    ],
)
def test_reads(text: str, name: Name) -> None:
    assert parse_name(text, "main") == name


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a..b", "a.b.c", '"', '"a', '"a"b', '""', 'a.""', "x" * 64, "é" * 32, "a\0b"],
)
def test_refuses(text: str) -> None:
    with pytest.raises(NotSql):
        parse_name(text, "main")


@given(_PARTS, _PARTS)
def test_quoted_names_come_back(schema: str, name: str) -> None:
    assert parse_name(f"{_quoted(schema)}.{_quoted(name)}", "main") == Name(schema, name)
    assert parse_name(_quoted(name), "main") == Name("main", name)


@given(_PARTS)
def test_bare_names_come_back_as_they_are(name: str) -> None:
    if "." not in name and not name.startswith('"'):
        assert parse_name(name, "main") == Name("main", name)


@given(st.text())
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = parse_name(text, "main")
    except NotSql:
        return
    assert parse_name(f"{_quoted(name.schema)}.{_quoted(name.name)}", "other") == name


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_shortened_names_fit_and_short_ones_stay(name: str) -> None:
    short = shorten(name)
    assert len(short.encode()) <= MAX_IDENTIFIER_BYTES
    assert short == name or len(name.encode()) > MAX_IDENTIFIER_BYTES


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=30, max_size=80),
    st.integers(0, 99),
    st.integers(0, 99),
)
def test_two_long_names_do_not_become_one(stem: str, a: int, b: int) -> None:
    one, other = f"{stem * 3}_{a}", f"{stem * 3}_{b}"
    assert (shorten(one) == shorten(other)) == (one == other)


def test_joins_as_postgresql_does_and_numbers_what_is_taken() -> None:
    namer = Namer(["orders"])
    assert namer.invent("orders", "customer_id", "fkey") == "orders_customer_id_fkey"
    assert namer.invent("orders", "customer_id", "fkey") == "orders_customer_id_fkey1"
    assert namer.invent("orders", "customer_id", "fkey") == "orders_customer_id_fkey2"
    assert namer.invent("orders", "", "pkey") == "orders_pkey"


def test_the_authors_name_is_taken_once() -> None:
    namer = Namer()
    assert namer.claim("a_b")
    assert not namer.claim("a_b")
    assert namer.invent("a", "b") == "a_b1"


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "a_b", "é" * 30, "x" * 40]), min_size=1, max_size=3), max_size=30
    )
)
def test_no_name_is_invented_twice(requests: list[list[str]]) -> None:
    namer = Namer()
    names = [namer.invent(*parts) for parts in requests]
    assert len(set(names)) == len(names)
    assert all(len(name.encode()) <= MAX_IDENTIFIER_BYTES for name in names)
