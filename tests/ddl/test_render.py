"""Every kind and every field is rendered, runs as psql runs it, and gives the same bytes each time."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from data_platform.ddl import files, script, statements
from data_platform.model import database as model
from data_platform.postgres.binaries import find_programs, server_account
from data_platform.postgres.server import Server
from schema.everything import EVERYTHING, ROLES
from schema.everything.builders import app, design, table

DESIGN = design(EVERYTHING, default_schema="app")


@pytest.fixture
def admin(server: Server) -> Iterator[str]:
    """An empty database as a superuser, without the roles of EVERYTHING afterwards."""
    with server.scratch_database() as database:
        yield database.admin_conninfo
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        for role in ROLES:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def run_by_psql(conninfo: str, folder: Path, texts: dict[str, str]) -> None:
    """Run the files in the order of their names, as a person would."""
    parts = conninfo_to_dict(conninfo)
    for name, text in sorted(texts.items()):
        (folder / name).write_text(text)
        done = subprocess.run(
            [
                *(find_programs(server_account()) / "psql", "--no-psqlrc", "-q", "-v", "ON_ERROR_STOP=1"),
                *("-h", str(parts["host"]), "-U", str(parts["user"]), "-d", str(parts["dbname"])),
                *("-f", folder / name),
            ],
            env={**os.environ, "PGPASSWORD": str(parts["password"])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"


CATALOGS = """
SELECT (SELECT count(*) FROM pg_class WHERE oid >= 16384), (SELECT count(*) FROM pg_constraint WHERE oid >= 16384),
       (SELECT count(*) FROM pg_proc WHERE oid >= 16384), (SELECT count(*) FROM pg_trigger),
       (SELECT count(*) FROM pg_description WHERE objoid >= 16384), (SELECT count(*) FROM pg_policy)
"""


def test_psql_runs_the_script_and_the_files_and_both_make_the_same(
    admin: str, server: Server, tmp_path: Path
) -> None:
    run_by_psql(admin, tmp_path, {"script.sql": script(DESIGN, "dpe")})
    with psycopg.connect(admin) as connection:
        whole = connection.execute(CATALOGS).fetchone()
    with server.scratch_database() as second:
        run_by_psql(second.admin_conninfo, tmp_path, files(DESIGN, "dpe"))
        with psycopg.connect(second.admin_conninfo) as connection:
            assert connection.execute(CATALOGS).fetchone() == whole


def test_every_statement_stands_in_one_file_and_each_file_sets_what_it_needs() -> None:
    made = files(DESIGN, "dpe")
    for statement in statements(DESIGN):
        if statement.section != "settings":
            holders = [name for name, text in made.items() if f"\n\n{statement.sql}\n" in text]
            assert len(holders) == 1, (statement, holders)
    for name, text in made.items():
        assert ("SET check_function_bodies" in text) == ("CREATE FUNCTION" in text), name
        assert "SET search_path TO public, app, other;" in text


def test_the_same_design_gives_the_same_bytes() -> None:
    assert script(DESIGN, "dpe") == script(dataclasses.replace(DESIGN), "dpe")
    assert files(DESIGN, "dpe") == files(dataclasses.replace(DESIGN), "dpe")


def test_it_can_be_run_where_the_roles_are_there_already(admin: str, server: Server) -> None:
    for _ in range(2):
        with server.scratch_database() as again, psycopg.connect(again.admin_conninfo) as connection:
            for statement in statements(DESIGN):
                connection.execute(statement.sql.encode())


def test_the_session_setting_comes_only_with_bodies_that_name_what_is_made_later() -> None:
    plain = model.Function(
        name=app("touch"), language="plpgsql", returns="trigger", body="BEGIN RETURN NEW; END"
    )
    declares = dataclasses.replace(plain, body="DECLARE o app.orders; BEGIN RETURN NEW; END")
    for function, wanted in ((plain, False), (declares, True)):
        database = model.Database(functions=(function,), tables=(table("orders"),))
        made = [statement.section for statement in statements(design(database))]
        assert ("settings" in made) == wanted


# --- that EVERYTHING is everything ---


def parts(value: Any) -> Iterator[Any]:
    """Every dataclass in `value`."""
    if dataclasses.is_dataclass(value):
        yield value
        for field in dataclasses.fields(value):
            yield from parts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from parts(item)


KINDS = [
    kind
    for kind in vars(model).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == model.__name__
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_of_every_kind_is_said_somewhere(kind: type) -> None:
    found = [part for part in parts(EVERYTHING) if type(part) is kind]
    assert found
    for field in dataclasses.fields(kind):
        default = None if field.default is dataclasses.MISSING else field.default
        assert any(getattr(part, field.name) != default for part in found), field.name


def test_every_choice_is_made_somewhere() -> None:
    made: dict[Any, set[Any]] = {}
    for part in parts(EVERYTHING):
        for name, hint in typing.get_type_hints(type(part)).items():
            if typing.get_origin(hint) is typing.Literal:
                made.setdefault(hint, set()).add(getattr(part, name))
    assert {hint: set(typing.get_args(hint)) - found for hint, found in made.items()} == {
        hint: set() for hint in made
    }


def test_a_large_design_is_quick() -> None:
    """The time grows with the number of tables; processor time, since the machine may be busy."""
    started = time.process_time()
    made = statements(design(large(200)))
    assert len(made) == 4 * 200 + 1  # the first key refers to its own index, so it comes after that
    assert time.process_time() - started < 2.5


def large(count: int) -> model.Database:
    """So many tables that refer to each other, with as many views and functions over them."""
    numbers = range(count)
    return model.Database(
        tables=tuple(
            table(
                f"t{number:04}",
                *(model.Column(name=f"c{other}", type="numeric(10,2)", default="1.5") for other in range(15)),
                checks=(model.Check(name="c", expression=f"app.f{number:04}(c1) > {number}"),),
                indexes=(
                    model.Index(
                        name=f"i{number:04}", elements=(model.IndexElement(column="c2"),), unique=True
                    ),
                ),
                foreign_keys=(
                    model.ForeignKey(
                        name="k",
                        columns=("c1",),
                        target=app(f"t{number // 2:04}"),
                        target_columns=("c2",),
                    ),
                ),
            )
            for number in numbers
        ),
        views=tuple(
            model.View(
                name=app(f"v{number:04}"),
                query=f"SELECT a.c1 FROM app.t{number:04} a JOIN app.t0000 b USING (c2)",
            )
            for number in numbers
        ),
        functions=tuple(
            model.Function(
                name=app(f"f{number:04}"),
                language="sql",
                arguments="x numeric",
                returns="numeric",
                sql_body=f"RETURN x + {number}",
            )
            for number in numbers
        ),
    )
