"""Parquet, a row group at a time: in COPY's binary format where every type allows it, else as separated values, in
which NULL and an empty text differ.
"""

from __future__ import annotations

import importlib
import io
import json
import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.pipeline.reading import binary
from data_platform.postgres.pipelines.sessions import Passing
from data_platform.postgres.pipelines.staging import Stream
from data_platform.spec.pipeline import Source
from data_platform.sql.text import Sql

_MAGIC = b"PAR1"
_BATCH = 32_768
_BUFFER = 1 << 20
_OPTIONS = Sql("(FORMAT csv, NULL '')")


def modules() -> tuple[Any, Any, Any]:
    """pyarrow, pyarrow.csv and pyarrow.parquet, which are of an extra. EnvironmentProblem where they are not here."""
    try:
        found = [importlib.import_module(name) for name in ("pyarrow", "pyarrow.csv", "pyarrow.parquet")]
    except ImportError:
        raise EnvironmentProblem("Parquet needs a package", try_="dpe setup --extra vectors") from None
    return found[0], found[1], found[2]


def stream(source: Source, path: Path) -> Stream:
    """The file's columns that are declared, or all of them."""
    file = _open(path)
    names = tuple(file.schema_arrow.names)
    arrays = frozenset(name for name, type_ in source.columns.items() if str(type_).rstrip().endswith("]"))
    return Stream(
        columns=names,
        options=_OPTIONS,
        blocks=lambda: _blocks(path, arrays),
        binary=lambda types: binary.blocks(file.schema_arrow, lambda: _batches(path), types),
    )


def columns_of(path: Path) -> dict[str, Sql]:
    """PostgreSQL's type for each column of the file."""
    pyarrow, _, _ = modules()
    return {field.name: _type(pyarrow, field.type) for field in _open(path).schema_arrow}


def _open(path: Path) -> Any:
    pyarrow, _, parquet = modules()
    try:
        # A buffer, and no reading ahead: else what was read of the file stays in memory until its end.
        return parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER)
    except (pyarrow.ArrowException, OSError) as error:
        # What begins as Parquet and does not end so is still being written, or was cut off.
        kind = Passing if _begins_well(path) else UsageProblem
        raise kind(
            f"no Parquet: {error}",
            where=str(path),
            expected="a file that is written whole under another name, and renamed when it is",
        ) from None


def _begins_well(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _blocks(path: Path, arrays: frozenset[str]) -> Iterator[bytes]:
    pyarrow, csv, _ = modules()
    options = csv.WriteOptions(include_header=False)
    for batch in _batches(path):
        held = io.BytesIO()
        csv.write_csv(_plain(pyarrow, batch, arrays), held, options)
        yield held.getvalue()


def _batches(path: Path) -> Iterator[Any]:
    pyarrow, _, _ = modules()
    try:
        yield from _open(path).iter_batches(batch_size=_BATCH)
    except (pyarrow.ArrowException, OSError) as error:
        raise EnvironmentProblem(f"cannot be read: {error}", where=str(path)) from None


def _plain(pyarrow: Any, batch: Any, arrays: frozenset[str]) -> Any:
    """The batch with what separated values cannot hold as text: lists for `arrays` as PostgreSQL writes an array, other
    lists and structs as JSON, bytes as hex.
    """
    names = batch.schema.names
    texts = [
        _text(pyarrow, array, _array if name in arrays else _json)
        for name, array in zip(names, batch.columns, strict=True)
    ]
    return pyarrow.RecordBatch.from_arrays(texts, names=names)


def _json(value: Any) -> str:
    """JSON whose numbers have all of their digits; what JSON has no number or text for as PostgreSQL writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {_json(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_json, value)) + "]"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return _json(f"\\x{value.hex()}")
    if isinstance(value, float) and not math.isfinite(value):
        return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'
    return json.dumps(value, default=str)


def _array(value: Any) -> str:
    """The manual, 8.15.6: braces, and every item in quotes."""
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "{" + ",".join(map(_array, value)) + "}"
    text = (
        f"\\x{value.hex()}"
        if isinstance(value, bytes)
        else _json(value)
        if isinstance(value, dict)
        else str(value)
    )
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(pyarrow: Any, array: Any, nested: Callable[[Any], str]) -> Any:
    kinds = pyarrow.types
    if kinds.is_dictionary(array.type):
        return _text(pyarrow, array.dictionary_decode(), nested)
    if kinds.is_nested(array.type):
        texts = [None if one is None else nested(one) for one in array.to_pylist()]
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
    if kinds.is_timestamp(array.type) and array.type.tz:
        # Arrow looks up the zone for every value, which takes ten times as long as the rest of it.
        bare = array.cast(pyarrow.timestamp(array.type.unit)).cast(pyarrow.string())
        return importlib.import_module("pyarrow.compute").binary_join_element_wise(bare, "Z", "")
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
        (kinds.is_uint64, "numeric(20)"),
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
