-- version: 1.2
CREATE FOREIGN DATA WRAPPER dblink_fdw NO HANDLER NO VALIDATOR;
CREATE FUNCTION dblink_connect(pg_catalog.text) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_connect() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_connect(pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_connect() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_disconnect() RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_disconnect() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_disconnect(pg_catalog.text) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_disconnect() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_open(pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_open() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_open(pg_catalog.text, pg_catalog.text, pg_catalog.bool) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_open() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_open(pg_catalog.text, pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_open() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_close(pg_catalog.text) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_close() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_close(pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_close() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_fetch(pg_catalog.text, pg_catalog.int4) RETURNS SETOF record VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_fetch() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_fetch(pg_catalog.text, pg_catalog.text, pg_catalog.int4) RETURNS SETOF record VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_fetch() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink(pg_catalog.text, pg_catalog.text) RETURNS SETOF record VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink(pg_catalog.text, pg_catalog.text, pg_catalog.bool) RETURNS SETOF record VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink(pg_catalog.text) RETURNS SETOF record VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink(pg_catalog.text, pg_catalog.bool) RETURNS SETOF record VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_exec(pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_exec() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_exec(pg_catalog.text, pg_catalog.text, pg_catalog.bool) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_exec() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_exec(pg_catalog.text) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_exec() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_exec(pg_catalog.text, pg_catalog.bool) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_exec() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_get_connections() RETURNS pg_catalog.text[] VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_get_connections() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_is_busy(pg_catalog.text) RETURNS pg_catalog.int4 VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_is_busy() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_send_query(pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.int4 VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_send_query() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_get_result(pg_catalog.text) RETURNS SETOF record VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_get_result() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_get_result(pg_catalog.text, pg_catalog.bool) RETURNS SETOF record VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_get_result() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_cancel_query(pg_catalog.text) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_cancel_query() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dblink_error_message(pg_catalog.text) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dblink_error_message() of dblink is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
