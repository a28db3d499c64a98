"""Do these vectors have neighbours at all? In random ones every row is about as far as every other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data_platform.postgres.vectors.settings import Distance
from data_platform.retrieval.exact import Matrix, Truth, distances
from data_platform.retrieval.tuning.trial import Contrast, Tuned

_QUERIES = 100
_ROWS = 200
RANDOM = 0.75
"""Above this ratio the nearest rows may be hardly nearer than any others: random vectors of 128 dimensions and more
come out at 0.8 to 0.95, images at 0.5, the word vectors of a language model at 0.8. So the ratio alone does not say
that vectors are random; it says why a graph fails on them when it does."""
_HARDLY_LESS = 0.2
"""Of all rows. Time would say something else: long vectors lie outside of the table, and reading them takes longer
than comparing them, so that 20,000 random ones of 512 dimensions look cheap at 6 % of an exact search."""
_EQUAL = 1e-6
_MANY_ROWS = 5_000
"""Of fewer any graph visits a large part."""
_RANDOM_DIMENSION = 48.0
"""Random vectors of 128 dimensions and more come out at 54 and above, texts at 16 to 22, words at 23 to 42."""


def looks_random(outcome: Tuned, *, reached: bool) -> bool:
    """Whether the graph fails because there are no neighbours: no order of the rows that it could follow."""
    found = outcome.contrast
    # A walk by bits is long because bits say little, too.
    many = outcome.rows >= _MANY_ROWS and outcome.index.type != "bit"
    told = many or found.intrinsic_dimension > _RANDOM_DIMENSION
    return found.ratio > RANDOM and told and (not reached or outcome.visited > _HARDLY_LESS)


def contrast(queries: Matrix, values: Matrix, truth: Truth, distance: Distance, *, seed: int = 1) -> Contrast:
    """Measured on up to 100 queries, each with its exact neighbours and 200 rows drawn at random."""
    # Of inner products the angle is taken: they have no unit that two pairs could be compared in.
    of: Distance = "l2" if distance == "l2" else "cosine"
    asked = queries[:_QUERIES]
    drawn = np.random.default_rng(seed).integers(0, len(values), (len(asked), _ROWS))
    near = _lengths(asked, values, np.asarray(truth.ids[:_QUERIES]), of)
    usual = np.median(_lengths(asked, values, drawn, of), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(usual > 0, near[:, -1] / usual, 1.0)
    return Contrast(float(np.median(ratios)), _dimension(near))


def _lengths(queries: Matrix, values: Matrix, rows: NDArray[np.int64], of: Distance) -> NDArray[np.float64]:
    """From each query to its rows as lengths, ascending: the chord of a cosine distance."""
    found = np.array([distances(q, values[chosen], of) for q, chosen in zip(queries, rows, strict=True)])
    return np.sort(found if of == "l2" else np.sqrt(np.maximum(2 * found, 0)), axis=1)


def _dimension(near: NDArray[np.float64]) -> float:
    """The median over queries of (k - 1) / Σ ln(d_k / d_j), of those whose neighbours are not all equally far."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(near[:, -1:] / near[:, :-1])
        each = np.where(np.isfinite(logs), logs, 0).sum(axis=1)
        found = (near.shape[1] - 1) / each
    found = found[np.isfinite(found) & (each > _EQUAL)]
    return float(np.median(found)) if len(found) else 0.0
