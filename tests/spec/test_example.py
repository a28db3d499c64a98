"""The two models that we show: they must validate, read, render, and run on a real server."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from data_platform import ddl
from data_platform.model.database import Database, Domain, ForeignKey, Index
from data_platform.model.design import Design
from data_platform.postgres.server import Server
from data_platform.spec import document, validate
from data_platform.spec.model import read_model
from data_platform.sql.text import type_name

STOREFRONT = Path(__file__).parents[2] / "examples" / "storefront" / "model.yaml"


def _design(name: str) -> Design:
    if name == "storefront":
        found = document.read(STOREFRONT)
    else:
        found = document.parse(validate.example_text("model").encode(), "model.yaml")
    assert validate.check(found) == "model"
    return read_model(found)


@pytest.fixture(params=["storefront", "spec example"])
def design(request: pytest.FixtureRequest) -> Design:
    return _design(request.param)


@pytest.fixture(scope="module")
def storefront() -> Design:
    return _design("storefront")


def test_is_for_a_store_that_the_example_project_owns(design: Design) -> None:
    assert design.store == "Customer DB"


def test_renders_every_object_the_same_way_twice(design: Design) -> None:
    script = ddl.script(design, "dpe schema render model.yaml")
    assert script == ddl.script(design, "dpe schema render model.yaml")
    for table in design.database.tables:
        assert f"CREATE TABLE {table.name.name} (" in script
        for index in table.indexes:
            assert f"INDEX {index.name} ON {table.name.name} " in script


def test_runs_on_the_server_and_so_does_every_pattern(design: Design, server: Server) -> None:
    extensions = [extension.name for extension in design.database.extensions]
    with (
        server.scratch_database(extensions=extensions) as database,
        psycopg.connect(database.conninfo, autocommit=True) as connection,
    ):
        connection.execute(ddl.script(design, "again").encode())
        for pattern in design.access_patterns:
            types = ", ".join(type_name(parameter.type) for parameter in pattern.parameters)
            signature = f" ({types})" if types else ""
            connection.execute(f"PREPARE {pattern.name}{signature} AS {pattern.sql}".encode())
            prepared = connection.execute(
                "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = %s",
                [pattern.name],
            )
            assert prepared.fetchone() == (len(pattern.parameters),)


def test_storefront_is_large_enough_to_show_something(storefront: Design) -> None:
    assert len(storefront.database.tables) >= 12
    assert len(storefront.access_patterns) >= 15


def test_storefront_says_what_each_pattern_promises(storefront: Design) -> None:
    for pattern in storefront.access_patterns:
        assert pattern.per_second, pattern.name
        assert pattern.expected_rows, pattern.name
        assert pattern.latency_ms, pattern.name
        for parameter in pattern.parameters:
            known = parameter.column is not None or parameter.fixed
            assert known, f"{pattern.name}: nothing says what :{parameter.name} is like"


def test_storefront_shows_the_features_it_is_there_for(storefront: Design) -> None:
    database = storefront.database
    indexes = _indexes(database)
    assert {index.method for index in indexes} >= {"btree", "gin", "brin", "hnsw"}
    assert any(index.include for index in indexes)
    assert any(element.expression for index in indexes for element in index.elements)
    assert any(index.where and not index.unique for index in indexes)
    assert any(index.where == "deleted_at IS NULL" and index.unique for index in indexes)
    assert any(unique.nulls_not_distinct for table in database.tables for unique in table.uniques)
    assert any(len(key.columns) > 1 for key in _foreign_keys(database))
    assert any(table.exclusions for table in database.tables)
    assert any(isinstance(type_, Domain) and type_.base == "citext" for type_ in database.types)
    generated = [
        column.generated for table in database.tables for column in table.columns if column.generated
    ]
    assert {part.stored for part in generated} == {True, False}


def test_storefront_explains_every_table_and_keeps_the_house_rules(storefront: Design) -> None:
    for table in storefront.database.tables:
        assert table.comment, table.name
        assert table.name in storefront.rows, table.name
        for column in table.columns:
            assert column.type not in ("timestamp", "real", "double precision", "money"), (
                table.name,
                column.name,
            )
    for pattern in storefront.access_patterns:
        words = pattern.sql.upper()
        assert "*" not in words.replace("COUNT(*)", ""), pattern.name
        assert "OFFSET" not in words, pattern.name


def test_storefront_patterns_do_not_see_deleted_rows(storefront: Design) -> None:
    for pattern in storefront.access_patterns:
        reads = [name.name for name in storefront.soft_deleted if f" {name.name} " in f"{pattern.sql} "]
        assert not reads or "deleted_at" in pattern.sql, pattern.name


def _indexes(database: Database) -> list[Index]:
    return [index for table in database.tables for index in table.indexes]


def _foreign_keys(database: Database) -> list[ForeignKey]:
    return [key for table in database.tables for key in table.foreign_keys]
