"""Casts that are said to lose nothing, there and back on a real server; and what is said of the others."""

from __future__ import annotations

import psycopg
import pytest

from data_platform.migration.plan.exact import come_back
from data_platform.model.database import Database, Enum, Name
from data_platform.postgres.server import Database as Scratch

SAMPLES = [
    ("smallint", "bigint", ("-32768", "32767")),
    ("integer", "numeric", ("-2147483648", "2147483647")),
    ("bigint", "numeric", ("-9223372036854775808", "9223372036854775807")),
    ("real", "double precision", ("0.1", "1e-45", "NaN", "-0")),
    ("date", "timestamp without time zone", ("0044-03-15 BC", "infinity", "2024-02-29")),
    ("numeric", "text", ("1.500", "NaN", "-0.0")),
    ("boolean", "text", ("t", "f")),
    ("uuid", "text", ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",)),
    ("inet", "text", ("10.0.0.1/8", "::1")),
    ("json", "text", ('{"b": 1,  "a": 1, "a": 2}',)),
    ("character varying(5)", "text", ("a b ", "")),
]


@pytest.mark.parametrize(("old", "new", "values"), SAMPLES)
def test_each_value_comes_back(old: str, new: str, values: tuple[str, ...], database: Scratch) -> None:
    assert come_back(Database(), Database(), old, new)
    with psycopg.connect(database.conninfo) as connection:
        for value in values:
            query = f"SELECT $1::{old}::text, ($1::{old}::{new})::{old}::text".replace("$1", "%(value)s")
            (one,) = connection.execute(query.encode(), {"value": value})
            assert one[0] == one[1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("json", "jsonb"),
        ("bigint", "integer"),
        ("text", "integer"),
        ("vector(3)", "halfvec(3)"),
        ("character(5)", "text"),
        ("timestamp without time zone", "timestamp with time zone"),
        ("numeric", "numeric(12,2)"),
    ],
)
def test_of_others_nothing_is_promised(old: str, new: str) -> None:
    assert not come_back(Database(), Database(), old, new)


def test_an_enum_comes_back_where_no_label_is_gone() -> None:
    def moods(*labels: str) -> Database:
        return Database(types=(Enum(name=Name("public", "mood"), labels=labels),))

    assert come_back(moods("sad", "ok"), moods("ok", "sad", "fine"), "public.mood", "public.mood")
    assert come_back(moods("sad", "ok"), Database(), "public.mood", "text")
    assert not come_back(moods("sad", "ok"), moods("ok"), "public.mood", "public.mood")
