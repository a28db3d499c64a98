"""Texts as vectors: five kinds of models behind one interface, a memory of what was embedded, and checks.

- `models`: what a model is to the rest
- `http`: OpenAI-compatible servers
- `local`: models that run here: ONNX, static, sentence-transformers
- `precomputed`: vectors that somebody else made
- `memory`: vectors by model and text, kept in a file
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data_platform.retrieval.embedding.http import http_embedder
from data_platform.retrieval.embedding.local import (
    onnx_embedder,
    sentence_transformers_embedder,
    static_embedder,
)
from data_platform.retrieval.embedding.memory import Memory
from data_platform.retrieval.embedding.models import Embedder, Matrix, checked, fingerprint
from data_platform.retrieval.embedding.precomputed import precomputed_embedder
from data_platform.spec.retrieval import Model

__all__ = ["Embedder", "Matrix", "Memory", "checked", "distances_by", "embedder", "fingerprint"]

_MAKERS: dict[str, Callable[[Model, Path], Embedder]] = {
    "openai": http_embedder,
    "onnx": onnx_embedder,
    "static": static_embedder,
    "sentence-transformers": sentence_transformers_embedder,
    "precomputed": precomputed_embedder,
}


def embedder(model: Model, folder: Path) -> Embedder:
    """The model of a spec, whose files are relative to `folder`. Its answers are checked against what the spec says.

    Raises UsageProblem for files that are not there or do not fit, EnvironmentProblem for a library that is missing.
    """
    return checked(_MAKERS[model.provider](model, folder), model)


def distances_by(made: Embedder) -> Callable[[Sequence[str]], Sequence[float]]:
    """How far each text is from the next one by meaning (cosine distance), for semantic chunks."""

    def distances(texts: Sequence[str]) -> Sequence[float]:
        found = made.embed(list(texts))
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        units = found / np.where(lengths > 0, lengths, 1)
        return [float(one) for one in 1 - (units[:-1] * units[1:]).sum(axis=1)]

    return distances
