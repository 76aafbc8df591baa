-- purchase_try: the same sale, with an answer in place of an error.
BEGIN;
\ir shop.psql
SELECT plan(14);
SELECT purchase_attach('shop_product');

SELECT results_eq('SELECT * FROM purchase_try(1, 3)',
    $$ VALUES ('sold', 7::bigint) $$,
    'sold: the second column is what remains');
SELECT results_eq('SELECT outcome, remaining FROM purchase_try(99, 1)',
    $$ VALUES ('product_not_found', NULL::bigint) $$,
    'product_not_found: no stock is known');
SELECT results_eq('SELECT * FROM purchase_try(4, 1)',
    $$ VALUES ('out_of_stock', 0::bigint) $$, 'out_of_stock');
SELECT results_eq('SELECT * FROM purchase_try(2, 5)',
    $$ VALUES ('insufficient_quantity', 3::bigint) $$,
    'insufficient_quantity: that many are left');
SELECT is(stock_of(1), 7::bigint, 'the transaction goes on: the sale stands');
SELECT is(stock_of(2), 3::bigint, 'and nothing else was sold');

SELECT results_eq('SELECT * FROM purchase_try(2, (purchase_try(2, 5)).remaining)',
    $$ VALUES ('sold', 0::bigint) $$, 'an application may take what is left');
SELECT results_eq(
    $$ SELECT p.id, t.outcome FROM shop_product AS p,
       LATERAL purchase_try(p.id, 1) AS t ORDER BY p.id $$,
    $$ VALUES (1::bigint, 'sold'), (2, 'out_of_stock'), (3, 'sold'),
       (4, 'out_of_stock') $$,
    'one statement can try many products');

-- What is no outcome of a sale is an error here, too.
SELECT refuses('SELECT purchase_try(1, 0)', '22023',
    'a quantity of zero is an error');
SELECT refuses('SELECT purchase_try(1, NULL)', '22004',
    'no quantity is an error');
SELECT refuses($$ SELECT purchase_try('lamp', 1) $$, '22P02',
    'a text that is no key of this table is an error');
SELECT refuses($$ SELECT purchase_try(1, 1, 'shop_order_line') $$, '55000',
    'a table that is not attached is an error');

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'closed today' USING ERRCODE = 'P0001'; END $$;
CREATE TRIGGER closed BEFORE UPDATE ON shop_product
    FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT throws_ok('SELECT purchase_try(1, 1)', 'P0001', 'closed today',
    'an error of the table''s own trigger comes through');
SELECT is(stock_of(1), 6::bigint, 'and nothing was sold');

SELECT * FROM finish();
ROLLBACK;
