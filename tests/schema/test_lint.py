"""Each rule where it must fire and, one step away, where it must not: `lint_cases/<rule>.yaml`.

A case is a model without `kind` and `store`; `objects` are those of the findings that the rule must have. With
`database: true` it is taken as if it had been read from one.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import postgast
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings

from data_platform.model.design import Design
from data_platform.report.finding import Finding
from data_platform.schema.lint import RULES, lint
from data_platform.spec import document, validate
from data_platform.spec.document import SpecProblem
from data_platform.spec.model import read_model
from strategies import models

STATEMENTS = ("ALTER ", "BEGIN;", "COMMENT ", "CREATE ", "DROP ", "GRANT ", "REVOKE ", "UPDATE ")
CASES = Path(__file__).parent / "lint_cases"
HEAD = {"kind": "model", "store": "Test DB"}


def _design(text: str) -> Design:
    read = document.parse(text.encode(), "model.yaml")
    validate.check(read)
    return read_model(read)


def _lint(model: dict[str, Any], *, database: bool = False) -> tuple[Finding, ...]:
    design = _design(yaml.safe_dump({**HEAD, **model}, sort_keys=False, allow_unicode=True))
    return lint(replace(design, sha256="") if database else design)


@cache
def _files() -> dict[str, Any]:
    files = sorted(CASES.glob("*.yaml"))
    return {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}


def _cases(outcome: str) -> list[Any]:
    return [
        pytest.param(rule, case, id=f"{rule}: {name}")
        for rule, cases in _files().items()
        for name, case in cases[outcome].items()
    ]


@pytest.mark.parametrize(("rule", "case"), _cases("fires"))
def test_fires(rule: str, case: dict[str, Any]) -> None:
    expected = case.pop("objects")
    severity, database = case.pop("severity", None), case.pop("database", False)
    found = [finding for finding in _lint(case, database=database) if finding.rule == rule]
    assert [finding.object for finding in found] == expected
    assert severity is None or {finding.severity for finding in found} == {severity}


@pytest.mark.parametrize(("rule", "case"), _cases("quiet"))
def test_stays_quiet(rule: str, case: dict[str, Any]) -> None:
    database = case.pop("database", False)
    assert [finding for finding in _lint(case, database=database) if finding.rule == rule] == []


def test_every_rule_has_both_cases() -> None:
    assert {name for name, case in _files().items() if case["fires"] and case["quiet"]} == {
        rule.name for rule in RULES
    }


def test_names_are_unique_and_reasons_are_sentences() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.reason.endswith(".") and len(rule.reason) < 120 for rule in RULES)


def test_a_finding_says_where_what_and_how_to_mend_it() -> None:
    text = """kind: model
store: Test DB
tables:
  people:
    comment: Who buys.
    columns:
      id: {type: bigint, identity: always, primary_key: true}
      seen: timestamp
access_patterns:
  everyone:
    sql: SELECT * FROM people
"""
    time, star = lint(_design(text))
    assert (time.place, time.object) == ("model.yaml:8:7", "public.people.seen")
    assert (star.place, star.object) == ("model.yaml:11:5", "access pattern everyone")
    assert all(finding.fix and finding.evidence == "parsed" for finding in (time, star))


def test_findings_are_in_the_order_of_the_file() -> None:
    findings = _lint({"tables": {"b": {"columns": {"x": "money"}}, "a": {"columns": {"x": "json"}}}})
    assert [finding.line for finding in findings] == sorted(finding.line or 0 for finding in findings)


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].glob("examples/*/model.yaml")), ids=str)
def test_our_own_examples_are_clean(path: Path) -> None:
    read = document.read(path)
    validate.check(read)
    assert [finding for finding in lint(read_model(read)) if finding.severity != "info"] == []


@pytest.mark.parametrize(
    ("order", "form"),
    [
        ("a", "a > :last_a"),
        ("a DESC, b DESC", "(a, b) < (:last_a, :last_b)"),
        ("a DESC, b", "a <= :last_a AND (a < :last_a OR b > :last_b)"),
        ("lower(c), a", "(lower(c), a) > (:last_1, :last_a)"),
    ],
)
def test_the_remedy_for_offset_is_in_the_order_of_the_query(order: str, form: str) -> None:
    table = {"columns": {"a": "int", "b": "int", "c": "text"}, "primary_key": ["a", "b"]}
    pattern = {"sql": f"SELECT a FROM t ORDER BY {order} LIMIT 9 OFFSET 9"}
    findings = _lint({"tables": {"t": table}, "access_patterns": {"p": pattern}})
    (fix,) = [finding.fix for finding in findings if finding.rule == "offset-pagination"]
    assert fix is not None
    assert fix.startswith(f"WHERE {form}, ")


@pytest.mark.parametrize(
    ("column", "condition", "index"),
    [
        ("text[]", "x @> ARRAY['a']", "[{columns: [x], using: gin}]"),
        ("tstzrange", "x @> now()", "[{columns: [x], using: gist}]"),
        ("text", "x % 'a'", "[{columns: [{column: x, opclass: gin_trgm_ops}], using: gin}]"),
        ("int", "y > 3 AND x = 1", "[[x, y]]"),
    ],
)
def test_the_index_to_add_is_one_that_serves(column: str, condition: str, index: str) -> None:
    model = {"extensions": ["pg_trgm"], "tables": {"t": {"columns": {"x": column, "y": "int"}}}}
    findings = _lint({**model, "access_patterns": {"p": {"sql": f"SELECT y FROM t WHERE {condition}"}}})
    (fix,) = [finding.fix for finding in findings if finding.rule == "access-pattern-without-index"]
    assert fix == f"tables.t.indexes: {index}"


@pytest.mark.parametrize(
    ("sql", "message", "fix"),
    [
        (
            "SELECT uuidv7() FROM t",
            "uuidv7() needs PostgreSQL 18, and the model is for 13",
            "server_version: 18, or gen_random_uuid()",
        ),
        (
            "SELECT to_bin(a) FROM t",
            "to_bin() needs PostgreSQL 17, and the model is for 13",
            "server_version: 17",
        ),
    ],
)
def test_what_is_too_new_is_named_with_its_version_and_the_older_way(
    sql: str, message: str, fix: str
) -> None:
    findings = _lint(
        {
            "server_version": 13,
            "tables": {"t": {"columns": {"a": "int"}}},
            "access_patterns": {"p": {"sql": sql}},
        }
    )
    (found,) = [finding for finding in findings if finding.rule == "newer-than-server"]
    assert (found.message, found.fix) == (message, fix)


@pytest.mark.parametrize(
    ("method", "condition", "fix"),
    [
        ("hnsw", "a = 1", "an index with where: a = 1; or SET hnsw.iterative_scan = relaxed_order"),
        ("ivfflat", "a = :a", "SET ivfflat.iterative_scan = relaxed_order"),
    ],
)
def test_the_remedy_for_a_filtered_search_fits_its_filter(method: str, condition: str, fix: str) -> None:
    index = {"columns": [{"column": "e", "opclass": "vector_cosine_ops"}], "using": method}
    table = {"columns": {"a": "int", "e": "vector(3)"}, "indexes": [index]}
    parameters = {"q": "vector(3)", **({"a": "int"} if ":a" in condition else {})}
    sql = f"SELECT 1 FROM t WHERE {condition} ORDER BY e <=> :q LIMIT 5"
    model = {"extensions": ["vector"], "tables": {"t": table}}
    findings = _lint({**model, "access_patterns": {"p": {"sql": sql, "parameters": parameters}}})
    (found,) = [finding.fix for finding in findings if finding.rule == "filtered-vector-search"]
    assert found is not None
    assert found.startswith(fix)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(models())
def test_random_models_are_read(spec: dict[str, Any]) -> None:
    try:
        findings, of_database = _lint(spec), _lint(spec, database=True)
    except SpecProblem:
        assume(False)
    assert all(finding.line for finding in findings)
    for fix in (finding.fix or "" for finding in of_database):
        if fix.startswith(STATEMENTS):
            postgast.parse(fix)


def test_hostile_names_are_no_trouble() -> None:
    name, column = 'x"; DROP TABLE "y', "sel'ect\n--"
    table = {
        "columns": {
            column: {"type": "jsonb"},
            "a.b": {"type": "int[]", "nullable": True},
            "ünï": "vector(3)",
        },
        "unique": [[column], ["a.b"]],
        "indexes": [{"columns": ["ünï"], "using": "hnsw"}],
    }
    quoted = '"' + name.replace('"', '""') + '"'
    where = """ "s""t"."a.b" = :p AND lower("ünï"::text) LIKE '%a' """
    sql = f'SELECT * FROM {quoted} AS "s""t" WHERE {where} OFFSET 3'
    model = {"extensions": ["vector"], "tables": {'"' + name.replace('"', '""') + '"': table}}
    model["access_patterns"] = {"p\n": {"sql": sql, "parameters": {"p": "int[]"}}}
    findings = _lint(model)
    assert {"vector-opclass", "select-star", "offset-pagination"} <= {finding.rule for finding in findings}
