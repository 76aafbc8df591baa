-- A foreign table: the rows, and their locks, are another server's. Here the
-- other server is this one.
CREATE EXTENSION purchase;
CREATE EXTENSION postgres_fdw;
DO $$
BEGIN
    EXECUTE format('CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw
        OPTIONS (host %L, port %L, dbname %L)',
        split_part(current_setting('unix_socket_directories'), ',', 1),
        current_setting('port'), current_database());
    EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER loopback
        OPTIONS (user %L)', current_user);
END $$;
CREATE TABLE warehouse (id integer PRIMARY KEY, stock integer NOT NULL);
INSERT INTO warehouse VALUES (1, 10), (2, 0);
CREATE FOREIGN TABLE remote (id integer, stock integer)
    SERVER loopback OPTIONS (table_name 'warehouse');

SELECT purchase_attach('remote');
SELECT purchase_attach('remote', key_column => 'id');
SELECT purchase(1, 3);
SELECT purchase_try(1, 8);
SELECT purchase(2, 1);
SELECT purchase_restock(2, 5), purchase(2, 2);
BEGIN;
SELECT purchase(1, 7);
ROLLBACK;
SELECT purchase_available(1);
TABLE warehouse ORDER BY id;

-- nothing but the user's word says that the key is unique there
ALTER TABLE warehouse DROP CONSTRAINT warehouse_pkey;
INSERT INTO warehouse VALUES (1, 10);
SELECT purchase(1, 3);

DELETE FROM warehouse;
ALTER TABLE warehouse ADD PRIMARY KEY (id);
INSERT INTO warehouse VALUES (1, 10);

-- guarded, as far as one can see from here
SELECT purchase_guard('remote');
SELECT purchase(1, 3), purchase_restock(1, 1), purchase_set_stock(1, 20);
UPDATE remote SET stock = 5 WHERE id = 1;
UPDATE warehouse SET stock = 6 WHERE id = 1;
SELECT purchase_guard('remote', false);

-- a table some of whose partitions are elsewhere can have no unique index: its
-- key is taken on one's word, too
CREATE TABLE shop (region text, id integer NOT NULL, stock integer NOT NULL)
    PARTITION BY LIST (region);
CREATE TABLE shop_here PARTITION OF shop FOR VALUES IN ('here');
SELECT purchase_attach('shop', key_column => 'id');
CREATE TABLE warehouse_far (region text, id integer PRIMARY KEY, stock integer NOT NULL);
CREATE FOREIGN TABLE shop_far PARTITION OF shop FOR VALUES IN ('far')
    SERVER loopback OPTIONS (table_name 'warehouse_far');
INSERT INTO shop VALUES ('here', 1, 5), ('far', 2, 5), ('far', 3, 0);
SELECT purchase_attach('shop');
SELECT purchase_attach('shop', key_column => 'id');
SELECT purchase(1, 2, 'shop'), purchase(2, 3, 'shop'), purchase_restock(3, 1, 'shop');
SELECT * FROM purchase_cart(ARRAY[1, 2], ARRAY[1, 1], 'shop');
SELECT purchase(3, 2, 'shop');
SELECT purchase_guard('shop');
SELECT purchase(1, 1, 'shop'), purchase(2, 1, 'shop');
UPDATE shop SET stock = 9 WHERE id = 1;
UPDATE shop SET stock = 9 WHERE id = 2;
SELECT * FROM shop ORDER BY id;
INSERT INTO shop VALUES ('far', 1, 7);
SELECT purchase(1, 1, 'shop');

\set VERBOSITY terse
DROP EXTENSION postgres_fdw CASCADE;
DROP TABLE warehouse, warehouse_far, shop;
DROP EXTENSION purchase;
