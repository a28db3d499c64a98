"""The report says the finding first and shows what it rests on; JSON has the contract's keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from data_platform.report.html import page
from data_platform.report.markdown import markdown
from data_platform.storage.report import report
from data_platform.storage.result import result
from data_platform.storage.select import select

from .needs import answered, by_options, cases


def text(store: str | None = "Customer DB", **answers: Any) -> str:
    given = answered(store, **answers)
    return markdown(report(given, select(given.need), "dpe storage select needs.yaml"))


SHOP = {"data": "relational", "queries": "join", "growth_per_year": 1.0, "rows": 200_000_000}


def test_the_title_says_the_finding_and_the_verdict_the_choice() -> None:
    lines = text(**SHOP).splitlines()
    assert lines[0] == "# `Customer DB`: PostgreSQL; PostgreSQL alone is enough for 6.6 years"
    assert lines[2].startswith("**Verdict: PostgreSQL.** PostgreSQL has 100 % of the points")


def test_it_says_where_the_figures_come_from_and_how_to_repeat_it() -> None:
    shown = text(**SHOP)
    assert "| volume " in shown
    assert "assumed: 10 TB on one node" in shown
    assert "PostgreSQL 18 documentation: Appendix K, PostgreSQL Limits" in shown
    assert "Not answered, so the defaults were taken: `row_bytes`" in shown
    assert shown.rstrip().endswith("```bash\ndpe storage select needs.yaml\n```")


def test_the_marks_add_up() -> None:
    lines = text(**SHOP).splitlines()
    start = lines.index("## The marks, to add up again") + 4
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines[start:]
        if line.startswith("|")
    ]
    *marks, total = rows
    for column in (2, 3, 4):
        assert sum(int(row[1]) * int(row[column]) for row in marks) == int(total[column])


def test_none_is_an_answer_too() -> None:
    shown = text(data="vectors", rows=5_000_000_000, row_bytes=4000, licence="open_source")
    assert shown.startswith("# `Customer DB`: none of the 13 systems can do all of this\n")
    assert "**Verdict: none of the 13 systems.**" in shown


def test_a_job_for_nobody_stands_in_the_verdict() -> None:
    shown = text(data="relational", latency_ms=0.01)
    assert "**Verdict: PostgreSQL, but nothing for cache.**" in shown


def test_the_users_words_stay_in_code() -> None:
    assert text("**a** [b](c)", data="relational").startswith("# `**a** [b](c)`: PostgreSQL")
    assert text(None, data="relational").startswith("# This need: PostgreSQL")


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_every_case_is_shown_and_its_json_is_bounded(case: Any) -> None:
    given = case.asked
    selection = select(given.need)
    found = report(given, selection, "again")
    assert markdown(found) == markdown(report(given, select(given.need), "again"))
    assert "<html" in page(found)
    data = result(given, selection)
    assert len(json.dumps(data, indent=2)) < 40_000
    assert data["choice"] == case.choice
    assert data["companion"] == (case.companions or [None])[0]
    assert data["postgres_enough"]["enough"] == case.enough
    assert len(data["ranking"]) == 13


def test_the_json_can_be_added_up() -> None:
    given = answered("Customer DB", **SHOP)
    data = result(given, select(given.need))
    for entry in data["ranking"]:
        assert entry["points"] == sum(mark * data["weights"][key] for key, mark in entry["marks"].items())
        assert (entry["excluded"] is not None) == any(
            mark == 0 for key, mark in entry["marks"].items() if key not in ("runs", "one_system")
        )
    first = data["ranking"][0]
    assert {reason["criterion"] for reason in first["reasons"]} == set(first["marks"])
    assert data["postgres_enough"]["until"]["criterion"] == "volume"
    assert data["need"]["rows"] == 200_000_000
    assert "rows" not in data["not_answered"]


def summary(**answers: Any) -> str:
    given = by_options(**answers)
    return markdown(report(given, select(given.need), "again")).splitlines()[2]


def test_a_default_that_decided_is_named_at_the_top() -> None:
    said = summary(data="vectors", vectors=50_000_000)
    assert (
        "Not answered, and the default decided: queries filter (if by_key: Pinecone); consistency eventual"
        in said
    )
    assert "the default decided" not in summary(data="vectors", vectors=1_000_000)


def test_what_even_the_first_system_does_not_do_is_at_the_top() -> None:
    said = summary(data="vectors", vectors=500_000_000, latency_ms=20)
    assert "Beyond its limit, or slower than asked: latency: a service over the network" in said


def test_records_and_their_search_apart_are_said_to_be() -> None:
    said = summary(data="vectors", vectors=500_000_000, consistency="transactions")
    assert "No system does the nearest vectors and the rest" in said
    assert "the nearest vectors and the rest" not in summary(data="vectors", vectors=500_000_000)


def test_json_has_what_decided() -> None:
    given = by_options(data="key_value", latency_ms=0.5)
    found = result(given, select(given.need))["decided_by_default"]
    assert {
        "answer": "loss",
        "default": "seconds",
        "if": "none",
        "then": "PostgreSQL + Redis as cache",
    } in found
