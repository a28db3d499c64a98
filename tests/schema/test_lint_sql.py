"""Lint of a whole database: a dump with objects of every kind, whose findings are written where they belong.

In `lint_cases/library.sql` a line that ends in `-- ! rule …` has just those findings; a line that begins so names a
rule and the object for which no line is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from data_platform.model.design import Design
from data_platform.postgres import sources
from data_platform.postgres.load import load
from data_platform.postgres.server import Database, Server
from data_platform.report.finding import SEVERITIES, Finding
from data_platform.report.markdown import markdown
from data_platform.schema.lint import lint
from data_platform.schema.lint_report import MANY, report

CASES = Path(__file__).parent / "lint_cases"
DUMP = CASES / "library.sql"
MARK = "-- ! "

STATEMENTS = ("ALTER", "BEGIN;", "COMMENT", "CREATE", "DROP", "GRANT", "REVOKE", "UPDATE")

Place = tuple[int | str | None, str]
"""A line or an object, and a rule."""


@dataclass(frozen=True)
class Linted:
    """The dump as a design, and what lint has against it."""

    design: Design
    findings: tuple[Finding, ...]


@pytest.fixture(scope="module")
def linted(server: Server) -> Linted:
    given = sources.scripts([str(DUMP)])
    taken = sources.of_scripts(server, given, lambda _what, _share: None)
    design = sources.design("Library DB", taken, given)
    return Linted(design, lint(design))


def _expected() -> Iterator[Place]:
    for number, line in enumerate(DUMP.read_text(encoding="utf-8").splitlines(), 1):
        before, mark, said = line.partition(MARK)
        if mark and "\t" not in before:
            names = said.split()
            if before:
                yield from ((number, name) for name in names)
            else:
                yield names[1] if len(names) > 1 else None, names[0]


def _places(findings: tuple[Finding, ...]) -> Iterator[Place]:
    return ((finding.line or finding.object, finding.rule) for finding in findings)


def test_the_findings_are_the_expected_ones_at_their_lines(linted: Linted) -> None:
    expected, found = Counter(_expected()), Counter(_places(linted.findings))
    assert found - expected == Counter()
    assert expected - found == Counter()


def test_the_dump_holds_objects_of_every_kind(linted: Linted) -> None:
    tables = linted.design.database.tables
    assert len(tables) >= 40
    assert any(table.partition_of and table.partition_by for table in tables)
    assert any(table.foreign for table in tables)
    assert any(table.of_type for table in tables)
    assert any(table.inherits for table in tables)
    assert any(table.unlogged for table in tables)


def test_nothing_is_said_of_partitions_and_foreign_tables(linted: Linted) -> None:
    names = {str(table.name) for table in linted.design.database.tables if not table.holds_rows}
    assert names
    assert not names & {finding.object for finding in linted.findings}


def test_nothing_is_said_about_a_spec(linted: Linted) -> None:
    rules = {finding.rule for finding in linted.findings}
    assert not rules & {"no-access-patterns", "index-without-reason", "newer-than-server"}


def test_every_statement_that_mends_runs(linted: Linted, database: Database) -> None:
    load(database, sources.scripts([str(DUMP)]))
    # Roles are the cluster's, and who runs the test may not alter those above it.
    mine = [f for f in linted.findings if f.fix and f.rule != "privileged-role"]
    fixes = [f for f in mine if str(f.fix).split()[0] in STATEMENTS]
    assert len(fixes) > 50
    refused = {}
    with psycopg.connect(database.conninfo) as connection:
        for finding in fixes:
            # Each in a transaction of its own that is undone; CONCURRENTLY and COMMIT do not go with that.
            text = str(finding.fix).replace(" CONCURRENTLY", "").replace("COMMIT;", "")
            try:
                connection.execute(text.encode())
            except psycopg.Error as error:
                refused[text] = str(error)
            connection.rollback()
    assert refused == {}


def test_what_is_in_the_way_of_another_type_is_said(linted: Linted) -> None:
    database = linted.design.database
    view = replace(database.views[0], query="SELECT created_at FROM lib.members")
    findings = lint(replace(linted.design, database=replace(database, views=(view,))))
    (fix,) = [f.fix for f in findings if f.rule == "timestamp-without-time-zone"]
    assert f"refused while {view.name} use it" in str(fix)


def test_a_report_on_many_findings_tells_each_rule_once(linted: Linted) -> None:
    one = next(f for f in linted.findings if f.rule == "varchar-limit")
    many = [replace(one, object=f"lib.t{number}.name") for number in range(300)]
    text = markdown(report(linted.design, [*many, *linted.findings], "again"))
    rows = [line for line in text.splitlines() if "| varchar-limit" in line]
    assert len(rows) == 1
    assert "302 times" in rows[0]
    assert "297 more" in rows[0]
    assert "lib.t4.name" in rows[0]
    assert "lib.t5.name" not in rows[0]


def test_a_report_on_few_findings_tells_each(linted: Linted) -> None:
    one = next(f for f in linted.findings if f.rule == "varchar-limit")
    text = markdown(report(linted.design, [one] * MANY, "again"))
    assert len([line for line in text.splitlines() if "| varchar-limit" in line]) == MANY


def test_errors_come_first(linted: Linted) -> None:
    lines = markdown(report(linted.design, linted.findings, "again")).splitlines()
    levels = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    ranks = [SEVERITIES.index(level) for level in levels if level in SEVERITIES]  # type: ignore[arg-type]
    assert ranks == sorted(ranks)
    assert ranks[0] == 0


def _conditions(outcome: str) -> list[Any]:
    cases = yaml.safe_load((CASES / "policy-opens-when-unset.yaml").read_text(encoding="utf-8"))[outcome]
    return [pytest.param(case, id=name) for name, case in cases.items()]


def _sees_all(database: Database, case: dict[str, Any], state: str | None) -> bool | None:
    """Whether the policy's condition holds for both of two rows; None if the server raises an error."""
    (policy,) = case["tables"]["t"]["policies"].values()
    condition = policy.get("using") or policy["with_check"]
    rows = "VALUES (gen_random_uuid(), 'a', false, NULL::timestamptz), (gen_random_uuid(), 'b', false, NULL)"
    with psycopg.connect(database.conninfo) as connection:
        for name, body in case.get("functions", {}).items():
            made = f"CREATE FUNCTION {name}() RETURNS {body['returns']} LANGUAGE {body['language']}"
            connection.execute(f"{made} AS $_${body['body']}$_$".encode())
        connection.execute(f"CREATE TABLE t (tenant, name, shared, deleted_at) AS {rows}".encode())
        if state is not None:
            connection.execute("SELECT set_config('app.tenant', %s, false)", (state,))
        try:
            found = connection.execute(f"SELECT count(*) FROM t WHERE {condition}".encode()).fetchone()
        except psycopg.Error:
            return None
        finally:
            connection.rollback()
    return found == (2,)


@pytest.mark.parametrize("case", _conditions("fires"))
def test_a_policy_said_to_open_does(database: Database, case: dict[str, Any]) -> None:
    assert True in [_sees_all(database, case, state) for state in (None, "")]


@pytest.mark.parametrize("case", [c for c in _conditions("quiet") if "app." in str(c.values)])
def test_a_policy_not_said_to_open_does_not(database: Database, case: dict[str, Any]) -> None:
    assert True not in [_sees_all(database, case, state) for state in (None, "")]
