"""Render, load, read back: the catalog equals the model, whatever the model; and nothing in it can leave its place."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import yaml
from hypothesis import HealthCheck, assume, event, given, settings

from data_platform.ddl import files, script, statements
from data_platform.model.design import Design
from data_platform.model.differences import differences
from data_platform.postgres.canonical import canonical, comparable
from data_platform.postgres.catalog import read
from data_platform.postgres.server import Server
from data_platform.spec import document, validate
from data_platform.spec.model import read_model
from data_platform.sql.text import identifier, literal
from strategies import HOSTILE, key_text, models


def design_of(spec: dict[str, Any]) -> Design:
    text = yaml.safe_dump(spec, allow_unicode=True, sort_keys=False)
    parsed = document.parse(text.encode(), "model.yaml")
    validate.check(parsed)
    return read_model(parsed)


@pytest.fixture(scope="module")
def connection(server: Server) -> Any:
    with (
        server.scratch_database(extensions=["vector", "citext", "btree_gist"]) as database,
        psycopg.connect(database.conninfo, autocommit=True) as connection,
    ):
        yield connection


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(models())
def test_random_models_come_back_equal(connection: psycopg.Connection[Any], spec: dict[str, Any]) -> None:
    try:
        design = design_of(spec)
    except document.SpecProblem as problem:
        event(f"refused: {problem.findings[0].rule}")
        if not all(finding.line and finding.column for finding in problem.findings):
            raise
        assume(False)
    with connection.transaction(force_rollback=True):
        for statement in statements(design):
            connection.execute(statement.sql.encode())
        found = read(connection)
        wanted = canonical(connection, design, found)
    had = comparable(found, design)
    assert differences(wanted, had).equal, differences(wanted, had)
    event("loaded")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(models())
def test_the_same_model_gives_the_same_bytes(spec: dict[str, Any]) -> None:
    try:
        first, second = design_of(spec), design_of(spec)
    except document.SpecProblem:
        assume(False)
    assert script(first, "dpe") == script(second, "dpe")
    assert files(first, "dpe") == files(second, "dpe")


def test_hostile_texts_everywhere_stay_where_they_are(connection: psycopg.Connection[Any]) -> None:
    """Every hostile text as a table, column, label, comment, constraint and index name at once."""
    spec: dict[str, Any] = {"kind": "model", "store": "Customer DB; DROP", "types": {}, "tables": {}}
    spec["extensions"] = ["vector", "citext", "btree_gist"]
    for number, text in enumerate(HOSTILE):
        key = f"t{number}" if text == "a.b" else key_text("public", text)
        spec["types"][f"e{number}"] = {"enum": [text], "comment": text}
        spec["tables"][key] = {
            "comment": text,
            "columns": {
                text: {
                    "type": f"e{number}",
                    "comment": text,
                    "default": str(literal(text)),
                }
            },
            "checks": {text: f"{identifier(text)} IS NOT NULL"},
            "indexes": [{"columns": [text], "name": f"i {number} {text}"[:20], "comment": text}],
        }
    design = design_of(spec)
    with connection.transaction(force_rollback=True):
        for statement in statements(design):
            connection.execute(statement.sql.encode())
        found = read(connection)
        wanted = canonical(connection, design, found)
        assert differences(wanted, comparable(found, design)).equal
        with connection.transaction(force_rollback=True), connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            assert cursor.fetchone() == (len(HOSTILE),)


def test_the_header_is_a_comment_whatever_the_file_is_called() -> None:
    design = design_of({"kind": "model", "store": "x\ny", "tables": {"t": {"columns": {"a": "int"}}}})
    text = script(design, "dpe\n; DROP TABLE t")
    assert [line for line in text.split("\n\n")[0].splitlines() if not line.startswith("-- ")] == []
