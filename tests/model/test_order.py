"""Dependency order, with hypothesis over any graph of tables."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data_platform.model.database import Column, ForeignKey, Name, Table
from data_platform.model.order import in_dependency_order

edges = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20, unique=True)


def tables(pairs: list[tuple[int, int]]) -> list[Table]:
    return [
        Table(
            name=Name("public", f"t{number}"),
            columns=(Column(name="a", type="integer"),),
            foreign_keys=tuple(
                ForeignKey(
                    name=f"k{target}",
                    columns=("a",),
                    target=Name("public", f"t{target}"),
                    target_columns=("a",),
                )
                for source, target in pairs
                if source == number
            ),
        )
        for number in range(8)
    ]


@given(edges)
def test_every_reference_points_back_or_is_named_as_forward(pairs: list[tuple[int, int]]) -> None:
    made = tables(pairs)
    order = in_dependency_order(made)
    place = {table.name: number for number, table in enumerate(order.tables)}
    assert sorted(place) == sorted(table.name for table in made)
    for table in made:
        for key in table.foreign_keys:
            forward = place[key.target] > place[table.name]
            assert forward == order.points_forward(table, key)


@given(edges)
def test_without_cycles_nothing_points_forward(pairs: list[tuple[int, int]]) -> None:
    downwards = [(source, target) for source, target in pairs if target <= source]
    assert in_dependency_order(tables(downwards)).forward == frozenset()


@given(edges, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_given(pairs: list[tuple[int, int]], random: object) -> None:
    made = tables(pairs)
    shuffled = list(made)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert in_dependency_order(made) == in_dependency_order(shuffled)
