-- Statements whose locks references/migration-patterns-locks.md tells. A paragraph is one row of a table: its last
-- statement is run under watch by what `dpe migration prove` uses, those before it are set-up (more rows where a statement
-- would be over too fast to be seen). `-- # ` begins a table.
-- The first paragraph is the schema with its rows, which each row of the tables begins with anew.

CREATE TABLE customers (id bigint PRIMARY KEY, email text);
CREATE TABLE orders (
    id bigint PRIMARY KEY, customer_id bigint, total numeric(10, 2), code varchar(20), amount integer NOT NULL,
    shipped_on date, placed_at timestamp, note text, more json);
CREATE INDEX orders_code ON orders (code);
CREATE VIEW open_orders AS SELECT id, note FROM orders WHERE shipped_on IS NULL;
CREATE MATERIALIZED VIEW sales AS SELECT customer_id, count(*) FROM orders GROUP BY customer_id;
CREATE UNIQUE INDEX sales_customer ON sales (customer_id);
CREATE TABLE events (id bigint, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 (id bigint, at date NOT NULL);
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE DOMAIN seat AS integer;
CREATE TABLE guests (id bigint NOT NULL, mood mood, seat seat);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO customers SELECT n, n || '@example.org' FROM generate_series(1, 100) AS n;
INSERT INTO orders SELECT n, n % 100 + 1, n, 'c' || n, n, NULL, NULL, 'n' FROM generate_series(1, 1000) AS n;
INSERT INTO events_2026 SELECT n, date '2026-01-01' + n FROM generate_series(1, 100) AS n;
INSERT INTO guests SELECT n, 'calm', n FROM generate_series(1, 100) AS n;
REFRESH MATERIALIZED VIEW sales;

-- # Columns

ALTER TABLE orders ADD COLUMN remark text;

ALTER TABLE orders ADD COLUMN state text NOT NULL DEFAULT 'new';

ALTER TABLE orders ADD COLUMN seen_at timestamptz DEFAULT now();

ALTER TABLE orders ADD COLUMN public_id uuid DEFAULT gen_random_uuid();

ALTER TABLE orders ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;

ALTER TABLE orders ADD COLUMN gross numeric GENERATED ALWAYS AS (total * 1.2) STORED;

ALTER TABLE orders ADD COLUMN gross numeric GENERATED ALWAYS AS (total * 1.2) VIRTUAL;

ALTER TABLE orders ADD COLUMN buyer bigint REFERENCES customers;

ALTER TABLE orders DROP COLUMN placed_at;

ALTER TABLE orders ALTER COLUMN note SET DEFAULT '';

ALTER TABLE orders ALTER COLUMN amount DROP NOT NULL;

ALTER TABLE orders ALTER COLUMN total SET STATISTICS 500;

ALTER TABLE guests ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

ALTER TABLE orders RENAME COLUMN note TO remark;

COMMENT ON COLUMN orders.note IS 'what the customer wrote';

-- # Types

ALTER TABLE orders ALTER COLUMN code TYPE varchar(40);

ALTER TABLE orders ALTER COLUMN code TYPE varchar(10);

ALTER TABLE orders ALTER COLUMN code TYPE text;

ALTER TABLE orders ALTER COLUMN code TYPE varchar(40) COLLATE "C";

ALTER TABLE orders ALTER COLUMN total TYPE numeric(12, 2);

ALTER TABLE orders ALTER COLUMN total TYPE numeric(12, 3);

ALTER TABLE orders ALTER COLUMN amount TYPE bigint;

SET timezone = 'UTC';
ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamptz;

SET timezone = 'Europe/Berlin';
ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamptz;

ALTER TABLE orders ALTER COLUMN more TYPE jsonb;

ALTER TYPE mood ADD VALUE 'glad';

ALTER TYPE mood RENAME VALUE 'cross' TO 'angry';

ALTER DOMAIN seat ADD CONSTRAINT seat_positive CHECK (VALUE > 0);

ALTER DOMAIN seat ADD CONSTRAINT seat_positive CHECK (VALUE > 0) NOT VALID;

-- # Constraints

ALTER TABLE orders ALTER COLUMN total SET NOT NULL;

ALTER TABLE orders ADD CONSTRAINT total_known CHECK (total IS NOT NULL);
ALTER TABLE orders ALTER COLUMN total SET NOT NULL;

ALTER TABLE orders ADD CONSTRAINT total_known NOT NULL total NOT VALID;

ALTER TABLE orders ADD CONSTRAINT total_known NOT NULL total NOT VALID;
ALTER TABLE orders VALIDATE CONSTRAINT total_known;

ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total > 0);

ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total > 0) NOT VALID;

ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total > 0) NOT VALID;
ALTER TABLE orders VALIDATE CONSTRAINT total_positive;

ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (customer_id) REFERENCES customers;

ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (customer_id) REFERENCES customers NOT VALID;

ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (customer_id) REFERENCES customers NOT VALID;
ALTER TABLE orders VALIDATE CONSTRAINT buyer;

ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (customer_id) REFERENCES customers NOT VALID;
ALTER TABLE orders DROP CONSTRAINT buyer;

ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total > 0);
ALTER TABLE orders DROP CONSTRAINT total_positive;

ALTER TABLE orders ADD CONSTRAINT one_code UNIQUE (code);

CREATE UNIQUE INDEX one_code ON orders (code);
ALTER TABLE orders ADD CONSTRAINT one_code UNIQUE USING INDEX one_code;

ALTER TABLE orders ADD CONSTRAINT apart EXCLUDE USING gist (int8range(id, id, '[]') WITH &&);

ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (customer_id) REFERENCES customers;
ALTER TABLE orders ALTER CONSTRAINT buyer DEFERRABLE;

-- # Indexes

CREATE INDEX orders_note ON orders (note);

CREATE INDEX CONCURRENTLY orders_note ON orders (note);

DROP INDEX orders_code;

DROP INDEX CONCURRENTLY orders_code;

REINDEX INDEX orders_code;

REINDEX TABLE orders;

REINDEX INDEX CONCURRENTLY orders_code;

ALTER INDEX orders_code RENAME TO orders_by_code;

-- # Tables and partitions

ALTER TABLE orders RENAME TO purchases;

CREATE SCHEMA old;
ALTER TABLE guests SET SCHEMA old;

ALTER TABLE orders SET (fillfactor = 80);

ALTER TABLE orders SET UNLOGGED;

ALTER TABLE orders REPLICA IDENTITY FULL;

CREATE PUBLICATION all_orders FOR TABLE orders;

DROP TABLE guests;

TRUNCATE guests;

INSERT INTO orders (id, amount) SELECT n, n FROM generate_series(1001, 60000) AS n;
VACUUM FULL orders;

CLUSTER orders USING orders_code;

CREATE TABLE refunds (id bigint, order_id bigint REFERENCES orders);

CREATE TABLE events_2027 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');

ALTER TABLE events ATTACH PARTITION events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');

ALTER TABLE events_2026 ADD CHECK (at >= '2026-01-01' AND at < '2027-01-01');
ALTER TABLE events ATTACH PARTITION events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');

CREATE TABLE events_rest PARTITION OF events DEFAULT;
ALTER TABLE events ATTACH PARTITION events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');

ALTER TABLE events DETACH PARTITION events_2025;

ALTER TABLE events DETACH PARTITION events_2025 CONCURRENTLY;

-- # Triggers, policies, views and functions

CREATE TRIGGER again BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION touch();

DROP TRIGGER touched ON orders;

ALTER TABLE orders DISABLE TRIGGER touched;

CREATE POLICY own ON orders USING (true);

ALTER TABLE orders ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN old; END';

CREATE OR REPLACE VIEW open_orders AS SELECT id, note, total FROM orders WHERE shipped_on IS NULL;

DROP VIEW open_orders;

REFRESH MATERIALIZED VIEW sales;

REFRESH MATERIALIZED VIEW CONCURRENTLY sales;

GRANT SELECT ON orders TO pg_monitor;

CREATE STATISTICS orders_pair ON code, amount FROM orders;

-- # Rows

INSERT INTO orders (id, amount) VALUES (0, 1);

UPDATE orders SET note = '' WHERE id = 1;

SELECT id FROM orders WHERE id = 1 FOR UPDATE;

SELECT id FROM orders WHERE id = 1;
