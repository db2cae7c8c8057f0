-- The same values by way of the stream: inserted, updated from one to another, deleted.

INSERT INTO every_type SELECT (x).* FROM (SELECT e #= hstore('id', (e.id + 100)::text) AS x FROM every_type e) AS t;

INSERT INTO every_type_full SELECT * FROM every_type WHERE id > 100;

-- Every row gets the values of the next one.
DO $$
DECLARE columns text := (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
                         WHERE attrelid = 'every_type'::regclass AND attnum > 1);
BEGIN
  EXECUTE format('UPDATE every_type e SET (%1$s) = (SELECT %1$s FROM every_type o WHERE o.id = 100 + (e.id - 100 + 1) %% 11)
                  WHERE e.id >= 100', columns);
END $$;

-- Rows with every value are found by all their columns.
UPDATE every_type_full SET id = id + 1000 WHERE id IN (1, 2, 5, 10, 102);

UPDATE every_type_full SET c_text = 'changed' WHERE ctid IN (SELECT min(ctid) FROM every_type_full GROUP BY id HAVING count(*) > 1);

UPDATE every_type_full SET c_float8 = '0', c_numeric = 0.0 WHERE c_float8 = '-0';

UPDATE every_type_full SET c_json = '{"a":1,"a":2}', c_xml = '<a/>', c_point = NULL, c_numeric = 1.0 WHERE id IN (7, 1002);

DELETE FROM every_type_full WHERE id IN (3, 9, 105, 108) OR c_float8 = 'NaN' OR c_numeric = 'NaN';

DELETE FROM every_type_full WHERE ctid = (SELECT min(ctid) FROM every_type_full WHERE id = 0);

DELETE FROM every_type WHERE id IN (2, 5, 103, 110);

UPDATE every_type SET id = id + 5000 WHERE id IN (1, 101, 104);

INSERT INTO texts SELECT id + 100, t, a, j FROM texts;

UPDATE texts SET t = (SELECT o.t FROM texts o WHERE o.id = texts.id + 1) WHERE id > 100;

DELETE FROM texts WHERE id BETWEEN 120 AND 125;
