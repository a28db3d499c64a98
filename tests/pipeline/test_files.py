"""Files into tables: every value as it was, what is none of its type in quarantine, each file once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.errors import UsageProblem
from data_platform.pipeline.reading.csv import records
from data_platform.pipeline.told import findings_of
from data_platform.postgres.pipelines import staging
from data_platform.postgres.pipelines.staging import Torn
from data_platform.postgres.server import Database
from data_platform.spec.pipeline import Csv
from pipeline.running import ask, do, held, spec_of

VALUES: list[dict[str, Any]] = [
    {
        "id": 1,
        "note": "",
        "amount": Decimal("1.50"),
        "at": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "tags": ["a", "b"],
    },
    {"id": 2, "note": None, "amount": None, "at": None, "tags": None},
    {
        "id": 3,
        "note": 'say "so",\nthen\\N',
        "amount": Decimal("-0.01"),
        "at": datetime(2026, 2, 1, tzinfo=UTC),
        "tags": [],
    },
    {"id": 4, "note": "ß 🌱 \\", "amount": Decimal(0), "at": None, "tags": ["x, y", 'q"']},
]
COLUMNS = "columns: {id: bigint, note: text, amount: 'numeric(12,2)', at: timestamptz, tags: 'text[]'}"
SPEC = """
pattern: incremental
sources: [{{name: rows, path: {path}, {columns}}}]
targets: [{{table: shop.rows, key: [id]}}]
"""
CSV = '''id,note,amount,at,tags
1,"",1.50,2026-01-01T12:00:00Z,"{a,b}"
2,,,,
3,"say ""so"",
then\\N",-0.01,2026-02-01 00:00:00+00,{}
4,"ß 🌱 \\",0,,"{""x, y"",""q\\""""}"
'''


def loaded(database: Database) -> list[Any]:
    return ask(database, "SELECT id, note, amount, at, tags FROM shop.rows ORDER BY id")


def expected() -> list[Any]:
    return [tuple(row.values()) for row in VALUES]


def test_separated_values_come_as_they_are(database: Database, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(CSV)
    ran = do(database, tmp_path, SPEC.format(path="rows.csv", columns=COLUMNS))
    assert (ran.counts.read, ran.counts.inserted, ran.steps[0].way) == (4, 4, "straight")
    assert loaded(database) == expected()


def test_json_lines_come_as_they_are(database: Database, tmp_path: Path) -> None:
    lines = [json.dumps(row, default=str, ensure_ascii=False) for row in VALUES]
    (tmp_path / "rows.jsonl").write_text("\r\n\n".join(lines))
    do(database, tmp_path, SPEC.format(path="rows.jsonl", columns=COLUMNS))
    assert loaded(database) == expected()


@pytest.mark.parametrize("columns", [COLUMNS + ", format: parquet", "format: parquet"])
def test_parquet_comes_as_it_is(database: Database, tmp_path: Path, columns: str) -> None:
    types = pa.schema(
        [
            ("id", pa.int64()),
            ("note", pa.string()),
            ("amount", pa.decimal128(12, 2)),
            ("at", pa.timestamp("us", "UTC")),
        ]
    )
    rows = [{k: v for k, v in row.items() if k != "tags"} for row in VALUES]
    pq.write_table(pa.Table.from_pylist(rows, schema=types), tmp_path / "rows.parquet")
    do(database, tmp_path, SPEC.format(path="rows.parquet", columns=columns.replace(", tags: 'text[]'", "")))
    assert ask(database, "SELECT id, note, amount, at FROM shop.rows ORDER BY 1") == [
        row[:4] for row in expected()
    ]


def test_parquet_that_is_none_of_its_declared_type(database: Database, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2], "note": ["7", "x"]}), tmp_path / "rows.parquet")
    do(database, tmp_path, SPEC.format(path="rows.parquet", columns="columns: {id: int, note: int}"))
    assert ask(database, "SELECT * FROM shop.rows") == [(1, 7)]
    assert held(database) == [(2, ["note: not int"])]


def test_a_file_that_is_something_else_is_refused(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "_MOST_TORN", 10)
    (tmp_path / "rows.csv").write_text("id,note,amount,at,tags\n" + "one field\n" * 20)
    with pytest.raises(
        UsageProblem, match="more than 10 records of `rows` are torn, the first one: 1 fields"
    ):
        do(database, tmp_path, SPEC.format(path="rows.csv", columns=COLUMNS))
    assert ask(database, "SELECT to_regclass('shop.rows')") == [(None,)]
    assert held(database) == []


def test_another_dialect_and_encoding(database: Database, tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_bytes("1;'ä;b';NULL\n2;'NULL';3,5\n".encode("latin-1"))
    how = "csv: {delimiter: ';', quote: \"'\", header: false, 'null': 'NULL', encoding: LATIN1}, format: csv"
    columns = "columns: {id: bigint, note: text, rest: text}"
    do(database, tmp_path, SPEC.format(path="rows.txt", columns=f"{how}, {columns}"))
    assert ask(database, "SELECT * FROM shop.rows ORDER BY 1") == [(1, "ä;b", None), (2, "NULL", "3,5")]


def test_what_is_none_of_its_type_goes_into_quarantine(database: Database, tmp_path: Path) -> None:
    bad = CSV + 'x,a,1,,\n5,a,1e99,2026-13-01,\n,a,1,,\n6,ok,1,,\n7,few\n8,"open,1,,\n'
    (tmp_path / "rows.csv").write_text(bad)
    ran = do(database, tmp_path, SPEC.format(path="rows.csv", columns=COLUMNS))
    assert loaded(database)[:4] == expected()
    assert [row[0] for row in loaded(database)] == [1, 2, 3, 4, 6]
    assert held(database) == [
        (5, ["id: not bigint"]),
        (6, ["amount: not numeric(12,2)", "at: not timestamptz"]),
        (7, ["id is null"]),
        (9, ["2 fields where 5 are expected"]),
        (10, ["a quote is not closed"]),
    ]
    counts = ran.counts
    assert counts.read == counts.written + counts.unchanged + counts.quarantined == 10


def test_lines_that_are_no_objects_go_into_quarantine(database: Database, tmp_path: Path) -> None:
    lines = [
        b'{"id": 1}',
        b"{",
        b"[1]",
        b'{"id": "x"}',
        b'{"id": 2, "note": "\xff"}',
        b'{"id": 3}\x02',
        b'{"id": 4}',
    ]
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(lines))
    do(database, tmp_path, SPEC.format(path="rows.jsonl", columns=COLUMNS))
    assert [row[0] for row in loaded(database)] == [1, 4]
    assert [number for number, _ in held(database)] == [2, 3, 4, 5, 6]


def test_a_row_that_the_target_refuses_goes_into_quarantine(database: Database, tmp_path: Path) -> None:
    ask(
        database,
        "CREATE SCHEMA shop; CREATE TABLE shop.users (id bigint PRIMARY KEY); INSERT INTO shop.users VALUES (1);"
        "CREATE TABLE shop.rows (id bigint PRIMARY KEY, user_id bigint REFERENCES shop.users,"
        " price int CHECK (price > 0), name text NOT NULL, made_at timestamptz DEFAULT now())",
    )
    (tmp_path / "rows.csv").write_text("id,user_id,price,name\n1,1,5,a\n2,9,5,a\n3,1,-1,a\n4,1,1,\n5,,,b\n")
    columns = "columns: {id: bigint, user_id: bigint, price: int, name: text}"
    do(database, tmp_path, SPEC.format(path="rows.csv", columns=columns))
    assert ask(database, "SELECT id FROM shop.rows ORDER BY 1") == [(1,), (5,)]
    assert held(database) == [
        (2, ["violates rows_user_id_fkey"]),
        (3, ["violates rows_price_check"]),
        (4, ["name is null"]),
    ]


# --- each file once ---

ADDED = """
pattern: incremental
sources: [{name: rows, path: 'in/*.csv', columns: {id: bigint, note: text}}]
targets: [{table: shop.rows}]
"""


def test_new_files_are_found_and_no_file_is_read_twice(database: Database, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert do(database, tmp_path, ADDED).steps == ()
    (tmp_path / "in" / "1.csv").write_text("id,note\n1,a\n1,a\n")
    assert do(database, tmp_path, ADDED).counts.inserted == 2
    (tmp_path / "in" / "2.csv").write_text("id,note\n2,b\n")
    assert [step.unit for step in do(database, tmp_path, ADDED).steps] == ["in/2.csv"]
    assert do(database, tmp_path, ADDED).steps == ()
    (tmp_path / "in" / "1.csv").write_text("id,note\n1,changed\n")
    with pytest.raises(UsageProblem, match="holds something else now"):
        do(database, tmp_path, ADDED)
    assert ask(database, "SELECT count(*) FROM shop.rows") == [(3,)]


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(database: Database, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in (1, 2):
        (tmp_path / "in" / f"{number}.csv").write_text(f"id,note\n{number},a\nx,b\n")
    ran = do(database, tmp_path, ADDED, dry_run=True)
    assert (ran.counts.inserted, ran.counts.quarantined) == (2, 2)
    assert ask(database, "SELECT to_regclass('shop.rows'), to_regclass('dpe_pipeline.runs')") == [
        (None, None)
    ]


@pytest.mark.parametrize(
    ("drift", "told"),
    [
        ("freeze", "has drifted: it has more that nobody declared and does not have note"),
        ("ignore", [(1, None)]),
        ("evolve", [(1, None, "x")]),
    ],
)
def test_a_source_that_drifts(database: Database, tmp_path: Path, drift: str, told: Any) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text("id,more\n1,x\n")
    text = ADDED + f"drift: {drift}\n"
    if drift == "freeze":
        with pytest.raises(UsageProblem, match=told):
            do(database, tmp_path, text)
        assert ask(database, "SELECT to_regclass('shop.rows')") == [(None,)]
    else:
        do(database, tmp_path, text)
        assert ask(database, "SELECT * FROM shop.rows") == told


def test_a_file_that_drifts_is_set_aside_whole_and_the_others_are_loaded(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text("id,note\n1,a\n")
    (tmp_path / "in" / "2.csv").write_text('id,note,more\n2,b,x\ny,"",\n1\n')
    (tmp_path / "in" / "3.csv").write_text("id\n3\n")
    (tmp_path / "in" / "4.csv").write_text("id,note\n4,d\n")
    counts = do(database, tmp_path, ADDED + "drift: quarantine\n").counts
    assert (counts.read, counts.inserted, counts.quarantined) == (6, 2, 4)
    assert ask(database, "SELECT * FROM shop.rows ORDER BY id") == [(1, "a"), (4, "d")]
    assert ask(
        database, "SELECT unit, content, reasons FROM dpe_pipeline.quarantine ORDER BY unit, number"
    ) == [
        ("in/2.csv", {"id": "2", "note": "b", "more": "x"}, ["the source has more that nobody declared"]),
        (
            "in/2.csv",
            {"id": "y", "note": "", "more": None},
            ["id: not bigint", "the source has more that nobody declared"],
        ),
        ("in/2.csv", "1\n", ["1 fields where 3 are expected"]),
        ("in/3.csv", {"id": "3"}, ["the source does not have note"]),
    ]


def test_lines_of_json_with_other_keys_are_set_aside(database: Database, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    lines = [{"id": 1, "note": "a"}, {"id": 2, "more": 1, "Other": 2}, {"id": 3}]
    (tmp_path / "in" / "1.jsonl").write_text("\n".join(map(json.dumps, lines)))
    counts = do(database, tmp_path, JSON + "drift: quarantine\n").counts
    assert (counts.read, counts.inserted, counts.quarantined) == (3, 2, 1)
    assert ask(database, "SELECT * FROM shop.rows ORDER BY id") == [(1, "a"), (3, None)]
    assert held(database) == [(2, ["has keys that nobody declared: Other, more"])]


@pytest.mark.parametrize("pattern", ["etl", "snapshot"])
def test_of_a_whole_too_only_the_files_that_drift(database: Database, tmp_path: Path, pattern: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text("id,note,more\n1,a,b\n")
    (tmp_path / "in" / "2.csv").write_text("id,note\n2,c\n")
    text = ADDED.replace("incremental", pattern) + "drift: quarantine\n"
    assert do(database, tmp_path, text).counts.quarantined == 1
    assert ask(database, "SELECT * FROM shop.rows") == [(2, "c")]
    (tmp_path / "in" / "2.csv").unlink()
    (tmp_path / "in" / "1.csv").write_text("id,note,more\n1,a,c\n")
    with pytest.raises(UsageProblem, match="not one row is left for"):
        do(database, tmp_path, text)
    assert ask(database, "SELECT * FROM shop.rows") == [(2, "c")]


JSON = """
pattern: incremental
sources: [{name: rows, path: 'in/*.jsonl', columns: {id: bigint, note: text}}]
targets: [{table: shop.rows}]
"""


@pytest.mark.parametrize("drift", ["freeze", "ignore", "evolve"])
def test_keys_of_json_that_nobody_declared(database: Database, tmp_path: Path, drift: str) -> None:
    (tmp_path / "in").mkdir()
    long = "x" * 64
    lines = [
        {"id": 1},
        {"id": 2, "more": {"a": 1}, "Other": 3},
        {"id": "x", "more": 1},
        {long: 1, "_dpe_row": 7},
        [1],
    ]
    (tmp_path / "in" / "1.jsonl").write_text("\n".join(map(json.dumps, lines)))
    text = JSON + f"drift: {drift}\n"
    if drift == "freeze":
        with pytest.raises(UsageProblem, match=r"it has Other, _dpe_row, more, x+ that nobody declared"):
            do(database, tmp_path, text)
        assert ask(database, "SELECT to_regclass('shop.rows')") == [(None,)]
        return
    ran = do(database, tmp_path, text)
    (finding,) = (
        one for one in findings_of(spec_of(tmp_path, text), ran) if one.rule == "undeclared-left-out"
    )
    assert finding.message.endswith(
        f"_dpe_row, {long}" if drift == "evolve" else f"Other, _dpe_row, more, {long}"
    )
    more = (("3", '{"a": 1}'),) if drift == "evolve" else ((),)
    none = ((None, None),) if drift == "evolve" else ((),)
    assert ask(database, "SELECT * FROM shop.rows ORDER BY id") == [
        (1, None, *none[0]),
        (2, None, *more[0]),
        (None, None, *none[0]),
    ]
    assert [number for number, _ in held(database)] == [3, 5]


@pytest.mark.parametrize(
    ("first", "told"),
    [("id,id", "names `id` twice"), ("id,", "does not name the columns"), ("", "does not name the columns")],
)
def test_a_header_that_is_none(database: Database, tmp_path: Path, first: str, told: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(f"{first}\n1,2\n")
    with pytest.raises(UsageProblem, match=told):
        do(database, tmp_path, ADDED)


# --- any text ---

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(TEXTS, st.none() | TEXTS), max_size=20))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_as_it_is(server: Any, tmp_path: Path, rows: list[tuple[str, str | None]]) -> None:
    quoted = lambda text: "" if text is None else '"' + text.replace('"', '""') + '"'  # noqa: E731
    body = "a,b\n" + "".join(f"{quoted(a)},{quoted(b)}\n" for a, b in rows)
    (tmp_path / "rows.csv").write_bytes(body.encode())
    with server.scratch_database() as database:
        do(
            database,
            tmp_path,
            SPEC.format(path="rows.csv", columns="columns: {a: text, b: text}").replace(", key: [id]", ""),
        )
        found = ask(database, "SELECT a, b FROM shop.rows") if rows else []
    assert sorted(found, key=str) == sorted(rows, key=str)


@given(st.binary(max_size=200), st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_records_leave_nothing_out(raw: bytes, size: int) -> None:
    raw = raw.replace(b"\0", b",")
    blocks = [raw[place : place + size] for place in range(0, len(raw), size)]
    found = list(records(blocks, Csv(header=False, encoding="LATIN1"), 2))
    numbers = [one.number if isinstance(one, Torn) else one[0] for one in found]
    assert numbers == list(range(1, len(found) + 1))
    whole = b"".join(one.text.encode("latin-1") if isinstance(one, Torn) else one[1] for one in found)
    assert whole.rstrip(b"\n") == raw.rstrip(b"\n")
    assert list(records([raw], Csv(header=False, encoding="LATIN1"), 2)) == found


JSON_LINES = r"""
{"id": 1, "one": "5", "plain": "abc", "many": ["5", 5, null, {"a": "b"}]}
{"id": 2, "one": "null", "plain": "", "many": []}
{"id": 3, "one": null, "plain": null, "many": null}
{"id": 4, "one": {"a": 1.50}, "plain": [1, "x"]}
{"id": 5, "one": 12345678901234567890.123, "plain": true, "many": [[1]]}
""".strip()


def test_a_text_of_json_is_one_of_json(database: Database, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(JSON_LINES)
    columns = "columns: {id: bigint, one: jsonb, plain: json, many: 'jsonb[]'}"
    do(database, tmp_path, SPEC.format(path="rows.jsonl", columns=columns))
    told = ask(database, "SELECT one::text, plain::text, many::text[] FROM shop.rows ORDER BY id")
    assert told == [
        ('"5"', '"abc"', ['"5"', "5", None, '{"a": "b"}']),
        ('"null"', '""', []),
        (None, None, None),
        ('{"a": 1.50}', '[1, "x"]', None),
        ("12345678901234567890.123", "true", ["[1]"]),
    ]


def test_numbers_within_parquet_keep_their_digits(database: Database, tmp_path: Path) -> None:
    inner = pa.struct([("total", pa.decimal128(30, 9)), ("raw", pa.binary()), ("share", pa.float64())])
    values = [
        {"total": Decimal("12345678901234567.000000001"), "raw": b"\x00\xff", "share": float("nan")},
        {"total": Decimal("0E-9"), "raw": None, "share": 0.1},
    ]
    table = pa.table(
        {"id": [1, 2], "one": pa.array(values, inner), "many": pa.array([values, []], pa.list_(inner))}
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    do(
        database,
        tmp_path,
        SPEC.format(path="rows.parquet", columns="columns: {id: bigint, one: jsonb, many: jsonb}"),
    )
    first = r'{"raw": "\\x00ff", "share": "NaN", "total": 12345678901234567.000000001}'
    second = '{"raw": null, "share": 0.1, "total": 0.000000000}'
    assert ask(database, "SELECT one::text, many::text FROM shop.rows ORDER BY id") == [
        (first, f"[{first}, {second}]"),
        (second, "[]"),
    ]


def test_the_greatest_whole_numbers_of_parquet_have_room(database: Database, tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"id": [1, 2], "big": pa.array([2**64 - 1, 0], pa.uint64())}), tmp_path / "rows.parquet"
    )
    do(database, tmp_path, SPEC.format(path="rows.parquet", columns=""))
    assert ask(database, "SELECT id, big FROM shop.rows ORDER BY id") == [
        (1, Decimal(2**64 - 1)),
        (2, Decimal(0)),
    ]
