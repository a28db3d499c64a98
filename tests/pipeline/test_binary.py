"""Arrow as COPY's binary format: the same rows as the text of the same file, or no binary format at all."""

from __future__ import annotations

import tempfile
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.pipeline.reading import parquet
from data_platform.postgres.pipelines.relations import read_relation
from data_platform.postgres.pipelines.staging import Stream, copy_if_good
from data_platform.spec.pipeline import Source
from data_platform.sql.text import Sql
from pipeline.sessions import Connection

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))
WHOLE = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}


def _integers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _decimals(digits: int, places: int) -> st.SearchStrategy[Decimal]:
    most = 10**digits - 1
    return st.integers(-most, most).map(lambda whole: Decimal(f"{whole}e-{places}"))


KEPT: list[tuple[pa.DataType, str, st.SearchStrategy[Any]]] = [
    (pa.bool_(), "boolean", st.booleans()),
    *((WHOLE[bits], "smallint", _integers(bits)) for bits in (8, 16)),
    *((WHOLE[bits], "integer", _integers(min(bits, 32))) for bits in (16, 32, 64)),
    *((WHOLE[bits], "bigint", _integers(bits)) for bits in (32, 64)),
    (pa.uint8(), "smallint", st.integers(0, 255)),
    (pa.uint32(), "bigint", st.integers(0, 2**32 - 1)),
    (pa.float32(), "real", st.floats(width=32)),
    (pa.float64(), "double precision", st.floats()),
    *((pa.decimal128(18, n), f"numeric(18, {n})", _decimals(18, n)) for n in range(5)),
    (pa.decimal128(38, 4), "numeric", _decimals(38, 4)),
    (pa.decimal128(10, 4), "numeric(10, 2)", _decimals(10, 4)),
    (pa.date32(), "date", st.dates(date(1, 1, 1))),
    (pa.timestamp("us"), "timestamp", MOMENTS),
    (pa.timestamp("us", "UTC"), "timestamptz", MOMENTS),
    (pa.timestamp("us", "America/New_York"), "timestamptz", MOMENTS),
    (pa.timestamp("ms"), "timestamp", MOMENTS.map(lambda one: one.replace(microsecond=0))),
    (pa.timestamp("s", "UTC"), "timestamptz", MOMENTS.map(lambda one: one.replace(microsecond=0))),
    (pa.string(), "text", TEXTS),
    (pa.string(), "varchar(40)", TEXTS),
    (pa.large_string(), "text", TEXTS),
    (pa.dictionary(pa.int32(), pa.string()), "text", TEXTS),
    (pa.binary(), "bytea", st.binary(max_size=20)),
]
TEXT_ONLY: list[tuple[pa.DataType, str]] = [
    (pa.float32(), "double precision"),
    (pa.float64(), "real"),
    (pa.decimal128(18, 5), "numeric(18, 5)"),
    (pa.decimal128(18, 2), "double precision"),
    (pa.timestamp("ns"), "timestamp"),
    (pa.timestamp("us"), "timestamptz"),
    (pa.timestamp("us", "UTC"), "timestamp"),
    (pa.string(), "jsonb"),
    (pa.string(), "uuid"),
    (pa.string(), "character(3)"),
    (pa.int64(), "numeric"),
    (pa.int32(), "text"),
    (pa.list_(pa.int32()), "integer[]"),
    (pa.struct([("a", pa.int32())]), "jsonb"),
    (pa.time64("us"), "time"),
]


def stream_of(table: pa.Table, folder: str) -> Stream:
    path = Path(folder) / "rows.parquet"
    pq.write_table(table, path, row_group_size=7)
    return parquet.stream(Source(name="rows", path="rows.parquet"), path)


def created(connection: Connection, name: str, types: list[str]) -> dict[str, str]:
    columns = ", ".join(f"c{number} {type_}" for number, type_ in enumerate(types))
    connection.execute(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({columns})")
    found = read_relation(connection, Sql(name))
    assert found is not None
    return dict(found.columns)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.data())
def test_the_same_rows_as_the_text(connection: Connection, drawn: st.DataObject) -> None:
    kinds = drawn.draw(st.lists(st.sampled_from(KEPT), min_size=1, max_size=6))
    count = drawn.draw(st.integers(0, 20))
    columns = {
        f"c{number}": pa.array(
            drawn.draw(st.lists(st.none() | values, min_size=count, max_size=count)), pa_type
        )
        for number, (pa_type, _, values) in enumerate(kinds)
    }
    types = [type_ for _, type_, _ in kinds]
    with tempfile.TemporaryDirectory() as folder:
        stream = stream_of(pa.table(columns), folder)
        assert stream.binary(created(connection, "as_binary", types)) is not None
        created(connection, "as_text", types)
        text = Stream(columns=stream.columns, options=stream.options, blocks=stream.blocks)
        written = [
            copy_if_good(connection, Sql(name), one)
            for name, one in (("as_binary", stream), ("as_text", text))
        ]
        # A number that has no room in its column is refused by both.
        assert written in ([count, count], [None, None])
    rows = [
        connection.execute(f"SELECT r::text FROM {name} r".encode()).fetchall()
        for name in ("as_binary", "as_text")
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(("pa_type", "type_"), TEXT_ONLY)
def test_what_the_binary_form_would_change_goes_as_text(
    connection: Connection, tmp_path: Path, pa_type: pa.DataType, type_: str
) -> None:
    stream = stream_of(pa.table({"c0": pa.array([None], pa_type)}), str(tmp_path))
    assert stream.binary(created(connection, "rows", [type_])) is None


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (pa.array([1, 2**31]), "integer"),
        (pa.array(["a\x00b"]), "text"),
        (pa.array(["too long"]), "varchar(3)"),
        (pa.array([2**31 - 1], pa.date32()), "date"),
        (pa.array([-(2**63)], pa.timestamp("us")), "timestamp"),
    ],
)
def test_a_value_that_the_column_refuses(
    connection: Connection, tmp_path: Path, values: pa.Array, type_: str
) -> None:
    types = created(connection, "rows", [type_])
    stream = stream_of(pa.table({"c0": values}), str(tmp_path))
    assert stream.binary(types) is not None
    assert copy_if_good(connection, Sql("rows"), stream) is None
    assert connection.execute("SELECT count(*) FROM rows").fetchone() == (0,)


def test_a_column_that_the_table_has_not(connection: Connection, tmp_path: Path) -> None:
    created(connection, "rows", ["integer"])
    stream = stream_of(pa.table({"other": pa.array([1])}), str(tmp_path))
    with pytest.raises(psycopg.errors.UndefinedColumn):
        copy_if_good(connection, Sql("rows"), stream)


def test_many_batches(connection: Connection, tmp_path: Path) -> None:
    """More than one buffer of the encoder, and rows in their order."""
    count = 100_000
    at = [datetime(2026, 1, 1) + timedelta(seconds=n) for n in range(count)]
    table = pa.table({"c0": pa.array(range(count)), "c1": pa.array(at), "c2": pa.array(["ß" * 10] * count)})
    types = created(connection, "rows", ["bigint", "timestamp", "text"])
    stream = stream_of(table, str(tmp_path))
    assert stream.binary(types) is not None
    assert copy_if_good(connection, Sql("rows"), stream) == count
    wrong = (
        "SELECT count(*) FROM rows WHERE c2 <> repeat('ß', 10)"
        " OR c1 <> timestamp '2026-01-01' + c0 * interval '1 second'"
    )
    assert connection.execute(wrong).fetchone() == (0,)
    assert connection.execute("SELECT count(DISTINCT c0), min(c0), max(c0) FROM rows").fetchone() == (
        count,
        0,
        count - 1,
    )
