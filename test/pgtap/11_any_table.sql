-- Partitioned tables, views, inheritance and other tables that are not plain.
BEGIN;
\ir shop.psql
SELECT no_plan();

-- Partitioned by the key
CREATE TABLE parts (id bigint PRIMARY KEY, stock integer) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (100);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
INSERT INTO parts VALUES (1, 5), (100, 5);
SELECT purchase_attach('parts');
SELECT is(purchase(1, 2, 'parts'), 3::bigint, 'a partitioned table sells');
SELECT is(purchase(100, 3, 'parts'), 2::bigint, 'from each partition');
SELECT refuses($$ SELECT purchase(1, 9, 'parts') $$, 'SK003',
    'Product 1 has 3 in stock, 9 were requested.', 'parts.stock', 'and refuses');
SELECT refuses($$ SELECT purchase(200, 1, 'parts') $$, 'SK001',
    'where there is no partition, there is no product');
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (200) TO (300);
INSERT INTO parts VALUES (200, 5);
SELECT is(purchase(200, 1, 'parts'), 4::bigint, 'a new partition is noticed');
SELECT purchase_attach('parts_1');
SELECT is(purchase(1, 1, 'parts_1'), 2::bigint, 'a partition can be attached by itself');
SELECT is(purchase_available(1, 'parts'), 2::bigint, 'and is the same stock');
SELECT results_eq($$ SELECT engine FROM purchase_stock_tables
    WHERE stock_table = 'parts'::regclass $$, $$ VALUES ('sql') $$,
    'purchase_stock_tables tells the engine');
SELECT results_eq($$ SELECT reason FROM purchase_stock_tables
    WHERE stock_table = 'parts'::regclass $$,
    $$ VALUES ('the table is partitioned') $$, 'and why');

-- Views
INSERT INTO shop_product (id, name, stock) VALUES (5, 'old lamp', 5);
CREATE VIEW on_sale AS SELECT id AS product, stock AS amount, upper(name) AS title
    FROM shop_product WHERE name NOT LIKE 'old%';
SELECT lives_ok($$ SELECT purchase_attach('on_sale', 'amount', 'product') $$,
    'a view that can be updated');
SELECT is(purchase(1, 3, 'on_sale'), 7::bigint, 'sells');
SELECT is(stock_of(1), 7::bigint, 'from the table below it');
SELECT is(purchase_try(2, 4, 'on_sale')::text, '(insufficient_quantity,3)', 'refuses');
SELECT is(purchase_try(5, 1, 'on_sale')::text, '(product_not_found,)',
    'and does not find what it does not show');
SELECT is(purchase_restock(1, 3, 'on_sale'), 10::bigint, 'restocks');

CREATE ROLE buyer;
GRANT SELECT, UPDATE ON on_sale TO buyer;
SET LOCAL ROLE buyer;
SELECT purchase(1, 1, 'on_sale'::regclass) AS remaining \gset
RESET ROLE;
SELECT is(:remaining, 9, 'rights on the view suffice');

-- Inheritance
CREATE TABLE base (id integer PRIMARY KEY, stock integer);
CREATE TABLE special (PRIMARY KEY (id)) INHERITS (base);
INSERT INTO base VALUES (1, 5);
INSERT INTO special VALUES (2, 5);
SELECT purchase_attach('base');
SELECT is(purchase(1, 1, 'base'), 4::bigint, 'a parent sells its own rows');
SELECT is(purchase(2, 1, 'base'), 4::bigint, 'and its children''s');
INSERT INTO special VALUES (1, 5);
SELECT refuses($$ SELECT purchase(1, 1, 'base') $$, '21000',
    'a key that names two rows is an error');

-- Whatever else a table can be
CREATE UNLOGGED TABLE unlogged (id integer PRIMARY KEY, stock smallint)
    WITH (fillfactor = 50);
INSERT INTO unlogged VALUES (1, 5);
SELECT purchase_attach('unlogged');
SELECT is(purchase(1, 1, 'unlogged'), 4::bigint, 'an unlogged table');
SELECT refuses($$ SELECT purchase_restock(1, 32767, 'unlogged') $$, '22003',
    'a smallint stock holds no more than 32767');

CREATE TABLE many (a integer, id integer, stock bigint, big text, b text,
    CONSTRAINT many_id UNIQUE (id) INCLUDE (a), UNIQUE (a, id),
    EXCLUDE USING btree (stock WITH =) DEFERRABLE);
CREATE INDEX ON many USING hash (id);
CREATE INDEX ON many USING brin (stock);
CREATE INDEX ON many (lower(b)) WHERE stock > 0;
ALTER TABLE many DROP a, ADD c integer DEFAULT 7;
INSERT INTO many VALUES (1, 9000000000, repeat('long ', 100000), 'B');
ALTER TABLE many ADD d text DEFAULT 'added';
CREATE UNIQUE INDEX ON many (id) INCLUDE (c);
SELECT purchase_attach('many', key_column => 'id');
SELECT is(purchase(1, 1000000000, 'many'), 8000000000::bigint,
    'columns dropped, added and long, and indexes of all kinds');
SELECT results_eq('SELECT id, stock, length(big), b, c, d FROM many',
    $$ VALUES (1, 8000000000, 500000, 'B', 7, 'added') $$, 'the row is whole');

CREATE TABLE deferred (id integer PRIMARY KEY DEFERRABLE, stock integer);
INSERT INTO deferred VALUES (1, 5);
SELECT purchase_attach('deferred');
SELECT is(purchase(1, 1, 'deferred'), 4::bigint, 'a deferrable primary key');

-- Without Citus, there are no other nodes, and no shards.
SELECT refuses($$ SELECT purchase_distribute('deferred') $$, '55000', 'nothing to distribute it on');
SELECT refuses($$ SELECT purchase_distribute('pg_class') $$, '55000', 'nor a table that is not attached');
SELECT refuses($$ SELECT purchase_distribute(NULL) $$, '22004', 'nor none');
SELECT purchase_keep_sales('deferred');
SELECT purchase(1, 1, 'deferred', sale_id => 'a', hold_for => '1 hour');
SELECT is(purchase_on_shard(1, 'confirm', 'a', stock_table => 'deferred'), 1::bigint, 'what is for shards does the same here');
SELECT is(purchase_on_shard(1, 'confirm', 'a', stock_table => 'deferred'), 0::bigint, 'once');
SELECT refuses('SELECT purchase_on_shard(' || args || ', stock_table => ''deferred'')', code, args)
FROM (VALUES ('1, ''sell'', ''a''', '22023'), ('1, NULL, ''a''', '22004'), ('1, ''confirm''', '22004'),
    ('NULL, ''confirm'', ''a''', '22004'), ('1, ''extend'', ''a''', '22004'), ('1, ''return'', ''a''', '22004'),
    ('1, ''forget''', '22004'), ('1, ''forget'', max => 0', '22023')) AS t (args, code);

SELECT * FROM finish();
ROLLBACK;
