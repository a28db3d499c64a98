"""The rules as a whole: each has its twins, its reason, and findings that say what they rest on."""

from __future__ import annotations

import postgast
import psycopg
import pytest

from data_platform.migration.files import read_bytes
from data_platform.migration.lint.base import nothing_known
from data_platform.migration.lint.lint import lint
from data_platform.migration.lint.rules import OF_FILES, RULES
from data_platform.postgres.server import Database
from data_platform.report.finding import in_order
from data_platform.sql.text import parse
from migration.lint.linting import found, linted
from migration.lint.test_twins import HAZARDS, SCHEMA, TWINS, Way


def test_every_rule_has_a_hazard_and_a_safe_twin() -> None:
    assert {rule.name for rule in RULES} | set(OF_FILES) == set(TWINS)
    assert all(hazards and safe for hazards, safe in TWINS.values())


PROMISED = [
    "access-exclusive-long",
    "table-rewrite",
    "index-not-concurrent",
    "fk-not-valid-missing",
    "check-not-valid-missing",
    "set-not-null-scan",
    "add-column-volatile-default",
    "column-type-change",
    "rename-breaks-clients",
    "drop-breaks-clients",
    "missing-lock-timeout",
    "concurrently-in-transaction",
    "unique-constraint-blocking",
    "exclude-constraint-blocking",
    "multiple-access-exclusive",
    "data-loss",
    "json-not-jsonb",
    "serial-not-identity",
    "timestamp-without-tz",
    "varchar-limit",
    "int-pk-overflow",
]


def test_every_promised_rule_is_there() -> None:
    assert set(PROMISED) <= {rule.name for rule in RULES}
    style = {rule.name: rule.severity for rule in RULES if rule.name in PROMISED[-5:]}
    assert set(style.values()) == {"info"}


def test_names_are_unique_and_kinds_are_the_grammars() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    fields = {field.name for field in postgast.pg_query_pb2.Node.DESCRIPTOR.fields}
    assert {kind for rule in RULES for kind in rule.kinds} <= fields


@pytest.mark.parametrize("way", [way for _, way in HAZARDS], ids=lambda way: way.sql[:60])
def test_what_is_proposed_is_sql(way: Way) -> None:
    for finding in linted(way.sql, way.schema, way.transaction, way.version).findings:
        if finding.fix and ";" in finding.fix:
            assert parse(finding.fix).stmts


NEEDS_MORE = {
    "unheard_of": "the hazard is a function that does not exist",
    "REFERENCES fresh": "the new table's key is not there yet",
    "fresh_c_not_null": "the column is filled first, as the advice says",
    "SET SCHEMA other": "the schema is not there",
}
"""What a proposal of a twin needs to run, by a part of its SQL."""


def proposals() -> list[tuple[str, str]]:
    """Each safe form once, with the statements that come before what it replaces."""
    found: dict[str, str] = {}
    for _, way in HAZARDS:
        one = linted(way.sql, way.schema, way.transaction, way.version)
        for finding in one.findings if way.schema == SCHEMA else ():
            before = [s.sql for s in one.script.statements if s.number < (finding.statement or 0)]
            if finding.fix and ";" in finding.fix and not any(part in finding.fix for part in NEEDS_MORE):
                found.setdefault(
                    finding.fix, ";".join(text for text in before if text not in ("BEGIN", "COMMIT"))
                )
    return [(before, fix) for fix, before in found.items()]


@pytest.mark.parametrize(("before", "fix"), proposals(), ids=lambda text: text[:60])
def test_what_is_proposed_runs(before: str, fix: str, database: Database) -> None:
    with psycopg.connect(database.admin_conninfo, autocommit=True) as connection:
        for sql in (SCHEMA, before, fix):
            for statement in read_bytes("x.sql", sql.encode(), "as-written").statements:
                connection.execute(statement.sql.encode())


@pytest.mark.parametrize("way", [way for _, way in HAZARDS], ids=lambda way: way.sql[:60])
def test_the_same_input_gives_the_same_findings(way: Way) -> None:
    first, second = (
        in_order(linted(way.sql, way.schema, way.transaction, way.version).findings) for _ in range(2)
    )
    assert first == second


def test_without_a_schema_a_finding_says_what_it_rests_on() -> None:
    alone = found("ALTER TABLE orders ADD CHECK (total > 0)")["check-not-valid-missing"]
    assert alone.evidence == "assumed"
    assert "no schema given here" in alone.message
    known = found("ALTER TABLE orders ADD CHECK (total > 0)", SCHEMA)["check-not-valid-missing"]
    assert known.evidence == "parsed"
    assert "no schema" not in known.message


def test_the_safe_form_is_made_from_the_statement() -> None:
    finding = found('ALTER TABLE app."Order" ADD CONSTRAINT "Total" CHECK ("Sum" > 0)')[
        "check-not-valid-missing"
    ]
    assert finding.fix is not None
    assert finding.fix.startswith(
        'ALTER TABLE app."Order" ADD CONSTRAINT "Total" CHECK ("Sum" > 0) NOT VALID;\n'
        'ALTER TABLE app."Order" VALIDATE CONSTRAINT "Total";'
    )


def test_the_version_decides_the_form() -> None:
    old = found("ALTER TABLE orders ALTER code SET NOT NULL", SCHEMA, version=13)["set-not-null-scan"].fix
    new = found("ALTER TABLE orders ALTER code SET NOT NULL", SCHEMA)["set-not-null-scan"].fix
    assert old is not None
    assert "CHECK (code IS NOT NULL) NOT VALID" in old
    assert new is not None
    assert "NOT NULL code NOT VALID" in new


def test_a_timeout_is_asked_for_once_a_file() -> None:
    findings = linted("ALTER TABLE orders ADD a text; ALTER TABLE orders ADD b text", SCHEMA).findings
    (one,) = [finding for finding in findings if finding.rule == "missing-lock-timeout"]
    assert one.message.endswith("(and in 1 more statement)")


def test_a_place_in_a_block_is_a_line_of_the_file() -> None:
    sql = "SELECT 1;\n\nDO $$\nBEGIN\n  ALTER TABLE orders ADD UNIQUE (code);\nEND $$;"
    assert found(sql, SCHEMA)["unique-constraint-blocking"].line == 5


def test_what_one_file_makes_the_next_one_knows() -> None:
    first = read_bytes("1.sql", b"CREATE TABLE t (a int, b text)")
    second = read_bytes("2.sql", b"CREATE INDEX ON t (a); ALTER TABLE t ADD UNIQUE (b)")
    rules = {finding.rule for one in lint([first, second], nothing_known()) for finding in one.findings}
    assert rules == {"int-pk-overflow"}


def test_two_hundred_statements_against_hundreds_of_tables() -> None:
    schema = "".join(f"CREATE TABLE t{n} (id bigint PRIMARY KEY, a text);\n" for n in range(400))
    sql = "".join(f"ALTER TABLE t{n} ADD CONSTRAINT c{n} CHECK (a <> '');\n" for n in range(200))
    findings = linted(sql, schema).findings
    assert sum(finding.rule == "check-not-valid-missing" for finding in findings) == 200
