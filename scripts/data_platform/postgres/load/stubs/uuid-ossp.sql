-- version: 1.1
CREATE FUNCTION uuid_nil() RETURNS pg_catalog.uuid IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN '00000000-0000-0000-0000-000000000000'::pg_catalog.uuid;
CREATE FUNCTION uuid_ns_dns() RETURNS pg_catalog.uuid IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::pg_catalog.uuid;
CREATE FUNCTION uuid_ns_url() RETURNS pg_catalog.uuid IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN '6ba7b811-9dad-11d1-80b4-00c04fd430c8'::pg_catalog.uuid;
CREATE FUNCTION uuid_ns_oid() RETURNS pg_catalog.uuid IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN '6ba7b812-9dad-11d1-80b4-00c04fd430c8'::pg_catalog.uuid;
CREATE FUNCTION uuid_ns_x500() RETURNS pg_catalog.uuid IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN '6ba7b814-9dad-11d1-80b4-00c04fd430c8'::pg_catalog.uuid;

CREATE FUNCTION uuid_generate_v4() RETURNS pg_catalog.uuid VOLATILE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN pg_catalog.gen_random_uuid();

CREATE FUNCTION uuid_generate_v1() RETURNS pg_catalog.uuid VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'uuid_generate_v1() of uuid-ossp is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION uuid_generate_v1mc() RETURNS pg_catalog.uuid VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'uuid_generate_v1mc() of uuid-ossp is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION uuid_generate_v3(namespace pg_catalog.uuid, name pg_catalog.text) RETURNS pg_catalog.uuid
IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'uuid_generate_v3() of uuid-ossp is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION uuid_generate_v5(namespace pg_catalog.uuid, name pg_catalog.text) RETURNS pg_catalog.uuid
IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'uuid_generate_v5() of uuid-ossp is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
