-- version: 1.0
CREATE FUNCTION moddatetime() RETURNS pg_catalog.trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_NARGS <> 1 OR TG_OP <> 'UPDATE' OR TG_LEVEL <> 'ROW' OR TG_WHEN <> 'BEFORE' THEN
        RAISE 'moddatetime wants one column, in a trigger BEFORE UPDATE FOR EACH ROW';
    END IF;
    RETURN jsonb_populate_record(NEW, jsonb_build_object(TG_ARGV[0], now()));
END $$;
