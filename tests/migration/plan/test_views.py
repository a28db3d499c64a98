"""Views and materialized views: there and back on a real server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data_platform.migration.plan import views
from data_platform.migration.plan.hints import Hints
from data_platform.migration.plan.pair import Pair
from data_platform.model.database import Name
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database
from migration.plan.harness import Reached, reach

BASE = """CREATE TABLE orders (id bigint PRIMARY KEY, amount int NOT NULL, note text);
        INSERT INTO orders VALUES (1, 2, 'x');
CREATE FUNCTION react() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""


def arrives(reached: Reached) -> None:
    assert reached.refused == ()
    assert reached.up.equal, reached.up
    assert reached.down is None or reached.down.equal, reached.down


def test_new_and_gone(database: Database) -> None:
    before = """CREATE VIEW old AS SELECT id FROM orders; CREATE VIEW older AS SELECT id FROM old;
        COMMENT ON COLUMN old.id IS 'i';
        REVOKE ALL ON old FROM public; GRANT SELECT (id) ON old TO public; ALTER VIEW old ALTER id SET DEFAULT 4;
        CREATE TRIGGER t INSTEAD OF INSERT ON old FOR EACH ROW EXECUTE FUNCTION react();
        CREATE MATERIALIZED VIEW m AS SELECT id FROM older;"""
    after = """CREATE MATERIALIZED VIEW a AS SELECT amount FROM orders; CREATE UNIQUE INDEX a_amount ON a (amount);
        CREATE VIEW b WITH (security_barrier = true) AS SELECT amount FROM a; COMMENT ON VIEW b IS 'b';
        CREATE RULE nothing AS ON DELETE TO b DO INSTEAD NOTHING;"""
    reached = reach(database, BASE + before, BASE + after, views.steps)
    arrives(reached)
    assert [step.name for step in reached.steps] == [
        "create_a",
        "create_b",
        "drop_m",
        "drop_older",
        "drop_old",
    ]


def test_appended_columns_keep_what_depends(database: Database) -> None:
    before = """CREATE VIEW v AS SELECT id, amount > 3 AS big FROM orders; CREATE VIEW over AS SELECT id FROM v;
        GRANT SELECT ON v TO public;"""
    after = """CREATE VIEW v WITH (security_invoker = true) AS SELECT id, amount > 4 AS big, note FROM orders;
        CREATE VIEW over AS SELECT id FROM v;
        GRANT SELECT ON v TO public; ALTER VIEW v ALTER note SET DEFAULT 'x';"""
    reached = reach(database, BASE + before, BASE + after, views.steps)
    arrives(reached)
    assert [step.name for step in reached.steps] == ["replace_v", "settings_v"]


@pytest.mark.parametrize(
    ("query", "phase"),
    [
        ("SELECT id FROM orders", "contract"),
        ("SELECT note, id, amount FROM orders", "expand"),
        ("SELECT id, amount::bigint AS amount FROM orders", "expand"),
        ("SELECT id, amount AS other FROM orders", "contract"),
    ],
)
def test_other_columns_take_what_depends_with_them(database: Database, query: str, phase: str) -> None:
    over = """CREATE VIEW over AS SELECT id FROM v; COMMENT ON VIEW over IS 'over'; GRANT SELECT ON over TO public;
        CREATE TRIGGER t INSTEAD OF INSERT ON over FOR EACH ROW EXECUTE FUNCTION react();
        CREATE MATERIALIZED VIEW far AS SELECT id FROM over; CREATE INDEX far_id ON far (id);
        CREATE POLICY p ON orders USING (id IN (SELECT id FROM over));
        CREATE FUNCTION reads() RETURNS bigint RETURN (SELECT max(id) FROM v);"""
    before = f"CREATE VIEW v AS SELECT id, amount FROM orders; {over}"
    reached = reach(database, BASE + before, f"{BASE}CREATE VIEW v AS {query}; {over}", views.steps)
    arrives(reached)
    assert [(step.name, step.phase) for step in reached.steps] == [("remake_v", phase)]
    assert reached.steps[0].blocks


def test_a_materialized_view_is_built_beside(database: Database) -> None:
    around = """COMMENT ON MATERIALIZED VIEW m IS 'm'; GRANT SELECT ON m TO public; CREATE UNIQUE INDEX m_id ON m (id);
        CREATE STATISTICS m_stat ON id, amount FROM m; ALTER MATERIALIZED VIEW m CLUSTER ON m_id;
        CREATE VIEW over AS SELECT id FROM m;
        COMMENT ON INDEX m_id IS 'i'; COMMENT ON COLUMN m.id IS 'c';"""
    before = f"CREATE MATERIALIZED VIEW m AS SELECT id, amount FROM orders; {around}"
    after = f"""CREATE MATERIALIZED VIEW m AS SELECT id, amount * 2 AS amount, note FROM orders;
        {around} CREATE INDEX m_note ON m (note);"""
    reached = reach(database, BASE + before, BASE + after, views.steps)
    arrives(reached)
    assert [step.name for step in reached.steps] == ["build_m", "swap_m"]


def test_settings_of_materialized_views(database: Database) -> None:
    before = """CREATE MATERIALIZED VIEW m WITH (fillfactor = 70) AS SELECT id, amount FROM orders;
        CREATE STATISTICS s ON id, amount FROM m;"""
    after = """CREATE MATERIALIZED VIEW m WITH (autovacuum_enabled = false) AS SELECT id,
        amount FROM orders WITH NO DATA;
        CREATE STATISTICS s (mcv) ON id, amount FROM m;"""
    arrives(reach(database, BASE + before, BASE + after, views.steps))


def test_a_view_becomes_a_materialized_view(database: Database) -> None:
    before, after = (
        "CREATE VIEW v AS SELECT id FROM orders;",
        "CREATE MATERIALIZED VIEW v AS SELECT id FROM orders;",
    )
    arrives(reach(database, BASE + before, BASE + after, views.steps))


def test_views_step_aside(database: Database) -> None:
    over = """CREATE VIEW v AS SELECT id, amount FROM orders; CREATE VIEW w AS SELECT amount FROM v;
        GRANT SELECT ON w TO public;
        CREATE MATERIALIZED VIEW m AS SELECT amount FROM w; CREATE INDEX m_i ON m (amount);
        CREATE POLICY p ON orders USING (id IN (SELECT id FROM v));"""
    with connect(database.admin_conninfo, read_only=False) as connection:
        connection.execute((BASE + over).encode())
        connection.commit()
        before = read(connection)
        drops, makes = views.aside(
            Pair(before=before, after=before, hints=Hints(), version=18), {Name("public", "orders")}
        )
        for statement in (
            *drops,
            "ALTER TABLE orders ALTER amount TYPE bigint",
            "ALTER TABLE orders ALTER amount TYPE int",
            *makes,
        ):
            connection.execute(statement.encode())
        connection.commit()
        assert read(connection) == replace(before)
