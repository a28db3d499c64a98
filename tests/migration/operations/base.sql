CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE SCHEMA app;
CREATE TABLE users (id serial PRIMARY KEY, name varchar(50) NOT NULL, email text, mood mood DEFAULT 'ok', doc json);
CREATE TABLE orders (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users,
    total integer NOT NULL DEFAULT 0,
    placed_at timestamptz NOT NULL DEFAULT now(),
    code text
);
CREATE INDEX orders_user ON orders (user_id);
CREATE UNIQUE INDEX orders_code ON orders (code);
ALTER TABLE orders ADD CONSTRAINT orders_big CHECK (total < 1000000) NOT VALID;
CREATE TABLE events (id bigint NOT NULL, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE bare (a integer, b integer, during tsrange);
CREATE TABLE settings (user_id integer PRIMARY KEY REFERENCES users, level integer NOT NULL DEFAULT 1, theme text NOT NULL);
CREATE VIEW names AS SELECT id, name FROM users;
CREATE MATERIALIZED VIEW totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id;
CREATE FUNCTION twice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON bare FOR EACH ROW EXECUTE FUNCTION touch();
CREATE POLICY everyone ON bare USING (true);
CREATE EXTENSION citext;
