"""Files of vectors: npy, npz, parquet, jsonl, csv, fvecs, bvecs and HDF5, read into one matrix of float32.

`FILE#NAME` chooses an array of an npz, a data set of an HDF5 file, or the column of a parquet file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_platform.errors import EnvironmentProblem, UsageProblem

Matrix = NDArray[np.float32]

_NAMES = ("embedding", "vector", "embeddings", "vectors", "train")
"""What a column or data set of vectors is called, where nobody says."""


@dataclass(frozen=True)
class Vectors:
    """One row a vector; `ids` where the file has them."""

    values: Matrix
    ids: tuple[str, ...] | None = None


def read_vectors(text: str, *, limit: int | None = None) -> Vectors:
    """The vectors of `FILE` or `FILE#NAME`, the first `limit` of them.

    Raises UsageProblem naming file and row for what is no vector: another length than the first, not a number,
    infinite; and for a file without any. EnvironmentProblem where a package to read the file is missing.
    """
    name, _, inside = text.partition("#")
    path = Path(name)
    if not path.is_file():
        raise UsageProblem("there is no such file of vectors", where=name)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageProblem("this is no file of vectors", where=name, expected=", ".join(_READERS))
    try:
        found = reader(path, inside, limit)
    except UnicodeDecodeError as error:
        raise UsageProblem(f"byte {error.start + 1:,} is no UTF-8", where=name) from None
    return _checked(found, name, limit)


def _checked(found: Vectors, name: str, limit: int | None) -> Vectors:
    values = found.values[:limit]
    if values.ndim != 2 or not values.size:
        shape = " × ".join(map(str, values.shape)) or "nothing"
        raise UsageProblem(f"{shape} is no list of vectors", where=name, expected="rows × dimensions")
    values = np.ascontiguousarray(values, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise UsageProblem(
            f"{len(bad):,} vectors hold what is no number (NaN or infinite)",
            where=f"{name}, row {bad[0] + 1:,}",
            try_="leave these rows out, or embed them again",
        )
    with np.errstate(over="ignore"):
        long = np.flatnonzero(~np.isfinite(np.einsum("ij,ij->i", values, values)))
    if len(long):
        raise UsageProblem(
            f"{len(long):,} vectors are so long that a distance to them is no number of single precision",
            where=f"{name}, row {long[0] + 1:,}",
            expected="a length below 1.8e19",
            try_="divide all of them by one number",
        )
    ids = found.ids[:limit] if found.ids is not None else None
    if ids is not None and len(set(ids)) < len(ids):
        seen: set[str] = set()
        twice = next(one for one in ids if one in seen or seen.add(one))  # type: ignore[func-returns-value]
        raise UsageProblem(f"the id {twice!r} comes twice", where=name, expected="an id for each vector")
    return Vectors(values, ids)


def zero_rows(values: Matrix) -> NDArray[np.int64]:
    """Rows without direction: no distance by cosine can be told from them."""
    return np.flatnonzero(~values.any(axis=1))


# --- one reader a format ---


def _npy(path: Path, inside: str, limit: int | None) -> Vectors:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise UsageProblem(
            str(error), where=str(path), expected="an array of numbers as numpy.save writes it"
        ) from None
    return Vectors(_numbers(found[:limit], path))


def _npz(path: Path, inside: str, limit: int | None) -> Vectors:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Vectors(_numbers(arrays[_chosen(list(arrays), inside, path)][:limit], path))
    except (ValueError, OSError) as error:
        raise UsageProblem(
            str(error), where=str(path), expected="arrays as numpy.savez writes them"
        ) from None


def _hdf5(path: Path, inside: str, limit: int | None) -> Vectors:
    h5py = _package("h5py", path)
    try:
        with h5py.File(path, "r") as file:
            arrays = [key for key in file if getattr(file[key], "ndim", 0) == 2]
            return Vectors(_numbers(file[_chosen(arrays, inside, path)][:limit], path))
    except OSError as error:
        raise UsageProblem(str(error), where=str(path), expected="an HDF5 file") from None


def _parquet(path: Path, inside: str, limit: int | None) -> Vectors:
    parquet = _package("pyarrow.parquet", path)
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:
        raise UsageProblem(str(error), where=str(path), expected="a parquet file") from None
    if limit is not None:
        table = table.slice(0, limit)
    lists = [field.name for field in table.schema if "list" in str(field.type)]
    column = table.column(_chosen(lists, inside, path))
    ids = tuple(str(one) for one in table.column("id").to_pylist()) if "id" in table.column_names else None
    rows = column.to_numpy(zero_copy_only=False)
    return Vectors(stacked(iter(rows), path), ids)


def _jsonl(path: Path, inside: str, limit: int | None) -> Vectors:
    ids: list[str] = []
    rows: list[Any] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if limit is not None and len(rows) >= limit:
                break
            if line.strip():
                id_, row = _of_line(line, inside, f"{path}:{number}")
                rows.append(row)
                ids += [id_] if id_ is not None else []
    if ids and len(ids) != len(rows):
        raise UsageProblem(f"{len(rows) - len(ids):,} of {len(rows):,} lines have no id", where=str(path))
    width = width_of(rows)
    every = (
        dense(row, width, f"{path}, row {number:,}") if isinstance(row, dict) else row
        for number, row in enumerate(rows, 1)
    )
    return Vectors(stacked(every, path), tuple(ids) or None)


def dense(given: Any, width: int, where: str) -> Matrix:
    """A vector as JSON lines have it, {"indices": …, "values": …} for one of which most numbers are zero."""
    if not isinstance(given, dict):
        try:
            return np.asarray(given, dtype=np.float32)
        except (TypeError, ValueError):
            raise UsageProblem("not a list of numbers", where=where) from None
    try:
        places = np.asarray(given["indices"])
        values = np.asarray(given["values"], dtype=np.float32)
        good = places.shape == values.shape and (not places.size or places.dtype.kind == "i")
    except (KeyError, TypeError, ValueError):
        good = False
    if not good or values.ndim != 1 or len(set(places.tolist())) < len(places):
        raise UsageProblem(
            "no places with their numbers", where=where, expected='{"indices": [0, 7], "values": [0.5, 1.2]}'
        )
    if len(places) and not 0 <= places.min() <= places.max() < width:
        raise UsageProblem(
            f"a place outside of 0 to {width - 1:,}", where=where, expected=f"{width:,} dimensions"
        )
    found = np.zeros(width, dtype=np.float32)
    found[places.astype(np.int64)] = values
    return found


def width_of(rows: Sequence[Any]) -> int:
    """Dimensions that rows of JSON need at least."""
    places = (one.get("indices") if isinstance(one, dict) else None for one in rows)
    return 1 + max(
        (p for own in places if isinstance(own, list) for p in own if isinstance(p, int)), default=0
    )


def _of_line(line: str, inside: str, where: str) -> tuple[str | None, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise UsageProblem(f"no JSON: {error}", where=where) from None
    if isinstance(value, list):
        return None, value
    if not isinstance(value, dict):
        raise UsageProblem("neither a list of numbers nor an object", where=where)
    key = inside or next((name for name in _NAMES if name in value), "")
    if not isinstance(value.get(key), list | dict):
        raise UsageProblem(
            "there is no vector in this line", where=where, expected='{"id": …, "embedding": [ … ]}'
        )
    return (str(value["id"]) if "id" in value else None), value[key]


def _csv(path: Path, inside: str, limit: int | None) -> Vectors:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding="utf-8") as lines:
        rows = [line.rstrip("\r\n").split(separator) for line in lines if line.strip()]
    if rows and not _is_number(rows[0][-1]):
        rows = rows[1:]
    return Vectors(stacked(iter(rows[:limit]), path))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _vecs(element: str) -> Callable[[Path, str, int | None], Vectors]:
    """Of the TEXMEX corpora: each vector is its length as int32 and so many elements."""

    def read(path: Path, inside: str, limit: int | None) -> Vectors:
        size = path.stat().st_size
        width = int(np.fromfile(path, dtype="<i4", count=1)[0]) if size >= 4 else 0
        record = np.dtype([("length", "<i4"), ("values", element, (max(width, 1),))])
        if width < 1 or width > 1_000_000 or size % record.itemsize:
            raise UsageProblem("the file does not consist of vectors of one length", where=str(path))
        found = np.memmap(path, dtype=record, mode="r")[:limit]
        wrong = np.flatnonzero(found["length"] != width)
        if len(wrong):
            raise UsageProblem(
                f"a vector of {found['length'][wrong[0]]} elements, the first has {width}",
                where=f"{path}, row {wrong[0] + 1:,}",
            )
        return Vectors(np.asarray(found["values"], dtype=np.float32))

    return read


def _chosen(names: list[str], inside: str, path: Path) -> str:
    wanted = (inside,) if inside else (*_NAMES, *(names if len(names) == 1 else ()))
    found: str | None = next((name for name in wanted if name in names), None)
    if found is None:
        raise UsageProblem(
            f"there is no {inside!r} in the file" if inside else "which of these are the vectors?",
            where=str(path),
            expected=", ".join(names) or "a list of numbers for each row",
            try_=f"{path}#NAME",
        )
    return found


def _numbers(found: Any, path: Path) -> Matrix:
    array = np.asarray(found)
    if array.dtype.kind not in "fiub":
        raise UsageProblem(f"elements of type {array.dtype} are no numbers", where=str(path))
    with np.errstate(over="ignore"):  # becomes infinite, which is told
        return np.asarray(array, dtype=np.float32)


def stacked(rows: Iterator[Any], path: Path) -> Matrix:
    """Rows of one length as a matrix. UsageProblem naming the row that is no list of numbers, or not as long."""
    made: list[NDArray[np.float32]] = []
    for number, row in enumerate(rows, 1):
        where = f"{path}, row {number:,}"
        try:
            with np.errstate(over="ignore"):  # becomes infinite, which is told
                values = np.asarray(row, dtype=np.float32)
        except (TypeError, ValueError):
            raise UsageProblem("not a list of numbers", where=where) from None
        if values.ndim != 1 or (made and len(values) != len(made[0])):
            expected = f"{len(made[0])} numbers, as in the first row" if made else "a list of numbers"
            raise UsageProblem(f"a vector of {values.size} elements", where=where, expected=expected)
        made.append(values)
    return np.array(made, dtype=np.float32)


def _package(module: str, path: Path) -> Any:
    from importlib import import_module  # noqa: PLC0415

    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise EnvironmentProblem(
            f"no package to read {path.suffix} files",
            where=str(path),
            expected=package,
            try_="dpe setup --extra vectors",
        ) from None


_READERS: dict[str, Callable[[Path, str, int | None], Vectors]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".parquet": _parquet,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".csv": _csv,
    ".tsv": _csv,
    ".fvecs": _vecs("<f4"),
    ".bvecs": _vecs("u1"),
    ".hdf5": _hdf5,
    ".h5": _hdf5,
}
