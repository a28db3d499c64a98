"""ON DELETE where several foreign keys lead to one parent, and where a parent needs parents of its own."""

from __future__ import annotations

from data_platform.postgres.filling.aside import switch_off
from data_platform.postgres.server import Server
from data_platform.schema.prove.attempts import Trials
from data_platform.schema.prove.deletes import probe_deletes

from .grounds import filled


def _states(server: Server, text: str) -> dict[str, str]:
    with filled(server, text) as (ground, _, _):
        switch_off(ground.connection, ground.switches)
        trials = Trials(ground.connection, ground.generator, ground.database)
        return {probe.constraint: probe.state for probe in probe_deletes(trials)}


def test_each_is_seen_without_the_others(server: Server) -> None:
    text = """
tables:
  tenants: {rows: 5, columns: {id: {type: bigint, primary_key: true}}}
  orders:
    columns: {tenant_id: {references: {table: tenants, on_delete: restrict}}, id: bigint}
    primary_key: [tenant_id, id]
  items:
    columns: {tenant_id: {references: {table: tenants, on_delete: restrict}}, order_id: bigint, line: integer}
    primary_key: [tenant_id, order_id, line]
    foreign_keys:
      - {columns: [tenant_id, order_id], references: orders, on_delete: cascade}
"""
    assert set(_states(server, text).values()) == {"proven"}


def test_two_ways_on_the_same_columns(server: Server) -> None:
    text = """
tables:
  a: {columns: {id: {type: bigint, primary_key: true}}}
  b:
    columns: {id: {type: bigint, primary_key: true}, a_id: bigint}
    foreign_keys:
      - {name: gone, columns: [a_id], references: a, on_delete: cascade}
      - {name: kept, columns: [a_id], references: a, on_delete: restrict}
"""
    assert _states(server, text) == {"gone": "proven", "kept": "proven"}


def test_a_child_that_only_its_reference_tells_from_others(server: Server) -> None:
    text = """
tables:
  a: {columns: {id: {type: bigint, primary_key: true}}}
  b: {columns: {a_id: {nullable: true, references: {table: a, on_delete: set null}}}}
"""
    assert _states(server, text) == {"b_a_id_fkey": "not checked"}


def test_inherited_tables_and_partitions(server: Server) -> None:
    text = """
tables:
  a: {columns: {id: {type: bigint, primary_key: true}}}
  a_more: {inherits: a, columns: {extra: text}}
  b:
    columns: {id: bigint, a_id: {references: {table: a, on_delete: cascade}}}
    primary_key: [id, a_id]
    partition_by: {hash: id}
    partitions: {b0: "WITH (modulus 2, remainder 0)", b1: "WITH (modulus 2, remainder 1)"}
  c:
    columns:
      id: {type: bigint, primary_key: true}
      a_id: {references: {table: a, on_delete: cascade, enforced: false}}
"""
    assert _states(server, text) == {"b_a_id_fkey": "proven"}
