-- Two tables as they are now; `dpe migration plan` finds the way from here to after.sql.
CREATE TABLE customers (
    id serial PRIMARY KEY,
    name varchar(50) NOT NULL,
    email text
);
CREATE TABLE orders (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers,
    total integer NOT NULL DEFAULT 0 CHECK (total >= 0),
    placed_at timestamp NOT NULL DEFAULT now()
);
CREATE INDEX orders_customer_id_idx ON orders (customer_id);
