-- How many objects hold passwords, which no model holds: user mappings and subscriptions of this database.
SELECT (SELECT count(umid) FROM pg_user_mappings) AS user_mappings,
       (SELECT count(oid) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())) AS subscriptions
