-- A sale that cannot be: which error, and what it tells.
BEGIN;
\ir shop.psql
SELECT plan(16);
SELECT purchase_attach('shop_product');

SELECT refuses('SELECT purchase(99, 1)', 'SK001',
    'Key (id)=(99) is not present in table "shop_product".',
    'shop_product.id', 'SK001 product_not_found: there is no such product');
SELECT refuses('SELECT purchase(4, 1)', 'SK002',
    'Product 4 has 0 in stock, 1 was requested.', 'shop_product.stock',
    'SK002 out_of_stock: nothing is left');
SELECT refuses('SELECT purchase(2, 5)', 'SK003',
    'Product 2 has 3 in stock, 5 were requested.', 'shop_product.stock',
    'SK003 insufficient_quantity: some are left, but fewer');

SELECT is(message, 'product 99 not found', 'SK001 names the product')
FROM error_of('SELECT purchase(99, 1)');
SELECT is(message, 'product 4 is out of stock', 'SK002, too')
FROM error_of('SELECT purchase(4, 1)');
SELECT is(message, 'not enough stock of product 2', 'SK003, too')
FROM error_of('SELECT purchase(2, 5)');
SELECT is(hint, 'A quantity of up to 3 can be sold.',
    'SK003 has a hint: how many can be had')
FROM error_of('SELECT purchase(2, 5)');
SELECT is(hint, '', 'SK002 has none: a smaller quantity would not help')
FROM error_of('SELECT purchase(4, 1)');

SELECT is(stock_of(2), 3::bigint, 'a refusal changes nothing');
SELECT is(purchase(2, 3), 0::bigint, 'and what is there can still be sold');
SELECT refuses('SELECT purchase(2, 1)', 'SK002', 'then it is out of stock');

-- stock that was oversold before there was a CHECK
CREATE TABLE legacy (id integer PRIMARY KEY, stock integer);
INSERT INTO legacy VALUES (1, -2), (2, NULL);
SELECT purchase_attach('legacy');
SELECT refuses($$ SELECT purchase(1, 1, 'legacy') $$, 'SK002',
    'Product 1 has -2 in stock, 1 was requested.', 'legacy.stock',
    'negative stock is out of stock');
SELECT refuses($$ SELECT purchase(2, 1, 'legacy') $$, '22004',
    'unknown stock (NULL) is an error, neither sold nor out of stock');

-- An application catches what it can handle.
CREATE FUNCTION order_product(product bigint, wanted bigint) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM purchase(product, wanted);
    INSERT INTO shop_order_line VALUES (product, wanted);
    RETURN 'ordered';
EXCEPTION
    WHEN SQLSTATE 'SK002' THEN RETURN 'sold out';
    WHEN SQLSTATE 'SK003' THEN RETURN 'too many';
END $$;
SELECT is(order_product(1, 4), 'ordered', 'a function sells');
SELECT is(order_product(1, 7), 'too many', 'and tells SK003');
SELECT is(order_product(4, 1), 'sold out', 'from SK002');

SELECT * FROM finish();
ROLLBACK;
