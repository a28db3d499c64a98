"""Files that try to become more than the schema of a scratch database."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from data_platform.errors import UsageProblem
from data_platform.postgres.cluster import SUPERUSER
from data_platform.postgres.load import Loaded, Script, runner_for
from data_platform.postgres.load.privileged import Privileged
from data_platform.postgres.load.sessions import open_sessions
from data_platform.postgres.load.walk import Walk
from data_platform.postgres.server import Database
from data_platform.sql.text import Sql

from .conftest import Ask, Load

SIGNS = ("<<", "<<=", "==", ">>=", ">>")
OPEN = """
CREATE TABLE seen (who text, super bool);
CREATE FUNCTION evil() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.seen SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user;
END $$;
"""

PAIR = """
CREATE TYPE pair AS (x int);
CREATE FUNCTION c(pair, pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION b(pair, pair) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
""" + "".join(f"CREATE OPERATOR {sign}# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = b);" for sign in SIGNS)
BTREE = ", ".join(f"OPERATOR {n} {sign}#" for n, sign in enumerate(SIGNS, 1)) + ", FUNCTION 1 c(pair, pair)"


def reasons(loaded: Loaded) -> str:
    return "\n".join(f"{note.what}: {note.why}" for note in loaded.skipped)


def said(run: Load, text: str) -> str:
    """The notes of a load, or what it ended with."""
    try:
        return reasons(run(text))
    except UsageProblem as refused:
        return str(refused)


class TestOwners:
    def test_nothing_is_given_to_a_superuser(self, run: Load, ask: Ask) -> None:
        loaded = run(
            "CREATE FUNCTION f() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT pg_read_file(''PG_VERSION'')';"
            f"ALTER FUNCTION f() OWNER TO {SUPERUSER};"
        )
        assert SUPERUSER in reasons(loaded)
        assert ask("SELECT proowner::regrole::text = current_user FROM pg_proc WHERE proname = 'f'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask("SELECT f()")

    def test_what_is_the_servers_stays_the_servers(self, run: Load, database: Database) -> None:
        statements = (
            "ALTER FUNCTION pg_catalog.pg_read_file(text) OWNER TO a_thief",
            "ALTER FUNCTION pg_read_file(text) OWNER TO a_thief",
            "ALTER SCHEMA pg_catalog OWNER TO a_thief",
            "ALTER LANGUAGE c OWNER TO a_thief",
            "ALTER OPERATOR FAMILY pg_catalog.integer_ops USING btree OWNER TO a_thief",
            "ALTER TYPE pg_catalog.text OWNER TO a_thief",
            "ALTER TABLE pg_catalog.pg_authid OWNER TO a_thief",
        )
        first = "CREATE TABLE IF NOT EXISTS t (a int); ALTER TABLE t OWNER TO a_thief;"
        assert tuple(note.what for note in run(first + ";".join(statements)).skipped) == statements
        for statement in statements:  # and when all else that is changed on the same journey is fine
            assert [note.what for note in run(f"{first} {statement};").skipped] == [statement]
        with psycopg.connect(database.admin_conninfo) as admin:
            query = (
                "SELECT array_agg(objid < 16384) FROM pg_shdepend WHERE refobjid = 'a_thief'::regrole AND deptype = 'o'"
                " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            assert admin.execute(query).fetchone() == ([False],)

    def test_what_is_an_extensions_stays_so(self, run: Load, ask: Ask) -> None:
        statements = (
            "ALTER FUNCTION citext_eq(citext,citext) OWNER TO a_thief",
            "ALTER TYPE citext OWNER TO a_thief",
            "ALTER OPERATOR = (citext, citext) OWNER TO a_thief",
            "ALTER OPERATOR CLASS citext_ops USING btree OWNER TO a_thief",
        )
        loaded = run("CREATE EXTENSION citext;" + ";".join(statements))
        assert tuple(note.what for note in loaded.skipped) == statements
        assert ask("SELECT count(*) FROM pg_proc WHERE proname LIKE 'citext%' AND proowner <> 10") == 0
        assert ask("SELECT typowner = 10 FROM pg_type WHERE typname = 'citext'")

    def test_of_the_same_name_as_the_servers_are_the_files_own(self, run: Load, ask: Ask) -> None:
        """What is handed to the scratch owner is what the statement made, not what pg_catalog has of that name."""
        loaded = run(
            f"{PAIR} CREATE OPERATOR CLASS integer_ops FOR TYPE pair USING btree AS {BTREE};"
            f"CREATE OPERATOR CLASS text_ops FOR TYPE pair USING btree FAMILY integer_ops AS {BTREE};"
            "CREATE OPERATOR FAMILY text_ops USING btree; CREATE OPERATOR FAMILY pg_catalog.x_ops USING btree;"
        )
        assert [note.what.split(" FOR")[0] for note in loaded.skipped] == ["CREATE OPERATOR CLASS text_ops"]
        given = (
            "SELECT string_agg(opfnamespace::regnamespace || '.' || opfname, ' ' ORDER BY opfname) FROM pg_opfamily"
            " WHERE opfowner = current_user::regrole"
        )
        assert ask(given) == "public.integer_ops public.text_ops pg_catalog.x_ops"
        assert ask("SELECT opcnamespace::regnamespace::text FROM pg_opclass WHERE opcowner <> 10") == "public"

    @pytest.mark.parametrize("role", ["pg_read_server_files", "pg_execute_server_program"])
    def test_nothing_is_given_to_a_role_of_the_server(self, run: Load, ask: Ask, role: str) -> None:
        text = "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';"
        assert role in reasons(run(f"{text} ALTER FUNCTION f() OWNER TO {role};"))
        assert ask("SELECT proowner::regrole::text = current_user FROM pg_proc WHERE proname = 'f'")

    def test_current_user_is_the_files_own(self, run: Load, ask: Ask) -> None:
        run(
            "CREATE TABLE t (a int); ALTER TABLE t OWNER TO CURRENT_USER; CREATE SCHEMA s AUTHORIZATION CURRENT_USER;"
        )
        assert ask("SELECT relowner::regrole::text = current_user FROM pg_class WHERE relname = 't'")
        assert ask("SELECT nspowner::regrole::text = current_user FROM pg_namespace WHERE nspname = 's'")


class TestGrants:
    def test_none_on_what_is_the_servers(self, run: Load, ask: Ask) -> None:
        statements = (
            "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO a_thief",
            "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO a_thief",
            "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_catalog TO a_thief",
            "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public, pg_catalog TO a_thief",
            "GRANT CREATE ON SCHEMA pg_catalog TO a_thief",
            "GRANT SELECT ON pg_catalog.pg_authid TO a_thief",
            "GRANT SET ON PARAMETER session_preload_libraries TO a_thief",
        )
        loaded = run("CREATE ROLE a_thief;" + ";".join(statements))
        assert sorted(note.what for note in loaded.skipped) == sorted(statements)
        assert not ask("SELECT has_function_privilege('a_thief', 'pg_read_file(text)', 'EXECUTE')")
        assert not ask("SELECT has_schema_privilege('a_thief', 'pg_catalog', 'CREATE')")
        assert not ask("SELECT has_table_privilege('a_thief', 'pg_authid', 'SELECT')")

    @pytest.mark.parametrize("role", [SUPERUSER, "pg_read_server_files", "pg_execute_server_program"])
    def test_no_membership_in_what_leaves_the_database(self, run: Load, ask: Ask, role: str) -> None:
        assert role in reasons(run(f"CREATE ROLE a_thief; GRANT {role} TO a_thief;"))
        assert role in reasons(run(f"CREATE ROLE a_fence IN ROLE {role};"))
        assert not ask("SELECT pg_has_role('a_thief', %s, 'MEMBER')", role)
        assert not ask("SELECT pg_has_role('a_fence', %s, 'MEMBER')", role)

    @pytest.mark.parametrize(
        "statement",
        [
            'GRANT an_other TO a_thief WITH "admin true;alter role a_thief superuser;--" TRUE',
            'REVOKE "admin option for an_other from a_thief;alter role a_thief superuser;--" OPTION FOR an_other'
            " FROM a_thief",
            'GRANT an_other TO a_thief WITH admin TRUE, "inherit true granted by x" TRUE',
        ],
    )
    def test_no_option_of_one_is_more_than_a_word(self, run: Load, ask: Ask, statement: str) -> None:
        notes = said(run, f"CREATE ROLE a_thief; CREATE ROLE an_other; {statement};")
        assert statement[:40] in notes
        assert "is no option of a membership" in notes
        assert not ask("SELECT rolsuper FROM pg_roles WHERE rolname = 'a_thief'")
        assert not ask("SELECT pg_has_role('a_thief', 'an_other', 'MEMBER')")

    def test_the_admin_session_takes_one_statement_at_a_time(self, database: Database) -> None:
        two = "SELECT 1; SELECT 2"
        with open_sessions(database) as (_, admin):
            with pytest.raises(psycopg.errors.SyntaxError, match="multiple commands"):
                admin.execute(two)
            for how in (Privileged(), Privileged(text=two)):
                with pytest.raises(psycopg.errors.SyntaxError, match="multiple commands"):
                    admin.run(two, how, Sql("public"), Sql(""))
            with pytest.raises((psycopg.errors.SyntaxError, psycopg.errors.PipelineAborted)):
                admin.run_all([two], Privileged(violations="SELECT WHERE false"), Sql("public"))
            admin.run_all(["SELECT 1"], Privileged(violations="SELECT WHERE false"), Sql("public"))

    def test_a_role_is_never_a_superuser(self, run: Load, ask: Ask) -> None:
        loaded = run(
            "CREATE ROLE a_king SUPERUSER REPLICATION CREATEROLE CREATEDB LOGIN PASSWORD 'hidden';"
            "ALTER ROLE a_king SUPERUSER LOGIN; ALTER ROLE CURRENT_USER SUPERUSER; ALTER USER a_king SUPERUSER;"
            f"ALTER ROLE {SUPERUSER} PASSWORD 'hidden';"
        )
        flags = "rolsuper OR rolreplication OR rolcreaterole OR rolcreatedb OR rolcanlogin"
        assert not ask(f"SELECT {flags} FROM pg_roles WHERE rolname = 'a_king'")
        assert not ask("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        assert "without SUPERUSER" in reasons(loaded)
        assert "hidden" not in reasons(loaded)

    def test_the_session_cannot_be_taken(self, run: Load) -> None:
        loaded = run(f"SET ROLE {SUPERUSER}; SET SESSION AUTHORIZATION {SUPERUSER}; CREATE TABLE t (a int);")
        assert [note.why for note in loaded.skipped] == [f'permission denied to set role "{SUPERUSER}"'] * 2


class TestEventTriggers:
    def test_they_never_fire_not_even_in_an_extension_made_by_a_superuser(self, run: Load, ask: Ask) -> None:
        run(
            OPEN
            + "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION evil();"
            + "CREATE EVENT TRIGGER l ON login EXECUTE FUNCTION evil();"
            + "CREATE TABLE t (a int); DO $$ BEGIN EXECUTE 'CREATE EXTENSION citext'; END $$;"
            + "CREATE EXTENSION pg_trgm; COMMENT ON EXTENSION pg_trgm IS 'x';"
        )
        assert ask("SELECT count(*) FROM pg_event_trigger") == 2
        assert ask("SELECT count(*) FROM seen") == 0

    @pytest.mark.parametrize(
        "statement",
        [
            "SET event_triggers = on",
            "ALTER ROLE CURRENT_USER SET event_triggers = on",
            "SELECT set_config('event_triggers', 'on', false)",
        ],
    )
    def test_a_file_cannot_switch_them_on(self, run: Load, ask: Ask, statement: str) -> None:
        trigger = "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION evil();"
        assert re.search("permission denied|whole cluster", said(run, f"{OPEN} {trigger} {statement};"))
        run("CREATE TABLE t (a int);")
        assert ask("SELECT count(*) FROM seen") == 0


class TestOperatorClasses:
    """Support functions with other types than the index hands them would read memory that is not theirs."""

    @pytest.mark.parametrize(
        "definition",
        [
            "FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,"
            " FUNCTION 1 (int4, int4) bttextcmp(text, text)",
            "FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,"
            " FUNCTION 1 btint4cmp(int4, int4), FUNCTION 2 bttextsortsupport(internal)",
            "FOR TYPE int4 USING hash AS OPERATOR 1 =, FUNCTION 1 (int4, int4) hashtext(text)",
            "FOR TYPE int4 USING gin AS OPERATOR 1 =, FUNCTION 2 f(int4, int4), FUNCTION 3 f(int4, int4), STORAGE text",
            "FOR TYPE int4 USING btree FAMILY integer_ops AS FUNCTION 1 btint4cmp(int4, int4)",
            "DEFAULT FOR TYPE json USING hash AS OPERATOR 1 public.===, FUNCTION 1 h(json)",
        ],
    )
    def test_unsound_ones_are_left_out(self, run: Load, ask: Ask, definition: str) -> None:
        parts = (
            "CREATE FUNCTION f(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';"
            "CREATE FUNCTION h(json) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';"
            "CREATE FUNCTION same(json, json) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';"
            "CREATE OPERATOR === (LEFTARG = json, RIGHTARG = json, FUNCTION = same);"
        )
        assert "CREATE OPERATOR CLASS bad" in said(run, f"{parts} CREATE OPERATOR CLASS bad {definition};")
        assert ask("SELECT count(*) FROM pg_opclass WHERE opcname = 'bad'") == 0

    def test_a_family_of_the_server_is_not_added_to(self, run: Load, ask: Ask) -> None:
        text = (
            "CREATE TYPE pair AS (x int);"
            "CREATE FUNCTION c(int4, pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';"
            "ALTER OPERATOR FAMILY integer_ops USING btree ADD FUNCTION 1 (int4, pair) c(int4, pair);"
        )
        assert run(text).skipped
        assert ask("SELECT count(*) FROM pg_amproc WHERE oid >= 16384") == 0


def test_a_validator_of_a_file_is_never_called(run: Load, ask: Ask) -> None:
    loaded = run(
        "CREATE TABLE seen (who text);"
        "CREATE FUNCTION v(text[], oid) RETURNS void LANGUAGE sql AS 'INSERT INTO public.seen VALUES (current_user)';"
        "CREATE FOREIGN DATA WRAPPER w VALIDATOR v OPTIONS (a 'b');"
        "ALTER FOREIGN DATA WRAPPER w VALIDATOR v; CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'x');"
    )
    assert len(loaded.skipped) == 2
    assert ask("SELECT count(*) FROM seen") == 0
    assert ask("SELECT srvowner::regrole::text = current_user FROM pg_foreign_server")


def test_functions_of_a_file_are_not_called_by_our_own_queries(run: Load, ask: Ask) -> None:
    """They are better matches for what the checks call, in schemas on the file's search path."""
    run(
        "CREATE TABLE seen (who text);"
        "CREATE FUNCTION lt(oid, int4) RETURNS bool LANGUAGE plpgsql AS"
        " $$BEGIN INSERT INTO public.seen VALUES (current_user); RETURN true; END$$;"
        "CREATE OPERATOR < (LEFTARG = oid, RIGHTARG = int4, FUNCTION = lt);"
        "CREATE FUNCTION current_schemas(bool) RETURNS name[] LANGUAGE plpgsql AS"
        " $$BEGIN INSERT INTO public.seen VALUES (current_user); RETURN '{}'; END$$;"
        "SET search_path = public, pg_catalog; CREATE TABLE t (a int); ALTER TABLE t OWNER TO a_role;"
        "CREATE EXTENSION citext; CREATE ROLE an_other; GRANT an_other TO a_role;"
    )
    assert ask("SELECT count(*) FROM seen") == 0
    assert ask("SELECT relowner::regrole::text FROM pg_class WHERE relname = 't'") == "a_role"


OUT_OF_REACH = (
    "COPY (SELECT 1) TO PROGRAM 'touch {mark}'",
    "COPY t FROM PROGRAM 'touch {mark}'",
    "COPY (SELECT 1) TO '{mark}'",
    "SELECT lo_export(lo_from_bytea(0, 'x'), '{mark}')",
    "DO $$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch {mark}'; END $$",
    "CREATE TABLE u AS SELECT pg_read_file('PG_VERSION')",
    "CREATE FUNCTION sys(cstring) RETURNS int LANGUAGE c AS 'libc.so.6', 'system'",
    "LOAD 'auto_explain'",
    "ALTER SYSTEM SET archive_command = 'touch {mark}'",
    "CREATE SUBSCRIPTION s CONNECTION 'host=example.org password=hidden' PUBLICATION p",
    "CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw;"
    "CREATE FOREIGN TABLE ft (a text) SERVER s OPTIONS (program 'touch {mark}'); CREATE TABLE u AS TABLE ft",
    "CREATE EXTENSION plpython3u; CREATE FUNCTION py() RETURNS int LANGUAGE plpython3u AS 'import os';"
    "CREATE TABLE u AS SELECT py()",
    r"\! touch {mark}",
    r"\o {mark}",
    r"SELECT 1 \g {mark}",
    r"SELECT 1 \g | touch {mark}",
    r"\copy t to '{mark}'",
    r"\copy t to program 'touch {mark}'",
    r"\set x `touch {mark}`",
    r"SELECT 'CREATE TABLE u (a int)' \gexec",
)


def test_files_and_programs_are_out_of_reach(run: Load, ask: Ask, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    tmp_path.chmod(0o777)
    for statement in OUT_OF_REACH:
        answer = said(run, f"CREATE TABLE IF NOT EXISTS t (a int);\n{statement.format(mark=mark)}\n;\n")
        assert answer
        assert "hidden" not in answer
        assert not mark.exists(), statement
        assert ask("SELECT to_regclass('u')") is None, statement


def test_a_message_made_up_by_a_file_makes_a_role_without_rights_at_most(run: Load, ask: Ask) -> None:
    text = "DO $$ BEGIN RAISE 'role \"a_fake\" does not exist' USING ERRCODE = '42704'; END $$;"
    with pytest.raises(UsageProblem, match="a_fake"):
        run(text)
    assert ask("SELECT rolsuper OR rolcanlogin FROM pg_roles WHERE rolname = 'a_fake'") is False


class TestFunctionsInC:
    def test_an_extensions_own_under_another_name_is_made(self, run: Load, ask: Ask) -> None:
        loaded = run(
            "CREATE EXTENSION unaccent;"
            "CREATE FUNCTION immutable_unaccent(regdictionary, text) RETURNS text"
            " LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT AS '$libdir/unaccent', 'unaccent_dict';"
            "CREATE TABLE t (a text); CREATE INDEX ON t (immutable_unaccent('unaccent', a));"
        )
        assert loaded.skipped == ()
        assert ask("SELECT immutable_unaccent('unaccent', 'été')") == "ete"

    @pytest.mark.parametrize(
        "function",
        [
            "f(bigint, text) RETURNS text LANGUAGE c STRICT AS '$libdir/unaccent', 'unaccent_dict'",
            "f(regdictionary, text) RETURNS bigint LANGUAGE c STRICT AS '$libdir/unaccent', 'unaccent_dict'",
            "f(regdictionary, text) RETURNS text LANGUAGE c AS '$libdir/unaccent', 'unaccent_dict'",
            "f(regdictionary, text) RETURNS text LANGUAGE c STRICT AS '$libdir/../lib/unaccent', 'unaccent_dict'",
            "f(text) RETURNS int LANGUAGE c STRICT AS 'libc.so.6', 'system'",
            "f(text) RETURNS text LANGUAGE c STRICT AS '$libdir/dblink', 'dblink_connect'",
            "f(text) RETURNS text LANGUAGE internal STRICT AS 'pg_read_file'",
            "f(a regdictionary, b text = evil()) RETURNS text LANGUAGE c STRICT AS '$libdir/unaccent', 'unaccent_dict'",
        ],
    )
    def test_nothing_else_is(self, run: Load, ask: Ask, function: str) -> None:
        run(f"CREATE EXTENSION unaccent; {OPEN} CREATE FUNCTION {function};")
        assert ask("SELECT count(*) FROM pg_proc WHERE proname = 'f'") == 0

    CROSSTAB = (
        "CREATE EXTENSION tablefunc; CREATE FUNCTION f(text) RETURNS SETOF record LANGUAGE c STABLE STRICT {}"
        " AS '$libdir/tablefunc', 'crosstab'"
    )

    @pytest.mark.parametrize(
        "option", ["SECURITY DEFINER", "SET search_path = public", "SUPPORT s", "LEAKPROOF", "WINDOW"]
    )
    def test_none_does_more_than_the_extensions(self, run: Load, ask: Ask, option: str) -> None:
        """As the superuser's SECURITY DEFINER the function would run any query of a file."""
        support = "CREATE FUNCTION s(internal) RETURNS internal LANGUAGE internal AS 'arraycontsel'"
        said(run, f"{support}; {self.CROSSTAB.format(option)};")
        said(run, f"{self.CROSSTAB.format(option).removeprefix('CREATE EXTENSION tablefunc; ')};")
        assert ask("SELECT count(*) FROM pg_proc WHERE proname = 'f'") == 0

    def test_a_file_cannot_alter_what_it_made(self, run: Load, ask: Ask) -> None:
        """Without STRICT a function in C would follow a null pointer."""
        loaded = run(
            f"{self.CROSSTAB.format('COST 5 ROWS 7 PARALLEL SAFE')}; ALTER FUNCTION f(text) OWNER TO a_thief;"
        )
        assert [note.what for note in loaded.skipped] == ["ALTER FUNCTION f(text) OWNER TO a_thief"]
        for change in ("CALLED ON NULL INPUT", "SECURITY DEFINER"):
            assert "must be owner" in said(run, f"ALTER FUNCTION f(text) {change};")
        assert ask("SELECT proowner = 10 AND proisstrict AND NOT prosecdef FROM pg_proc WHERE proname = 'f'")


class TestLimits:
    """A minute for a statement, and the encoding of the reader: whatever a file calls, the next statement has them."""

    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT set_config('statement_timeout', '0', false)",
            "SELECT off()",
            "DO $$ BEGIN PERFORM set_config('statement_timeout', '0', false); END $$",
            "CREATE TABLE u AS SELECT off()",
            "INSERT INTO t SELECT 1 WHERE off() = '0'",
            "ALTER TABLE t ADD b text DEFAULT off()",
            "EXPLAIN ANALYZE SELECT off()",
            "RESET ALL",
            "CREATE TABLE u (a text) PARTITION BY LIST (a); CREATE TABLE v PARTITION OF u FOR VALUES IN (off())",
        ],
    )
    def test_come_back(self, run: Load, ask: Ask, statement: str) -> None:
        run(
            "CREATE FUNCTION off() RETURNS text LANGUAGE sql AS"
            " $$SELECT set_config('statement_timeout', '0', false)$$; CREATE TABLE t (a int); INSERT INTO t VALUES (1);"
            f"{statement}; CREATE TABLE seen AS SELECT current_setting('statement_timeout');",
            with_rows=True,
        )
        assert ask("SELECT current_setting FROM seen") == "1min"

    def test_the_encoding_too(self, run: Load, ask: Ask) -> None:
        run("SELECT set_config('client_encoding', 'LATIN1', false); CREATE TABLE é (a int);")
        assert ask("SELECT count(*) FROM pg_class WHERE relname = 'é'") == 1

    def test_a_caller_may_set_others(self, database: Database) -> None:
        with open_sessions(database) as (user, admin):
            user.connection.execute("SET statement_timeout = '7s'")
            walk = Walk(runner_for(database, user, admin), 0, True, lambda _what, _share: None)
            walk.file(Script("a.sql", "SELECT set_config('statement_timeout', '0', false); RESET ALL;"))
            walk.file(Script("b.sql", "CREATE TABLE t AS SELECT current_setting('statement_timeout');"))
            assert user.connection.execute("TABLE t").fetchone() == ("7s",)
