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
from data_platform.retrieval.vectors import dense, read_vectors
from data_platform.spec.retrieval import Model


def precomputed_embedder(model: Model, folder: Path) -> Embedder:
    """The file's ids are SHA-256 of texts (hexadecimal); JSON lines may have the `text` itself instead, and vectors of
    which most numbers are zero as {"indices": [ … ], "values": [ … ]}.
    """
    path = folder / (model.path or "")
    if path.suffix == ".jsonl" and path.is_file():
        with path.open(encoding="utf-8") as lines:
            first = lines.readline()
        if '"text"' in first or '"indices"' in first:
            return _of_lines(path, model.dimensions)
    found = read_vectors(str(path))
    if found.ids is None:
        raise UsageProblem(
            "vectors without ids", where=str(path), expected="ids: the SHA-256 of each text, or `text`"
        )
    return _Precomputed(
        {one: number for number, one in enumerate(found.ids)}, found.values, model.dimensions, str(path)
    )


def _of_lines(path: Path, dimensions: int) -> Embedder:
    numbers: dict[str, int] = {}
    rows: list[Any] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                one = json.loads(line)
                numbers[hash_of(one["text"]).hex() if "text" in one else str(one["id"])] = len(rows)
                rows.append(one["embedding"])
            except (ValueError, KeyError, TypeError, AttributeError):
                raise UsageProblem(
                    "no text with its vector",
                    where=f"{path}:{number}",
                    expected='{"text": …, "embedding": [ … ]}',
                ) from None
    return _Precomputed(numbers, rows, dimensions, str(path))


@dataclass(frozen=True)
class _Precomputed:
    """`values` are rows of numbers, or what a line of JSON has."""

    numbers: dict[str, int]
    values: Matrix | list[Any]
    dimensions: int
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
        own = [self.numbers[one] for one in hashes]
        rows = [dense(self.values[n], self.dimensions, f"{self.file}, vector {n + 1:,}") for n in own]
        for number, row in zip(own, rows, strict=True):
            if row.shape != rows[0].shape:
                raise UsageProblem(
                    f"a vector of {row.size} numbers",
                    where=f"{self.file}, vector {number + 1:,}",
                    expected=f"{rows[0].size}, as the ones before it have",
                )
        return np.array(rows, dtype=np.float32)
