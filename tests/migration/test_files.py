"""Migration files as their tools run them: transactions, parts, places, and what is no SQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.errors import UsageProblem
from data_platform.migration.files import Script, Transaction, read, read_bytes, scan

PLAIN = b"SELECT 1; SELECT 2;"


def transactions(text: bytes, mode: Transaction = "auto", name: str = "m.sql") -> list[int | None]:
    return [one.transaction for one in read_bytes(name, text, mode).statements]


def texts(script: Script) -> list[str]:
    return [one.sql for one in script.statements]


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [
        (PLAIN, "as-written", [None, None]),
        (PLAIN, "wrapped", [1, 1]),
        (b"SELECT 1; BEGIN; SELECT 2; COMMIT; SELECT 3", "as-written", [None, 1, 1, 1, None]),
        (b"SELECT 1; COMMIT; SELECT 2; BEGIN; SELECT 3", "wrapped", [1, 1, None, 2, 2]),
        (b"BEGIN; SELECT 1; COMMIT AND CHAIN; SELECT 2; END", "as-written", [1, 1, 1, 2, 2]),
        (
            b"BEGIN; SAVEPOINT a; ROLLBACK TO a; SELECT 1; ROLLBACK; SELECT 2",
            "as-written",
            [1, 1, 1, 1, 1, None],
        ),
        (PLAIN, "auto", [None, None]),
        (b"-- +goose Up\n" + PLAIN, "auto", [1, 1]),
        (b"-- +goose Up\n-- +goose NO TRANSACTION\n" + PLAIN, "auto", [None, None]),
        (b"-- +goose NO TRANSACTION\n-- +goose Up\n" + PLAIN, "wrapped", [None, None]),
        (b"-- +migrate Up notransaction\n" + PLAIN, "auto", [None, None]),
        (b"-- atlas:txmode none\n" + PLAIN, "wrapped", [None, None]),
        (b"-- disable_ddl_transaction!\n" + PLAIN, "wrapped", [None, None]),
        (b"-- flyway: executeInTransaction=false\n" + PLAIN, "wrapped", [None, None]),
        (b"-- migrate:up\n" + PLAIN, "auto", [1, 1]),
        (b"-- migrate:up transaction:false\nSELECT 1;", "auto", [None]),
        (b"-- no-transaction\nSELECT 1;", "wrapped", [None]),
    ],
)
def test_transactions(text: bytes, mode: Transaction, expected: list[int | None]) -> None:
    assert transactions(text, mode) == expected


def test_a_tool_that_sends_the_file_as_one_string_makes_one_transaction_of_it() -> None:
    assert transactions(b"-- migrate:up transaction:false\n" + PLAIN) == [1, 1]
    assert transactions(b"-- no-transaction\n" + PLAIN, "wrapped") == [1, 1]


def test_flyway_wraps_by_name_and_leaves_by_configuration(tmp_path: Path) -> None:
    file = tmp_path / "V1__a.sql"
    file.write_bytes(PLAIN)
    assert [one.transaction for one in read([str(file)])] == [1, 1]
    (tmp_path / "V1__a.sql.conf").write_text("executeInTransaction=false\n")
    assert [one.transaction for one in read([str(file)])] == [None, None]


def test_each_changeset_of_liquibase_is_a_transaction() -> None:
    text = (
        b"-- liquibase formatted sql\n-- changeset a:1\nSELECT 1; SELECT 2;\n"
        b"-- changeset a:2 runInTransaction:false\nSELECT 3;\n-- rollback SELECT 4;\n"
    )
    assert transactions(text) == [1, 1, None]


@pytest.mark.parametrize(
    ("up", "down"),
    [
        (b"-- +goose Up", b"-- +goose Down"),
        (b"-- migrate:up", b"-- migrate:down"),
        (b"-- +migrate Up", b"-- +migrate Down"),
        (b"", b"-- //@UNDO"),
    ],
)
def test_only_the_part_that_is_asked_for_runs(up: bytes, down: bytes) -> None:
    text = up + b"\nSELECT 'up';\n" + down + b"\nSELECT 'down';\n"
    forward = read_bytes("m.sql", text)
    assert texts(forward) == ["SELECT 'up'"]
    back = read_bytes("m.sql", text, direction="down")
    assert texts(back) == ["SELECT 'down'"]
    assert back.statements[0].line == 4


def test_a_file_without_marks_has_no_way_back() -> None:
    assert not read_bytes("m.sql", PLAIN, direction="down").statements
    assert texts(read_bytes("m.down.sql", PLAIN, direction="down")) == ["SELECT 1", "SELECT 2"]


def test_directories_are_read_in_the_order_of_versions(tmp_path: Path) -> None:
    for name in ("10_b.sql", "9_a.sql", "9_a.down.sql", "U9__a.sql", "2/1.sql"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"SELECT '{name}'")
    found = [one.sql for one in read([str(tmp_path)])]
    assert found == ["SELECT '2/1.sql'", "SELECT '9_a.sql'", "SELECT '10_b.sql'"]


def test_numbers_and_transactions_go_on_from_file_to_file(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.sql").write_bytes(PLAIN)
    found = read([str(tmp_path)], "wrapped")
    assert [(one.number, one.transaction) for one in found] == [(1, 1), (2, 1), (3, 2), (4, 2)]


def test_what_is_no_sql_is_told_and_the_rest_is_read() -> None:
    text = "SELECT 1;\n\\i other.sql\nSELEC 2;\nSELECT 'é' AS é, 3;\nCOPY t FROM stdin;\n1\n\\.\n  SELECT 4".encode()
    script = read_bytes("m.sql", text)
    assert texts(script) == ["SELECT 1", "SELECT 'é' AS é, 3", "COPY t FROM stdin", "SELECT 4"]
    assert [one.rows for one in script.statements] == [b"", b"", b"1\n", b""]
    assert [(one.line, one.column, one.error) for one in script.faults] == [(2, 1, False), (3, 1, True)]
    assert (script.statements[-1].line, script.statements[-1].column) == (8, 3)


def test_read_refuses_what_does_not_parse(tmp_path: Path) -> None:
    file = tmp_path / "m.sql"
    file.write_text("SELECT 1;\n  SELEC 2;")
    with pytest.raises(UsageProblem) as raised:
        read([str(file)])
    assert raised.value.where == f"{file}:2:3"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageProblem, match=r"no \.sql file"):
        read([str(tmp_path / "empty")])
    with pytest.raises(UsageProblem, match="No such file"):
        list(scan([str(tmp_path / "missing.sql")]))


def test_utf16_and_a_byte_order_mark_are_read() -> None:
    assert texts(read_bytes("m.sql", "SELECT 'é'".encode("utf-16"))) == ["SELECT 'é'"]
    assert texts(read_bytes("m.sql", b"\xef\xbb\xbfSELECT 1")) == ["SELECT 1"]


GAPS = st.sampled_from(["", " ", "\n", "\r\n", "\t", "-- a; b\n", "/* ; /* é */ */", "\n\n  "])
STATEMENTS = st.sampled_from(
    [
        "SELECT 1",
        "SELECT ';'",
        "BEGIN",
        "COMMIT",
        "SELECT $a$ ; $a$",
        "CREATE TABLE é (a int)",
        "SELECT\n'é',\n2",
    ]
)


@given(st.lists(st.tuples(GAPS, STATEMENTS, GAPS), max_size=6))
def test_every_statement_is_where_it_says(parts: list[tuple[str, str, str]]) -> None:
    text = ";".join("".join(part) for part in parts)
    script = read_bytes("m.sql", text.encode(), "as-written")
    assert len(script.statements) == len(parts)
    for one, part in zip(script.statements, parts, strict=True):  # a comment behind a statement stays with it
        assert one.sql.startswith(part[1])
    lines = text.split("\n")
    for one in script.statements:
        raw = one.sql.encode()
        assert script.raw[one.offset : one.offset + len(raw)] == raw
        assert lines[one.line - 1][one.column - 1 :].startswith(one.sql.split("\n", maxsplit=1)[0])
