"""Every kind of object and every property of the model has a decision, and what has no form is said of each object."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, get_args

import pytest

from data_platform.model import database as model
from data_platform.model.database import Database, Name, Table
from data_platform.model.design import Design
from data_platform.schema.dialects import TARGETS, Dialect, Rendered, render
from data_platform.schema.dialects.objects import KINDS
from data_platform.schema.dialects.properties import UNSAID, WRITTEN
from data_platform.schema.dialects.spellings import AS_TEXT, CHECKS, NOTES, SPELLINGS, Spelling
from schema.designs import design

PLAIN = """
tables:
  parent: {columns: {id: {type: integer, primary_key: true}}}
  t:
    columns:
      id: {type: integer, primary_key: true}
      v: {type: integer, nullable: true}
      parent_id: {type: integer, references: {table: parent, on_delete: restrict}}
    checks: {positive: v > 0}
    unique: [[v]]
    indexes: [{columns: [parent_id]}]
"""
T = Name("public", "t")


def test_every_field_of_a_database_has_its_entry() -> None:
    assert set(KINDS) == {field.name for field in fields(Database)}


def test_every_class_that_is_translated_is_listed() -> None:
    translated = {*get_args(model.Constraint), model.Column, model.Index, model.Table, model.View}
    translated |= {model.MaterializedView, model.Sequence, model.Enum, model.Domain, model.Composite}
    assert set(WRITTEN) == set(UNSAID) == translated


@pytest.mark.parametrize("kind", WRITTEN, ids=lambda kind: kind.__name__)
def test_every_property_has_a_decision(kind: type) -> None:
    names = [field.name for field in fields(kind)]
    assert sorted([*WRITTEN[kind], *UNSAID[kind]]) == sorted(names)


def test_notes_and_checks_are_of_types_that_are_spelled() -> None:
    assert set(NOTES) == set(CHECKS) == set(AS_TEXT) == set(TARGETS)
    assert set(TARGETS) < set(Spelling._fields)
    for of_dialect in (*NOTES.values(), *CHECKS.values()):
        assert set(of_dialect) <= set(SPELLINGS)


def plain() -> Design:
    return design(PLAIN)


def changed(**values: Any) -> Design:
    """The plain design, with other fields of its database."""
    return replace(plain(), database=replace(plain().database, **values))


def with_table(**values: Any) -> Design:
    """The plain design, with other fields of its table t."""
    tables = tuple(replace(one, **values) if one.name == T else one for one in plain().database.tables)
    return changed(tables=tables)


def said(made: Rendered, object_: str) -> set[tuple[str, str]]:
    return {(f.severity, f.rule) for f in made.findings if f.object == object_}


NEVER: dict[str, tuple[object, str]] = {
    "roles": (model.Role(name="app"), "role app"),
    "collations": (model.CollationObject(name=Name("public", "de"), options=()), "collation public.de"),
    "functions": (
        model.Function(name=Name("public", "f"), language="sql", body="SELECT 1", returns="integer"),
        "function public.f",
    ),
    "servers": (model.Server(name="far", wrapper="postgres_fdw"), "foreign server far"),
    "event_triggers": (
        model.EventTrigger(name="e", event="ddl_command_end", function=Name("public", "f")),
        "event trigger e",
    ),
    "publications": (model.Publication(name="p", all_tables=True), "publication p"),
    "grants": (
        model.Grant(kind="table", object="public.t", role="app", privileges=("SELECT",)),
        "grant public.t table app",
    ),
    "default_privileges": (
        model.DefaultPrivilege(kind="tables", role="app", privileges=("SELECT",)),
        "default privilege tables app",
    ),
    "raw": (model.Raw(kind="cast", name="a AS b", sql="CREATE CAST …"), "statement a AS b"),
}


@pytest.mark.parametrize("dialect", TARGETS)
@pytest.mark.parametrize("kind", NEVER)
def test_what_no_target_has_is_a_finding(dialect: Dialect, kind: str) -> None:
    one, object_ = NEVER[kind]
    before, made = render(plain(), dialect, "dpe"), render(changed(**{kind: (one,)}), dialect, "dpe")
    assert said(made, object_) == {("warning", "dialect-unsupported")}
    assert made.left_out == before.left_out + 1
    assert made.statements == before.statements


PROPERTIES: dict[str, tuple[Any, str]] = {
    "partition_by": (model.Partitioning(strategy="hash", key=(model.IndexElement(column="id"),)), "warning"),
    "inherits": ((Name("public", "parent"),), "error"),
    "row_security": ("forced", "error"),
    "unlogged": (True, "warning"),
    "options": ((("fillfactor", "70"),), "warning"),
    "replica_identity": ("full", "warning"),
    "cluster_on": ("t_pkey", "warning"),
    "access_method": ("columnar", "warning"),
    "of_type": (Name("public", "x"), "warning"),
    "owner": ("app", "info"),
}


@pytest.mark.parametrize("dialect", TARGETS)
@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_without_a_form_is_said(dialect: Dialect, name: str) -> None:
    value, severity = PROPERTIES[name]
    before, made = render(plain(), dialect, "dpe"), render(with_table(**{name: value}), dialect, "dpe")
    assert said(made, "public.t") - said(before, "public.t") == {(severity, "dialect-unsupported")}
    assert made.statements == before.statements


ATTACHED: dict[str, tuple[Any, str]] = {
    "triggers": (
        model.Trigger(name="hook", timing="before", events=("update",), function=Name("public", "f")),
        "warning",
    ),
    "rules": (model.Rule(name="hook", sql="CREATE RULE …"), "warning"),
    "policies": (model.Policy(name="hook"), "error"),
    "statistics": (model.Statistics(name="hook", on=()), "warning"),
}


@pytest.mark.parametrize("dialect", TARGETS)
@pytest.mark.parametrize("kind", ATTACHED)
def test_what_hangs_on_a_table_is_a_finding(dialect: Dialect, kind: str) -> None:
    one, severity = ATTACHED[kind]
    before, made = render(plain(), dialect, "dpe"), render(with_table(**{kind: (one,)}), dialect, "dpe")
    assert said(made, "public.t.hook") == {(severity, "dialect-unsupported")}
    assert made.left_out == before.left_out + 1


PARTITIONED = """
tables:
  t:
    columns:
      id: integer
      v: {type: integer, nullable: true}
      w: {type: integer, nullable: true, default: "1"}
    primary_key: [id]
    checks: {positive: v > 0}
    indexes: [{columns: [v]}]
    partition_by: {range: [id]}
    partitions:
      low:
        bound: FROM (0) TO (10)
      high:
        bound: FROM (10) TO (20)
        columns: {id: integer, v: integer, w: {type: integer, nullable: true, default: "2"}}
        checks: {small: v < 9}
        unique: [[id, v]]
        indexes: [{columns: [v]}, {columns: [w]}]
"""


@pytest.mark.parametrize("dialect", TARGETS)
def test_what_a_partition_repeats_of_its_parent_is_said_of_the_parent_alone(dialect: Dialect) -> None:
    made = render(design(PARTITIONED), dialect, "dpe")
    found = {f.object for f in made.findings if (f.object or "").startswith(("public.low", "public.high"))}
    assert {name for name in found if name and name.startswith("public.low")} == {"public.low"}
    assert found == {
        "public.low",
        "public.high",
        "public.high.v",
        "public.high.w",
        "public.high.small",
        "public.high.high_id_v_key",
        "public.high_w_idx",
    }
    assert ("warning", "dialect-unsupported") in said(made, "public.t")
    assert not any('"low"' in statement or "`low`" in statement for statement in made.statements)


@pytest.mark.parametrize("dialect", TARGETS)
def test_a_rule_that_only_a_partition_has_is_lost_as_an_error(dialect: Dialect) -> None:
    made = render(design(PARTITIONED), dialect, "dpe")
    for name in ("high.small", "high.high_id_v_key", "high.v"):
        assert said(made, f"public.{name}") == {("error", "dialect-unsupported")}
    for name in ("low", "high", "high.w", "high_w_idx"):
        assert said(made, f"public.{name}") == {("warning", "dialect-unsupported")}


def table(**values: Any) -> Table:
    return Table(name=Name("public", "x"), columns=(model.Column(name="a", type="integer"),), **values)


CONSTRAINTS: dict[str, tuple[dict[str, Any], str]] = {
    "not enforced": ({"checks": (model.Check(name="c", expression="a > 0", enforced=False),)}, "warning"),
    "without overlaps": (
        {"uniques": (model.Unique(name="c", columns=("a",), without_overlaps=True),)},
        "error",
    ),
    "exclusion": (
        {
            "exclusions": (
                model.Exclusion(
                    name="c",
                    method="gist",
                    elements=(model.ExclusionElement(element=model.IndexElement(column="a"), operator="="),),
                ),
            )
        },
        "error",
    ),
    "key to nowhere": (
        {
            "foreign_keys": (
                model.ForeignKey(
                    name="c", columns=("a",), target=Name("public", "gone"), target_columns=("id",)
                ),
            )
        },
        "error",
    ),
    "unknown function": ({"checks": (model.Check(name="c", expression="foo(a)"),)}, "error"),
}


@pytest.mark.parametrize("dialect", TARGETS)
@pytest.mark.parametrize("case", CONSTRAINTS)
def test_a_rule_that_is_lost_is_an_error(dialect: Dialect, case: str) -> None:
    values, severity = CONSTRAINTS[case]
    made = render(changed(tables=(table(**values),), types=()), dialect, "dpe")
    assert said(made, "public.x.c") == {(severity, "dialect-unsupported")}
    assert made.left_out == 1


@pytest.mark.parametrize("dialect", ["bigquery", "snowflake"])
def test_keys_that_are_only_declared_are_said_to_be(dialect: Dialect) -> None:
    made = render(plain(), dialect, "dpe")
    for name in ("t_pkey", "t_parent_id_fkey"):
        messages = [f.message for f in made.findings if f.object == f"public.t.{name}"]
        assert any("does not enforce" in message for message in messages)


def test_spark_has_no_keys() -> None:
    made = render(plain(), "spark", "dpe")
    for name in ("t_pkey", "t_parent_id_fkey", "positive"):
        assert said(made, f"public.t.{name}") == {("error", "dialect-unsupported")}


def test_spark_does_not_enforce_not_null() -> None:
    made = render(plain(), "spark", "dpe")
    assert ("error", "dialect-unsupported") in said(made, "public.t.id")
    assert said(made, "public.t.v") == set()


def serial(default: str) -> Design:
    name, owner = Name("public", "x"), (Name("public", "x"), "id")
    column = model.Column(name="id", type="integer", default=default)
    key = model.PrimaryKey(name="x_pkey", columns=("id",))
    return changed(
        tables=(Table(name=name, columns=(column,), primary_key=key),),
        sequences=(model.Sequence(name=Name("public", "x_id_seq"), owned_by=owner),),
    )


def test_a_serial_column_is_an_identity() -> None:
    for default in ("nextval('x_id_seq'::regclass)", "nextval('public.\"x_id_seq\"')"):
        made = {dialect: "\n".join(render(serial(default), dialect, "dpe").statements) for dialect in TARGETS}
        assert "AUTO_INCREMENT" in made["mysql"]
        assert "AUTOINCREMENT" in made["sqlite"]
        assert "IDENTITY" in made["snowflake"]
        assert "DEFAULT NEXTVAL('\"x_id_seq\"')" in made["duckdb"]


@pytest.mark.parametrize("dialect", TARGETS)
def test_what_is_said_of_a_serial_and_of_its_sequence_agrees(dialect: Dialect) -> None:
    whole, counts = serial("nextval('x_id_seq')"), []
    without = replace(whole.database.tables[0], primary_key=None)
    for tables in (whole.database.tables, (without,)):
        made = render(replace(whole, database=replace(whole.database, tables=tables)), dialect, "dpe")
        column = any("the identity is left out" in f.message for f in made.findings)
        (sequence,) = (f for f in made.findings if f.object == "public.x_id_seq")
        assert ("is the identity of the column" in sequence.message) != column
        assert ("the sequence is left out" in sequence.message) == column
        counts.append(not column)
    wanted = {
        "mysql": [True, False],
        "sqlite": [True, False],
        "duckdb": [True, True],
        "snowflake": [True, True],
    }
    assert counts == wanted.get(dialect, [False, False])


@pytest.mark.parametrize("dialect", TARGETS)
def test_another_sequence_stays_what_it_is(dialect: Dialect) -> None:
    made = render(serial("nextval('other_seq')"), dialect, "dpe")
    has = any("CREATE SEQUENCE" in statement for statement in made.statements)
    assert has == (dialect in ("duckdb", "snowflake"))
    assert ("warning", "dialect-unsupported") in said(made, "public.x.id")
