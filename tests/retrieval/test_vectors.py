"""Files of vectors: every format gives the same matrix, and what is no vector is named with its row."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from data_platform.errors import UsageProblem
from data_platform.retrieval.vectors import read_vectors

VALUES = np.random.default_rng(2).normal(size=(6, 4)).astype(np.float32)


def write(path: Path, values: np.ndarray = VALUES) -> Path:
    match path.suffix:
        case ".npy":
            np.save(path, values)
        case ".npz":
            np.savez(path, embeddings=values, other=np.zeros(3))
        case ".parquet":
            parquet.write_table(
                pa.table({"id": [f"d{i}" for i in range(len(values))], "embedding": list(values)}), path
            )
        case ".jsonl":
            lines = [json.dumps({"id": i, "embedding": row.tolist()}) for i, row in enumerate(values)]
            path.write_text("\n".join(lines) + "\n")
        case ".csv":
            np.savetxt(path, values, delimiter=",", header="a,b,c,d", comments="")
        case ".fvecs":
            path.write_bytes(b"".join(np.int32(len(row)).tobytes() + row.tobytes() for row in values))
        case ".hdf5":
            with h5py.File(path, "w") as file:
                file["train"], file["test"] = values, values[:2]
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet", ".jsonl", ".csv", ".fvecs", ".hdf5"])
def test_every_format(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"v{suffix}")
    assert np.allclose(read_vectors(str(path)).values, VALUES)
    assert len(read_vectors(str(path), limit=3).values) == 3


def test_a_name_chooses_inside_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "v.hdf5")
    assert len(read_vectors(f"{path}#test").values) == 2
    with pytest.raises(UsageProblem, match="no 'none'"):
        read_vectors(f"{path}#none")


def test_ids_come_along(tmp_path: Path) -> None:
    assert read_vectors(str(write(tmp_path / "v.jsonl"))).ids == tuple("012345")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"id": 1, "embedding": [1, 2]}\n{"id": 1, "embedding": [1, 3]}', "id '1' comes twice"),
        ('{"id": 1, "embedding": [1, 2]}\n{"id": 2, "embedding": [1]}', "row 2: a vector of 1 elements"),
        ('{"id": 1, "embedding": [1, NaN]}', "row 1: 1 vectors hold what is no number"),
        ('{"id": 1}', ":1: there is no vector"),
        ("[1, 2]\nnonsense", ":2: no JSON"),
        ("", "no list of vectors"),
        ('["a", "b"]', "row 1: not a list of numbers"),
    ],
)
def test_what_is_no_vector_is_named(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text(text)
    with pytest.raises(UsageProblem) as problem:
        read_vectors(str(path))
    assert what in str(problem.value)


def test_other_files(tmp_path: Path) -> None:
    torn = tmp_path / "v.fvecs"
    torn.write_bytes(write(tmp_path / "w.fvecs").read_bytes()[:-3])
    words = tmp_path / "v.npy"
    np.save(words, np.array([["a"]]))
    objects = tmp_path / "o.npy"
    np.save(objects, np.array([object()]), allow_pickle=True)
    for path in (torn, words, objects, tmp_path / "missing.npy", tmp_path):
        with pytest.raises(UsageProblem):
            read_vectors(str(path))


def test_numbers_that_single_precision_cannot_compare(tmp_path: Path) -> None:
    wide = np.ones((3, 4), dtype=np.float64)
    np.save(tmp_path / "v.npy", wide * 1e30)
    with pytest.raises(UsageProblem, match="no number of single precision"):
        read_vectors(str(tmp_path / "v.npy"))
    np.save(tmp_path / "v.npy", wide * 1e300)
    with pytest.raises(UsageProblem, match="infinite"):
        read_vectors(str(tmp_path / "v.npy"))


@pytest.mark.parametrize("name", ["v.jsonl", "v.csv"])
def test_bytes_that_are_no_text(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe1,2")
    with pytest.raises(UsageProblem, match="byte 1 is no UTF-8"):
        read_vectors(str(tmp_path / name))
