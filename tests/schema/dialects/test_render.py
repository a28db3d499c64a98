"""The rendered text: targets read it back, nothing is lost without a word, the same design gives the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlglot
import yaml
from hypothesis import HealthCheck, assume, given, settings
from sqlglot import exp

from data_platform.model.database import Database
from data_platform.model.design import Design
from data_platform.report.finding import SEVERITIES
from data_platform.schema.dialects import TARGETS, Dialect, Rendered, render
from data_platform.spec import document, validate
from data_platform.spec.model import read_model
from schema.designs import SHOP, design
from schema.dialects.engines import EXECUTED, Engine, opened
from strategies import HOSTILE, key_text, models

STOREFRONT = Path(__file__).parents[3] / "examples" / "storefront" / "model.yaml"


def storefront() -> Design:
    return read_model(document.parse(STOREFRONT.read_bytes(), "model.yaml"))


def names(database: Database) -> list[str]:
    """The name of every object."""
    found = [type_.name.name for type_ in database.types]
    found += [extension.name for extension in database.extensions]
    found += [function.name.name for function in database.functions]
    for table in database.tables:
        found.append(table.name.name)
        parts = (table.columns, tuple(table.constraints), table.indexes, table.triggers)
        found += [part.name for group in parts for part in group]
    return found


def lost(design_: Design, made: Rendered, dialect: Dialect) -> list[str]:
    """Names of objects that are neither in the statements nor the object of a finding."""
    sql = "\n".join(made.statements)
    said = [finding.object or "" for finding in made.findings]
    return [
        name
        for name in names(design_.database)
        if not any(form in sql for form in spelled(name, dialect)) and not any(name in text for text in said)
    ]


def spelled(name: str, dialect: Dialect) -> tuple[str, ...]:
    def quoted(text: str) -> str:
        return exp.to_identifier(text, quoted=True).sql(dialect=dialect)

    # Without schemas, and in the names of checks, it is a part of a longer name.
    return quoted(name), quoted(name.upper()), quoted(name)[1:-1]


@pytest.mark.parametrize("dialect", ["bigquery", "snowflake", "spark"])
def test_every_statement_is_read_back(dialect: Dialect) -> None:
    for subject in (storefront(), design(SHOP)):
        for statement in render(subject, dialect, "dpe").statements:
            tree = sqlglot.parse_one(statement, read=dialect)
            assert isinstance(tree, exp.Create | exp.Alter), statement


@pytest.mark.parametrize("dialect", TARGETS)
def test_nothing_of_the_storefront_disappears(dialect: Dialect) -> None:
    assert lost(storefront(), render(storefront(), dialect, "dpe"), dialect) == []


@pytest.mark.parametrize("dialect", TARGETS)
def test_each_object_counts_once(dialect: Dialect) -> None:
    database = storefront().database
    made = render(storefront(), dialect, "dpe")
    objects = len(names(database)) + len(database.schemas)
    assert (made.expressed + made.left_out, made.left_out > 0) == (objects, True)


@pytest.mark.parametrize("dialect", TARGETS)
def test_each_object_left_out_has_a_finding(dialect: Dialect) -> None:
    made = render(storefront(), dialect, "dpe")
    assert len([f for f in made.findings if " left out" in f.message]) >= made.left_out
    assert {f.rule for f in made.findings} == {"dialect-approximation", "dialect-unsupported"}
    assert {f.severity for f in made.findings} == set(SEVERITIES)


@pytest.mark.parametrize("dialect", TARGETS)
def test_findings_point_into_the_spec(dialect: Dialect) -> None:
    made = render(design(SHOP), dialect, "dpe")
    places = [
        f for f in made.findings if (f.object or "").startswith(("public.orders.", "public.order_items."))
    ]
    assert places
    assert all(f.line and f.file for f in places)


@pytest.mark.parametrize("dialect", TARGETS)
def test_the_file_says_what_made_it_and_for_what(dialect: Dialect) -> None:
    subject = replace(design(SHOP), store="x\n; DROP TABLE t", file="a\u202eb")
    made = render(subject, dialect, "dpe schema render\n; DROP TABLE t")
    head = made.sql.split("\n\n")[0].splitlines()
    assert len(head) == 3
    assert all(line.startswith("-- ") for line in head)
    assert TARGETS[dialect].title in head[0]
    assert made.sql.endswith(f"{made.statements[-1]};\n")


@pytest.mark.parametrize("dialect", TARGETS)
def test_the_same_design_gives_the_same_bytes(dialect: Dialect) -> None:
    assert render(storefront(), dialect, "dpe") == render(storefront(), dialect, "dpe")


def test_sessions_of_sqlite_and_mysql_are_set_first() -> None:
    assert render(design(SHOP), "sqlite", "dpe").statements[0] == "PRAGMA foreign_keys = ON"
    assert "STRICT_ALL_TABLES" in render(design(SHOP), "mysql", "dpe").statements[1]


def design_of(spec: dict[str, Any]) -> Design:
    parsed = document.parse(yaml.safe_dump(spec, allow_unicode=True, sort_keys=False).encode(), "model.yaml")
    validate.check(parsed)
    return read_model(parsed)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(models())
def test_nothing_of_a_random_model_disappears(spec: dict[str, Any]) -> None:
    try:
        subject = design_of(spec)
    except document.SpecProblem:
        assume(False)
    for dialect in TARGETS:
        made = render(subject, dialect, "dpe")
        assert lost(subject, made, dialect) == []
        for statement in made.statements:
            sqlglot.parse(statement, read=dialect)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(models())
def test_random_models_load(spec: dict[str, Any]) -> None:
    try:
        subject = design_of(spec)
    except document.SpecProblem:
        assume(False)
    for dialect in ("sqlite", "duckdb"):
        opened(dialect, None).load(subject)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(models())
def test_random_models_load_on_mysql(mysql: Any, spec: dict[str, Any]) -> None:
    try:
        subject = design_of(spec)
    except document.SpecProblem:
        assume(False)
    drop_all(mysql)
    Engine("mysql", mysql).load(subject)


def drop_all(mysql: Any) -> None:
    """Empty the server."""
    mysql.execute("SHOW DATABASES")
    own = [name for (name,) in mysql.fetchall()]
    mysql.execute("SET foreign_key_checks = 0")
    for name in own:
        if name not in ("information_schema", "mysql", "performance_schema", "sys"):
            mysql.execute("DROP DATABASE `{}`".format(name.replace("`", "``")))
    mysql.execute("SET foreign_key_checks = 1")
    mysql.execute("CREATE DATABASE dpe_test")
    mysql.execute("USE dpe_test")


@pytest.mark.parametrize("dialect", EXECUTED)
def test_hostile_names_and_texts_stay_where_they_are(
    dialect: Dialect, request: pytest.FixtureRequest
) -> None:
    """Every hostile text as a table, a column, a label, a comment, a constraint, an index and a default at once."""
    spec: dict[str, Any] = {"kind": "model", "store": "x'; DROP TABLE t; --", "types": {}, "tables": {}}
    for number, text in enumerate(HOSTILE):
        key = f"t{number}" if text == "a.b" else key_text("public", text)
        default = "'" + text.replace("'", "''") + "'" if text.isprintable() else "''"
        spec["types"][f"e{number}"] = {"enum": [text, "plain"], "comment": text}
        spec["tables"][key] = {
            "comment": text,
            "columns": {
                text: {"type": f"e{number}", "comment": text},
                "word": {"type": "text", "default": default, "nullable": True},
            },
            "checks": {text: "word <> 'never'"},
            "indexes": [{"columns": ["word"], "name": f"i {number} {text}"[:20], "comment": text}],
        }
    subject = design_of(spec)
    engine = opened(dialect, request)
    made = engine.load(subject)
    assert lost(subject, made, dialect) == []
    hidden = [text for text in HOSTILE if not text.isprintable()]
    omitted = {f.object for f in made.findings if f.message.startswith("the table is left out")}
    assert omitted == {f"public.{text}" for text in hidden}
