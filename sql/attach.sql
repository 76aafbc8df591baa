-- What can be attached, what can't, and what the message says.
CREATE EXTENSION purchase;
CREATE TABLE goods (id integer PRIMARY KEY, stock integer NOT NULL);
INSERT INTO goods VALUES (1, 10);
CREATE TABLE seats (
    seat text UNIQUE,
    "Places left" smallint NOT NULL,
    price numeric,
    both_of_them integer GENERATED ALWAYS AS (1) STORED
);
INSERT INTO seats VALUES ('A1', 2);

-- the first one is the default
SELECT purchase_attach('goods');
SELECT purchase_attach('seats', 'Places left', 'seat');
SELECT stock_table, key_column, stock_column, is_default
    FROM purchase_stock_tables ORDER BY stock_table::text;
SELECT purchase(1, 1), purchase('A1', 1, 'seats');

-- the default can be another, or none; attaching again keeps it
SELECT purchase_attach('seats', 'Places left', 'seat', is_default => true);
SELECT purchase('A1', 1);
SELECT purchase_attach('seats', 'Places left', 'seat');
SELECT purchase_attach('goods');
SELECT stock_table, is_default FROM purchase_stock_tables ORDER BY stock_table::text;
SELECT purchase_attach('seats', 'Places left', 'seat', false);
SELECT purchase('A1', 1);
SELECT purchase_attach('goods', is_default => true);

-- detach
SELECT purchase_detach('goods');
SELECT purchase_detach('goods');
SELECT purchase(1, 1);
SELECT purchase(1, 1, 'goods');
SELECT purchase_attach('goods');

-- what can't be attached
SELECT purchase_attach(NULL);
SELECT purchase_attach('goods', NULL);
SELECT purchase_attach('no_such_table');
SELECT purchase_attach(4294967295::oid::regclass);
SELECT purchase_attach('goods', 'qty');
SELECT purchase_attach('goods', 'ctid');
SELECT purchase_attach('goods', 'stock', 'sku');
SELECT purchase_attach('goods', 'stock', 'stock');
SELECT purchase_attach('seats');
SELECT purchase_attach('seats', 'price', 'seat');
SELECT purchase_attach('seats', 'both_of_them', 'seat');
SELECT purchase_attach('goods_pkey');
SELECT purchase_attach('pg_class', 'relpages', 'oid');
CREATE TABLE two_columns (shop integer, id integer, stock integer, PRIMARY KEY (shop, id));
SELECT purchase_attach('two_columns');
SELECT purchase_attach('two_columns', key_column => 'id');
CREATE UNIQUE INDEX ON two_columns (id) WHERE shop = 1;
CREATE UNIQUE INDEX ON two_columns ((id + 0));
SELECT purchase_attach('two_columns', key_column => 'id');
CREATE UNIQUE INDEX ON two_columns (id) INCLUDE (shop);
SELECT purchase_attach('two_columns', key_column => 'id');
CREATE SEQUENCE s;
SELECT purchase_attach('s');
CREATE MATERIALIZED VIEW m AS SELECT * FROM goods;
SELECT purchase_attach('m');
CREATE VIEW v AS SELECT id, sum(stock) AS stock FROM goods GROUP BY id;
SELECT purchase_attach('v', key_column => 'id');
CREATE VIEW w AS SELECT id, stock + 0 AS stock FROM goods;
SELECT purchase_attach('w', key_column => 'id');
CREATE VIEW x AS SELECT id, stock FROM goods;
SELECT purchase_attach('x');
SELECT purchase_attach('x', key_column => 'id');
SELECT purchase(1, 1, 'x');
CREATE RULE r AS ON UPDATE TO x DO INSTEAD NOTHING;
SELECT purchase_attach('x', key_column => 'id');
SELECT purchase(1, 1, 'x');
CREATE TEMP TABLE t (id integer PRIMARY KEY, stock integer);
SELECT purchase_attach('t');
CREATE EXTENSION file_fdw;
CREATE SERVER srv FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE f (id integer, stock integer) SERVER srv OPTIONS (filename '/dev/null');
SELECT purchase_attach('f', key_column => 'id');
CREATE TABLE nokey (id integer, stock integer);
SELECT purchase_attach('nokey');
SELECT purchase_attach('nokey', key_column => 'id');

-- only the owner; and the default only from its owner
CREATE ROLE regress_purchase_clerk;
GRANT CREATE ON SCHEMA public TO regress_purchase_clerk;
SET ROLE regress_purchase_clerk;
SELECT purchase_attach('goods');
SELECT purchase_detach('goods');
CREATE TABLE stall (id integer PRIMARY KEY, stock integer);
SELECT purchase_attach('stall', is_default => true);
SELECT purchase_attach('stall');
SELECT stock_table, is_default FROM purchase_stock_tables ORDER BY stock_table::text;
INSERT INTO purchase_registration VALUES ('goods', 'id', 'stock', false);
RESET ROLE;
SELECT purchase_attach('goods', is_default => false);
SET ROLE regress_purchase_clerk;
SELECT purchase_attach('stall');
SELECT purchase_attach('stall', is_default => true);
SELECT purchase_detach('stall');
DROP TABLE stall;
RESET ROLE;
SELECT purchase_attach('goods');
REVOKE CREATE ON SCHEMA public FROM regress_purchase_clerk;
DROP ROLE regress_purchase_clerk;

-- hints repeat what was given already, and help with a key of several columns
CREATE TABLE depot (warehouse integer, sku text, units integer, id text,
    PRIMARY KEY (warehouse, sku));
SELECT purchase_attach('depot');
SELECT purchase_attach('depot', 'units');
SELECT purchase_attach('depot', 'units', is_default => false, lock_wait => '1s', early_release => 'local');
SELECT purchase_attach('depot', key_column => 'stock_id', lock_wait => '1s');
SELECT purchase_attach('depot', 'units', 'stock_id', lock_wait => '2 moons');
SELECT purchase_attach('depot', 'units', 'stock_id', lock_wait => '-2');
SELECT purchase_attach('depot', 'units', 'stock_id', early_release => 'soon');
ALTER TABLE public.depot ADD COLUMN stock_id bigint GENERATED ALWAYS AS IDENTITY UNIQUE;
SELECT purchase_attach('depot', stock_column => 'units', key_column => 'stock_id', is_default => false, lock_wait => '1s', early_release => 'LOCAL');
INSERT INTO depot VALUES (7, 'A-1', 5);
SELECT purchase((SELECT stock_id FROM depot WHERE warehouse = 7 AND sku = 'A-1'), 2, 'depot');
SELECT lock_wait, early_release FROM purchase_stock_tables WHERE stock_table = 'depot'::regclass;
SELECT purchase_attach('depot', stock_column => 'units', key_column => 'stock_id');
SELECT lock_wait, early_release FROM purchase_stock_tables WHERE stock_table = 'depot'::regclass;
SELECT purchase_detach('depot');
DROP TABLE depot;

-- a function or operator of the caller's does not run as the owner
CREATE SCHEMA trap;
CREATE FUNCTION trap.ne(regclass, regclass) RETURNS boolean
    LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped''; END';
CREATE OPERATOR trap.<> (LEFTARG = regclass, RIGHTARG = regclass, FUNCTION = trap.ne);
CREATE OPERATOR trap.= (LEFTARG = regclass, RIGHTARG = regclass, FUNCTION = trap.ne);
SET search_path = trap, public, pg_catalog;
SELECT purchase_attach('goods', is_default => true);
SELECT purchase(1, 1);
SET purchase.engine = sql;
SELECT purchase(1, 1);
RESET purchase.engine;
RESET search_path;

\set VERBOSITY terse
DROP SCHEMA trap CASCADE;
\set VERBOSITY default
DROP FOREIGN TABLE f;
DROP EXTENSION file_fdw CASCADE;
DROP MATERIALIZED VIEW m;
DROP VIEW v, w, x;
DROP TABLE goods, seats, two_columns, nokey;
DROP SEQUENCE s;
-- all are gone: the next one attached tidies up and is the default
SELECT key_column, is_default, engine, reason FROM purchase_stock_tables;
SELECT purchase(1, 1);
CREATE TABLE goods (id integer PRIMARY KEY, stock integer NOT NULL);
SELECT purchase_attach('goods');
SELECT * FROM purchase_registration;

-- the place of a dropped default is not for the next to come
SELECT 'goods'::regclass::oid AS dropped \gset
DROP TABLE goods;
CREATE ROLE regress_purchase_clerk;
CREATE TABLE stall (id integer PRIMARY KEY, stock integer);
ALTER TABLE stall OWNER TO regress_purchase_clerk;
SET ROLE regress_purchase_clerk;
SELECT purchase_attach('stall');
SELECT purchase_detach('stall');
\set VERBOSITY sqlstate
SELECT purchase_detach(:dropped);
\set VERBOSITY default
SELECT purchase_attach('stall');
SELECT count(*) FILTER (WHERE is_default), count(*) FROM purchase_registration;
RESET ROLE;
SELECT purchase_attach('stall');
SELECT stock_table, is_default FROM purchase_registration;

-- nor is that of a detached one, though no table is attached: but for its owner
SELECT * FROM purchase_default_owner;
CREATE ROLE regress_purchase_thief;
CREATE TABLE loot (id integer PRIMARY KEY, stock integer);
ALTER TABLE loot OWNER TO regress_purchase_thief;
SET ROLE regress_purchase_clerk;
SELECT purchase_detach('stall');
SET ROLE regress_purchase_thief;
SELECT purchase_attach('loot');
SELECT purchase_attach('loot', is_default => true);
RESET ROLE;
SELECT * FROM purchase_registration;
SELECT purchase_detach('loot');
SET ROLE regress_purchase_thief;
SELECT purchase_attach('loot');
SET ROLE regress_purchase_clerk;
SELECT purchase_attach('stall');
RESET ROLE;
SELECT stock_table, is_default FROM purchase_registration ORDER BY 1::text;
-- the owner is of the time of the detach
ALTER TABLE stall OWNER TO regress_purchase_thief;
SELECT purchase_detach('stall');
SELECT * FROM purchase_default_owner;
ALTER TABLE stall OWNER TO regress_purchase_clerk;
SET ROLE regress_purchase_clerk;
SELECT purchase_attach('stall');
RESET ROLE;
-- a role of the same name is not the same role, but one has to be able to make it
ALTER ROLE regress_purchase_thief RENAME TO regress_purchase_lost;
SET ROLE regress_purchase_lost;
SELECT purchase_attach('loot');
RESET ROLE;
DROP TABLE stall, loot;
DROP ROLE regress_purchase_clerk, regress_purchase_lost;
DROP EXTENSION purchase;

-- the first table ever attached is the default, whoever attaches it, unless
-- another was attached before, even one that didn't want to be
CREATE EXTENSION purchase;
CREATE ROLE regress_purchase_clerk;
CREATE TABLE goods (id integer PRIMARY KEY, stock integer NOT NULL);
CREATE TABLE stall (id integer PRIMARY KEY, stock integer);
ALTER TABLE stall OWNER TO regress_purchase_clerk;
BEGIN;
SET LOCAL ROLE regress_purchase_clerk;
SELECT purchase_attach('stall');
SELECT stock_table, is_default FROM purchase_registration;
ROLLBACK;
SELECT purchase_attach('goods', is_default => false);
SET ROLE regress_purchase_clerk;
SELECT purchase_attach('stall');
RESET ROLE;
SELECT stock_table, is_default FROM purchase_registration ORDER BY 1::text;
DROP TABLE goods, stall;
DROP ROLE regress_purchase_clerk;
DROP EXTENSION purchase;
