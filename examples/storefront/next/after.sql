-- The same as they shall be: a renamed column, a bigger key, money with cents, a required and unique address.
CREATE TABLE customers (
    id serial PRIMARY KEY,
    full_name varchar(100) NOT NULL,
    email text NOT NULL UNIQUE
);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers ON DELETE CASCADE,
    total numeric(12, 2) NOT NULL DEFAULT 0 CHECK (total >= 0),
    placed_at timestamp NOT NULL DEFAULT now(),
    note text
);
CREATE INDEX orders_customer_id_idx ON orders (customer_id);
CREATE INDEX orders_placed_at_idx ON orders (placed_at);
