"""A state from SQL and one from the server's catalog say the same of a schema."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from data_platform.migration.lint.base import from_database, nothing_known
from data_platform.migration.lint.state import Relation, State
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database, Server
from migration.lint.linting import base
from migration.lint.test_effects import SCHEMA, STATEMENTS, said_by_us


@pytest.fixture(scope="module")
def of_server(server: Server) -> Iterator[State]:
    with server.scratch_database() as database:
        with psycopg.connect(database.admin_conninfo, autocommit=True) as connection:
            connection.execute(SCHEMA.encode())
        with connect(database.admin_conninfo, read_only=True) as connection:
            yield from_database(read(connection))


@pytest.fixture(scope="module")
def of_sql() -> State:
    return base(SCHEMA)


def test_both_know_the_same_tables_and_columns(of_server: State, of_sql: State) -> None:
    def columns(state: State) -> dict[str, dict[str, tuple[bool, bool, str]]]:
        return {
            str(table.name): {
                column.name: (column.not_null, column.default, column.type.name)
                for column in table.columns.values()
            }
            for table in state.tables.values()
            if table.columns is not None
        }

    assert columns(of_server) == columns(of_sql)


def test_both_know_the_same_constraints_and_indexes(of_server: State, of_sql: State) -> None:
    def constraints(state: State) -> set[object]:
        return {
            (str(table.name), one.name, one.kind, one.valid, one.proves, one.target)
            for table in state.tables.values()
            for one in table.constraints.values()
        }

    def indexes(state: State) -> set[object]:
        return {
            (one.name, one.table, one.unique, one.partial, one.computed) for one in state.indexes.values()
        }

    assert constraints(of_server) == constraints(of_sql)
    assert indexes(of_server) == indexes(of_sql)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_both_lead_to_the_same_effects(statement: str, of_server: State, of_sql: State) -> None:
    def seen(state: State) -> tuple[set[object], set[object]]:
        effects = said_by_us(statement, state)
        work = {(one.kind, one.cause, one.table, one.mode, one.certain) for one in effects.work}
        return work, {(one.table, one.mode) for one in effects.locks}

    assert seen(of_server) == seen(of_sql)


def test_domains_enums_and_functions_are_known(of_server: State, of_sql: State) -> None:
    assert of_server.domains == of_sql.domains
    assert of_server.enums == of_sql.enums
    assert {name: one.volatility for name, one in of_server.routines.items()} == {
        name: one.volatility for name, one in of_sql.routines.items()
    }


def test_a_schema_that_is_given_is_complete() -> None:
    missing = Relation("public", "missing")
    assert base("CREATE TABLE t (a int)").missing(missing)
    assert not nothing_known().missing(missing)
    assert not base("CREATE TABLE missing (a int)").missing(missing)


def test_names_are_found_on_the_search_path() -> None:
    state = base(
        "CREATE SCHEMA app; SET search_path = app, public; CREATE TABLE t (a int); CREATE TABLE public.u ()"
    )
    assert set(state.tables) == {Relation("app", "t"), Relation("public", "u")}
    assert state.search_path == ("public",)


LONG = "a_table_whose_name_is_as_long_as_postgresql_lets_a_name_be_here"
NAMES = f"""
CREATE TABLE {LONG} (column_with_a_long_name_of_its_own int CHECK (column_with_a_long_name_of_its_own > 0), b int,
  UNIQUE (column_with_a_long_name_of_its_own, b));
CREATE TABLE t (a int CHECK (a > 0), b int UNIQUE CHECK (b > a), PRIMARY KEY (a), UNIQUE (a, b), CHECK (a > 1));
CREATE INDEX ON t (a);
CREATE INDEX ON t (a);
CREATE INDEX ON t ((a + b), abs(b));
CREATE INDEX ON {LONG} (column_with_a_long_name_of_its_own, b);
"""


def test_names_are_made_up_as_the_server_does(database: Database) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute(NAMES.encode())
        constraints = connection.execute(
            "SELECT conname FROM pg_constraint WHERE contype <> 'n' AND connamespace = 'public'::regnamespace"
        )
        made = {name for (name,) in constraints.fetchall()}
        indexes = connection.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'"
        ).fetchall()
    state = base(NAMES)
    assert {name for table in state.tables.values() for name in table.constraints} == made
    assert {index.name for index in state.indexes} == {name for (name,) in indexes}
