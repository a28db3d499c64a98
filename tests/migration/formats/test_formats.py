"""Every format: its statements read back as they were, run on a server, and what the files say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath

import psycopg
import pytest

from data_platform.errors import UsageProblem
from data_platform.migration import formats
from data_platform.migration.formats import Start
from data_platform.migration.formats.context import Files
from data_platform.migration.formats.quoting import plain
from data_platform.migration.formats.session import stands_alone
from data_platform.migration.plan.step import Plan, Step
from data_platform.postgres.catalog import read as read_catalog
from data_platform.postgres.server import Database
from data_platform.sql.text import Sql
from migration.formats.plans import BEFORE, HEADER, PLAN
from migration.formats.reading import SQL_FORMATS, Run, runs, written

NOON = datetime(2026, 1, 1, 12)
STRINGS = ("dbmate", "golang-migrate", "liquibase", "prisma")
"""Tools that send a file as one string."""


def made(tool: str, plan: Plan = PLAN) -> Files:
    return formats.files(plan, tool, name="add status", header=HEADER, start=Start(now=NOON))


def expected(steps: Iterable[Step], tool: str, *, down: bool = False) -> list[Run]:
    found: list[Run] = []
    for step in reversed(tuple(steps)) if down else steps:
        statements = tuple(plain(one) for one in (step.down if down else step.up))
        if step.transaction:
            found += [(True, statements)] if statements else []
        else:
            found += [(tool in STRINGS and not stands_alone(one), (one,)) for one in statements]
    return found


@pytest.mark.parametrize("tool", SQL_FORMATS)
def test_statements_and_their_transactions_read_back(tool: str, tmp_path: Path) -> None:
    files = made(tool)
    root = written(files, tmp_path)
    assert list(runs(files, tool, root, "up")) == expected(PLAN.steps, tool)
    assert list(runs(files, tool, root, "down")) == expected(PLAN.steps, tool, down=True)


@pytest.mark.parametrize("tool", SQL_FORMATS)
def test_up_and_down_leave_the_catalog_as_it_was(tool: str, tmp_path: Path, database: Database) -> None:
    # Without the last step: a column that comes back comes back as the last one.
    plan = Plan(steps=PLAN.steps[:-1])
    files = made(tool, plan)
    root = written(files, tmp_path)
    with psycopg.connect(database.admin_conninfo, autocommit=True) as connection:
        connection.execute(BEFORE.encode())
        before = read_catalog(connection)
        for _ in range(2):
            run(connection, runs(files, tool, root, "up"))
            assert connection.execute(
                "SELECT count(*) FROM orders WHERE status = 'new: 100%'"
            ).fetchone() == (500,)
            run(connection, runs(files, tool, root, "down"))
            assert read_catalog(connection) == before


def run(connection: psycopg.Connection, found: Iterable[Run]) -> None:
    for together, statements in found:
        text = ";\n".join(statements)
        connection.execute((f"BEGIN;\n{text}\n;COMMIT" if together else text).encode())


@pytest.mark.parametrize("tool", formats.FORMATS)
def test_the_same_plan_has_the_same_bytes(tool: str) -> None:
    assert made(tool) == made(tool)


@pytest.mark.parametrize("tool", formats.FORMATS)
def test_each_step_says_what_made_it_and_what_it_waits_for(tool: str) -> None:
    texts = [
        text for path, text in made(tool).items() if "Step 1 of 6" in text and "sqitch.plan" not in path.name
    ]
    (text,) = texts
    for said in (
        "made by data-platform-engineer",
        "for PostgreSQL 18",
        f"old.sql (SHA-256 {'a' * 64})",
        "Again: dpe migration plan",
        "(expand): add_orders_status",
        "Locks: ACCESS EXCLUSIVE on orders",
        "Application: old before it, old after it",
        "55P03",
        "SET LOCAL lock_timeout = '400ms'",
        "SET LOCAL statement_timeout = '30s'",
    ):
        assert said in text


@pytest.mark.parametrize("tool", [tool for tool in formats.FORMATS if tool != "plain"])
def test_contract_waits_where_the_tool_does_not_look(tool: str) -> None:
    files = made(tool)
    waits = {path for path, text in files.items() if "(contract)" in text}
    home = formats.FORMATS[tool].default.directory
    assert waits
    for path in waits:
        assert "contract" in path.parts
        assert home == PurePosixPath() or not path.is_relative_to(home)
    (advice,) = [text for path, text in files.items() if path.name == "README.md"]
    assert "Deploy the new application" in advice
    assert "add_status" not in advice


@pytest.mark.parametrize("tool", STRINGS)
def test_the_second_file_of_a_step_says_what_to_do_after_a_failure(tool: str) -> None:
    said = [str(path) for path, text in made(tool).items() if "If it failed: run what the files" in text]
    assert len(said) == 1
    assert "index_orders_status_2" in said[0]


def test_a_plan_without_contract_has_no_advice() -> None:
    assert not [path for path in made("dbmate", Plan(steps=PLAN.steps[:3])) if path.name == "README.md"]


def test_applications_that_work() -> None:
    said = re.findall(r"Application: (.*)", "".join(made("plain").values()))
    assert said == [
        "old before it, old after it",
        "old before it, old after it",
        "old before it, old and new after it",
        "old and new before it, old and new after it",
        "old and new before it, old and new after it",
        "old and new before it, new after it",
    ]


def test_what_is_lost_is_said_where_it_is_taken_back() -> None:
    (text,) = [t for p, t in made("plain").items() if p.name == "add_status_06_drop_orders_note.rollback.sql"]
    assert "Gone for good: public.orders.note." in text
    assert "To keep a copy: CREATE TABLE orders_note" in text


GONE = Plan(steps=(replace(PLAN.steps[-1], down=()),))


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("alembic", "raise NotImplementedError("),
        ("django", "reverse_sql=None"),
        ("rails", "raise ActiveRecord::IrreversibleMigration"),
        ("node-pg-migrate", "throw new Error("),
        *(
            (tool, "RAISE EXCEPTION USING MESSAGE = 'drop_orders_note cannot be taken back")
            for tool in SQL_FORMATS
        ),
    ],
)
def test_what_nothing_brings_back_refuses_to_go_down(tool: str, said: str) -> None:
    assert [text for text in made(tool, GONE).values() if said in text]


@pytest.mark.parametrize("tool", [t for t in formats.FORMATS if formats.FORMATS[t].clock])
def test_versions_that_are_times_need_a_clock(tool: str) -> None:
    with pytest.raises(UsageProblem, match="counts by time"):
        formats.files(PLAN, tool)


def test_versions_go_on_from_the_given_one() -> None:
    files = formats.files(PLAN, "goose", name="x", start=Start(version="0098"))
    names = [path.name[:4] for path in files if path.suffix == ".sql"]
    assert names == ["0098", "0099", "0100", "0101", "0102", "0103"]
    with pytest.raises(UsageProblem, match="not a version"):
        formats.files(PLAN, "goose", start=Start(version="1; DROP"))


def test_a_comment_holds_whatever_a_path_says() -> None:
    header = replace(
        HEADER, sources=(("x\n-- migrate:down\nDROP TABLE orders;\r.sql", "f"),), command="a\u2028b\nc"
    )
    for tool in formats.FORMATS:
        text = "".join(formats.files(PLAN, tool, header=header, start=Start(now=NOON)).values())
        assert not re.search(r"(?m)^\W*DROP TABLE", text)
        assert not re.search(r"(?m)^\W*migrate:down\n.*DROP TABLE", text)


def test_limits_are_off_where_a_timeout_would_leave_it_half_done() -> None:
    text = next(t for p, t in made("goose").items() if "index" in p.name)
    assert text.index("SET lock_timeout = 0") < text.index("CREATE INDEX CONCURRENTLY")
    validate = next(t for p, t in made("goose").items() if "validate" in p.name)
    assert "SET lock_timeout = '400ms'" in validate
    assert "SET statement_timeout = 0" in validate
    blocking = replace(PLAN.steps[0], blocks="there is no other form")
    assert "SET LOCAL statement_timeout = 0" in "".join(made("goose", Plan(steps=(blocking,))).values())


def test_statements_that_must_stand_alone() -> None:
    for alone in (
        "CREATE INDEX CONCURRENTLY i ON t (a)",
        "DROP INDEX CONCURRENTLY i",
        "REINDEX (CONCURRENTLY) INDEX i",
        "ALTER TABLE p DETACH PARTITION c CONCURRENTLY",
        "VACUUM t",
        "CALL p()",
        "DO $$BEGIN COMMIT; END$$",
    ):
        assert stands_alone(Sql(alone)), alone
    for not_alone in (
        "CREATE INDEX i ON t (a)",
        "ALTER TABLE p DETACH PARTITION c",
        "DO $$BEGIN NULL; END$$",
    ):
        assert not stands_alone(Sql(not_alone)), not_alone
