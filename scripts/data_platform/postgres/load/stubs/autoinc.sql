-- version: 1.0
CREATE FUNCTION autoinc() RETURNS pg_catalog.trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'autoinc() is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
