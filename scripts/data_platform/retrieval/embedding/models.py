"""What a model is to the rest of us: texts in, one vector a text out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from data_platform.errors import UsageProblem
from data_platform.spec.retrieval import Model

Matrix = NDArray[np.float32]

PROBES = (
    "How do I change the address of an order?",
    "Die Katze schläft auf dem warmen Dach.",
    "SELECT count(*) FROM orders WHERE total > 100;",
)
"""Three texts that tell models apart: a question, another language, code."""
_DIGITS = 2
"""Decimals that count: the same model gives the same ones on other processors and in other batches."""


class NoVector(UsageProblem):
    """A file of vectors has none for a text."""


class Embedder(Protocol):
    """`embed` gives float32, one row a text, in order."""

    def embed(self, texts: Sequence[str]) -> Matrix: ...


def fingerprint(made: Embedder) -> str:
    """What the model makes of the probes, as a hash: another model has another, even of the same dimension.

    Components are rounded to two decimals of the longest, so that rounding in the last bits is no other model. Of a
    file of vectors without the probes nothing but its being one is known.
    """
    try:
        found = made.embed(list(PROBES))
    except NoVector:
        return hashlib.sha256(b"a file of vectors").hexdigest()
    scaled = found / max(float(np.abs(found).max(initial=0)), 1e-9)
    return hashlib.sha256((np.round(scaled, _DIGITS) + 0.0).astype("<f4").tobytes()).hexdigest()


def checked(made: Embedder, model: Model) -> Embedder:
    """The same model, whose answers must be what the spec says of it."""
    return _Checked(made, model)


@dataclass(frozen=True)
class _Checked:
    inner: Embedder
    model: Model

    def embed(self, texts: Sequence[str]) -> Matrix:
        if not texts:
            return np.empty((0, self.model.dimensions), dtype=np.float32)
        found = self.inner.embed(texts)
        self._refuse(found, texts)
        return found

    def _refuse(self, found: Matrix, texts: Sequence[str]) -> None:
        where = f"model {self.model.name}"
        if found.ndim != 2 or len(found) != len(texts):
            raise UsageProblem(f"{len(found)} vectors for {len(texts)} texts", where=where)
        if found.shape[1] != self.model.dimensions:
            raise UsageProblem(
                f"vectors of {found.shape[1]} dimensions",
                where=where,
                expected=f"{self.model.dimensions}, as the spec says",
                try_=f"dimensions: {found.shape[1]}",
            )
        if not np.isfinite(found).all():
            row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
            raise UsageProblem(f"no number in the vector of text {row + 1}", where=where)
        self._refuse_full(found, where)
        lengths = np.linalg.norm(found, axis=1)
        if self.model.distance == "cosine" and not lengths.all():
            text = texts[int(np.flatnonzero(lengths == 0)[0])]
            raise UsageProblem(
                f"a vector of zeros for {text[:60]!r}: it has no cosine distance, so no search would find it",
                where=where,
                try_="leave the text out, or take a model that knows its words",
            )
        if self.model.normalised and np.abs(lengths - 1).max() > 0.02:
            raise UsageProblem(
                f"a vector of length {lengths[np.abs(lengths - 1).argmax()]:.3f}",
                where=where,
                expected="1, as `normalised: true` says",
                try_="normalised: false",
            )

    def _refuse_full(self, found: Matrix, where: str) -> None:
        """Vectors with more numbers that are not zero than the spec says."""
        most = int(np.count_nonzero(found, axis=1).max(initial=0))
        if self.model.non_zero is not None and most > self.model.non_zero:
            raise UsageProblem(
                f"a vector of which {most:,} numbers are not zero",
                where=where,
                expected=f"{self.model.non_zero:,} at most, as the spec says",
                try_=f"non_zero: {most}",
            )


def normalised(found: Matrix) -> Matrix:
    """Each row with length 1; zero stays zero."""
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(lengths > 0, lengths, 1), dtype=np.float32)
