-- Tables of the equality test. A blank line ends a transaction; so it does in the other files here.

CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE SCHEMA other;
CREATE SCHEMA "Odd Schema";

CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy, "very"');
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE DOMAIN small_positive AS positive CHECK (value < 1000);
CREATE DOMAIN yes_or_no AS boolean;
CREATE DOMAIN bytes AS bytea;
CREATE DOMAIN ratio AS double precision;
CREATE DOMAIN several AS int[];
CREATE TYPE inner_pair AS (a text, b bytea);
CREATE TYPE pair AS (n int, t text, p inner_pair, m mood);
CREATE DOMAIN valid_pair AS pair CHECK ((value).n IS DISTINCT FROM 13);
CREATE TYPE float_range AS RANGE (subtype = float8);

CREATE TABLE every_type (
  id int PRIMARY KEY,
  c_bool bool, c_int2 int2, c_int4 int4, c_int8 int8, c_oid oid, c_float4 float4, c_float8 float8,
  c_numeric numeric, c_numeric_scaled numeric(20, 5), c_money money,
  c_text text, c_varchar varchar(20), c_char char(8), c_one "char", c_name name, c_citext citext,
  c_bytea bytea, c_bit bit(5), c_varbit varbit,
  c_date date, c_time time, c_time3 time(3), c_timetz timetz, c_timestamp timestamp, c_timestamptz timestamptz,
  c_interval interval, c_interval_ym interval year to month,
  c_uuid uuid, c_json json, c_jsonb jsonb, c_jsonpath jsonpath, c_xml xml, c_hstore hstore,
  c_inet inet, c_cidr cidr, c_macaddr macaddr, c_macaddr8 macaddr8,
  c_point point, c_line line, c_lseg lseg, c_box box, c_path path, c_polygon polygon, c_circle circle,
  c_tsvector tsvector, c_tsquery tsquery,
  c_int4range int4range, c_numrange numrange, c_tstzrange tstzrange, c_daterange daterange,
  c_float_range float_range, c_multirange int4multirange,
  c_ints int[], c_texts text[], c_bools bool[], c_numerics numeric[], c_stamps timestamptz[], c_byteas bytea[],
  c_jsons json[], c_moods mood[], c_pairs pair[],
  c_mood mood, c_positive positive, c_small small_positive, c_yes yes_or_no, c_bytes bytes, c_ratio ratio,
  c_several several, c_pair pair, c_valid_pair valid_pair,
  c_lsn pg_lsn, c_snapshot pg_snapshot, c_xid xid, c_xid8 xid8, c_cid cid, c_tid tid,
  c_int2vector int2vector, c_oidvector oidvector, c_regclass regclass, c_regtype regtype, c_regproc regproc
);

CREATE TABLE every_type_full (LIKE every_type);
ALTER TABLE every_type_full REPLICA IDENTITY FULL;

CREATE TABLE texts (id int PRIMARY KEY, t text, a text[], j json);

CREATE TABLE "x""; DROP TABLE y; --" (
  "id""; --" int, "Select" text, "ünï 🎉" text, " spaces " text, "a.b" text, "$1" text, ":x" text, "?" text,
  "it's" text, "order" text, "back\slash" text, "%s" text, "new
line" text, PRIMARY KEY ("it's", "id""; --"));

CREATE TABLE "Odd Schema"."Table" ("Id" int PRIMARY KEY, "rowid" text, "oid" text);

CREATE TABLE other."T" (id int PRIMARY KEY, v text);

CREATE TABLE rowids (rowid int, "_rowid_" text);
ALTER TABLE rowids REPLICA IDENTITY FULL;

-- Identities.
CREATE TABLE by_index (n int, code text NOT NULL, region int NOT NULL, v text);
CREATE UNIQUE INDEX by_index_key ON by_index (region, code);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_key;

CREATE TABLE by_other_index (id int PRIMARY KEY, code text NOT NULL, v text);
CREATE UNIQUE INDEX by_other_index_key ON by_other_index (code);
ALTER TABLE by_other_index REPLICA IDENTITY USING INDEX by_other_index_key;

CREATE TABLE full_with_key (id int PRIMARY KEY, v text, f float8, j json);
ALTER TABLE full_with_key REPLICA IDENTITY FULL;

CREATE TABLE full_without_key (n int, v text, f float8, j json, x numeric);
ALTER TABLE full_without_key REPLICA IDENTITY FULL;

CREATE TABLE full_nothing_set (n int, v text);

CREATE TABLE only_key (a int, b text, PRIMARY KEY (b, a));

CREATE TABLE compound (v text, c text, a int, b date, w text, PRIMARY KEY (b, a, c));

-- Keys of every kind.
CREATE TABLE key_text (k text PRIMARY KEY, v int);
CREATE TABLE key_char (k char(5) PRIMARY KEY, v int);
CREATE TABLE key_citext (k citext PRIMARY KEY, v int);
CREATE TABLE key_numeric (k numeric PRIMARY KEY, v int);
CREATE TABLE key_float (k float8 PRIMARY KEY, v int);
CREATE TABLE key_float4 (k float4 PRIMARY KEY, v int);
CREATE TABLE key_bool (k bool PRIMARY KEY, v int);
CREATE TABLE key_bytea (k bytea PRIMARY KEY, v int);
CREATE TABLE key_enum (k mood PRIMARY KEY, v int);
CREATE TABLE key_uuid (k uuid PRIMARY KEY, v int);
CREATE TABLE key_stamp (k timestamptz PRIMARY KEY, v int);
CREATE TABLE key_array (k int[] PRIMARY KEY, v int);
CREATE TABLE key_domain (k small_positive PRIMARY KEY, v int);
CREATE TABLE key_bigint (k bigint PRIMARY KEY, v int);
CREATE TABLE key_pair (k pair PRIMARY KEY, v int);
CREATE TABLE key_interval (k interval PRIMARY KEY, v int);
CREATE TABLE key_jsonb (k jsonb PRIMARY KEY, v int);

-- Order of changes within a transaction.
CREATE TABLE swaps (id int PRIMARY KEY, v text);
CREATE TABLE shifted (id int PRIMARY KEY, v text);
CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text);
ALTER TABLE deferred REPLICA IDENTITY FULL;
CREATE TABLE secondary (id int PRIMARY KEY, u int UNIQUE DEFERRABLE INITIALLY DEFERRED, v text);

-- Values out of line.
CREATE TABLE toasted (id int PRIMARY KEY, n int, t text, b bytea, j jsonb, a text[], p pair);
ALTER TABLE toasted ALTER t SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL;
CREATE TABLE toasted_key (k text PRIMARY KEY, v int, t text);
ALTER TABLE toasted_key ALTER k SET STORAGE EXTERNAL, ALTER t SET STORAGE EXTERNAL;
CREATE TABLE toasted_full (id int, n int, t text);
ALTER TABLE toasted_full ALTER t SET STORAGE EXTERNAL;
ALTER TABLE toasted_full REPLICA IDENTITY FULL;
CREATE TABLE toasted_full_key (id int PRIMARY KEY, n int, t text);
ALTER TABLE toasted_full_key ALTER t SET STORAGE EXTERNAL;
ALTER TABLE toasted_full_key REPLICA IDENTITY FULL;
CREATE TABLE toasted_index (code text NOT NULL UNIQUE, n int, t text);
ALTER TABLE toasted_index ALTER t SET STORAGE EXTERNAL;
ALTER TABLE toasted_index REPLICA IDENTITY USING INDEX toasted_index_code_key;

-- Relations between tables.
CREATE TABLE parent (id int PRIMARY KEY, v text);
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, v text);
CREATE TABLE audit (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text, row_id int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO audit (what, row_id) VALUES (TG_OP, coalesce(NEW.id, OLD.id));
  RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON parent FOR EACH ROW EXECUTE FUNCTION note();

CREATE TABLE base (id int PRIMARY KEY, v text);
CREATE TABLE heir (extra text, PRIMARY KEY (id)) INHERITS (base);

CREATE TABLE parted (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parted_north PARTITION OF parted FOR VALUES IN ('north');
CREATE TABLE parted_south (gone int, v text, region text NOT NULL, id int NOT NULL);
ALTER TABLE parted_south DROP gone;
ALTER TABLE parted ATTACH PARTITION parted_south FOR VALUES IN ('south');
CREATE TABLE parted_rest PARTITION OF parted DEFAULT PARTITION BY RANGE (id);
CREATE TABLE parted_rest_low PARTITION OF parted_rest FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_rest_high PARTITION OF parted_rest FOR VALUES FROM (100) TO (maxvalue);

-- Columns that are not what they seem.
CREATE TABLE dropped_columns (gone1 int, id int, gone2 text, v text, gone3 int, PRIMARY KEY (id));
ALTER TABLE dropped_columns DROP gone1, DROP gone2, DROP gone3, ADD w text DEFAULT 'added later';
CREATE TABLE generated_columns (id int PRIMARY KEY, v text, twice text GENERATED ALWAYS AS (v || v) STORED, w text);

-- Tables that take no part, and ones that are emptied.
CREATE TABLE empty_for_ever (id int PRIMARY KEY, v text);
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
CREATE VIEW seen AS SELECT * FROM texts;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM texts;
CREATE TABLE emptied (id int PRIMARY KEY, v text);
CREATE TABLE emptied_too (id serial PRIMARY KEY, v text);
CREATE TABLE emptied_child (id int PRIMARY KEY, parent int REFERENCES emptied, v text);

DO $$ BEGIN
  EXECUTE 'CREATE TABLE many_columns (id int PRIMARY KEY, '
    || (SELECT string_agg(format('c%s text', i), ', ') FROM generate_series(1, 400) i) || ')';
END $$;
