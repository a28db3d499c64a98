"""Summaries of tables that are not plain: partitions, heirs, generated columns, types with operators of their own."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from data_platform.errors import UsageProblem
from data_platform.pipeline.run import Ran
from data_platform.postgres.server import Database
from pipeline.running import ask, do

SOURCE = '"Tele"."Readings"'
VIEW = '"Tele"."Per Device"'
SPEC = """pattern: views
sources: [{name: r, dsn: target, table: '"Tele"."Readings"'}]
summaries:
  - view: '"Tele"."Per Device"'
    from: r
    groups: [g]
    measures: {n: count, low: min(x), high: max(x)%s}
"""
SUMMED = SPEC % ", t: sum(x)"
PARTED = f"""
CREATE TABLE {SOURCE} (id int, g int, x int, PRIMARY KEY (id, g)) PARTITION BY LIST (g);
CREATE TABLE one PARTITION OF {SOURCE} FOR VALUES IN (1);
CREATE TABLE two PARTITION OF {SOURCE} FOR VALUES IN (2);
"""


@pytest.fixture
def tele(database: Database) -> Database:
    ask(database, 'CREATE SCHEMA "Tele"')
    return database


def assert_same(tele: Database) -> None:
    fresh = f"SELECT g, count(*), min(x), max(x), sum(x) FROM {SOURCE} GROUP BY g ORDER BY 1"
    assert ask(tele, f"SELECT * FROM {VIEW} ORDER BY 1") == ask(tele, fresh)


def ways(ran: Ran) -> list[str]:
    return [one.way for one in ran.steps]


def test_partitions_written_to_by_name(tele: Database, tmp_path: Path) -> None:
    ask(tele, PARTED)
    do(tele, tmp_path, SUMMED)
    ask(
        tele, f"INSERT INTO {SOURCE} VALUES (1, 1, 1), (2, 2, 2); INSERT INTO one VALUES (5, 1, 3), (6, 1, 4)"
    )
    assert_same(tele)
    ask(tele, f"UPDATE {SOURCE} SET g = 2 WHERE id = 1; UPDATE two SET x = 9; DELETE FROM one WHERE id = 6")
    assert_same(tele)
    ask(tele, "TRUNCATE one")
    assert_same(tele)
    ask(tele, f"TRUNCATE {SOURCE}")
    assert_same(tele)
    assert do(tele, tmp_path, SUMMED).steps == ()


def test_partitions_that_come_and_go(tele: Database, tmp_path: Path) -> None:
    ask(tele, PARTED + f"INSERT INTO {SOURCE} VALUES (1, 1, 1), (2, 2, 2), (3, 2, 0)")
    do(tele, tmp_path, SUMMED)
    ask(
        tele,
        "CREATE TABLE three (id int NOT NULL, g int NOT NULL, x int); INSERT INTO three VALUES (3, 3, 3)",
    )
    ask(tele, f"ALTER TABLE {SOURCE} ATTACH PARTITION three FOR VALUES IN (3)")
    assert ways(do(tele, tmp_path, SUMMED)) == ["set right, 1 groups were wrong"]
    ask(tele, "INSERT INTO three VALUES (4, 3, 1)")
    assert_same(tele)
    ask(tele, f"ALTER TABLE {SOURCE} DETACH PARTITION three; DROP TABLE two")
    assert ways(do(tele, tmp_path, SUMMED)) == ["set right, 2 groups were wrong"]
    ask(tele, "INSERT INTO three VALUES (5, 3, 1); TRUNCATE three")
    assert_same(tele)
    assert do(tele, tmp_path, SUMMED).steps == ()


def test_what_inherits_is_counted(tele: Database, tmp_path: Path) -> None:
    ask(
        tele,
        f"CREATE TABLE {SOURCE} (id int, g int, x int); CREATE TABLE heir (more int) INHERITS ({SOURCE})",
    )
    do(tele, tmp_path, SUMMED)
    ask(tele, f"INSERT INTO {SOURCE} VALUES (1, 1, 1); INSERT INTO heir VALUES (2, 2, 2, 2), (3, 1, 3, 3)")
    assert_same(tele)
    ask(tele, f"UPDATE {SOURCE} SET x = x + 1; DELETE FROM ONLY {SOURCE}")
    assert_same(tele)
    ask(tele, "TRUNCATE heir")
    assert_same(tele)


def test_generated_columns(tele: Database, tmp_path: Path) -> None:
    (version,) = ask(tele, "SHOW server_version_num")
    kind = "VIRTUAL" if int(version[0]) >= 180_000 else "STORED"
    ask(
        tele,
        f'CREATE TABLE {SOURCE} (id int PRIMARY KEY, "found" int, g int GENERATED ALWAYS AS ("found" % 3) {kind},'
        f' x int GENERATED ALWAYS AS ("found" * 2) {kind})',
    )
    text = SUMMED + "    where: found > 0 AND x < 100\n"
    ask(tele, f"INSERT INTO {SOURCE} VALUES (1, 1), (2, 2)")
    do(tele, tmp_path, text)
    ask(
        tele,
        f'INSERT INTO {SOURCE} VALUES (4, 5), (5, 12), (6, 2); UPDATE {SOURCE} SET "found" = 7 WHERE id = 1',
    )
    assert_same(tele)
    ask(tele, f"DELETE FROM {SOURCE} WHERE id = 4")
    assert_same(tele)


def test_types_that_bring_their_own_operators(tele: Database, tmp_path: Path) -> None:
    ask(
        tele,
        "CREATE EXTENSION citext; CREATE DOMAIN word AS citext;"
        f"CREATE TABLE {SOURCE} (id int PRIMARY KEY, g word, x citext, state citext)",
    )
    ask(tele, f"INSERT INTO {SOURCE} VALUES (1, 'a', 'c', 'Open')")
    text = (SPEC % "") + "    where: state = 'open'\n    verify: true\n"
    do(tele, tmp_path, text)
    ask(
        tele,
        f"INSERT INTO {SOURCE} VALUES (2, 'A', 'B', 'OPEN'), (3, 'A', 'd', 'open'), (4, NULL, 'e', 'open')",
    )
    shown = f"SELECT lower(g), n, low, high FROM {VIEW} ORDER BY 1"
    assert ask(tele, shown) == [("a", 3, "B", "d"), (None, 1, "e", "e")]
    ask(tele, f"DELETE FROM {SOURCE} WHERE id IN (2, 4); UPDATE {SOURCE} SET g = 'A', x = 'Z' WHERE id = 1")
    assert ask(tele, shown) == [("a", 2, "d", "Z")]
    ask(tele, f"DELETE FROM {SOURCE}")
    assert ask(tele, shown) == []
    assert ways(do(tele, tmp_path, text)) == ["as the aggregate"]


def test_collations_and_domains_are_the_columns(tele: Database, tmp_path: Path) -> None:
    ask(
        tele,
        'CREATE DOMAIN "Tele"."Amount" AS numeric(10, 2) CHECK (VALUE >= 0);'
        f'CREATE TABLE {SOURCE} (g text COLLATE "POSIX", x "Tele"."Amount", name varchar(9) COLLATE "C")',
    )
    do(tele, tmp_path, SUMMED.replace("low:", "first: min(name), low:"))
    ask(tele, f"INSERT INTO {SOURCE} VALUES ('a', 1.5, 'B'), ('a', 2, 'a'), (NULL, 0, NULL)")
    assert ask(tele, f"SELECT n, first, t::text FROM {VIEW} ORDER BY g") == [
        (2, "B", "3.50"),
        (1, None, "0.00"),
    ]
    collations = (
        "SELECT attname, attcollation::regcollation::text FROM pg_attribute WHERE attnum > 0 AND attcollation <> 0"
        f" AND attrelid = '{VIEW[:-1]}_parts\"'::regclass ORDER BY attnum"
    )
    assert ask(tele, collations) == [("g", '"POSIX"'), ("_min_0", '"C"'), ("_max_0", '"C"')]


def test_two_of_one_name_in_two_schemas(tele: Database, tmp_path: Path) -> None:
    ask(
        tele,
        f"CREATE TABLE {SOURCE} (id int PRIMARY KEY, g int, x int); INSERT INTO {SOURCE} VALUES (1, 1, 1)",
    )
    text = SUMMED + SUMMED[SUMMED.index("  - view:") :].replace('"Tele"."Per', '"Other"."Per')
    do(tele, tmp_path, text)
    ask(tele, f"INSERT INTO {SOURCE} VALUES (2, 1, 5)")
    assert_same(tele)
    assert ask(tele, f"TABLE {VIEW}") == ask(tele, 'TABLE "Other"."Per Device"')
    assert do(tele, tmp_path, text).steps == ()


def test_triggers_of_an_earlier_name_are_no_second_ones(tele: Database, tmp_path: Path) -> None:
    ask(
        tele,
        f"CREATE TABLE {SOURCE} (id int PRIMARY KEY, g int, x int); INSERT INTO {SOURCE} VALUES (1, 1, 1)",
    )
    do(tele, tmp_path, SUMMED)
    for (name,) in ask(tele, f"SELECT tgname FROM pg_trigger WHERE tgrelid = '{SOURCE}'::regclass"):
        ask(tele, f'ALTER TRIGGER "{name}" ON {SOURCE} RENAME TO "{name.partition(".")[2]}"')
    ask(
        tele,
        "UPDATE dpe_pipeline.checkpoints SET position = position - 'made' - 'below' WHERE step = '_dpe_summary'",
    )
    assert ways(do(tele, tmp_path, SUMMED)) == ["as the aggregate"]
    ask(tele, f"INSERT INTO {SOURCE} VALUES (2, 1, 5)")
    assert_same(tele)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_cannot_be_added_up_is_named(tele: Database, tmp_path: Path, value: str) -> None:
    ask(tele, f"CREATE TABLE {SOURCE} (id int PRIMARY KEY, g int, x numeric)")
    do(tele, tmp_path, SUMMED)
    told = r"a value of x in Tele\.Readings is no number that can be added up"
    with pytest.raises(psycopg.errors.CheckViolation, match=told) as raised:
        ask(tele, f"INSERT INTO {SOURCE} VALUES (1, 1, '{value}')")
    assert "leave sum(x) and avg(x) out of the summary Tele.Per Device" in str(raised.value.diag.message_hint)
    ask(tele, f"ALTER TABLE {SOURCE} DISABLE TRIGGER ALL; INSERT INTO {SOURCE} VALUES (1, 1, '{value}')")
    with pytest.raises(UsageProblem, match=told) as refused:
        do(tele, tmp_path, SUMMED)
    assert "Write a number or NULL" in str(refused.value.expected)
    do(tele, tmp_path, (SPEC % "") + "changed: rebuild\n")
    assert ask(tele, f"SELECT low::text FROM {VIEW}") == [(value,)]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("x > random()", "must be marked IMMUTABLE"),
        ("at > now() - interval '1 day'", "must be marked IMMUTABLE"),
        ("at::date = '2026-01-01'", "must be marked IMMUTABLE"),
        ("x > (SELECT count(*) FROM pg_class)", "cannot use subquery"),
        ("sum(x) > 1", "aggregate functions are not allowed"),
        ("colour = 'red'", "does not exist"),
    ],
)
def test_a_condition_that_the_row_alone_does_not_decide(
    tele: Database, tmp_path: Path, where: str, told: str
) -> None:
    ask(tele, f"CREATE TABLE {SOURCE} (id int PRIMARY KEY, g int, x int, at timestamptz)")
    with pytest.raises(
        UsageProblem, match=rf"`where:` of the summary Tele\.Per Device cannot be kept: .*{told}"
    ):
        do(tele, tmp_path, SUMMED + f'    where: "{where}"\n')
    do(
        tele,
        tmp_path,
        SUMMED + "    where: at >= '2026-01-01Z' AND (at AT TIME ZONE 'UTC')::date < '2027-01-01'\n",
    )


def test_emptied_by_a_transaction_with_an_old_snapshot(tele: Database, tmp_path: Path) -> None:
    ask(tele, f"CREATE TABLE {SOURCE} (id int PRIMARY KEY, g int, x int)")
    do(tele, tmp_path, SUMMED)
    with psycopg.connect(tele.conninfo) as older:
        older.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        older.execute("SELECT FROM pg_class")
        ask(tele, f"INSERT INTO {SOURCE} VALUES (1, 1, 1)")
        older.execute(f"TRUNCATE {SOURCE}".encode())
    assert_same(tele)


def test_rows_that_a_policy_hides_are_missed_by_nobody(tele: Database, tmp_path: Path) -> None:
    ask(
        tele,
        f"CREATE TABLE {SOURCE} (id int PRIMARY KEY, g int, x int); INSERT INTO {SOURCE} VALUES (1, 1, 1), (2, 2, 2)",
    )
    ask(
        tele, f"ALTER TABLE {SOURCE} ENABLE ROW LEVEL SECURITY; ALTER TABLE {SOURCE} FORCE ROW LEVEL SECURITY"
    )
    ask(tele, f"CREATE POLICY p ON {SOURCE} USING (g = 1)")
    views = 'pattern: views\nviews: [{name: v, sql: \'SELECT id FROM "Tele"."Readings"\', unique: [id]}]\n'
    for text in (SUMMED, views):
        with pytest.raises(UsageProblem, match="row-level security policy for table"):
            do(tele, tmp_path, text)
