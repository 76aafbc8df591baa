-- Sales with an id: what is said and written.
\set SHOW_CONTEXT never
\set show_state '\\echo :LAST_ERROR_SQLSTATE'
CREATE EXTENSION purchase;
CREATE TABLE goods (id integer PRIMARY KEY, name text, stock integer NOT NULL);
INSERT INTO goods SELECT g, 'goods', 10 FROM generate_series(1, 9) g;
SELECT purchase_attach('goods');

-- before there are tables
SELECT purchase(1, 1, sale_id => 'a');
:show_state
SELECT purchase_confirm('a');
SELECT purchase_expire();

-- made once, and found again
SELECT purchase_keep_sales('goods');
SELECT purchase_keep_sales('goods');
\d goods_sale
\d goods_hold
SELECT obj_description('goods_sale'::regclass), obj_description('goods_hold'::regclass);
SELECT stock_table, sale_table, hold_table FROM purchase_stock_tables;

CREATE FUNCTION pg_temp.lapse(id text) RETURNS void LANGUAGE sql
    AS $$ UPDATE goods_hold SET expires_at = '2020-01-01' WHERE sale_id = id $$;
CREATE VIEW sales AS
    SELECT s.sale_id, s.line, s.product_id AS product, s.qty, s.state, s.remaining, s.released,
           s.hold_for, s.buyer, s.settled_at IS NOT NULL AS settled, h.qty AS units
    FROM goods_sale s LEFT JOIN goods_hold h USING (sale_id, line)
    ORDER BY sale_id, line;

-- a sale and its repeats
SELECT purchase(1, 3, sale_id => 'a');
SELECT purchase(1, 3, sale_id => 'a');
SELECT purchase_try(1, 3, sale_id => 'a');
SELECT * FROM purchase_cart(ARRAY[1, 1], ARRAY[1, 2], sale_id => 'a');
SELECT purchase(1, 2, sale_id => 'a');
:show_state
SELECT purchase(2, 3, sale_id => 'a');
SELECT purchase(1, 3, sale_id => 'a', hold_for => '1 min');
SELECT purchase_try(1, 3, sale_id => 'a', buyer => 'ann');
:show_state
SELECT purchase_confirm('a');
SELECT purchase_release('a');
:show_state
SELECT purchase_release('a', 1, 1);
:show_state
SELECT purchase_extend('a', '1 hour');
:show_state
TABLE sales;

-- a hold
SELECT * FROM purchase_try_cart(ARRAY[3, 2], ARRAY[3, 2], sale_id => 'b', hold_for => '15 min', buyer => 'ann');
SELECT * FROM purchase_try_cart(ARRAY[2, 3], ARRAY[2, 3], sale_id => 'b', hold_for => '00:15', buyer => 'ann');
SELECT expires_at = created_at + hold_for AS as_asked FROM goods_hold JOIN goods_sale USING (sale_id, line);
SELECT purchase_extend('b', '1 min') = min(expires_at) AS as_before FROM goods_hold;
SELECT purchase_release('b', 3, 4);
:show_state
SELECT purchase_release('b', 4, 1);
:show_state
SELECT purchase_release('b', '3', 2);
TABLE sales;
SELECT purchase_confirm('b');
SELECT purchase_confirm('b');
SELECT purchase_try(2, 1, sale_id => 'b');
TABLE sales;
SELECT * FROM goods WHERE id IN (2, 3) ORDER BY id;

-- released
SELECT purchase(4, 4, sale_id => 'c', hold_for => '1 min');
SELECT purchase_release('c', 4, 4);
SELECT purchase_release('c', 4, 4);
SELECT purchase_release('c');
SELECT purchase_confirm('c');
:show_state
SELECT purchase_extend('c', '1 hour');
:show_state
SELECT purchase(4, 4, sale_id => 'c', hold_for => '1 min');
:show_state

-- lapsed, and taken by who needs it
SELECT purchase(5, 4, sale_id => 'd1', hold_for => '1 h');
SELECT purchase(5, 5, sale_id => 'd2', hold_for => '1 h');
SELECT purchase(5, 6);
SELECT pg_temp.lapse('d1');
SELECT purchase_available(5);
SELECT purchase(5, 6);
:show_state
SELECT purchase_try(5, 6), purchase_try(5, 5);
SELECT * FROM sales WHERE product = 5;
SELECT purchase_confirm('d1');
:show_state
SELECT purchase_extend('d1', '1 min');
:show_state
SELECT purchase(5, 4, sale_id => 'd1', hold_for => '1 h');
:show_state
SELECT pg_temp.lapse('d2');
SELECT purchase(5, 4, sale_id => 'd2', hold_for => '1 h');
SELECT purchase(5, 5, sale_id => 'd2', hold_for => '1 h');
SELECT purchase_confirm('d2');
SELECT purchase_try(5, 1);
SELECT purchase_restock(5, 4);
SELECT purchase_confirm('d1');
SELECT * FROM sales WHERE product = 5;
SELECT * FROM goods WHERE id = 5;

-- what was paid back is never sold
SELECT purchase(5, 1);
SELECT purchase_restock(5, 2), purchase(5, 2, sale_id => 'd3', hold_for => '1 h');
SELECT pg_temp.lapse('d3');
SELECT purchase(5, 1);
SELECT purchase_release('d3'), purchase_release('d3');
SELECT purchase_confirm('d3');
:show_state
SELECT state, released FROM sales WHERE sale_id = 'd3';

-- expired by hand
SELECT count(*) FROM generate_series(1, 3) g, purchase_try(6, 1, sale_id => 'e' || g, hold_for => '1 h');
SELECT count(*) FROM generate_series(1, 3) g, purchase_try(7, 1, sale_id => 'f' || g, hold_for => '1 h');
SELECT pg_temp.lapse(sale_id) FROM goods_hold WHERE sale_id NOT IN ('e1', 'f3');
SELECT purchase_expire(3);
SELECT purchase_expire();
SELECT purchase_expire();
SELECT purchase_expire(0);
SELECT * FROM sales WHERE product IN (6, 7);
SELECT * FROM goods WHERE id IN (6, 7) ORDER BY id;

-- products that are gone
DELETE FROM goods WHERE id = 6;
SELECT purchase_release('e1');
SELECT purchase(8, 2, sale_id => 'g1', hold_for => '1 h');
SELECT purchase(8, 2, sale_id => 'g2', hold_for => '1 h');
SELECT pg_temp.lapse('g2');
DELETE FROM goods WHERE id = 8;
SELECT purchase_expire();
SELECT purchase_confirm('g1');
SELECT purchase_confirm('g2');
:show_state
SELECT * FROM sales WHERE product IN (6, 8);

-- what is no argument
SELECT purchase(1, 1, sale_id => NULL);
:show_state
SELECT purchase(1, 1, sale_id => repeat('x', 256));
:show_state
SELECT purchase(1, 1, hold_for => '1 min');
:show_state
SELECT purchase(1, 1, buyer => 'ann');
SELECT purchase(1, 1, sale_id => 'z', hold_for => '0');
SELECT purchase_extend('f3', '-1 min');
SELECT purchase_extend('f3', NULL);
SELECT purchase_confirm('');
SELECT purchase_confirm(NULL);
SELECT purchase_release('f3', 7, 0);
SELECT purchase_release('f3', 7, NULL);
SELECT * FROM purchase_cart('{}', '{}', sale_id => 'z');
SELECT purchase_confirm('nobody');
:show_state
SELECT purchase_release('nobody'), purchase_extend('nobody', '1 min');
SELECT purchase(1, 1, sale_id => '');

-- the id is free if nothing was sold
SELECT purchase_try(1, 99, sale_id => 'z');
SELECT purchase(1, 99, sale_id => 'z');
BEGIN;
SAVEPOINT s;
SELECT purchase(1, 1, sale_id => 'z');
ROLLBACK TO s;
SELECT purchase(1, 2, sale_id => 'z');
SELECT purchase(1, 2, sale_id => 'z');
COMMIT;

-- what the tables need
BEGIN READ ONLY;
SELECT purchase(1, 1, sale_id => 'a');
:show_state
ROLLBACK;
SELECT purchase_detach('goods');
:show_state
SELECT purchase_keep_sales('goods', hold_table => 'other');
:show_state
SELECT purchase_keep_sales('goods', sale_table => 'goods');
:show_state
CREATE TABLE other (id integer PRIMARY KEY, alt integer UNIQUE, stock integer);
SELECT purchase_attach('other');
SELECT purchase_keep_sales('other', sale_table => 'goods_sale', hold_table => 'goods_hold');
:show_state
SELECT purchase_keep_sales('other');
SELECT purchase_attach('other', key_column => 'alt');
:show_state
ALTER TABLE other RENAME id TO number;
SELECT purchase_attach('other');
SELECT purchase_detach('other');
DROP TABLE other, other_sale, other_hold;
BEGIN;
ALTER TABLE goods_sale DROP COLUMN released CASCADE;
SELECT purchase(1, 1, sale_id => 'y');
:show_state
ROLLBACK;
BEGIN;
ALTER TABLE goods_sale DROP CONSTRAINT goods_sale_pkey;
SELECT purchase(1, 1);
SELECT purchase(1, 1, sale_id => 'y');
:show_state
ROLLBACK;
BEGIN;
DROP TABLE goods_hold CASCADE;
SELECT purchase(1, 1);
SAVEPOINT s;
SELECT purchase(1, 99);
:show_state
ROLLBACK TO s;
SELECT purchase_expire();
ROLLBACK;
BEGIN;
ALTER TABLE goods ALTER id TYPE bigint;
SELECT purchase_confirm('f3');
:show_state
ROLLBACK;

-- what the doctor says
CREATE VIEW doctor AS SELECT * FROM purchase_check('goods') WHERE finding ~ 'sale|hold';
TABLE doctor;
BEGIN;
INSERT INTO goods_hold SELECT sale_id, 1, 1, 5, NULL, '2020-01-01' FROM goods_sale WHERE sale_id = 'a';
INSERT INTO goods_hold VALUES ('nobody', 1, 1, 5, NULL, '2020-01-01');
DROP INDEX goods_hold_product_id_expires_at_idx;
CREATE INDEX goods_sale_unsettled ON goods_sale (buyer) WHERE state = 'held';
TABLE doctor;
SELECT purchase_available(1), purchase_expire();
SELECT regexp_replace(remedy, '^-- [^:]*: ', '') FROM doctor \gexec
TABLE doctor;
SELECT count(*) FROM goods_hold;
ROLLBACK;
-- units that are lost come back, once
BEGIN;
SELECT purchase(1, 1, sale_id => 'lost', hold_for => '1 hour');
DELETE FROM goods_hold;
SELECT sum(stock) + (SELECT sum(qty - released) FROM goods_sale WHERE state = 'held') AS units FROM goods;
TABLE doctor;
SELECT regexp_replace(remedy, '^-- [^:]*: ', '') FROM doctor \gexec
SELECT sum(stock) AS units FROM goods;
TABLE doctor;
SELECT purchase_release('lost');
ROLLBACK;
BEGIN;
ALTER TABLE goods_hold DROP CONSTRAINT goods_hold_pkey, DROP COLUMN product_id CASCADE;
ALTER TABLE goods_sale DROP CONSTRAINT goods_sale_pkey;
TABLE doctor;
ROLLBACK;
BEGIN;
CREATE ROLE regress_purchase_owner;
CREATE ROLE regress_purchase_other;
ALTER TABLE goods OWNER TO regress_purchase_owner;
ALTER TABLE goods_sale OWNER TO regress_purchase_other;
GRANT ALL ON SCHEMA public TO regress_purchase_owner;
DROP TABLE goods_hold CASCADE;
TABLE doctor;
SELECT remedy FROM doctor \gexec
TABLE doctor;
SELECT purchase_confirm('a');
ROLLBACK;
DROP VIEW doctor;

-- renamed, with triggers and more columns
ALTER TABLE goods_sale RENAME TO "Verkäufe";
ALTER TABLE "Verkäufe" ADD note text DEFAULT 'new', ADD CHECK (qty < 6);
ALTER TABLE goods_hold ADD FOREIGN KEY (sale_id, line) REFERENCES "Verkäufe";
\set VERBOSITY terse
SELECT purchase(9, 6, sale_id => 'w', hold_for => '1 h');
\set VERBOSITY default
SELECT purchase(9, 4, sale_id => 'w', hold_for => '1 h');
SELECT purchase_confirm('w');
SELECT note FROM "Verkäufe" WHERE sale_id = 'w';
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER suppress BEFORE INSERT OR UPDATE ON "Verkäufe" FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT purchase(9, 1, sale_id => 'v');
:show_state
SELECT purchase_confirm('f3');
:show_state
DROP TRIGGER suppress ON "Verkäufe";

-- the extension goes, and comes back
DROP EXTENSION purchase;
CREATE EXTENSION purchase;
SELECT purchase_attach('goods');
SELECT purchase_keep_sales('goods', sale_table => 'Verkäufe');
SELECT purchase_confirm('f3');
SELECT purchase(1, 3, sale_id => 'a');
SELECT purchase_detach('goods');

-- what can't keep sales
CREATE VIEW v AS SELECT id, stock FROM goods;
SELECT purchase_attach('v', key_column => 'id');
SELECT purchase_keep_sales('v');
:show_state
SELECT purchase_keep_sales('goods');
SELECT purchase_keep_sales(NULL);
DROP VIEW v, sales;
DROP TABLE goods, "Verkäufe", goods_hold;
DROP FUNCTION nothing;
DROP EXTENSION purchase;
