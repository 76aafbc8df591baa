-- A session remembers where it has found a row, and looks there first.  The row
-- may be elsewhere since, and another may be there.
CREATE EXTENSION purchase;
CREATE TABLE item (id numeric PRIMARY KEY, stock int NOT NULL);
SELECT purchase_attach('item');
INSERT INTO item VALUES (1, 10), (2, 20);
SELECT purchase(1, 1), purchase(2, 1);

-- keys that are equal, but not the same
SELECT purchase('1.0', 1), purchase('1.00', 1), purchase('1.0', 1);

-- another row takes its place
TRUNCATE item;
INSERT INTO item VALUES (1, 10), (2, 20);
SELECT purchase_available(1), purchase_available(2);
DELETE FROM item WHERE id = 1;
VACUUM item;
INSERT INTO item VALUES (3, 30);
SELECT ctid FROM item WHERE id = 3;
SELECT * FROM purchase_try(1, 1);
SELECT * FROM purchase_try(3, 1);

-- and gets its key, while it gets another
SELECT purchase_available(2), purchase_available(3);
UPDATE item SET id = 1 WHERE id = 2;
UPDATE item SET id = 2 WHERE id = 3;
SELECT * FROM purchase_try(1, 1);
SELECT * FROM purchase_try(2, 1);
SELECT * FROM purchase_try(3, 1);

-- what is undone was never there
BEGIN;
INSERT INTO item VALUES (4, 40);
SELECT purchase(4, 1);
SAVEPOINT s;
UPDATE item SET id = 5 WHERE id = 4;
SELECT * FROM purchase_try(4, 1);
SELECT purchase(5, 1);
ROLLBACK TO s;
SELECT * FROM purchase_try(5, 1);
SELECT purchase(4, 1);
ROLLBACK;
SELECT * FROM purchase_try(4, 1);

-- the block is gone
INSERT INTO item SELECT i, 100 FROM generate_series(100, 2000) AS i;
SELECT purchase_available(2000), pg_relation_size('item') > 5 * 8192 AS is_large;
DELETE FROM item WHERE id > 10;
VACUUM item;
SELECT pg_relation_size('item') > 5 * 8192 AS is_large;
SELECT * FROM purchase_try(2000, 1);

-- to other pages
DO $$ BEGIN FOR i IN 1..500 LOOP PERFORM purchase_restock(1, 1); END LOOP; END $$;
SELECT purchase(1, 1), purchase(2, 1);

-- the table is written anew
SELECT purchase(1, 1), purchase(2, 1);
VACUUM FULL item;
SELECT purchase(1, 1), purchase(2, 1);
CLUSTER item USING item_pkey;
SELECT purchase(1, 1), purchase(2, 1);
ALTER TABLE item ALTER stock TYPE bigint;
SELECT purchase(1, 1), purchase(2, 1);
ALTER TABLE item ADD note text DEFAULT 'new', ALTER id TYPE text;
SELECT purchase(1, 1), purchase(2, 1);
BEGIN;
TRUNCATE item;
INSERT INTO item VALUES (2, 8), (1, 9);
SELECT purchase(1, 1), purchase(2, 1);
ROLLBACK;
SELECT purchase(1, 1), purchase(2, 1);

-- the key's index is another
ALTER TABLE item DROP CONSTRAINT item_pkey;
SELECT purchase(1, 1);
ALTER TABLE item ADD UNIQUE (id);
SELECT purchase(1, 1), purchase(2, 1);
REINDEX TABLE item;
SELECT purchase(1, 1), purchase(2, 1);

-- keys whose lower halves are equal are remembered in the same place
CREATE TABLE part (id bigint PRIMARY KEY, stock int NOT NULL);
SELECT purchase_attach('part');
INSERT INTO part VALUES (1, 10), (4294967297, 20);
SELECT purchase(1, 1, 'part'), purchase(4294967297, 1, 'part'), purchase(1, 1, 'part');
SELECT * FROM purchase_try(8589934593, 1, 'part');
SELECT * FROM purchase_cart(ARRAY[1, 4294967297], ARRAY[1, 1], 'part');

-- a row that has moved through many pages is not looked for in all of them
CREATE TABLE hot (id int PRIMARY KEY, stock int NOT NULL, note text);
SELECT purchase_attach('hot');
INSERT INTO hot VALUES (1, 1000, repeat('x', 1900));
BEGIN;
DO $$ BEGIN FOR i IN 1..400 LOOP PERFORM purchase(1, 1, 'hot'); END LOOP; END $$;
SELECT pg_relation_size('hot') >= 100 * 8192 AS is_large,
    pg_stat_get_xact_blocks_fetched('hot'::regclass) < 8000
    OR current_setting('purchase.engine') = 'sql' AS is_direct;
COMMIT;

DROP TABLE item, part, hot;
DROP EXTENSION purchase;
