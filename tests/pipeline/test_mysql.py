"""Rows of a real MariaDB or MySQL, each type as PostgreSQL has it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data_platform.errors import Problem, UsageProblem
from data_platform.postgres.pipelines.sessions import Passing
from data_platform.postgres.server import Database
from mysql import mysql, mysql_socket
from pipeline.running import ask, do, held

__all__ = ["mysql", "mysql_socket"]

TABLE = """
CREATE TABLE things (id bigint unsigned PRIMARY KEY, name varchar(50), price decimal(10, 2), on_sale tinyint(1),
    day date, at datetime(6), seen timestamp NULL, span time, raw varbinary(10), ratio double, small smallint)
    CHARACTER SET utf8mb4
"""
SPEC = """
pattern: snapshot
sources: [{name: things, dsn: 'env:SHOP', table: things}]
targets: [{table: copy.things, key: [id]}]
"""


@pytest.fixture
def shop(mysql: Any, mysql_socket: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SHOP", f"mysql://root@localhost/dpe_test?unix_socket={mysql_socket}")
    mysql.execute("SET time_zone = '+00:00'")
    mysql.execute(TABLE)
    insert = "INSERT INTO things VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
    row = ("a\tb\\N\n'ß🌱'", "1.50", 1, "2026-01-02", "2026-01-02 03:04:05.678", "2026-01-02 03:04:05")
    mysql.execute(insert, (18446744073709551615, *row, "-01:30:00", b"\x00\xff", 0.1, -5))
    mysql.execute(insert, (1, "", None, 0, None, None, None, None, None, None, None))
    mysql.execute(insert, (2, *[None] * 10))
    return mysql


def test_every_value_comes_as_it_is(shop: Any, database: Database, tmp_path: Path) -> None:
    assert do(database, tmp_path, SPEC).counts.inserted == 3
    found = ask(database, "SELECT * FROM copy.things ORDER BY id")
    assert found[:2] == [(1, "", None, False, *[None] * 7), (2, *[None] * 10)]
    assert found[2] == (
        *(Decimal(18446744073709551615), "a\tb\\N\n'ß🌱'", Decimal("1.50"), True, date(2026, 1, 2)),
        *(datetime(2026, 1, 2, 3, 4, 5, 678000), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        *(-timedelta(hours=1, minutes=30), b"\x00\xff", 0.1, -5),
    )


def test_what_is_gone_there_goes_here_and_again_nothing_changes(
    shop: Any, database: Database, tmp_path: Path
) -> None:
    do(database, tmp_path, SPEC)
    shop.execute("DELETE FROM things WHERE id = 2")
    shop.execute("UPDATE things SET price = 9 WHERE id = 1")
    counts = do(database, tmp_path, SPEC).counts
    assert (counts.updated, counts.deleted, counts.unchanged) == (1, 1, 1)
    again = do(database, tmp_path, SPEC).counts
    assert (again.written, again.deleted) == (0, 0)


def test_what_cannot_be_is_told(shop: Any, database: Database, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="there is no table absent"):
        do(database, tmp_path, SPEC.replace("table: things", "table: absent"))
    by_cursor = SPEC.replace("pattern: snapshot", "pattern: incremental")
    with pytest.raises(UsageProblem, match="a cursor is read from PostgreSQL only"):
        do(database, tmp_path, by_cursor.replace("table: things", "table: things, cursor: {column: id}"))


def test_what_the_server_refuses_is_told_and_no_value_is_made_another(
    shop: Any, database: Database, tmp_path: Path, mysql_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = ask(database, "SELECT current_database()")[0][0]
    ask(database, f"ALTER DATABASE \"{name}\" SET timezone = 'Asia/Kolkata'")
    shop.execute("SET sql_mode = ''")
    shop.execute("INSERT INTO things (id, on_sale) VALUES (5, 5)")
    shop.execute("INSERT INTO things (id, day, at) VALUES (6, '0000-00-00', '2026-02-00')")
    counts = do(database, tmp_path, SPEC).counts
    assert (counts.inserted, counts.quarantined) == (3, 2)
    reasons = {reason for _, found in held(database) for reason in found}
    assert reasons == {"on_sale: not boolean", "day: not date", "at: not timestamp"}
    utc = "SELECT seen AT TIME ZONE 'UTC' FROM copy.things WHERE seen IS NOT NULL"
    assert ask(database, utc) == [(datetime(2026, 1, 2, 3, 4, 5),)]
    for source, told in [
        ("table: things, columns: {id: bigint, nope: text}", "Unknown column 'nope'"),
        ("query: SELECT id FROM absent, columns: {id: bigint}", "absent' doesn't exist"),
    ]:
        with pytest.raises(UsageProblem, match=told):
            do(database, tmp_path, SPEC.replace("table: things", source))
    for address, told in [
        (f"mysql://root@localhost/absent?unix_socket={mysql_socket}", "Unknown database"),
        ("mysql://root:secret@localhost:99999/x", "no port"),
    ]:
        monkeypatch.setenv("SHOP", address)
        with pytest.raises(Problem, match=told) as raised:
            do(database, tmp_path, SPEC)
        assert not isinstance(raised.value, Passing)
        assert "secret" not in str(raised.value)
