-- Several tables emptied at once, among other changes.

INSERT INTO emptied_too (v) VALUES ('gone soon');
UPDATE swaps SET v = 'before' WHERE id = 1;
TRUNCATE emptied, emptied_too RESTART IDENTITY CASCADE;
INSERT INTO emptied_too (v) VALUES ('first'), ('second');
INSERT INTO emptied VALUES (1, 'again');
UPDATE swaps SET v = 'after' WHERE id = 2;

TRUNCATE emptied_too;
INSERT INTO emptied_too (id, v) VALUES (1, 'x');
TRUNCATE emptied_too;
INSERT INTO emptied_too (id, v) VALUES (1, 'y');
DELETE FROM emptied_too;
INSERT INTO emptied_too (id, v) VALUES (1, 'z');

BEGIN;
SAVEPOINT a;
TRUNCATE every_type;
INSERT INTO every_type (id) VALUES (1);
ROLLBACK TO a;
UPDATE every_type SET c_int4 = 4 WHERE id = 3;
COMMIT;

TRUNCATE full_without_key, parted;
INSERT INTO full_without_key (n) VALUES (1), (1);
INSERT INTO parted VALUES (1, 'north', 'new'), (2, 'south', 'new');

TRUNCATE empty_for_ever;
