"""Parquet, a row group at a time: Arrow writes it as separated values, in which NULL and an empty text differ."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.postgres.pipelines.staging import Stream
from data_platform.spec.pipeline import Source
from data_platform.sql.text import Sql

_BATCH = 32_768
_OPTIONS = Sql("(FORMAT csv, NULL '')")


def _modules() -> tuple[Any, Any, Any]:
    try:
        found = [importlib.import_module(name) for name in ("pyarrow", "pyarrow.csv", "pyarrow.parquet")]
    except ImportError:
        raise EnvironmentProblem(
            "reading Parquet needs a package", try_="dpe setup --extra vectors"
        ) from None
    return found[0], found[1], found[2]


def stream(source: Source, path: Path) -> Stream:
    """The file's columns that are declared, or all of them."""
    file = _open(path)
    names = tuple(file.schema_arrow.names)
    return Stream(columns=names, options=_OPTIONS, blocks=lambda: _blocks(path))


def columns_of(path: Path) -> dict[str, Sql]:
    """PostgreSQL's type for each column of the file."""
    pyarrow, _, _ = _modules()
    return {field.name: _type(pyarrow, field.type) for field in _open(path).schema_arrow}


def _open(path: Path) -> Any:
    pyarrow, _, parquet = _modules()
    try:
        return parquet.ParquetFile(path, memory_map=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise UsageProblem(f"no Parquet: {error}", where=str(path)) from None


def _blocks(path: Path) -> Iterator[bytes]:
    pyarrow, csv, _ = _modules()
    options = csv.WriteOptions(include_header=False)
    for batch in _open(path).iter_batches(batch_size=_BATCH):
        held = io.BytesIO()
        csv.write_csv(_plain(pyarrow, batch), held, options)
        yield held.getvalue()


def _plain(pyarrow: Any, batch: Any) -> Any:
    """The batch with what separated values cannot hold as text: lists and structs as JSON, bytes as hex."""
    arrays = [_text(pyarrow, array) for array in batch.columns]
    return pyarrow.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _text(pyarrow: Any, array: Any) -> Any:
    kinds = pyarrow.types
    if kinds.is_dictionary(array.type):
        return _text(pyarrow, array.dictionary_decode())
    if kinds.is_nested(array.type):
        texts = [None if one is None else json.dumps(one, default=str) for one in array.to_pylist()]
        return pyarrow.array(texts, pyarrow.string())
    if (
        kinds.is_binary(array.type)
        or kinds.is_large_binary(array.type)
        or kinds.is_fixed_size_binary(array.type)
    ):
        return pyarrow.array(
            [None if one is None else f"\\x{one.hex()}" for one in array.to_pylist()], pyarrow.string()
        )
    if kinds.is_decimal(array.type) or kinds.is_time(array.type):
        return array.cast(pyarrow.string())
    return array


def _type(pyarrow: Any, type_: Any) -> Sql:
    kinds = pyarrow.types
    if kinds.is_dictionary(type_):
        return _type(pyarrow, type_.value_type)
    for test, name in (
        (kinds.is_boolean, "boolean"),
        (kinds.is_int8, "smallint"),
        (kinds.is_int16, "smallint"),
        (kinds.is_uint8, "smallint"),
        (kinds.is_int32, "integer"),
        (kinds.is_uint16, "integer"),
        (kinds.is_integer, "bigint"),
        (kinds.is_float32, "real"),
        (kinds.is_floating, "double precision"),
        (kinds.is_date, "date"),
        (kinds.is_time, "time"),
        (kinds.is_nested, "jsonb"),
        (kinds.is_binary, "bytea"),
        (kinds.is_large_binary, "bytea"),
        (kinds.is_fixed_size_binary, "bytea"),
    ):
        if test(type_):
            return Sql(name)
    if kinds.is_decimal(type_):
        return Sql(f"numeric({type_.precision}, {type_.scale})")
    if kinds.is_timestamp(type_):
        return Sql("timestamptz" if type_.tz else "timestamp")
    return Sql("text")
