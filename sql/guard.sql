-- The guard: nothing but purchase changes the stock of existing rows.
CREATE EXTENSION purchase;
\set VERBOSITY terse
\set SHOW_CONTEXT never
CREATE TABLE product (
    id integer PRIMARY KEY,
    name text,
    stock integer,
    sold_at integer DEFAULT 0
);
INSERT INTO product VALUES (1, 'chair', 10), (2, 'table', 10), (3, 'lamp', NULL);

-- only what is attached, by its owner
SELECT purchase_guard('product');
SELECT purchase_attach('product');
CREATE ROLE regress_purchase_clerk;
GRANT SELECT, UPDATE ON product TO regress_purchase_clerk;
SET ROLE regress_purchase_clerk;
SELECT purchase_guard('product');
RESET ROLE;
SELECT purchase_guard(NULL);
SELECT purchase_guard('product', NULL);
SELECT purchase_guard('product');
SELECT purchase_guard('product');               -- once more is not twice
SELECT tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger
    WHERE tgrelid = 'product'::regclass ORDER BY tgname;

-- the text that a user reads
\set VERBOSITY default
UPDATE product SET stock = 11 WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
UPDATE product SET stock = 11 WHERE id = 3;
-- without figures for who may not read them
SET ROLE regress_purchase_clerk;
UPDATE product SET stock = 11 WHERE id = 1;
RESET ROLE;
REVOKE SELECT ON product FROM regress_purchase_clerk;
GRANT SELECT (id) ON product TO regress_purchase_clerk;
SET ROLE regress_purchase_clerk;
UPDATE product SET stock = 11 WHERE id = 1;
RESET ROLE;
-- with the figures and without the product, for who may read just those
REVOKE SELECT (id) ON product FROM regress_purchase_clerk;
GRANT SELECT (stock) ON product TO regress_purchase_clerk;
SET ROLE regress_purchase_clerk;
UPDATE product SET stock = 11;
RESET ROLE;
-- and without either for whom row security applies to, who may not see all rows
GRANT SELECT ON product TO regress_purchase_clerk;
ALTER TABLE product ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_row ON product USING (true);
SET ROLE regress_purchase_clerk;
UPDATE product SET stock = 11;
RESET ROLE;
DROP POLICY every_row ON product;
ALTER TABLE product DISABLE ROW LEVEL SECURITY;
REVOKE SELECT ON product FROM regress_purchase_clerk;
\set VERBOSITY terse

-- whatever the statement is
UPDATE product SET stock = stock - 1;
UPDATE product SET stock = NULL WHERE id = 1;
UPDATE product AS p SET stock = v.stock FROM (VALUES (1, 5)) AS v (id, stock) WHERE v.id = p.id;
INSERT INTO product VALUES (1, 'chair', 5) ON CONFLICT (id) DO UPDATE SET stock = EXCLUDED.stock;
MERGE INTO product AS p USING (VALUES (1, 5)) AS v (id, stock) ON v.id = p.id
    WHEN MATCHED THEN UPDATE SET stock = v.stock;
WITH w AS (UPDATE product SET stock = 5 WHERE id = 1 RETURNING id) SELECT FROM w;
DO $$ BEGIN UPDATE product SET stock = 5 WHERE id = 1; END $$;
CREATE FUNCTION restore(integer) RETURNS void LANGUAGE sql AS 'UPDATE product SET stock = 5 WHERE id = $1';
SELECT restore(1);
-- but for what it leaves as it is, and for new rows
UPDATE product SET stock = 10, name = 'seat' WHERE id = 1;
UPDATE product SET name = 'Lamp', stock = NULL WHERE id = 3;
INSERT INTO product VALUES (1, 'chair', 10) ON CONFLICT (id) DO UPDATE SET stock = EXCLUDED.stock, name = EXCLUDED.name;
INSERT INTO product VALUES (4, 'desk', 4);
COPY product FROM STDIN;
5	bed	5	0
\.
DELETE FROM product WHERE id = 5;
SELECT * FROM product ORDER BY id;

-- what is purchase's
SELECT purchase(1, 3), purchase_restock(1, 1), purchase_set_stock(1, 20), purchase(1, 1);
SELECT * FROM purchase_try(1, 2);
SELECT * FROM purchase_cart(ARRAY[1, 2], ARRAY[1, 1]);
SELECT * FROM purchase_try_cart(ARRAY[1, 2], ARRAY[1, 10]);
SELECT purchase_set_stock(3, 7), purchase_set_stock('3', 0), purchase_set_stock(3, 1);
SELECT id, stock FROM product ORDER BY id;
-- before, and with another meaning after, what a stock-taker can't mean
SELECT purchase_set_stock(1, -1);
SELECT purchase_set_stock(1, 3000000000);
SELECT purchase_set_stock(9, 1);
SELECT purchase_set_stock(1, NULL);
SELECT purchase_set_stock(NULL, 1);

-- triggers beside it: they fire, and may change all but the stock
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.sold_at := NEW.sold_at + 1; RETURN NEW; END';
CREATE TRIGGER a_note BEFORE UPDATE ON product FOR EACH ROW EXECUTE FUNCTION note();
SELECT purchase(1, 1);
CREATE TABLE log (id integer, old integer, new integer);
CREATE FUNCTION write_log() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO log VALUES (NEW.id, OLD.stock, NEW.stock); RETURN NULL; END';
CREATE TRIGGER log AFTER UPDATE ON product FOR EACH ROW EXECUTE FUNCTION write_log();
CREATE TRIGGER "~~note" BEFORE UPDATE OF stock ON product FOR EACH ROW EXECUTE FUNCTION note();
SELECT purchase(1, 1), purchase_restock(1, 5), purchase_set_stock(1, 9);
SELECT * FROM purchase_cart(ARRAY[1, 2], ARRAY[1, 1]);
SELECT * FROM product WHERE id < 3 ORDER BY id;
SELECT * FROM log;
UPDATE product SET stock = 1 WHERE id = 1;
SELECT reason FROM purchase_stock_tables WHERE reason <> 'purchase.engine is sql';

-- one that changes the stock, first or last; in a sale, and without
CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.stock := NEW.stock - 1; RETURN NEW; END';
CREATE TRIGGER b_steal BEFORE UPDATE ON product FOR EACH ROW EXECUTE FUNCTION steal();
SELECT purchase(1, 1);
UPDATE product SET name = 'stolen' WHERE id = 1;
DROP TRIGGER b_steal ON product;
CREATE TRIGGER "~~steal" BEFORE UPDATE ON product FOR EACH ROW EXECUTE FUNCTION steal();
SELECT purchase(1, 1);
SELECT * FROM purchase_try(1, 1);
UPDATE product SET name = 'stolen' WHERE id = 1;
CREATE OR REPLACE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.stock := OLD.stock; RETURN NEW; END';
SELECT purchase(1, 1);                          -- sold, and nothing taken
DROP TRIGGER "~~steal" ON product;
SELECT purchase(1, 1);

-- one that runs a statement: it can't ride on a sale, not even on the same row
-- with the same figures
CREATE FUNCTION ride() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 THEN
        EXECUTE format(TG_ARGV[0], OLD.stock, NEW.stock);
    END IF;
    RETURN CASE WHEN TG_ARGV[1] = 'skip' THEN NULL ELSE NEW END;
END $$;
CREATE TRIGGER "~~ride" BEFORE UPDATE ON product FOR EACH ROW
    EXECUTE FUNCTION ride('UPDATE product SET stock = stock - 1 WHERE id = 2', '');
SELECT purchase(1, 1);
DROP TRIGGER "~~ride" ON product;
CREATE TRIGGER a_ride BEFORE UPDATE ON product FOR EACH ROW
    EXECUTE FUNCTION ride('UPDATE product SET stock = stock - 1 WHERE id = 2', '');
SELECT purchase(1, 1);
DROP TRIGGER a_ride ON product;
CREATE TRIGGER a_ride BEFORE UPDATE ON product FOR EACH ROW
    EXECUTE FUNCTION ride('UPDATE product SET stock = %2$s WHERE id = 1 AND stock = %1$s', 'skip');
\set VERBOSITY sqlstate
SELECT purchase(1, 1);
\set VERBOSITY terse
SELECT stock FROM product WHERE id = 1;
DROP TRIGGER a_ride ON product;
-- nor if the sold row stays as it is, where only a partition is guarded: not on
-- another row, not on one without a key, and not with other figures
CREATE TABLE box (id integer, stock integer, UNIQUE (id)) PARTITION BY LIST (id);
CREATE TABLE box_0 (gone integer, id integer, stock integer);
ALTER TABLE box_0 DROP gone;
ALTER TABLE box ATTACH PARTITION box_0 FOR VALUES IN (0, 1, NULL);
CREATE TABLE box_1 PARTITION OF box FOR VALUES IN (2);
INSERT INTO box VALUES (0, 5), (1, 5), (NULL, 5);
SELECT purchase_attach('box', key_column => 'id');
SELECT purchase_attach('box_0', key_column => 'id');
SELECT purchase_guard('box_0');
CREATE TRIGGER b_steal BEFORE UPDATE ON box_0 FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION steal();
SELECT purchase(0, 1, 'box');
CREATE TRIGGER ride AFTER UPDATE ON box_0 FOR EACH ROW
    EXECUTE FUNCTION ride('UPDATE box SET stock = 4 WHERE id = 1', '');
SELECT purchase(0, 1, 'box');
DROP TRIGGER ride ON box_0;
CREATE TRIGGER ride AFTER UPDATE ON box_0 FOR EACH ROW
    EXECUTE FUNCTION ride('UPDATE box SET stock = 4 WHERE id IS NULL', '');
SELECT purchase(0, 1, 'box');
DROP TRIGGER ride ON box_0;
CREATE TRIGGER ride AFTER UPDATE ON box_0 FOR EACH ROW
    EXECUTE FUNCTION ride('UPDATE box SET stock = 3 WHERE id = 0', '');
SELECT purchase(0, 1, 'box');
SELECT * FROM box ORDER BY id;
-- nor with a null for a figure, or with another one, where a view computes the key
CREATE VIEW boxes AS SELECT id + 100 AS id, stock FROM box;
SELECT purchase_attach('boxes', key_column => 'id');
DROP TRIGGER ride ON box_0;
CREATE TRIGGER ride AFTER UPDATE ON box_0 FOR EACH ROW
    EXECUTE FUNCTION ride('UPDATE box SET stock = NULL WHERE id = 1', '');
SELECT purchase(100, 5, 'boxes');
DROP TRIGGER ride ON box_0;
CREATE TRIGGER ride AFTER UPDATE ON box_0 FOR EACH ROW
    EXECUTE FUNCTION ride('UPDATE box SET stock = 4 WHERE id = 1', '');
DELETE FROM box WHERE id < 2;
INSERT INTO box VALUES (0, 0), (1, NULL);
SELECT purchase_restock(100, 4, 'boxes');
DELETE FROM box WHERE id = 1;
INSERT INTO box VALUES (1, 7);
SELECT purchase_restock(100, 4, 'boxes');
DROP VIEW boxes;
DROP TABLE box;
-- nor on another table, with the same key and figures
CREATE TABLE twin (id integer PRIMARY KEY, stock integer);
INSERT INTO twin VALUES (1, 5);
SELECT purchase_attach('twin');
SELECT purchase_guard('twin');
CREATE TABLE open_twin AS SELECT * FROM twin;
ALTER TABLE open_twin ADD PRIMARY KEY (id);
SELECT purchase_attach('open_twin');
CREATE TRIGGER ride AFTER UPDATE ON open_twin FOR EACH ROW
    EXECUTE FUNCTION ride('UPDATE twin SET stock = %2$s WHERE id = 1 AND stock = %1$s', '');
SELECT purchase(1, 1, 'open_twin');
DROP TABLE twin, open_twin;
CREATE TRIGGER ride AFTER UPDATE ON product FOR EACH ROW
    EXECUTE FUNCTION ride('UPDATE product SET stock = %1$s WHERE id = 1', '');
SELECT purchase(1, 1);
DROP TRIGGER ride ON product;
CREATE TRIGGER ride AFTER UPDATE ON product FOR EACH ROW
    EXECUTE FUNCTION ride('UPDATE product SET stock = 0 WHERE id = 2', '');
SELECT purchase(1, 1);
-- the announcement has gone with the call that failed
UPDATE product SET stock = (SELECT stock - 1 FROM product WHERE id = 1) WHERE id = 1;
DROP TRIGGER ride ON product;
-- one that sells may
CREATE TRIGGER ride AFTER UPDATE ON product FOR EACH ROW
    EXECUTE FUNCTION ride('SELECT purchase(2, 1)', '');
SELECT purchase(1, 1);
SELECT id, stock FROM product WHERE id < 3 ORDER BY id;
-- also what a later line of the same cart sells
SELECT * FROM purchase_cart(ARRAY[1, 2], ARRAY[1, 1]);
DROP TRIGGER ride ON product;
DROP TRIGGER a_note ON product;
DROP TRIGGER "~~note" ON product;
DROP TRIGGER log ON product;

-- a renamed column stays guarded; another one attached takes the guard with it
ALTER TABLE product RENAME stock TO "On hand";
UPDATE product SET "On hand" = 0;
SELECT purchase_attach('product', stock_column => 'On hand');
SELECT purchase(1, 1);
SELECT purchase_attach('product', stock_column => 'sold_at');
UPDATE product SET sold_at = sold_at + 1;
UPDATE product SET "On hand" = 3 WHERE id = 1;
ALTER TABLE product RENAME "On hand" TO stock;
SELECT purchase_attach('product');
UPDATE product SET sold_at = 0;
UPDATE product SET stock = 2 WHERE id = 1;

-- disabled by hand, and mended
ALTER TABLE product DISABLE TRIGGER "~purchase_guard_before";
UPDATE product SET stock = 2 WHERE id = 1;
ALTER TABLE product DISABLE TRIGGER "~purchase_guard_after";
UPDATE product SET stock = 2 WHERE id = 1;
-- as without one, a trigger may take the units back
CREATE TRIGGER b_steal BEFORE UPDATE ON product FOR EACH ROW EXECUTE FUNCTION steal();
SELECT purchase(1, 1);
DROP TRIGGER b_steal ON product;
SELECT purchase_guard('product');
UPDATE product SET stock = 3 WHERE id = 1;
SET session_replication_role = replica;
UPDATE product SET stock = 3 WHERE id = 1;
RESET session_replication_role;
SELECT purchase(1, 1);
-- a trigger renamed by hand is still the guard's
ALTER TRIGGER "~purchase_guard_before" ON product RENAME TO a;
SELECT purchase(1, 1);
SELECT purchase_guard('product');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'product'::regclass ORDER BY tgname;

-- off, and gone
SELECT purchase_guard('product', false);
SELECT purchase_guard('product', false);
UPDATE product SET stock = 4 WHERE id = 1;
SELECT purchase_guard('product');
SELECT purchase_detach('product');
UPDATE product SET stock = 5 WHERE id = 1;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'product'::regclass;

-- through a view; the guard stands before the table
SELECT purchase_attach('product');
SELECT purchase_guard('product');
CREATE VIEW furniture AS SELECT stock AS left_over, id AS no FROM product WHERE name <> 'Lamp';
CREATE VIEW chairs AS SELECT no AS chair, left_over AS free FROM furniture WHERE no = 1;
SELECT purchase_attach('chairs', 'free', 'chair');
SELECT purchase(1, 1, 'chairs'), purchase_set_stock(1, 8, 'chairs');
UPDATE chairs SET free = 100;
SELECT purchase_guard('chairs');
-- also one that computes the key; what replaces the update is no way past it
CREATE VIEW cast_key AS SELECT id::bigint + 100 AS id, stock FROM product;
SELECT purchase_attach('cast_key', key_column => 'id');
SELECT purchase(101, 1, 'cast_key'), purchase_restock(101, 1, 'cast_key');
UPDATE cast_key SET stock = 1 WHERE id = 101;
CREATE VIEW ruled AS SELECT 1 AS id, 2 AS stock;
CREATE RULE r AS ON UPDATE TO ruled DO INSTEAD UPDATE product SET stock = new.stock WHERE id = old.id;
CREATE VIEW over_ruled AS SELECT id, stock FROM ruled;
SELECT purchase_attach('over_ruled', key_column => 'id');
SELECT purchase(1, 1, 'over_ruled');
CREATE VIEW ruled_table AS SELECT id, stock FROM product;
CREATE RULE r AS ON UPDATE TO ruled_table DO INSTEAD
    UPDATE product SET stock = new.stock WHERE id = old.id RETURNING id, stock;
CREATE VIEW over_ruled_table AS SELECT id, stock FROM ruled_table;
SELECT purchase_attach('over_ruled_table', key_column => 'id');
SELECT purchase(1, 1, 'over_ruled_table');
CREATE VIEW replaced AS SELECT id, stock FROM product;
CREATE FUNCTION replace_update() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN UPDATE product SET stock = NEW.stock WHERE id = OLD.id; RETURN NEW; END';
CREATE TRIGGER r INSTEAD OF UPDATE ON replaced FOR EACH ROW EXECUTE FUNCTION replace_update();
CREATE VIEW over_replaced AS SELECT id, stock FROM replaced;
SELECT purchase_attach('over_replaced', key_column => 'id');
SELECT purchase(1, 1, 'over_replaced');
DROP VIEW ruled_table, replaced CASCADE;
DROP FUNCTION replace_update;
-- what a session knows of a view follows what is below it: a new name of the key, a
-- guard that comes, and one that goes
CREATE TABLE below (id integer PRIMARY KEY, stock integer);
INSERT INTO below VALUES (1, 10), (2, 10);
CREATE VIEW middle AS SELECT id, stock FROM below;
CREATE VIEW above AS SELECT id, stock FROM middle;
SELECT purchase_attach('below', is_default => false);
SELECT purchase_attach('above', key_column => 'id');
SELECT purchase(1, 1, 'above');
SELECT purchase_guard('below');
CREATE TRIGGER ride AFTER UPDATE ON below FOR EACH ROW
    EXECUTE FUNCTION ride('SELECT purchase(2, 1, ''above'')', '');
SELECT remaining FROM purchase_cart(ARRAY[1, 2], ARRAY[1, 1], 'above');
DROP TRIGGER ride ON below;
ALTER TABLE below RENAME id TO number;
SELECT purchase(1, 1, 'above');
CREATE TABLE other_below (number integer PRIMARY KEY, stock integer);
INSERT INTO other_below VALUES (1, 5);
SELECT purchase_attach('other_below', is_default => false);
SELECT purchase_guard('other_below');
CREATE OR REPLACE VIEW middle AS SELECT number AS id, stock FROM other_below;
SELECT purchase(1, 1, 'above');
SELECT purchase_guard('other_below', false);
CREATE TRIGGER steal BEFORE UPDATE ON other_below FOR EACH ROW EXECUTE FUNCTION steal();
SELECT purchase(1, 1, 'above');
DROP VIEW middle CASCADE;
DROP TABLE below, other_below;
-- what a trigger of a cart's first line sells of its second
CREATE TRIGGER ride AFTER UPDATE ON product FOR EACH ROW
    EXECUTE FUNCTION ride('SELECT purchase(2, 1)', '');
SELECT purchase_attach('furniture', 'left_over', 'no');
SELECT remaining FROM purchase_cart(ARRAY[1, 2], ARRAY[1, 1], 'furniture');
SELECT purchase_detach('furniture');
DROP TRIGGER ride ON product;
SELECT purchase_restock(1, 1), purchase_restock(2, 2);
CREATE VIEW joined AS SELECT p.id, p.stock FROM product AS p LEFT JOIN product AS q USING (id);
CREATE RULE r AS ON UPDATE TO joined DO INSTEAD UPDATE product SET stock = new.stock WHERE id = old.id;
CREATE VIEW over_joined AS SELECT id, stock FROM joined;
SELECT purchase_attach('over_joined', key_column => 'id');
SELECT purchase(1, 1, 'over_joined');
SELECT purchase_detach('cast_key'), purchase_detach('over_ruled'), purchase_detach('over_joined');
DROP VIEW cast_key, over_ruled, ruled, over_joined, joined;
CREATE VIEW upside_down AS SELECT id, -stock AS stock FROM product;
SELECT purchase_attach('upside_down', key_column => 'id');
SELECT purchase_detach('chairs');
DROP VIEW chairs, furniture, upside_down;

-- a foreign key's cascade
CREATE TABLE size (stock integer PRIMARY KEY);
INSERT INTO size SELECT generate_series(0, 20);
ALTER TABLE product ADD FOREIGN KEY (stock) REFERENCES size ON UPDATE CASCADE;
UPDATE size SET stock = 99 WHERE stock = 8;
SELECT purchase(1, 1);
ALTER TABLE product DROP CONSTRAINT product_stock_fkey;
DROP TABLE size;

-- partitions, old and new, and rows that move
CREATE TABLE seat (row integer, stock smallint, id text NOT NULL) PARTITION BY RANGE (row);
CREATE TABLE seat_1 PARTITION OF seat (PRIMARY KEY (id)) FOR VALUES FROM (0) TO (10);
SELECT purchase_attach('seat_1');
SELECT purchase_guard('seat_1');
CREATE TABLE hall (stock smallint, id text PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE hall_0 PARTITION OF hall FOR VALUES WITH (MODULUS 2, REMAINDER 0);
SELECT purchase_attach('hall');
SELECT purchase_guard('hall');
CREATE TABLE hall_1 (gone integer, id text NOT NULL, stock smallint);
ALTER TABLE hall_1 DROP gone;
ALTER TABLE hall ATTACH PARTITION hall_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hall SELECT 5, 'p' || i FROM generate_series(1, 4) AS i;
SELECT tableoid::regclass, * FROM hall ORDER BY id;
SELECT purchase('p1', 1, 'hall'), purchase('p2', 2, 'hall'), purchase_restock('p1', 3, 'hall'), purchase_set_stock('p2', 7, 'hall');
SELECT * FROM purchase_cart(ARRAY['p1', 'p2', 'p3', 'p4'], ARRAY[1, 1, 1, 1], 'hall');
UPDATE hall SET stock = 9 WHERE id = 'p1';
UPDATE hall SET stock = 9 WHERE id = 'p2';
UPDATE hall_0 SET stock = 9;
UPDATE hall_1 SET stock = 9;
UPDATE hall SET id = 'q' || id, stock = 9;
UPDATE hall SET id = 'q' || id;
SELECT purchase_guard('hall_0');
SELECT purchase_attach('hall_0');
SELECT purchase_guard('hall_0');
SELECT purchase_guard('hall_0', false);
-- what a partition has from its parent, it keeps when it is attached by itself
CREATE TABLE lot (id integer PRIMARY KEY, stock integer, spare integer) PARTITION BY RANGE (id);
CREATE TABLE lot_0 PARTITION OF lot DEFAULT;
INSERT INTO lot VALUES (1, 5, 5);
SELECT purchase_attach('lot');
SELECT purchase_guard('lot');
SELECT purchase_attach('lot_0', 'spare');
UPDATE lot SET spare = 6;
UPDATE lot SET stock = 6;
DROP TABLE lot;
-- a partition's own guard gives way to the whole table's
SELECT purchase_guard('hall', false);
SELECT purchase_guard('hall_0');
UPDATE hall_0 SET stock = 9;
SELECT purchase('qp1', 1, 'hall'), purchase('qp2', 1, 'hall'), purchase('qp3', 1, 'hall'), purchase('qp4', 1, 'hall');
SELECT purchase_guard('hall');
UPDATE hall_0 SET stock = 9;
-- a stock that says in which partition a row is
CREATE TABLE shelf (id integer, stock integer) PARTITION BY RANGE (stock);
CREATE TABLE shelf_empty PARTITION OF shelf FOR VALUES FROM (0) TO (1);
CREATE TABLE shelf_full PARTITION OF shelf FOR VALUES FROM (1) TO (100);
INSERT INTO shelf VALUES (1, 1);
CREATE VIEW shelves AS SELECT * FROM shelf;
SELECT purchase_attach('shelves', key_column => 'id');
CREATE TRIGGER guard BEFORE UPDATE ON shelf FOR EACH ROW
    WHEN (OLD.stock IS DISTINCT FROM NEW.stock) EXECUTE FUNCTION purchase_guard_stock();
UPDATE shelf SET stock = 0;
SELECT purchase(1, 1, 'shelves');
SELECT tableoid::regclass, * FROM shelf;
DROP TRIGGER guard ON shelf;

-- heirs have no trigger of their parent's
CREATE TABLE heir () INHERITS (product);
SELECT purchase_guard('product');
SELECT purchase_guard('product', false);
UPDATE product SET stock = stock;
DROP TABLE heir;
SELECT purchase_guard('product');

-- a stock of a domain, and a name that has to be quoted
CREATE DOMAIN units AS bigint CHECK (VALUE >= 0);
CREATE SCHEMA "My shop";
CREATE TABLE "My shop"."Good""s" ("Key" text PRIMARY KEY, "Left" units);
INSERT INTO "My shop"."Good""s" VALUES ('a', 5);
SELECT purchase_attach('"My shop"."Good""s"', 'Left');
SELECT purchase_guard('"My shop"."Good""s"');
UPDATE "My shop"."Good""s" SET "Left" = 6;
SELECT purchase('a', 1, '"My shop"."Good""s"'), purchase_set_stock('a', 9, '"My shop"."Good""s"');
UPDATE "My shop"."Good""s" SET "Left" = 9;

-- the trigger's function is for the guard alone
CREATE TRIGGER mine BEFORE UPDATE ON product FOR EACH ROW EXECUTE FUNCTION purchase_guard_stock();
UPDATE product SET name = name;
DROP TRIGGER mine ON product;
CREATE TRIGGER mine BEFORE UPDATE ON product FOR EACH ROW
    WHEN (NEW.name IS DISTINCT FROM 'x') EXECUTE FUNCTION purchase_guard_stock();
UPDATE product SET name = name;
DROP TRIGGER mine ON product;
SELECT purchase_guard_stock();

-- the column can't go, and the extension takes its triggers along
ALTER TABLE product DROP stock;
DROP EXTENSION purchase;
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE NOT tgisinternal;
UPDATE product SET stock = 0;

DROP OWNED BY regress_purchase_clerk;
DROP ROLE regress_purchase_clerk;
DROP SCHEMA "My shop" CASCADE;
DROP DOMAIN units;
DROP VIEW shelves;
DROP TABLE product, log, seat, hall, shelf;
DROP FUNCTION note, write_log, steal, ride, restore;
