-- How many objects hold passwords, which no model holds: user mappings and subscriptions of this database.
SELECT (SELECT count(*) FROM pg_user_mapping) AS user_mappings,
       (SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())) AS subscriptions
