-- Bad input is an error each, and changes nothing.
BEGIN;
\ir shop.psql
SELECT no_plan();

-- Before anything is attached
SELECT refuses('SELECT purchase(1, 1)', '55000', 'there is no default table yet');
SELECT matches(hint, 'purchase_attach', 'the hint says how to get one')
FROM error_of('SELECT purchase(1, 1)');
SELECT refuses($$ SELECT purchase(1, 1, 'shop_product') $$, '55000',
    'a table must be attached first');
SELECT is(hint, 'Attach it first: SELECT purchase_attach(''shop_product'');',
    'the hint is the call to make')
FROM error_of($$ SELECT purchase(1, 1, 'shop_product') $$);
SELECT purchase_attach('shop_product');

-- Quantities and keys
SELECT refuses('SELECT purchase(1, 0)', '22023', 'qty 0');
SELECT refuses('SELECT purchase(1, -1)', '22023', 'a negative qty');
SELECT is(message, 'qty must be positive, not -1', 'the message says which')
FROM error_of('SELECT purchase(1, -1)');
SELECT refuses('SELECT purchase(1, NULL)', '22004', 'a NULL qty');
SELECT refuses('SELECT purchase(NULL::bigint, 1)', '22004', 'a NULL bigint key');
SELECT refuses('SELECT purchase(NULL::uuid, 1)', '22004', 'a NULL uuid key');
SELECT refuses('SELECT purchase(NULL, 1)', '22004', 'a NULL key of no type');
SELECT refuses($$ SELECT purchase('lamp', 1) $$, '22P02', 'a text that is no number');
SELECT refuses($$ SELECT purchase('', 1) $$, '22P02', 'an empty text');
SELECT refuses('SELECT purchase(1, 9223372036854775807)', 'SK003',
    'the largest qty of all');
SELECT refuses('SELECT purchase(-9223372036854775808, 1)', 'SK001',
    'the smallest key of all');
SELECT refuses('SELECT purchase(1, 1.5)', '42883',
    'a fraction is no quantity');

-- Tables
SELECT refuses($$ SELECT purchase(1, 1, 'no_such_table') $$, '42P01',
    'a table that is not there');
SELECT refuses($$ SELECT purchase(1, 1, 4294967295::oid::regclass) $$, '42P01',
    'nor by its OID');
SELECT lives_ok('SELECT purchase(1, 1, NULL)', 'NULL is the default table');
SELECT is(stock_of(1), 9::bigint, 'none of the errors sold anything');

-- What cannot be attached
CREATE TABLE no_key (id int, stock int);
CREATE TABLE wide_key (a int, b int, stock int, PRIMARY KEY (a, b));
CREATE TABLE wrong_stock (id int PRIMARY KEY, stock numeric, n int
    GENERATED ALWAYS AS (id) STORED);
CREATE TABLE partial_key (id int NOT NULL, stock int);
CREATE UNIQUE INDEX ON partial_key (id) WHERE stock > 0;
CREATE TEMP TABLE temporary (id int PRIMARY KEY, stock int);
CREATE VIEW sums AS SELECT 1 AS id, sum(stock) AS stock FROM shop_product;
CREATE MATERIALIZED VIEW copy AS SELECT id, stock FROM shop_product;
CREATE SEQUENCE numbers;
CREATE FUNCTION cannot_attach(arguments text, code text, story text)
RETURNS SETOF text LANGUAGE sql AS $$
    SELECT is(e.code, $2, 'cannot attach ' || story)
    FROM error_of(format('SELECT purchase_attach(%s)', arguments)) AS e
    UNION ALL
    SELECT isnt(e.hint, '', 'a hint says what to do')
    FROM error_of(format('SELECT purchase_attach(%s)', arguments)) AS e
$$;
SELECT cannot_attach(arguments, code, story) FROM (VALUES
    ($$'no_key'$$, '55000', 'a table without a primary key'),
    ($$'no_key', key_column => 'id'$$, '55000', 'by a column that is not unique'),
    ($$'wide_key'$$, '55000', 'a table with a primary key of two columns'),
    ($$'wide_key', key_column => 'a'$$, '55000', 'by a part of its key'),
    ($$'partial_key', key_column => 'id'$$, '55000', 'by a column that is unique in part'),
    ($$'wrong_stock'$$, '42804', 'a stock of another type'),
    ($$'wrong_stock', 'n'$$, '428C9', 'a generated stock'),
    ($$'shop_product', 'amount'$$, '42703', 'a stock column that is not there'),
    ($$'shop_product', key_column => 'sku'$$, '42703', 'a key column that is not there'),
    ($$'shop_product', 'id'$$, '22023', 'one column as key and stock'),
    ($$'temporary'$$, '42809', 'a temporary table'),
    ($$'sums', key_column => 'id'$$, '55000', 'a view that cannot be updated'),
    ($$'copy', key_column => 'id'$$, '42809', 'a materialized view'),
    ($$'pg_class', 'relpages'$$, '42809', 'a system catalog'))
    AS t (arguments, code, story);
SELECT refuses('SELECT purchase_attach(NULL)', '22004', 'nothing to attach');
SELECT refuses($$ SELECT purchase_attach('shop_product', NULL) $$, '22004',
    'no stock column');

-- Detach, drop
SELECT lives_ok($$ SELECT purchase_detach('shop_product') $$, 'detached');
SELECT refuses('SELECT purchase(1, 1)', '55000', 'sells no more');
SELECT refuses($$ SELECT purchase_detach('shop_product') $$, '55000',
    'cannot be detached twice');
SELECT is(stock_of(1), 9::bigint, 'its stock stays as it is');
SELECT purchase_attach('shop_product');
DROP TABLE shop_product CASCADE;
SELECT refuses('SELECT purchase(1, 1)', '55000', 'a dropped default table');
CREATE TABLE shop_product (id int PRIMARY KEY, stock int);
INSERT INTO shop_product VALUES (1, 2);
SELECT refuses($$ SELECT purchase(1, 1, 'shop_product') $$, '55000',
    'its successor of the same name is another table');
SELECT purchase_attach('shop_product');
SELECT is(purchase(1, 1), 1::bigint, 'until it is attached');

SELECT * FROM finish();
ROLLBACK;
