-- version: 1.0
CREATE FUNCTION insert_username() RETURNS pg_catalog.trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'insert_username() is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
