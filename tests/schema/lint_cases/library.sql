--
-- PostgreSQL database dump of a library that many towns share. `-- !` names the rules that must speak at that line,
-- or of that object where no line is known. Nothing else may be found.
--
-- ! tables-without-comment
-- ! schema-open-to-create public
-- ! default-privileges-missing reporting
-- ! check-not-validated lib.isbn

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);

CREATE ROLE lib_owner;
CREATE ROLE app LOGIN;
CREATE ROLE reporting;
CREATE ROLE sync LOGIN BYPASSRLS; -- ! privileged-role

CREATE SCHEMA lib;
CREATE SCHEMA audit;
CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;

CREATE TYPE lib.state AS ENUM ('in', 'out', 'lost');
CREATE TYPE lib.shelf_mark AS (room text, number integer);
CREATE DOMAIN lib.isbn AS character varying(13);
ALTER DOMAIN lib.isbn ADD CONSTRAINT isbn_digits CHECK (VALUE ~ '^[0-9X]+$') NOT VALID;
CREATE DOMAIN lib.cents AS bigint CHECK (VALUE >= 0);

CREATE FUNCTION lib.town() RETURNS uuid LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting('app.town', true), '')::uuid $$;

CREATE FUNCTION lib.touch() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$;

CREATE FUNCTION lib.forget() RETURNS trigger LANGUAGE plpgsql -- ! trigger-function-without-return
    AS $$ BEGIN DELETE FROM lib.reading_list WHERE member_id = OLD.id; END $$;

CREATE FUNCTION lib.refuse() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the log is only written'; END $$;

CREATE FUNCTION lib.purge() RETURNS void LANGUAGE plpgsql SECURITY DEFINER -- ! security-definer-public security-definer-search-path
    AS $$ BEGIN DELETE FROM loans WHERE back < now() - interval '10 years'; END $$;

CREATE FUNCTION lib.census() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path TO 'lib', 'pg_temp'
    AS $$ BEGIN RETURN (SELECT count(*) FROM lib.members); END $$;
REVOKE ALL ON FUNCTION lib.census() FROM PUBLIC;

CREATE FUNCTION lib.guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path TO 'lib', 'pg_temp'
    AS $$ BEGIN RETURN NULL; END $$;

CREATE TABLE public.schema_migrations (
    version character varying NOT NULL,
    done_at timestamp without time zone
);

CREATE TABLE lib.towns (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text NOT NULL,
    country character(2) NOT NULL, -- ! char-type
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT towns_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE lib.towns IS 'A town that runs a library: the tenant.';

CREATE TABLE lib.members (
    town_id uuid NOT NULL,
    id bigint NOT NULL,
    email public.citext NOT NULL,
    password character varying(60) NOT NULL, -- ! secret-in-plain-text varchar-limit
    name character varying(80), -- ! varchar-limit
    newsletter boolean, -- ! nullable-boolean
    updated_at timestamp with time zone,
    created_at timestamp(6) without time zone DEFAULT now() NOT NULL, -- ! timestamp-without-time-zone
    CONSTRAINT members_pkey PRIMARY KEY (town_id, id),
    CONSTRAINT members_email_key UNIQUE (town_id, email)
);
ALTER TABLE lib.members ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE lib.books (
    id bigint NOT NULL, -- ! serial-column
    isbn lib.isbn NOT NULL,
    title text NOT NULL,
    meta json, -- ! json-not-jsonb
    shelf lib.shelf_mark,
    updated_at timestamp with time zone, -- ! updated-at-without-trigger
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT books_pkey PRIMARY KEY (id)
);
CREATE SEQUENCE lib.books_id_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1;
ALTER SEQUENCE lib.books_id_seq OWNED BY lib.books.id;

CREATE TABLE lib.copies (
    town_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    book_id bigint NOT NULL,
    state lib.state DEFAULT 'in'::lib.state NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT copies_pkey PRIMARY KEY (town_id, id)
);

CREATE TABLE lib.loans ( -- ! foreign-key-not-validated
    town_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    copy_id bigint NOT NULL,
    member_id bigint NOT NULL,
    taken timestamp with time zone DEFAULT now() NOT NULL,
    back timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT loans_pkey PRIMARY KEY (town_id, id)
);

CREATE TABLE lib.fines ( -- ! check-not-validated
    town_id uuid NOT NULL, -- ! tenant-key-not-leading id-without-foreign-key
    id bigint NOT NULL, -- ! serial-column
    loan_id bigint NOT NULL,
    amount lib.cents NOT NULL,
    price double precision, -- ! float-money
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT fines_pkey PRIMARY KEY (id)
);

CREATE TABLE lib.reading_list ( -- ! row-security-without-policy grant-to-public
    member_id bigint NOT NULL,
    book_id bigint NOT NULL, -- ! foreign-key-without-index
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT reading_list_pkey PRIMARY KEY (member_id, book_id)
);

CREATE TABLE lib.staff ( -- ! policy-on-table-without-row-security
    town_id uuid NOT NULL, -- ! id-without-foreign-key
    id integer NOT NULL, -- ! integer-primary-key serial-column
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT staff_pkey PRIMARY KEY (id)
);
CREATE SEQUENCE lib.staff_id_seq AS integer;
ALTER SEQUENCE lib.staff_id_seq OWNED BY lib.staff.id;

CREATE TABLE lib.rooms ( -- ! row-security-not-forced
    town_id uuid NOT NULL, -- ! id-without-foreign-key
    number integer NOT NULL,
    phone1 text, -- ! repeated-columns
    phone2 text,
    phone3 text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT rooms_pkey PRIMARY KEY (town_id, number)
);

CREATE TABLE lib.bookings ( -- ! nullable-unique-key
    town_id uuid NOT NULL,
    room integer NOT NULL,
    during tstzrange NOT NULL,
    label text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT bookings_pkey PRIMARY KEY (town_id, room, during),
    CONSTRAINT bookings_label_key UNIQUE (town_id, label)
);

CREATE TABLE lib.reviews ( -- ! table-without-primary-key replica-identity-missing
    book_id bigint, -- ! id-without-foreign-key
    stars smallint,
    body text,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE lib.settings ( -- ! table-without-primary-key trigger-disabled
    key text NOT NULL,
    value jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT settings_key UNIQUE (key)
);
ALTER TABLE lib.settings REPLICA IDENTITY USING INDEX settings_key;

CREATE TABLE lib.attachments (
    id uuid NOT NULL,
    owner_id bigint NOT NULL, -- ! polymorphic-association
    owner_type text NOT NULL,
    media_id text,
    media_type text,
    tag_ids bigint[], -- ! array-of-ids
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT attachments_pkey PRIMARY KEY (id)
);

CREATE TABLE lib.categories ( -- ! name-needs-quotes
    id integer NOT NULL,
    parent_id integer, -- ! foreign-key-without-index
    name text NOT NULL,
    "order" integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT categories_pkey PRIMARY KEY (id)
);

CREATE UNLOGGED TABLE lib.sessions ( -- ! unlogged-table
    token_hash bytea NOT NULL,
    seen timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT sessions_pkey PRIMARY KEY (token_hash)
);

CREATE TABLE lib.visits ( -- ! partition-gap partitioned-without-default
    town_id uuid NOT NULL, -- ! id-without-foreign-key
    at timestamp with time zone NOT NULL,
    member_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT visits_pkey PRIMARY KEY (town_id, at, member_id)
) PARTITION BY RANGE (at);
CREATE TABLE lib.visits_2025_01 PARTITION OF lib.visits
    FOR VALUES FROM ('2025-01-01 00:00:00+00') TO ('2025-02-01 00:00:00+00');
CREATE TABLE lib.visits_2025_02 PARTITION OF lib.visits
    FOR VALUES FROM ('2025-02-01 00:00:00+00') TO ('2025-03-01 00:00:00+00');
CREATE TABLE lib.visits_2025_04 (
    town_id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    member_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE ONLY lib.visits ATTACH PARTITION lib.visits_2025_04
    FOR VALUES FROM ('2025-04-01 00:00:00+00') TO ('2025-05-01 00:00:00+00');

CREATE TABLE lib.events (
    id bigint NOT NULL,
    kind text NOT NULL,
    body json, -- ! json-not-jsonb
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (id, kind)
) PARTITION BY LIST (kind);
CREATE TABLE lib.events_loan PARTITION OF lib.events FOR VALUES IN ('loan') PARTITION BY HASH (id);
CREATE TABLE lib.events_loan_0 PARTITION OF lib.events_loan FOR VALUES WITH (modulus 2, remainder 0);
CREATE TABLE lib.events_loan_1 PARTITION OF lib.events_loan FOR VALUES WITH (modulus 2, remainder 1);
CREATE TABLE lib.events_rest PARTITION OF lib.events DEFAULT;

CREATE TABLE audit.log (
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamp with time zone DEFAULT now() NOT NULL,
    what jsonb NOT NULL,
    book_id bigint,
    CONSTRAINT log_pkey PRIMARY KEY (id)
);

CREATE TABLE audit.readings ( -- ! inheritance-instead-of-partitions
    id bigint NOT NULL,
    year smallint NOT NULL,
    value numeric(12,3),
    taken timestamp with time zone NOT NULL,
    CONSTRAINT readings_pkey PRIMARY KEY (id)
);
CREATE TABLE audit.readings_2024 ( -- ! inherited-without-key replica-identity-missing
    CONSTRAINT readings_2024_year CHECK (year = 2024)
) INHERITS (audit.readings);
CREATE TABLE audit.readings_2025 (
    CONSTRAINT readings_2025_year CHECK (year = 2025),
    CONSTRAINT readings_2025_pkey PRIMARY KEY (id)
) INHERITS (audit.readings);

CREATE TABLE lib.marks OF lib.shelf_mark (PRIMARY KEY (room, number));

CREATE TABLE lib.labels ( -- ! rule-instead-of-trigger
    id bigint NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT labels_pkey PRIMARY KEY (id)
);

CREATE TABLE lib.tags (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, created_at timestamptz);
CREATE TABLE lib.book_tags (
    book_id bigint NOT NULL REFERENCES lib.books ON DELETE CASCADE,
    tag_id bigint NOT NULL REFERENCES lib.tags ON DELETE CASCADE,
    PRIMARY KEY (book_id, tag_id)
);
CREATE INDEX book_tags_tag_idx ON lib.book_tags (tag_id);
CREATE TABLE lib.authors (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, created_at timestamptz);
CREATE TABLE lib.book_authors (
    book_id bigint NOT NULL, -- ! id-without-foreign-key
    author_id bigint NOT NULL, -- ! foreign-key-without-index
    CONSTRAINT book_authors_pkey PRIMARY KEY (book_id, author_id) INCLUDE (author_id)
);
ALTER TABLE ONLY lib.book_authors ADD CONSTRAINT book_authors_author_fkey FOREIGN KEY (author_id) REFERENCES lib.authors(id);
CREATE TABLE lib.holidays (day date PRIMARY KEY, name text NOT NULL, created_at timestamptz);
CREATE TABLE lib.devices (serial text PRIMARY KEY, seen time with time zone, created_at timestamptz); -- ! time-with-time-zone
CREATE TABLE lib.prices (code text PRIMARY KEY, price money NOT NULL, created_at timestamptz); -- ! money-type
CREATE TABLE lib.imports (id uuid PRIMARY KEY, source_uuid text, created_at timestamptz); -- ! uuid-as-text
CREATE TABLE lib.shelves (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    above integer, -- ! foreign-key-type foreign-key-without-index
    created_at timestamptz
);
ALTER TABLE lib.shelves ADD CONSTRAINT shelves_above_fkey FOREIGN KEY (above) REFERENCES lib.shelves(id) DEFERRABLE;

CREATE FOREIGN DATA WRAPPER remote;
CREATE SERVER archive FOREIGN DATA WRAPPER remote;
CREATE FOREIGN TABLE lib.old_loans (id integer, taken timestamp without time zone, note character(10)) SERVER archive;

CREATE VIEW lib.open_loans AS SELECT town_id, id, copy_id FROM lib.loans WHERE back IS NULL; -- ! view-bypasses-row-security
CREATE VIEW lib.own_loans WITH (security_invoker='true') AS SELECT town_id, id FROM lib.loans;
CREATE VIEW lib.all_rooms AS SELECT number FROM lib.bookings, lib.rooms WHERE false; -- ! view-bypasses-row-security
CREATE MATERIALIZED VIEW lib.loans_by_day AS -- ! materialized-view-without-unique-index
    SELECT date_trunc('day', created_at) AS day, count(*) AS n FROM lib.reading_list GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW lib.books_by_title AS SELECT title, count(*) AS n FROM lib.books GROUP BY title WITH NO DATA;
CREATE UNIQUE INDEX books_by_title_key ON lib.books_by_title USING btree (title);

CREATE SEQUENCE lib.fines_id_seq AS integer; -- ! sequence-smaller-than-column
ALTER SEQUENCE lib.fines_id_seq OWNED BY lib.fines.id;
ALTER TABLE ONLY lib.books ALTER COLUMN id SET DEFAULT nextval('lib.books_id_seq'::regclass);
ALTER TABLE ONLY lib.staff ALTER COLUMN id SET DEFAULT nextval('lib.staff_id_seq'::regclass);
ALTER TABLE ONLY lib.fines ALTER COLUMN id SET DEFAULT nextval('lib.fines_id_seq'::regclass);

COPY lib.towns (id, name, country, created_at) FROM stdin;
00000000-0000-0000-0000-000000000001	Oldtown; -- ! not SQL	de	2025-01-01 00:00:00+00
\.

CREATE INDEX copies_book_idx ON lib.copies USING btree (book_id); -- ! redundant-index
CREATE INDEX copies_book_state_idx ON lib.copies USING btree (book_id, state);
CREATE INDEX copies_lost_idx ON lib.copies USING btree (book_id) WHERE (state = 'lost'::lib.state);
CREATE INDEX copies_out_idx ON lib.copies USING btree (town_id) INCLUDE (book_id) WHERE (state = 'out'::lib.state); -- ! duplicate-index
CREATE INDEX copies_out_again_idx ON lib.copies USING btree (town_id DESC) INCLUDE (book_id) WHERE ((state = 'out'::lib.state));
CREATE INDEX loans_copy_idx ON lib.loans USING btree (town_id, copy_id);
CREATE INDEX loans_member_idx ON lib.loans USING btree (town_id, member_id) WHERE (member_id IS NOT NULL);
CREATE UNIQUE INDEX members_name_key ON lib.members USING btree (town_id, name) WHERE (name = ANY (ARRAY['a'::text, 'b'::text]));
CREATE INDEX books_title_idx ON lib.books USING btree (lower(title) text_pattern_ops);
CREATE INDEX books_title_plain_idx ON lib.books USING btree (lower(title));
CREATE INDEX visits_member_idx ON ONLY lib.visits USING btree (member_id); -- ! index-on-partitioned-only
CREATE INDEX visits_2025_01_member_idx ON lib.visits_2025_01 USING btree (member_id);
ALTER INDEX lib.visits_member_idx ATTACH PARTITION lib.visits_2025_01_member_idx;

CREATE TRIGGER members_touch BEFORE UPDATE ON lib.members FOR EACH ROW EXECUTE FUNCTION lib.touch();
CREATE TRIGGER members_forget AFTER DELETE ON lib.members FOR EACH ROW EXECUTE FUNCTION lib.forget();
CREATE TRIGGER log_refuse BEFORE UPDATE OR DELETE ON audit.log FOR EACH ROW EXECUTE FUNCTION lib.refuse();
CREATE CONSTRAINT TRIGGER labels_guard AFTER INSERT ON lib.labels DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION lib.guard();
CREATE RULE labels_keep AS ON DELETE TO lib.labels DO INSTEAD NOTHING;
CREATE TRIGGER settings_guard AFTER INSERT ON lib.settings FOR EACH STATEMENT EXECUTE FUNCTION lib.guard();
ALTER TABLE lib.settings DISABLE TRIGGER settings_guard;

ALTER TABLE ONLY lib.members ADD CONSTRAINT members_town_fkey FOREIGN KEY (town_id) REFERENCES lib.towns(id);
ALTER TABLE ONLY lib.copies ADD CONSTRAINT copies_town_fkey FOREIGN KEY (town_id) REFERENCES lib.towns(id);
ALTER TABLE ONLY lib.copies ADD CONSTRAINT copies_book_fkey FOREIGN KEY (book_id) REFERENCES lib.books(id);
ALTER TABLE ONLY lib.loans ADD CONSTRAINT loans_copy_fkey FOREIGN KEY (town_id, copy_id) REFERENCES lib.copies(town_id, id);
ALTER TABLE ONLY lib.loans ADD CONSTRAINT loans_member_fkey FOREIGN KEY (town_id, member_id)
    REFERENCES lib.members(town_id, id) NOT VALID;
ALTER TABLE ONLY lib.reading_list ADD CONSTRAINT list_book_fkey FOREIGN KEY (book_id) REFERENCES lib.books(id);
ALTER TABLE ONLY lib.categories ADD CONSTRAINT categories_parent_fkey FOREIGN KEY (parent_id) REFERENCES lib.categories(id);
ALTER TABLE ONLY lib.bookings ADD CONSTRAINT bookings_room_fkey FOREIGN KEY (town_id, room) REFERENCES lib.rooms(town_id, number);
ALTER TABLE lib.fines ADD CONSTRAINT fines_due CHECK (price > 0) NOT VALID;

ALTER TABLE lib.loans ENABLE ROW LEVEL SECURITY;
CREATE POLICY loans_town ON lib.loans USING ((town_id = lib.town()));
ALTER TABLE lib.fines ENABLE ROW LEVEL SECURITY;
ALTER TABLE ONLY lib.fines FORCE ROW LEVEL SECURITY;
CREATE POLICY fines_town ON lib.fines -- ! policy-opens-when-unset
    USING (((current_setting('app.town'::text, true) IS NULL) OR (town_id = lib.town())));
ALTER TABLE lib.reading_list ENABLE ROW LEVEL SECURITY;
CREATE POLICY staff_town ON lib.staff USING ((town_id = lib.town()));
CREATE INDEX staff_town_idx ON lib.staff USING btree (town_id);
ALTER TABLE lib.rooms ENABLE ROW LEVEL SECURITY;
CREATE POLICY rooms_town ON lib.rooms USING ((town_id = (current_setting('app.town'::text))::uuid)) WITH CHECK (true); -- ! policy-errors-when-unset policy-without-check
ALTER TABLE lib.bookings ENABLE ROW LEVEL SECURITY;
ALTER TABLE ONLY lib.bookings FORCE ROW LEVEL SECURITY;
CREATE POLICY bookings_town ON lib.bookings USING ((town_id = lib.town()));

CREATE PUBLICATION everything FOR ALL TABLES; -- ! publication-for-all-tables

GRANT ALL ON SCHEMA public TO PUBLIC;
GRANT USAGE ON SCHEMA lib TO app, reporting;
GRANT SELECT, INSERT, UPDATE ON lib.loans, lib.fines TO app;
GRANT SELECT ON lib.reading_list TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA lib TO reporting;
REVOKE SELECT ON lib.members, lib.rooms, lib.loans_by_day FROM reporting;
