"""What pg_dump writes of a database comes back whole: the dump of what was loaded is the dump."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from data_platform.errors import UsageProblem
from data_platform.postgres.binaries import find_programs, server_account
from data_platform.postgres.cluster import SUPERUSER
from data_platform.postgres.load import Loaded, Script, drop_roles, load
from data_platform.postgres.server import Database, Server
from data_platform.sql.script import pieces

from .conftest import Ask, Load

EVERYTHING = Path(__file__).with_name("everything.sql")


def written(program: str, database: Database, *options: str) -> str:
    """What pg_dump or pg_dumpall writes; the scratch owner and the superuser are called postgres in it."""
    given = conninfo_to_dict(database.admin_conninfo)
    address = ["-h", str(given["host"]), "-U", str(given["user"])]
    address += ["-d", str(given["dbname"])] if program == "pg_dump" else []
    done = subprocess.run(
        [find_programs(server_account()) / program, *address, *options],
        env={**os.environ, "PGPASSWORD": str(given["password"])},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.replace(database.name, "postgres").replace(SUPERUSER, "postgres")


def statements(dump: str) -> list[str]:
    """A dump without comments, and without the lines that change with each run."""
    return [
        line
        for line in dump.split("\n")
        if line and not line.startswith(("--", "\\restrict", "\\unrestrict"))
    ]


@pytest.fixture(scope="module")
def origin(server: Server) -> Iterator[Database]:
    """A database with everything, made by a superuser."""
    with server.scratch_database() as database:
        with psycopg.connect(database.admin_conninfo, autocommit=True) as admin:
            for piece in pieces(EVERYTHING.read_text().replace(":DB", database.name)):
                admin.execute(piece.text.encode())
        yield database
    drop_roles(server.conninfo, ["d_app", "d_owner", "d_reader"])


def loaded(database: Database, dump: str, **options: bool) -> Loaded:
    return load(database, [Script("dump.sql", dump)], **options)


ALWAYS_NOTED = {
    'ALTER FOREIGN DATA WRAPPER "none" OWNER TO postgres',
    "ALTER EVENT TRIGGER et OWNER TO postgres",
}
"""Their owner can only be a superuser, and is."""


@pytest.mark.parametrize("rows", [(), ("--inserts",), ("--rows-per-insert=2", "--column-inserts")], ids=str)
def test_with_rows(origin: Database, database: Database, rows: tuple[str, ...]) -> None:
    result = loaded(database, written("pg_dump", origin, *rows), with_rows=True)
    assert statements(written("pg_dump", database)) == statements(written("pg_dump", origin))
    assert {note.what for note in result.skipped} == ALWAYS_NOTED
    assert result.stubs == ("pg_prewarm", "postgres_fdw")


@pytest.mark.parametrize(
    ("options", "noted"),
    [
        ((), ALWAYS_NOTED),
        (("--statistics",), ALWAYS_NOTED),
        (("--no-owner", "--schema-only"), set()),
        (
            ("--create",),
            {*ALWAYS_NOTED, "CREATE DATABASE postgres WITH TEMPLATE = template0 ENCODING = 'UTF8'"},
        ),
    ],
    ids=["plain", "statistics", "schema-only", "create"],
)
def test_without_rows(
    origin: Database, database: Database, options: tuple[str, ...], noted: set[str]
) -> None:
    result = loaded(database, written("pg_dump", origin, *options))
    compared = ["--schema-only", *(["--no-owner"] if "--no-owner" in options else [])]
    assert statements(written("pg_dump", database, *compared)) == statements(
        written("pg_dump", origin, *compared)
    )
    assert noted <= {note.what for note in result.skipped} | {
        note.what.split(" LOCALE")[0] for note in result.skipped
    }
    assert bool(result.rows_skipped) is ("--schema-only" not in options)


@pytest.mark.parametrize("options", [("--clean",), ("--clean", "--if-exists")], ids=str)
def test_that_drop_first_what_is_not_there(
    origin: Database, database: Database, options: tuple[str, ...]
) -> None:
    result = loaded(database, written("pg_dump", origin, "--schema-only", *options))
    assert statements(written("pg_dump", database, "--schema-only")) == statements(
        written("pg_dump", origin, "--schema-only")
    )
    others = {note.what for note in result.skipped if note.why != "there is nothing to drop"}
    assert others == ALWAYS_NOTED


def test_roles_of_a_whole_cluster(database: Database, ask: Ask) -> None:
    result = loaded(database, written("pg_dumpall", database, "--globals-only", "-l", "postgres"))
    shown = "\n".join(f"{note.what} {note.why}" for note in result.skipped)
    assert "without SUPERUSER" in shown
    assert "SCRAM" not in shown
    assert ask("SELECT count(*) FROM pg_roles WHERE rolsuper") == 1


AS_VERSION_12 = """
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
SET default_with_oids = false;
SET default_table_access_method = heap;
CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;
COMMENT ON EXTENSION plpgsql IS 'PL/pgSQL procedural language';
CREATE OR REPLACE PROCEDURAL LANGUAGE plpgsql;
CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
ALTER FUNCTION public.f() OWNER TO old_owner;
CREATE TABLE public.t (a integer);
ALTER TABLE public.t OWNER TO old_owner;
CREATE SEQUENCE public.t_a_seq AS integer START WITH 1;
ALTER TABLE public.t_a_seq OWNER TO old_owner;
ALTER SEQUENCE public.t_a_seq OWNED BY public.t.a;
CREATE TRIGGER g BEFORE INSERT ON public.t FOR EACH ROW EXECUTE PROCEDURE public.f();
ALTER TABLE ONLY public.t ALTER COLUMN a SET DEFAULT nextval('public.t_a_seq'::regclass);
REVOKE ALL ON SCHEMA public FROM postgres;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO postgres;
GRANT ALL ON SCHEMA public TO PUBLIC;
GRANT SELECT ON SEQUENCE public.t_a_seq TO old_reader;
"""


def test_the_ways_of_old_versions(run: Load, ask: Ask) -> None:
    assert run(AS_VERSION_12).skipped == ()
    assert ask(
        "SELECT string_agg(relowner::regrole::text, ' ') FROM pg_class WHERE relname IN ('t', 't_a_seq')"
    ) == ("old_owner old_owner")


def test_a_refused_operator_class_does_not_end_a_dump(run: Load) -> None:
    result = run(
        "CREATE OPERATOR CLASS c FOR TYPE int4 USING gist AS OPERATOR 1 =;\n"
        "ALTER OPERATOR CLASS c USING gist OWNER TO x;"
    )
    assert [note.line for note in result.skipped] == [1, 2]


def test_an_owner_of_what_is_not_there_does(run: Load) -> None:
    with pytest.raises(UsageProblem, match="42P01"):
        run("ALTER TABLE nothing OWNER TO x;")
