-- Every kind of statement, under every identity.

INSERT INTO "x""; DROP TABLE y; --" ("id""; --", "it's", "a.b", "$1", ":x", "?") VALUES (6, '''', 'ab', 'one', 'x', 'q');
UPDATE "x""; DROP TABLE y; --" SET "order" = 'o', "back\slash" = '\', "%s" = '%', "new
line" = NULL WHERE "id""; --" < 4;
UPDATE "x""; DROP TABLE y; --" SET "it's" = '"; --' WHERE "id""; --" = 2;
DELETE FROM "x""; DROP TABLE y; --" WHERE "id""; --" = 3;
INSERT INTO "Odd Schema"."Table" VALUES (3, 'r', NULL);
UPDATE "Odd Schema"."Table" SET "rowid" = 'changed', "Id" = 4 WHERE "Id" = 1;
DELETE FROM "Odd Schema"."Table" WHERE "Id" = 2;
UPDATE other."T" SET v = v || '!';
INSERT INTO other."T" VALUES (3, NULL);

INSERT INTO rowids VALUES (1, 'a'), (8, NULL);
UPDATE rowids SET rowid = 2 WHERE ctid = (SELECT min(ctid) FROM rowids WHERE rowid = 1);
DELETE FROM rowids WHERE ctid = (SELECT min(ctid) FROM rowids WHERE rowid = 1);
UPDATE rowids SET "_rowid_" = 'was null' WHERE rowid IS NULL;
DELETE FROM rowids WHERE rowid = 7;

UPDATE by_index SET v = 'changed' WHERE n = 1;
UPDATE by_index SET code = 'c' WHERE n = 2;
UPDATE by_index SET code = code, region = region, n = n;
DELETE FROM by_index WHERE n IS NULL;
INSERT INTO by_index VALUES (5, 'a', 5, NULL);

UPDATE by_other_index SET id = id + 10;
UPDATE by_other_index SET code = code || 'x', v = NULL WHERE code = 'a';
DELETE FROM by_other_index WHERE code = 'b';

UPDATE full_with_key SET v = 'n' WHERE f = 'NaN' OR f = 0;
UPDATE full_with_key SET id = id + 100, f = NULL;
UPDATE full_with_key SET f = '-0', j = '{"a":  1}';
UPDATE full_with_key SET f = '0';
DELETE FROM full_with_key WHERE v IS NULL OR v = '';

UPDATE full_without_key SET v = 'one of three' WHERE ctid IN (SELECT min(ctid) FROM full_without_key GROUP BY n, v, f::text, j::text, x::text);
UPDATE full_without_key SET n = 1 WHERE n IS NULL;
DELETE FROM full_without_key WHERE ctid IN (SELECT max(ctid) FROM full_without_key GROUP BY n, v, f::text, j::text, x::text);
UPDATE full_without_key SET x = 1.000 WHERE x = 1;
UPDATE full_without_key SET f = '-0' WHERE f = 0;
DELETE FROM full_without_key WHERE f = 0 AND n = 2 AND v = 'one of three';
INSERT INTO full_without_key SELECT * FROM full_without_key;

UPDATE full_nothing_set SET v = 'b' WHERE ctid = (SELECT min(ctid) FROM full_nothing_set WHERE n = 1);
DELETE FROM full_nothing_set WHERE n IS NULL;

UPDATE only_key SET a = 5 WHERE a = 2;
UPDATE only_key SET a = a;
DELETE FROM only_key WHERE b = 'b';
INSERT INTO only_key VALUES (1, 'b');

UPDATE compound SET b = '2021-01-01', v = 'moved' WHERE a = 1;
UPDATE compound SET w = 'x' WHERE a = 2;
UPDATE compound SET c = 'C', a = 3 WHERE a = 2;

UPDATE key_text SET v = 2; UPDATE key_text SET k = k || '!' WHERE k IN ('', 'a', 'A'); DELETE FROM key_text WHERE k IN ('a ', 'ä', ' ');
UPDATE key_char SET v = 2; UPDATE key_char SET k = 'b' WHERE k = 'a'; DELETE FROM key_char WHERE k IN ('', 'A');
UPDATE key_citext SET v = 2; UPDATE key_citext SET k = 'ABC' WHERE k = 'abc'; DELETE FROM key_citext WHERE k = 'DEF';
UPDATE key_numeric SET v = 2; UPDATE key_numeric SET k = 1.00 WHERE k = 1; UPDATE key_numeric SET v = 3 WHERE k = 1; DELETE FROM key_numeric WHERE k IN (2, 0);
DELETE FROM key_numeric WHERE k IN (1e100, 'NaN');
UPDATE key_float SET v = 2; UPDATE key_float SET k = '0' WHERE k = 0; UPDATE key_float SET v = 3 WHERE k = 0; DELETE FROM key_float WHERE k IN ('NaN', '-Infinity', 0.1);
UPDATE key_float SET k = '-0' WHERE k = 0;
UPDATE key_float4 SET v = 2; UPDATE key_float4 SET k = '0' WHERE k = 0; DELETE FROM key_float4 WHERE k IN ('NaN', '-Infinity') OR k = 0.1::float4;
UPDATE key_bool SET v = 2; DELETE FROM key_bool WHERE k;
UPDATE key_bytea SET v = 2; UPDATE key_bytea SET k = '\x000000' WHERE k = '\x00'; DELETE FROM key_bytea WHERE k IN ('', '\xff');
UPDATE key_enum SET v = 2; DELETE FROM key_enum WHERE k = 'it''s ok';
UPDATE key_uuid SET v = 2; DELETE FROM key_uuid WHERE k = md5('2')::uuid;
UPDATE key_stamp SET v = 2; DELETE FROM key_stamp WHERE k IN ('-infinity', '0044-03-15 00:00:00+00 BC');
UPDATE key_array SET v = 2; DELETE FROM key_array WHERE k IN ('{}', '[0:1]={1,2}');
UPDATE key_domain SET v = 2; UPDATE key_domain SET k = 10 WHERE k = 1; DELETE FROM key_domain WHERE k = 2;
UPDATE key_bigint SET v = 2; UPDATE key_bigint SET k = 1 WHERE k = 9223372036854775807; DELETE FROM key_bigint WHERE k < 0;
UPDATE key_pair SET v = 2; DELETE FROM key_pair WHERE (k).n = 1;
UPDATE key_interval SET v = 2; UPDATE key_interval SET k = '30 days' WHERE k = '1 mon'; DELETE FROM key_interval WHERE k = '-1 day';
UPDATE key_jsonb SET v = 2; UPDATE key_jsonb SET k = '{"a": 1.00}' WHERE k = '{"a": 1}'; DELETE FROM key_jsonb WHERE k = 'null';

UPDATE swaps SET id = -1 WHERE id = 1;
UPDATE swaps SET id = 1 WHERE id = 2;
UPDATE swaps SET id = 2 WHERE id = -1;

DELETE FROM swaps WHERE id = 3;
INSERT INTO swaps VALUES (3, 'three again');
DELETE FROM swaps WHERE id = 3;
INSERT INTO swaps VALUES (3, 'three once more');
UPDATE swaps SET v = v || '!' WHERE id = 3;

INSERT INTO swaps VALUES (9, 'short-lived');
UPDATE swaps SET id = 10 WHERE id = 9;
DELETE FROM swaps WHERE id = 10;

UPDATE shifted SET id = id + 1;

UPDATE shifted SET id = -id;

UPDATE deferred SET id = id + 1;

UPDATE deferred SET id = CASE id WHEN 2 THEN 3 WHEN 3 THEN 2 ELSE id END;

UPDATE secondary SET u = u + 1;

UPDATE secondary SET u = 7 - u;

UPDATE toasted SET n = n + 1 WHERE id = 1;
UPDATE toasted SET id = id + 100 WHERE id = 2;
UPDATE toasted SET id = id + 100, t = 'short' WHERE id = 3;
UPDATE toasted SET t = NULL, b = NULL WHERE id = 4;
UPDATE toasted SET t = repeat('new', 50000) WHERE id = 5;
UPDATE toasted SET j = j || '{"more": 1}' WHERE id = 6;
UPDATE toasted SET n = NULL, id = id + 100 WHERE id = 5;
UPDATE toasted SET n = n + 1, b = b || '\x00' WHERE id = 105;
DELETE FROM toasted WHERE id = 7;

UPDATE toasted SET t = repeat('back', 5000) WHERE id = 4;
UPDATE toasted SET n = 44 WHERE id = 4;
UPDATE toasted SET id = 8888 WHERE id = 8;
UPDATE toasted SET id = 8 WHERE id = 9;

UPDATE toasted_key SET v = v + 1;
UPDATE toasted_key SET k = repeat('K', 2600) || v, v = -1 WHERE v = 3;
UPDATE toasted_key SET t = 'short' WHERE v = 4;
DELETE FROM toasted_key WHERE v = 5;

UPDATE toasted_full SET n = n + 1 WHERE id = 3;
UPDATE toasted_full SET n = n + 1 WHERE ctid = (SELECT min(ctid) FROM toasted_full WHERE id = 1);
UPDATE toasted_full SET id = 40, t = t WHERE id = 4;
DELETE FROM toasted_full WHERE id = 5;
DELETE FROM toasted_full WHERE ctid = (SELECT min(ctid) FROM toasted_full WHERE id = 2);

UPDATE toasted_full_key SET n = n + 1 WHERE id = 3;
UPDATE toasted_full_key SET id = 40 WHERE id = 4;
DELETE FROM toasted_full_key WHERE id = 5;

UPDATE toasted_index SET n = n + 1 WHERE n = 3;
UPDATE toasted_index SET code = 'new' WHERE n = 1;
DELETE FROM toasted_index WHERE n = 5;

INSERT INTO parent VALUES (7, 'x') ON CONFLICT (id) DO UPDATE SET v = 'conflict';
INSERT INTO parent VALUES (7, 'y') ON CONFLICT (id) DO UPDATE SET v = 'conflict';
INSERT INTO parent VALUES (7, 'z') ON CONFLICT DO NOTHING;
UPDATE parent SET id = 60 WHERE id = 6;
DELETE FROM parent WHERE id = 1;
UPDATE child SET v = p.v || 'joined' FROM parent p WHERE p.id = child.parent AND p.id < 4;
DELETE FROM child USING parent p WHERE p.id = child.parent AND p.id = 4;

WITH gone AS (DELETE FROM child WHERE parent = 3 RETURNING *), back AS (INSERT INTO child SELECT id + 100, 2, v FROM gone RETURNING id)
UPDATE parent SET v = 'with' WHERE id IN (SELECT 2 FROM back);

UPDATE base SET v = v || '+';
DELETE FROM ONLY base WHERE id = 1;
INSERT INTO base VALUES (5, 'base only');

INSERT INTO parted VALUES (50, 'south', NULL), (51, 'nowhere', 'default'), (300, 'x', 'high');
UPDATE parted SET v = v || '!' WHERE id < 6;
UPDATE parted SET region = 'south' WHERE region = 'north';
UPDATE parted SET id = id + 100 WHERE region = 'south';
UPDATE parted SET id = 99 WHERE id = 300;
DELETE FROM parted WHERE id IN (51, 200, 103);

INSERT INTO parted_south (v, region, id) VALUES ('into the leaf', 'south', 70);
UPDATE parted_rest SET v = 'by the middle' WHERE region = 'east';

INSERT INTO dropped_columns VALUES (3, 'c', DEFAULT), (4, NULL, 'd');
UPDATE dropped_columns SET w = NULL WHERE id = 1;
UPDATE dropped_columns SET id = 22 WHERE id = 2;
INSERT INTO generated_columns (id, v, w) VALUES (3, 'c', NULL);
UPDATE generated_columns SET v = 'b', id = 11 WHERE id = 1;
DELETE FROM generated_columns WHERE id = 2;

UPDATE many_columns SET c300 = 'set' WHERE id = 1;
INSERT INTO many_columns (id, c399) VALUES (3, 'x');
DELETE FROM many_columns WHERE id = 2;

BEGIN;
INSERT INTO emptied VALUES (100, 'before a savepoint');
SAVEPOINT a;
INSERT INTO emptied VALUES (101, 'lost');
UPDATE emptied SET v = 'lost';
SAVEPOINT b;
DELETE FROM emptied_child;
ROLLBACK TO a;
INSERT INTO emptied VALUES (101, 'kept');
SAVEPOINT c;
UPDATE emptied SET v = 'kept' WHERE id = 1;
RELEASE c;
COMMIT;

BEGIN;
TRUNCATE emptied CASCADE;
DELETE FROM emptied_too;
ROLLBACK;

DO $$ BEGIN
  INSERT INTO emptied VALUES (500, 'kept');
  BEGIN
    INSERT INTO emptied VALUES (501, 'lost');
    INSERT INTO emptied VALUES (1, 'exists');
  EXCEPTION WHEN unique_violation THEN
    INSERT INTO emptied VALUES (502, 'kept');
  END;
END $$;

BEGIN;
INSERT INTO emptied VALUES (600, 'prepared');
UPDATE parent SET v = 'prepared' WHERE id = 2;
PREPARE TRANSACTION 'equality';

COMMIT PREPARED 'equality';

BEGIN;
INSERT INTO emptied VALUES (601, 'never');
PREPARE TRANSACTION 'equality';

ROLLBACK PREPARED 'equality';

-- Definitions that change and change back, or change without another meaning.

BEGIN;
INSERT INTO swaps VALUES (20, 'before');
SAVEPOINT a;
ALTER TABLE swaps ADD extra int DEFAULT 7;
INSERT INTO swaps VALUES (21, 'lost', 1);
ROLLBACK TO a;
INSERT INTO swaps VALUES (21, 'kept');
COMMIT;

BEGIN;
ALTER TABLE swaps DROP v;
INSERT INTO swaps VALUES (22);
ROLLBACK;

ALTER TABLE swaps ALTER v SET STATISTICS 10;
ALTER TABLE swaps ADD CHECK (id > -1000);
CREATE INDEX ON swaps (v);
UPDATE swaps SET v = v || '.';

ALTER TABLE swaps REPLICA IDENTITY FULL;
UPDATE swaps SET id = id + 100 WHERE id > 20;

ALTER TABLE swaps REPLICA IDENTITY DEFAULT;
DELETE FROM swaps WHERE id = 20;

VACUUM FULL shifted;

CLUSTER swaps USING swaps_pkey;

UPDATE shifted SET v = v || 'moved';
UPDATE swaps SET v = v || 'moved';
