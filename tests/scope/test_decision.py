"""The verdicts, on the shapes that claude.md files have."""

from __future__ import annotations

import pytest

from data_platform.scope import Decision, check, stores

from .conftest import Project
from .samples import BULLETS, OTHER_COLUMNS, SHAPES, STORES, TABLES

ROLES = "## Project Scope\n### Active Roles\n| Role | Person/Team | Scope |\n|---|---|---|\n"
BULLET_ROLES = "## Project Scope\n### Active Roles\n"


def verdict(project: Project, text: str, store: str | None = None) -> str:
    return check(project(text), store).verdict


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "store",
    ["Customer DB", "customer", "CUSTOMER  database", "CustomerDB", "customer_db", "Customer DB (v16)"],
)
def test_a_store_of_ours_is_owned_however_it_is_spelled(project: Project, shape: str, store: str) -> None:
    decision = check(project(SHAPES[shape]), store)
    assert (decision.verdict, decision.exit_code, decision.file) == ("owned", 0, "CLAUDE.md")
    assert decision.line is not None
    assert "Customer DB" in SHAPES[shape].splitlines()[decision.line - 1]


@pytest.mark.parametrize("text", [*SHAPES.values(), TABLES.replace("\n", "\r\n"), "\ufeff" + BULLETS])
def test_without_a_store_a_scope_is_enough(project: Project, text: str) -> None:
    decision = check(project(text))
    assert (decision.verdict, decision.exit_code, decision.line) == ("defined", 0, 1)
    assert "Customer DB" in decision.message


@pytest.mark.parametrize(
    ("text", "store", "expected"),
    [
        (TABLES, "Data Pipeline", "owned"),
        (TABLES, "Billing DB", "owned_by_other"),
        (TABLES, "Orders DB", "unknown"),
        (TABLES, "", "unknown"),
        (TABLES, "DB", "unknown"),
        (BULLETS, "Backend APIs", "owned_by_other"),
        (STORES, "billing", "owned_by_other"),
        (OTHER_COLUMNS, "Customer DB", "owned"),
        (OTHER_COLUMNS, "Billing DB", "owned_by_other"),
        (ROLES + "| Data Platform Engineer | @d | **Customer DB**, `Analytics DW` |", "analytics dw", "owned"),
        (ROLES + "| Data Platform Engineer | @d | Customer DB and Orders |", "orders", "owned"),
        (ROLES + "| Data Platform Engineer | @d | [Customer DB](db.md) |", "customer", "owned"),
        (ROLES + r"| Data Platform Engineer | @d | Orders \| Returns |", "Orders | Returns", "owned"),
        (ROLES + "| Data Platform Engineer | @d | not Billing DB |", "Billing DB", "unknown"),
        (ROLES + "| Data Platform Engineer | @d | База клиентов |", "база Клиентов", "owned"),
        (ROLES + "| data-platform-engineer | @d | Customer DB |", "customer", "owned"),
        (BULLET_ROLES + "- Data Platform Engineer:\n  - Customer DB\n  - Orders\n", "orders", "owned"),
        (BULLET_ROLES + "- Data Platform Engineer: Customer DB,\n  Orders\n", "orders", "owned"),
        (BULLET_ROLES + "* Data Platform Engineer (@data): Orders\n", "orders", "owned"),
    ],
)  # fmt: skip
def test_stores(project: Project, text: str, store: str, expected: str) -> None:
    assert verdict(project, text, store) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("| Orders | Data Platform Engineer | @data |", "owned"),
        ("| Orders | Data Platform Engineer | |", "owned"),
        ("| Orders | Data Platform Engineer (platform) | |", "owned"),
        ("| Orders | Data Platform Engineer | Alice |", "owned"),  # a person's team need not be spelled out
        ("| Orders | Data Platform Engineer @data | |", "owned"),
        ("| Orders | Data Platform Engineer | Billing Team |", "owned_by_other"),
        ("| Orders | Data Platform Engineer | @billing |", "owned_by_other"),
        ("| Orders | Data Platform Engineer (Billing) | |", "owned_by_other"),
        ("| Orders | Data Platform Engineer - Billing | |", "owned_by_other"),
        ("| Orders | Billing Data Platform Engineer | |", "owned_by_other"),
        ("| Orders | Data Platform Engineer / Backend Developer | |", "owned_by_other"),
        ("| Orders | Solutions Architect | @data |", "owned_by_other"),
        ("| Orders | | |", "unknown"),
        ("| Orders | - | - |", "unknown"),
    ],
)
def test_whose_data_platform_engineer(project: Project, row: str, expected: str) -> None:
    text = TABLES.replace("| Data Pipeline | Data Platform Engineer | @data | |", row)
    assert verdict(project, text, "Orders") == expected


def test_a_conflict_names_both_lines(project: Project) -> None:
    ours, theirs = "| Customer DB | postgresql | Data Platform", "| Customer DB | postgresql | Analytics"
    decision = check(project(STORES.replace(ours, theirs)), "Customer DB")
    assert (decision.verdict, decision.exit_code) == ("conflict", 4)
    assert decision.details["lines"] == [19, 24]
    assert "line 19" in decision.message
    assert "line 24" in decision.message


def test_two_other_owners_are_a_conflict_and_one_with_and_without_a_person_is_none(project: Project) -> None:
    rows = "## Project Scope\n### Domain Ownership\n- Orders: Backend Developer @bob\n- Orders: {}\n"
    assert verdict(project, rows.format("Solutions Architect"), "Orders") == "conflict"
    assert verdict(project, rows.format("Backend Developer"), "Orders") == "owned_by_other"


def test_the_role_can_be_inactive(project: Project) -> None:
    absent = check(project(ROLES + "| Backend Developer | @bob | APIs |"))
    assert (absent.verdict, absent.exit_code, absent.line) == ("role_inactive", 4, 2)
    assert (
        verdict(project, ROLES + "\n### Domain Ownership\n- Orders: Backend Developer\n") == "role_inactive"
    )
    assert (
        verdict(project, ROLES + "| ~~Data Platform Engineer~~ | @d | Orders |", "Orders") == "role_inactive"
    )
    assert (
        verdict(project, ROLES + "| Data Platform Engineer (Billing) | @b | Billing DB |") == "role_inactive"
    )


def test_an_empty_section_is_no_scope(project: Project) -> None:
    for body in ("", "\n\n", "### Team Context\n", "<!-- later -->\n", "```\n- Orders: me\n```\n"):
        decision = check(project(f"## Project Scope\n{body}## Next\n- text\n"))
        assert (decision.verdict, decision.exit_code) == ("placeholders", 4), body


def test_the_older_convention_counts_and_is_named(project: Project) -> None:
    text = "# Guide\n## Ownership\n### Domain Ownership\n- Orders: Data Platform Engineer\n"
    decision = check(project(text))
    assert (decision.verdict, decision.line) == ("defined", 3)
    assert "older convention" in decision.message
    assert verdict(project, text, "Orders") == "owned"
    assert verdict(project, f"{text}### Other\n[anything]\n", "Orders") == "owned"
    assert check(project(text + BULLETS)).line == 5, "the level-2 heading wins"


@pytest.mark.parametrize(
    "heading",
    [
        "## Project Scope", "## project scope ", "##  PROJECT  Scope  ##", "   ## Project Scope",
        "## Project Scope: A: b",
        "## **Project Scope**", "##\tProject Scope", "## Project Scope <!-- who owns what -->",
    ],
)  # fmt: skip
def test_headings_that_open_the_section(project: Project, heading: str) -> None:
    assert verdict(project, f"{heading}\n- text\n") == "defined"


@pytest.mark.parametrize(
    "heading",
    [
        "## Project Scope Requirement (MANDATORY)", "# Project Scope", "### Project Scope", "##Project Scope",
        "    ## Project Scope", "\t## Project Scope", "> ## Project Scope", "## My Project Scope", "Project Scope",
        "- ## Project Scope", r"\## Project Scope", "```\n## Project Scope\n```",
        "~~~~ md\n```\n~~~\n## Project Scope\n~~~~",
        "<!--\n## Project Scope\n-->", "<!-- a --> ## Project Scope", "text <!-- a\n## Project Scope\n-->",
        "```\n## Project Scope",
    ],
)  # fmt: skip
def test_headings_that_do_not(project: Project, heading: str) -> None:
    decision = check(project(f"{heading}\n- text\n"))
    assert (decision.verdict, decision.exit_code, decision.file, decision.line) == (
        "undefined",
        3,
        None,
        None,
    )


@pytest.mark.parametrize("ending", ["## Next\n", "# Next\n", "Next\n====\n", "Next\n---\n"])
def test_the_section_ends_at_the_next_heading(project: Project, ending: str) -> None:
    text = f"{BULLETS}\n{ending}\n### Domain Ownership\n- Orders: Data Platform Engineer\n- [ask]: [who]\n"
    assert verdict(project, text, "Orders") == "unknown"


@pytest.mark.parametrize("rule", ["---", "***", "- - -"])
def test_a_rule_does_not_end_it(project: Project, rule: str) -> None:
    text = f"{BULLETS}{rule}\n### Data Stores\n- Orders: Data Platform Engineer\n"
    assert verdict(project, text, "Orders") == "owned"


def test_two_sections_in_one_file_are_read_together(project: Project) -> None:
    rows = "- Orders: Data Platform Engineer\n- Customer DB: Backend Developer\n"
    more = f"\n## Project Scope\n### Domain Ownership\n{rows}"
    assert verdict(project, BULLETS + more, "Orders") == "owned"
    assert verdict(project, BULLETS + more, "Customer DB") == "conflict"


def test_what_is_repeated_is_bounded_and_harmless(project: Project) -> None:
    long = "x" * 5000
    evil = "\x1b[31m\u202e`run this`"
    text = f"## Project Scope\n### Domain Ownership\n- Orders: Backend Developer {evil}{long}\n"
    decision = check(project(text), "Orders" + "\x1b" + " (note)" * 500)
    shown = decision.message + str(decision.to_json())
    assert decision.verdict == "owned_by_other"
    assert len(decision.message) < 1200
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_store_name_cannot_act_in_the_command_that_is_suggested(project: Project) -> None:
    message = check(project(TABLES), "a'; $(touch x) `touch y`\"").message
    assert "--theirs 'a ; $(touch x) touch y \"'" in message


def test_a_password_is_found_and_never_shown(project: Project) -> None:
    text = STORES.replace("env:CUSTOMER_DB_URL", "postgres://app:hunter2@db.internal/customer")
    decision = check(project(text), "Customer DB")
    assert decision.verdict == "owned"
    assert decision.details["leaks"] == [24]
    for one in (check(project(text)), check(project(text), "Billing DB"), decision):
        assert "hunter2" not in one.message + str(one.to_json())
    assert "hunter2" not in str(stores(project(text)))


@pytest.mark.parametrize(
    "url",
    [
        "postgres://app@db/x",
        "postgres://app:$PW@db/x",
        "https://example.org/a:b@c",
        "http://localhost:8080/@x",
    ],
)
def test_a_url_without_a_password_is_no_leak(project: Project, url: str) -> None:
    assert "leaks" not in check(project(STORES.replace("env:CUSTOMER_DB_URL", url))).details


def test_a_password_in_a_query_is_found_and_never_shown(project: Project) -> None:
    text = STORES.replace("env:CUSTOMER_DB_URL", "postgres://db.internal/customer?user=app&password=hunter2")
    decision = check(project(text), "Customer DB")
    assert (decision.verdict, decision.details["leaks"]) == ("owned", [24])
    assert "hunter2" not in decision.message + str(decision.to_json())


def test_the_stores_are_listed(project: Project) -> None:
    listed = stores(project(STORES))
    assert [(store.name, store.ours, store.line) for store in listed if store.line > 22] == [
        ("Customer DB", True, 24),
        ("Billing DB", False, 25),
    ]
    assert listed[-2].connection == "env:CUSTOMER_DB_URL"


def test_json_has_the_keys_of_the_contract(project: Project) -> None:
    decision: Decision = check(project(TABLES), "Customer DB")
    assert decision.to_json() | {"details": None} == {
        "verdict": "owned", "store": "Customer DB", "file": "CLAUDE.md", "line": 19, "details": None,
    }  # fmt: skip
