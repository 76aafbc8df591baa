-- Units come back; and how many are there?
BEGIN;
\ir shop.psql
SELECT plan(19);
SELECT purchase_attach('shop_product');

SELECT is(purchase_restock(1, 5), 15::bigint, 'restock returns the new stock');
SELECT is(stock_of(1), 15::bigint, 'the table says so, too');
SELECT is(purchase_restock(4, 2), 2::bigint, 'what was sold out');
SELECT is(purchase(4, 2), 0::bigint, 'can be sold again');
SELECT is(purchase_restock('4', 1, 'shop_product'), 1::bigint,
    'with a key as text, and a table, as in a sale');

SELECT refuses('SELECT purchase_restock(99, 1)', 'SK001',
    'Key (id)=(99) is not present in table "shop_product".',
    'shop_product.id', 'there must be such a product');
SELECT refuses('SELECT purchase_restock(1, 0)', '22023', 'zero units are an error');
SELECT refuses('SELECT purchase_restock(1, -1)', '22023',
    'negative units are an error: to sell is purchase()');
SELECT refuses('SELECT purchase_restock(1, 2147483647)', '22003',
    'Product 1 has 15 in stock; adding 2147483647 exceeds type integer of column "stock".',
    'shop_product.stock', 'the stock must fit its column');
SELECT is(stock_of(1), 15::bigint, 'a failed restock changes nothing');
SELECT is(purchase_restock(1, 2147483632), 2147483647::bigint,
    'the column can be filled to its brim');

-- Available
SELECT is(purchase_available(2), 3::bigint, 'available tells the stock');
SELECT is(purchase_available('2'), 3::bigint, 'with a key as text');
SELECT is(purchase_available(2, 'shop_product'), 3::bigint,
    'with a table named');
SELECT is(purchase_available(product_id => 4), 1::bigint,
    'in this transaction''s view');
SELECT refuses('SELECT purchase_available(99)', 'SK001',
    'there must be such a product');
SELECT refuses('SELECT purchase_available(NULL::bigint)', '22004',
    'and a key');

SET LOCAL transaction_read_only = on;
SELECT is((SELECT purchase_available(2)), 3::bigint,
    'it works in a read-only transaction');
SELECT throws_ok('SELECT purchase(2, 1)', '25006', NULL,
    'where a sale does not');

SELECT * FROM finish();
ROLLBACK;
