"""When two names are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.scope.names import names, owner, store_key
from data_platform.scope.passwords import without_passwords


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Customer DB", "customer database"),
        ("Customer DB (PostgreSQL)", "customer"),
        ("CustomerDB", "Customer Store"),
        ("customer_db", "customer-db"),
        ("Vector Store", "vector"),
        ("ＤＢ Straße", "strasse"),
    ],
)
def test_the_same_store(one: str, other: str) -> None:
    assert store_key(one) == store_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Customer DB", "Customers DB"), ("Bookstore", "Book"), ("DB", "Store")]
)
def test_other_stores(one: str, other: str) -> None:
    assert store_key(one) != store_key(other)


def test_lists_of_names() -> None:
    assert names("Customer DB (a, b), Analytics DW; Orders — the old one") == [
        "Customer DB (a, b)", "Analytics DW", "Orders",
    ]  # fmt: skip
    assert names("Research and Development") == ["Research and Development", "Research", "Development"]
    assert names("@data — Customer DB") == ["Customer DB"]
    assert names(" , ;") == []


def test_owners() -> None:
    assert owner("Data Platform Engineer (Billing)", "Billing Team").qualifier == {"billing"}
    assert owner("Data Platform Engineer @data — first of all").people == ("@data",)
    assert owner("", "Data Platform Engineer @data").is_role
    assert not owner("Platform Engineer").is_role


@given(st.text())
def test_keys_are_stable(text: str) -> None:
    assert store_key(text) == store_key(f"  {text}  ")


@given(st.text("ab/:@ $"))
def test_removing_passwords_twice_is_removing_them_once(text: str) -> None:
    once = without_passwords(text)
    assert without_passwords(once) == once


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see postgres://u:SECRET@h/db now", "see postgres://u:***@h/db now"),
        ("postgresql://u:a/SECRET@h/db", "postgresql://u:***@h/db"),
        ("postgresql:/u:SE@CRET#x@h/db, and", "postgresql:/u:***@h/db, and"),
        ("postgres://u:%40SECRET@h", "postgres://u:***@h"),
        ("postgres://u:$PW@h postgres://u:%PW%@h", "postgres://u:$PW@h postgres://u:%PW%@h"),
        ("h/db?password=SECRET&sslmode=x end", "h/db?password=*** end"),
        ("sslpassword = SECRET PWD='a SECRET' x", "sslpassword = *** PWD=*** x"),
        ('passwd="a \\" SECRET" x', "passwd=*** x"),
        ("password=$PW and password", "password=$PW and password"),
    ],
)
def test_passwords_are_hidden(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


@given(st.text("ad:/@ $='\"pws"))
def test_hiding_settings_twice_is_hiding_them_once(text: str) -> None:
    once = without_passwords(f"{text}password{text}pwd={text}")
    assert without_passwords(once) == once
