"""Lint and prove say the same of the steps of plans: of the same transactions that clients are kept out in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from data_platform.migration.plan.hints import Hints
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.plan import plan
from data_platform.migration.plan.step import Step
from data_platform.model.database import Database as Model
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Server
from migration.agreement import Ground, contradictions, ground
from migration.lint.linting import linted
from migration.test_agreement import ROWS, SCHEMA

CHANGES = """
ALTER TABLE orders ADD note text
ALTER TABLE orders ADD k uuid NOT NULL DEFAULT gen_random_uuid()
ALTER TABLE orders ADD n bigint GENERATED ALWAYS AS IDENTITY
ALTER TABLE orders ADD t text GENERATED ALWAYS AS (code || status) STORED
ALTER TABLE orders ALTER code SET NOT NULL
ALTER TABLE orders ADD CONSTRAINT few CHECK (total < 100000)
ALTER TABLE orders ADD CONSTRAINT cust FOREIGN KEY (customer_id) REFERENCES customers
ALTER TABLE customers ADD CONSTRAINT names UNIQUE (name, id)
ALTER TABLE secret ADD PRIMARY KEY (id)
CREATE INDEX more ON orders (total)
CREATE INDEX onevents ON events (id)
DROP INDEX orders_status
ALTER TABLE orders ALTER status TYPE text
ALTER TABLE orders ALTER old TYPE varchar(10)
ALTER TABLE orders ALTER at TYPE timestamptz
ALTER TABLE orders ALTER checked TYPE bigint
ALTER TABLE secret ALTER id TYPE int
ALTER TABLE orders DROP COLUMN old
ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')
ALTER TABLE events DETACH PARTITION events_1
ALTER TYPE mood ADD VALUE 'calm'
ALTER TABLE orders ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON orders USING (true)
CREATE TABLE fresh (id bigint PRIMARY KEY REFERENCES customers)
ALTER TABLE orders SET UNLOGGED
ALTER TABLE orders ADD EXCLUDE USING gist (span WITH &&)
DROP VIEW seen; CREATE VIEW seen AS SELECT id, code FROM orders
ALTER TABLE orders ALTER total SET DEFAULT 1
""".strip().splitlines()


@dataclass(frozen=True)
class Place:
    """Where plans are made and run."""

    server: Server
    ground: Ground
    before: Model

    def model(self, sql: str) -> Model:
        """What a schema is in the server's words."""
        return _model(self.server, sql)


def _model(server: Server, sql: str) -> Model:
    with server.scratch_database() as database, connect(database.conninfo, read_only=False) as owner:
        owner.execute(sql.encode())
        return read(owner)


@pytest.fixture(scope="module")
def place(server: Server) -> Iterator[Place]:
    with ground(server, SCHEMA, ROWS) as made:
        yield Place(server, made, _model(server, SCHEMA))


def written(step: Step) -> str:
    """A step as a file has it."""
    text = "".join(f"{statement};\n" for statement in step.up)
    return f"BEGIN;\n{text}COMMIT;\n" if step.transaction else text


@pytest.mark.parametrize("change", CHANGES)
def test_the_steps_of_a_plan(change: str, place: Place) -> None:
    hints = Hints(lost=frozenset("*"))
    made = plan(Pair(before=place.before, after=place.model(SCHEMA + change), hints=hints, version=18))
    one = linted("".join(map(written, made.steps)), SCHEMA)
    proof = place.ground.tried(one.script.statements)
    assert contradictions(one, proof) == []
