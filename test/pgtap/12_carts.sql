-- Sell a whole cart: all of its lines, or none.
BEGIN;
\ir shop.psql
SELECT no_plan();
SELECT purchase_attach('shop_product');

-- Sold
SELECT results_eq(
    'SELECT * FROM purchase_cart(ARRAY[2, 1], ARRAY[1, 3])',
    $$ VALUES (1::bigint, 3::bigint, 7::bigint), (2, 1, 2) $$,
    'a row for each product, in the order of their keys, with what remains');
SELECT is(stock_of(1), 7::bigint, 'sold');
SELECT is(stock_of(2), 2::bigint, 'both');
SELECT results_eq(
    'SELECT * FROM purchase_cart(ARRAY[1, 2, 1], ARRAY[1, 1, 2])',
    $$ VALUES (1::bigint, 3::bigint, 4::bigint), (2, 1, 1) $$,
    'a product that comes twice is one line of both quantities');
SELECT results_eq(
    'SELECT * FROM purchase_try_cart(ARRAY[2, 1], ARRAY[1, 1])',
    $$ VALUES (1::bigint, 1::bigint, 'sold', 3::bigint), (2, 1, 'sold', 0) $$,
    'purchase_try_cart says of each line what became of it');
UPDATE shop_product SET stock = 10 WHERE id = 1;
UPDATE shop_product SET stock = 3 WHERE id = 2;

-- Not sold: one error, with the code of the worst line.
CREATE FUNCTION unchanged(story text) RETURNS text LANGUAGE sql AS $$
    SELECT results_eq('SELECT stock FROM shop_product ORDER BY id',
        ARRAY[10, 3, 1, 0], story)
$$;
SELECT refuses('SELECT purchase_cart(ARRAY[1, 2], ARRAY[1, 5])', 'SK003',
    'Product 2 has 3 in stock, 5 were requested.', 'shop_product.stock',
    'one line that fails is told like a single product');
SELECT is((message, hint)::text,
    '("not enough stock of product 2","A quantity of up to 3 can be sold.")',
    'also in message and hint')
FROM error_of('SELECT purchase_cart(ARRAY[1, 2], ARRAY[1, 5])');
SELECT refuses('SELECT purchase_cart(ARRAY[2, 4, 1], ARRAY[5, 1, 1])', 'SK002',
    E'Product 2 has 3 in stock, 5 were requested.\nProduct 4 has 0 in stock, 1 was requested.',
    'shop_product.stock', 'of several, each is named: out of stock is worse than too few');
SELECT refuses('SELECT purchase_cart(ARRAY[2, 4, 99], ARRAY[5, 1, 1])', 'SK001',
    E'Product 2 has 3 in stock, 5 were requested.\nProduct 4 has 0 in stock, 1 was requested.\nKey (id)=(99) is not present in table "shop_product".',
    'shop_product.id', 'and a product that is not there is the worst');
SELECT is(message, '3 of 4 products cannot be sold', 'the message says how many')
FROM error_of('SELECT purchase_cart(ARRAY[2, 4, 99, 1], ARRAY[5, 1, 1, 1])');
SELECT refuses('SELECT purchase_cart(ARRAY[2, 2], ARRAY[2, 2])', 'SK003',
    'Product 2 has 3 in stock, 4 were requested.', 'shop_product.stock',
    'two lines of one product are too much together');
SELECT unchanged('none of them has sold anything');

-- Not sold, without an error
SELECT results_eq(
    'SELECT * FROM purchase_try_cart(ARRAY[99, 4, 2, 1], ARRAY[1, 1, 5, 1])',
    $$ VALUES (1::bigint, 1::bigint, 'available', 10::bigint),
        (2, 5, 'insufficient_quantity', 3), (4, 1, 'out_of_stock', 0),
        (99, 1, 'product_not_found', NULL) $$,
    'a line that could have been sold is available, the others say why not');
SELECT unchanged('purchase_try_cart sells nothing if it can''t sell all');
SELECT is((SELECT bool_and(outcome = 'sold')
    FROM purchase_try_cart(ARRAY[1, 4], ARRAY[1, 1])), false,
    'bool_and() tells whether it was sold');
-- Take what there is: a second try with what the first one said
SELECT results_eq(
    $$ SELECT s.* FROM
        (SELECT array_agg(product_id) AS products,
            array_agg(least(qty, remaining)) AS qtys
         FROM purchase_try_cart(ARRAY[1, 2, 4], ARRAY[2, 5, 1])
         WHERE remaining > 0) AS t,
        LATERAL purchase_try_cart(products, qtys) AS s $$,
    $$ VALUES (1::bigint, 2::bigint, 'sold', 8::bigint), (2, 3, 'sold', 0) $$,
    'an application may take what is left of each');
UPDATE shop_product SET stock = 10 WHERE id = 1;
UPDATE shop_product SET stock = 3 WHERE id = 2;

-- Part of the transaction
SAVEPOINT before_cart;
SELECT is((SELECT sum(remaining) FROM purchase_cart(ARRAY[1, 2], ARRAY[1, 1])),
    11::numeric, 'sold after a savepoint');
ROLLBACK TO before_cart;
SELECT unchanged('ROLLBACK TO gives all units back');
SELECT lives_ok(
    $$ INSERT INTO shop_order_line
       SELECT product_id, qty FROM purchase_cart(ARRAY[1, 2], ARRAY[4, 1]) $$,
    'order lines from what was sold, in the same statement');
SELECT results_eq('SELECT * FROM shop_order_line ORDER BY product_id',
    $$ VALUES (1::bigint, 4::bigint), (2, 1) $$, 'they are there');
SELECT refuses(
    $$ INSERT INTO shop_order_line
       SELECT product_id, qty FROM purchase_cart(ARRAY[1, 4], ARRAY[4, 1]) $$,
    'SK002', 'a cart that fails leaves no order line');
SELECT is((SELECT count(*) FROM shop_order_line), 2::bigint, 'none was added');
CREATE TABLE basket (product_id bigint, qty integer);
INSERT INTO basket VALUES (3, 1), (1, 2), (1, 1);
SELECT results_eq(
    $$ SELECT c.* FROM (SELECT array_agg(product_id) AS products,
            array_agg(qty) AS qtys FROM basket) AS b,
        LATERAL purchase_cart(products, qtys) AS c $$,
    $$ VALUES (1::bigint, 3::bigint, 3::bigint), (3, 1, 0) $$,
    'a cart from the rows of a table');
SELECT results_eq(
    $$ SELECT a.remaining, b.remaining
       FROM purchase_cart(ARRAY[1], ARRAY[1]) AS a,
        LATERAL purchase_cart(ARRAY[1], ARRAY[a.qty]) AS b $$,
    $$ VALUES (2::bigint, 1::bigint) $$, 'two carts in one statement see each other');
UPDATE shop_product SET stock = 10 WHERE id = 1;
UPDATE shop_product SET stock = 3 WHERE id = 2;
UPDATE shop_product SET stock = 1 WHERE id = 3;

-- Small carts
SELECT results_eq('SELECT * FROM purchase_cart(ARRAY[3], ARRAY[1])',
    $$ VALUES (3::bigint, 1::bigint, 0::bigint) $$, 'a cart of one line');
SELECT results_eq('SELECT * FROM purchase_try_cart(ARRAY[3], ARRAY[1])',
    $$ VALUES (3::bigint, 1::bigint, 'out_of_stock', 0::bigint) $$,
    'tried, too');
SELECT is_empty($$ SELECT * FROM purchase_cart('{}'::bigint[], '{}') $$,
    'an empty cart sells nothing');
SELECT is_empty($$ SELECT * FROM purchase_try_cart('{}'::bigint[], '{}') $$,
    'and is no error');
UPDATE shop_product SET stock = 1 WHERE id = 3;

-- Bad input is an error, also where it is tried.
CREATE FUNCTION cart_refuses(arguments text, code text, story text)
RETURNS SETOF text LANGUAGE sql AS $$
    SELECT refuses(format('SELECT purchase_cart(%s)', arguments), code,
        story)
    UNION ALL
    SELECT refuses(format('SELECT purchase_try_cart(%s)', arguments), code,
        story || ', tried')
$$;
SELECT cart_refuses(arguments, code, story) FROM (VALUES
    ('ARRAY[1, 2], ARRAY[1]', '22023', 'a quantity is missing'),
    ('ARRAY[1], ARRAY[1, 1]', '22023', 'a product is missing'),
    ('ARRAY[1, 2], ARRAY[1, 0]', '22023', 'a quantity of zero'),
    ('ARRAY[1, 1], ARRAY[2, -1]', '22023', 'a negative quantity, whatever the sum'),
    ('ARRAY[1, NULL], ARRAY[1, 1]', '22004', 'no product'),
    ('ARRAY[1, 2], ARRAY[1, NULL]', '22004', 'no quantity'),
    ('NULL::bigint[], ARRAY[1]', '22004', 'no products at all'),
    ('ARRAY[1], NULL', '22004', 'no quantities at all'),
    ('ARRAY[[1, 2]], ARRAY[1, 1]', '22023', 'products of two dimensions'),
    ('ARRAY[1, 2], ARRAY[[1, 1]]', '22023', 'quantities of two dimensions'),
    ('ARRAY[1, 1], ARRAY[9223372036854775807, 1]', '22003', 'a sum that is too large'),
    ($$'{1, lamp}', '{1, 1}'$$, '22P02', 'a text that is no key of this table'),
    ($$'1', '{1}'$$, '22P02', 'a text that is no array'),
    ($$ARRAY[1], ARRAY[1], 'shop_order_line'$$, '55000', 'a table that is not attached'))
    AS t (arguments, code, story);
SELECT is(detail, 'product_ids has 2 elements, qtys has 1.', 'the detail tells the lengths')
FROM error_of('SELECT purchase_cart(ARRAY[1, 2], ARRAY[1])');
SELECT unchanged('none of them has sold anything');

-- Other keys
SELECT results_eq($$ SELECT * FROM purchase_cart('{2, 1}', '{1, 1}') $$,
    $$ VALUES ('1', 1::bigint, 9::bigint), ('2', 1, 2) $$,
    'arrays in a driver''s parameters of no type');
SELECT results_eq($$ SELECT * FROM purchase_cart(ARRAY['2', '1'], ARRAY[1, 1]) $$,
    $$ VALUES ('1', 1::bigint, 8::bigint), ('2', 1, 1) $$,
    'keys as text');
SELECT refuses($$ SELECT purchase_cart('{02, 2}', '{1, 1}') $$, 'SK003',
    'Product 02 has 1 in stock, 2 were requested.', 'shop_product.stock',
    'two ways to write a key are one product');
CREATE TABLE ticket (code uuid PRIMARY KEY, stock smallint NOT NULL);
INSERT INTO ticket VALUES ('00000000-0000-0000-0000-00000000000a', 5),
    ('00000000-0000-0000-0000-00000000000b', 5);
SELECT purchase_attach('ticket');
SELECT results_eq(
    $$ SELECT * FROM purchase_cart(ARRAY['00000000-0000-0000-0000-00000000000b',
        '00000000-0000-0000-0000-00000000000a']::uuid[], ARRAY[1, 2], 'ticket') $$,
    $$ VALUES ('00000000-0000-0000-0000-00000000000a'::uuid, 2::bigint, 3::bigint),
        ('00000000-0000-0000-0000-00000000000b', 1, 4) $$,
    'keys of type uuid, from a table that is named');
SELECT results_eq(
    $$ SELECT product_id::text, outcome FROM purchase_try_cart(
        ARRAY['00000000-0000-0000-0000-00000000000a',
        '00000000-0000-0000-0000-00000000000c']::uuid[], ARRAY[1, 1], 'ticket') $$,
    $$ VALUES ('00000000-0000-0000-0000-00000000000a', 'available'),
        ('00000000-0000-0000-0000-00000000000c', 'product_not_found') $$,
    'tried, too');

-- Rights are the caller's.
CREATE ROLE clerk;
SELECT refuses($$ SET LOCAL ROLE clerk; SELECT purchase_cart(ARRAY[1], ARRAY[1]) $$,
    '42501', 'others need rights');
GRANT SELECT (id, stock), UPDATE (stock) ON shop_product TO clerk;
SET LOCAL ROLE clerk;
CREATE TEMP TABLE answer AS SELECT * FROM purchase_cart(ARRAY[1, 3], ARRAY[1, 1]);
RESET ROLE;
SELECT results_eq('SELECT remaining FROM answer', ARRAY[7, 0]::bigint[],
    'SELECT on key and stock and UPDATE on stock suffice');

-- A trigger of the table that refuses one line
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'no % today', NEW.name; END $$;
CREATE TRIGGER closed BEFORE UPDATE ON shop_product
    FOR EACH ROW WHEN (NEW.id = 2) EXECUTE FUNCTION refuse();
SELECT throws_ok('SELECT purchase_try_cart(ARRAY[1, 2], ARRAY[1, 1])', 'P0001',
    'no chair today', 'an error of the table''s own trigger comes through');
SELECT is(stock_of(1), 7::bigint, 'and none of the lines is sold');

SELECT * FROM finish();
ROLLBACK;
