"""Foreign keys of every form: composite, shared, nullable, to oneself, in circles."""

from __future__ import annotations

from postgres.synthetic.conftest import Fill


def test_one_parent_many_children(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE parents (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text NOT NULL UNIQUE);
        CREATE TABLE by_id (parent_id bigint NOT NULL REFERENCES parents);
        CREATE TABLE by_code (parent_code text REFERENCES parents (code));
        """,
        {"parents": 100, "by_id": 2000, "by_code": 2000},
    )
    first = world.one("SELECT count(*) FROM by_id WHERE parent_id <= 10")
    assert 330 < first < 550, "the first tenth of the parents gets about a fifth of the children"
    assert 100 < world.one("SELECT count(*) FROM by_code WHERE parent_code IS NULL") < 300


def test_one_to_one(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE users (id uuid PRIMARY KEY);
        CREATE TABLE profiles (user_id uuid PRIMARY KEY REFERENCES users);
        CREATE TABLE avatars (id int PRIMARY KEY, user_id uuid UNIQUE REFERENCES users);
        """,
        {"users": 100, "profiles": 150, "avatars": 150},
    )
    assert world.filled["profiles"].rows == 100
    assert world.filled["profiles"].note == "key profiles_pkey over user_id allows 100 rows"
    assert world.filled["avatars"].rows == 150


def test_junction_when_every_pair_is_needed(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE a (id int PRIMARY KEY);
        CREATE TABLE b (id int PRIMARY KEY);
        CREATE TABLE ab (a_id int REFERENCES a, b_id int REFERENCES b, PRIMARY KEY (a_id, b_id));
        CREATE TABLE follows (x int NOT NULL REFERENCES a, y int NOT NULL REFERENCES a, UNIQUE (x, y), CHECK (x <> y));
        CREATE TABLE friends (x int REFERENCES a, y int REFERENCES a, PRIMARY KEY (x, y), CHECK (x < y));
        """,
        {"a": 40, "b": 50, "ab": 5000, "follows": 1500, "friends": 700},
    )
    assert world.filled["ab"].rows == 2000
    assert "allows 2,000 rows" in (world.filled["ab"].note or "")
    assert world.filled["follows"].rows == 1500
    assert world.filled["friends"].rows == 700


def test_tenants_share_a_column(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE tenants (id int PRIMARY KEY);
        CREATE TABLE users (tenant_id int NOT NULL REFERENCES tenants, id uuid NOT NULL, PRIMARY KEY (tenant_id, id));
        CREATE TABLE projects (tenant_id int NOT NULL REFERENCES tenants, id int NOT NULL,
            owner_id uuid NOT NULL, reviewer_id uuid, PRIMARY KEY (tenant_id, id),
            FOREIGN KEY (tenant_id, owner_id) REFERENCES users, FOREIGN KEY (tenant_id, reviewer_id) REFERENCES users);
        CREATE TABLE members (tenant_id int NOT NULL, project_id int NOT NULL, user_id uuid NOT NULL,
            PRIMARY KEY (tenant_id, project_id, user_id),
            FOREIGN KEY (tenant_id, project_id) REFERENCES projects, FOREIGN KEY (tenant_id, user_id) REFERENCES users);
        CREATE TABLE leads (tenant_id int NOT NULL, project_id int NOT NULL, user_id uuid NOT NULL,
            PRIMARY KEY (tenant_id, project_id),
            FOREIGN KEY (tenant_id, project_id) REFERENCES projects, FOREIGN KEY (tenant_id, user_id) REFERENCES users);
        """,
        {"tenants": 30, "users": 300, "projects": 200, "members": 1200, "leads": 100},
    )
    assert {name: f.note for name, f in world.filled.items() if f.note} == {}
    assert world.one("SELECT count(DISTINCT tenant_id) FROM projects") > 15
    assert world.one("SELECT count(reviewer_id) FROM projects") > 100


def test_all_or_none(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE p (a int, b int, PRIMARY KEY (a, b));
        CREATE TABLE full_match (a int, b int, FOREIGN KEY (a, b) REFERENCES p MATCH FULL);
        CREATE TABLE half (a int NOT NULL, b int, FOREIGN KEY (a, b) REFERENCES p);
        """,
        300,
    )
    assert {name: f.note for name, f in world.filled.items() if f.note} == {}
    assert len(world.all("SELECT DISTINCT a IS NULL, b IS NULL FROM full_match")) == 2


def test_a_kind_that_a_check_fixes(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE parties (id int PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('person', 'firm')),
            UNIQUE (id, kind));
        CREATE TABLE people (id int PRIMARY KEY, kind text NOT NULL DEFAULT 'person' CHECK (kind = 'person'),
            FOREIGN KEY (id, kind) REFERENCES parties (id, kind));
        """,
        {"parties": 300, "people": 100},
    )
    assert world.filled["people"].rows == 100


def test_to_itself(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE nodes (id int PRIMARY KEY, parent_id int REFERENCES nodes, name text NOT NULL,
            UNIQUE (parent_id, name));
        CREATE TABLE rooted (id uuid PRIMARY KEY, parent_id uuid NOT NULL REFERENCES rooted);
        CREATE TABLE chain (id int PRIMARY KEY, previous_id int UNIQUE REFERENCES chain);
        CREATE TABLE tenants (id int PRIMARY KEY);
        CREATE TABLE folders (tenant_id int NOT NULL REFERENCES tenants, id int NOT NULL, parent_id int,
            PRIMARY KEY (tenant_id, id),
            FOREIGN KEY (tenant_id, parent_id) REFERENCES folders (tenant_id, id), CHECK (parent_id <> id));
        CREATE TABLE odd (id int PRIMARY KEY, parent_id int REFERENCES odd, n int NOT NULL CHECK ((n * n) % 3 = 1));
        """,
        200,
    )
    assert {name: f.rows for name, f in world.filled.items() if f.rows != 200} == {}
    assert world.one("SELECT count(parent_id) FROM nodes") > 150
    assert world.one("SELECT count(parent_id) FROM folders") > 20
    assert world.one("SELECT count(parent_id) FROM odd") > 0
    assert world.one("SELECT count(*) FROM nodes WHERE parent_id >= id") == 0


CIRCLES = """
CREATE TABLE firms (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, boss_id uuid NOT NULL);
CREATE TABLE staff (id uuid PRIMARY KEY, firm_id bigint NOT NULL REFERENCES firms ON DELETE CASCADE);
ALTER TABLE firms ADD CONSTRAINT boss FOREIGN KEY (boss_id) REFERENCES staff ON DELETE RESTRICT;
COMMENT ON CONSTRAINT boss ON firms IS 'kept';
CREATE TABLE a (id int PRIMARY KEY, b_id int UNIQUE);
CREATE TABLE b (id int PRIMARY KEY, c_id int NOT NULL);
CREATE TABLE c (id int PRIMARY KEY, a_id int NOT NULL UNIQUE REFERENCES a DEFERRABLE INITIALLY IMMEDIATE);
ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b ON DELETE SET NULL;
ALTER TABLE b ADD FOREIGN KEY (c_id) REFERENCES c ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""


def test_circles(fill: Fill) -> None:
    definitions = (
        "SELECT conname, pg_get_constraintdef(oid), obj_description(oid)"
        " FROM pg_constraint WHERE contype = 'f' ORDER BY 1"
    )
    before = fill(CIRCLES, 0).all(definitions)
    world = fill(CIRCLES, 200)
    assert {name: (f.rows, f.note) for name, f in world.filled.items() if f.rows != 200 or f.note} == {}
    assert world.all(definitions) == before
    assert world.one("SELECT count(b_id) FROM a") > 150
    assert world.one("SELECT count(DISTINCT boss_id) FROM firms") > 50


def test_parents_without_rows(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE p (id int PRIMARY KEY);
        CREATE TABLE optional (p_id int REFERENCES p);
        CREATE TABLE needed (p_id int NOT NULL REFERENCES p);
        """,
        {"optional": 10, "needed": 10},
    )
    assert world.filled["optional"].rows == 10
    assert world.filled["needed"].note == "no row in public.p that needed_p_id_fkey could refer to"


def test_order_is_parents_first(fill: Fill) -> None:
    world = fill(
        "CREATE TABLE z (id int PRIMARY KEY); CREATE TABLE y (z int REFERENCES z); CREATE TABLE a (i int)", 1
    )
    order = [name.name for name in world.generator.order()]
    assert order.index("z") < order.index("y")
    assert sorted(order) == ["a", "y", "z"]


def test_a_key_of_what_the_server_computes(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE shops (id int PRIMARY KEY, deleted_at timestamptz,
            open_id int GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN id END) STORED UNIQUE);
        CREATE TABLE prices (id int PRIMARY KEY, shop_id int NOT NULL REFERENCES shops, deleted_at timestamptz,
            open_shop_id int GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN shop_id END) STORED
                REFERENCES shops (open_id) DEFERRABLE INITIALLY DEFERRED);
        """,
        {"shops": 100, "prices": 400},
    )
    assert world.filled["prices"].rows == 400
    assert world.one("SELECT count(*) FROM prices WHERE deleted_at IS NULL") > 100
    assert world.one("SELECT count(*) FROM prices WHERE deleted_at IS NOT NULL") > 0


def test_a_row_that_names_the_newest_of_its_parts(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE docs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, newest int, title text NOT NULL);
        CREATE TABLE doc_versions (doc_id bigint NOT NULL REFERENCES docs ON DELETE CASCADE, version int NOT NULL,
            PRIMARY KEY (doc_id, version));
        ALTER TABLE docs ADD FOREIGN KEY (id, newest) REFERENCES doc_versions;
        """,
        {"docs": 200, "doc_versions": 500},
    )
    assert {name: (f.rows, f.note) for name, f in world.filled.items()} == {
        "docs": (200, None),
        "doc_versions": (500, None),
    }
    docs = next(table.name for table in world.database.tables if table.name.name == "docs")
    assert world.generator.fresh(world.connection, docs) is not None
    assert world.generator.fresh(world.connection, docs, {"newest": "1"}) is None, (
        "its versions come after it"
    )


def test_paths_below_paths(fill: Fill) -> None:
    parent = "CASE WHEN nlevel(path) > 1 THEN subpath(path, 0, -1) END"
    world = fill(
        f"""
        CREATE TABLE places (path ltree PRIMARY KEY,
            above ltree GENERATED ALWAYS AS ({parent}) STORED REFERENCES places);
        CREATE TABLE tenants (id int PRIMARY KEY);
        CREATE TABLE folders (tenant_id int NOT NULL REFERENCES tenants, path ltree NOT NULL,
            above ltree GENERATED ALWAYS AS ({parent}) STORED, PRIMARY KEY (tenant_id, path),
            FOREIGN KEY (tenant_id, above) REFERENCES folders);
        """,
        {"places": 300, "tenants": 5, "folders": 300},
        extensions=["ltree"],
    )
    assert world.one("SELECT max(nlevel(path)) FROM places") == 3
    assert world.one("SELECT count(*) FROM folders") == 300
    assert world.one("SELECT count(DISTINCT tenant_id) FROM folders WHERE above IS NOT NULL") == 5
    places = next(table.name for table in world.database.tables if table.name.name == "places")
    assert world.generator.fresh(world.connection, places) is not None
