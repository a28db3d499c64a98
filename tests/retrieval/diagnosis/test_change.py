"""Two models in one table are told from two subjects, by samples of made vectors."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from data_platform.retrieval.diagnosis.change import change

Rows = NDArray[np.float64]


def curved(rows: int, model: int, *, lifted: float = 0.0) -> Rows:
    """As a model makes them: near a bent surface of its own, around zero or not."""
    drawn = np.random.default_rng(100 + rows)
    basis = np.random.default_rng(model).normal(size=(20, 96))
    found = np.tanh(drawn.normal(size=(rows, 20)) @ basis / 4) + lifted * basis[0]
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def parts(values: Rows) -> list[Rows]:
    return np.array_split(values, 8)


@pytest.mark.parametrize("lifted", [0.0, 1.0])
@pytest.mark.parametrize("older", [250, 1000, 1750])
def test_another_model_is_found_where_it_begins(older: int, lifted: float) -> None:
    values = np.concatenate([curved(older, 1, lifted=lifted), curved(2000 - older, 2, lifted=lifted)])
    found = change(parts(values))
    assert found is not None
    assert found.after == older // 250


@pytest.mark.parametrize("lifted", [0.0, 1.0])
def test_one_model_has_no_change(lifted: float) -> None:
    assert change(parts(curved(2000, 1, lifted=lifted))) is None


def test_subjects_in_order_are_no_change_of_model() -> None:
    """Each part about something else; and two subjects, one after the other, of a model that has a middle."""
    values = curved(2000, 1)
    middles = values[:12]
    nearest = (values @ middles.T).argmax(axis=1)
    assert change(parts(values[np.argsort(nearest, kind="stable")])) is None
    lifted = curved(2000, 1, lifted=1.0)
    assert change(parts(lifted[np.argsort(lifted @ lifted[0])])) is None


@pytest.mark.parametrize("dimensions", [1, 2, 3, 8, 96])
def test_chance_is_no_change_of_model(dimensions: int) -> None:
    for seed in range(5):
        assert change(parts(np.random.default_rng(seed).normal(size=(2000, dimensions)))) is None


def test_too_few_say_nothing() -> None:
    assert change(parts(np.concatenate([curved(40, 1), curved(41, 2)]))) is None
    assert change([]) is None
    assert change(parts(np.ones((2000, 5)))) is None
