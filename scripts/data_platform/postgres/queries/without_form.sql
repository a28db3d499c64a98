-- Whether the database holds an object that has no form in a model and must be kept as SQL.
WITH objects(class, oid) AS (
    SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE prokind = 'a'
    UNION ALL SELECT 'pg_operator', oid FROM pg_operator
    UNION ALL SELECT 'pg_opclass', oid FROM pg_opclass
    UNION ALL SELECT 'pg_opfamily', oid FROM pg_opfamily
    UNION ALL SELECT 'pg_cast', oid FROM pg_cast
    UNION ALL SELECT 'pg_conversion', oid FROM pg_conversion
    UNION ALL SELECT 'pg_ts_config', oid FROM pg_ts_config
    UNION ALL SELECT 'pg_ts_dict', oid FROM pg_ts_dict
    UNION ALL SELECT 'pg_ts_parser', oid FROM pg_ts_parser
    UNION ALL SELECT 'pg_ts_template', oid FROM pg_ts_template
    UNION ALL SELECT 'pg_foreign_data_wrapper', oid FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_language', oid FROM pg_language
    UNION ALL SELECT 'pg_transform', oid FROM pg_transform
    UNION ALL SELECT 'pg_am', oid FROM pg_am
    UNION ALL SELECT 'pg_type', oid FROM pg_type WHERE typtype = 'b' AND typcategory <> 'A' OR NOT typisdefined
    UNION ALL SELECT classoid::regclass, objoid FROM pg_seclabel)
SELECT EXISTS (SELECT FROM objects AS o
               WHERE o.oid >= 16384
                 AND NOT EXISTS (SELECT FROM pg_depend AS d
                                 WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype IN ('e', 'i'))) AS found
