-- Rules of the relations %(tables)s, but for the ones that views are made of.
SELECT w.ev_class AS table_oid, w.rulename AS name, pg_get_ruledef(w.oid) AS sql, w.ev_enabled AS enabled,
       obj_description(w.oid, 'pg_rewrite') AS comment
FROM pg_rewrite AS w
WHERE w.ev_class = ANY (%(tables)s) AND w.rulename <> '_RETURN'
ORDER BY w.ev_class, w.rulename
