"""A plan with every kind of step that files must carry, and the schema that it begins with."""

from __future__ import annotations

from pathlib import PurePosixPath

from data_platform.migration.formats.context import Context, Header, Place
from data_platform.migration.plan.step import Plan, Step
from data_platform.sql.text import Sql, literal

BEFORE = """
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text, amount integer NOT NULL);
INSERT INTO orders (note, amount) SELECT 'it''s ' || n, n FROM generate_series(1, 500) AS n;
"""

FILL = """DO $do$
DECLARE
    done bigint := 0; -- a comment; with a semicolon
BEGIN
    LOOP
        UPDATE orders SET status = 'new: 100%' WHERE id IN (
            SELECT id FROM orders WHERE status IS NULL LIMIT 200);
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
    RAISE NOTICE 'done % `x` ${y} #{z} \\ "quoted"', done;
END
$do$"""

HOSTILE = """one of :new, {"a":1} :x: or \\d \\: \\n; it's 100 % %s %(a)s %% ;
`x` ${y} #{z} {a} {{ b }} \"\"\" $$ $do$ é ' \u2028
-- migrate:down
-- +goose Down
--rollback SELECT 1;
-- changeset a:b
/* or
SQL
GO
-- transactional: true
BEGIN; SELECT 1;
END"""
"""What some tool or language would take for its own."""

PLAN = Plan(
    steps=(
        Step(
            name="add_orders_status",
            phase="expand",
            reason="It may be NULL at first.",
            up=(Sql("ALTER TABLE orders ADD COLUMN IF NOT EXISTS status text"),),
            down=(Sql("ALTER TABLE orders DROP COLUMN IF EXISTS status"),),
        ),
        Step(
            name="index_orders_status",
            phase="expand",
            reason="CONCURRENTLY keeps writers going. A leftover of a failed try is dropped first.",
            up=(
                Sql("DROP INDEX CONCURRENTLY IF EXISTS orders_status_idx"),
                Sql("CREATE INDEX CONCURRENTLY orders_status_idx ON orders (status)"),
            ),
            down=(Sql("DROP INDEX CONCURRENTLY IF EXISTS orders_status_idx"),),
            transaction=False,
        ),
        Step(
            name="fill_orders_status",
            phase="backfill",
            reason="In batches that commit one by one.",
            up=(Sql(FILL),),
            transaction=False,
            one_way="the values stay until their column is dropped; that harms nobody",
        ),
        Step(
            name="check_orders_status",
            phase="contract",
            reason="NOT VALID looks at no row.",
            up=(
                Sql("ALTER TABLE orders ADD CONSTRAINT status_there CHECK (status IS NOT NULL) NOT VALID"),
                Sql(f"COMMENT ON COLUMN orders.status IS {literal(HOSTILE)}"),
            ),
            down=(
                Sql("COMMENT ON COLUMN orders.status IS NULL"),
                Sql("ALTER TABLE orders DROP CONSTRAINT status_there"),
            ),
            again="the constraint is there already",
        ),
        Step(
            name="validate_orders_status",
            phase="contract",
            reason="It reads the table under a lock that lets everybody work.",
            up=(Sql("ALTER TABLE orders VALIDATE CONSTRAINT status_there"),),
            transaction=False,
            one_way="the constraint stays valid",
        ),
        Step(
            name="drop_orders_note",
            phase="contract",
            reason="The new application does not read it.",
            up=(Sql("ALTER TABLE orders DROP COLUMN IF EXISTS note"),),
            down=(Sql("ALTER TABLE orders ADD COLUMN IF NOT EXISTS note text"),),
            lost=("public.orders.note",),
            keep="CREATE TABLE orders_note AS SELECT id, note FROM orders",
            ends_old=True,
        ),
    )
)

HEADER = Header(
    sources=(("old.sql", "a" * 64), ("new.yaml", "b" * 64)),
    command="dpe migration plan --from old.sql --to new.yaml --output .",
    server_version=18,
    locks=(("ACCESS EXCLUSIVE on orders",), ("SHARE UPDATE EXCLUSIVE on orders",)),
)


def context(place: Place) -> Context:
    """What a format is given for the plan above."""
    return Context(name="add_status", place=place, header=HEADER)


def directory(path: str, version: str = "0001") -> Place:
    """A place in a project that has nothing yet."""
    return Place(directory=PurePosixPath(path), version=version)
