"""The pattern `views` as a run does it: made, refreshed, followed, changed, and set right."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_platform.errors import Problem, UsageProblem
from data_platform.pipeline.run import Ran
from data_platform.pipeline.status import status
from data_platform.postgres.server import Database
from data_platform.spec.document import SpecProblem
from pipeline.running import ask, do, spec_of

SOURCES = "pattern: views\nsources: [{name: orders, dsn: target, table: shop.orders}]\n"
SUMMARY = """
summaries:
  - view: shop.per_country
    from: orders
    groups: [country]
    measures: {orders: count, total: sum(total), last: max(id)}
"""
VIEWS = """
views:
  - {name: marts.best, sql: "SELECT country, max(total) AS total FROM marts.days GROUP BY country", unique: [country]}
  - name: marts.days
    sql: SELECT country, day, sum(total) AS total FROM shop.orders GROUP BY 1, 2
    unique: [country, day]
"""


@pytest.fixture
def shop(database: Database) -> Database:
    ask(
        database,
        "CREATE SCHEMA shop;"
        "CREATE TABLE shop.orders (id int PRIMARY KEY, country text, day date, total numeric(12,2));"
        "INSERT INTO shop.orders SELECT n, 'C' || n % 3, date '2026-01-01' + n % 5, n FROM generate_series(1, 60) n",
    )
    return database


def counted(ran: Ran) -> dict[str, tuple[str, int, int, int]]:
    return {
        one.target: (one.way, one.counts.read, one.counts.written, one.counts.deleted) for one in ran.steps
    }


CHECKS = "checks: [{on: %s, check: range, columns: [total], max: 1000, action: %s}]\n"


def test_a_view_that_fails_its_check_is_not_refreshed(shop: Database, tmp_path: Path) -> None:
    text = SOURCES + VIEWS
    do(shop, tmp_path, text + CHECKS % ("marts.days", "fail"))
    ask(shop, "UPDATE shop.orders SET total = 2000 WHERE id = 1")
    with pytest.raises(UsageProblem, match="nothing of this unit was kept"):
        do(shop, tmp_path, text + CHECKS % ("marts.days", "fail"))
    assert ask(shop, "SELECT max(total) < 1000 FROM marts.days") == [(True,)]
    ran = do(shop, tmp_path, text + CHECKS % ("marts.days", "warn"))
    assert {step.target: len(step.told) for step in ran.steps} == {"marts.days": 1, "marts.best": 0}
    assert ask(shop, "SELECT max(total) > 1000 FROM marts.days") == [(True,)]


def test_a_summary_that_fails_its_check_is_told(shop: Database, tmp_path: Path) -> None:
    text = SOURCES + SUMMARY
    do(shop, tmp_path, text + CHECKS % ("shop.per_country", "fail"))
    assert do(shop, tmp_path, text + CHECKS % ("shop.per_country", "fail")).steps == ()
    ask(shop, "UPDATE shop.orders SET total = 2000 WHERE id = 1")
    with pytest.raises(UsageProblem, match="a summary is what its writers make it"):
        do(shop, tmp_path, text + CHECKS % ("shop.per_country", "fail"))
    ran = do(shop, tmp_path, text + CHECKS % ("shop.per_country", "warn"))
    assert [(step.way, len(step.told)) for step in ran.steps] == [("as it is", 1)]


def test_made_in_order_and_refreshed_by_what_changed(shop: Database, tmp_path: Path) -> None:
    ran = do(shop, tmp_path, SOURCES + VIEWS)
    assert counted(ran) == {"marts.days": ("made", 15, 15, 0), "marts.best": ("made", 3, 3, 0)}
    again = do(shop, tmp_path, SOURCES + VIEWS)
    assert counted(again) == {"marts.days": ("refreshed", 15, 0, 0), "marts.best": ("refreshed", 3, 0, 0)}
    assert {one.unit for one in again.steps} == {"beside its readers"}
    ask(shop, "UPDATE shop.orders SET total = 1000 WHERE id = 7")
    assert counted(do(shop, tmp_path, SOURCES + VIEWS)) == {
        "marts.days": ("refreshed", 15, 1, 1),
        "marts.best": ("refreshed", 3, 1, 1),
    }
    assert ask(shop, "SELECT max(total) FROM marts.best") == [(1111,)]


def test_a_dry_run_leaves_nothing(shop: Database, tmp_path: Path) -> None:
    ran = do(shop, tmp_path, SOURCES + VIEWS + SUMMARY, dry_run=True)
    assert ran.counts.inserted == 21
    assert ask(shop, "SELECT to_regnamespace('marts'), to_regclass('shop.per_country')") == [(None, None)]


def test_a_changed_definition_is_refused_or_made_anew(shop: Database, tmp_path: Path) -> None:
    do(shop, tmp_path, SOURCES + VIEWS)
    ask(shop, "GRANT SELECT ON marts.best TO PUBLIC")
    changed = SOURCES + VIEWS.replace("sum(total)", "sum(total) + 1")
    with pytest.raises(UsageProblem, match=r"marts\.days is defined otherwise"):
        do(shop, tmp_path, changed)
    # Another way to write the same is no other definition.
    same = VIEWS.replace("GROUP BY 1, 2", "GROUP  BY orders.country, orders.day")
    assert do(shop, tmp_path, SOURCES + same).counts.written == 0
    ran = do(shop, tmp_path, changed + "changed: rebuild\n")
    assert {one.target: one.way for one in ran.steps} == {"marts.days": "made", "marts.best": "made"}
    assert ask(shop, "SELECT sum(total) FROM marts.days") == [(1845,)]
    assert "=r/" in str(ask(shop, "SELECT relacl FROM pg_class WHERE oid = 'marts.best'::regclass"))
    assert do(shop, tmp_path, changed).counts.written == 0


ONE_VIEW = "views:\n  - {name: marts.v, sql: 'SELECT %s FROM shop.orders', unique: [%s]}\n"


def test_what_the_server_says_is_of_a_view(shop: Database, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"marts\.v has several rows with the same country") as raised:
        do(shop, tmp_path, SOURCES + ONE_VIEW % ("country", "country"))
    query = str(raised.value.try_).rpartition("which they are: ")[2]
    assert len(ask(shop, query)) == 3
    with pytest.raises(UsageProblem, match=r'marts\.v cannot be made: column "day" does not exist'):
        do(shop, tmp_path, SOURCES + ONE_VIEW % ("id", "day"))
    text = SOURCES + ONE_VIEW % ("total, 10 / total AS share", "total")
    do(shop, tmp_path, text)
    ask(shop, "INSERT INTO shop.orders VALUES (70, 'C1', NULL, 60)")
    with pytest.raises(UsageProblem, match=r"marts\.v has several rows with the same total"):
        do(shop, tmp_path, text)
    ask(shop, "UPDATE shop.orders SET total = 0 WHERE id = 70")
    with pytest.raises(UsageProblem, match=r"spec\.yaml: marts\.v cannot be made: division by zero"):
        do(shop, tmp_path, text)


def test_indexes_of_others_are_there_again_or_stop_it(shop: Database, tmp_path: Path) -> None:
    do(shop, tmp_path, SOURCES + ONE_VIEW % ("id, total", "id"))
    ask(shop, "CREATE INDEX mine ON marts.v (total) WHERE total > 5")
    rebuild = SOURCES + ONE_VIEW + "changed: rebuild\n"
    do(shop, tmp_path, rebuild % ("id, total, day", "id"))
    found = "SELECT indexname FROM pg_indexes WHERE schemaname = 'marts' ORDER BY 1"
    assert ask(shop, found) == [("mine",), ("v_id_idx",)]
    with pytest.raises(UsageProblem, match="cannot have this again: CREATE INDEX mine"):
        do(shop, tmp_path, rebuild % ("id, day", "id"))
    assert ask(shop, "SELECT count(total) FROM marts.v") == [(60,)]


def test_what_others_read_is_not_taken_away(shop: Database, tmp_path: Path) -> None:
    do(shop, tmp_path, SOURCES + VIEWS)
    ask(shop, "CREATE VIEW report AS SELECT * FROM marts.days")
    with pytest.raises(Problem, match="other objects depend on it"):
        do(shop, tmp_path, SOURCES + VIEWS.replace("sum(total)", "sum(total) + 1") + "changed: rebuild\n")
    assert ask(shop, "SELECT count(*) FROM report") == [(15,)]


def test_a_summary_follows_and_is_set_right(shop: Database, tmp_path: Path) -> None:
    text = SOURCES + SUMMARY
    assert counted(do(shop, tmp_path, text)) == {"shop.per_country": ("made", 3, 3, 0)}
    ask(shop, "DELETE FROM shop.orders WHERE id = 60; INSERT INTO shop.orders VALUES (61, NULL, NULL, 4)")
    assert ask(shop, "SELECT * FROM shop.per_country ORDER BY country") == [
        ("C0", 19, 570, 57),
        ("C1", 20, 590, 58),
        ("C2", 20, 610, 59),
        (None, 1, 4, 61),
    ]
    assert do(shop, tmp_path, text).steps == ()
    ask(shop, "ALTER TABLE shop.orders DISABLE TRIGGER USER; UPDATE shop.orders SET total = 0")
    ran = do(shop, tmp_path, text)
    assert [(one.way, one.counts.updated) for one in ran.steps] == [("set right, 4 groups were wrong", 4)]
    ask(shop, "UPDATE shop.per_country_parts SET _rows = 99 WHERE country = 'C1'")
    assert do(shop, tmp_path, text).steps == ()
    ran = do(shop, tmp_path, text.replace("groups:", "verify: true\n    groups:"))
    assert [one.way for one in ran.steps] == ["set right, 1 groups were wrong"]
    assert ask(shop, "SELECT sum(orders), sum(total) FROM shop.per_country") == [(60, 0)]
    other = text.replace("count,", "count(country),")
    with pytest.raises(UsageProblem, match="defined otherwise"):
        do(shop, tmp_path, other)
    do(shop, tmp_path, other + "changed: rebuild\n")
    assert ask(shop, "SELECT orders FROM shop.per_country WHERE country IS NULL") == [(0,)]


def test_the_age_of_each_is_told(shop: Database, tmp_path: Path) -> None:
    text = SOURCES + VIEWS + "service_levels: {freshness: 1 hour}\n"
    do(shop, tmp_path, text)
    spec = spec_of(tmp_path, text)
    found = status(spec, shop.conninfo)
    assert found.findings == ()
    assert [(one.name, one.age_seconds is not None) for one in found.standing] == [
        ("marts.days", True),
        ("marts.best", True),
    ]
    ask(
        shop,
        "UPDATE dpe_pipeline.refreshes SET refreshed_at = now() - interval '2 hours' WHERE view_name = 'days'",
    )
    assert [(one.rule, one.severity) for one in status(spec, shop.conninfo).findings] == [
        ("not-fresh", "error")
    ]


HERE = "sources: [{name: b, dsn: target, table: b}]"
ONE = "{name: a, sql: SELECT 1 AS x, unique: [x]}"


def measured(text: str) -> str:
    return f"summaries: [{{view: a, from: b, groups: [g], measures: {{n: {text}}}}}]"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "views: [{name: a, sql: SELECT FROM b, unique: [x]}, {name: b, sql: SELECT FROM a, unique: [x]}]",
            "views read each other",
        ),
        ("", "keeps nothing here"),
        ("views: [{name: a, sql: DELETE FROM b, unique: [x]}]", "expected one SELECT"),
        (measured("count"), "no source `b`"),
        (f"{HERE.replace('target', 'env:X')}\n{measured('count')}", "tables of the store itself"),
        (f"{HERE}\n{measured('median(x)')}", "is no measure"),
        (f"targets: [{{table: a}}]\nviews: [{ONE}]", "`targets` means nothing"),
        (f"views: [{ONE}, {ONE}]", "`public.a` is here twice"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SpecProblem) as raised:
        spec_of(tmp_path, f"pattern: views\n{text}\n")
    assert told in str(raised.value)
    assert "spec.yaml:" in str(raised.value)


def test_a_table_in_the_way_is_told(shop: Database, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"shop\.orders is a table already"):
        do(shop, tmp_path, SOURCES + "views: [{name: shop.orders, sql: SELECT 1 AS x, unique: [x]}]\n")
    ask(shop, "CREATE VIEW shop.per_country AS SELECT 1")
    with pytest.raises(UsageProblem, match="no summary of ours"):
        do(shop, tmp_path, SOURCES + SUMMARY)


def test_other_patterns_keep_no_views(tmp_path: Path) -> None:
    with pytest.raises(SpecProblem, match="`views` means nothing to the pattern etl"):
        spec_of(tmp_path, f"pattern: etl\nviews: [{ONE}]\n")
