-- Only the stock column is written; all else is as for an UPDATE of it.
BEGIN;
\ir shop.psql
SELECT plan(25);
SELECT purchase_attach('shop_product');

SELECT row_eq(
    'SELECT name, price FROM shop_product, purchase(1, 1) WHERE id = 1',
    ROW('lamp'::varchar(100), 0::numeric(10, 2)), 'other columns keep their values');

-- Generated columns and an updated_at trigger follow.
ALTER TABLE shop_product
    ADD sold_out boolean GENERATED ALWAYS AS (stock = 0) STORED,
    ADD updated_at timestamptz,
    ADD old_column text DEFAULT 'x';
ALTER TABLE shop_product DROP old_column;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.updated_at := 'today'; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON shop_product
    FOR EACH ROW EXECUTE FUNCTION touch();
SELECT is(purchase(3, 1), 0::bigint, 'sells after ALTER TABLE');
SELECT row_eq('SELECT sold_out, updated_at FROM shop_product WHERE id = 3',
    ROW(true, 'today'::timestamptz),
    'generated column and updated_at trigger follow the stock');
SELECT is(updated_at, NULL, 'but not of another product')
FROM shop_product WHERE id = 2;

-- Triggers
CREATE TEMP TABLE log (n serial, event text);
CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log (event) VALUES (TG_ARGV[0]);
    RETURN NEW;
END $$;
CREATE TRIGGER on_stock BEFORE UPDATE OF stock ON shop_product
    FOR EACH ROW EXECUTE FUNCTION log('before stock');
CREATE TRIGGER on_price BEFORE UPDATE OF price ON shop_product
    FOR EACH ROW EXECUTE FUNCTION log('before price');
CREATE TRIGGER after_stock AFTER UPDATE OF stock ON shop_product
    FOR EACH ROW EXECUTE FUNCTION log('after stock');
CREATE TRIGGER after_name AFTER UPDATE OF name ON shop_product
    FOR EACH ROW EXECUTE FUNCTION log('after name');
CREATE TRIGGER when_sold_out AFTER UPDATE ON shop_product
    FOR EACH ROW WHEN (NEW.stock = 0 AND OLD.stock > 0)
    EXECUTE FUNCTION log('sold out');
SELECT is(purchase(1, 1), 8::bigint, 'sells with triggers');
SELECT results_eq('SELECT event FROM log ORDER BY n',
    $$ VALUES ('before stock'), ('after stock') $$,
    'triggers on UPDATE and UPDATE OF stock fire, others do not');
SELECT is(purchase(1, 8), 0::bigint, 'sells the last ones');
SELECT is(event, 'sold out', 'a trigger''s WHEN sees old and new stock')
FROM log ORDER BY n DESC LIMIT 1;
DELETE FROM log;
SELECT refuses('SELECT purchase(1, 1)', 'SK002', 'a refusal');
SELECT is_empty('SELECT * FROM log', 'fires no trigger');
SELECT purchase_restock(1, 9);

CREATE TRIGGER statement AFTER UPDATE ON shop_product
    FOR EACH STATEMENT EXECUTE FUNCTION log('statement');
DELETE FROM log;
SELECT is(purchase(1, 1), 8::bigint, 'sells with a statement trigger');
SELECT is(event, 'statement', 'which fires')
FROM log ORDER BY n DESC LIMIT 1;
DROP TRIGGER statement ON shop_product;

-- A BEFORE trigger has the last word on the row.
CREATE FUNCTION damage() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.stock := NEW.stock - 1; RETURN NEW; END $$;
CREATE TRIGGER z_damage BEFORE UPDATE OF stock ON shop_product
    FOR EACH ROW EXECUTE FUNCTION damage();
SELECT is(purchase(1, 2), 5::bigint, 'if it changes the stock, the answer says so');
SELECT is(stock_of(1), 5::bigint, 'as the table does');
SELECT results_eq('SELECT * FROM purchase_try(1, 1)',
    $$ VALUES ('sold', 3::bigint) $$, 'purchase_try, too');
SELECT is(purchase_restock(1, 7), 9::bigint, 'and restock');
DROP TRIGGER z_damage ON shop_product;

CREATE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER z_suppress BEFORE UPDATE ON shop_product
    FOR EACH ROW EXECUTE FUNCTION suppress();
SELECT refuses('SELECT purchase(1, 1)', '09000',
    'if it suppresses the update, that is an error, not a sale');
SELECT refuses('SELECT purchase_try(1, 1)', '09000', 'nor for purchase_try');
DROP TRIGGER z_suppress ON shop_product;

-- Constraints
ALTER TABLE shop_product ADD CONSTRAINT reserve CHECK (stock >= 5) NOT VALID;
SELECT refuses('SELECT purchase(1, 5)', '23514', 'CHECK constraints hold');
SELECT is(purchase(1, 4), 5::bigint, 'for what breaks them');
ALTER TABLE shop_product DROP CONSTRAINT reserve;
INSERT INTO shop_order_line VALUES (1, 1);
SELECT is(purchase(1, 1), 4::bigint, 'a row that is referenced can be sold');
CREATE INDEX ON shop_product (stock);
SELECT is(purchase(1, 1), 3::bigint, 'indexes of the stock');
SET LOCAL enable_seqscan = off;
SELECT is((SELECT id FROM shop_product WHERE stock = 3 AND id = 1), 1::bigint,
    'follow');

CREATE DOMAIN units AS integer CHECK (VALUE >= 2);
CREATE TABLE pairs (id integer PRIMARY KEY, stock units);
INSERT INTO pairs VALUES (1, 4);
SELECT purchase_attach('pairs');
SELECT is(purchase(1, 2, 'pairs'), 2::bigint, 'a stock column of a domain');
SELECT refuses($$ SELECT purchase(1, 1, 'pairs') $$, '23514', 'the domain holds');

SELECT * FROM finish();
ROLLBACK;
