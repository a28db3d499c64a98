"""Small designs for tests, from YAML text."""

from __future__ import annotations

from data_platform.model.design import Design
from data_platform.spec import document, validate
from data_platform.spec.model import read_model


def design(text: str) -> Design:
    """The design in a YAML spec; `kind` and `store` are added."""
    parsed = document.parse(f"kind: model\nstore: Customer DB\n{text}".encode(), "model.yaml")
    validate.check(parsed)
    return read_model(parsed)


SHOP = """
types:
  state: {enum: [new, paid, sent]}
  code: {domain: text, check: "VALUE ~ '^[A-Z]{3}$'"}
tables:
  customers:
    columns:
      id: {type: bigint, identity: always, primary_key: true}
      email: {type: text, unique: true, check: "email LIKE '%@%'"}
      country: code
      referrer_id: {type: bigint, nullable: true, references: {table: customers, on_delete: set null}}
  orders:
    columns:
      id: {type: uuid, default: gen_random_uuid(), primary_key: true}
      customer_id: {type: bigint, references: {table: customers, on_delete: restrict}}
      state: {type: state, default: "'new'"}
      total: {type: "numeric(10,2)", check: total >= 0}
      placed_at: timestamptz
    indexes:
      - columns: [customer_id, placed_at]
      - columns: [total]
  order_items:
    columns:
      order_id: {type: uuid, references: {table: orders, on_delete: cascade}}
      line: {type: smallint, check: line BETWEEN 1 AND 99}
      price: {type: "numeric(10,2)", nullable: true}
    primary_key: [order_id, line]
access_patterns:
  orders_of_customer:
    sql: SELECT id, total FROM orders WHERE customer_id = :customer ORDER BY placed_at DESC LIMIT 20
    parameters: {customer: bigint}
    frequency: 10/s
    expected_rows: 2
    latency_ms: 200
  add_item:
    sql: INSERT INTO order_items (order_id, line, price) VALUES (:order, :line, :price)
    parameters: {order: uuid, line: smallint, price: "numeric"}
    latency_ms: 200
"""
