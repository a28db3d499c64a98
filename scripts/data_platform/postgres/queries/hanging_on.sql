-- All that hangs on a table and goes with it, as one document.
SELECT jsonb_build_object(
 'kind', c.relkind, 'persistence', c.relpersistence, 'options', to_jsonb(c.reloptions || ARRAY(SELECT 'toast.' || o FROM pg_class s, unnest(s.reloptions) o WHERE s.oid = c.reltoastrelid)),
 'method', (SELECT amname FROM pg_am WHERE oid = c.relam),
 'space', (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
 'owner', pg_get_userbyid(c.relowner), 'security', c.relrowsecurity, 'forced', c.relforcerowsecurity,
 'comment', obj_description(c.oid, 'pg_class'), 'identity', c.relreplident,
 'constraints', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', conname, 'type', contype, 'text', pg_get_constraintdef(k.oid),
      'comment', obj_description(k.oid, 'pg_constraint')) ORDER BY contype = 'f', conname), '[]')
      FROM pg_constraint k WHERE conrelid = c.oid AND contype IN ('p', 'u', 'x', 'f')),
 'indexes', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', x.relname, 'text', pg_get_indexdef(x.oid), 'owned', k.oid IS NOT NULL,
      'comment', obj_description(x.oid, 'pg_class'), 'clustered', i.indisclustered, 'identity', i.indisreplident) ORDER BY x.relname), '[]')
      FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
      LEFT JOIN pg_constraint k ON k.conindid = x.oid AND k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x')
     WHERE i.indrelid = c.oid AND i.indisvalid),
 'statistics', (SELECT coalesce(jsonb_agg(jsonb_build_object('schema', n.nspname, 'name', s.stxname,
      'text', pg_get_statisticsobjdef(s.oid), 'comment', obj_description(s.oid, 'pg_statistic_ext')) ORDER BY s.stxname), '[]')
      FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxrelid = c.oid),
 'columns', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'target', a.attstattarget, 'options', to_jsonb(a.attoptions),
      'grants', (SELECT coalesce(jsonb_agg(jsonb_build_object('privilege', g.privilege_type, 'to', CASE WHEN g.grantee <> 0
          THEN pg_get_userbyid(g.grantee) END, 'again', g.is_grantable)), '[]') FROM aclexplode(a.attacl) g)) ORDER BY a.attnum), '[]')
      FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
 'triggers', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', t.tgname, 'text', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled,
      'comment', obj_description(t.oid, 'pg_trigger')) ORDER BY t.tgname), '[]')
      FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
 'policies', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', p.polname, 'command', p.polcmd, 'permissive', p.polpermissive,
      'roles', (SELECT jsonb_agg(CASE WHEN o <> 0 THEN pg_get_userbyid(o) END) FROM unnest(p.polroles) o),
      'using', pg_get_expr(p.polqual, c.oid), 'check', pg_get_expr(p.polwithcheck, c.oid),
      'comment', obj_description(p.oid, 'pg_policy')) ORDER BY p.polname), '[]') FROM pg_policy p WHERE p.polrelid = c.oid),
 'grants', (SELECT coalesce(jsonb_agg(jsonb_build_object('privilege', g.privilege_type, 'to', CASE WHEN g.grantee <> 0
      THEN pg_get_userbyid(g.grantee) END, 'again', g.is_grantable)), '[]')
      FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g),
 'sequences', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', q.relname, 'schema', n.nspname, 'column', a.attname,
      'identity', d.deptype = 'i') ORDER BY a.attname), '[]')
      FROM pg_depend d JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S' JOIN pg_namespace n ON n.oid = q.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype IN ('a', 'i'))
) FROM pg_class c WHERE c.oid = %(table)s
