"""Keys over generated columns: tried by what the columns are made of."""

from __future__ import annotations

import pytest

from data_platform.postgres.server import Server
from data_platform.schema.prove.attempts import Trials
from data_platform.schema.prove.constraints import probe_constraints
from data_platform.schema.prove.deletes import probe_deletes
from data_platform.schema.prove.generated import assignments, sources
from data_platform.schema.prove.result import Probe
from schema.designs import design

from .grounds import filled

MODEL = """
tables:
  shops:
    columns:
      id: {type: bigint, identity: always, primary_key: true}
      email: {type: text, data: {distinct: 1000000}}
      folded: {type: text, generated: lower(email)}
      deleted_at: {type: timestamptz, nullable: true}
      living_id: {type: bigint, nullable: true, generated: CASE WHEN deleted_at IS NULL THEN id END}
    unique: [[living_id], [folded]]
  prices:
    columns:
      id: {type: bigint, identity: always, primary_key: true}
      shop_id: {type: bigint, references: {table: shops, on_delete: cascade}}
      deleted_at: {type: timestamptz, nullable: true}
      living_shop_id:
        type: bigint
        nullable: true
        generated: CASE WHEN deleted_at IS NULL THEN shop_id END
        references: {table: shops, column: living_id, on_delete: no action}
"""


def _probes(server: Server, change: str = "") -> dict[tuple[str, str], Probe]:
    with filled(server, MODEL) as (ground, _, _):
        if change:
            ground.connection.execute(change.encode())
        trials = Trials(ground.connection, ground.generator, ground.database)
        return {
            (probe.kind, probe.constraint): probe
            for probe in (*probe_constraints(trials), *probe_deletes(trials))
        }


KEYS = [
    ("unique", "shops_living_id_key"),
    ("unique", "shops_folded_key"),
    ("foreign key", "prices_living_shop_id_fkey"),
    ("on delete no action", "prices_living_shop_id_fkey"),
    ("on delete cascade", "prices_shop_id_fkey"),
]


def test_each_is_proven(server: Server) -> None:
    probes = _probes(server)
    assert {key: probes[key].state for key in KEYS} == dict.fromkeys(KEYS, "proven"), probes


@pytest.mark.parametrize(
    ("change", "key", "state"),
    [
        ("ALTER TABLE shops DROP CONSTRAINT shops_folded_key", KEYS[1], "failed"),
        ("ALTER TABLE shops DROP CONSTRAINT shops_living_id_key CASCADE", KEYS[0], "failed"),
        ("ALTER TABLE prices DROP CONSTRAINT prices_living_shop_id_fkey", KEYS[2], "not checked"),
        ("ALTER TABLE prices DROP CONSTRAINT prices_living_shop_id_fkey", KEYS[3], "failed"),
    ],
)
def test_one_that_is_gone_is_not_proven(
    server: Server, change: str, key: tuple[str, str], state: str
) -> None:
    """The prober believes the catalog from which the server has been changed since."""
    assert _probes(server, change)[key].state == state


def test_what_a_generated_column_is_made_of() -> None:
    table = next(t for t in design(MODEL).database.tables if t.name.name == "prices")
    assert sources(table, ("id", "living_shop_id")) == ("id", "deleted_at", "shop_id")
    assert list(assignments(table, ("living_shop_id",), ("7",))) == [
        {"deleted_at": None, "shop_id": "7"},
        {"shop_id": "7"},
    ]
    assert list(assignments(table, ("shop_id",), ("7",))) == [{"shop_id": "7"}]
