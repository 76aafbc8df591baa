-- Sell a product, and know what remains.
BEGIN;
\ir shop.psql
SELECT plan(17);

SELECT lives_ok($$ SELECT purchase_attach('shop_product') $$,
    'a table with a primary key and a column "stock" is attached by its name');
SELECT is((stock_table, key_column, stock_column, is_default)::text,
    '(shop_product,id,stock,t)',
    'the first table attached is the default of all calls')
FROM purchase_stock_tables;

SELECT is(purchase(1, 3), 7::bigint, 'sells 3 of 10: 7 remain');
SELECT is(stock_of(1), 7::bigint, 'the table says so, too');
SELECT is(purchase(1, 1), 6::bigint, 'and another one');
SELECT is(purchase(1, 6), 0::bigint, 'all that is left can be sold');
SELECT is(purchase(3, 1), 0::bigint, 'the last unit can be sold');
SELECT is(stock_of(2), 3::bigint, 'another product keeps its stock');

SELECT is(purchase(2, 1, 'shop_product'), 2::bigint,
    'the table can be named in the call');
SELECT is(purchase(product_id => 2, qty => 1, stock_table => 'shop_product'),
    1::bigint, 'arguments have names');
SELECT is(purchase('2', 1), 0::bigint, 'a key as text finds the same product');

-- A second shop in the same database
CREATE TABLE tickets (show_id integer UNIQUE NOT NULL, seats smallint);
INSERT INTO tickets VALUES (1, 100);
SELECT lives_ok(
    $$ SELECT purchase_attach('tickets', 'seats', 'show_id') $$,
    'stock and key may have any name');
SELECT is(purchase(1, 30, 'tickets'), 70::bigint, 'sells from that table');
SELECT is(stock_of(1), 0::bigint, 'and not from the default');

SELECT is((SELECT is_default FROM purchase_stock_tables
    WHERE stock_table = 'tickets'::regclass), false,
    'the second table attached is not the default');
SELECT lives_ok($$ SELECT purchase_attach('tickets', 'seats', 'show_id', true) $$,
    'unless one says so');
SELECT is(purchase(1, 30), 40::bigint, 'then calls without a table sell from it');

SELECT * FROM finish();
ROLLBACK;
