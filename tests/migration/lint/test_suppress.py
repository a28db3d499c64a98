"""Comments that answer for a finding."""

from __future__ import annotations

import pytest

from migration.lint.linting import linted

TRUNCATE = "TRUNCATE orders"


def rules(sql: str) -> set[str]:
    return {finding.rule for finding in linted(sql).findings} - {"missing-lock-timeout"}


@pytest.mark.parametrize(
    "sql",
    [
        f"-- dpe: ignore data-loss it is a cache\n{TRUNCATE};",
        f"{TRUNCATE}; -- dpe: ignore data-loss it is a cache",
        f"/* dpe: ignore data-loss it is a cache */ {TRUNCATE};",
        "TRUNCATE\n  -- dpe: ignore data-loss it is a cache\n  orders;",
        f"SELECT 1;\n--dpe:ignore data-loss: it is a cache\n\n{TRUNCATE};",
    ],
)
def test_a_reason_answers(sql: str) -> None:
    assert rules(sql) == set()


def test_several_rules_share_a_reason() -> None:
    sql = "-- dpe: ignore data-loss, drop-breaks-clients nobody reads it since 2024\nDROP TABLE orders;"
    one = linted(sql)
    assert {finding.rule for finding in one.findings} == {"missing-lock-timeout"}
    assert one.suppressed == 2


def test_only_the_statement_behind_the_comment_is_meant() -> None:
    assert rules(f"-- dpe: ignore data-loss it is a cache\nSELECT 1;\n{TRUNCATE};") == {
        "data-loss",
        "suppression-unused",
    }


def test_a_comment_without_a_reason_answers_for_nothing() -> None:
    assert rules(f"-- dpe: ignore data-loss\n{TRUNCATE};") == {"data-loss", "suppression-without-reason"}


def test_text_is_no_comment() -> None:
    assert rules(f"SELECT '-- dpe: ignore data-loss a';\n{TRUNCATE};") == {"data-loss"}
    assert rules(f"SELECT $$\n-- dpe: ignore data-loss a\n$$; {TRUNCATE};") == {"data-loss"}
