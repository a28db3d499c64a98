-- Orders get a note, and an index to find those that have one.
SET lock_timeout = '2s';
ALTER TABLE orders ADD COLUMN note text;
CREATE INDEX CONCURRENTLY orders_with_note ON orders (placed_at) WHERE note IS NOT NULL;
