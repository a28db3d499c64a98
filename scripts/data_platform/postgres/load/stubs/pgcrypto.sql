-- version: 1.4
CREATE FUNCTION gen_random_uuid() RETURNS pg_catalog.uuid VOLATILE PARALLEL SAFE LANGUAGE sql
    RETURN pg_catalog.gen_random_uuid();
CREATE FUNCTION gen_random_bytes(pg_catalog.int4) RETURNS pg_catalog.bytea VOLATILE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    made bytea := '';
    part bytea;
BEGIN
    IF $1 NOT BETWEEN 1 AND 1024 THEN
        RAISE 'Length not in range' USING ERRCODE = 'external_routine_invocation_exception';
    END IF;
    WHILE length(made) < $1 LOOP  -- all bytes of a random UUID but those with its version and variant
        part := uuid_send(gen_random_uuid());
        made := made || substr(part, 1, 6) || substr(part, 10, 7);
    END LOOP;
    RETURN substr(made, 1, $1);
END $$;
CREATE FUNCTION digest(pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.bytea
IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    CASE lower($2)
        WHEN 'md5' THEN RETURN decode(md5($1), 'hex');
        WHEN 'sha224' THEN RETURN sha224($1);
        WHEN 'sha256' THEN RETURN sha256($1);
        WHEN 'sha384' THEN RETURN sha384($1);
        WHEN 'sha512' THEN RETURN sha512($1);
        ELSE RAISE 'digest() of pgcrypto is a stub here for %', $2 USING ERRCODE = 'feature_not_supported';
    END CASE;
END $$;
CREATE FUNCTION digest(pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.bytea
IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    data bytea := convert_to($1, getdatabaseencoding());
BEGIN
    CASE lower($2)
        WHEN 'md5' THEN RETURN decode(md5(data), 'hex');
        WHEN 'sha224' THEN RETURN sha224(data);
        WHEN 'sha256' THEN RETURN sha256(data);
        WHEN 'sha384' THEN RETURN sha384(data);
        WHEN 'sha512' THEN RETURN sha512(data);
        ELSE RAISE 'digest() of pgcrypto is a stub here for %', $2 USING ERRCODE = 'feature_not_supported';
    END CASE;
END $$;
CREATE FUNCTION hmac(pg_catalog.text, pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'hmac() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION hmac(pg_catalog.bytea, pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'hmac() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION crypt(pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'crypt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION gen_salt(pg_catalog.text) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'gen_salt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION gen_salt(pg_catalog.text, pg_catalog.int4) RETURNS pg_catalog.text VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'gen_salt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION encrypt(pg_catalog.bytea, pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'encrypt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION decrypt(pg_catalog.bytea, pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'decrypt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION encrypt_iv(pg_catalog.bytea, pg_catalog.bytea, pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'encrypt_iv() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION decrypt_iv(pg_catalog.bytea, pg_catalog.bytea, pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'decrypt_iv() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_sym_encrypt(pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.bytea VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_sym_encrypt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_sym_encrypt_bytea(pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.bytea VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_sym_encrypt_bytea() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_sym_encrypt(pg_catalog.text, pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.bytea VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_sym_encrypt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_sym_encrypt_bytea(pg_catalog.bytea, pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.bytea VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_sym_encrypt_bytea() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_sym_decrypt(pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_sym_decrypt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_sym_decrypt_bytea(pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_sym_decrypt_bytea() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_sym_decrypt(pg_catalog.bytea, pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_sym_decrypt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_sym_decrypt_bytea(pg_catalog.bytea, pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_sym_decrypt_bytea() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_pub_encrypt(pg_catalog.text, pg_catalog.bytea) RETURNS pg_catalog.bytea VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_pub_encrypt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_pub_encrypt_bytea(pg_catalog.bytea, pg_catalog.bytea) RETURNS pg_catalog.bytea VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_pub_encrypt_bytea() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_pub_encrypt(pg_catalog.text, pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.bytea VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_pub_encrypt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_pub_encrypt_bytea(pg_catalog.bytea, pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.bytea VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_pub_encrypt_bytea() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_pub_decrypt(pg_catalog.bytea, pg_catalog.bytea) RETURNS pg_catalog.text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_pub_decrypt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_pub_decrypt_bytea(pg_catalog.bytea, pg_catalog.bytea) RETURNS pg_catalog.bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_pub_decrypt_bytea() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_pub_decrypt(pg_catalog.bytea, pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_pub_decrypt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_pub_decrypt_bytea(pg_catalog.bytea, pg_catalog.bytea, pg_catalog.text) RETURNS pg_catalog.bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_pub_decrypt_bytea() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_pub_decrypt(pg_catalog.bytea, pg_catalog.bytea, pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_pub_decrypt() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_pub_decrypt_bytea(pg_catalog.bytea, pg_catalog.bytea, pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_pub_decrypt_bytea() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_key_id(pg_catalog.bytea) RETURNS pg_catalog.text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_key_id() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION armor(pg_catalog.bytea) RETURNS pg_catalog.text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'armor() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION armor(pg_catalog.bytea, pg_catalog.text[], pg_catalog.text[]) RETURNS pg_catalog.text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'armor() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION dearmor(pg_catalog.text) RETURNS pg_catalog.bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'dearmor() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION pgp_armor_headers(pg_catalog.text, OUT key pg_catalog.text, OUT value pg_catalog.text) RETURNS SETOF record IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'pgp_armor_headers() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
CREATE FUNCTION fips_mode() RETURNS pg_catalog.bool VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'fips_mode() of pgcrypto is a stub here' USING ERRCODE = 'feature_not_supported';
END $$;
