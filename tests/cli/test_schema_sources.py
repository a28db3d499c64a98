"""`dpe schema import`, `diff`, `lint` and `diagram` over SQL, servers and models, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.cli import main
from data_platform.postgres.server import Database, Server

SCOPE = """
## Project Scope
### Active Roles
- Data Platform Engineer: Customer DB
### Domain Ownership
- Billing DB: Data Platform Engineer (Billing) @billing
"""
DUMP = r"""
\restrict abc
SET statement_timeout = 0;
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
CREATE TABLE public.customers (
    id uuid DEFAULT public.uuid_generate_v4() NOT NULL,
    status character varying(10) CHECK (status IN ('new', 'old')),
    made_at timestamp without time zone
);
ALTER TABLE public.customers OWNER TO shop;
COPY public.customers (id) FROM stdin;
11111111-1111-1111-1111-111111111111
\.
ALTER TABLE ONLY public.customers ADD CONSTRAINT customers_pkey PRIMARY KEY (id);
CREATE VIEW public.fresh AS SELECT id FROM public.customers WHERE status = 'new';
CREATE AGGREGATE public.total(integer) (sfunc = int4pl, stype = integer);
SELECT pg_catalog.setval('public.s', 1, false);
\unrestrict abc
"""
STORE = ("--store", "Customer DB")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    (tmp_path / "dump.sql").write_text(DUMP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


class TestImport:
    def test_a_dump_becomes_a_model_that_makes_the_same(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, told = answer(capsys, "schema", "import", "--sql", "dump.sql", *STORE, "--output", "model.yaml")
        assert code == 0
        result = told["result"]
        assert (result["tables"], result["equal"], result["raw_by_kind"]) == (1, True, {"aggregate": 1})
        assert result["stub_extensions"] == ["uuid-ossp"]
        assert result["rows_left_out"] == 2
        assert told["artifacts"] == ["model.yaml"]
        model = yaml.safe_load((project / "model.yaml").read_text())
        assert model["store"] == "Customer DB"
        assert set(model["tables"]["customers"]["columns"]) == {"id", "status", "made_at"}
        assert main(["schema", "render", "model.yaml"]) == 0
        assert "uuid_generate_v4()" in capsys.readouterr().out

    def test_for_a_person(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["schema", "import", "--sql", "dump.sql", *STORE, "--output", "m.yaml"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("# `Customer DB`: 1 tables imported")
        assert "**Verdict: equal.**" in out
        assert "extension `uuid-ossp`: not on this server, a stub stood in for it" in out
        assert "dpe schema import --sql dump.sql --store 'Customer DB' --output m.yaml" in out

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            (["--sql", "dump.sql", "--output", "m.yaml"], 2, "--store NAME"),
            (["--sql", "dump.sql", *STORE], 2, "--output MODEL.yaml"),
            (["--sql", "none.sql", *STORE, "--output", "m.yaml"], 2, "none.sql"),
            (["--sql", "dump.sql", "--store", "Billing DB", "--output", "m.yaml"], 5, "Billing"),
            (["--sql", "dump.sql", "--dsn", "env:X", *STORE, "--output", "m.yaml"], 2, "not allowed with"),
            ([*STORE, "--output", "m.yaml"], 2, "--sql"),
        ],
    )
    def test_what_is_missing_is_said_and_nothing_written(
        self, project: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
    ) -> None:
        assert main(["schema", "import", *words]) == code
        assert said in capsys.readouterr().err
        assert not (project / "m.yaml").exists()

    def test_the_place_of_what_the_server_refuses(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (project / "bad.sql").write_text("CREATE TABLE a (id int);\n\nCREATE TABLE b (id integr);\n")
        code, told = answer(capsys, "schema", "import", "--sql", "bad.sql", *STORE, "--output", "m.yaml")
        assert code == 2
        finding = told["findings"][0]
        assert (finding["file"], finding["line"]) == ("bad.sql", 3)
        assert "integr" in finding["message"]

    def test_a_file_of_another_kind_is_not_overwritten(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (project / "model.yaml").write_text("mine\n")
        assert main(["schema", "import", "--sql", "dump.sql", *STORE, "--output", "model.yaml"]) == 2
        assert (project / "model.yaml").read_text() == "mine\n"

    def test_a_live_server_is_only_read(
        self,
        project: Path,
        server: Server,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        owner = f"live_{uuid4().hex}"
        admin = make_conninfo(server.conninfo, dbname=database.name)
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {owner}".encode())
            connection.execute("CREATE TABLE t (id int PRIMARY KEY, note text)")
            connection.execute(f"ALTER TABLE t OWNER TO {owner}".encode())
        monkeypatch.setenv("LIVE_URL", database.conninfo)
        code, told = answer(capsys, "schema", "import", "--dsn", "env:LIVE_URL", *STORE, "--output", "m.yaml")
        assert code == 0, told
        assert told["result"]["equal"] is True
        password = str(conninfo_to_dict(database.conninfo)["password"])
        written = (project / "m.yaml").read_text()
        assert password not in json.dumps(told)
        assert password not in written
        assert f"owner: {owner}" in written
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("DROP TABLE t")
            connection.execute(f"DROP ROLE {owner}".encode())

    def test_without_the_check(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = ("schema", "import", "--sql", "dump.sql", *STORE, "--output", "m.yaml", "--no-check")
        code, told = answer(capsys, *words)
        assert (code, told["result"]["equal"]) == (0, None)


class TestDiff:
    def test_an_import_is_the_same_as_its_source(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["schema", "import", "--sql", "dump.sql", *STORE, "--output", "model.yaml"]) == 0
        capsys.readouterr()
        code, told = answer(capsys, "schema", "diff", "dump.sql", "model.yaml", *STORE)
        assert code == 0
        assert told["result"] == {"equal": True, "added": [], "removed": [], "changed": []}

    def test_spelling_is_no_difference_and_meaning_is(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model = (
            "kind: model\nstore: Customer DB\ntables:\n  t:\n    columns:\n      id: {type: %s, check: %s}\n"
        )
        (project / "a.yaml").write_text(model % ("int8", "id>0"))
        (project / "b.yaml").write_text(model % ("bigint", '"( id ) > 0"'))
        (project / "c.yaml").write_text(model % ("bigint", "id > 1"))
        assert answer(capsys, "schema", "diff", "a.yaml", "b.yaml")[1]["result"]["equal"] is True
        code, told = answer(capsys, "schema", "diff", "a.yaml", "c.yaml")
        assert code == 1
        assert told["result"]["changed"] == [
            {
                "object": "constraint t_id_check on public.t",
                "property": "expression",
                "before": "(id > 0)",
                "after": "(id > 1)",
            }
        ]

    def test_what_hangs_on_other_objects_loads_them_all(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        head = "kind: model\nstore: Customer DB\ntables: {t: {columns: {id: int}}}\nviews:\n  v: "
        (project / "a.yaml").write_text(head + "SELECT id FROM t WHERE id>0\n")
        (project / "b.yaml").write_text(head + "SELECT t.id FROM t WHERE ((t.id > 0))\n")
        assert answer(capsys, "schema", "diff", "a.yaml", "b.yaml")[1]["result"]["equal"] is True

    def test_a_server_against_a_model(
        self,
        project: Path,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        with psycopg.connect(database.conninfo, autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id int)")
        (project / "a.yaml").write_text(
            "kind: model\nstore: Customer DB\ntables: {t: {columns: {id: {type: int, nullable: true}, b: text}}}\n"
        )
        monkeypatch.setenv("LIVE_URL", database.conninfo)
        code, told = answer(capsys, "schema", "diff", "env:LIVE_URL", "a.yaml", *STORE)
        assert code == 1
        assert told["result"]["added"] == ["column public.t.b"]
        assert told["result"]["removed"] == []

    def test_sql_needs_a_store(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["schema", "diff", "dump.sql", "dump.sql"]) == 2
        assert "--store NAME" in capsys.readouterr().err


def test_lint_says_the_line_in_the_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "s.sql").write_text("\nCREATE TABLE orders (\n  id int,\n  total money\n);\n")
    _, told = answer(capsys, "schema", "lint", "s.sql", *STORE)
    places = {finding["rule"]: (finding["file"], finding["line"]) for finding in told["findings"]}
    assert places["table-without-primary-key"] == ("s.sql", 2)
    assert places["money-type"] == ("s.sql", 4)


def test_diagram_as_a_page(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sql = "CREATE TABLE a (id int PRIMARY KEY) PARTITION BY HASH (id);" + "".join(
        f"CREATE TABLE a{n} PARTITION OF a FOR VALUES WITH (MODULUS 2, REMAINDER {n});" for n in range(2)
    )
    (project / "s.sql").write_text(sql + "CREATE TABLE b (a_id int REFERENCES a);")
    assert main(["schema", "import", "--sql", "s.sql", *STORE, "--output", "m.yaml"]) == 0
    capsys.readouterr()
    code, told = answer(capsys, "schema", "diagram", "m.yaml", "--html", "m.html")
    assert code == 0
    assert (told["result"]["tables"], told["result"]["partitions_not_drawn"]) == (2, 2)
    page = (project / "m.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    assert "http" not in page.split("<body", 1)[1].replace("http://www.w3.org", "")


def test_render_for_another_database(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "m.yaml").write_text(
        "kind: model\nstore: Customer DB\n"
        "tables: {t: {columns: {id: {type: int, primary_key: true}, span: tstzrange},"
        " exclude: [{using: gist, elements: [{column: span, with: '&&'}]}]}}\n"
    )
    assert main(["spec", "check", "m.yaml"]) == 0
    capsys.readouterr()
    assert main(["schema", "render", "m.yaml", "--dialect", "sqlite"]) == 1
    shown = capsys.readouterr()
    assert 'CREATE TABLE "t"' in shown.out
    assert "exclusion constraint is left out" in shown.err
    code, told = answer(capsys, "schema", "render", "m.yaml", "--dialect", "sqlite", "--output", "s.sql")
    assert code == 1
    assert told["artifacts"] == ["s.sql"]
    assert {finding["severity"] for finding in told["findings"]} >= {"error"}
    assert main(["schema", "render", "m.yaml", "--dialect", "sqlite", "--split"]) == 2
