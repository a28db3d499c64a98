"""Vectors that were made elsewhere: found again by the text's SHA-256, or by the text itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_platform.errors import UsageProblem
from data_platform.retrieval.chunking.document import hash_of
from data_platform.retrieval.embedding.models import Embedder, Matrix, NoVector
from data_platform.retrieval.vectors import read_vectors, stacked
from data_platform.spec.retrieval import Model


def precomputed_embedder(model: Model, folder: Path) -> Embedder:
    """The file's ids are SHA-256 of texts (hexadecimal); JSON lines may have the `text` itself instead."""
    path = folder / (model.path or "")
    if path.suffix == ".jsonl" and path.is_file():
        with path.open(encoding="utf-8") as lines:
            first = lines.readline()
        if '"text"' in first:
            return _by_text(path)
    found = read_vectors(str(path))
    if found.ids is None:
        raise UsageProblem(
            "vectors without ids", where=str(path), expected="ids: the SHA-256 of each text, or `text`"
        )
    return _Precomputed({one: number for number, one in enumerate(found.ids)}, found.values, str(path))


def _by_text(path: Path) -> Embedder:
    numbers: dict[str, int] = {}
    rows: list[Any] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                one = json.loads(line)
                numbers[hash_of(one["text"]).hex()] = len(rows)
                rows.append(one["embedding"])
            except (ValueError, KeyError, TypeError, AttributeError):
                raise UsageProblem(
                    "no text with its vector",
                    where=f"{path}:{number}",
                    expected='{"text": …, "embedding": [ … ]}',
                ) from None
    return _Precomputed(numbers, stacked(iter(rows), path), str(path))


@dataclass(frozen=True)
class _Precomputed:
    numbers: dict[str, int]
    values: Matrix
    file: str

    def embed(self, texts: Sequence[str]) -> Matrix:
        hashes = [hash_of(text).hex() for text in texts]
        missing = [text for text, one in zip(texts, hashes, strict=True) if one not in self.numbers]
        if missing:
            raise NoVector(
                f"{len(missing):,} of {len(texts):,} texts have no vector in the file",
                where=self.file,
                expected=f"one for {missing[0][:60]!r}",
            )
        return np.asarray(self.values[[self.numbers[one] for one in hashes]], dtype=np.float32)
