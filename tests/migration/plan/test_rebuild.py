"""A table built again beside itself: catalog, rows, clients that go on, and the way back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from data_platform.migration.plan import rebuild
from data_platform.migration.plan.hints import Hints
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Refusal, Step
from data_platform.model.database import Name
from data_platform.model.differences import differences
from data_platform.postgres.server import Server
from migration.plan.ground import ground
from migration.plan.writers import writing


def recipe(pair: Pair) -> Iterator[Step | Refusal]:
    for old, new in rebuild.rebuilt(pair):
        yield from rebuild.steps(pair, old, new)


PLAIN = """
CREATE TABLE customers (id bigint PRIMARY KEY);
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    customer_id bigint NOT NULL REFERENCES customers,
    created_at timestamptz NOT NULL DEFAULT now(),
    note text DEFAULT 'none' CHECK (note <> ''),
    size int GENERATED ALWAYS AS (length(note)) STORED,
    PRIMARY KEY (id, created_at)
);
CREATE INDEX ON events (customer_id);
COMMENT ON TABLE events IS 'what happened';
"""
SPLIT = """
CREATE TABLE customers (id bigint PRIMARY KEY);
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    customer_id bigint NOT NULL REFERENCES customers,
    created_at timestamptz NOT NULL DEFAULT now(),
    note text DEFAULT 'none' CHECK (note <> ''),
    size int GENERATED ALWAYS AS (length(note)) STORED,
    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE INDEX ON events (customer_id);
COMMENT ON TABLE events IS 'what happened';
"""
ROWS = """
INSERT INTO customers SELECT generate_series(1, 10);
INSERT INTO events (customer_id, created_at, note)
    SELECT 1 + n % 10, timestamptz '2024-03-01' + n * interval '1 hour', 'n' || n FROM generate_series(1, 12000) AS n;
"""

UNIQUE_ID = PLAIN.replace("PRIMARY KEY (id, created_at)", "PRIMARY KEY (id)")
WITHOUT_KEY = SPLIT.replace(",\n    PRIMARY KEY (id, created_at)", "")
ATTRIBUTES = "id, customer_id, created_at, note, size"

PAIRS = {
    "partitioned": (PLAIN, SPLIT),
    "partitioned by a column that joins the key": (UNIQUE_ID, SPLIT),
    "partitioned without a key": (UNIQUE_ID, WITHOUT_KEY),
    "no longer partitioned": (SPLIT, PLAIN),
    "partitioned otherwise, partitions of the same names": (
        SPLIT,
        SPLIT.replace("RANGE (created_at)", "HASH (id)")
        .replace(
            "FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')", "FOR VALUES WITH (MODULUS 2, REMAINDER 0)"
        )
        .replace(
            "FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')", "FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
        )
        .replace("CREATE TABLE events_rest PARTITION OF events DEFAULT;", ""),
    ),
    "unlogged": (PLAIN, PLAIN.replace("CREATE TABLE events", "CREATE UNLOGGED TABLE events")),
}


@pytest.mark.parametrize(("before", "after"), PAIRS.values(), ids=PAIRS.keys())
def test_there_and_back(server: Server, before: str, after: str) -> None:
    with ground(server, before, after, recipe, rows=ROWS) as here:
        assert not here.refused
        rows = f"SELECT {ATTRIBUTES} FROM events ORDER BY id"
        was = here.rows(rows)
        here.up()
        assert here.left.equal, here.left
        assert here.rows(rows) == was
        here.run(["INSERT INTO events (customer_id, created_at) VALUES (1, '2025-05-05')"], together=True)
        assert here.rows("SELECT max(id) FROM events") == [(12001,)]
        here.down()
        assert here.taken_back.equal, here.taken_back
        assert len(here.rows(rows)) == 12001
        here.run(["INSERT INTO events (customer_id, created_at) VALUES (1, '2025-05-05')"], together=True)
        assert here.rows("SELECT max(id) FROM events") == [(12002,)]


# --- while clients write ---

BY_DEFAULT = [
    text.replace("ALWAYS AS IDENTITY", "BY DEFAULT AS IDENTITY")
    for text in (UNIQUE_ID, SPLIT, PLAIN, WITHOUT_KEY)
]


@pytest.mark.parametrize(
    ("before", "after"),
    [BY_DEFAULT[:2], BY_DEFAULT[1:3], (BY_DEFAULT[0], BY_DEFAULT[3])],
    ids=["partitioned", "no longer partitioned", "partitioned without a key"],
)
def test_no_change_of_a_client_is_lost(server: Server, before: str, after: str) -> None:
    with (
        ground(server, before, after, recipe, rows=ROWS) as here,
        writing(here.conninfo, here.connection) as writers,
    ):
        for step in here.steps:
            here.patiently(step.up, together=step.transaction)
            time.sleep(0.05)
        told = {writer.number: (writer.done, round(writer.longest, 3)) for writer in writers}
        print(told)
        for step in reversed(here.steps):
            here.patiently(step.down, together=step.transaction)
    assert all(writer.done > 50 for writer in writers)


def test_killed_in_the_middle_of_the_copy_and_run_again(server: Server) -> None:
    before, after, *_ = BY_DEFAULT
    with ground(server, before, after, recipe, rows=ROWS) as here, writing(here.conninfo, here.connection):
        for step in here.steps:
            if step.fill is not None:
                here.killed(step.up, after="SELECT count(*) > 2000 FROM events__new")
                assert 0 < here.rows("SELECT count(*) FROM events__new")[0][0] < 12000
            here.patiently(step.up, together=step.transaction)
        assert here.left.equal


# --- all that hangs on a table ---

RICH = """
CREATE SCHEMA app;
CREATE TABLE app.kinds (id int PRIMARY KEY);
CREATE TABLE app.seen (id bigint, what text);
CREATE FUNCTION app.note_it() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO app.seen VALUES (coalesce(NEW.id, OLD.id), TG_OP); RETURN NULL; END $$;
CREATE TABLE app."Items" (
    id bigserial PRIMARY KEY,
    parent_id bigint CONSTRAINT within REFERENCES app."Items" ON DELETE CASCADE,
    kind int REFERENCES app.kinds ON UPDATE CASCADE,
    place int CONSTRAINT one_place UNIQUE DEFERRABLE,
    name text NOT NULL CHECK (name <> 'x'),
    code text COLLATE "C"
){SPLIT};
{PARTS}
CREATE INDEX items_name ON app."Items" (lower(name)) WHERE kind IS NOT NULL;
COMMENT ON INDEX app.items_name IS 'by name';
COMMENT ON COLUMN app."Items".name IS 'the name';
COMMENT ON CONSTRAINT within ON app."Items" IS 'a tree';
CREATE STATISTICS app.items_stat ON kind, name FROM app."Items";
CREATE TABLE app.lines (
    item_id bigint NOT NULL CONSTRAINT of_item REFERENCES app."Items" ON DELETE CASCADE ON UPDATE CASCADE, n int);
COMMENT ON CONSTRAINT of_item ON app.lines IS 'whose';
CREATE VIEW app.names AS SELECT id, name FROM app."Items" WHERE kind = 1;
CREATE VIEW app.counts AS SELECT count(*) FROM app.names;
CREATE MATERIALIZED VIEW app.kept AS SELECT kind, count(*) AS n FROM app."Items" GROUP BY kind;
CREATE UNIQUE INDEX kept_kind ON app.kept (kind);
COMMENT ON INDEX app.kept_kind IS 'for refresh';
COMMENT ON MATERIALIZED VIEW app.kept IS 'counted';
CREATE VIEW app.of_kept AS SELECT n FROM app.kept;
GRANT SELECT ON app.kept TO pg_read_all_data;
CREATE FUNCTION app.how_many() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM app."Items"; END;
CREATE TRIGGER seen AFTER INSERT OR DELETE ON app."Items" FOR EACH ROW EXECUTE FUNCTION app.note_it();
ALTER TABLE app."Items" DISABLE TRIGGER seen;
ALTER TABLE app."Items" ENABLE ALWAYS TRIGGER seen;
ALTER TABLE app."Items" ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON app."Items" USING (kind = 1);
CREATE POLICY of_mine ON app.lines USING (EXISTS (SELECT FROM app."Items" AS i WHERE i.id = item_id));
CREATE PUBLICATION items FOR TABLE app."Items", app.kinds;
GRANT SELECT, INSERT ON app."Items" TO pg_read_all_data;
GRANT UPDATE (name) ON app."Items" TO pg_read_all_data;
ALTER TABLE app."Items" ALTER COLUMN name SET STATISTICS 200;
"""
RICH_ROWS = """
INSERT INTO app.kinds VALUES (1), (2);
INSERT INTO app."Items" (parent_id, kind, place, name)
    SELECT nullif(n / 2, 0), 1 + n % 2, n, 'n' || n FROM generate_series(1, 1000) AS n;
INSERT INTO app.lines SELECT n, 1 FROM generate_series(1, 1000) AS n;
TRUNCATE app.seen;
"""


def rich(split: str = "", parts: str = "") -> str:
    """Publications of partitions' columns and deferrable keys need the plain one; what cannot be is left out."""
    return RICH.replace("{SPLIT}", split).replace("{PARTS}", parts)


WHOLE = rich()
UNLOGGED_TWIN = rich(" WITH (fillfactor = 90) USING heap")
BY_ID = rich(
    " PARTITION BY HASH (id)",
    'CREATE TABLE app.items_0 PARTITION OF app."Items" FOR VALUES WITH (MODULUS 2, REMAINDER 0);'
    'CREATE TABLE app.items_1 PARTITION OF app."Items" FOR VALUES WITH (MODULUS 2, REMAINDER 1);',
).replace("place int CONSTRAINT one_place UNIQUE DEFERRABLE", "place int")
WITHOUT_PLACE = WHOLE.replace("place int CONSTRAINT one_place UNIQUE DEFERRABLE", "place int")


@pytest.mark.parametrize(
    ("before", "after"), [(WITHOUT_PLACE, BY_ID), (BY_ID, WITHOUT_PLACE)], ids=["partitioned", "no longer"]
)
def test_all_that_hangs_on_it_comes_along(server: Server, before: str, after: str) -> None:
    with ground(server, before, after, recipe, rows=RICH_ROWS) as here:
        assert not here.refused
        here.up()
        assert here.left.equal, here.left
        assert here.rows("SELECT * FROM app.counts") == [(500,)]
        assert here.rows("SELECT app.how_many()") == [(1000,)]
        here.run(["REFRESH MATERIALIZED VIEW CONCURRENTLY app.kept"], together=True)
        assert here.rows("SELECT sum(n) FROM app.of_kept") == [(1000,)]
        here.run(["INSERT INTO app.\"Items\" (kind, name) VALUES (1, 'new')"], together=True)
        assert here.rows("SELECT * FROM app.seen") == [(1001, "INSERT")]
        here.run(['DELETE FROM app."Items" WHERE id = 1'], together=True)
        assert here.rows('SELECT count(*) FROM app."Items"') == [(1,)]
        assert here.rows("SELECT count(*) FROM app.lines") == [(0,)]
        here.down()
        assert here.taken_back.equal, here.taken_back
        assert here.rows('SELECT id FROM app."Items"') == [(1001,)]


def test_each_state_between_serves_clients(server: Server) -> None:
    """Statements that are right for the table are right at every step, forth and back, whatever order rows come in."""
    with ground(server, WITHOUT_PLACE, BY_ID, recipe, rows=RICH_ROWS) as here:
        for number, step in enumerate((*here.steps, *reversed(here.steps))):
            back = number >= len(here.steps)
            here.run(step.down if back else step.up, together=step.transaction)
            first = 10000 + number * 10
            here.run(
                [
                    'INSERT INTO app."Items" (id, parent_id, name) '
                    f"VALUES ({first}, {first + 1}, 'a'), ({first + 1}, NULL, 'b')",
                    f"INSERT INTO app.lines VALUES ({first}, 1), ({first + 1}, 2)",
                    f'UPDATE app."Items" SET parent_id = NULL WHERE id = {first}',
                    f'UPDATE app."Items" SET id = {first + 2} WHERE id = {first}',
                ],
                together=False,
            )
            assert here.rows(f"SELECT item_id FROM app.lines WHERE item_id = {first + 2}") == [(first + 2,)]
            here.run([f'DELETE FROM app."Items" WHERE id IN ({first + 1}, {first + 2})'], together=True)
            assert here.rows(f"SELECT FROM app.lines WHERE item_id >= {first}") == []
            assert here.rows('SELECT count(*), sum(id) FROM app."Items"') == [(1000, 500500)]


def test_a_deferrable_key_may_be_swapped_in_one_statement(server: Server) -> None:
    before, after = (
        WHOLE,
        WHOLE.replace('CREATE TABLE app."Items"', 'CREATE UNLOGGED TABLE app."Items"')
        .replace("CREATE TABLE app.lines", "CREATE UNLOGGED TABLE app.lines")
        .replace("CREATE PUBLICATION", "-- CREATE PUBLICATION"),
    )
    before = before.replace("CREATE PUBLICATION", "-- CREATE PUBLICATION").replace(
        "CREATE TABLE app.lines", "CREATE UNLOGGED TABLE app.lines"
    )
    with ground(server, before, after, recipe, rows=RICH_ROWS) as here:
        for step in here.steps:
            here.run(step.up, together=step.transaction)
            here.run(['UPDATE app."Items" SET place = 1001 - place'], together=True)
        # The sequence is one of the other objects of the database.
        assert [(one.object, one.property) for one in here.left.changed] == [
            ("sequence app.Items_id_seq", "unlogged")
        ]


def test_a_users_trigger_that_changes_other_rows_again(server: Server) -> None:
    """AFTER triggers of a statement see its last state; what they change then counts, not what the events carried."""
    table = "CREATE {} TABLE t (id int PRIMARY KEY, n int, seen boolean DEFAULT false);"
    hook = """
        CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            UPDATE t SET n = n + 100, seen = true WHERE id = NEW.id + 1 AND NOT seen; RETURN NULL; END $$;
        CREATE TRIGGER a_first AFTER UPDATE OF n ON t FOR EACH ROW
            WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION more();
    """
    rows = "INSERT INTO t SELECT n, 0 FROM generate_series(1, 20) AS n;"
    with ground(server, table.format("") + hook, table.format("UNLOGGED") + hook, recipe, rows=rows) as here:
        for step in here.steps:
            if step.name.startswith("swap"):
                break
            here.run(step.up, together=step.transaction)
        here.run(["UPDATE t SET n = n + 1"], together=True)
        here.run(["TABLE t"], together=True)
        assert here.rows("TABLE t EXCEPT TABLE t__new") == here.rows("TABLE t__new EXCEPT TABLE t") == []


# --- columns that change with it ---


def test_columns_change_on_the_way(server: Server) -> None:
    before = "CREATE TABLE t (id int PRIMARY KEY, day date NOT NULL, a text, gone int);"
    after = """
        CREATE TABLE t (day date NOT NULL, id bigint, letter text NOT NULL, extra int NOT NULL DEFAULT 7, twice int,
                        PRIMARY KEY (id, day))
            PARTITION BY RANGE (day);
        CREATE TABLE t_rest PARTITION OF t DEFAULT;
    """
    name = Name("public", "t")
    hints = Hints(
        columns={(name, "letter"): "a"},
        values={(name, "letter"): "coalesce(a, '?')", (name, "twice"): "id * 2"},
        lost=frozenset({"t.gone"}),
    )
    rows = "INSERT INTO t VALUES (1, '2024-01-01', 'x', 1), (2, '2024-01-02', NULL, 2);"
    with ground(server, before, after, recipe, rows=rows, hints=hints) as here:
        assert not here.refused
        here.up()
        assert here.left.equal, here.left
        assert here.rows("SELECT id, letter, extra, twice FROM t ORDER BY id") == [
            (1, "x", 7, 2),
            (2, "?", 7, 4),
        ]


def test_views_over_columns_that_change(server: Server) -> None:
    before = """
        CREATE TABLE t (id int PRIMARY KEY, n int);
        CREATE VIEW v AS SELECT id, n FROM t;
        CREATE VIEW w AS SELECT n FROM v;
    """
    after = before.replace("CREATE TABLE", "CREATE UNLOGGED TABLE").replace("n int)", "n bigint)")
    with ground(server, before, after, recipe, rows="INSERT INTO t VALUES (1, 2);") as here:
        here.up()
        assert here.left.equal, here.left
        assert here.rows("TABLE w") == [(2,)]


TWO_VIEWS = "CREATE MATERIALIZED VIEW m AS SELECT id FROM t; CREATE MATERIALIZED VIEW n AS SELECT id FROM m;"
OF_ROWS = "CREATE FUNCTION of_it(t) RETURNS int LANGUAGE sql AS 'SELECT 1';"
REFUSED = {
    "no key": (
        "CREATE TABLE t (id int);",
        "CREATE UNLOGGED TABLE t (id int);",
        "no unique key without NULLs",
    ),
    "a column is lost": (
        "CREATE TABLE t (id int PRIMARY KEY, a int);",
        "CREATE UNLOGGED TABLE t (id int PRIMARY KEY);",
        "its values would be lost",
    ),
    "a value is missing": (
        "CREATE TABLE t (id int PRIMARY KEY);",
        "CREATE UNLOGGED TABLE t (id int PRIMARY KEY, a int NOT NULL);",
        "rows that are there have no value",
    ),
    "materialized views over each other": (
        "CREATE TABLE t (id int PRIMARY KEY);" + TWO_VIEWS,
        "CREATE UNLOGGED TABLE t (id int PRIMARY KEY);" + TWO_VIEWS,
        "bound to the table itself",
    ),
    "a function of its rows": (
        "CREATE TABLE t (id int PRIMARY KEY);" + OF_ROWS,
        "CREATE UNLOGGED TABLE t (id int PRIMARY KEY);" + OF_ROWS,
        "bound to the table itself",
    ),
}


@pytest.mark.parametrize(("before", "after", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_a_reason(server: Server, before: str, after: str, why: str) -> None:
    with ground(server, before, after, recipe) as here:
        assert not here.steps
        assert why in here.refused[0].why


def test_of_a_type_in_place(server: Server) -> None:
    kind = "CREATE TYPE kind AS (id int, a text);"
    with ground(
        server, kind + "CREATE TABLE t (id int, a text);", kind + "CREATE TABLE t OF kind;", recipe
    ) as here:
        here.up()
        assert here.left.equal, here.left
        here.down()
        assert here.taken_back.equal


def test_truncate_is_carried_over(server: Server) -> None:
    with ground(server, PLAIN, SPLIT, recipe, rows=ROWS) as here:
        for step in here.steps[:4]:
            here.run(step.up, together=step.transaction)
        here.run(["TRUNCATE events"], together=True)
        assert here.rows("SELECT count(*) FROM events__new") == [(0,)]


def test_the_others_see_nothing_to_do(server: Server) -> None:
    with ground(server, WITHOUT_PLACE, BY_ID, recipe) as here:
        pair = Pair(before=here.before, after=here.target, hints=Hints(), version=18)
        names = {new.name for _, new in rebuild.rebuilt(pair)}
        assert names == {Name("app", "Items")}
        assert differences(rebuild.settled(pair, names).before, here.target).equal


def test_a_role_that_does_not_see_all_rows_changes_nothing(server: Server) -> None:
    table = "CREATE {} TABLE t (id int PRIMARY KEY); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
    with ground(server, table.format(""), table.format("UNLOGGED"), recipe) as here:
        here.connection.execute("CREATE ROLE dpe_half_blind; ALTER TABLE t OWNER TO dpe_half_blind")
        here.connection.execute("GRANT CREATE ON SCHEMA public TO dpe_half_blind; SET ROLE dpe_half_blind")
        try:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="hides rows"):
                here.up()
            assert here.rows("SELECT FROM pg_trigger") == []
        finally:
            here.connection.execute("RESET ROLE; DROP OWNED BY dpe_half_blind; DROP ROLE dpe_half_blind")


# --- a partition ---

PART = """
CREATE SEQUENCE numbers;
CREATE TABLE customers (id bigint PRIMARY KEY);
CREATE TABLE events (
    id bigint {},
    customer_id bigint NOT NULL REFERENCES customers,
    created_at timestamptz NOT NULL DEFAULT now(),
    note text DEFAULT 'none' CHECK (note <> ''),
    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE {} TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') {};
{}
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE INDEX ON events (customer_id);
"""
SERIAL, NUMBERED = "NOT NULL DEFAULT nextval('numbers')", "GENERATED BY DEFAULT AS IDENTITY"
WHOLE_PART = PART.format(SERIAL, "", "", "")
PARTS_OF_PART = """
CREATE TABLE events_2024_a PARTITION OF events_2024 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE events_2024_b PARTITION OF events_2024 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (WHOLE_PART, PART.format(SERIAL, "", "PARTITION BY HASH (id)", PARTS_OF_PART)),
        (PART.format(SERIAL, "", "PARTITION BY HASH (id)", PARTS_OF_PART), WHOLE_PART),
        (PART.format(NUMBERED, "", "", ""), PART.format(NUMBERED, "UNLOGGED", "", "")),
    ],
    ids=["split", "no longer split", "unlogged"],
)
def test_a_partition_is_built_again(server: Server, before: str, after: str) -> None:
    with ground(server, before, after, recipe, rows=ROWS) as here:
        assert not here.refused
        with writing(here.conninfo, here.connection):
            for step in here.steps:
                here.patiently(step.up, together=step.transaction)
            assert here.left.equal, here.left
            for step in reversed(here.steps):
                here.patiently(step.down, together=step.transaction)
            assert here.taken_back.equal, here.taken_back
