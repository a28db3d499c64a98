"""What files say and what becomes of it, on the real server."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from data_platform.errors import UsageProblem
from data_platform.postgres.cluster import SUPERUSER
from data_platform.postgres.load import Script, drop_roles, load, read_script
from data_platform.postgres.load.messages import first_line
from data_platform.postgres.server import Database, Server
from data_platform.sql.script import Piece

from .conftest import Ask, Load

TABLE = "CREATE TABLE t (a int);\n"


class TestRows:
    ROWS = (
        TABLE
        + "COPY t FROM stdin;\n1\n2\n\\.\nINSERT INTO t VALUES (3), (4); UPDATE t SET a = 5 WHERE a = 3;"
        "CREATE SEQUENCE s; SELECT pg_catalog.setval('s', 7); SELECT nextval('s'), setval('s', 9);"
    )

    def test_are_left_out_and_counted(self, run: Load, ask: Ask) -> None:
        loaded = run(self.ROWS)
        assert (loaded.statements, loaded.rows_skipped, loaded.skipped) == (2, 6, ())
        assert ask("SELECT count(*) FROM t") == 0
        assert ask("SELECT last_value FROM s") == 1

    def test_come_when_they_are_wanted(self, run: Load, ask: Ask) -> None:
        assert run(self.ROWS, with_rows=True).rows_skipped == 0
        assert ask("SELECT array_agg(a ORDER BY a) FROM t") == [1, 2, 4, 5]
        assert ask("SELECT last_value FROM s") == 9

    def test_in_the_files_encoding(self, run: Load, ask: Ask) -> None:
        text = "SET client_encoding = 'LATIN1'; CREATE TABLE é (a text);\nCOPY é FROM stdin;\ngarçon\n\\.\n"
        run(text.encode("latin-1"), with_rows=True)
        assert ask("SELECT a FROM é") == "garçon"

    def test_that_do_not_fit_are_an_error_at_their_statement(self, run: Load) -> None:
        with pytest.raises(UsageProblem, match=r"one\.sql:2: 22P02 .* integer: \"x\"\n  statement: COPY t"):
            run(TABLE + "COPY t FROM stdin;\nx\n\\.\n", with_rows=True)


class TestErrors:
    def test_of_syntax_have_line_and_column(self, run: Load) -> None:
        with pytest.raises(UsageProblem) as caught:
            run("SELECT 1;\n\nCREATE TABLE t (\n  é int,\n  CREATE int);")
        assert caught.value.where == "one.sql:5:3"
        assert caught.value.what == 'syntax error at or near "CREATE"\n  statement: CREATE TABLE t ('

    def test_of_the_server_name_the_statement(self, run: Load) -> None:
        with pytest.raises(UsageProblem) as caught:
            run(
                TABLE,
                "CREATE TABLE u (a int);\n\n-- next\nCREATE VIEW v AS SELECT b FROM t;",
            )
        assert caught.value.where == "two.sql:4:25"
        assert (
            caught.value.what
            == '42703 column "b" does not exist\n  statement: CREATE VIEW v AS SELECT b FROM t'
        )

    def test_what_ran_before_stays(self, run: Load, ask: Ask) -> None:
        with pytest.raises(UsageProblem, match="42P07"):
            run(TABLE + "CREATE TABLE u (a int);" + TABLE)
        assert ask("SELECT count(*) FROM pg_class WHERE relname IN ('t', 'u')") == 2

    def test_no_password_is_shown(self, run: Load) -> None:
        with pytest.raises(UsageProblem) as caught:
            run("CREATE USER MAPPING FOR x SERVER nothing OPTIONS (user 'u', password 'hidden');")
        assert "hidden" not in str(caught.value)
        assert "USER MAPPING" in str(caught.value)

    @pytest.mark.parametrize(
        "statement",
        [
            "ALTER ROLE x {}PASSWORD $$hidden$$",
            "ALTER ROLE x {}ENCRYPTED PASSWORD U&'hidden'",
            "ALTER ROLE x {}Password /* of old */ 'hidden'",
            "CREATE USER MAPPING FOR x SERVER {}no OPTIONS (user 'u', \"password\" 'hidden')",
            "CREATE USER MAPPING FOR x SERVER {}no OPTIONS (secret_access_key 'hidden', z '')",
            'CREATE USER MAPPING FOR x SERVER {}no OPTIONS ("api_token" $$hidden$$)',
            "CREATE SUBSCRIPTION {}s CONNECTION 'host=h password=hidden' PUBLICATION p",
            "CREATE SUBSCRIPTION {}s CONNECTION 'postgresql://u:hidden@h' PUBLICATION p",
            "SELECT {}f(token => 'hidden'), f(secret = $$hidden$$)",
        ],
    )
    def test_no_secret_is_shown_however_it_is_quoted(self, statement: str) -> None:
        shown = first_line(Piece("statement", statement.format(""), 1, 1, 0))
        assert "hidden" not in shown
        assert statement.partition("{}")[0].strip() in shown

    def test_a_table_of_tokens_is_none(self) -> None:
        text = "CREATE TABLE tokens (token text, secret text NOT NULL, expires date)"
        assert first_line(Piece("statement", text, 1, 1, 0)) == text

    @pytest.mark.parametrize(
        ("text", "advice"),
        [
            ("CREATE TABLE p (g geometry(Point, 4326));", "CREATE EXTENSION postgis before it"),
            ("CREATE EXTENSION postgis; CREATE TABLE p (g geometry);", "postgis is not on this server"),
            (
                "CREATE EXTENSION timescaledb; SELECT create_hypertable('t', 'a');",
                "timescaledb is not on this server",
            ),
            ("CREATE EXTENSION pg_cron; SELECT cron.schedule('x', 'y');", "pg_cron is not on this server"),
            ("SELECT :name;", "psql's variables (:name) are not filled in"),
            ("ROLLBACK;", "take out what is rolled back"),
            ("\\if true\nSELECT 1;\n\\endif", "give the file with the statements that should run"),
        ],
    )
    def test_say_what_to_try(self, run: Load, text: str, advice: str) -> None:
        with pytest.raises(UsageProblem) as caught:
            run(text)
        assert advice in str(caught.value.try_)


class TestTransactions:
    def test_have_no_meaning(self, run: Load, ask: Ask) -> None:
        run(f"BEGIN; {TABLE} SAVEPOINT a; LOCK TABLE t; CREATE INDEX CONCURRENTLY i ON t (a); COMMIT;")
        assert ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass")

    def test_set_local_lasts_until_commit(self, run: Load, ask: Ask) -> None:
        run(
            "CREATE SCHEMA s; SET LOCAL search_path = s; CREATE TABLE outside (a int);"
            "BEGIN; SET LOCAL search_path = s; CREATE TABLE inside (a int); COMMIT; CREATE TABLE after (a int);"
        )
        query = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 's'::regnamespace"
        assert ask(query) == "inside"

    @pytest.mark.parametrize(
        "set_local", ["SET /* for now */ LOCAL search_path = s", "set\nlocal search_path to s"]
    )
    def test_set_local_is_told_by_its_tree(self, run: Load, ask: Ask, set_local: str) -> None:
        run(f"CREATE SCHEMA s; BEGIN; {set_local}; CREATE TABLE t (a int); COMMIT; CREATE TABLE u (a int);")
        assert ask("SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 't'") == "s"
        assert ask("SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'u'") == "public"

    def test_set_local_of_what_is_not_there_is_noted(self, run: Load) -> None:
        loaded = run(
            "BEGIN; SET LOCAL no_such_setting = 1; SET LOCAL TRANSACTION READ ONLY; COMMIT; " + TABLE
        )
        assert [note.what for note in loaded.skipped] == ["SET LOCAL no_such_setting = 1"]

    @pytest.mark.parametrize(
        "block",
        ["DO $$ BEGIN CREATE TABLE u (a int); COMMIT; END $$", "CREATE TABLE u (a int); CALL commits()"],
    )
    def test_what_ends_one_ends_its_own(self, run: Load, ask: Ask, block: str) -> None:
        """The next statement fails at first, and then the whole batch must not be there already."""
        loaded = run(
            f"CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$; {block};"
            'CREATE TABLE t (a text COLLATE "de_DE");'
        )
        assert [note.why.split(" ")[0] for note in loaded.skipped] == ["de_DE"]
        assert ask("SELECT count(*) FROM pg_class WHERE relname IN ('t', 'u')") == 2

    def test_a_value_added_to_an_enum_can_be_used(self, run: Load, ask: Ask) -> None:
        run("CREATE TYPE e AS ENUM ('a'); ALTER TYPE e ADD VALUE 'b'; CREATE TABLE t (a e DEFAULT 'b');")
        assert ask("SELECT enum_last(NULL::e)::text") == "b"


class TestSettings:
    def test_those_that_a_server_does_not_have_are_noted(self, run: Load) -> None:
        loaded = run(
            "SET no_such_setting = false;\nSET statement_timeout = 0;\nSET default_tablespace = '';\n"
            "SET default_table_access_method = columnar;\nSET xmloption = content;\n" + TABLE
        )
        assert [(note.line, note.what) for note in loaded.skipped] == [
            (1, "SET no_such_setting = false"),
            (4, "SET default_table_access_method = columnar"),
        ]

    def test_the_sessions_limits_are_not_the_files(self, run: Load) -> None:
        text = "SET statement_timeout = 0; SELECT 1 / (current_setting('statement_timeout') <> '0')::int;"
        assert run(text).skipped == ()

    def test_strings_of_old_are_refused(self, run: Load) -> None:
        with pytest.raises(UsageProblem, match="backslash escapes of old"):
            run("SET standard_conforming_strings = off;")

    def test_connect_begins_a_new_session(self, run: Load, ask: Ask) -> None:
        loaded = run("CREATE SCHEMA s; SET search_path = s;\n\\connect other\n" + TABLE)
        assert ask("SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 't'") == "public"
        assert [(note.line, note.what) for note in loaded.skipped] == [(2, "\\connect other")]


class TestRoles:
    def test_are_made_when_they_are_named(self, run: Load, ask: Ask) -> None:
        loaded = run(
            TABLE
            + "CREATE SCHEMA s AUTHORIZATION r_schema; ALTER TABLE t OWNER TO r_owner; GRANT SELECT ON t TO r_reader;"
            "CREATE POLICY p ON t TO r_policy USING (true); ALTER DEFAULT PRIVILEGES FOR ROLE r_default GRANT SELECT ON"
            " TABLES TO r_reader; DO $$ BEGIN GRANT INSERT ON t TO r_do; END $$; SET ROLE r_set; RESET ROLE;"
        )
        names = ("default", "do", "owner", "policy", "reader", "schema", "set")
        assert loaded.roles == tuple(f"r_{name}" for name in names)
        assert loaded.skipped == ()
        assert ask("SELECT bool_or(rolcanlogin OR rolsuper) FROM pg_roles WHERE rolname ~ '^r_'") is False
        acl = "SELECT replace(relacl::text, current_user, 'me') FROM pg_class WHERE relname = 't'"
        assert ask(acl) == "{r_owner=arwdDxtm/r_owner,r_reader=r/r_owner,r_do=a/r_owner}"

    def test_what_was_left_out_of_one_is_noted(self, run: Load, ask: Ask) -> None:
        loaded = run(
            "CREATE ROLE q_app NOINHERIT BYPASSRLS NOSUPERUSER;\nCREATE USER q_user CREATEDB PASSWORD 'hidden';\n"
            "GRANT q_app TO q_user WITH ADMIN OPTION;\nGRANT pg_monitor TO q_app GRANTED BY postgres;\n"
            "CREATE ROLE q_group ROLE q_app ADMIN q_user;\nREVOKE ADMIN OPTION FOR q_app FROM q_user;"
        )
        assert [(note.line, note.what, note.why) for note in loaded.skipped] == [
            (
                2,
                "CREATE USER q_user CREATEDB PASSWORD…",
                "without CREATEDB, without PASSWORD, without LOGIN",
            ),
            (3, "GRANT q_app TO q_user WITH ADMIN OPTION", "a model does not say ADMIN TRUE of a membership"),
            (
                5,
                "CREATE ROLE q_group ROLE q_app ADMIN q_user",
                "a model does not say ADMIN TRUE of a membership",
            ),
        ]
        assert ask("SELECT rolbypassrls AND NOT rolinherit FROM pg_roles WHERE rolname = 'q_app'")
        assert ask("SELECT pg_has_role('q_app', 'pg_monitor', 'MEMBER')")
        assert ask("SELECT pg_has_role('q_app', 'q_group', 'MEMBER')")
        query = "SELECT admin_option FROM pg_auth_members WHERE roleid = %s::regrole AND member = 'q_user'::regrole"
        assert (ask(query, "q_app"), ask(query, "q_group")) == (False, True)

    def test_limits_and_options_of_memberships_are_noted(self, run: Load, ask: Ask) -> None:
        loaded = run(
            "CREATE ROLE l_one CONNECTION LIMIT 3;\nALTER ROLE l_one VALID UNTIL '2030-01-01';\n"
            "CREATE ROLE l_two CONNECTION LIMIT -1 VALID UNTIL 'infinity';\n"
            "GRANT l_one TO l_two WITH INHERIT FALSE, SET FALSE;\nGRANT l_one TO l_two WITH ADMIN FALSE, SET TRUE;\n"
            "GRANT pg_read_server_files TO l_two WITH ADMIN OPTION;"
        )
        assert [(note.line, note.why) for note in loaded.skipped] == [
            (1, "without CONNECTION LIMIT"),
            (2, "without VALID UNTIL"),
            (4, "a model does not say INHERIT FALSE and SET FALSE of a membership"),
            (6, "not member of pg_read_server_files"),
        ]
        assert dict(loaded.role_attributes) == {"l_one": frozenset(), "l_two": frozenset()}
        assert ask("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'l_one'") == -1

    def test_go_with_the_database(self, server: Server) -> None:
        text = (
            "CREATE TABLE t (a int); ALTER TABLE t OWNER TO gone_one; GRANT SELECT ON t TO gone_two;"
            "GRANT gone_one TO gone_two;"
        )
        query = "SELECT array_agg(rolname::text ORDER BY rolname) FROM pg_roles WHERE rolname ~ '^gone_'"
        with psycopg.connect(server.conninfo, autocommit=True) as admin:
            with server.scratch_database() as other:
                with server.scratch_database() as database:
                    names = load(database, [Script("a.sql", text)]).roles
                load(other, [Script("b.sql", "CREATE SCHEMA s AUTHORIZATION gone_two;")])
                drop_roles(server.conninfo, [*names, SUPERUSER, other.name, "pg_monitor", "nobody_at_all"])
                assert admin.execute(query).fetchone() == (["gone_two"],)
            drop_roles(server.conninfo, names)
            assert admin.execute(query).fetchone() == (None,)

    def test_of_do_blocks(self, run: Load, ask: Ask) -> None:
        run(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'b_do') THEN CREATE ROLE b_do; END IF;"
            "END $$;" + TABLE + "ALTER TABLE t OWNER TO b_do; ALTER TABLE t ADD b int; CREATE INDEX ON t (b);"
        )
        assert ask("SELECT relowner::regrole::text FROM pg_class WHERE relname = 't'") == "b_do"

    def test_objects_given_away_are_worked_on(self, run: Load, ask: Ask) -> None:
        loaded = run(
            "CREATE SCHEMA s; ALTER SCHEMA s OWNER TO g_one; SET search_path = s;"
            + TABLE
            + "ALTER TABLE t OWNER TO g_two; ALTER TABLE t RENAME TO u; ALTER TABLE u OWNER TO g_one;"
            "CREATE SEQUENCE q OWNED BY NONE; ALTER SEQUENCE q OWNER TO g_one; ALTER SEQUENCE q OWNED BY u.a;"
            "ALTER TABLE u SET SCHEMA public; DROP SCHEMA s CASCADE;"
        )
        assert loaded.skipped == ()
        assert ask("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'u'") == "g_one"

    def test_set_session_authorization(self, run: Load, ask: Ask) -> None:
        run(
            TABLE + "GRANT SELECT ON t TO a_first WITH GRANT OPTION; SET SESSION AUTHORIZATION a_first;"
            "GRANT SELECT ON t TO a_second; RESET SESSION AUTHORIZATION; CREATE TABLE u (a int);"
        )
        assert "a_second=r/a_first" in ask("SELECT relacl::text FROM pg_class WHERE relname = 't'")
        assert ask("SELECT relowner::regrole::text = current_user FROM pg_class WHERE relname = 'u'")


class TestWholeCluster:
    def test_is_left_out_with_notes(self, run: Load) -> None:
        statements = (
            "CREATE DATABASE d", "ALTER DATABASE d SET a.b = 'c'", "DROP DATABASE d", "COMMENT ON DATABASE d IS 'x'",
            "GRANT CONNECT ON DATABASE d TO x", "CREATE TABLESPACE s LOCATION '/x'", "ALTER SYSTEM SET a = 1",
            "DROP ROLE x", "ALTER ROLE x SET a.b = 'c'", "VACUUM", "CHECKPOINT", "LOAD 'x'",
            "SECURITY LABEL FOR selinux ON SCHEMA public IS 'x'", "REINDEX SCHEMA public",
        )  # fmt: skip
        loaded = run(";\n".join(statements))
        assert tuple(note.what for note in loaded.skipped) == statements
        assert loaded.statements == 0

    def test_a_tablespace_is_inside_the_data_directory(self, run: Load, ask: Ask) -> None:
        run("CREATE TABLE t (a int PRIMARY KEY USING INDEX TABLESPACE ts_fast) TABLESPACE ts_slow;")
        query = "SELECT string_agg(spcname, ' ' ORDER BY spcname) FROM pg_tablespace WHERE spcname ~ '^ts'"
        assert ask(query) == "ts_fast ts_slow"

    def test_a_tablespace_that_another_load_is_making(self, run: Load, database: Database, ask: Ask) -> None:
        with psycopg.connect(database.admin_conninfo, autocommit=True) as other:
            other.execute("SET allow_in_place_tablespaces = on")
            other.execute("DROP TABLESPACE IF EXISTS half_made")
            other.execute("CREATE TABLESPACE half_made LOCATION ''")
        run("CREATE TABLE t (a int) TABLESPACE half_made;")
        assert ask("SELECT tablespace::text FROM pg_tables WHERE tablename = 't'") == "half_made"

    def test_the_servers_own_tablespaces_stay_as_they_are(self, run: Load, ask: Ask) -> None:
        for name in ("pg_global", "pg_default", "pg_nothing"):
            text = f"DO $$ BEGIN RAISE 'permission denied for tablespace {name}' USING ERRCODE = '42501'; END $$;"
            with pytest.raises(UsageProblem, match=name):
                run(text)
        assert ask("SELECT count(*) FROM pg_tablespace WHERE spcacl IS NOT NULL AND spcname ~ '^pg_'") == 0


class TestPublicSchema:
    @pytest.mark.parametrize("head", ["", "DROP SCHEMA public;", "DROP SCHEMA IF EXISTS public CASCADE;"])
    def test_as_dumps_before_15_have_it(self, run: Load, ask: Ask, head: str) -> None:
        loaded = run(
            head
            + "CREATE SCHEMA public; ALTER SCHEMA public OWNER TO postgres; COMMENT ON SCHEMA public IS 'std';"
            "REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM postgres;"
            "GRANT ALL ON SCHEMA public TO postgres; GRANT ALL ON SCHEMA public TO PUBLIC;" + TABLE
        )
        assert loaded.skipped == ()
        assert (
            ask("SELECT nspacl::text FROM pg_namespace WHERE nspname = 'public'")
            == "{postgres=UC/postgres,=UC/postgres}"
        )


class TestIncludes:
    def files(self, tmp_path: Path, **texts: str) -> Script:
        for name, text in texts.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".sql").write_text(text)
        return read_script(tmp_path / "db" / "top.sql")

    def test_are_followed_in_place(self, database: Database, ask: Ask, tmp_path: Path) -> None:
        top = self.files(
            tmp_path,
            db__top="CREATE SCHEMA a;\n\\i sub/one.sql\nCREATE TABLE a.u (LIKE a.t);",
            db__sub__one="\\ir 'two.sql'\n\\include sub/two.sql",
            db__sub__two="CREATE TABLE IF NOT EXISTS a.t (x int);",
        )
        assert load(database, [top]).statements == 4
        assert ask("SELECT count(*) FROM pg_class WHERE relnamespace = 'a'::regnamespace") == 2

    @pytest.mark.parametrize("path", ["../out.sql", "/etc/passwd", "link.sql", "`date`", ":x", "nowhere.sql"])
    def test_not_out_of_the_directory(self, database: Database, tmp_path: Path, path: str) -> None:
        top = self.files(tmp_path, db__top=f"SELECT 1;\n\\i {path}\n", out="SELECT 1;")
        (tmp_path / "db" / "link.sql").symlink_to(tmp_path / "out.sql")
        with pytest.raises(UsageProblem, match=r"include") as caught:
            load(database, [top])
        assert str(caught.value.where).endswith("top.sql:2")

    def test_that_never_end(self, database: Database, tmp_path: Path) -> None:
        with pytest.raises(UsageProblem, match="deeper than"):
            load(database, [self.files(tmp_path, db__top="\\i top.sql")])

    def test_an_error_is_in_the_file_that_has_it(self, database: Database, tmp_path: Path) -> None:
        top = self.files(tmp_path, db__top="\\i one.sql", db__one="\nSELECT x;")
        with pytest.raises(UsageProblem) as caught:
            load(database, [top])
        assert str(caught.value.where).endswith("db/one.sql:2:8")


@pytest.mark.parametrize(
    ("content", "what"), [(b"PGDMP\x01", "pg_restore"), (b"\x1f\x8b\x08", "gunzip"), (b"PK\x03\x04", "unzip")]
)
def test_what_is_no_sql_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "a.sql"
    path.write_bytes(content)
    with pytest.raises(UsageProblem) as caught:
        read_script(path)
    assert what in str(caught.value.try_)


def test_commands_that_only_talk_are_not_noted(run: Load) -> None:
    assert (
        run("\\echo a\n\\set ON_ERROR_STOP on\n\\timing\n\\pset pager off\n\\dt\n\\unrestrict x\n").skipped
        == ()
    )


def test_quit_ends_the_file(run: Load, ask: Ask) -> None:
    loaded = run(
        '\\echo Use "CREATE EXTENSION x" to load this file. \\quit\nCREATE TABLE t (a int);',
        "CREATE TABLE u (a int);",
    )
    assert [note.what for note in loaded.skipped] == ["\\quit"]
    assert ask("SELECT string_agg(relname, ' ') FROM pg_class WHERE relname IN ('t', 'u')") == "u"


def test_progress_is_told(run: Load) -> None:
    told: list[tuple[str, float]] = []
    run(TABLE, "".join(f"CREATE SCHEMA s{n};" for n in range(250)), progress=lambda *both: told.append(both))
    assert [what for what, _ in told] == ["one.sql", "two.sql", "two.sql", "two.sql"]
    assert [share for _, share in told] == sorted(share for _, share in told)


def test_a_statement_too_deep_for_us_is_the_servers(run: Load, ask: Ask) -> None:
    run(f"CREATE VIEW v AS SELECT {'+'.join(['1'] * 300)} AS n;")
    assert ask("SELECT n FROM v") == 300


class TestSubstitutes:
    """What an embedded server cannot do, and what becomes of it."""

    def test_collations_sort_by_code_point(self, run: Load, ask: Ask) -> None:
        loaded = run(
            "CREATE SCHEMA s;\nCREATE COLLATION s.ci (provider = icu, deterministic = false, locale = 'und');\n"
            "CREATE COLLATION IF NOT EXISTS s.de (provider = libc, locale = 'de_DE.utf8');\n"
            'CREATE TABLE t (a text COLLATE s.ci, b text COLLATE "en_US.utf8", c text COLLATE pg_catalog."de-x-icu");'
        )
        assert [note.line for note in loaded.skipped] == [2, 3, 4, 4]
        assert (
            ask("SELECT count(DISTINCT attcollation) FROM pg_attribute WHERE attrelid = 't'::regclass") == 4
        )
        with pytest.raises(UsageProblem, match="42704"):
            run("CREATE TABLE u (a text COLLATE s.nothing);")

    def test_a_function_is_called_leakproof_by_the_admin(self, run: Load, ask: Ask) -> None:
        loaded = run(
            'CREATE SCHEMA s; CREATE TYPE s."My type" AS (a int); SET search_path = s;'
            "CREATE FUNCTION leakproof(a \"My type\", OUT leakproof text, VARIADIC c text[] DEFAULT '{leakproof}')"
            " LEAKPROOF IMMUTABLE LANGUAGE sql AS 'SELECT ''leakproof''::text';"
            "CREATE FUNCTION other() RETURNS TABLE (a int) LANGUAGE sql AS 'SELECT 1' LEAKPROOF;"
        )
        assert loaded.skipped == ()
        assert (
            ask("SELECT count(*) FROM pg_proc WHERE proleakproof AND pronamespace = 's'::regnamespace") == 2
        )
        assert ask('SELECT s.leakproof(ROW(1)::s."My type")') == "leakproof"

    def test_a_way_to_compress_that_is_not_there(self, run: Load) -> None:
        loaded = run("CREATE TABLE t (a text);\nALTER TABLE ONLY t ALTER a SET COMPRESSION lz4;")
        assert [(note.line, note.why) for note in loaded.skipped] == [(2, "this server cannot compress so")]


class TestRolesOfDoBlocks:
    def test_what_they_say_is_kept_and_not_given(self, run: Load, ask: Ask) -> None:
        block = (
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'db_app')"
            " THEN CREATE ROLE db_app LOGIN CREATEDB BYPASSRLS PASSWORD 'hidden'; END IF; END $$;"
        )
        for _ in range(2):  # the second time the role is there
            loaded = run(block)
            assert dict(loaded.role_attributes) == {"db_app": frozenset({"LOGIN", "CREATEDB"})}
        assert not ask("SELECT rolcanlogin OR rolcreatedb FROM pg_roles WHERE rolname = 'db_app'")
        assert ask("SELECT rolbypassrls FROM pg_roles WHERE rolname = 'db_app'")

    def test_one_without_a_condition(self, run: Load) -> None:
        loaded = run("DO $$ BEGIN CREATE ROLE db_bare LOGIN; END $$;")
        assert [note.why for note in loaded.skipped] == ["without LOGIN", "its roles are there"]
