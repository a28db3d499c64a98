"""The project for SQLMesh: what its files say, and the rows that SQLMesh itself makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment
from sqlglot import exp, parse_one

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines import sqlmesh
from data_platform.pipeline.engines.look import as_it_is
from data_platform.postgres.server import Database, Server
from pipeline.engines.mesh import ALL, Mesh, compared
from pipeline.engines.projects import columns_of, land, rendered, rows
from pipeline.engines.shop import CSV, SPECS
from pipeline.running import ask, do, spec_of

NAMED = """pattern: snapshot
sources: [{name: rows, path: 'in/*.csv', columns: {id: bigint, NAME: text}}]
transforms: [{name: named, sql: 'SELECT id, NAME FROM rows'}]
targets: [{table: shop.t, from: named, key: [id, NAME]}]
"""


def query_of(model: str) -> str:
    """What follows MODEL (…); in a file."""
    return model.split("\n);\n\n", 1)[1]


@pytest.mark.parametrize("name", [name for name in SPECS if name != "etl"])
def test_queries_as_the_parser_writes_them_give_the_rows_of_a_run_in_the_types_declared(
    server: Server, database: Database, tmp_path: Path, name: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    folder = rendered(sqlmesh, server, tmp_path, SPECS[name])
    land(database, folder)
    ask(database, "CREATE SCHEMA shop")
    models = {path.stem: path.read_text() for path in (folder / "models").glob("*.sql")}
    # What others read comes first.
    for stem in sorted(models, key=lambda one: (one != "shop__raw", one.startswith("shop__"))):
        declared, query = models[stem].split("\n);\n\n", 1)
        relation = re.search(r"name (\S+),", declared)
        assert relation
        ask(database, f"CREATE VIEW {relation[1]} AS {parse_one(query, read='postgres').sql('postgres')}")
        columns = re.findall(r'^    "(\w+)" (.+?),?$', declared, re.MULTILINE)
        made = ask(
            database,
            "SELECT attname, atttypid::regtype::text FROM pg_attribute"
            f" WHERE attrelid = '{relation[1]}'::regclass AND attnum > 0 ORDER BY attnum",
        )
        told = [(one, ask(database, f"SELECT '{type_}'::regtype::text")[0][0]) for one, type_ in columns]
        assert told == made
    with server.scratch_database(extensions=["btree_gist"]) as ours:
        do(ours, tmp_path, SPECS[name])
        expected = rows(ours, columns_of(ours))
        assert rows(database, columns_of(ours)) == expected
        assert expected


def test_the_files_are_the_same_each_time(server: Server, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, NAMED.replace("NAME", "other"))
    given = {"rows": {"name": "rows", "path": "in/*.csv"}}
    first, second = (sqlmesh.render(as_it_is(server, spec, ["h"]), given, tmp_path / "p") for _ in range(2))
    assert first == second
    assert "unique_combination_of_columns" in first.files["models/shop__t.sql"]
    external = yaml.safe_load(first.files["external_models.yaml"])
    assert external == [
        {
            "name": '"p_landing"."rows"',
            "columns": {"id": "bigint", "other": "text", "_dpe_row": "bigint"},
        }
    ]


def test_a_name_does_not_break_out(server: Server, tmp_path: Path) -> None:
    text = NAMED.replace("{id: bigint, NAME: text}", "{id: bigint, 'a); DROP TABLE x; -- \"q\" b': text}")
    text = text.replace("'SELECT id, NAME FROM rows'", "'SELECT * FROM rows'")
    text = text.replace("[id, NAME]", "[id, 'a); DROP TABLE x; -- \"q\" b']")
    folder = rendered(sqlmesh, server, tmp_path, text)
    for path in (folder / "models").glob("*.sql"):
        tree = parse_one(query_of(path.read_text()), read="postgres")
        assert isinstance(tree, exp.Select)
        assert 'a); DROP TABLE x; -- "q" b' in {one.name for one in tree.find_all(exp.Column)}


@pytest.mark.parametrize("mark", ["@this_model", "a {{ 1 }}", "{# c", "a@b", "{% raw %}"])
@pytest.mark.parametrize("place", ["name", "sql"])
def test_what_is_a_macro_or_template_is_refused(
    server: Server, tmp_path: Path, mark: str, place: str
) -> None:
    text = NAMED.replace("NAME", "other").replace("FROM rows", f", ''{mark}'' AS x FROM rows")
    if place == "name":
        text = NAMED.replace("NAME: text", f"'{mark}': text").replace("id, NAME", "id")
    with pytest.raises(UsageProblem, match=r"as a macro or template|clients read %"):
        rendered(sqlmesh, server, tmp_path, text)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("etl", "", "", "keeps the rows that its sources have no more"),
        ("scd 2", "shop.t", "'\"a b\".t'", "SQLMesh can have nothing of the name 'a b'"),
        ("scd 2", ", version: updated_at, type: 2", ", type: 2", "cannot be made anew"),
        ("scd 2", "updated_at", "'a\u200bb'", "cannot read the name"),
    ],
)
def test_what_has_no_form_is_refused(
    server: Server, tmp_path: Path, name: str, old: str, new: str, told: str
) -> None:
    with pytest.raises(UsageProblem, match=re.escape(told)):
        rendered(sqlmesh, server, tmp_path, SPECS[name].replace(old, new) if old else SPECS[name])


def test_a_table_of_the_store_is_read_where_it_is(server: Server, tmp_path: Path) -> None:
    text = NAMED.replace("NAME", "other").replace("path: 'in/*.csv'", "dsn: target, table: shop.old")
    folder = rendered(sqlmesh, server, tmp_path, text)
    assert [one["name"] for one in yaml.safe_load((folder / "external_models.yaml").read_text())] == [
        '"shop"."old"'
    ]
    assert 'from "shop"."old"' in (folder / "models" / "named.sql").read_text()
    with pytest.raises(UsageProblem, match="as a macro or template"):
        rendered(sqlmesh, server, tmp_path, text.replace("shop.old", "'\"a@b\".old'"))


def test_the_connection_is_the_environments(server: Server, tmp_path: Path) -> None:
    folder = rendered(sqlmesh, server, tmp_path, SPECS["elt"])
    secret = "a'b\"c: #{{ <&"
    values = {"PGUSER": "u", "PGPASSWORD": secret, "PGDATABASE": "d"}
    template = Environment(autoescape=False).from_string((folder / "config.yaml").read_text())
    read = yaml.safe_load(template.render(env_var=lambda name, default=None: values.get(name, default)))
    connection = read["gateways"]["default"]["connection"]
    assert (connection["password"], connection["port"], connection["host"]) == (secret, 5432, "localhost")


def test_sql_that_the_parser_writes_otherwise_is_told(server: Server, tmp_path: Path) -> None:
    text = NAMED.replace("NAME", "other").replace("id, other FROM", "id, now()::text AS other FROM")
    for spec, times in ((text, 1), (SPECS["incremental"], 0)):
        made = sqlmesh.render(as_it_is(server, spec_of(tmp_path, spec), []), {"rows": {}}, None)
        assert [one.rule for one in made.findings].count("rewritten") == times


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    found = Mesh(tmp_path_factory.mktemp("sqlmesh") / "environment")
    yield found
    found.close()


@pytest.mark.parametrize("name", ["incremental", "scd 2, tracked", "odd"])
def test_sqlmesh_itself_gives_the_rows_of_a_run(
    server: Server, mesh: Mesh, tmp_path: Path, name: str
) -> None:
    """All specs: tests/benchmarks/run_engines_projects.py."""
    told = compared(server, mesh, tmp_path, ALL[name])
    assert re.fullmatch(r"same: \d+, then \d+ rows", told), told
