"""Extensions: the server's own where they may be, honest stubs where not, notes on a live server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.postgres.load import Script, load
from data_platform.postgres.load.stubs import stub_for
from data_platform.postgres.server import Database

from .conftest import Ask, Load


def test_the_servers_own_come_with_what_they_need(run: Load, ask: Ask) -> None:
    loaded = run(
        "CREATE SCHEMA e; CREATE EXTENSION earthdistance SCHEMA e; CREATE EXTENSION IF NOT EXISTS citext;"
    )
    assert (loaded.stubs, loaded.skipped) == ((), ())
    names = "SELECT string_agg(extname || ' ' || extnamespace::regnamespace, ', ' ORDER BY extname) FROM pg_extension"
    assert ask(names) == "citext public, cube e, earthdistance e, plpgsql pg_catalog"


def test_an_unknown_one_is_empty_and_named(run: Load, ask: Ask) -> None:
    loaded = run(
        "CREATE SCHEMA e; CREATE EXTENSION pg_cron WITH SCHEMA e VERSION '1.6'; COMMENT ON EXTENSION pg_cron IS 'jobs';"
        "CREATE EXTENSION IF NOT EXISTS pg_cron; ALTER EXTENSION pg_cron SET SCHEMA public;"
    )
    assert (loaded.stubs, loaded.skipped) == (("pg_cron",), ())
    assert (
        ask("SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_cron'") == "public"
    )
    assert ask("SELECT count(*) FROM pg_depend WHERE deptype = 'e' AND refobjid > 16384") == 0
    assert run("DROP EXTENSION pg_cron;").skipped == ()


def test_one_that_an_earlier_load_wrote_is_a_stub_still(run: Load) -> None:
    for _ in range(2):
        assert run("DROP EXTENSION IF EXISTS pgcrypto; CREATE EXTENSION pgcrypto;").stubs == ("pgcrypto",)


def test_in_a_do_block(run: Load, ask: Ask) -> None:
    loaded = run(
        "DO $$ BEGIN CREATE EXTENSION IF NOT EXISTS pg_cron; CREATE EXTENSION IF NOT EXISTS citext; END $$;"
    )
    assert loaded.stubs == ("pg_cron",)
    assert ask("SELECT count(*) FROM pg_extension") == 3


def test_a_name_that_is_no_files_name_is_left_out(run: Load) -> None:
    names = ["../../x", "a/b", "x--1", "-x", "x-", "a'b", "a.b", "a b", "é"]
    assert [stub_for(name) for name in ("", *names)] == [None] * (1 + len(names))
    assert len(run(";".join(f'CREATE EXTENSION "{name}"' for name in names)).skipped) == len(names)


def test_all_of_a_stub_belongs_to_it(run: Load, ask: Ask) -> None:
    names = ("autoinc", "dblink", "insert_username", "moddatetime", "pgcrypto", "refint", "uuid-ossp")
    loaded = run(
        "".join(f'CREATE SCHEMA "e {name}"; CREATE EXTENSION "{name}" SCHEMA "e {name}";' for name in names)
    )
    assert loaded.stubs == names
    functions = (
        "SELECT count(DISTINCT pronamespace) FILTER (WHERE owned) * 100 + count(*) FILTER (WHERE NOT owned)"
        " FROM (SELECT pronamespace,"
        " EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') AS owned"
        " FROM pg_proc p WHERE pronamespace::regnamespace::text ~ '^.e ')"
    )
    assert ask(functions) == 700


class TestFunctions:
    def test_of_uuid_ossp(self, run: Load, ask: Ask) -> None:
        run('CREATE EXTENSION "uuid-ossp"; CREATE TABLE t (id uuid DEFAULT uuid_generate_v4(), a int);')
        run("INSERT INTO t (a) VALUES (1), (2);", with_rows=True)
        assert ask("SELECT count(DISTINCT id) FROM t WHERE uuid_extract_version(id) = 4") == 2
        assert str(ask("SELECT uuid_ns_dns()")) == "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
        with pytest.raises(
            psycopg.errors.FeatureNotSupported, match=r"uuid_generate_v5\(\) .* is a stub here"
        ):
            ask("SELECT uuid_generate_v5(uuid_nil(), 'x')")

    def test_of_pgcrypto(self, run: Load, ask: Ask) -> None:
        run("CREATE SCHEMA e; CREATE EXTENSION pgcrypto SCHEMA e;")
        assert ask("SELECT encode(e.digest('é', 'SHA256'), 'hex') = encode(sha256('é'::text::bytea), 'hex')")
        assert (
            ask("SELECT encode(e.digest('abc'::bytea, 'md5'), 'hex')") == "900150983cd24fb0d6963f7d28e17f72"
        )
        assert ask("SELECT length(e.gen_random_bytes(1024)) + length(e.gen_random_bytes(1))") == 1025
        assert ask("SELECT count(DISTINCT e.gen_random_bytes(16)) FROM generate_series(1, 50)") == 50
        for call in (
            "crypt('a', 'b')",
            "gen_salt('bf', 8)",
            "digest('a', 'sha1')",
            "pgp_sym_encrypt('a', 'b')",
            "hmac('a', 'b', 'md5')",
        ):
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="is a stub here"):
                ask(f"SELECT e.{call}")

    def test_of_moddatetime(self, run: Load, ask: Ask) -> None:
        run(
            "CREATE EXTENSION moddatetime; CREATE TABLE t (a int, b text, at timestamptz, at2 timestamp);"
            "CREATE TRIGGER m BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION moddatetime(at);"
            "CREATE TRIGGER n BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION moddatetime(at2);"
            "INSERT INTO t VALUES (1, 'it''s'); UPDATE t SET a = 2;",
            with_rows=True,
        )
        recent = "clock_timestamp() - interval '1 min'"
        assert ask(
            f"SELECT a = 2 AND b = 'it''s' AND at > {recent} AND at2 > ({recent}) AT TIME ZONE 'UTC' FROM t"
        )

    @pytest.mark.parametrize("language", ["plpython3u", "plperl", "plv8"])
    def test_of_a_language_can_be_made_and_say_that_they_cannot_run(
        self, run: Load, ask: Ask, language: str
    ) -> None:
        loaded = run(
            f"CREATE EXTENSION {language}; CREATE FUNCTION f() RETURNS int LANGUAGE {language} AS 'return 1';"
            f"CREATE FUNCTION g() RETURNS int LANGUAGE {language} AS 'BEGIN RETURN 1; END';"
        )
        assert (loaded.stubs, loaded.skipped) == ((language,), ())
        for name in ("f", "g"):
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="language_handler"):
                ask(f"SELECT {name}()")

    def test_of_an_old_create_language(self, run: Load) -> None:
        assert run("CREATE LANGUAGE plperl; CREATE OR REPLACE PROCEDURAL LANGUAGE plpgsql;").stubs == (
            "plperl",
        )


@pytest.mark.parametrize("wrapper", ["postgres_fdw", "mysql_fdw", "file_fdw"])
def test_a_foreign_data_wrapper_can_be_named_and_never_connects(run: Load, ask: Ask, wrapper: str) -> None:
    loaded = run(
        f"CREATE EXTENSION {wrapper}; CREATE SERVER s FOREIGN DATA WRAPPER {wrapper} OPTIONS (host 'x');"
        "CREATE USER MAPPING FOR f_user SERVER s OPTIONS (password 'hidden');"
        "CREATE FOREIGN TABLE t (a int) SERVER s; IMPORT FOREIGN SCHEMA a FROM SERVER s INTO public;"
        "ALTER SERVER s OPTIONS (SET host 'y'); GRANT USAGE ON FOREIGN SERVER s TO f_user;"
        f"GRANT USAGE ON FOREIGN DATA WRAPPER {wrapper} TO f_user;"
    )
    assert [note.what.split(" ")[0] for note in loaded.skipped] == ["IMPORT"]
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="no handler"):
        ask("SELECT * FROM t")


class TestLiveServer:
    """The same server behind another path to its socket: nothing shows that it is ours."""

    @pytest.fixture
    def live(self, database: Database, tmp_path_factory: pytest.TempPathFactory) -> Database:
        link = tmp_path_factory.mktemp("l") / "live"
        link.symlink_to(str(conninfo_to_dict(database.conninfo)["host"]))
        return Database(
            database.name,
            make_conninfo(database.conninfo, host=str(link)),
            make_conninfo(database.admin_conninfo, host=str(link)),
        )

    def test_nothing_is_made_there_but_in_the_database(self, live: Database, ask: Ask) -> None:
        text = (
            "CREATE EXTENSION citext;\nCREATE EXTENSION pg_cron;\nCREATE TABLE t (a citext);\n"
            "ALTER TABLE t OWNER TO nobody_there;\nGRANT SELECT ON t TO nobody_there;\nCREATE ROLE nobody_there;\n"
            "CREATE PUBLICATION p FOR ALL TABLES;\nCREATE FOREIGN DATA WRAPPER w;"
        )
        loaded = load(live, [Script("a.sql", text)])
        assert [note.line for note in loaded.skipped] == [2, 4, 5, 6, 7, 8]
        assert "the extension pg_cron is not on this server" in loaded.skipped[0].why
        assert (loaded.stubs, loaded.roles) == ((), ())
        assert ask("SELECT count(*) FROM pg_roles WHERE rolname = 'nobody_there'") == 0
        assert ask("SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user") is False


def test_stub_files_are_of_use_to_the_server_and_of_nobody_else(database: Database, run: Load) -> None:
    run("CREATE EXTENSION pg_cron;")
    directory = Path(str(conninfo_to_dict(database.conninfo)["host"])).parent / "stubs" / "extension"
    assert (directory / "pg_cron.control").stat().st_mode & 0o777 == 0o644
    assert directory.stat().st_mode & 0o777 == 0o755


def test_whoever_reads_a_stub_that_is_written_again_reads_all_of_the_old_one(tmp_path: Path) -> None:
    stub = stub_for("pgcrypto")
    assert stub is not None
    stub.write(tmp_path)
    control = tmp_path / "pgcrypto.control"
    before, inode = control.read_text(), control.stat().st_ino
    with control.open() as reading:
        replace(stub, version="2.0").write(tmp_path)
        assert reading.read() == before
    assert control.stat().st_ino != inode
    assert len(list(tmp_path.iterdir())) == 3  # nothing is left aside
