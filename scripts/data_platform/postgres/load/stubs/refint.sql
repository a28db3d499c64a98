-- version: 1.0
CREATE FUNCTION check_primary_key() RETURNS pg_catalog.trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'check_primary_key() of refint is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION check_foreign_key() RETURNS pg_catalog.trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'check_foreign_key() of refint is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
