"""Triggers, rules, policies and statistics of tables: there and back on a real server."""

from __future__ import annotations

from data_platform.migration.plan import hanging
from data_platform.migration.plan.hints import Hints
from data_platform.migration.plan.pair import Pair
from data_platform.model.database import Name
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database
from migration.plan.harness import Reached, reach

BASE = """CREATE TABLE orders (id bigint PRIMARY KEY, tenant int NOT NULL, note text);
        CREATE VIEW seen AS SELECT id, note FROM orders;
CREATE FUNCTION react() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""


def arrives(reached: Reached) -> None:
    assert reached.refused == ()
    assert reached.up.equal, reached.up
    assert reached.down is None or reached.down.equal, reached.down


def test_triggers_and_rules(database: Database) -> None:
    before = """CREATE TRIGGER gone BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION react();
        COMMENT ON TRIGGER gone ON orders IS 'c';
        CREATE TRIGGER other AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION react();
        ALTER TABLE orders DISABLE TRIGGER other;
        CREATE TRIGGER state AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION react();
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION react();
        CREATE RULE quiet AS ON UPDATE TO orders WHERE false DO INSTEAD NOTHING;
        CREATE RULE off AS ON DELETE TO orders WHERE false DO INSTEAD NOTHING;
        CREATE TRIGGER of_view INSTEAD OF INSERT ON seen FOR EACH ROW EXECUTE FUNCTION react();"""
    after = """CREATE TRIGGER made BEFORE INSERT OR UPDATE OF note ON orders
        FOR EACH ROW WHEN (NEW.note IS NOT NULL) EXECUTE FUNCTION react('a');
        CREATE TRIGGER other AFTER UPDATE OF note ON orders FOR EACH ROW EXECUTE FUNCTION react();
        CREATE TRIGGER state AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION react();
        ALTER TABLE orders ENABLE ALWAYS TRIGGER state;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION react();
        CREATE RULE quiet AS ON UPDATE TO orders WHERE NEW.id = 3 DO INSTEAD NOTHING;
        ALTER TABLE orders DISABLE RULE quiet;
        CREATE RULE of_view AS ON DELETE TO seen DO INSTEAD NOTHING;"""
    reached = reach(database, BASE + before, BASE + after, hanging.steps)
    arrives(reached)
    assert {step.name for step in reached.steps if step.phase == "contract"} == {
        "drop_trigger_gone_on_orders",
        "drop_rule_off_on_orders",
        "drop_trigger_of_view_on_seen",
    }


def test_row_security_comes_after_its_policies(database: Database) -> None:
    after = """CREATE POLICY own ON orders USING (tenant = 1) WITH CHECK (tenant = 1);
        CREATE POLICY narrow ON orders AS RESTRICTIVE USING (id > 0);
        COMMENT ON POLICY own ON orders IS 'c';
        ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"""
    reached = reach(database, BASE, BASE + after, hanging.steps)
    arrives(reached)
    assert [(step.name, step.phase) for step in reached.steps] == [
        ("create_policy_narrow_on_orders", "expand"),
        ("create_policy_own_on_orders", "expand"),
        ("row_security_orders", "contract"),
    ]


def test_policies_change(database: Database) -> None:
    on = "ALTER TABLE orders ENABLE ROW LEVEL SECURITY;"
    before = f"""{on} CREATE POLICY a ON orders USING (tenant = 1);
        CREATE POLICY b ON orders FOR SELECT USING (tenant = 1);
        CREATE POLICY c ON orders USING (tenant = 1) WITH CHECK (tenant = 2);
        CREATE POLICY gone ON orders USING (true); CREATE POLICY limits ON orders AS RESTRICTIVE USING (true);"""
    after = f"""{on} CREATE POLICY a ON orders TO current_user USING (tenant = (SELECT 2));
        CREATE POLICY b ON orders FOR DELETE USING (tenant = 1);
        CREATE POLICY c ON orders USING (tenant = 1); CREATE POLICY made ON orders USING (true);
        CREATE POLICY hides ON orders AS RESTRICTIVE USING (true);"""
    reached = reach(database, BASE + before, BASE + after, hanging.steps)
    arrives(reached)
    assert {step.name for step in reached.steps if step.phase == "expand"} == {
        "create_policy_made_on_orders",
        "drop_policy_limits_on_orders",
    }


def test_statistics(database: Database) -> None:
    before = """CREATE STATISTICS gone ON tenant, note FROM orders;
        CREATE STATISTICS kinds ON tenant, note FROM orders; CREATE STATISTICS target ON tenant, note FROM orders;"""
    after = """CREATE STATISTICS made (mcv) ON tenant, (lower(note)) FROM orders;
        CREATE STATISTICS kinds (ndistinct) ON tenant, note FROM orders;
        CREATE STATISTICS target ON tenant, note FROM orders; ALTER STATISTICS target SET STATISTICS 500;"""
    arrives(reach(database, BASE + before, BASE + after, hanging.steps))


def test_what_hangs_steps_aside(database: Database) -> None:
    over = """CREATE POLICY p ON orders USING (tenant = 1); COMMENT ON POLICY p ON orders IS 'c';
        CREATE STATISTICS s ON tenant, note FROM orders;
        CREATE TRIGGER t BEFORE UPDATE OF tenant ON orders FOR EACH ROW WHEN (OLD.tenant > 0) EXECUTE FUNCTION react();
        DROP VIEW seen;
        CREATE RULE r AS ON UPDATE TO orders WHERE NEW.tenant = 3 DO INSTEAD NOTHING; ALTER TABLE orders DISABLE RULE r;
        CREATE FUNCTION most() RETURNS int RETURN (SELECT max(tenant) FROM orders);
        CREATE POLICY q ON orders USING (tenant = most());"""
    with connect(database.admin_conninfo, read_only=False) as connection:
        connection.execute((BASE + over).encode())
        connection.commit()
        before = read(connection)
        for touched in ({Name("public", "orders")}, {(Name("public", "orders"), "tenant")}):
            drops, makes = hanging.aside(
                Pair(before=before, after=before, hints=Hints(), version=18), touched
            )
            for statement in (
                *drops,
                "ALTER TABLE orders ALTER tenant TYPE bigint",
                "ALTER TABLE orders ALTER tenant TYPE int",
                *makes,
            ):
                connection.execute(statement.encode())
            connection.commit()
            assert read(connection) == before
