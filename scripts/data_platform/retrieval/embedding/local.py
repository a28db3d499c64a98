"""Models that run in this process: ONNX graphs, static word vectors, sentence-transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.retrieval.embedding.models import Embedder, Matrix, normalised
from data_platform.spec.retrieval import Model

_BATCH = 32


def onnx_embedder(model: Model, folder: Path) -> Embedder:
    """A graph with its `tokenizer.json`: token vectors are averaged where the graph does not do it itself."""
    runtime, tokenizers = _package("onnxruntime"), _package("tokenizers")
    graph = _file(model, folder, (".onnx",))
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    return _Onnx(session, _tokenizer(tokenizers, model, folder, graph), model)


@dataclass(frozen=True)
class _Onnx:
    session: Any
    tokenizer: Any
    model: Model

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Texts of like length together, so that little is padded; in the order that they came in."""
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        made = np.empty((len(texts), self.model.dimensions), dtype=np.float32)
        for first in range(0, len(order), _BATCH):
            rows = order[first : first + _BATCH]
            found = self._batch([texts[row] for row in rows])
            if found.shape[1] != made.shape[1]:
                return np.zeros((len(texts), found.shape[1]), dtype=np.float32)  # told by who checks
            made[rows] = found
        return made

    def _batch(self, texts: list[str]) -> Matrix:
        read = self.tokenizer.encode_batch(texts)
        ids = np.array([one.ids for one in read], dtype=np.int64)
        mask = np.array([one.attention_mask for one in read], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        named = {one.name for one in self.session.get_inputs()}
        first = self.session.run(None, {name: value for name, value in given.items() if name in named})[0]
        pooled = _mean(first, mask) if first.ndim == 3 else first
        return normalised(pooled) if self.model.normalised else np.asarray(pooled, dtype=np.float32)


def _mean(tokens: Matrix, mask: Any) -> Matrix:
    weights = mask[:, :, None].astype(np.float32)
    return np.asarray(
        (tokens * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9), dtype=np.float32
    )


def static_embedder(model: Model, folder: Path) -> Embedder:
    """A vector for each token of a `tokenizer.json`; a text is the mean of its tokens' (as in model2vec)."""
    tokenizers = _package("tokenizers")
    table = _file(model, folder, (".npy", ".safetensors"))
    if table.suffix == ".npy":
        vectors = np.load(table, mmap_mode="r", allow_pickle=False)
    else:
        arrays = _package("safetensors.numpy").load_file(str(table))
        vectors = max(arrays.values(), key=lambda one: one.size)
    return _Static(np.asarray(vectors, dtype=np.float32), _tokenizer(tokenizers, model, folder, table), model)


@dataclass(frozen=True)
class _Static:
    vectors: Matrix
    tokenizer: Any
    model: Model

    def embed(self, texts: Sequence[str]) -> Matrix:
        read = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        made = np.zeros((len(texts), self.vectors.shape[1]), dtype=np.float32)
        for row, one in enumerate(read):
            ids = [id_ for id_, told in zip(one.ids, one.attention_mask, strict=True) if told]
            if ids:
                made[row] = self.vectors[ids].mean(axis=0)
        return normalised(made) if self.model.normalised else made


def sentence_transformers_embedder(model: Model, folder: Path) -> Embedder:
    """A folder that the library of that name reads; nothing is fetched from a hub."""
    library = _package("sentence_transformers")
    path = folder / (model.path or "")
    if not path.is_dir():
        raise UsageProblem(
            "there is no such model", where=str(path), expected="a folder of sentence-transformers"
        )
    inner = library.SentenceTransformer(str(path), local_files_only=True)
    inner.max_seq_length = min(inner.max_seq_length or model.max_tokens, model.max_tokens)
    return _SentenceTransformers(inner, model)


@dataclass(frozen=True)
class _SentenceTransformers:
    inner: Any
    model: Model

    def embed(self, texts: Sequence[str]) -> Matrix:
        found = self.inner.encode(
            list(texts),
            normalize_embeddings=self.model.normalised,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.asarray(found, dtype=np.float32)


# --- files and packages ---


def _file(model: Model, folder: Path, suffixes: tuple[str, ...]) -> Path:
    path = folder / (model.path or "")
    if path.is_file():
        return path
    found = sorted(one for one in path.glob("**/*") if one.suffix in suffixes) if path.is_dir() else []
    if len(found) != 1:
        what = "there is no such model" if not found else f"{len(found)} files may be the model"
        raise UsageProblem(what, where=str(path), expected=f"one file {' or '.join(suffixes)}")
    return found[0]


def _tokenizer(library: Any, model: Model, folder: Path, beside: Path) -> Any:
    path = folder / model.tokenizer if model.tokenizer else beside.parent / "tokenizer.json"
    if not path.is_file():
        raise UsageProblem("there is no tokenizer", where=str(path), try_="tokenizer: path/to/tokenizer.json")
    try:
        made = library.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no class of its own
        raise UsageProblem(f"no tokenizer: {error}", where=str(path)) from None
    made.enable_truncation(model.max_tokens)
    made.enable_padding()
    return made


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0].replace("_", "-")
        raise EnvironmentProblem(
            f"no package {package} to run the model with", try_="dpe setup --extra embeddings"
        ) from None
