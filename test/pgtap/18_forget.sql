-- Old sales are forgotten, and nothing else is.
BEGIN;
\ir shop.psql
SELECT no_plan();
SELECT purchase_attach('shop_product', is_default => true);
SELECT purchase_keep_sales('shop_product');
UPDATE shop_product SET stock = 100;
CREATE FUNCTION ids() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(DISTINCT sale_id, ' ' ORDER BY sale_id) FROM shop_product_sale
$$;
-- Lets everything be older.
CREATE PROCEDURE let_pass(days interval) LANGUAGE sql AS $$
    UPDATE shop_product_sale SET created_at = created_at - days, settled_at = settled_at - days,
        returned_at = returned_at - days
$$;

SELECT purchase(1, 1, sale_id => 'sold'),
    purchase(1, 1, sale_id => 'held', hold_for => '1 hour'),
    purchase(1, 1, sale_id => 'lapsed', hold_for => '1 hour'),
    purchase(1, 1, sale_id => 'expired', hold_for => '1 hour'),
    purchase(1, 1, sale_id => 'released', hold_for => '1 hour'),
    purchase(1, 1, sale_id => 'confirmed', hold_for => '1 hour'),
    purchase(1, 3, sale_id => 'returned'), purchase(1, 3, sale_id => 'kept'),
    purchase_release('released'), purchase_confirm('confirmed'), purchase_return('returned'),
    purchase_return('kept', 1, 1, 'kept-1');
SELECT purchase_cart(ARRAY[1, 2], ARRAY[1, 1], sale_id => 'mixed', hold_for => '1 hour');
SELECT purchase_release('mixed', 1, 1);
UPDATE shop_product_hold SET expires_at = 'epoch' WHERE sale_id IN ('expired');
SELECT purchase_expire();
UPDATE shop_product_hold SET expires_at = 'epoch' WHERE sale_id IN ('lapsed');
SELECT is(purchase_forget('1 day'), 0::bigint, 'what is new is kept');
CALL let_pass('1 week');
SELECT is(purchase_forget('8 days'), 0::bigint, 'and what is not old enough');
SELECT purchase(1, 1, sale_id => 'new'), purchase_return('kept', 1, 1, 'kept-2');
SELECT is(purchase_forget('6 days', 2), 2::bigint, 'two at a time');
SELECT is(purchase_forget('6 days'), 3::bigint, 'what is old and settled goes');
SELECT is(ids(), 'held kept kept-1 kept-2 lapsed mixed new', 'what is new, unsettled or returned since, in part, stays');
SELECT is(purchase_forget('6 days'), 0::bigint, 'there is no more');
SELECT is(count(*), 3::bigint, 'no hold is forgotten') FROM shop_product_hold;
SELECT is(purchase_return('kept', 1, 1, 'kept-1'), 1::bigint, 'a return is remembered as long as its sale');
SELECT is(purchase_return('kept'), 1::bigint, 'and what is left of that');
SELECT is(purchase_confirm('lapsed'), true, 'a lapsed hold can still be confirmed');
SELECT is(purchase_release('mixed'), 1::bigint, 'and one that was released in part');
SELECT refuses($$ SELECT purchase_confirm('sold') $$, 'SK101', 'an id that was forgotten');
SELECT is(purchase(1, 2, sale_id => 'sold') IS NOT NULL, true, 'is free');

-- What has changed since is as old as the change.
SELECT purchase(2, 3, sale_id => 'late');
CALL let_pass('1 week');
SELECT purchase_return('late');
SELECT purchase_forget('1 day');
SELECT is(ids(), 'held late', 'returns go with their sale; one that was returned yesterday stays');
SELECT is(purchase_return('late'), 0::bigint, 'as that is not to be done twice');

-- There may be many, and returns of them.
SELECT count(purchase(2, 1, sale_id => 'many-' || g)), count(purchase_return('many-' || g, 2, 1, 'back-' || g))
FROM generate_series(1, 2100) AS g;
CALL let_pass('1 week');
SELECT is(purchase_forget('1 day', 1100), 1100::bigint, 'many at a time');
SELECT is(purchase_forget('1 day', 1500), 1500::bigint, 'then the rest, and some of the returns');
SELECT is(purchase_forget('1 day'), 1601::bigint, 'then all that is left, and the one that is old enough by now');
SELECT is(ids(), 'held', 'none is left');

-- Long ids, and a trigger that closes all cursors
SELECT purchase_restock(2, 1000);
CREATE FUNCTION close_all() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CLOSE ALL'; RETURN NULL; END $$;
CREATE TRIGGER close_all AFTER DELETE ON shop_product_sale FOR EACH ROW EXECUTE FUNCTION close_all();
SELECT count(purchase(2, 1, sale_id => repeat('s', 200) || g)) FROM generate_series(1, 1000) AS g;
CALL let_pass('1 week');
SELECT refuses($$ SELECT purchase_forget('1 day') $$, '24000', 'one of ours can''t be closed');
DROP TRIGGER close_all ON shop_product_sale;
SELECT is(purchase_forget('1 day'), 1000::bigint, 'long ids');

-- The owner's tables, his orders and his audit
SELECT purchase(2, 1, sale_id => 'ordered');
CREATE TABLE ordered (sale_id text, line int, FOREIGN KEY (sale_id, line) REFERENCES shop_product_sale);
INSERT INTO ordered VALUES ('ordered', 1);
CALL let_pass('1 week');
SELECT refuses($$ SELECT purchase_forget('1 day') $$, '23503', 'an order that references a sale keeps it');
DROP TABLE ordered;
CREATE ROLE owner_of_shop;
CREATE ROLE clerk;
GRANT SELECT, UPDATE, DELETE ON shop_product, shop_product_sale TO clerk;
SET LOCAL ROLE clerk;
SELECT refuses($$ SELECT purchase_forget('1 day') $$, '42501', 'who may sell may not forget');
RESET ROLE;
ALTER TABLE shop_product OWNER TO owner_of_shop;
ALTER TABLE shop_product_sale OWNER TO owner_of_shop;
ALTER TABLE shop_product_hold OWNER TO owner_of_shop;
ALTER TABLE shop_product ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop_product FORCE ROW LEVEL SECURITY;
SET LOCAL ROLE owner_of_shop;
SELECT is(purchase_forget('0 days'), 1::bigint, 'the owner may, whatever his policies');
SELECT is(ids(), 'held', 'only what is held stays');
SELECT refuses('SELECT purchase_forget(' || args || ')', code, 'no such argument: ' || args)
FROM (VALUES ('NULL', '22004'), ('''-1 day''', '22023'), ('''1 day'', 0', '22023'),
    ('''1 day'', -1', '22023'), ('''1 day'', stock_table => ''pg_class''', '55000')) AS t (args, code);

SELECT * FROM finish();
ROLLBACK;
