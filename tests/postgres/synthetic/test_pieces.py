"""The parts that need no server: spaces, patterns, permutations, order, readings of checks."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.model.database import Column, Database, Domain, Enum, ForeignKey, Name, Table
from data_platform.postgres.synthetic.checks import CheckReader, like_as_regex
from data_platform.postgres.synthetic.facts import NO_FACTS, Bound, Facts, both
from data_platform.postgres.synthetic.kinds import Kind, Kinds
from data_platform.postgres.synthetic.linear import microseconds, scale_of
from data_platform.postgres.synthetic.order import groups
from data_platform.postgres.synthetic.pattern import UnknownPattern, matching
from data_platform.postgres.synthetic.rows import copy_text
from data_platform.postgres.synthetic.stream import Permutation, stream
from data_platform.postgres.synthetic.terms import Worlds
from data_platform.postgres.synthetic.values import space_of
from data_platform.postgres.synthetic.wish import NoValues, Wish

TYPES = (
    "smallint", "bigint", "numeric(10,2)", "numeric(3,5)", "numeric(5,-2)", "real", "money",
    "character varying(3)", "character(2)", "text", "date", "timestamp with time zone", "time without time zone",
    "interval", "uuid", "bytea", "bit(9)", "inet", "int4range", "tstzrange", "datemultirange", "jsonb", "text[]",
    "vector(5)", "sparsevec(100)", "macaddr", "pg_lsn", "tsvector",
)  # fmt: skip


@pytest.mark.parametrize("type_", TYPES)
@settings(max_examples=20, deadline=None)
@given(numbers=st.sets(st.integers(0, 10**6), min_size=2, max_size=40))
def test_different_numbers_give_different_values(type_: str, numbers: set[int]) -> None:
    space = space_of(Kinds(Database())(type_), NO_FACTS, Wish(column="x", distinct=100))
    kept = sorted({number % space.size for number in numbers})
    assert len(set(space.texts(kept))) == len(kept)
    assert 0 < space.natural <= space.size


@pytest.mark.parametrize(
    "regex",
    [
        r"^[A-Z]{3}-\d+$", r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", r"^(ab|c)*x?$", r"^[[:alpha:]_][[:alnum:]_]*$",
        r"^\+?[1-9]\d{1,14}$",
        r"^#[0-9a-fA-F]{6}$", r"^(?:\d{1,3}\.){3}\d{1,3}$", r"^v\d+(\.\d+){0,2}(-[a-z]+)?$", r"^[\w.-]+$",
        r"a.c", r"^a{2,3}b{4}$",
        r"^https?://[a-z]+\.(com|org)(/.*)?$", r"^[]a-]+$", r"^\$\(\)\\$",
    ],
)  # fmt: skip
def test_patterns(regex: str) -> None:
    space = matching(regex, 0, 40)
    texts = space.texts(range(min(space.size, 300)))
    compiled = re.compile(
        regex.replace("[:alpha:]", "a-zA-Z").replace("[:alnum:]", "a-zA-Z0-9").replace("[]a-]", r"[\]a-]")
    )
    assert all(compiled.search(text) for text in texts)
    assert len(set(texts)) > 0.9 * len(texts)
    assert max(map(len, texts)) <= 40


def test_patterns_know_their_size() -> None:
    space = matching("^[ab]{2,3}(x|yy)?$", 3, 4)
    expected = {a + b + c + d for a in "ab" for b in "ab" for c in ("", "a", "b") for d in ("", "x", "yy")}
    expected = {text for text in expected if 3 <= len(text) <= 4}
    assert space.size == len(expected)
    assert set(space.texts(range(space.size))) == expected


@pytest.mark.parametrize("regex", [r"(?=x)y", "(", "[a", r"(a)\1", "a{x}", "*"])
def test_patterns_that_are_not_known(regex: str) -> None:
    with pytest.raises(UnknownPattern):
        matching(regex, 0, None)


def test_patterns_that_differ_in_more_than_case() -> None:
    space = matching("^[a-zA-Z]{2}$", 0, 2, fold=True)
    assert space.size == 26 * 26
    assert len({text.lower() for text in space.texts(range(space.size))}) == space.size


@given(st.integers(1, 5000), st.integers(0, 99))
def test_permutations_give_every_number_once(size: int, seed: int) -> None:
    order = Permutation(size, stream(seed, "x"))
    assert sorted(order(0, size // 2) + order(size // 2, size - size // 2)) == list(range(size))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 day", 86_400_000_000),
        ("01:30:00", 5_400_000_000),
        ("-00:00:01", -1_000_000),
        ("1 mon 2 days 00:00:00.5", 32 * 86_400_000_000 + 500_000),
    ],
)
def test_intervals(text: str, expected: int) -> None:
    assert microseconds(text) == expected


def test_scales_read_what_they_write() -> None:
    for base in (
        "integer",
        "numeric",
        "money",
        "date",
        "timestamp with time zone",
        "time without time zone",
        "interval",
    ):
        scale = scale_of(Kind(base=base))
        for tick in (scale.first, scale.last, (scale.first + scale.last) // 2):
            (text,) = scale.write([tick])
            assert scale.at_least(scale.parse(text)) == tick, (base, text)


def test_copy_escapes() -> None:
    assert (
        copy_text([["a\tb", None, "\\N"], ["x", "y\nz", "c\\d"]]) == "a\\tb\tx\n\\N\ty\\nz\n\\\\N\tc\\\\d\n"
    )


def test_kinds() -> None:
    name = Name("my app", "E.x")
    database = Database(
        types=(
            Enum(name=name, labels=("a",)),
            Domain(name=Name("public", "d"), base='"my app"."E.x"'),
            Domain(name=Name("public", "short"), base="character varying(5)"),
        )
    )
    kinds = Kinds(database)
    assert kinds('"my app"."E.x"').labels == ("a",)
    assert kinds("public.d").base == kinds("d").base == "enum"
    assert kinds("public.short").longest == 5
    assert kinds("timestamp(3) with time zone") == Kind(
        base="timestamp with time zone", text="timestamp(3) with time zone", modifiers=(3,)
    )
    assert kinds("extensions.vector(3)").base == "vector"
    assert kinds("numeric(10,2)[]").element == kinds("numeric(10,2)")


def table(name: str, *parents: str) -> Table:
    keys = tuple(
        ForeignKey(name=f"{name}_{parent}", columns=("x",), target=Name("s", parent), target_columns=("x",))
        for parent in parents
    )
    return Table(name=Name("s", name), columns=(Column(name="x", type="integer"),), foreign_keys=keys)


def test_order_and_circles() -> None:
    tables = [
        table("a", "b"),
        table("b", "c", "b"),
        table("c", "d"),
        table("d", "b"),
        table("e", "a", "f"),
        table("f"),
    ]
    found = [tuple(name.name for name in group) for group in groups({t.name: t for t in tables})]
    assert found.index(("b", "c", "d")) < found.index(("a",)) < found.index(("e",))
    assert sorted(found) == [("a",), ("b", "c", "d"), ("e",), ("f",)]


def test_a_long_chain_needs_no_recursion() -> None:
    tables = [table(f"t{n:04}", *([f"t{n - 1:04}"] if n else [])) for n in range(3000)]
    assert len(groups({t.name: t for t in tables})) == 3000


def read(expression: str, columns: Mapping[str, str]) -> Worlds:
    kinds = Kinds(Database())
    return CheckReader({name: kinds(type_) for name, type_ in columns.items()}, lambda _: None).read(
        expression
    )


def test_checks_are_read_as_alternatives() -> None:
    worlds = read("(status = 'x'::text) = (at IS NOT NULL)", {"status": "text", "at": "date"})
    assert [(w.of("status").only, w.of("at").null) for w in worlds] == [(("x",), False), (None, True)]
    (world,) = read("a >= 1 AND (a)::integer < 9", {"a": "integer"})
    assert world.of("a").lows == {Bound("1")}
    assert world.of("a").highs == {Bound("9", strict=True)}


def test_what_is_not_read_is_not_sure() -> None:
    for expression in (
        "a * a = 4",
        "f(a)",
        "a < 'x'::text || b",
        "not an expression (",
        "sin(a) > 0 AND a > 1",
    ):
        assert not all(world.sure for world in read(expression, {"a": "integer", "b": "text"})), expression
    assert all(world.sure for world in read("f(a) OR a > 1", {"a": "integer"}))


def test_facts_that_contradict() -> None:
    assert both(Facts(null=True), Facts(null=False)) is None
    assert both(Facts(only=("a",), null=False), Facts(only=("b",))) is None
    assert both(Facts(only=("a",)), Facts(only=("b",))) == Facts(null=True)
    assert both(Facts(only=("a", "b")), Facts(never=frozenset("a"))) == Facts(
        only=("b",), never=frozenset("a")
    )


@pytest.mark.parametrize(
    ("like", "regex"), [("a%", "^a.*$"), ("_b", "^.b$"), (r"100\%", "^100%$"), ("a.b", r"^a\.b$")]
)
def test_like(like: str, regex: str) -> None:
    assert like_as_regex(like) == regex


def test_no_values() -> None:
    for kind, facts in (
        (Kind(base="integer"), Facts(lows=frozenset({Bound("5")}), highs=frozenset({Bound("4")}))),
        (Kind(base="text"), Facts(shortest=5, longest=4)),
        (Kind(base="enum", labels=("a",)), Facts(never=frozenset("a"))),
        (Kind(base="mystery"), NO_FACTS),
    ):
        with pytest.raises(NoValues):
            space_of(kind, facts, Wish())
