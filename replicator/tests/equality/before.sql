-- Rows that lie there when the replicator comes: they are copied.

SET extra_float_digits = 3;
INSERT INTO every_type (id) VALUES (0);

-- The least of everything, or what looks most like nothing.
INSERT INTO every_type VALUES (1,
  'f', -32768, -2147483648, -9223372036854775808, 0, '-0', '-0',
  '0e-1', '-0.00001', '-92233720368547758.08',
  '', '', '', '', '', '',
  '', '00000', '',
  '4713-01-01 BC', '00:00:00', '00:00:00', '00:00:00+15:59:59', '4713-01-01 00:00:00 BC', '4713-01-01 00:00:00+00 BC',
  '-178000000 years', '-1 year -2 months',
  '00000000-0000-0000-0000-000000000000', 'null', 'null', '$', '', '',
  '0.0.0.0/0', '0.0.0.0/0', '00:00:00:00:00:00', '00:00:00:00:00:00:00:00',
  '(0,0)', '{0,1,0}', '[(0,0),(0,0)]', '(0,0),(0,0)', '[(0,0)]', '((0,0))', '<(0,0),0>',
  '', '',
  'empty', 'empty', 'empty', 'empty', 'empty', '{}',
  '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
  'sad', 1, 1, 'f', '', '-0', '{}', '(,,,)', '(,,,)',
  '0/0', '1:1:', '0', '0', '0', '(0,0)', '', '', '0', '0', '0');

-- The most of everything.
INSERT INTO every_type VALUES (2,
  't', 32767, 2147483647, 9223372036854775807, 4294967295, 'NaN', 'NaN',
  'NaN', '999999999999999.99999', '92233720368547758.07',
  U&'t\+10FFFF', 'f', '12345678', 'x', repeat('n', 63)::name, 'MiXeD',
  '\x00ff5c27220a0d09', '10101', '1010101010101010101010101010101010101010101010101010101010101010101',
  '5874897-12-31', '24:00:00', '23:59:59.999', '24:00:00-15:59:59', '294276-12-31 23:59:59.999999',
  '294276-12-31 23:59:59.999999+00', '178000000 years 11 mons 30 days 23:59:59.999999', '99 years 11 months',
  'ffffffff-ffff-ffff-ffff-ffffffffffff', '{"a": 1, "a" :2,  "b":[ ]}', '{"a": 1, "a": 2, "b": 1.500}',
  'strict $.a[*] ? (@ > 1).b', '<a b="c">&lt;<!-- x --></a>', '"a b"=>"c\"d", "e"=>NULL',
  'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '::ffff:1.2.3.0/120', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff',
  '(1e300,-1e-300)', '{1,-1,0.1}', '[(1,2),(3,4)]', '(3,4),(1,2)', '((1,2),(3,4))', '((1,2),(3,4),(5,6))',
  '<(1.5,2.5),1e10>',
  '''a b'':1A,2B ''it''''s'':3', '''a'' & !( ''b'':*A | ''c d'' )',
  '[-2147483648,2147483647)', '(,)', '["0044-03-15 00:00:00+00 BC",infinity]', '[2020-01-01,2020-02-29]',
  '(-Infinity,Infinity)', '{[1,3),[5,7),[100,)}',
  '[0:1]={7,8}', '{{a,b},{c,d}}', '{t,f,NULL}', '{NaN,0.10,Infinity}', '{-infinity,"0044-03-15 00:00:00+00 BC",NULL}',
  '{"\\x00","\\xff"}', '{"{\"a\": [1, 2]}",null}', '{sad,"happy, \"very\""}', '{"(1,\"a,b\",\"(\"\"x \"\"\"\"y\"\"\"\"\"\",)\",sad)",NULL}',
  'happy, "very"', 2147483647, 999, 't', '\x00', '1e308', '[-5:-4]={1,NULL}',
  ROW(1, 'a "quoted", (comma) \ text', ROW('', '\x00ff'), 'it''s ok')::pair, ROW(NULL, '', NULL, 'sad')::pair,
  'FFFFFFFF/FFFFFFFF', '10:20:10,14,15', '4294967295', '18446744073709551615', '4294967295', '(4294967295,65535)',
  '1 2 -3', '1 2 4294967295', 'pg_class', 'character varying', 'pg_catalog.now');

-- Special values.
INSERT INTO every_type (id, c_float4, c_float8, c_numeric, c_text, c_char, c_one, c_date, c_timestamp, c_timestamptz, c_timetz,
                        c_interval, c_texts, c_ints, c_money, c_ratio, c_json, c_jsonb, c_tstzrange, c_bytea) VALUES
  (3, 'Infinity', 'Infinity', 'Infinity', 't', 'a', E'\\200', 'infinity', 'infinity', 'infinity', '12:00:00+05:30:17', '1 mon -1 day +00:00:01',
   '{NULL,"NULL","",",","\"","\\","{","}"," "}', '{NULL,1}', '-$1,234.56', 'NaN', '""', '""', '(,infinity)', '\x5c78'),
  (4, '-Infinity', '-Infinity', '-Infinity', 'f', 'a ', E'\\377', '-infinity', '-infinity', '-infinity', '00:00:00.000001-00:00:01', '-00:00:00.000001',
   '[5:6]={a,b}', '[1:2][0:1]={{1,2},{3,4}}', '0.01', 'Infinity', '[1,2]', '{"b": {"a": [null, true, 1e20, 1E-7]}}', '[-infinity,)', '\x2e'),
  (5, 1e-45, 5e-324, ('1' || repeat('0', 998) || '7')::numeric, E'\\N', '       a', '\', '0044-03-15 BC', '0044-03-15 12:34:56.789 BC', '20000-01-01 00:00:00+00', '24:00:00+00', '1 year',
   '{{{a}}}', NULL, '0', '-0', ' {"a"  :1}', '"\u00e9\\u0000 \ud83d\ude00"', 'empty', decode(repeat('00', 5000), 'hex')),
  (6, 3.4028235e38, 1.7976931348623157e308, ('0.' || repeat('0', 998) || '1')::numeric, '\', 'ü', 'a', '0001-01-01', '0001-01-01 00:00:00', '0001-12-31 23:59:59+00 BC', '00:00', 'P1Y2M3DT4H5M6.7S',
   NULL, '{-2147483648}', NULL, 0.1, 'true', 'false', NULL, NULL),
  (7, 0.1, 0.1, 1.00, E'\r\n', 'b', 'b', '2000-02-29', '2000-02-29 00:00:00.1', '1900-01-01 00:00:00.000001+00', '01:02:03.4', '-1 year -2 mons +3 days -04:05:06.7',
   '{"a\r\nb"}', NULL, NULL, 1e15, '0.10', '0.10', NULL, '\x'),
  (8, 16777216, 9007199254740993, 1e20, '''', 'c', 'c', '9999-12-31', '9999-12-31 23:59:59', '10000-01-01 00:00:00+00', NULL, '00:00:00',
   NULL, NULL, NULL, 123456789.123456789, '-0', '-0.0', NULL, NULL),
  (9, 1e6, 1e15, -1e-20, E'\t\b\f\v\x01\x7f', 'd', 'd', '1999-12-31', '1999-12-31 24:00:00', NULL, NULL, '1000000 hours',
   NULL, NULL, NULL, 1e16, '1E400', '1E400', NULL, NULL),
  (10, 1e5, 123456789012345678, 12345678901234567890.12345678901234567890, repeat('long ', 4000), 'e', 'e', NULL, NULL, NULL, NULL, NULL,
   array_fill('x'::text, ARRAY[3000]), NULL, NULL, 9.99999999999999e22, NULL, NULL, NULL, decode(repeat('5c', 4000), 'hex'));

INSERT INTO every_type_full SELECT * FROM every_type;
INSERT INTO every_type_full SELECT * FROM every_type WHERE id IN (0, 2, 3);
INSERT INTO every_type_full SELECT * FROM every_type WHERE id IN (0, 3);

INSERT INTO texts (id, t) SELECT i, t FROM unnest(ARRAY['t', 'f', '\N', '''', '\', E'\r\n', '', U&'\+10FFFF', NULL, 'NULL',
  E'a\tb', E'a\nb', E'a\rb', '\\', '\n', 'x''; DROP TABLE y; --', '"', '{}', '()', '0', '-0', 'NaN', '1e5', '  ', U&'\FEFF',
  U&'\0301e', U&'\200F', repeat('é', 5000), '\x00', '%', '?', '$1', ':a', E'\x01', E'\x1a', E'\x7f', '\.', E'\\.\n'])
  WITH ORDINALITY AS t (t, i);
UPDATE texts SET a = ARRAY[t, NULL, t], j = to_json(t);

INSERT INTO "x""; DROP TABLE y; --" ("id""; --", "it's", "Select", "ünï 🎉", " spaces ", "new
line") SELECT i, 'it''s ' || i, 's', 'ü', ' ', E'\n' FROM generate_series(1, 5) i;
INSERT INTO "Odd Schema"."Table" VALUES (1, 'r', 'o'), (2, NULL, NULL);
INSERT INTO other."T" VALUES (1, 'one'), (2, 'two');
INSERT INTO rowids VALUES (1, 'a'), (1, 'a'), (NULL, NULL), (7, 'x');

INSERT INTO by_index VALUES (1, 'a', 1, 'x'), (2, 'a', 2, NULL), (NULL, 'b', 1, 'y');
INSERT INTO by_other_index VALUES (1, 'a', 'x'), (2, 'b', NULL), (3, 'c', 'z');
INSERT INTO full_with_key VALUES (1, 'a', 'NaN', '{"a": 1}'), (2, NULL, '-0', NULL), (3, '', 0.1, '[]'), (4, 'd', NULL, 'null');
INSERT INTO full_without_key SELECT n, v, f, j, x FROM (VALUES (1, 'a', 'NaN'::float8, '{"a": 1}'::json, 1.0),
  (NULL, NULL, NULL, NULL, NULL), (2, '', '-0', NULL, 'NaN'), (2, '', '0', NULL, 1.00)) AS t (n, v, f, j, x), generate_series(1, 3);
INSERT INTO full_nothing_set VALUES (1, 'a'), (1, 'a'), (NULL, NULL);
INSERT INTO only_key VALUES (1, 'a'), (2, 'a'), (1, 'b');
INSERT INTO compound VALUES ('v', 'c', 1, '2020-01-01', NULL), ('v', 'c', 2, '2020-01-01', 'w');

INSERT INTO key_text SELECT k, 1 FROM unnest(ARRAY['', ' ', 'a', 'A', 'a ', 'ä', U&'a\0308', 'NULL', '1', '1.0', E'\n']) k;
INSERT INTO key_char VALUES ('', 1), ('a', 1), ('A', 1), (' a', 1), ('12345', 1);
INSERT INTO key_citext VALUES ('Abc', 1), ('def', 1);
INSERT INTO key_numeric VALUES (1.0, 1), (2.00, 1), (-0.0, 1), ('NaN', 1), ('Infinity', 1), (1e100, 1), (12345678901234567890, 1);
INSERT INTO key_float VALUES ('-0', 1), (0.1, 1), ('NaN', 1), ('Infinity', 1), ('-Infinity', 1), (1e300, 1), (5e-324, 1), (1, 1);
INSERT INTO key_float4 VALUES ('-0', 1), (0.1, 1), ('NaN', 1), ('Infinity', 1), ('-Infinity', 1), (1e38, 1), (1e-45, 1), (1, 1);
INSERT INTO key_bool VALUES ('t', 1), ('f', 1);
INSERT INTO key_bytea VALUES ('', 1), ('\x00', 1), ('\x0000', 1), ('\xff', 1), ('a', 1);
INSERT INTO key_enum VALUES ('sad', 1), ('it''s ok', 1), ('happy, "very"', 1);
INSERT INTO key_uuid SELECT md5(i::text)::uuid, 1 FROM generate_series(1, 3) i;
INSERT INTO key_stamp VALUES ('-infinity', 1), ('infinity', 1), ('0044-03-15 00:00:00+00 BC', 1), ('2020-01-01 00:00:00.000001+00', 1);
INSERT INTO key_array VALUES ('{}', 1), ('{1,NULL}', 1), ('[0:1]={1,2}', 1), ('{{1},{2}}', 1);
INSERT INTO key_domain VALUES (1, 1), (2, 1), (3, 1);
INSERT INTO key_bigint VALUES (-9223372036854775808, 1), (0, 1), (9223372036854775807, 1);
INSERT INTO key_pair VALUES (ROW(1, 'a', NULL, 'sad')::pair, 1), (ROW(NULL, '', ROW('', '\x'), NULL)::pair, 1);
INSERT INTO key_interval VALUES ('1 mon', 1), ('1 day', 1), ('-1 day', 1);
INSERT INTO key_jsonb VALUES ('{}', 1), ('{"a": 1.0}', 1), ('null', 1);

INSERT INTO swaps VALUES (1, 'one'), (2, 'two'), (3, 'three');
INSERT INTO shifted SELECT i, i::text FROM generate_series(20, 1, -1) i;
INSERT INTO deferred SELECT i, i::text FROM generate_series(1, 20) i;
INSERT INTO secondary SELECT i, i, i::text FROM generate_series(1, 5) i;

INSERT INTO toasted SELECT i, i, repeat(i::text, 100000), decode(repeat('ab', 50000), 'hex'),
  jsonb_build_object('k', (SELECT string_agg(md5(k::text), '') FROM generate_series(1, 200) k)),
  (SELECT array_agg(md5(k::text)) FROM generate_series(1, 200) k), ROW(i, (SELECT string_agg(md5(k::text), '') FROM generate_series(1, 200) k), NULL, 'sad')::pair
  FROM generate_series(1, 9) i;
INSERT INTO toasted_key SELECT repeat('k', 2600) || i, i, repeat('v', 10000) FROM generate_series(1, 5) i;
INSERT INTO toasted_full SELECT i, i, repeat('f', 10000) FROM generate_series(1, 5) i;
INSERT INTO toasted_full SELECT i, i, repeat('f', 10000) FROM generate_series(1, 2) i;
INSERT INTO toasted_full_key SELECT i, i, repeat('g', 10000) FROM generate_series(1, 5) i;
INSERT INTO toasted_index SELECT 'c' || i, i, repeat('h', 10000) FROM generate_series(1, 5) i;

INSERT INTO parent SELECT i, 'p' FROM generate_series(1, 6) i;
INSERT INTO child SELECT i, 1 + i % 6, 'c' FROM generate_series(1, 20) i;
INSERT INTO base VALUES (1, 'base');
INSERT INTO heir VALUES (2, 'heir', 'extra'), (1, 'same key as in base', NULL);
INSERT INTO parted SELECT i, (ARRAY['north', 'south', 'east'])[1 + i % 3], 'v' || i FROM generate_series(1, 12) i;
INSERT INTO parted VALUES (200, 'west', 'high');
INSERT INTO dropped_columns VALUES (1, 'a', DEFAULT), (2, NULL, NULL);
INSERT INTO generated_columns (id, v, w) VALUES (1, 'a', 'w'), (2, NULL, NULL);
INSERT INTO unlogged VALUES (1);
INSERT INTO emptied SELECT i, 'x' FROM generate_series(1, 10) i;
INSERT INTO emptied_too (v) SELECT 'x' FROM generate_series(1, 10) i;
INSERT INTO emptied_child SELECT i, i, 'x' FROM generate_series(1, 10) i;
INSERT INTO many_columns (id, c1, c200, c400) VALUES (1, 'first', NULL, 'last'), (2, '', '', '');
