-- One product, every outcome, with the text that a user reads.
CREATE EXTENSION purchase;
CREATE TABLE shop_product (
    id bigint PRIMARY KEY,
    name text,
    stock integer CHECK (stock >= -10)
);
INSERT INTO shop_product VALUES
    (1, 'plenty', 100), (2, 'few', 3), (3, 'one', 1), (4, 'none', 0),
    (5, 'negative', -2), (6, 'unknown', NULL);
\set SHOW_CONTEXT never
\set show_state '\\echo :LAST_ERROR_SQLSTATE'

SELECT purchase(1, 1);                          -- nothing attached yet
SELECT purchase(1, 1, 'shop_product');
SELECT purchase_attach('shop_product');

SELECT purchase(1, 3);
SELECT purchase(1, 3, 'shop_product');
SELECT purchase(1, 47), purchase(1, 47);        -- one statement, two sales
SELECT purchase(2, 5);
:show_state
SELECT purchase(3, 1);
SELECT purchase(3, 1);
:show_state
SELECT purchase(4, 2);
SELECT purchase(5, 1);
SELECT purchase(6, 1);
:show_state
SELECT purchase(7, 1);
:show_state
SELECT purchase('9223372036854775808', 1);

-- the same without raising
SELECT * FROM purchase_try(2, 1);
SELECT * FROM purchase_try(2, 5);
SELECT * FROM purchase_try(3, 1);
SELECT * FROM purchase_try(5, 1);
SELECT * FROM purchase_try(7, 1);
SELECT * FROM purchase_try(6, 1);
SELECT (purchase_try(2, 1)).remaining;
SELECT product, t.* FROM (VALUES (1, 0), (2, 9), (4, 9)) AS v (product, n),
    LATERAL purchase_try(product, 1) AS t;

-- restock
SELECT purchase_restock(3, 5);
SELECT purchase_restock(5, 1);                  -- still owes one
SELECT purchase_restock(3, 2147483642);
SELECT purchase_restock(3, 2147483643);
:show_state
SELECT purchase_restock(3, 9223372036854775807);
SELECT purchase_restock(6, 1);
SELECT purchase_restock(7, 1);

-- available
SELECT purchase_available(1), purchase_available(5);
SELECT purchase_available(6);
SELECT purchase_available(7);

-- bad arguments
SELECT purchase(1, 0);
:show_state
SELECT purchase(1, -1);
SELECT purchase(1, NULL);
:show_state
SELECT purchase(NULL::bigint, 1);
SELECT purchase(NULL, 1);
SELECT purchase_try(1, 0);
SELECT purchase_try(1, NULL);
SELECT purchase_restock(1, -5);
SELECT purchase_restock(NULL::uuid, 5);
SELECT purchase_available(NULL::text);
SELECT purchase(1, 1, 'no_such_table');
SELECT purchase(1, 1, 4294967295::oid::regclass);
:show_state
SELECT purchase(1, 1, 'shop_product_pkey');
SELECT purchase(1, 9223372036854775807);

-- nothing but the sales above has changed anything
SELECT * FROM shop_product ORDER BY id;

-- an error leaves the transaction to its savepoint, an outcome does not
BEGIN;
SELECT purchase(3, 1);
SAVEPOINT s;
SELECT purchase(4, 1);
ROLLBACK TO s;
SELECT purchase(3, 1);
SELECT purchase_try(4, 1);
SELECT purchase(3, 1);
ROLLBACK TO s;
SELECT purchase_available(3);
ROLLBACK;
SELECT purchase_available(3);

-- a check constraint, a read-only transaction, a prepared statement
ALTER TABLE shop_product ADD CONSTRAINT not_thirteen CHECK (stock <> 13);
SELECT purchase_restock(4, 13);
BEGIN READ ONLY;
SELECT purchase_available(1);
SELECT purchase(1, 1);
ROLLBACK;
PREPARE buy AS SELECT purchase($1, $2);
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'buy';
EXECUTE buy (3, 1);
EXECUTE buy ('3', '1');

-- foreign keys: of order lines they have nothing to check, of a copy of the
-- stock they have
CREATE TABLE order_line (product_id bigint REFERENCES shop_product ON UPDATE CASCADE);
INSERT INTO order_line VALUES (3);
SELECT purchase(3, 1);
ALTER TABLE shop_product ADD UNIQUE (id, stock);
CREATE TABLE copied (id bigint, stock integer,
    FOREIGN KEY (id, stock) REFERENCES shop_product (id, stock));
INSERT INTO copied SELECT id, stock FROM shop_product WHERE id = 3;
SELECT purchase(3, 1);
:show_state
SELECT * FROM purchase_cart('{3}', '{1}');
ALTER TABLE copied DROP CONSTRAINT copied_id_stock_fkey;
ALTER TABLE copied ADD FOREIGN KEY (id, stock)
    REFERENCES shop_product (id, stock) ON UPDATE CASCADE;
SELECT purchase(3, 1);
SELECT c.stock = p.stock AS follows FROM copied AS c JOIN shop_product AS p USING (id);
DROP TABLE order_line, copied;

-- foreign keys of the product's own: of a row that was inserted just now, the
-- one that is checked at commit, and of the stock
CREATE TABLE category (id integer PRIMARY KEY);
CREATE TABLE own_key (
    id integer PRIMARY KEY,
    stock integer,
    category integer REFERENCES category DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO category VALUES (1), (8);
INSERT INTO own_key VALUES (1, 9, 1);
SELECT purchase_attach('own_key');
SELECT purchase(1, 1, 'own_key');
BEGIN;
INSERT INTO own_key VALUES (2, 9, 2);
SELECT purchase(2, 1, 'own_key');
COMMIT;
BEGIN;
UPDATE own_key SET category = 2 WHERE id = 1;
SELECT purchase(1, 1, 'own_key');
COMMIT;
ALTER TABLE own_key ADD FOREIGN KEY (stock) REFERENCES category;
SELECT purchase(1, 1, 'own_key');
ALTER TABLE own_key DROP CONSTRAINT own_key_stock_fkey;
CREATE TABLE pair (a integer, b integer, PRIMARY KEY (a, b));
ALTER TABLE own_key ADD a integer, ADD b integer;
UPDATE own_key SET a = 1;
ALTER TABLE own_key ADD FOREIGN KEY (a, b) REFERENCES pair MATCH FULL NOT VALID;
SELECT purchase(1, 1, 'own_key');
SELECT * FROM own_key;
ALTER TABLE own_key DROP CONSTRAINT own_key_a_b_fkey, DROP category,
    ADD tenfold integer GENERATED ALWAYS AS (stock * 10) STORED UNIQUE;
CREATE TABLE refers (tenfold integer REFERENCES own_key (tenfold));
INSERT INTO refers SELECT tenfold FROM own_key;
SELECT purchase(1, 1, 'own_key');
SELECT purchase_detach('own_key');
DROP TABLE refers, own_key, pair, category;

-- constraints of other columns count as well, and what they call may change
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE FUNCTION fine(integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE TABLE checked (
    id integer PRIMARY KEY,
    stock integer CHECK (stock BETWEEN 0 AND 50),
    name text,
    mood mood
);
INSERT INTO checked VALUES (1, 50, NULL, 'sad');
SELECT purchase_attach('checked');
SELECT purchase_restock(1, 1, 'checked');
ALTER TABLE checked ADD CONSTRAINT named CHECK (name IN ('tea', 'mug'));
SELECT purchase(1, 1, 'checked');
UPDATE checked SET name = 'mug';
ALTER TABLE checked DROP CONSTRAINT named,
    ADD CONSTRAINT named CHECK (char_length(name) > 3) NOT VALID;
SELECT purchase(1, 1, 'checked');
ALTER TABLE checked DROP CONSTRAINT named,
    ADD CONSTRAINT named CHECK (char_length(name) > 2 AND name IS NOT NULL);
SELECT purchase(1, 1, 'checked');
ALTER TABLE checked ADD CONSTRAINT moody CHECK (mood >= 'ok') NOT VALID;
SELECT purchase(1, 1, 'checked');
ALTER TABLE checked DROP CONSTRAINT moody, ADD CHECK (fine(stock));
SELECT purchase(1, 1, 'checked');
CREATE OR REPLACE FUNCTION fine(integer) RETURNS boolean LANGUAGE sql IMMUTABLE
    AS 'SELECT $1 <> 46';
SELECT purchase(1, 1, 'checked');
SELECT purchase(1, 1, 'checked');
DO $$ BEGIN PERFORM purchase(1, 1, 'checked'); EXCEPTION WHEN check_violation THEN
    PERFORM purchase(1, 2, 'checked'); END $$;
ALTER TABLE checked DROP CONSTRAINT checked_stock_check1,
    ADD CONSTRAINT of_case CHECK (CASE WHEN stock > 0 THEN fine(stock) END);
SELECT purchase(1, 1, 'checked'), purchase_restock(1, 1, 'checked');
CREATE OR REPLACE FUNCTION fine(integer) RETURNS boolean LANGUAGE sql IMMUTABLE
    AS 'SELECT $1 <> 44';
SELECT purchase(1, 1, 'checked');
ALTER TABLE checked DROP CONSTRAINT of_case, DROP CONSTRAINT checked_stock_check,
    ADD CHECK (1000 / (stock - 44) IS NOT NULL);
SELECT purchase(1, 1, 'checked');
SELECT purchase(1, 2, 'checked');
ALTER TABLE checked ADD twice integer GENERATED ALWAYS AS (stock * 2) STORED;
SELECT purchase(1, 1, 'checked');
SELECT * FROM checked;
-- one that sells another product itself
INSERT INTO checked VALUES (2, 3, 'lid');
ALTER TABLE checked ADD CONSTRAINT bundle CHECK (id = 2 OR
        ts_rewrite('a', 'SELECT ''b''::tsquery, ''c''::tsquery
            FROM purchase(2, 1, ''checked'')') = 'a') NOT VALID,
    ADD CONSTRAINT last CHECK (stock > 1 AND (id = 2) = (name = 'lid'));
SELECT purchase(1, 1, 'checked');
SELECT purchase(1, 1, 'checked');
SELECT id, stock FROM checked ORDER BY id;
DELETE FROM checked WHERE id = 2;
ALTER TABLE checked DROP CONSTRAINT bundle, DROP CONSTRAINT last;
-- since 18, one can be made NOT NULL so that old rows violate it
ALTER TABLE checked DROP twice, ADD added text;
UPDATE pg_attribute SET attnotnull = true
    WHERE attrelid = 'checked'::regclass AND attname = 'added';
SELECT purchase(1, 1, 'checked');
SELECT purchase_detach('checked');
DROP TABLE checked;

-- the bound of a partition that is attached by itself
CREATE TABLE by_stock (id integer, stock integer) PARTITION BY RANGE (stock);
CREATE TABLE in_stock PARTITION OF by_stock (UNIQUE (id)) FOR VALUES FROM (1) TO (MAXVALUE);
INSERT INTO in_stock VALUES (1, 3);
SELECT purchase_attach('in_stock', key_column => 'id');
SELECT purchase(1, 2, 'in_stock');
SELECT purchase(1, 1, 'in_stock');
SELECT purchase_detach('in_stock');
DROP TABLE by_stock;
DROP FUNCTION fine;
DROP TYPE mood;

-- what is missing, and who can give it
CREATE ROLE "Regress purchase buyer";
CREATE SCHEMA "The shop";
CREATE TABLE "The shop"."Product" ("Id" integer PRIMARY KEY, stock integer);
INSERT INTO "The shop"."Product" VALUES (1, 5);
CREATE VIEW "The shop".v AS SELECT * FROM "The shop"."Product";
SELECT purchase_attach('"The shop"."Product"'), purchase_attach('"The shop".v', key_column => 'Id');
SELECT '"The shop"."Product"'::regclass::oid AS product, '"The shop".v'::regclass::oid AS v \gset
SET ROLE "Regress purchase buyer";
SELECT purchase(1, 1, :product);
RESET ROLE;
GRANT USAGE ON SCHEMA "The shop" TO "Regress purchase buyer";
SET ROLE "Regress purchase buyer";
SELECT purchase(1, 1, :product);
SELECT purchase_available(1, :product);
SELECT purchase(1, 1, :v);
RESET ROLE;
GRANT SELECT ("Id", stock), UPDATE (stock) ON "The shop"."Product" TO "Regress purchase buyer";
SET ROLE "Regress purchase buyer";
SELECT purchase(1, 1, :product);
RESET ROLE;
SELECT purchase_detach('"The shop"."Product"'), purchase_detach('"The shop".v');
\set VERBOSITY terse
DROP SCHEMA "The shop" CASCADE;
\set VERBOSITY default
DROP ROLE "Regress purchase buyer";
SELECT purchase(1, 1, '-'), purchase(1, 1, 0::regclass);

-- the sum of a column is a bigint
SELECT purchase(3, sum(q)) FROM (VALUES (1), (1)) AS v (q);

-- a foreign key on what is generated from the stock, and a trigger that changes,
-- deletes or sells the row that is being sold
CREATE TABLE level (id integer PRIMARY KEY);
INSERT INTO level SELECT generate_series(1, 9);
CREATE TABLE leveled (id integer PRIMARY KEY, stock integer, note text,
    tens integer GENERATED ALWAYS AS (stock / 10) STORED REFERENCES level);
INSERT INTO leveled VALUES (1, 25);
SELECT purchase_attach('leveled', is_default => false);
SELECT purchase(1, 8, 'leveled');
SELECT purchase(1, 8, 'leveled');
ALTER TABLE leveled DROP tens;
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 THEN
        EXECUTE TG_ARGV[0];
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER meddle BEFORE UPDATE ON leveled FOR EACH ROW
    EXECUTE FUNCTION meddle('UPDATE leveled SET note = stock');
SELECT purchase(1, 1, 'leveled');
DROP TRIGGER meddle ON leveled;
CREATE TRIGGER meddle BEFORE UPDATE ON leveled FOR EACH ROW
    EXECUTE FUNCTION meddle('DELETE FROM leveled');
SELECT purchase(1, 1, 'leveled');
DROP TRIGGER meddle ON leveled;
CREATE TRIGGER meddle BEFORE UPDATE ON leveled FOR EACH ROW
    EXECUTE FUNCTION meddle('SELECT purchase(1, 1, ''leveled'')');
SELECT purchase(1, 1, 'leveled');
SELECT * FROM leveled;
DROP TABLE leveled, level;
DROP FUNCTION meddle;

DROP TABLE shop_product;
DROP EXTENSION purchase;
