-- A sale is part of the caller's transaction.
BEGIN;
\ir shop.psql
SELECT plan(19);
SELECT purchase_attach('shop_product');

-- Rollback gives the units back.
SAVEPOINT before_sale;
SELECT is(purchase(1, 4), 6::bigint, 'sold after a savepoint');
ROLLBACK TO before_sale;
SELECT is(purchase_available(1), 10::bigint, 'ROLLBACK TO gives the units back');
SELECT is(purchase(1, 10), 0::bigint, 'all of them can be sold again');
ROLLBACK TO before_sale;

SAVEPOINT inner_sale;
SELECT is(purchase(1, 1), 9::bigint, 'sold in a savepoint');
RELEASE inner_sale;
SELECT is(purchase_available(1), 9::bigint, 'RELEASE keeps the sale');

-- The order line and the sale stand or fall together.
SELECT throws_ok(
    $$ WITH sale AS (SELECT purchase(1, 2) AS remaining)
       INSERT INTO shop_order_line SELECT 99, 2 FROM sale; SET CONSTRAINTS ALL IMMEDIATE $$,
    '23503', NULL, 'an order line that fails');
SELECT is(purchase_available(1), 9::bigint, 'takes its sale with it');
SELECT lives_ok(
    $$ WITH sale AS (SELECT purchase(1, 2) AS remaining)
       INSERT INTO shop_order_line SELECT 1, 2 FROM sale $$,
    'sale and order line in one statement');
SELECT is(stock_of(1), 7::bigint, 'both were done');

-- Several calls in one statement see each other.
SELECT is(ARRAY[purchase(1, 1), purchase(1, 1), purchase(1, 1)],
    ARRAY[6, 5, 4]::bigint[], 'three sales of one product in one statement');
SELECT refuses('SELECT purchase(3, 1), purchase(3, 1)', 'SK002',
    'the second cannot have what the first one took');
SELECT is(stock_of(3), 1::bigint, 'and the statement is undone as a whole');
SELECT is(purchase(1, 2) + purchase_restock(1, 2), 6::bigint,
    'sell and restock in one statement');

-- Many lines
CREATE TEMP TABLE lines (line int, product_id bigint, qty bigint);
INSERT INTO lines VALUES (1, 1, 2), (2, 2, 1), (3, 2, 1);
SELECT results_eq('SELECT purchase(product_id, qty) FROM lines ORDER BY line',
    ARRAY[2, 2, 1]::bigint[], 'one SELECT sells all lines of a table');
INSERT INTO lines VALUES (4, 4, 1);
SELECT refuses('SELECT purchase(product_id, qty) FROM lines ORDER BY line',
    'SK002', 'one line that fails');
SELECT results_eq('SELECT stock FROM shop_product ORDER BY id',
    ARRAY[2, 1, 1, 0], 'undoes them all');

-- In a loop that goes on after an error
CREATE FUNCTION sell_all(OUT sold int, OUT refused int) LANGUAGE plpgsql AS $$
DECLARE
    line lines;
BEGIN
    sold := 0;
    refused := 0;
    FOR line IN SELECT * FROM lines ORDER BY line LOOP
        BEGIN
            PERFORM purchase(line.product_id, line.qty);
            sold := sold + 1;
        EXCEPTION WHEN SQLSTATE 'SK002' OR SQLSTATE 'SK003' THEN
            refused := refused + 1;
        END;
    END LOOP;
END $$;
SELECT is(sell_all()::text, '(2,2)', 'a loop sells what it can');
SELECT results_eq('SELECT stock FROM shop_product ORDER BY id',
    ARRAY[0, 0, 1, 0], 'and nothing that it could not');

-- Rows of the product table itself
SELECT results_eq(
    'SELECT p.id, purchase_restock(p.id, 1) FROM shop_product AS p ORDER BY p.id',
    $$ VALUES (1::bigint, 1::bigint), (2, 1), (3, 2), (4, 1) $$,
    'a query over the stock table can change what it reads');

SELECT * FROM finish();
ROLLBACK;
