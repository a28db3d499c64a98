-- How many objects are in no model: what holds passwords, and what a failed CREATE INDEX CONCURRENTLY left.
SELECT (SELECT count(umid) FROM pg_user_mappings) AS user_mappings,
       (SELECT count(oid) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())) AS subscriptions,
       (SELECT count(*) FROM pg_index AS i JOIN pg_class AS r ON r.oid = i.indexrelid
        WHERE r.relkind = 'i' AND NOT i.indisvalid AND i.indexrelid >= 16384) AS invalid_indexes,
       (SELECT count(*) FROM (SELECT srvoptions FROM pg_foreign_server UNION ALL SELECT ftoptions FROM pg_foreign_table) AS given(options),
                             unnest(options) AS option
        WHERE split_part(option, '=', 1) ~* '(passw|secret|token|credential)') AS secret_options
