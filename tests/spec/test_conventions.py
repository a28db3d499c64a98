"""Each convention, rendered and loaded, does what it promises: tried on the server, refusals included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from data_platform import ddl
from data_platform.model.design import Design
from data_platform.postgres.server import Database, Server
from data_platform.report.finding import Finding
from data_platform.spec import validate
from data_platform.spec.document import SpecProblem, parse
from data_platform.spec.model import read_model, write
from data_platform.spec.model.conventions import FOR_ALL, OF_MODEL, OF_TABLE

Connection = psycopg.Connection[Any]


def _design(text: str) -> Design:
    document = parse(f"kind: model\nstore: Shop DB\n{text}".encode(), "model.yaml")
    validate.check(document)
    return read_model(document)


@pytest.fixture
def load(database: Database) -> Iterator[Any]:
    """Loads a spec; what was loaded also comes back from its own text."""
    with psycopg.connect(database.admin_conninfo, autocommit=True) as connection:

        def loaded(text: str, *before: str) -> Connection:
            design = _design(text)
            for statement in before:
                connection.execute(statement.encode())
            for statement in ddl.statements(design):
                connection.execute(str(statement.sql).encode())
            assert _design(write(design).partition("\n")[2].partition("\n")[2]).database == design.database
            return connection

        yield loaded


def _one(connection: Connection, sql: str, *values: Any) -> Any:
    row = connection.execute(sql.encode(), values or None).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def _findings(text: str) -> tuple[Finding, ...]:
    with pytest.raises(SpecProblem) as caught:
        _design(text)
    return caught.value.findings


# --- tenant ---

TENANTS = """
conventions: {primary_key: identity, timestamps: true, tenant: {type: bigint, table: tenants}}
tables:
  tenants: {columns: {name: text}}
  projects:
    columns:
      slug: {type: text, unique: true}
      parent_id: {nullable: true, references: {table: projects, on_delete: set null}}
  tickets:
    columns: {project_id: {references: {table: projects, on_delete: cascade}}, title: text, booked: tstzrange}
    indexes: [[title]]
    exclude: [{elements: [{column: booked, with: "&&"}]}]
  countries: {columns: {code: {type: text, primary_key: true}}, conventions: {tenant: false}}
"""


@pytest.fixture
def tenants(load: Any) -> Connection:
    connection: Connection = load(TENANTS)
    connection.execute("CREATE ROLE tenants_app")
    connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tenants_app")
    connection.execute("INSERT INTO tenants (name) VALUES ('North'), ('South')")
    connection.execute("INSERT INTO projects (tenant_id, slug) VALUES (1, 'site'), (2, 'site')")
    connection.execute("SET ROLE tenants_app")
    return connection


@pytest.fixture(autouse=True)
def _without_roles(server: Server) -> Iterator[None]:
    yield
    with (
        server.scratch_database() as other,
        psycopg.connect(other.admin_conninfo, autocommit=True) as connection,
    ):
        connection.execute("DROP ROLE IF EXISTS tenants_app, tenants_owner, tenants_helper")


def test_without_a_tenant_nothing_is_there(tenants: Connection) -> None:
    assert _one(tenants, "SELECT (SELECT count(*) FROM tenants) + (SELECT count(*) FROM projects)") == 0
    with pytest.raises(errors.InsufficientPrivilege):
        tenants.execute("INSERT INTO projects (slug) VALUES ('x')")


def test_a_tenant_sees_and_writes_its_own_rows_only(tenants: Connection) -> None:
    tenants.execute("SET app.tenant_id = '1'")
    assert _one(tenants, "SELECT count(*) FROM projects") == 1
    assert _one(tenants, "SELECT name FROM tenants") == "North"
    assert _one(tenants, "INSERT INTO projects (slug) VALUES ('mine') RETURNING tenant_id") == 1
    assert tenants.execute("UPDATE projects SET slug = 'taken' WHERE tenant_id = 2").rowcount == 0
    for wrong in (
        "INSERT INTO projects (tenant_id, slug) VALUES (2, 'gift')",
        "UPDATE projects SET tenant_id = 2",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            tenants.execute(wrong.encode())


def test_a_reference_cannot_cross(tenants: Connection) -> None:
    tenants.execute("RESET ROLE")
    with pytest.raises(errors.ForeignKeyViolation):
        tenants.execute(
            "INSERT INTO tickets (tenant_id, project_id, title, booked) VALUES (1, 2, 'x', 'empty')"
        )
    tenants.execute("INSERT INTO projects (tenant_id, slug, parent_id) VALUES (1, 'child', 1)")
    tenants.execute("DELETE FROM projects WHERE tenant_id = 1 AND id = 1")
    assert _one(tenants, "SELECT tenant_id, parent_id FROM projects WHERE slug = 'child'") == (1, None)


def test_the_tenant_leads_every_key_and_index() -> None:
    database = _design(TENANTS).database
    for table in database.tables:
        if table.name.name in ("projects", "tickets"):
            keys = [key.columns for key in (table.primary_key, *table.uniques) if key]
            keys += [tuple(e.column or "" for e in index.elements) for index in table.indexes]
            keys += [tuple(p.element.column or "" for p in part.elements) for part in table.exclusions]
            assert {key[0] for key in keys} == {"tenant_id"}
            assert table.row_security == "forced"
    assert [e.name for e in database.extensions] == ["btree_gist"]
    assert not database.tables[0].policies, "countries belong to nobody"


OWNER = (
    "CREATE ROLE tenants_owner",
    "CREATE ROLE tenants_app",
    "GRANT ALL ON SCHEMA public TO tenants_owner",
    "SET ROLE tenants_owner",
)
TO_APP = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tenants_app"


def test_a_table_that_has_its_columns_from_a_tenants_table_has_its_policies() -> None:
    tables = _design(
        "conventions: {primary_key: identity, tenant: {type: bigint}}\n"
        "tables: {base: {columns: {x: int}, partition_by: {range: [x]}, primary_key: [x],"
        " policies: {mine: {using: x > 0}}, partitions: {low: FROM (0) TO (9)}},"
        " high: {partition_of: {table: base, bound: FROM (9) TO (99)}},"
        " more: {inherits: [plain], columns: {}}, plain: {columns: {y: int}},"
        " open: {inherits: [plain], columns: {}, conventions: {tenant: false}}}"
    ).database.tables
    secured = {table.name.name: [policy.name for policy in table.policies] for table in tables}
    assert secured["low"] == secured["base"] == ["mine", "tenant_only"]
    assert secured["high"] == secured["more"] == secured["plain"] == ["tenant_only", "tenant_rows"]
    assert secured["open"] == []
    assert {t.row_security for t in tables if t.name.name != "open"} == {"forced"}


# --- audit, soft delete, states ---


def test_audit_tells_who_changed_what(load: Any) -> None:
    connection = load(
        "tables: {salaries: {columns: {id: {type: int, primary_key: true}, amount: numeric, pin: text}, "
        "conventions: {audit: {except: pin}}}}"
    )
    connection.execute("SET app.user_id = 'ada'")
    connection.execute("INSERT INTO salaries VALUES (1, 100, '0000')")
    connection.execute("UPDATE salaries SET amount = 900")
    connection.execute("UPDATE salaries SET pin = '1'")
    connection.execute("TRUNCATE salaries")
    rows = connection.execute("SELECT action, row_id, new, person FROM audit_log ORDER BY id").fetchall()
    assert rows == [
        ("INSERT", "1", {"id": 1, "amount": 100}, "ada"),
        ("UPDATE", "1", {"amount": 900}, "ada"),
        ("TRUNCATE", None, None, "ada"),
    ]
    assert not _one(connection, "SELECT has_table_privilege('pg_monitor', 'audit_log', 'DELETE')")


def test_audit_for_all_but_one(load: Any) -> None:
    connection = load(
        "conventions: {audit: true, primary_key: identity}\n"
        "tables: {a: {columns: {x: int}}, b: {columns: {x: int}, conventions: {audit: false}}}"
    )
    connection.execute("INSERT INTO a (x) VALUES (7)")
    connection.execute("INSERT INTO b (x) VALUES (7)")
    assert _one(connection, "SELECT count(*), min(relation) FROM audit_log") == (1, "public.a")


AUDITED = """
conventions: {primary_key: identity, %s}
tables:
  notes: {columns: {body: text, pin: text}, conventions: {audit: {except: pin}}}
  tenants: {columns: {name: text}}
  countries: {columns: {code: text}, conventions: {tenant: false}}
"""
RULES = (
    "tenant: {table: tenants}, audit: true",
    "audit: true, tenant: {table: tenants, roles: [tenants_app]}",
)


@pytest.mark.parametrize("rules", RULES)
def test_a_tenant_reads_its_own_part_of_the_log(load: Any, rules: str) -> None:
    connection = load(AUDITED % rules, *OWNER, "SET app.tenant_id = '7'")
    connection.execute("RESET ROLE")
    connection.execute("INSERT INTO tenants (name) VALUES ('North'), ('South')")
    connection.execute("INSERT INTO notes (tenant_id, body, pin) VALUES (1, 'a', '0'), (2, 'b', '0')")
    connection.execute("UPDATE notes SET tenant_id = 2 WHERE tenant_id = 1")
    connection.execute("INSERT INTO countries (code) VALUES ('FR')")
    connection.execute("TRUNCATE notes")
    assert _one(connection, "SHOW app.tenant_id") == "7"
    logged = "SELECT tenant_id, relation, action FROM audit_log ORDER BY id"
    everything = connection.execute(logged).fetchall()
    assert everything == [
        (1, "public.tenants", "INSERT"),
        (2, "public.tenants", "INSERT"),
        (1, "public.notes", "INSERT"),
        (2, "public.notes", "INSERT"),
        (None, "public.notes", "UPDATE"),
        (None, "public.countries", "INSERT"),
        (None, "public.notes", "TRUNCATE"),
    ]
    connection.execute(TO_APP.encode())
    connection.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO tenants_app")
    connection.execute("SET ROLE tenants_app")
    for tenant in ("1", "2", ""):
        connection.execute("SELECT set_config('app.tenant_id', %s, false)", (tenant,))
        seen = connection.execute(logged).fetchall()
        assert seen == [row for row in everything if str(row[0]) == tenant]
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(
                "INSERT INTO audit_log (tenant_id, relation, action) VALUES (9, 'x', 'INSERT')"
            )
    connection.execute("SET app.tenant_id = '2'")
    connection.execute("INSERT INTO notes (body, pin) VALUES ('mine', '1')")
    assert connection.execute(logged).fetchall()[-1] == (2, "public.notes", "INSERT")
    assert "pin" not in _one(connection, "SELECT new FROM audit_log ORDER BY id DESC LIMIT 1")


@pytest.mark.parametrize(
    ("parents", "children", "key"), [("shops", "prices", "id"), ("a", "z", "zz"), ("z", "a", "a_key")]
)
@pytest.mark.parametrize("column", ["a_parent", "owner_id", "zoo"])
def test_a_deleted_parent_takes_its_living_children(
    load: Any, parents: str, children: str, key: str, column: str
) -> None:
    connection = load(
        "conventions: {soft_delete: true, restore: true}\n"
        f"tables: {{{parents}: {{columns: {{{key}: int}}, primary_key: [{key}]}},"
        f" {children}: {{columns: {{n: int, {column}: {{references: {{table: {parents}, on_delete: cascade}}}}}},"
        " primary_key: [n]}}"
    )
    for deleted in ("NULL", "now()"):
        connection.execute(f"INSERT INTO {parents} VALUES (1)".encode())
        connection.execute(
            f"INSERT INTO {children} (n, {column}, deleted_at) VALUES (1, 1, {deleted})".encode()
        )
        assert connection.execute(f"DELETE FROM {parents}".encode()).rowcount == 1
        assert _one(connection, f"SELECT count(*) FROM {children}") == 0


BOARDS = """
conventions: {primary_key: identity, soft_delete: true, restore: true}
tables:
  boards: {columns: {slug: {type: text, unique: true}}}
  cards: {columns: {board_id: {references: {table: boards, on_delete: cascade}}, title: text}}
"""


def test_restore_brings_back_what_went_together(load: Any) -> None:
    connection = load(BOARDS)
    connection.execute("INSERT INTO boards (slug) VALUES ('plans')")
    connection.execute(
        "INSERT INTO cards (board_id, title, deleted_at) VALUES (1, 'old', now()), (1, 'new', NULL)"
    )
    with pytest.raises(errors.ForeignKeyViolation):
        connection.execute("UPDATE boards SET deleted_at = now()")
    assert _one(connection, "SELECT delete_board(1)") is True
    assert _one(connection, "SELECT count(*) FROM cards WHERE deleted_at IS NULL") == 0
    with pytest.raises(errors.ForeignKeyViolation):
        connection.execute("INSERT INTO cards (board_id, title) VALUES (1, 'late')")
    connection.execute("INSERT INTO boards (slug) VALUES ('plans')")
    with pytest.raises(errors.UniqueViolation):
        connection.execute("SELECT restore_board(1)")
    connection.execute("UPDATE boards SET slug = 'other' WHERE id = 2")
    assert _one(connection, "SELECT restore_board(1)") is True
    assert _one(connection, "SELECT string_agg(title, ',') FROM cards WHERE deleted_at IS NULL") == "new"
    assert _one(connection, "SELECT restore_board(1)") is False


def test_a_state_machine_takes_only_its_steps(load: Any) -> None:
    connection = load(
        "tables: {orders: {columns: {id: {type: int, primary_key: true}}, conventions: {state_machine: "
        '{transitions: {draft: [placed], placed: [paid, "it\'s off"]}}}}}'
    )
    connection.execute("INSERT INTO orders VALUES (1)")
    connection.execute("UPDATE orders SET status = 'placed'")
    connection.execute("UPDATE orders SET status = 'placed'")
    for wrong in ("'draft'", "'nowhere'", "NULL"):
        with pytest.raises((errors.CheckViolation, errors.NotNullViolation)):
            connection.execute(f"UPDATE orders SET status = {wrong}".encode())
    with pytest.raises(errors.CheckViolation):
        connection.execute("INSERT INTO orders VALUES (2, 'paid')")
    connection.execute("UPDATE orders SET status = 'it''s off'")
    with pytest.raises(errors.CheckViolation):
        connection.execute("UPDATE orders SET status = 'paid'")


# --- hierarchies ---


@pytest.mark.parametrize("form", ["adjacency", "closure"])
def test_a_hierarchy_has_no_circle(load: Any, form: str) -> None:
    connection = load(
        f"tables: {{parts: {{columns: {{id: {{type: int, primary_key: true}}}}, conventions: {{hierarchy: {form}}}}}}}"
    )
    connection.execute("INSERT INTO parts SELECT n, nullif(n / 2, 0) FROM generate_series(1, 30) AS n")
    connection.execute("UPDATE parts SET parent_id = 3 WHERE id = 2")
    for wrong in (
        "UPDATE parts SET parent_id = 30 WHERE id = 3",
        "UPDATE parts SET parent_id = 7 WHERE id = 7",
    ):
        with pytest.raises(errors.CheckViolation):
            connection.execute(wrong.encode())
    with pytest.raises(errors.RestrictViolation):
        connection.execute("DELETE FROM parts WHERE id = 3")


def test_a_closure_table_is_the_tree(load: Any) -> None:
    connection = load(
        "tables: {parts: {columns: {id: {type: int, primary_key: true}}, conventions: {hierarchy: closure}}}"
    )
    connection.execute("INSERT INTO parts SELECT n, nullif(n / 2, 0) FROM generate_series(1, 100) AS n")
    connection.execute("UPDATE parts SET parent_id = 50 WHERE id IN (5, 9) AND id <> 5 OR id = 7")
    connection.execute("DELETE FROM parts WHERE id = 100")
    walked = """WITH RECURSIVE walked AS (
        SELECT id AS a, id AS d, 0 AS depth FROM parts
        UNION ALL SELECT a, parts.id, depth + 1 FROM walked JOIN parts ON parts.parent_id = walked.d)"""
    wrong = f"{walked} SELECT count(*) FROM (TABLE walked EXCEPT TABLE part_tree) AS x"
    assert _one(connection, wrong) == 0
    assert _one(connection, "SELECT count(*) FROM part_tree") == _one(
        connection, f"{walked} SELECT count(*) FROM walked"
    )


def test_a_path_needs_its_parent_and_moves_as_a_branch(load: Any) -> None:
    connection = load(
        "conventions: {soft_delete: true, primary_key: identity}\n"
        "tables: {places: {columns: {name: text}, conventions: {hierarchy: path}}}"
    )
    connection.execute(
        "INSERT INTO places (name, path) VALUES ('E', 'europe'), ('F', 'europe.france'), ('A', 'asia')"
    )
    with pytest.raises(errors.ForeignKeyViolation):
        connection.execute("INSERT INTO places (name, path) VALUES ('X', 'africa.egypt')")
    connection.execute("INSERT INTO places (name, path) VALUES ('P', 'europe.france.paris')")
    connection.execute("UPDATE places SET path = 'asia' || subpath(path, 1) WHERE path <@ 'europe.france'")
    assert _one(connection, "SELECT path::text FROM places WHERE name = 'P'") == "asia.france.paris"


# --- pairs, documents ---


def test_pairs_tags_and_exclusive_references(load: Any) -> None:
    connection = load(
        "conventions: {primary_key: identity, many_to_many: {orders: products}}\n"
        "tables: {orders: {columns: {x: int}, conventions: {tags: true}}, products: {columns: {x: int}, "
        "conventions: {tags: list}}, notes: {columns: {body: text}, conventions: {polymorphic: "
        "{subject: [orders, products]}}}}"
    )
    for table in ("orders", "products"):
        connection.execute(f"INSERT INTO {table} (x) VALUES (1)".encode())
    connection.execute("INSERT INTO order_products VALUES (1, 1)")
    with pytest.raises(errors.UniqueViolation):
        connection.execute("INSERT INTO order_products VALUES (1, 1)")
    connection.execute("INSERT INTO tags (name) VALUES ('art')")
    with pytest.raises(errors.CheckViolation):
        connection.execute("INSERT INTO tags (name) VALUES (' Art')")
    connection.execute("INSERT INTO order_tags VALUES (1, 1)")
    connection.execute("UPDATE products SET tags = '{art}'")
    connection.execute("INSERT INTO notes (body, order_id) VALUES ('x', 1)")
    for wrong in ("('x', NULL, NULL)", "('x', 1, 1)"):
        with pytest.raises(errors.CheckViolation):
            connection.execute(f"INSERT INTO notes (body, order_id, product_id) VALUES {wrong}".encode())


def test_a_document_has_its_shape(load: Any) -> None:
    connection = load(
        "tables: {items: {columns: {id: int}, conventions: {documents: {body: {required: {title: string}, "
        "optional: {weight: number}, closed: true}}}}}"
    )
    connection.execute("""INSERT INTO items VALUES (1, '{"title": "x", "weight": 2}')""")
    for wrong in (
        "{}",
        "[]",
        "null",
        '{"title": 1}',
        '{"title": "x", "weight": "2"}',
        '{"title": "x", "other": 1}',
    ):
        with pytest.raises(errors.CheckViolation):
            connection.execute("INSERT INTO items VALUES (1, %s)", (wrong,))


def test_every_version_stays(load: Any) -> None:
    connection = load(
        "conventions: {primary_key: uuid}\ntables: {pages: {columns: {}, conventions: {versions: true}}}"
    )
    page = _one(connection, "INSERT INTO pages DEFAULT VALUES RETURNING id")
    for read in (0, 1):
        assert _one(connection, "SELECT save_page(%s, %s, '{}', 'ada')", page, read) == read + 1
    for wrong in (0, 1, 3):
        with pytest.raises(errors.SerializationFailure):
            connection.execute("SELECT save_page(%s, %s, '{}', 'grace')", (page, wrong))
    with pytest.raises(errors.RestrictViolation):
        connection.execute("UPDATE page_versions SET saved_by = 'x'")
    for wrong in ("UPDATE pages SET current_version = 3", "DELETE FROM page_versions"):
        with pytest.raises(errors.ForeignKeyViolation):
            connection.execute(wrong.encode())
    connection.execute("DELETE FROM pages")
    assert _one(connection, "SELECT count(*) FROM page_versions") == 0


# --- messages, money, periods, time ---


def test_a_request_is_done_once(load: Any) -> None:
    connection = load("conventions: {idempotency_keys: true, outbox: true}\ntables: {}")
    begin = "SELECT begin_request('c', 'k', %s)"
    assert _one(connection, begin, b"1") is None
    connection.execute("SELECT answer_request('c', 'k', '{\"paid\": 1}')")
    assert _one(connection, begin, b"1") == {"paid": 1}
    with pytest.raises(errors.UniqueViolation):
        connection.execute(begin.encode(), (b"2",))
    connection.execute("INSERT INTO outbox (topic, about, body) VALUES ('t', '1', '{}')")
    readable = "SELECT count(*) FROM outbox WHERE xid < pg_snapshot_xmin(pg_current_snapshot())"
    assert _one(connection, readable) == 1


def test_money_has_its_currencys_decimals(load: Any) -> None:
    connection = load(
        "tables: {a: {columns: {price: {money: [EUR, JPY, KWD]}, fee: {money: any, nullable: true}}}}"
    )
    for amount, currency in (("1.25", "EUR"), ("500", "JPY"), ("1.125", "KWD")):
        connection.execute("INSERT INTO a (price, price_currency) VALUES (%s, %s)", (amount, currency))
    for amount, currency in (("1.255", "EUR"), ("0.5", "JPY"), ("1", "USD")):
        with pytest.raises(errors.CheckViolation):
            connection.execute("INSERT INTO a (price, price_currency) VALUES (%s, %s)", (amount, currency))
    with pytest.raises(errors.CheckViolation):
        connection.execute("INSERT INTO a (price, price_currency, fee) VALUES (1, 'EUR', 1)")


def test_periods_and_addresses_do_not_overlap(load: Any) -> None:
    connection = load(
        "conventions: {primary_key: identity}\n"
        "tables: {people: {columns: {name: text}, conventions: {address_history: true}}, "
        "rates: {columns: {who: bigint}, conventions: {primary_key: none, valid_period: {of: who, key: true}}}}"
    )
    connection.execute("INSERT INTO people (name) VALUES ('Ada')")
    connection.execute("SELECT move_person(1, '2024-01-01', 'Rue 1', 'Lyon', 'FR')")
    connection.execute("SELECT move_person(1, '2024-06-01', 'Gate 2', 'Oslo', 'NO')")
    day = "SELECT city FROM person_addresses WHERE person_id = 1 AND during @> date '2024-05-31'"
    assert _one(connection, day) == "Lyon"
    with pytest.raises(errors.ExclusionViolation):
        connection.execute("SELECT move_person(1, '2024-03-01', 'Via 3', 'Roma', 'IT')")
    connection.execute("INSERT INTO rates VALUES (1, '[2024-01-01,2025-01-01)')")
    with pytest.raises(errors.ExclusionViolation):
        connection.execute("INSERT INTO rates VALUES (1, '[2024-06-01,)')")
    with pytest.raises(errors.CheckViolation):
        connection.execute("INSERT INTO rates VALUES (2, '(,2024-06-01)')")


@pytest.mark.parametrize("column", ["timestamptz", "date"])
@pytest.mark.parametrize(("every", "parts"), [("day", 2), ("week", 2), ("month", 2), ("year", 2)])
def test_a_time_series_makes_and_drops_its_parts(load: Any, column: str, every: str, parts: int) -> None:
    connection = load(
        "conventions: {primary_key: identity}\n"
        f'tables: {{"vis\'its": {{columns: {{at: {column}, page: text}}, conventions: {{time_series: '
        f"{{every: {every}, from: 2026-01-01, ahead: 1, keep: 1 month}}}}}}}}"
    )
    listed = "SELECT count(*) FROM pg_inherits WHERE inhparent = '\"vis''its\"'::regclass"
    assert _one(connection, listed) == parts + 1
    connection.execute("SET TimeZone = 'Asia/Tokyo'")
    connection.execute(
        "INSERT INTO \"vis'its\" (at, page) SELECT '2026-01-01'::date + n * 20, '/' FROM generate_series(0, 99) AS n"
    )
    connection.execute("CALL \"make_vis'its_partitions\"('2026-01-01', 90)")
    connection.execute("CALL \"make_vis'its_partitions\"('2026-01-01', 90)")
    assert _one(connection, listed) == 91
    assert _one(connection, 'SELECT count(*) FROM "vis\'its"') == 100
    connection.execute("CALL \"drop_vis'its_partitions\"(interval '-200 years')")
    assert _one(connection, listed) == 1


SERIES = """
conventions: {primary_key: identity, soft_delete: true, restore: true, audit: true%s}
tables:
  tenants: {columns: {name: text}, conventions: {soft_delete: false, audit: false}}
  readings:
    columns: {v: int, twice: {type: int, generated: v * 2}}
    policies: {kept: {permissive: false, command: delete, using: v < 90}}
    row_security: forced
    conventions: {time_series: {from: 2026-01-01, ahead: 0}}
"""
TENANT = ", tenant: {table: tenants}"


@pytest.mark.parametrize("caller", ["tenants_owner", "tenants_helper", "none"])
@pytest.mark.parametrize("rules", [TENANT, ""])
def test_a_new_partition_is_as_closed_as_the_others_and_takes_its_rows(
    load: Any, rules: str, caller: str
) -> None:
    connection = load(SERIES % rules, *OWNER)
    connection.execute("RESET ROLE")
    connection.execute("CREATE ROLE tenants_helper IN ROLE tenants_owner")
    connection.execute("INSERT INTO tenants (name) VALUES ('North'), ('South')")
    tenant = "tenant_id, " if rules else ""
    connection.execute(
        f"INSERT INTO readings ({tenant}at, v) SELECT {'1 + n % 2, ' if rules else ''}"
        "'2026-01-01'::timestamptz + n * interval '1 day', n FROM generate_series(0, 99) AS n".encode()
    )
    rows = "SELECT array_agg((v, twice, at) ORDER BY v) FROM readings"
    before = _one(connection, rows)
    connection.execute(f"SET ROLE {caller}".encode())
    connection.execute("CALL make_readings_partitions('2026-02-01', 2)")
    connection.execute("RESET ROLE")
    assert _one(connection, rows) == before
    held = "SELECT count(*) FROM readings_2026_02", "SELECT count(*) FROM readings_default"
    assert [_one(connection, query) for query in held] == [28, 10]
    assert _one(connection, "SELECT bool_and(tgenabled = 'O') FROM pg_trigger")
    assert _one(connection, "SELECT count(*) FROM audit_log WHERE relation LIKE '%readings%'") == 100, (
        "a move is no change"
    )
    alike = """SELECT count(DISTINCT (relowner, relrowsecurity, relforcerowsecurity, (
        SELECT array_agg((polname, polpermissive, polcmd, polroles, pg_get_expr(polqual, polrelid),
            pg_get_expr(polwithcheck, polrelid)) ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid
        )::text, (SELECT array_agg((tgname, tgenabled) ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid
            AND NOT tgisinternal AND tgname <> 'audit_truncate')::text)), count(*)
        FROM pg_class AS c WHERE relname = ANY (%s)"""
    names = ["readings", "readings_2026_02", "readings_2026_03", *(["readings_default"] if rules else [])]
    assert _one(connection, alike, names) == (1, len(names))
    connection.execute(TO_APP.encode())
    connection.execute("SET ROLE tenants_app")
    connection.execute("SET app.tenant_id = '2'")
    expected = 14 if rules else 0  # without a tenant no policy lets anybody in
    assert _one(connection, held[0]) == expected


@pytest.mark.parametrize("action", ["cascade", "restrict"])
def test_rows_that_others_go_with_stay_where_they_are(load: Any, action: str) -> None:
    connection = load(
        "tables: {visits: {columns: {at: date, n: int}, primary_key: [n],"
        " conventions: {time_series: {from: 2026-01-01}}},"
        f" clicks: {{columns: {{at: date, n: int}}, foreign_keys: [{{columns: [at, n],"
        f" references: {{table: visits, columns: [at, n]}}, on_delete: {action}}}]}}}}"
    )
    connection.execute("INSERT INTO visits VALUES ('2027-01-05', 1)")
    connection.execute("INSERT INTO clicks VALUES ('2027-01-05', 1)")
    with pytest.raises(errors.RestrictViolation):
        connection.execute("CALL make_visits_partitions('2027-01-01', 1)")
    assert _one(connection, "SELECT count(*) FROM clicks") == 1
    connection.execute("DELETE FROM clicks")
    if action == "restrict":
        connection.execute("CALL make_visits_partitions('2027-01-01', 1)")
        assert _one(connection, "SELECT count(*) FROM visits_2027_01") == 1


def test_accounts(load: Any) -> None:
    connection = load("conventions: {accounts: true}\ntables: {}")
    ada, grace = (
        _one(connection, "INSERT INTO users (email) VALUES (%s) RETURNING id", f"{name}@example.org")
        for name in ("ada", "grace")
    )
    with pytest.raises(errors.UniqueViolation):
        connection.execute("INSERT INTO users (email) VALUES ('ADA@example.org')")
    north = _one(connection, "INSERT INTO organisations (name) VALUES ('North') RETURNING id")
    connection.execute("INSERT INTO memberships VALUES (%s, %s, 'owner')", (north, ada))
    with pytest.raises(errors.UniqueViolation):
        connection.execute("INSERT INTO memberships VALUES (%s, %s, 'owner')", (north, grace))


# --- together, and errors ---

TOGETHER = """
conventions: {primary_key: uuid, timestamps: true, soft_delete: true, restore: true, audit: true, outbox: true,
              accounts: true, idempotency_keys: true, many_to_many: {orders: [products]}, tenant: {}}
tables:
  orders:
    columns: {total: {money: EUR}}
    conventions: {tags: true, state_machine: {transitions: {draft: placed, placed: []}}}
  lines: {columns: {order_id: {references: {table: orders, on_delete: cascade}}}}
  products: {columns: {name: text}}
  departments: {columns: {name: text}, conventions: {hierarchy: closure, versions: true}}
  visits: {columns: {page: text}, conventions: {soft_delete: false, time_series: {from: 2026-01-01}}}
"""


def test_conventions_hold_together(load: Any) -> None:
    connection = load(TOGETHER)
    connection.execute("SET app.tenant_id = '00000000-0000-0000-0000-000000000001'")
    order = _one(connection, "INSERT INTO orders (total) VALUES (1) RETURNING id")
    connection.execute("INSERT INTO lines (order_id) VALUES (%s)", (order,))
    assert _one(connection, "SELECT delete_order(%s)", order) is True
    assert _one(connection, "SELECT count(*) FROM lines WHERE deleted_at IS NOT NULL") == 1
    top = "INSERT INTO departments (name, parent_id) VALUES ('a', NULL) RETURNING id"
    parent = _one(connection, top)
    assert _one(connection, "SELECT save_department(%s, 0, '{}', 'a')", parent) == 1
    assert _one(connection, "SELECT save_department(%s, 1, '{}', 'b')", parent) == 2
    assert _one(connection, "SELECT count(*) FROM department_tree") == 1
    assert _one(connection, "SELECT count(*) FROM audit_log") > 3


@pytest.mark.parametrize("value", ["{}", "true"])
def test_a_convention_without_details_is_followed(value: str) -> None:
    tables = _design(
        f"conventions: {{primary_key: uuid, tenant: {value}, accounts: {value}}}\n"
        f"tables: {{a: {{columns: {{x: int}}, conventions: {{audit: {value}}}}}}}"
    ).database.tables
    assert {"a", "audit_log", "users"} <= {table.name.name for table in tables}
    assert [t.row_security for t in tables if t.name.name in ("a", "audit_log")] == ["forced", "forced"]


def test_what_conventions_bring_says_what_it_is_for() -> None:
    database = _design(
        "conventions: {primary_key: uuid, soft_delete: true, restore: true, audit: true, tenant: {}, accounts: true}\n"
        "tables: {a: {columns: {x: int}, conventions: {hierarchy: path, tags: list}},"
        " b: {columns: {a_id: {references: {table: a, on_delete: cascade}}}, conventions: {tags: true}}}"
    ).database
    tables = {table.name.name: table for table in database.tables}
    searched = {index.name: index.comment for t in ("a", "audit_log") for index in tables[t].indexes}
    assert {"a_path_idx", "a_tags_idx", "audit_log_at_idx"} <= searched.keys()
    assert [name for name, comment in searched.items() if not comment and "parent_path" not in name] == []
    assert tables["a"].column("living_id").comment
    assert tables["audit_log"].column("tenant_id").comment
    assert "secret_hash" in [column.name for column in tables["identities"].columns]
    assert tables["tags"].column("created_at").default == "now()"


def test_what_the_author_declares_stands() -> None:
    database = _design(
        "conventions: {primary_key: identity}\ntables: {orders: {columns: {status: int}, conventions: "
        "{tags: true, state_machine: {transitions: {'1': '2'}}}}, tags: {columns: {word: text}}}"
    ).database
    tables = {table.name.name: table for table in database.tables}
    assert tables["orders"].column("status").type == "int"
    assert [column.name for column in tables["tags"].columns] == ["id", "word"]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        (
            "tables:\n  a:\n    columns: {b: int}\n    conventions: {hierarchy: closure}",
            "primary key of one column",
            6,
        ),
        (
            "tables:\n  a:\n    columns: {b: int}\n    conventions: {polymorphic: {o: [a, z]}}",
            "no table `z`",
            6,
        ),
        ("conventions: {many_to_many: {a: z}}\ntables: {a: {columns: {b: int}}}", "no table `z`", 3),
        (
            "conventions: {primary_key: uuid}\ntables:\n  a: {columns: {b: int}, conventions: {restore: true}}",
            "not marked",
            5,
        ),
    ],
)
def test_a_convention_that_cannot_hold_says_why(text: str, message: str, line: int) -> None:
    found = next(finding for finding in _findings(text) if finding.rule == "spec-convention")
    assert message in found.message
    assert found.line == line
    assert found.fix


def test_every_convention_is_in_the_schema() -> None:
    definitions = json.loads(validate.schema_text("model"))["$defs"]
    own = {"primary_key", "timestamps", "soft_delete", "metadata", "tenant"}
    assert set(definitions["conventions"]["properties"]) == own | set(OF_MODEL) | set(FOR_ALL)
    assert set(definitions["table_conventions"]["properties"]) == own | set(OF_TABLE)


def test_a_time_series_of_timescaledb_is_a_hypertable() -> None:
    text = (
        "tables:\n  visits: {columns: {id: uuid, page: text}, primary_key: [id],"
        " conventions: {time_series: {engine: timescaledb, every: week, keep: 12 months}}}\n"
    )
    made = _design(text).database
    assert [extension.name for extension in made.extensions] == ["timescaledb"]
    (table,) = made.tables
    assert table.partition_by is None
    assert table.primary_key is not None
    assert table.primary_key.columns == ("at", "id")
    (raw,) = made.raw
    assert "create_hypertable('public.visits'::regclass, by_range('at', INTERVAL '1 week')" in raw.sql
    assert "add_retention_policy('public.visits'::regclass, INTERVAL '12 months')" in raw.sql
    script = [statement.object for statement in ddl.statements(_design(text))]
    assert script.index("table public.visits") < next(
        n for n, made_ in enumerate(script) if "hypertable" in made_
    )
