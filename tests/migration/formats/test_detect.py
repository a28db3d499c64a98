"""Which tool a project uses, and what comes next in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_platform.errors import UsageProblem
from data_platform.migration import formats
from data_platform.migration.formats.context import Detected
from data_platform.migration.formats.tree import Tree
from data_platform.migration.formats.versions import following


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def found(root: Path) -> Detected:
    detected = formats.detect(root)
    assert detected is not None
    return detected


ALEMBIC = {
    "alembic.ini": "[alembic]\nscript_location = %(here)s/db/alembic\n",
    "db/alembic/versions/a.py": 'revision = "aaa"\ndown_revision = None\n',
    "db/alembic/versions/b.py": 'revision: str = "bbb"\ndown_revision: str | None = "aaa"\nraise SystemExit(1)\n',
}


@pytest.mark.parametrize(
    ("files", "tool", "directory", "version", "previous"),
    [
        (ALEMBIC, "alembic", "db/alembic/versions", "", "bbb"),
        (
            {
                "manage.py": "",
                "shop/migrations/0001_initial.py": "",
                "shop/migrations/0002_b.py": 'class Migration:\n    dependencies = [("shop", "0001_initial")]\n',
            },
            "django",
            "shop/migrations",
            "0003",
            "0002_b",
        ),
        ({"sql/V1__a.sql": "", "sql/V12__b.sql": ""}, "flyway", "sql", "13", None),
        ({"flyway.conf": "flyway.locations=filesystem:db/sql\n"}, "flyway", "db/sql", "1", None),
        ({"db/changelog.xml": ""}, "liquibase", "db", "0001", None),
        (
            {"changelog.yaml": "- includeAll:\n    path: sql/changes\n"},
            "liquibase",
            "sql/changes",
            "0001",
            None,
        ),
        (
            {
                "src/main/resources/db/master-changelog.xml": '<includeAll path="db/x"/>',
                "src/main/resources/db/x/0003_a.sql": "",
            },
            "liquibase",
            "src/main/resources/db/x",
            "0004",
            None,
        ),
        ({"db/0007_a.sql": "--liquibase formatted sql\n"}, "liquibase", "db", "0008", None),
        (
            {"db/migrations/20251231235959_a.sql": "-- migrate:up\n\n-- migrate:down\n"},
            "dbmate",
            "db/migrations",
            "20260101000000",
            None,
        ),
        ({"m/000009_a.up.sql": "", "m/000009_a.down.sql": ""}, "golang-migrate", "m", "000010", None),
        ({"m/00001_a.sql": "-- +goose Up\n"}, "goose", "m", "00002", None),
        (
            {
                "sqitch.plan": "%syntax-version=1.0.0\n%project=shop\n\n"
                "first 2026-01-01T10:00:00Z A B <a@b.c> # one\n@v1 2026-01-01T10:00:01Z A B <a@b.c> # tag\n"
            },
            "sqitch",
            ".",
            "20260101100001",
            "first",
        ),
        (
            {"prisma/schema.prisma": "", "prisma/migrations/20260101000000_a/migration.sql": ""},
            "prisma",
            "prisma/migrations",
            "20260101000001",
            None,
        ),
        (
            {
                "Gemfile": 'gem "rails"',
                "db/migrate/20260101000000_a.rb": "class A < ActiveRecord::Migration[7.1]\nend",
            },
            "rails",
            "db/migrate",
            "20260101000001",
            None,
        ),
        (
            {
                "package.json": '{"type": "module", "devDependencies": {"node-pg-migrate": "^7"}}',
                "migrations/1700000000000_a.js": "",
            },
            "node-pg-migrate",
            "migrations",
            "1700000000001",
            None,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isalpha() else "",
)
def test_each_tool_is_found(
    files: dict[str, str], tool: str, directory: str, version: str, previous: str | None, tmp_path: Path
) -> None:
    detected = found(tree(tmp_path, files))
    assert detected.tool == tool
    assert str(detected.place.directory) == directory
    assert detected.place.version == version
    assert detected.place.previous == previous
    assert detected.evidence.split(":")[0] in files


def test_nothing_is_found_in_nothing(tmp_path: Path) -> None:
    assert formats.detect(tree(tmp_path, {"README.md": "", "schema.sql": "CREATE TABLE t ();"})) is None


def test_two_tools_are_an_error_that_names_both(tmp_path: Path) -> None:
    tree(tmp_path, {**ALEMBIC, "db/migrate/1_a.sql": "-- +goose Up\n"})
    with pytest.raises(UsageProblem) as refused:
        formats.detect(tmp_path)
    assert "alembic (alembic.ini)" in str(refused.value)
    assert "goose" in str(refused.value)
    assert "--format" in str(refused.value)


def test_two_heads_are_an_error(tmp_path: Path) -> None:
    tree(tmp_path, {**ALEMBIC, "db/alembic/versions/c.py": 'revision = "ccc"\ndown_revision = "aaa"\n'})
    with pytest.raises(UsageProblem, match="2 heads: bbb, ccc"):
        formats.detect(tmp_path)


def test_a_merge_joins_heads(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            **ALEMBIC,
            "db/alembic/versions/c.py": 'revision = "ccc"\ndown_revision = "aaa"\n',
            "db/alembic/versions/d.py": 'revision = "ddd"\ndown_revision = ("bbb", "ccc")\n',
        },
    )
    assert found(tmp_path).place.previous == "ddd"


def test_two_apps_and_two_leaves_of_django_are_errors(tmp_path: Path) -> None:
    tree(tmp_path, {"manage.py": "", "a/migrations/0001_a.py": "", "b/migrations/0001_b.py": ""})
    with pytest.raises(UsageProblem, match="several Django apps with migrations: a, b"):
        formats.detect(tmp_path)
    chosen = formats.detect(tmp_path, app="b")
    assert chosen is not None
    assert (chosen.place.label, chosen.place.previous) == ("b", "0001_b")
    (tmp_path / "b/migrations/0001_b.py").rename(tmp_path / "a/migrations/0001_c.py")
    with pytest.raises(UsageProblem, match="2 leaf migrations: 0001_a, 0001_c"):
        formats.detect(tmp_path)


def test_one_tool_in_two_directories_is_an_error(tmp_path: Path) -> None:
    tree(tmp_path, {"a/1_x.sql": "-- +goose Up\n", "b/1_x.sql": "-- +goose Up\n"})
    with pytest.raises(UsageProblem, match="migrations in 2 directories: a, b"):
        formats.detect(tmp_path)


def test_directories_below_belong_to_the_one_above(tmp_path: Path) -> None:
    place = found(tree(tmp_path, {"sql/V1__x.sql": "", "sql/2026/V7__x.sql": ""})).place
    assert (str(place.directory), place.version) == ("sql", "8")


def test_packages_and_hidden_directories_are_left_out(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {"node_modules/x/V1__a.sql": "", ".git/V1__a.sql": "", "venv/lib/V1__a.sql": "", "a.txt": ""},
    )
    assert [str(path) for path in Tree(tmp_path).files] == ["a.txt"]


def test_files_go_on_from_what_is_there(tmp_path: Path) -> None:
    from migration.formats.plans import PLAN

    tree(tmp_path, ALEMBIC)
    files = formats.files(PLAN, "alembic", tmp_path, name="x")
    first = next(iter(files.values()))
    assert 'down_revision = "bbb"' in first


def test_what_follows() -> None:
    assert following("0009") == "0010"
    assert following("20251231235959") == "20260101000000"
    assert following("20251231235959123") == "20260101000000123"
    assert following("99999999999999") == "100000000000000"
