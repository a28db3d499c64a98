"""What a dimension promises: no overlap, the present, any time, counts, and mistakes told before anything is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline.history import absent, dimension_tables, drop_tables, extensions, merge, rules
from data_platform.postgres.server import Database
from data_platform.sql.text import Sql

from .reference import Seen
from .stage import STAGE, Connection, bring, dimension, held, made, run

DE = ("de", 1)
TABLE = '"Shop ""s"""'


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with psycopg.connect(database.conninfo, autocommit=True) as opened:
        yield opened


def versions(connection: Connection) -> list[Any]:
    return connection.execute(f"SELECT a, valid_from, valid_to FROM {TABLE} ORDER BY valid_from").fetchall()


@pytest.mark.parametrize("version", [18, 17])
def test_the_database_itself_refuses_an_overlap(connection: Connection, version: int) -> None:
    made(connection, dimension(server_version=version))
    add = f"INSERT INTO {TABLE} (country, \"No.\", valid_from, valid_to) VALUES ('de', 1, %s, %s)"
    connection.execute(add, [1, 5])
    with pytest.raises(psycopg.errors.ExclusionViolation):
        connection.execute(add, [4, None])
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(add, [7, 7])
    connection.execute(add, [5, None])


def test_what_is_counted(connection: Connection) -> None:
    table = made(connection, dimension())
    first = [
        Seen(DE, 1, (1, None)),
        Seen(DE, 3, (2, None)),
        Seen(DE, 3, (3, None)),
        Seen(("fr", 1), 1, (1, None)),
    ]
    counts = {"inserted": 2, "updated": 1, "deleted": 0, "unchanged": 0, "superseded": 1, "missing": 0}
    assert bring(connection, table, first) == counts
    again = bring(connection, table, first)
    assert again == {**dict.fromkeys(counts, 0), "unchanged": 3, "superseded": 1}
    late = [Seen(DE, 2, (9, None)), Seen(DE, 5, (None, None), True), Seen(DE, 8, (3, None))]
    assert bring(connection, table, late) == {
        **dict.fromkeys(counts, 0),
        "updated": 1,
        "deleted": 1,
        "inserted": 1,
    }
    connection.execute(f"DELETE FROM {TABLE} WHERE country = 'fr'")
    assert versions(connection) == [(1, 1, 2), (9, 2, 3), (3, 3, 5), (3, 8, None)]


def test_a_value_seen_again_is_split_by_what_comes_late(connection: Connection) -> None:
    table = made(connection, dimension())
    for at, value in ((1, 1), (5, 1), (3, 2)):
        bring(connection, table, [Seen(DE, at, (value, None))])
    assert versions(connection) == [(1, 1, 3), (2, 3, 5), (1, 5, None)]


def test_neighbours_that_become_equal_are_one_version(connection: Connection) -> None:
    table = made(connection, dimension())
    bring(connection, table, [Seen(DE, at, (value, None)) for at, value in ((1, 1), (3, 2), (5, 1))])
    bring(connection, table, [Seen(DE, 3, (1, None))])
    assert versions(connection) == [(1, 1, None)]


def test_a_deleted_key_does_not_come_back_with_an_older_row(connection: Connection) -> None:
    table = made(connection, dimension(1))
    bring(connection, table, [Seen(DE, 5, (None, None), True)])
    assert bring(connection, table, [Seen(DE, 3, (1, None))])["superseded"] == 1
    assert held(connection, table) == set()
    bring(connection, table, [Seen(DE, 7, (1, None))])
    assert len(held(connection, table)) == 1


@pytest.mark.parametrize("type_", [1, 2, 6])
def test_a_snapshot_closes_what_it_does_not_have(connection: Connection, type_: int) -> None:
    table = made(connection, dimension(type_, effective=None, tombstone=None, missing=True))
    bring(connection, table, [Seen((c, 1), 0, (1, None)) for c in ("de", "fr", "it")], Sql("1"))
    with connection.transaction():
        connection.execute('CREATE TEMP TABLE stage (country text, "No." int) ON COMMIT DROP')
        connection.execute("INSERT INTO stage VALUES ('de', 1)")
        assert run(connection, [absent(table, Sql("pg_temp.stage"), Sql("2"))]) == (2, 3)
    counts = bring(connection, table, [Seen(DE, 0, (1, None))], Sql("2"))
    assert (counts["missing"], counts["unchanged"]) == (2, 1)
    counts = bring(connection, table, [Seen((c, 1), 0, (1, None)) for c in ("de", "fr")], Sql("4"))
    assert (counts["inserted"], counts["unchanged"]) == (1, 1)
    if type_ == 2:
        rows = connection.execute(f"SELECT valid_from, valid_to FROM {TABLE} WHERE country = 'fr' ORDER BY 1")
        assert rows.fetchall() == [(1, 2), (4, None)], "a gap while it was away"


def test_the_present_and_any_time(connection: Connection) -> None:
    table = made(connection, dimension(time=Sql("date"), surrogate="version_id"))
    connection.execute(
        f'INSERT INTO {TABLE} (country, "No.", a, valid_from, valid_to) VALUES'
        " ('de', 1, 1, '2020-01-01', '2021-01-01'),"
        " ('de', 1, 2, '2021-01-01', current_date + 1), ('de', 1, 3, current_date + 1, NULL)"
    )
    assert connection.execute('SELECT a FROM "Shop ""s""_current"').fetchall() == [(2,)]
    asked = 'SELECT a FROM "Shop ""s""_as_of"(%s::date)'
    times = ["2019-12-31", "2020-01-01", "2020-12-31", "2021-01-01", "9999-01-01"]
    found = [connection.execute(asked, [time]).fetchall() for time in times]
    assert found == [[], [(1,)], [(1,)], [(2,)], [(3,)]]
    run(connection, drop_tables(table))
    assert connection.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'Shop%'").fetchone() == (0,)


def test_facts_refer_to_the_version_that_holds_at_their_time(connection: Connection) -> None:
    made(connection, dimension())
    connection.execute(
        'CREATE TABLE facts (country text, "No." int, during int8range,'
        f' FOREIGN KEY (country, "No.", PERIOD during) REFERENCES {TABLE} (country, "No.", PERIOD valid))'
    )
    connection.execute(f"INSERT INTO {TABLE} (country, \"No.\", valid_from, valid_to) VALUES ('de', 1, 1, 5)")
    connection.execute("INSERT INTO facts VALUES ('de', 1, '[2,3)')")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        connection.execute("INSERT INTO facts VALUES ('de', 1, '[4,6)')")


def test_rows_that_tell_no_time_break_a_rule(connection: Connection) -> None:
    given = dimension(time=Sql("timestamptz"), table=Name("s", "t"))
    assert extensions(given) == ("btree_gist",)
    values = "('de', 1, 'infinity'::timestamptz), (NULL, 1, now()), ('de', 1, NULL)"
    rows = f'(VALUES {values}) AS r (country, "No.", since)'
    broken = [
        [
            name
            for name, rule in rules(given)
            if connection.execute(f"SELECT {rule} FROM {rows} OFFSET {n}").fetchone() == (False,)
        ]
        for n in range(3)
    ]
    assert broken == [["since is infinite"], ["country is null"], ["since is null"]]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"key": {}}, "there is no key"),
        ({"tracked": ("c",)}, "not an attribute: c"),
        ({"time": Sql("text")}, "no range"),
        ({"attributes": {"valid_to": Sql("int")}}, "twice: valid_to"),
        ({"tombstone": "a"}, "no row has it"),
        ({"key": {"at": Sql("int")}}, "called at"),
        ({"type": 1, "tracked": ("a",)}, "nothing is tracked"),
        ({"type": 6, "attributes": {"a" * 60: Sql("int")}}, "63 bytes"),
    ],
)
def test_a_dimension_that_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageProblem, match=said):
        dimension(**{"type_": wrong.pop("type", 2), **wrong})


def test_a_long_name_leaves_room_for_what_stands_beside(connection: Connection) -> None:
    given = dimension(table=Name("public", "é" * 31))
    connection.execute("CREATE EXTENSION btree_gist")
    run(connection, dimension_tables(given))
    run(connection, dimension_tables(given))


@pytest.mark.parametrize(
    ("time", "range_", "now"),
    [
        ("timestamp(3) with time zone", "tstzrange", "now()"),
        ("timestamp(0)", "tsrange", "localtimestamp"),
        ("numeric(10, 2)", "numrange", "valid_to IS NULL"),
    ],
)
def test_a_time_with_a_precision(connection: Connection, time: str, range_: str, now: str) -> None:
    given = made(connection, dimension(time=Sql(time)))
    assert given.range == range_
    assert any(now in statement for statement in dimension_tables(given))


@pytest.mark.parametrize("type_", ["json", "json[]", "point", "varchar(9)", "jsonb", "bytea", "boolean[]"])
def test_values_without_an_operator_are_compared(connection: Connection, type_: str) -> None:
    given = made(
        connection, dimension(attributes={"a": Sql("integer"), "b": Sql(type_)}, key={"No.": Sql("int")})
    )
    values = {"point": "(1,2)", "json": "{}", "jsonb": "{}", "bytea": "x", "varchar(9)": "x"}
    value = values.get(type_, "{}")
    counted = []
    for at, text in ((1, value), (2, value), (3, None)):
        with connection.transaction():
            connection.execute(
                f'CREATE TEMP TABLE stage ("No." int, a int, b {type_}, since bigint, "is gone" bool, _row bigint)'
                " ON COMMIT DROP"
            )
            connection.execute("INSERT INTO stage VALUES (1, 1, %s, %s, false, 1)", [text, at])
            counted.append(run(connection, merge(given, STAGE))[:2])
    assert counted == [(1, 0), (0, 0), (0, 1)]


@pytest.mark.parametrize("type_", [1, 2, 6])
@pytest.mark.parametrize("effective", ["since", None])
def test_a_key_alone_is_a_dimension(connection: Connection, type_: int, effective: str | None) -> None:
    given = made(connection, dimension(type_, attributes={}, effective=effective))
    counts = []
    for at, gone in ((1, False), (2, False), (3, True), (4, False)):
        counts.append(bring(connection, given, [Seen(DE, at, (None, None), gone)], Sql(str(at))))
    assert [(c["inserted"], c["deleted"], c["unchanged"]) for c in counts] == [
        (1, 0, 0),
        (0, 0, 1),
        (0, 1, 0),
        (1, 0, 0),
    ]
