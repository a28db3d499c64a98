"""Grants, owners, default privileges and roles: there and back on a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from data_platform.migration.plan import access
from data_platform.migration.plan.hints import Hints
from data_platform.migration.plan.pair import Pair
from data_platform.model.database import Database as Model
from data_platform.model.database import Role
from data_platform.postgres.server import Database
from migration.plan.harness import Reached, reach, roles

BASE = """CREATE TABLE t (id int, n int); CREATE VIEW v AS SELECT id FROM t; CREATE SEQUENCE s; CREATE SCHEMA app;
        CREATE TYPE e AS ENUM ('a');
CREATE FUNCTION app.f(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1';
"""


@pytest.fixture(autouse=True)
def people(database: Database) -> Iterator[None]:
    with roles(database, "dpe_test_a", "dpe_test_b"):
        yield


def arrives(reached: Reached) -> None:
    assert reached.refused == ()
    assert reached.up.equal, reached.up
    assert reached.down is None or reached.down.equal, reached.down


def test_grants(database: Database) -> None:
    before = """GRANT SELECT, INSERT ON t TO dpe_test_a; GRANT UPDATE (n) ON t TO dpe_test_a;
        GRANT SELECT ON v TO dpe_test_b WITH GRANT OPTION;
        REVOKE EXECUTE ON FUNCTION app.f FROM public; GRANT USAGE ON SCHEMA app TO dpe_test_b;
        REVOKE USAGE ON TYPE e FROM public; GRANT DELETE ON t TO dpe_test_b;"""
    after = """GRANT SELECT ON t TO dpe_test_a WITH GRANT OPTION;
        GRANT UPDATE (id, n), SELECT (n) ON t TO dpe_test_a; GRANT SELECT ON v TO dpe_test_b;
        GRANT EXECUTE ON FUNCTION app.f TO dpe_test_a; REVOKE EXECUTE ON PROCEDURE p FROM public;
        GRANT USAGE ON SEQUENCE s TO dpe_test_b; GRANT DELETE ON t TO dpe_test_b;
        GRANT USAGE, CREATE ON SCHEMA app TO dpe_test_b;"""
    reached = reach(database, BASE + before, BASE + after, access.steps)
    arrives(reached)
    assert all(step.up[0].startswith("REVOKE") == (step.phase == "contract") for step in reached.steps)


def test_owners(database: Database) -> None:
    before = """ALTER TABLE t OWNER TO dpe_test_a; ALTER VIEW v OWNER TO dpe_test_a;
        ALTER FUNCTION app.f OWNER TO dpe_test_a;"""
    after = """ALTER TABLE t OWNER TO dpe_test_b; ALTER VIEW v OWNER TO dpe_test_a;
        ALTER SEQUENCE s OWNER TO dpe_test_a; ALTER TYPE e OWNER TO dpe_test_b;
        ALTER SCHEMA app OWNER TO dpe_test_a;"""
    arrives(reach(database, BASE + before, BASE + after, access.steps))


def test_default_privileges(database: Database) -> None:
    before = """ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO dpe_test_a;
        ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM public;
        ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT USAGE ON SEQUENCES TO dpe_test_b WITH GRANT OPTION;"""
    after = """ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT ON TABLES TO dpe_test_a;
        ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM public;
        ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT USAGE ON SEQUENCES TO dpe_test_b;
        ALTER DEFAULT PRIVILEGES FOR ROLE dpe_test_b GRANT SELECT ON TABLES TO dpe_test_a;"""
    arrives(reach(database, BASE + before, BASE + after, access.steps))


def test_memberships_and_attributes(database: Database) -> None:
    """Roles are the server's, so both schemas see one state of them: what is planned is only looked at."""

    before = Model(roles=(Role(name="dpe_test_a", member_of=("dpe_test_b",)),))
    after = Model(roles=(Role(name="dpe_test_a", login=True), Role(name="new")))
    created, altered = access.steps(Pair(before=before, after=after, hints=Hints(), version=18))
    assert created.one_way is not None
    assert altered.up == ("ALTER ROLE dpe_test_a LOGIN", "REVOKE dpe_test_b FROM dpe_test_a")
    assert altered.down == ("ALTER ROLE dpe_test_a NOLOGIN", "GRANT dpe_test_b TO dpe_test_a")
