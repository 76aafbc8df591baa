-- Rights are the caller's.
BEGIN;
\ir shop.psql
SELECT no_plan();
SELECT purchase_attach('shop_product');
CREATE ROLE owner_of_shop;
CREATE ROLE clerk;
ALTER TABLE shop_product OWNER TO owner_of_shop;

SELECT is(as_role('owner_of_shop', 'SELECT purchase(1, 1)'), '9', 'the owner sells');
SELECT is(as_role('clerk', 'SELECT purchase(1, 1)'), '42501', 'others need rights');
SELECT is(as_role('clerk', 'SELECT purchase(99, 1)'), '42501',
    'without them they learn nothing');
SELECT is(as_role('clerk', 'SELECT purchase_available(1)'), '42501', 'not even to read');

GRANT SELECT ON shop_product TO clerk;
SELECT is(as_role('clerk', 'SELECT purchase_available(1)'), '9', 'SELECT is enough to read');
SELECT is(as_role('clerk', 'SELECT purchase(1, 1)'), '42501', 'not to sell');
SELECT is(as_role('clerk', 'SELECT purchase(4, 1)'), '42501', 'not even in vain');
SELECT is(as_role('clerk', 'SELECT purchase_try(1, 1)'), '42501', 'nor to try');
SELECT is(as_role('clerk', 'SELECT purchase_restock(1, 1)'), '42501', 'nor to restock');
GRANT UPDATE ON shop_product TO clerk;
SELECT is(as_role('clerk', 'SELECT purchase(1, 1)'), '8', 'SELECT and UPDATE are');
REVOKE SELECT ON shop_product FROM clerk;
SELECT is(as_role('clerk', 'SELECT purchase(1, 1)'), '42501', 'UPDATE alone is not');
REVOKE ALL ON shop_product FROM clerk;

GRANT SELECT (id, stock), UPDATE (stock) ON shop_product TO clerk;
SELECT is(as_role('clerk', 'SELECT purchase(1, 1)'), '7',
    'SELECT on key and stock and UPDATE on stock suffice');
SELECT is(as_role('clerk', 'SELECT purchase_restock(1, 1)'), '8', 'to restock, too');
SELECT is(as_role('clerk', 'SELECT purchase_available(1)'), '8', 'and to read');
REVOKE SELECT (id) ON shop_product FROM clerk;
SELECT is(as_role('clerk', 'SELECT purchase(1, 1)'), '42501', 'the key must be readable');
GRANT SELECT (id) ON shop_product TO clerk;
REVOKE SELECT (stock) ON shop_product FROM clerk;
SELECT is(as_role('clerk', 'SELECT purchase(1, 1)'), '42501', 'and so must the stock');
GRANT SELECT (stock) ON shop_product TO clerk;
REVOKE UPDATE (stock) ON shop_product FROM clerk;
GRANT UPDATE (price) ON shop_product TO clerk;
SELECT is(as_role('clerk', 'SELECT purchase(1, 1)'), '42501',
    'and the stock writable, no other column helps');
GRANT UPDATE (stock) ON shop_product TO clerk;

-- The schema's USAGE is asked for, too, though the default is not named.
CREATE SCHEMA store;
ALTER TABLE shop_product SET SCHEMA store;
SELECT is(as_role('clerk', 'SELECT purchase(1, 1)'), '42501', 'a schema that may not be used');
SELECT is(as_role('clerk', 'SELECT purchase_available(1)'), '42501', 'not even to read from');
SELECT is(as_role('clerk', 'SELECT purchase_set_stock(1, 8)'), '42501', 'nor to set');
GRANT USAGE ON SCHEMA store TO clerk;
SELECT is(as_role('clerk', 'SELECT purchase_set_stock(1, 8)'), stock::text, 'which may')
    FROM store.shop_product WHERE id = 1;
ALTER TABLE store.shop_product SET SCHEMA public;

-- A function may lend its owner's rights.
CREATE ROLE visitor;
CREATE FUNCTION buy(product bigint) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = public
    AS 'SELECT purchase(product, 1)';
ALTER FUNCTION buy OWNER TO clerk;
SELECT is(as_role('visitor', 'SELECT purchase(1, 1)'), '42501', 'a visitor cannot sell');
SELECT is(as_role('visitor', 'SELECT buy(1)'), '7', 'but can buy from who may');

-- Row security
ALTER TABLE shop_product ADD shop name NOT NULL DEFAULT 'clerk';
UPDATE shop_product SET shop = 'other' WHERE id = 2;
CREATE POLICY own ON shop_product USING (shop = current_user);
ALTER TABLE shop_product ENABLE ROW LEVEL SECURITY;
GRANT SELECT (shop) ON shop_product TO clerk;
SELECT is(as_role('clerk', 'SELECT purchase(1, 1)'), '6', 'a row of the clerk''s');
SELECT is(as_role('clerk', 'SELECT purchase(2, 1)'), 'SK001',
    'a row that its policy hides is not found');
SELECT is(as_role('clerk', 'SELECT purchase_try(2, 1)'), '(product_not_found,)',
    'also when tried');
SELECT is(as_role('clerk', 'SELECT purchase_available(2)'), 'SK001', 'and when read');
SELECT is(as_role('owner_of_shop', 'SELECT purchase(2, 1)'), '2',
    'the owner is above policies');
CREATE POLICY few ON shop_product AS RESTRICTIVE FOR UPDATE
    USING (true) WITH CHECK (stock >= 5);
SELECT is(as_role('clerk', 'SELECT purchase(1, 1)'), '5', 'what a policy allows');
SELECT is(as_role('clerk', 'SELECT purchase(1, 1)'), '42501', 'and what it does not');
ALTER TABLE shop_product FORCE ROW LEVEL SECURITY;
SELECT is(as_role('owner_of_shop', 'SELECT purchase(2, 1)'), 'SK001',
    'FORCE puts the owner under them, too');

-- To attach a table is for its owner.
CREATE TABLE other (id int PRIMARY KEY, stock int);
SELECT is(as_role('clerk', $$ SELECT purchase_attach('other') $$), '42501',
    'only the owner attaches a table');
SELECT is(as_role('clerk', $$ SELECT purchase_attach('shop_product') $$), '42501',
    'or attaches it again');
SELECT is(as_role('clerk', $$ SELECT purchase_detach('shop_product') $$), '42501',
    'or detaches it');
ALTER TABLE other OWNER TO clerk;
SELECT is(as_role('clerk', $$ SELECT purchase_attach('other', is_default => true) $$),
    '42501', 'who replaces the default must own that, too');
SELECT is(as_role('clerk', $$ SELECT purchase_attach('other', is_default => false) $$),
    '', 'a table of one''s own');
SELECT is(as_role('clerk', $$ SELECT count(*) FROM purchase_stock_tables $$), '2',
    'everyone sees what is attached');
SELECT is(as_role('clerk', 'DELETE FROM purchase_registration'), '42501',
    'but does not change it by hand');

SELECT * FROM finish();
ROLLBACK;
