-- Whatever is done to an attached table, the next call notices.
CREATE EXTENSION purchase;
CREATE SCHEMA shop;
CREATE TABLE shop.product (id integer PRIMARY KEY, stock smallint NOT NULL, junk text);
INSERT INTO shop.product SELECT g, 1000, 'x' FROM generate_series(1, 9) g;
SELECT purchase_attach('shop.product');
SELECT purchase(1, 1);

ALTER TABLE shop.product RENAME TO item;
SELECT purchase(1, 1);
ALTER SCHEMA shop RENAME TO store;
SELECT purchase(1, 1);
SELECT stock_table FROM purchase_stock_tables;
ALTER TABLE store.item DROP COLUMN junk;
SELECT purchase(1, 1);
ALTER TABLE store.item ADD COLUMN note text DEFAULT 'added later';
SELECT purchase(1, 1);
ALTER TABLE store.item ALTER stock TYPE bigint;
SELECT purchase_restock(1, 5000000000);
ALTER TABLE store.item ALTER id TYPE text;
SELECT purchase(1, 1);
SELECT purchase('1', 1);
ALTER TABLE store.item ALTER id TYPE bigint USING id::bigint;
SELECT purchase(1, 1);
CREATE INDEX ON store.item (stock);
SELECT purchase(1, 1);
SELECT id FROM store.item WHERE stock BETWEEN 1001 AND 6000000000;
ALTER TABLE store.item SET SCHEMA public;
SELECT purchase(1, 1);
VACUUM FULL item;
SELECT purchase(1, 1);
REINDEX TABLE item;
SELECT purchase(1, 1);
CLUSTER item USING item_stock_idx;
SELECT purchase(1, 1);
TRUNCATE item;
SELECT purchase(1, 1);
INSERT INTO item (id, stock) VALUES (1, 100);
SELECT purchase(1, 1);

-- a registration that no longer fits
ALTER TABLE item RENAME stock TO units;
SELECT purchase(1, 1);
SELECT engine, reason FROM purchase_stock_tables;
SELECT purchase_attach('item', 'units');
SELECT purchase(1, 1);
ALTER TABLE item RENAME id TO sku;
SELECT purchase(1, 1);
ALTER TABLE item RENAME sku TO id;
SELECT purchase(1, 1);
ALTER TABLE item ALTER units TYPE numeric;
SELECT purchase(1, 1);
ALTER TABLE item ALTER units TYPE integer;
ALTER TABLE item DROP CONSTRAINT product_pkey;
SELECT purchase(1, 1);
ALTER TABLE item ADD UNIQUE (id);
SELECT purchase(1, 1);

-- dropped and created again it is another table
DROP TABLE item;
CREATE TABLE item (id integer PRIMARY KEY, units integer);
INSERT INTO item VALUES (1, 100);
SELECT purchase(1, 1);
SELECT purchase(1, 1, 'item');
SELECT purchase_attach('item', 'units');
SELECT purchase(1, 1);

-- in one transaction, and undone
BEGIN;
SELECT purchase(1, 1);
ALTER TABLE item RENAME units TO stock;
SAVEPOINT s;
SELECT purchase(1, 1);
ROLLBACK TO s;
SELECT purchase_attach('item');
SELECT purchase(1, 1);
ALTER TABLE item ADD COLUMN more integer;
SELECT purchase(1, 1);
ROLLBACK;
SELECT purchase(1, 1);
BEGIN;
SELECT purchase_detach('item');
SAVEPOINT s;
SELECT purchase(1, 1);
ROLLBACK;
SELECT purchase(1, 1);

-- the extension moves, goes and comes back in a session that used it
CREATE SCHEMA ext;
ALTER EXTENSION purchase SET SCHEMA ext;
SELECT ext.purchase(1, 1);
DROP EXTENSION purchase;
CREATE EXTENSION purchase SCHEMA ext;
SELECT ext.purchase(1, 1);
SELECT ext.purchase_attach('item', 'units');
SELECT ext.purchase(1, 1);

-- even if all that a session has used before is the view
\c -
SELECT count(*) FROM ext.purchase_stock_tables;
DROP EXTENSION purchase;
CREATE EXTENSION purchase SCHEMA ext;
SELECT ext.purchase_attach('item', 'units');
SELECT ext.purchase(1, 1);
DROP EXTENSION purchase;
DROP TABLE item;
DROP SCHEMA store, ext;
