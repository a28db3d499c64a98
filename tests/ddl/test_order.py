"""The order of pieces: complete, stable, and right wherever a right one exists."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data_platform.ddl.order import in_order, parts_in_cycles
from data_platform.ddl.piece import Part, Piece, Statement
from data_platform.sql.references import Kind, Reference
from data_platform.sql.text import Sql

PATH = ("public", "app")


def named(number: int, kind: Kind = "relation") -> Reference:
    return Reference(kind, "app", f"t{number}")


def piece(number: int, needs: set[int], parts: set[int] = frozenset()) -> Piece:  # type: ignore[assignment]
    return Piece(
        statement=Statement(Sql(f"CREATE TABLE t{number}"), f"t{number}", "tables"),
        makes=(named(number),),
        needs=tuple(named(other) for other in sorted(needs)),
        parts=tuple(Part(key=("constraint", str(number), str(o)), needs=(named(o),)) for o in sorted(parts)),
    )


@st.composite
def graphs(draw: st.DrawFn) -> list[set[int]]:
    """For each of some pieces the numbers that it needs; some name what nobody makes."""
    count = draw(st.integers(1, 12))
    return [draw(st.sets(st.integers(0, count + 2), max_size=4)) for _ in range(count)]


@given(graphs())
def test_every_piece_comes_once(graph: list[set[int]]) -> None:
    pieces = [piece(number, needs) for number, needs in enumerate(graph)]
    assert sorted(p.statement.object for p in in_order(pieces, PATH).pieces) == sorted(
        p.statement.object for p in pieces
    )


@given(graphs(), st.randoms())
def test_without_cycles_each_comes_after_what_it_needs(graph: list[set[int]], random) -> None:  # type: ignore[no-untyped-def]
    pieces = [piece(number, {n for n in needs if n < number}) for number, needs in enumerate(graph)]
    random.shuffle(pieces)
    ordered = in_order(pieces, PATH)
    place = {p.makes[0]: position for position, p in enumerate(ordered.pieces)}
    for position, (p, needs) in enumerate(zip(ordered.pieces, ordered.needs, strict=True)):
        assert set(needs) == {place[name] for name in p.needs}
        assert all(other < position for other in needs)


@given(graphs())
def test_an_order_that_is_right_stays(graph: list[set[int]]) -> None:
    pieces = [piece(number, {n for n in needs if n < number}) for number, needs in enumerate(graph)]
    assert in_order(pieces, PATH).pieces == tuple(pieces)


@given(graphs())
def test_what_is_in_order_is_in_order_the_second_time(graph: list[set[int]]) -> None:
    pieces = [piece(number, {n for n in needs if n > number}) for number, needs in enumerate(graph)]
    once = in_order(pieces, PATH).pieces
    assert in_order(once, PATH).pieces == once


@given(graphs())
def test_putting_off_the_parts_of_cycles_ends_them(graph: list[set[int]]) -> None:
    pieces = [piece(number, set(), needs) for number, needs in enumerate(graph)]
    late = parts_in_cycles(pieces, PATH)
    without = [
        Piece(
            statement=p.statement,
            makes=p.makes,
            parts=tuple(part for part in p.parts if part.key not in late),
        )
        for p in pieces
    ]
    assert parts_in_cycles(without, PATH) == frozenset()
    ordered = in_order(without, PATH)
    assert all(other < position for position, needs in enumerate(ordered.needs) for other in needs)


def test_only_parts_of_cycles_are_put_off() -> None:
    pieces = [piece(0, set(), {1}), piece(1, set(), {0}), piece(2, set(), {1})]
    assert {key[1] for key in parts_in_cycles(pieces, PATH)} == {"0", "1"}


def test_a_name_without_schema_is_the_first_on_the_path() -> None:
    def made(schema: str, kind: Kind) -> Piece:
        statement = Statement(Sql(f"{kind} {schema}"), schema, "types")
        return Piece(statement=statement, makes=(Reference(kind, schema, "x"),))

    user = Statement(Sql("user"), "user", "tables")
    for kind, wanted in (("type", ["public", "user", "app"]), ("function", ["public", "app", "user"])):
        pieces = [
            Piece(statement=user, needs=(Reference(kind, None, "x"),)),
            made("public", kind),
            made("app", kind),
        ]  # type: ignore[arg-type]
        assert [p.statement.object for p in in_order(pieces, PATH).pieces] == wanted


def test_an_operator_without_schema_that_postgresql_has_is_postgresqls() -> None:
    equals = Piece(
        statement=Statement(Sql("="), "operator", "raw"), makes=(Reference("operator", "public", "="),)
    )
    user = Piece(statement=Statement(Sql("u"), "user", "tables"), needs=(Reference("operator", None, "="),))
    assert in_order([user, equals], PATH).pieces == (user, equals)


def test_a_body_is_looked_into_only_by_what_runs_it() -> None:
    function = Piece(
        statement=Statement(Sql("f"), "function", "functions"),
        makes=(Reference("function", "app", "f"),),
        body="SELECT t7 FROM app.t7",
    )
    later = piece(7, set())
    for runs, wanted in ((True, ["function", "t7", "user"]), (False, ["function", "user", "t7"])):
        user = Piece(
            statement=Statement(Sql("u"), "user", "tables"),
            needs=(Reference("function", None, "f"),),
            runs=runs,
        )
        assert [p.statement.object for p in in_order([user, function, later], PATH).pieces] == wanted
