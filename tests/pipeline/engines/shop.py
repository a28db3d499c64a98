"""Specs of each pattern over files of two days, with what engines disagree about: halves, empty texts, late rows."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

CSV = """id,customer,status,total,quantity,day,updated_at,deleted
1,7,"",10.50,3,2024-02-29,2026-01-01T00:00:00Z,f
2,8,,-2.50,-7,1969-12-31,2026-01-01T00:00:00Z,f
3,,"say ""so"", ß 🌱",0,0,2000-01-01,2026-01-01T12:00:00+02,f
3,7,Straße,0.01,5,,2026-01-02T00:00:00Z,f
3,7,old,9.99,5,2024-12-30,2025-01-02T00:00:00Z,f
4,9,"two
lines",,,2024-12-30,2026-01-03T00:00:00Z,f
5,9," pad ",7,2,2024-12-30,2026-01-03T00:00:00Z,f
"""
SECOND = """id,customer,status,total,quantity,day,updated_at,deleted
1,7,new,11.00,3,2024-02-29,2026-02-01T00:00:00Z,f
3,7,late,1.00,1,2024-02-29,2025-06-01T00:00:00Z,f
4,9,,,,,2026-02-01T00:00:00Z,t
5,9,gone,,,,2026-02-02T00:00:00Z,t
5,9,late again,1,1,2024-01-01,2026-01-15T00:00:00Z,f
6,10,A,5,9,2024-03-01,2026-02-01T00:00:00Z,f
"""
COLUMNS = (
    "columns: {id: bigint, customer: bigint, status: text, total: 'numeric(12,2)', quantity: integer, day: date,"
    " updated_at: timestamptz, deleted: boolean}"
)
SOURCE = f"sources: [{{name: rows, path: 'in/*.csv', {COLUMNS}, deletes: {{column: deleted}}}}]"
KEPT = SOURCE.replace(", deletes: {column: deleted}", "")
SUMS = "SELECT customer, count(*) AS n, sum(total) AS total FROM rows GROUP BY customer"
TIDY = """
transforms:
  - name: tidy
    sql: |
      SELECT id, coalesce(customer, 0) AS customer, lower(trim(status)) AS status, total * 2 AS total,
             quantity / 2 AS half, quantity % 3 AS rest, day - date '2024-01-01' AS days, updated_at, deleted FROM rows
"""
SPECS = {
    "incremental": f"pattern: incremental\n{SOURCE}{TIDY}targets: [{{table: shop.t, key: [id], version: updated_at}}]",
    "no version": f"pattern: incremental\n{SOURCE}\ntargets: [{{table: shop.t, key: [id]}}]",
    "added": f"pattern: incremental\n{KEPT}\ntargets: [{{table: shop.t}}]",
    "etl": f"pattern: etl\n{SOURCE}{TIDY}targets: [{{table: shop.t, key: [id], version: updated_at}}]",
    "snapshot": f"pattern: snapshot\n{KEPT}\ntargets: [{{table: shop.t, key: [id], version: updated_at}}]",
    "elt": f"""pattern: elt
{SOURCE}
transforms: [{{name: per_customer, sql: "{SUMS}"}}]
targets:
  - {{table: shop.raw, from: rows, key: [id], version: updated_at}}
  - {{table: shop.t, from: per_customer}}
""",
    "scd 2": f"pattern: scd\n{SOURCE}\ntargets: [{{table: shop.t, key: [id], version: updated_at, type: 2}}]",
    "scd 2, tracked": f"pattern: scd\n{SOURCE}\n"
    "targets: [{table: shop.t, key: [id], version: updated_at, tracked: [status]}]",
    "scd 6": f"pattern: scd\n{SOURCE}\ntargets: [{{table: shop.t, key: [id], version: updated_at, type: 6}}]",
    "scd 1": f"pattern: scd\n{SOURCE}\ntargets: [{{table: shop.t, key: [id], version: updated_at, type: 1}}]",
}
KINDS = (
    "columns: {id: bigint, name: text, total: 'numeric(12,2)', share: 'double precision', seen: timestamptz,"
    " local: timestamp, day: date, ok: boolean, code: uuid, marks: 'int[]'}"
)
"""Of `lines` and of the Parquet file with the same rows."""
LINES = r"""
{"id": 1, "name": "", "total": 10.50, "share": 0.1, "seen": "2026-03-29T02:30:00+01:00", "day": "2024-02-29",
 "local": "2026-03-29 02:30:00", "ok": true, "code": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "marks": [1, 2]}
{"id": 2, "name": null, "total": "-0.01", "share": -0.0, "seen": "1969-12-31 23:59:59.999999Z", "day": "0001-01-01",
 "local": "0001-01-01 00:00:00", "ok": false, "code": null, "marks": []}
{"id": 3, "name": "tab\t, \"said\" \\ line\nß é e\u0301 🌱 \u200b", "total": 9999999999.99, "share": 1e-300, "ok": null,
 "seen": "2026-10-25T02:30:00+02", "local": "9999-12-31 23:59:59.999999", "day": "9999-12-31", "marks": [null, -7]}

{"id": 4, "name": "NULL", "total": 0, "share": 123456789.123456789, "day": "2026-03-01"}
{"name": "a key there is not", "id": 9007199254740993, "total": 1.10, "seen": "2026-03-01 10:00:00-05:30", "ok": true}
""".replace(",\n ", ", ")
KINDS_OF = {
    "jsonl": f"pattern: incremental\nsources: [{{name: rows, path: 'in/*.jsonl', {KINDS}}}]\n"
    "targets: [{table: shop.t, key: [id]}]",
    "parquet": f"pattern: incremental\nsources: [{{name: rows, path: 'in/*.parquet', {KINDS}}}]\n"
    "targets: [{table: shop.t, key: [id]}]",
}

JSON_VALUES = (
    '"5"',
    '"null"',
    '"say \\"so\\" ß"',
    '""',
    "5",
    "1.50",
    "true",
    "null",
    "[1, {}]",
    '{"a": "b"}',
)
JSON_LINES = "".join(f'{{"id": {number}, "note": {value}}}\n' for number, value in enumerate(JSON_VALUES))
JSON_SPEC = """pattern: incremental
sources: [{name: rows, path: 'in/*.jsonl', columns: {id: bigint, note: jsonb}}]
targets: [{table: shop.t, key: [id]}]
"""
"""What JSON is in a column of JSON; a null there is no value."""


def write_parquet(path: Path) -> None:
    """The rows of LINES, typed as a writer of Parquet would have them."""
    rows = [json.loads(line) for line in LINES.splitlines() if line.strip()]
    zoned = pa.timestamp("us", tz="UTC")
    types = {
        "id": pa.int64(), "name": pa.string(), "total": pa.decimal128(12, 2), "share": pa.float64(), "seen": zoned,
        "local": pa.timestamp("us"), "day": pa.date32(), "ok": pa.bool_(), "code": pa.string(),
        "marks": pa.list_(pa.int32()),
    }  # fmt: skip
    read = {
        "total": lambda one: Decimal(str(one)),
        "seen": lambda one: datetime.fromisoformat(one.replace("Z", "+00:00")),
        "local": datetime.fromisoformat,
        "day": date.fromisoformat,
    }
    columns = {}
    for name, kind in types.items():
        of = read.get(name, lambda one: one)
        columns[name] = pa.array([None if row.get(name) is None else of(row[name]) for row in rows], kind)
    parquet.write_table(pa.table(columns), path)


def write_rounded(path: Path) -> None:
    """A total of more digits than KINDS has."""
    parquet.write_table(
        pa.table({"id": [1], "total": pa.array([Decimal("1.005")], pa.decimal128(12, 3))}), path
    )


BAD = [
    ("customer", "1.5"),
    ("total", "1.005"),
    ("day", "2026-02"),
    ("day", "tomorrow"),
    ("updated_at", "2026"),
    ("updated_at", "2026-01-01T00:00:00.1234567Z"),
]
"""Values that an engine would round, cut or fill up without a word, or cannot read at all."""


def with_bad(column: str, value: str) -> str:
    """The first row of CSV with another value."""
    header, line = CSV.splitlines()[:2]
    values = line.split(",")
    values[header.split(",").index(column)] = value
    return f"{header}\n{','.join(values)}\n"
