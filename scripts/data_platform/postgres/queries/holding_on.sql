-- What a table of another oid would be lost to, or would have to be made again with it.
SELECT 'the view ' || v.oid::regclass FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
  JOIN pg_class v ON v.oid = r.ev_class
 WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(table)s AND r.ev_class <> %(table)s
UNION SELECT format('the rule %%I', rulename) FROM pg_rewrite WHERE ev_class = %(table)s
UNION SELECT format('the foreign key %%I of %%s', conname, conrelid::regclass) FROM pg_constraint
 WHERE contype = 'f' AND confrelid = %(table)s
UNION SELECT format('the publication %%I', p.pubname) FROM pg_publication_tables p, pg_class c
 WHERE c.oid = %(table)s AND p.schemaname = c.relnamespace::regnamespace::text AND p.tablename = c.relname
UNION SELECT format('the subscription %%I', s.subname) FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
 WHERE r.srrelid = %(table)s AND has_table_privilege('pg_subscription', 'SELECT')
UNION SELECT format('the extension %%I', x.extname) FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
 WHERE d.classid = 'pg_class'::regclass AND d.objid = %(table)s AND d.deptype = 'e'
UNION SELECT format('a security label of %%s', provider) FROM pg_seclabel
 WHERE classoid = 'pg_class'::regclass AND objoid = %(table)s
UNION SELECT 'the table ' || inhrelid::regclass || ', which inherits from it' FROM pg_inherits WHERE inhparent = %(table)s
UNION SELECT 'the table ' || inhparent::regclass || ', which it inherits from' FROM pg_inherits WHERE inhrelid = %(table)s
UNION SELECT format('the function %%s', p.oid::regprocedure) FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
 WHERE d.classid = 'pg_proc'::regclass AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = %(table)s
    OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT y.oid FROM pg_class c, pg_type y WHERE c.oid = %(table)s
       AND (y.oid = c.reltype OR y.typelem = c.reltype)))
UNION SELECT format('the policy %%I of %%s', p.polname, p.polrelid::regclass) FROM pg_depend d JOIN pg_policy p ON p.oid = d.objid
 WHERE d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %(table)s
   AND p.polrelid <> %(table)s
UNION SELECT format('the column %%I of %%s', a.attname, a.attrelid::regclass) FROM pg_attribute a, pg_class c, pg_type y
 WHERE c.oid = %(table)s AND (y.oid = c.reltype OR y.typelem = c.reltype) AND a.atttypid = y.oid AND a.attnum > 0
   AND NOT a.attisdropped
ORDER BY 1
