"""Whatever the tables and keys are: nothing overlaps, and lines go around what they do not concern."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.schema.diagram.layout.groups import LARGEST, UNDIVIDED, Group, groups
from data_platform.schema.diagram.layout.layout import Layout, Node, Rectangle, layout
from data_platform.schema.diagram.layout.letters import extent, fitted, shortened
from data_platform.schema.diagram.layout.places import WIDTH
from data_platform.schema.diagram.layout.routes import Point, Wire, tracks

PORT = 15.0


@st.composite
def graphs(draw: st.DrawFn, most: int = 40) -> tuple[list[Node], list[Wire]]:
    count = draw(st.integers(1, most))
    node = st.builds(Node, st.sampled_from(("a", "b")), st.sampled_from((56.0, 94.0, 303.0)))
    nodes = sorted(draw(st.lists(node, min_size=count, max_size=count)), key=lambda n: n.schema)
    ends = st.integers(0, count - 1)
    wire = st.builds(Wire, ends, ends, st.sampled_from((39.5, 49.0)), st.just(PORT))
    return nodes, draw(st.lists(wire, max_size=2 * count))


def overlap(one: Rectangle, other: Rectangle) -> bool:
    across = one.x < other.x + other.width and other.x < one.x + one.width
    return across and one.y < other.y + other.height and other.y < one.y + one.height


def inside(inner: Rectangle, outer: Rectangle) -> bool:
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.x + inner.width <= outer.x + outer.width
        and inner.y + inner.height <= outer.y + outer.height
    )


def as_rectangle(start: Point, end: Point) -> Rectangle:
    (x1, x2), (y1, y2) = sorted((start[0], end[0])), sorted((start[1], end[1]))
    return Rectangle(x1, y1, x2 - x1, y2 - y1)


@given(graphs())
@settings(max_examples=50, deadline=None)
def test_boxes_and_frames_do_not_overlap(graph: tuple[list[Node], list[Wire]]) -> None:
    laid = layout(*graph)
    whole = Rectangle(0, 0, *laid.size)
    for one, other in (*combinations(laid.boxes, 2), *combinations(laid.frames, 2)):
        assert not overlap(one, other)
    for group, frame in zip(laid.groups, laid.frames, strict=True):
        assert inside(frame, whole)
        assert all(inside(laid.boxes[member], frame) for member in group.members)


@given(graphs())
@settings(max_examples=50, deadline=None)
def test_lines_run_from_side_to_side_and_through_no_box(graph: tuple[list[Node], list[Wire]]) -> None:
    laid = layout(*graph)
    whole = Rectangle(0, 0, *laid.size)
    for wire, line in zip(graph[1], laid.lines, strict=True):
        assert touches(line[0], laid.boxes[wire.source], wire.leaves)
        assert touches(line[-1], laid.boxes[wire.target], wire.enters)
        for start, end in pairwise(line):
            assert (start[0] == end[0]) != (start[1] == end[1])
            part = as_rectangle(start, end)
            assert inside(part, whole)
            assert not any(overlap(part, box) for box in laid.boxes)


def touches(point: Point, box: Rectangle, port: float) -> bool:
    return point[0] in (box.x, box.x + WIDTH) and abs(point[1] - box.y - port) <= 3


@given(graphs())
@settings(max_examples=50, deadline=None)
def test_each_schema_has_frames_and_banners_of_its_own(graph: tuple[list[Node], list[Wire]]) -> None:
    laid = layout(*graph)
    schemas = {box: node.schema for box, node in enumerate(graph[0])}
    assert sorted(box for group in laid.groups for box in group.members) == sorted(schemas)
    assert all({schemas[box] for box in group.members} == {group.schema} for group in laid.groups)
    assert {banner.schema for banner in laid.banners} == set(schemas.values())


def test_lines_to_different_tables_keep_apart_and_those_to_one_share_a_track() -> None:
    laid = star(12)
    verticals = Counter(
        start[0] for line in laid.lines for start, end in pairwise(line) if start[0] == end[0]
    )
    assert max(verticals.values()) > 1
    assert tracks({1: (0, 5), 2: (5, 9), 3: (6, 7), 4: (10, 12)}) == {1: 0, 2: 1, 3: 0, 4: 0}


def star(satellites: int) -> Layout:
    wires = [Wire(n, 0, 39.5, PORT) for n in range(1, satellites + 1)]
    return layout([Node("a", 56.0)] * (satellites + 1), wires)


def test_the_same_graph_has_the_same_layout() -> None:
    wires = [Wire(n, n // 3, 39.5, PORT) for n in range(1, 60)]
    nodes = [Node("a", 56.0)] * 60
    assert layout(nodes, wires) == layout(nodes, wires)
    assert layout(nodes, wires).groups == layout(nodes, wires[::-1]).groups


def test_a_referenced_table_stands_left_of_those_that_refer_to_it() -> None:
    laid = star(3)
    assert all(laid.boxes[0].x + WIDTH < laid.boxes[n].x for n in (1, 2, 3))


def test_a_diagram_without_tables_is_empty() -> None:
    laid = layout([], [])
    assert (laid.boxes, laid.frames, laid.lines) == ((), (), ())


# Groups ------------------------------------------------------------------------------------------------------


def clique(*members: int) -> list[tuple[int, int]]:
    return list(combinations(members, 2))


def test_communities_are_found() -> None:
    families = [tuple(range(start, start + 10)) for start in (0, 10, 20)]
    links = [link for family in families for link in clique(*family)]
    found = groups(["a"] * 30, [*links, (0, 10), (10, 20)])
    assert sorted(group.members for group in found) == families


def test_a_small_connected_part_stays_whole() -> None:
    chain = [(n, n - 1) for n in range(1, UNDIVIDED)]
    assert groups(["a"] * UNDIVIDED, chain) == (Group("a", tuple(range(UNDIVIDED)), 1),)


def test_tables_without_links_stand_together_in_their_schema() -> None:
    found = groups(["a", "a", "a", "b"], [(0, 0), (1, 2), (0, 3)])
    assert found == (Group("a", (1, 2), 2), Group("a", (0,), 0), Group("b", (3,), 3))
    assert groups(["a", "a"], [(0, 0)]) == (Group("a", (0, 1), None),)


def test_satellites_of_a_hub_are_families_of_a_size_to_take_in() -> None:
    found = groups(["a"] * 101, [(n, 0) for n in range(1, 101)])
    sizes = [len(group.members) for group in found]
    assert max(sizes) <= LARGEST
    assert len(found) < 12


# Letters -----------------------------------------------------------------------------------------------------

NAMES = st.text(min_size=1, max_size=63)


@settings(deadline=None)
@given(NAMES, st.floats(40, 300), st.floats(20, 300))
def test_a_fitted_name_fits(name: str, width: float, height: float) -> None:
    size, lines = fitted(name, width, height)
    assert max(map(extent, lines)) * size <= width + 2 * size
    assert size <= 46
    if not any(line.endswith("…") for line in lines):
        assert "".join(lines) == name


@given(NAMES, st.floats(2, 40))
def test_a_shortened_name_fits_and_says_that_it_is_short(name: str, width: float) -> None:
    text = shortened(name, width)
    assert text == name or (text.endswith("…") and name.startswith(text[:-1]) and extent(text) <= width)


def test_names_break_after_separators() -> None:
    assert fitted("customer_addresses", 200, 100)[1] == ("customer_", "addresses")
    assert fitted("orders", 200, 40)[1] == ("orders",)
