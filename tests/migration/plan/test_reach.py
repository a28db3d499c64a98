"""Whole plans: from one schema to another and back, on a real server."""

from __future__ import annotations

import pytest

from data_platform.migration.plan.hints import Hints
from data_platform.migration.plan.prove import Reached, reach
from data_platform.migration.plan.told import findings, told
from data_platform.model.database import Name
from data_platform.postgres.load import Script
from data_platform.postgres.server import Server

ALL = Hints(lost=frozenset({"*"}))
LONG = "a_name_that_is_so_long_that_a_stand_in_has_no_room_for_it_"


def planned(server: Server, before: str, after: str, hints: Hints = ALL, version: int = 18) -> Reached:
    return reach((Script("a", before),), (Script("b", after),), server, hints=hints, version=version)


PAIRS = {
    "a primary key becomes wider where a unique index is that wide": (
        "CREATE TABLE t (a int CONSTRAINT k PRIMARY KEY, b int NOT NULL); CREATE UNIQUE INDEX i ON t (a, b)",
        "CREATE TABLE t (a int, b int NOT NULL, CONSTRAINT k PRIMARY KEY (a, b))",
    ),
    "a primary key becomes wider, under another name, where a unique index is that wide": (
        "CREATE TABLE t (a int CONSTRAINT k PRIMARY KEY, b int NOT NULL); CREATE UNIQUE INDEX i ON t (a, b)",
        "CREATE TABLE t (a int, b int NOT NULL, CONSTRAINT l PRIMARY KEY (a, b))",
    ),
    "foreign keys over primary keys that become wider": (
        "CREATE TABLE a (id int PRIMARY KEY, d int NOT NULL); CREATE TABLE d (id int PRIMARY KEY, p int NOT NULL);"
        "ALTER TABLE a ADD FOREIGN KEY (d) REFERENCES d (id)",
        "CREATE TABLE a (id int, p int NOT NULL, d int NOT NULL, PRIMARY KEY (id, p));"
        "CREATE TABLE d (id int, p int NOT NULL, PRIMARY KEY (id, p));"
        "ALTER TABLE a ADD FOREIGN KEY (d, p) REFERENCES d (id, p)",
    ),
    "a unique index beside the primary key goes": (
        "CREATE TABLE t (id uuid PRIMARY KEY); CREATE UNIQUE INDEX i ON t (id)",
        "CREATE TABLE t (id uuid PRIMARY KEY)",
    ),
    "a unique index beside a key that gets another name goes": (
        "CREATE TABLE t (a int NOT NULL CONSTRAINT k UNIQUE); CREATE UNIQUE INDEX i ON t (a)",
        "CREATE TABLE t (a int NOT NULL CONSTRAINT l UNIQUE)",
    ),
    "a column of another enum that is new": (
        "CREATE TYPE e AS ENUM ('a', 'b'); CREATE TABLE t (a e NOT NULL DEFAULT 'a')",
        "CREATE TYPE f AS ENUM ('a', 'b'); CREATE TABLE t (a f NOT NULL DEFAULT 'a')",
    ),
    "a unique index becomes a key": (
        "CREATE TABLE t (a int NOT NULL); CREATE UNIQUE INDEX i ON t (a)",
        "CREATE TABLE t (a int NOT NULL, CONSTRAINT k UNIQUE (a))",
    ),
    "a primary key over columns that may be null": (
        "CREATE TABLE t (a int, b int)",
        "CREATE TABLE t (a int, b int, PRIMARY KEY (a, b))",
    ),
    "a key over a column that is filled": (
        "CREATE TABLE t (a int)",
        "CREATE TABLE t (a int, b uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY)",
    ),
    "checks that change, and their names": (
        "CREATE TABLE t (a int CONSTRAINT c CHECK (a > 0), b int CONSTRAINT d CHECK (b > 0))",
        "CREATE TABLE t (a int CONSTRAINT c CHECK (a > 1), b int CONSTRAINT e CHECK (b > 0))",
    ),
    "a foreign key that cascades now": (
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p)",
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p ON DELETE CASCADE)",
    ),
    "a foreign key that is deferred now": (
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p)",
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
    ),
    "indexes whose stand-ins would have one name": (
        f"CREATE TABLE t (a int); CREATE INDEX {LONG}1 ON t (a); CREATE INDEX {LONG}2 ON t (a)",
        f"CREATE TABLE t (a int); CREATE INDEX {LONG}1 ON t (a DESC); CREATE INDEX {LONG}2 ON t ((a + 1))",
    ),
    "an index of another name, and one with other parameters": (
        "CREATE TABLE t (a int, b int); CREATE INDEX i ON t (a); CREATE INDEX j ON t (b)",
        "CREATE TABLE t (a int, b int); CREATE INDEX k ON t (a); CREATE INDEX j ON t (b) WITH (fillfactor = 50)",
    ),
    "a table of another name that nobody told of": (
        "CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE c (a int REFERENCES a)",
        "CREATE TABLE b (id serial CONSTRAINT a_pkey PRIMARY KEY); CREATE TABLE c (a int REFERENCES b)",
    ),
    "lost tables that refer to each other": (
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a);"
        "ALTER TABLE a ADD FOREIGN KEY (id) REFERENCES b",
        "CREATE TABLE z (id int)",
    ),
    "a function that an index may call now": (
        "CREATE TABLE t (a int); CREATE FUNCTION f(n int) RETURNS int LANGUAGE sql AS 'SELECT n'",
        "CREATE TABLE t (a int); CREATE FUNCTION f(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n + 1';"
        "CREATE INDEX i ON t (f(a))",
    ),
    "new tables with everything": (
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TYPE mood AS ENUM ('a'); CREATE TABLE q (id serial PRIMARY KEY,"
        "p int REFERENCES p, m mood, self int REFERENCES q, CHECK (id > 0)); CREATE INDEX ON q (p); COMMENT ON TABLE q"
        " IS 'q'; ALTER TABLE q ENABLE ROW LEVEL SECURITY; CREATE POLICY x ON q USING (p IN (SELECT id FROM p))",
    ),
    "settings of a table and a column": (
        "CREATE TABLE t (a text) WITH (fillfactor = 50, toast.autovacuum_enabled = false)",
        "CREATE TABLE t (a text) WITH (autovacuum_enabled = false); ALTER TABLE t ALTER a SET STORAGE external;"
        "ALTER TABLE t ALTER a SET STATISTICS 500; ALTER TABLE t REPLICA IDENTITY FULL",
    ),
    "identities": (
        "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY, b serial, c int NOT NULL)",
        "CREATE TABLE t (a int GENERATED BY DEFAULT AS IDENTITY (INCREMENT 5), b int GENERATED ALWAYS AS IDENTITY,"
        "c int GENERATED ALWAYS AS IDENTITY)",
    ),
    "no longer computed": (
        "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED, c int NOT NULL)",
        "CREATE TABLE t (a int, b int DEFAULT 7, c int)",
    ),
}
ONE_WAY = {"no longer computed"}


@pytest.mark.parametrize("name", PAIRS)
def test_there_and_back_without_blocking_anybody(server: Server, name: str) -> None:
    reached = planned(server, *PAIRS[name])
    assert (reached.broken, reached.plan.refused) == (None, ())
    assert reached.left.equal, reached.left
    assert not any(step.blocks for step in reached.plan.steps)
    if name not in ONE_WAY:
        assert reached.down is not None
        assert reached.down.equal, reached.down


@pytest.mark.parametrize("name", PAIRS)
def test_the_second_time_there_is_nothing_to_do(server: Server, name: str) -> None:
    _, after = PAIRS[name]
    assert planned(server, after, after).plan.steps == ()


@pytest.mark.parametrize("version", [13, 15, 17])
def test_older_servers_get_what_they_know(server: Server, version: int) -> None:
    before = "CREATE TABLE t (id int PRIMARY KEY, v text)"
    after = "CREATE TABLE t (id bigint PRIMARY KEY, v text NOT NULL)"
    reached = planned(server, before, after, version=version)
    said = "; ".join(sql for step in reached.plan.steps for sql in step.up)
    assert reached.left.equal, reached.left
    assert "SET NOT NULL" in said
    assert "NOT NULL v NOT VALID" not in said


def test_what_would_be_lost_is_left(server: Server) -> None:
    reached = planned(
        server, "CREATE TABLE t (a int, b int); CREATE TABLE u (a int)", "CREATE TABLE t (a int)", Hints()
    )
    assert {one.what for one in reached.plan.refused} == {"column t.b", "table u"}
    assert not any(step.lost for step in reached.plan.steps)
    rules = [finding.rule for finding in findings(reached, told(reached, 18))]
    assert rules.count("data-loss") == 2


def test_a_column_of_the_primary_key_goes_where_it_has_a_default(server: Server) -> None:
    before = "CREATE TABLE t (a int PRIMARY KEY {}, b int NOT NULL)"
    after = "CREATE TABLE t (b int CONSTRAINT t_pkey PRIMARY KEY)"
    refused = planned(server, before.format(""), after).plan.refused
    assert [one.what for one in refused] == ["column t.a"]
    assert "primary key" in refused[0].why
    reached = planned(server, before.format("DEFAULT 1"), after)
    assert (reached.broken, reached.plan.refused) == (None, ())
    assert reached.left.equal


def test_a_step_that_the_server_refuses_is_told(server: Server) -> None:
    hints = Hints(values={(Name("public", "t"), "b"): "no_such_function(a)"})
    reached = planned(server, "CREATE TABLE t (a int)", "CREATE TABLE t (a int, b int NOT NULL)", hints)
    assert reached.broken is not None
    assert "no_such_function" in reached.broken
    assert [one.rule for one in findings(reached, told(reached, 18)) if one.severity == "error"] == [
        "step-refused"
    ]


def test_a_renamed_table_answers_to_both_names(server: Server) -> None:
    hints = Hints(tables={Name("app", "people"): Name("public", "users")})
    before = "CREATE TABLE users (id serial PRIMARY KEY, n int); GRANT SELECT, INSERT ON users TO public"
    after = "CREATE SCHEMA app; CREATE TABLE app.people (id serial PRIMARY KEY, n int);" + (
        "GRANT SELECT, INSERT ON app.people TO public"
    )
    reached = planned(server, before, after, hints)
    assert reached.left.equal, reached.left
    assert reached.down is not None
    assert reached.down.equal, reached.down
    rename = next(step for step in reached.plan.steps if step.name.startswith("rename_users"))
    assert any(sql.startswith("CREATE VIEW users WITH (security_invoker = true)") for sql in rename.up)
    assert any(sql.startswith("GRANT INSERT, SELECT ON users") for sql in rename.up)


def test_locks_are_those_of_the_steps(server: Server) -> None:
    reached = planned(server, *PAIRS["a foreign key that cascades now"])
    by_name = {one.step.name: dict(one.locks) for one in told(reached, 18)}
    assert by_name["add_c_p_fkey_new"] == {"c": "SHARE ROW EXCLUSIVE", "p": "SHARE ROW EXCLUSIVE"}
    assert by_name["validate_c_p_fkey_new"] == {"c": "SHARE UPDATE EXCLUSIVE", "p": "ROW SHARE"}
