"""Rows that a spec's sources might have: keys that come again with later versions, deletes, NULL, empty texts."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_platform.errors import UsageProblem
from data_platform.pipeline.lineage_select import TargetLineage
from data_platform.pipeline.plan import Chain
from data_platform.pipeline.reading.parquet import modules
from data_platform.spec.pipeline import Source
from data_platform.sql.text import Sql

Row = dict[str, str | None]
"""Values as PostgreSQL writes them, by column."""

_FIRST_XID, _XIDS = 3, 600
"""Transactions that every new cluster has behind it: a window of them is read, and no more."""
_EPOCH = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_WORDS = (
    "amber",
    "birch",
    "coral",
    "delta",
    "ember",
    "flint",
    "grove",
    "haven",
    'say "so"',
    "a, b",
    "two\nlines",
    "ß",
)


@dataclass(frozen=True)
class Shape:
    """What a source's rows look like: types by column, and which columns have a meaning."""

    columns: Mapping[str, Sql]
    key: tuple[str, ...]
    version: str | None
    gone: str | None


def shape_of(source: Source, chains: Sequence[Chain], made: Sequence[TargetLineage] = ()) -> Shape:
    """From the spec alone; `made` says under which names its SQL hands on the source's columns.

    UsageProblem where the spec does not say what columns the source has.
    """
    if not source.columns:
        raise UsageProblem(
            f"what columns has `{source.name}`?",
            expected="columns: {id: bigint, …}, so that rows can be made for it",
        )
    own = [chain.target for chain in chains if source in chain.sources]
    names = {str(one.table): {**_handed_on(source, one), **{n: n for n in source.columns}} for one in made}
    known = {str(one.table): names.get(str(one.table), {n: n for n in source.columns}) for one in own}
    keys = [tuple(known[str(one.table)].get(name, "") for name in one.key) for one in own]
    key = next((found for found in keys if found and all(found)), ())
    versions = [known[str(one.table)].get(one.version) for one in own if one.version]
    version = next((found for found in versions if found), None)
    gone = source.deletes.column if source.deletes else None
    return Shape(source.columns, key, version or (source.cursor.column if source.cursor else None), gone)


def _handed_on(source: Source, made: TargetLineage) -> dict[str, str]:
    """By column of a target the source's column that it is as it is."""
    return {
        column.name: column.origins[0].column
        for column in made.columns
        if [(one.relation, one.how, one.in_store) for one in column.origins]
        == [(source.name, "identity", False)]
    }


def rows_of(shape: Shape, count: int, seed: str) -> list[Row]:
    """So many rows, the same for the same seed; a third of them come again under a key that was there."""
    draw = random.Random(seed)  # noqa: S311 - made-up data
    keys = max(1, count * 2 // 3)
    rows = [
        _row(shape, number, draw.randrange(keys) if number >= keys else number, draw)
        for number in range(count)
    ]
    for name in (name for name, type_ in shape.columns.items() if type_ == "xid8"):
        for number, row in enumerate(rows):
            row[name] = str(_FIRST_XID + number * _XIDS // count)
    return rows


def _row(shape: Shape, number: int, key: int, draw: random.Random) -> Row:
    row: Row = {}
    for place, (name, type_) in enumerate(shape.columns.items()):
        if name in shape.key:
            row[name] = _text(type_, key * (place + 1) + 1, number)
        elif name == shape.version:
            row[name] = _text(type_, number, number)
        elif name == shape.gone:
            row[name] = "t" if number > 10 and draw.random() < 0.05 else "f"
        elif draw.random() < 0.05:
            row[name] = None
        else:
            row[name] = _text(type_, draw.randrange(1_000), number, draw)
    return row


def _text(type_: Sql, value: int, number: int, draw: random.Random | None = None) -> str:
    """A value of a type; the same number gives the same value."""
    kind = type_.lower().split("(")[0].strip()
    if kind.endswith("[]"):
        return "{" + _text(Sql(kind[:-2]), value, number) + "}"
    if kind in ("smallint", "integer", "int", "bigint", "int2", "int4", "int8", "xid8"):
        return str(value % 30_000 if kind in ("smallint", "int2") else value)
    if kind in ("numeric", "decimal", "real", "double precision", "float8", "float4", "money"):
        return f"{value % 100}.{value % 7}"
    if kind.startswith("timestamp"):
        return (_EPOCH + datetime.timedelta(seconds=60 * value)).strftime("%Y-%m-%d %H:%M:%S+00")
    fixed: dict[str, Callable[[], str]] = {
        "date": lambda: (_EPOCH + datetime.timedelta(days=value % 3_000)).strftime("%Y-%m-%d"),
        "time": lambda: f"{value % 24:02}:00:00",
        "interval": lambda: f"{value} minutes",
        "boolean": lambda: "t" if value % 2 else "f",
        "bool": lambda: "t" if value % 2 else "f",
        "uuid": lambda: str(uuid.UUID(int=value)),
        "json": lambda: json.dumps({"n": value}),
        "jsonb": lambda: json.dumps({"n": value}),
        "inet": lambda: f"10.0.{value // 256 % 256}.{value % 256}",
        "bytea": lambda: f"\\x{value:08x}",
    }
    if kind in fixed:
        return fixed[kind]()
    if draw is None:
        return f"{_WORDS[value % 8]}-{value}"
    return "" if value % 17 == 0 else f"{_WORDS[value % len(_WORDS)]}{value}"


# --- as files ---


def write_files(source: Source, folder: Path, batches: Sequence[Sequence[Row]]) -> list[Path]:
    """Each batch a file that the source's pattern finds; all in one where it names one file."""
    assert source.path is not None
    several = any(sign in source.path for sign in "*?[")
    parts = list(batches) if several else [[row for batch in batches for row in batch]]
    paths = [folder / _file_name(source.path, number) for number in range(1, len(parts) + 1)]
    for path, rows in zip(paths, parts, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(source, rows))
    return paths


def _file_name(pattern: str, number: int) -> str:
    """A path that the pattern matches, the later ones after the earlier ones by name."""
    parts = [part for part in pattern.split("/") if part != "**"]
    return "/".join(part.replace("*", f"batch_{number:03}").replace("?", str(number % 10)) for part in parts)


def content(source: Source, rows: Sequence[Row], columns: Sequence[str] | None = None) -> bytes:
    """The rows in the source's format."""
    names = list(columns or source.columns)
    if source.format == "csv":
        return "".join(_csv_lines(source, rows, names)).encode(source.csv.encoding)
    if source.format == "jsonl":
        return "".join(json.dumps(as_json(row, source)) + "\n" for row in rows).encode()
    arrow, _, parquet = modules()
    held = io.BytesIO()
    typed = {name: _typed(arrow, source.columns.get(name), [row[name] for row in rows]) for name in names}
    parquet.write_table(arrow.table(typed), held)
    return held.getvalue()


def _typed(arrow: Any, type_: Sql | None, values: Sequence[str | None]) -> Any:
    """A column as a program that writes Parquet has it: typed where Parquet has the type, else texts."""
    kind = (type_ or "text").lower().split("(")[0].strip()
    types: dict[str, tuple[Any, Callable[[str], Any]]] = {
        "smallint": (arrow.int16(), int),
        "integer": (arrow.int32(), int),
        "int": (arrow.int32(), int),
        "bigint": (arrow.int64(), int),
        "numeric": (arrow.decimal128(20, 3), decimal.Decimal),
        "real": (arrow.float32(), float),
        "double precision": (arrow.float64(), float),
        "boolean": (arrow.bool_(), "t".__eq__),
        "date": (arrow.date32(), datetime.date.fromisoformat),
        "timestamptz": (arrow.timestamp("us", "UTC"), datetime.datetime.fromisoformat),
        "timestamp with time zone": (arrow.timestamp("us", "UTC"), datetime.datetime.fromisoformat),
    }
    typed, read = types.get(kind, (arrow.string(), str))
    return arrow.array([None if value is None else read(value) for value in values], typed)


def _csv_lines(source: Source, rows: Sequence[Row], names: Sequence[str]) -> Iterator[str]:
    how = source.csv
    held = io.StringIO()
    writer = csv.writer(
        held, delimiter=how.delimiter, quotechar=how.quote, quoting=csv.QUOTE_ALL, lineterminator="\n"
    )
    if how.header:
        writer.writerow(names)
        yield held.getvalue()
    for row in rows:
        fields = []
        for name in names:
            value = row[name]
            held.seek(0)
            held.truncate()
            writer.writerow([value])
            # A value in quotes is one, also where it is empty; NULL stands without.
            fields.append(how.null if value is None else held.getvalue()[:-1])
        yield how.delimiter.join(fields) + "\n"


def as_json(row: Row, source: Source) -> dict[str, Any]:
    """A row as an object: numbers and truths as JSON has them; what the source does not declare is text."""
    return {name: _json_value(value, source.columns.get(name, Sql("text"))) for name, value in row.items()}


def _json_value(value: str | None, type_: Sql) -> Any:
    kind = type_.lower().split("(")[0].strip()
    if value is None:
        return None
    if kind in ("smallint", "integer", "int", "bigint"):
        return int(value)
    if kind in ("boolean", "bool"):
        return value == "t"
    if kind in ("json", "jsonb"):
        return json.loads(value)
    return value
