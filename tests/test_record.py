"""`@record` is what it says: a frozen dataclass that is quick to import."""

from __future__ import annotations

import pytest

from data_platform.record import record, replace


@record
class Point:
    """For the tests."""

    x: int
    y: int = 0


def test_it_is_made_as_a_dataclass_is() -> None:
    assert Point(1) == Point(x=1, y=0) == Point(1, y=0)
    assert Point(1) != Point(2)
    assert Point(1) != (1, 0)
    assert hash(Point(1)) == hash(Point(1, 0))
    assert repr(Point(1, 2)) == "Point(x=1, y=2)"
    assert list(vars(Point(y=2, x=1))) == ["x", "y"]
    assert replace(Point(1, 2), y=3) == Point(1, 3)


def test_it_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Point(1).x = 2  # type: ignore[misc]


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"z": 1}), ((), {"y": 1})])
def test_wrong_values_are_refused(values: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="Point"):
        Point(*values, **named)
