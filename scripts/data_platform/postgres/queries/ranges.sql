-- Range types.
SELECT n.nspname AS schema, t.typname AS name, format_type(g.rngsubtype, NULL) AS subtype,
       CASE WHEN NOT o.opcdefault THEN CASE WHEN o.opcnamespace IN ('pg_catalog'::regnamespace, 'public'::regnamespace) THEN o.opcname::text
                                            ELSE (SELECT nspname FROM pg_namespace WHERE oid = o.opcnamespace) || '.' || o.opcname END END AS opclass,
       CASE WHEN g.rngcollation <> st.typcollation THEN
           CASE WHEN cn.nspname = 'pg_catalog' THEN c.collname::text ELSE format('%I."%s"', cn.nspname, replace(c.collname, '"', '""')) END END AS collation,
       can_n.nspname AS canonical_schema, can.proname AS canonical_name,
       dif_n.nspname AS difference_schema, dif.proname AS difference_name,
       mn.nspname AS multirange_schema, m.typname AS multirange_name,
       obj_description(t.oid, 'pg_type') AS comment, pg_get_userbyid(t.typowner) AS owner
FROM pg_range AS g
JOIN pg_type AS t ON t.oid = g.rngtypid
JOIN pg_type AS st ON st.oid = g.rngsubtype
JOIN pg_namespace AS n ON n.oid = t.typnamespace
JOIN pg_opclass AS o ON o.oid = g.rngsubopc
LEFT JOIN pg_collation AS c ON c.oid = g.rngcollation
LEFT JOIN pg_namespace AS cn ON cn.oid = c.collnamespace
LEFT JOIN pg_proc AS can ON can.oid = g.rngcanonical
LEFT JOIN pg_namespace AS can_n ON can_n.oid = can.pronamespace
LEFT JOIN pg_proc AS dif ON dif.oid = g.rngsubdiff
LEFT JOIN pg_namespace AS dif_n ON dif_n.oid = dif.pronamespace
LEFT JOIN pg_type AS m ON m.oid = (to_jsonb(g) ->> 'rngmultitypid')::oid
LEFT JOIN pg_namespace AS mn ON mn.oid = m.typnamespace
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
ORDER BY n.nspname, t.typname
