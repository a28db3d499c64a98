"""The model of every convention loads on each engine that runs here, and what is lost of `restore` is an error."""

from __future__ import annotations

import pytest

from data_platform.schema.dialects import Dialect, render
from data_platform.spec.model.conventions import OF_MODEL, OF_TABLE
from schema.designs import design
from schema.dialects.engines import EXECUTED, Engine, opened

PEOPLE = "tables: {people: {columns: {name: text}}"
MODELS = {
    "primary_key": f"conventions: {{primary_key: KEY}}\n{PEOPLE}}}",
    "soft_delete": "conventions: {primary_key: KEY, soft_delete: true, timestamps: true, metadata: true}\n"
    "tables: {people: {columns: {name: {type: text, unique: true}}}}",
    "tenant": "conventions: {primary_key: KEY, tenant: {type: bigint, table: tenants}}\n"
    "tables: {tenants: {columns: {id: {type: bigint, identity: always, primary_key: true}, name: text}}, "
    "projects: {columns: {slug: {type: text, unique: true}}}, "
    "tickets: {columns: {project_id: {references: {table: projects, on_delete: cascade}}}}}",
    "audit": f"conventions: {{primary_key: KEY, audit: true}}\n{PEOPLE}}}",
    "restore": "conventions: {primary_key: KEY, soft_delete: true, restore: true}\n"
    "tables: {shops: {columns: {name: text}}, "
    "prices: {columns: {shop_id: {references: {table: shops, on_delete: cascade}}, n: int}}}",
    "accounts": "conventions: {primary_key: KEY, accounts: {roles: [owner, member]}}\ntables: {}",
    "outbox": f"conventions: {{primary_key: KEY, outbox: true}}\n{PEOPLE}}}",
    "idempotency_keys": f"conventions: {{primary_key: KEY, idempotency_keys: true}}\n{PEOPLE}}}",
    "many_to_many": "conventions: {primary_key: KEY, many_to_many: {orders: products}}\n"
    "tables: {orders: {columns: {x: int}}, products: {columns: {x: int}}}",
    "hierarchy": "conventions: {primary_key: KEY}\n"
    "tables: {a: {columns: {name: text}, conventions: {hierarchy: adjacency}}, "
    "b: {columns: {name: text}, conventions: {hierarchy: path}}, "
    "c: {columns: {name: text}, conventions: {hierarchy: closure}}, "
    "d: {columns: {name: text}, conventions: {hierarchy: ltree}}}",
    "state_machine": "conventions: {primary_key: KEY}\n"
    "tables: {a: {columns: {status: text}, conventions: {state_machine: {transitions: {open: shut, shut: []}}}}}",
    "tags": "conventions: {primary_key: KEY}\n"
    "tables: {a: {columns: {x: int}, conventions: {tags: true}}, b: {columns: {x: int}, conventions: {tags: list}}}",
    "polymorphic": "conventions: {primary_key: KEY}\n"
    "tables: {a: {columns: {x: int}}, b: {columns: {x: int}}, "
    "notes: {columns: {body: text}, conventions: {polymorphic: {about: [a, b]}}}}",
    "documents": "conventions: {primary_key: KEY}\n"
    "tables: {a: {columns: {body: jsonb}, conventions: {documents: {body: {required: {title: string}}}}}}",
    "versions": "conventions: {primary_key: KEY}\n"
    "tables: {pages: {columns: {title: text}, conventions: {versions: true}}}",
    "valid_period": "conventions: {primary_key: KEY}\n"
    "tables: {rates: {columns: {who: bigint}, conventions: {valid_period: {of: who}}}}",
    "address_history": "conventions: {primary_key: KEY}\n"
    "tables: {people: {columns: {name: text}, conventions: {address_history: true}}}",
    "time_series": "conventions: {primary_key: KEY}\n"
    "tables: {visits: {columns: {page: text}, conventions: {time_series: {from: 2026-01-01}}}}",
    "money": "conventions: {primary_key: KEY}\ntables: {a: {columns: {amount: {money: [EUR, USD]}}}}",
}
KEYS = ("uuid", "identity")


def model(name: str, key: str) -> str:
    return MODELS[name].replace("KEY", key)


def test_every_convention_has_a_model() -> None:
    assert {*OF_MODEL, *OF_TABLE} <= set(MODELS)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dialect", EXECUTED)
def test_the_model_of_a_convention_loads(
    dialect: Dialect, name: str, key: str, request: pytest.FixtureRequest
) -> None:
    engine = opened(dialect, request)
    subject = design(model(name, key))
    made = engine.load(subject)
    lost = {f.object for f in made.findings if "is left out" in f.message}
    for table in subject.database.tables:
        if str(table.name) not in lost:
            wanted = {c.name for c in table.columns if f"{table.name}.{c.name}" not in lost}
            assert wanted <= set(engine.columns(table.name.name)), table.name


OTHER = {"uuid": "'00000000-77a5-4bd6-b6f0-9d0b1fbd3fd5'", "identity": "2"}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("dialect", EXECUTED)
def test_a_living_child_of_a_deleted_row_is_refused_or_an_error(
    dialect: Dialect, key: str, request: pytest.FixtureRequest
) -> None:
    engine: Engine = opened(dialect, request)
    made = engine.load(design(model("restore", key)))
    one = "'8b51e5a0-77a5-4bd6-b6f0-9d0b1fbd3fd5'" if key == "uuid" else "1"
    deleted = "'2026-01-01 00:00:00'"
    engine.run([f"INSERT INTO shops (id, name, deleted_at) VALUES ({one}, 'a', {deleted})"])
    taken = engine.takes(f"INSERT INTO prices (id, shop_id, n) VALUES ({one}, {one}, 1)")
    lost = {f.object for f in made.findings if f.severity == "error"}
    assert taken == ("public.prices.prices_living_shop_id_fkey" in lost)
    assert taken == (dialect == "duckdb" or (dialect, key) == ("mysql", "identity"))
    assert engine.takes(
        f"INSERT INTO prices (id, shop_id, n, deleted_at) VALUES ({OTHER[key]}, {one}, 1, {deleted})"
    )


def test_a_generated_column_over_the_counter_is_lost_with_what_rests_on_it() -> None:
    made = render(design(model("restore", "identity")), "mysql", "dpe")
    lost = {f.object: f.message for f in made.findings if f.severity == "error"}
    assert "AUTO_INCREMENT" in lost["public.shops.living_id"]
    assert set(lost) == {
        "public.shops.living_id",
        "public.shops.shops_living_id_key",
        "public.prices.prices_living_shop_id_fkey",
    }
    assert "AUTO_INCREMENT" in made.sql


def test_a_cascade_on_what_a_stored_column_is_computed_from_is_said_to_be_left_out() -> None:
    made = render(design(model("restore", "uuid")), "mysql", "dpe")
    messages = [f.message for f in made.findings if f.object == "public.prices.prices_shop_id_fkey"]
    assert any(message.startswith("ON DELETE CASCADE is left out") for message in messages)
    assert "ON DELETE CASCADE" not in made.sql


def test_a_uuid_in_a_key_is_not_cut() -> None:
    made = render(design(model("tenant", "uuid")), "mysql", "dpe")
    assert not any("is in a key" in f.message for f in made.findings if (f.object or "").endswith("id"))
    assert "(191)" not in made.sql
