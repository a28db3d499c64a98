-- Domains with their checks as {name: expression}.
SELECT n.nspname AS schema, t.typname AS name,
       format_type(t.typbasetype, t.typtypmod) AS base,
       t.typnotnull AS not_null,
       pg_get_expr(t.typdefaultbin, 0) AS default_expression,
       CASE WHEN t.typcollation <> b.typcollation THEN
           CASE WHEN cn.nspname = 'pg_catalog' THEN c.collname::text ELSE format('%I."%s"', cn.nspname, replace(c.collname, '"', '""')) END END AS collation,
       (SELECT jsonb_agg(jsonb_build_object('name', k.conname, 'expression', pg_get_expr(k.conbin, 0), 'validated', k.convalidated,
                                            'comment', obj_description(k.oid, 'pg_constraint')) ORDER BY k.conname)
        FROM pg_constraint AS k WHERE k.contypid = t.oid AND k.contype = 'c') AS checks,
       (SELECT k.conname FROM pg_constraint AS k WHERE k.contypid = t.oid AND k.contype = 'n') AS not_null_name,
       obj_description(t.oid, 'pg_type') AS comment, pg_get_userbyid(t.typowner) AS owner
FROM pg_type AS t
JOIN pg_namespace AS n ON n.oid = t.typnamespace
JOIN pg_type AS b ON b.oid = t.typbasetype
LEFT JOIN pg_collation AS c ON c.oid = t.typcollation
LEFT JOIN pg_namespace AS cn ON cn.oid = c.collnamespace
WHERE t.typtype = 'd' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
ORDER BY n.nspname, t.typname
