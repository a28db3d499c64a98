"""The whole: the same rows for the same seed, hints, blocks, plausible values."""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg

from data_platform.model.database import Name
from data_platform.model.design import DataHint
from data_platform.postgres.server import Server
from data_platform.postgres.synthetic import Generator
from postgres.synthetic.conftest import Fill

SHOP = """
CREATE TYPE size AS ENUM ('s', 'm', 'l');
CREATE TABLE tenants (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id bigint NOT NULL REFERENCES tenants,
    email varchar(80) NOT NULL, country_code char(2), meta jsonb NOT NULL DEFAULT '{}', tags text[],
    embedding vector(8), created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz, UNIQUE (tenant_id, id)
);
CREATE UNIQUE INDEX ON users (tenant_id, lower(email)) WHERE deleted_at IS NULL;
CREATE TABLE orders (
    id bigserial PRIMARY KEY, tenant_id bigint NOT NULL, user_id uuid NOT NULL, parent_id bigint REFERENCES orders,
    status text NOT NULL CHECK (status IN ('open', 'paid', 'shipped')), size size NOT NULL, shipped_at timestamptz,
    quantity int NOT NULL CHECK (quantity > 0), unit_price numeric(10,2) NOT NULL CHECK (unit_price >= 0),
    total numeric(12,2) NOT NULL CHECK (total = quantity * unit_price), during tstzrange NOT NULL,
    CHECK ((status = 'shipped') = (shipped_at IS NOT NULL)),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);
CREATE TABLE notes (order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE, line int NOT NULL, body text NOT NULL,
    odd int NOT NULL CHECK ((odd * odd) % 3 = 1), PRIMARY KEY (order_id, line));
"""
UPDATED = """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
"""


def test_the_same_seed_gives_the_same_rows(fill: Fill) -> None:
    first = fill(SHOP + UPDATED, 300, extensions=["vector"])
    again = fill(SHOP + UPDATED, 300, extensions=["vector"])
    other = fill(SHOP + UPDATED, 300, extensions=["vector"], seed=2)
    assert {name: f.rows for name, f in first.filled.items()} == dict.fromkeys(first.filled, 300)
    assert first.digest() == again.digest()
    assert set(first.digest().values()).isdisjoint(set(other.digest().values()))


def test_another_table_changes_nothing(fill: Fill) -> None:
    first = fill(SHOP, 100, extensions=["vector"]).digest()
    more = "CREATE TABLE aaa (id int PRIMARY KEY, x text);"
    more += "CREATE TABLE zzz (id int PRIMARY KEY, t bigint REFERENCES tenants);"
    wider = fill(SHOP + more, 100, extensions=["vector"]).digest()
    assert {name: wider[name] for name in first} == first


SCRIPT = """
import sys, psycopg
from data_platform.postgres.catalog import read
from data_platform.postgres.synthetic import Generator
with psycopg.connect(sys.argv[1]) as connection:
    database = read(connection)
    Generator(database, {t.name: 120 for t in database.tables}, {}, 7).fill(connection)
"""


def test_hash_randomisation_changes_nothing(server: Server) -> None:
    digests = set()
    for hash_seed in ("1", "2"):
        with server.scratch_database(extensions=["vector"]) as scratch:
            with psycopg.connect(scratch.conninfo) as connection:
                connection.execute(SHOP)
            environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
            subprocess.run([sys.executable, "-c", SCRIPT, scratch.conninfo], check=True, env=environment)
            with psycopg.connect(scratch.conninfo) as connection:
                found = [
                    connection.execute(
                        f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {t} t"
                    ).fetchone()
                    for t in ("tenants", "users", "orders", "notes")
                ]
            digests.add(tuple(found))
    assert len(digests) == 1


def test_hints(fill: Fill) -> None:
    hints = {
        ("t", "status"): DataHint(values=(("open", 8), ("paid", 1), ("gone", 1))),
        ("t", "kind"): DataHint(values=(("x", 3), ("y", 1))),
        ("t", "city"): DataHint(distinct=7, skew=1.2),
        ("t", "day"): DataHint(minimum="2020-01-01", maximum="2020-12-31"),
        ("t", "amount"): DataHint(minimum="5", maximum="50", distinct=10),
        ("t", "note"): DataHint(null_fraction=0.7),
        ("t", "closed_at"): DataHint(null_fraction=0.25),
        ("c", "t_id"): DataHint(skew=1.0),
    }
    world = fill(
        """
        CREATE TABLE t (id int PRIMARY KEY, status text NOT NULL CHECK (status IN ('open', 'paid', 'lost')),
            kind text NOT NULL, city text NOT NULL, day date NOT NULL, amount numeric(8,2) NOT NULL, note text,
            closed_at date, CHECK ((kind = 'y') <= (closed_at IS NOT NULL) OR true));
        CREATE TABLE c (t_id int NOT NULL REFERENCES t);
        """,
        4000,
        hints=hints,
    )
    shares = dict(world.all("SELECT status, count(*) FROM t GROUP BY 1"))
    assert set(shares) == {"open", "paid"}, "a hint cannot break a check"
    assert 3400 < shares["open"] < 3700
    assert 2850 < world.one("SELECT count(*) FROM t WHERE kind = 'x'") < 3150
    cities = sorted(world.all("SELECT count(*) FROM t GROUP BY city"))
    assert len(cities) == 7
    assert cities[-1] > 4 * cities[0]
    assert world.one("SELECT min(day) >= '2020-01-01' AND max(day) <= '2020-12-31' FROM t")
    assert world.one("SELECT count(DISTINCT amount) = 10 AND min(amount) >= 5 AND max(amount) <= 50 FROM t")
    assert 2700 < world.one("SELECT count(*) FROM t WHERE note IS NULL") < 2900
    assert 900 < world.one("SELECT count(*) FROM t WHERE closed_at IS NULL") < 1100
    children = world.all("SELECT count(*) FROM c GROUP BY t_id ORDER BY 1 DESC LIMIT 1")[0]
    assert 300 < children < 600, "Zipf over 4,000 parents gives the first one about 11 %"


def test_values_look_like_their_names(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE customers (id int PRIMARY KEY, email text, name text, phone text, website_url text,
            country_code char(2),
            currency char(3), slug text, city text, price numeric(10,2), quantity int, is_active boolean,
            created_at timestamptz, updated_at timestamptz, deleted_at timestamptz, title varchar(12), birth_date date)
        """,
        1000,
    )
    assert world.one("SELECT bool_and(email ~ '^[a-z.]+@example\\.com$') FROM customers")
    assert world.one("SELECT bool_and(name ~ '^[A-Z][a-z]+ [A-Z][a-z]+$') FROM customers")
    assert world.one("SELECT bool_and(website_url ~ '^https://example\\.com/') FROM customers")
    assert world.one(
        "SELECT bool_and(country_code ~ '^[A-Z]{2}$' AND currency ~ '^[A-Z]{3}$') FROM customers"
    )
    assert world.one(
        "SELECT bool_and(price > 0 AND quantity > 0 AND updated_at >= created_at) FROM customers"
    )
    assert world.one("SELECT bool_and(created_at BETWEEN '2024-07-01' AND '2026-07-01') FROM customers")
    assert world.one("SELECT count(*) FROM customers WHERE deleted_at IS NULL") > 850
    assert world.one("SELECT bool_and(birth_date < '2010-01-01') FROM customers")


def test_names_that_need_quotes_and_texts_that_need_escapes(fill: Fill) -> None:
    world = fill(
        r"""
        CREATE SCHEMA "Od""d";
        CREATE TYPE "Od""d"."T" AS ENUM ('tab	tab', E'new\nline', 'back\slash', '\N');
        CREATE TABLE "Od""d"."a b; --" ("select" "Od""d"."T" NOT NULL, "%s" text NOT NULL,
            CHECK ("%s" IN ('\N', '\.', '%')),
            odd int CHECK (odd % 7 = 0 AND (odd * odd) % 3 = 1));
        CREATE TABLE "Ref" (id "Od""d"."T" PRIMARY KEY);
        CREATE TABLE child (r "Od""d"."T" NOT NULL REFERENCES "Ref");
        """,
        50,
    )
    assert world.filled["a b; --"].rows == 50
    assert world.filled["child"].rows == 50
    assert len(world.all("SELECT DISTINCT r FROM child")) == 4
    assert world.generator.fresh(world.connection, Name('Od"d', "a b; --"))


def test_progress_is_told(fill: Fill) -> None:
    world = fill("CREATE TABLE t (id int PRIMARY KEY)", 0)
    told: list[int] = []
    generator = Generator(world.database, {Name("public", "t"): 25_000}, {}, seed=1)
    generator.fill(world.connection, progress=lambda _table, rows: told.append(rows))
    assert told == [10_000, 20_000, 25_000]


def test_a_table_without_columns_of_its_own(fill: Fill) -> None:
    world = fill("CREATE TABLE t (); CREATE TABLE g (n int GENERATED ALWAYS AS (7) STORED)", 3)
    assert {name: f.rows for name, f in world.filled.items()} == {"t": 3, "g": 3}


def test_session_settings_do_not_matter(fill: Fill) -> None:
    columns = ", ".join(
        f"c{n} {t} NOT NULL" for n, t in enumerate(["date", "interval", "money", "timestamptz", "bytea"])
    )
    ddl = f"CREATE TABLE t ({columns})"
    usual = fill(ddl, 100)
    strange = fill(ddl, 0)
    strange.connection.execute(
        "SET datestyle = 'German'; SET intervalstyle = 'sql_standard'; SET timezone = 'Asia/Tokyo'"
    )
    Generator(strange.database, {Name("public", "t"): 100}, {}, seed=1).fill(strange.connection)
    strange.connection.execute("RESET ALL")
    assert strange.digest() == usual.digest()


def test_triggers_may_change_keys_and_refuse_rows(fill: Fill) -> None:
    world = fill(
        """
        CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN NEW.code := upper(NEW.code); RETURN NEW; END $$;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'never today'; END $$;
        CREATE TABLE parents (code text PRIMARY KEY CHECK (length(code) = 5));
        CREATE TRIGGER shout BEFORE INSERT ON parents FOR EACH ROW EXECUTE FUNCTION shout();
        CREATE TABLE children (code text NOT NULL REFERENCES parents);
        CREATE TABLE refused (id int PRIMARY KEY);
        CREATE TRIGGER refuse AFTER INSERT ON refused FOR EACH ROW EXECUTE FUNCTION refuse();
        """
    )
    assert world.filled["children"].rows == 100
    assert world.one("SELECT bool_and(code = upper(code)) FROM children")
    assert (world.filled["refused"].rows, world.filled["refused"].note) == (
        0,
        "the server refuses the rows: never today",
    )


def test_creation_times_rise_with_the_rows(fill: Fill) -> None:
    world = fill(
        """CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now())""",
        1000,
    )
    assert world.one("SELECT corr(id, extract(epoch FROM created_at)) FROM t") > 0.99
    assert world.one("SELECT bool_and(created_at <= updated_at) FROM t")
