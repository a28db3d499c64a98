"""Whether the vectors of a table are of two models: told from samples at places all over it, oldest to newest.

Another model puts the middle of its vectors elsewhere, and spreads them along other directions. Other contents do so
too, but less (two subjects of one model: 0.5 as alike as one subject, two models: 0), and not at one place only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Part = NDArray[np.float64]
_FEWEST = 20
"""Vectors of a part that say anything of it."""
_MOST_DIMENSIONS = 256
"""Directions are compared along so many of the dimensions: enough, and no matrix of millions."""
_FEWEST_DIMENSIONS = 16
"""In fewer, directions are alike by chance."""
_CLEAR = 4.0
"""Times its own error, a middle lies away from zero: of others the direction is chance."""
_ALIKE = 0.5
_UNLIKE = 0.15


@dataclass(frozen=True)
class Change:
    """`after` of the parts are alike, the others are, and those are not like these."""

    after: int
    parts: int
    within: float
    across: float


def change(parts: Sequence[Part]) -> Change | None:
    """Where the model changed; None where it did not, or where there is too little to tell."""
    kept = [part[:, :_MOST_DIMENSIONS] for part in parts if len(part) >= _FEWEST]
    found = [
        one
        for likeness in (_middles, _directions)
        for after in range(1, len(kept))
        if (one := _changed(kept, after, likeness)) is not None
    ]
    return max(found, key=lambda one: one.within - one.across, default=None)


def _changed(parts: Sequence[Part], after: int, alike: Callable[[Part, Part], float]) -> Change | None:
    older, newer = parts[:after], parts[after:]
    within = min(alike(*_halves(older)), alike(*_halves(newer)))
    across = alike(np.concatenate(older), np.concatenate(newer))
    if within < _ALIKE or across > _UNLIKE * within:
        return None
    return Change(after, len(parts), within, across)


def _halves(parts: Sequence[Part]) -> tuple[Part, Part]:
    """One after the other, so that a table sorted by subject is not taken for alike; of one part every second."""
    if len(parts) == 1:
        return parts[0][0::2], parts[0][1::2]
    middle = len(parts) // 2
    return np.concatenate(parts[:middle]), np.concatenate(parts[middle:])


def _middles(one: Part, other: Part) -> float:
    return _cosine(_middle(one), _middle(other))


def _middle(part: Part) -> Part:
    """The mean, or zero where it hardly differs from that."""
    found = part.mean(axis=0)
    error = float(np.sqrt(part.var(axis=0).sum() / len(part)))
    return np.asarray(found if np.linalg.norm(found) > _CLEAR * error else np.zeros_like(found))


def _directions(one: Part, other: Part) -> float:
    """How alike the covariances are, less what is the same in all directions."""
    if one.shape[1] < _FEWEST_DIMENSIONS:
        return 0.0
    return _cosine(_spread(one), _spread(other))


def _spread(part: Part) -> NDArray[np.float64]:
    found = np.cov(part, rowvar=False).reshape(part.shape[1], -1)
    return np.asarray((found - np.eye(len(found)) * np.trace(found) / len(found)).ravel())


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 0.0
