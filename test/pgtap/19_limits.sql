-- How many one buyer may have.
BEGIN;
\ir shop.psql
SELECT no_plan();
ALTER TABLE shop_product ADD per_buyer smallint;
UPDATE shop_product SET stock = 100;
UPDATE shop_product SET per_buyer = 4 WHERE id = 1;
UPDATE shop_product SET per_buyer = 0 WHERE id = 3;
SELECT purchase_attach('shop_product', is_default => true);
SELECT purchase_keep_sales('shop_product');
SELECT lives_ok($$ SELECT purchase(1, 5) $$, 'without a limit column, there are none');
SELECT lives_ok($$ SELECT purchase_keep_sales('shop_product', limit_column => 'per_buyer') $$, 'it can be named later');
SELECT is(count(*), 1::bigint, 'an index finds what a buyer has') FROM pg_indexes
WHERE tablename = 'shop_product_sale' AND indexdef LIKE '%(buyer, product_id)';
SELECT purchase_keep_sales('shop_product', limit_column => 'per_buyer');
SELECT purchase_keep_sales('shop_product');
SELECT is(count(*), 1::bigint, 'one') FROM pg_indexes
WHERE tablename = 'shop_product_sale' AND indexdef LIKE '%(buyer, product_id)';
SELECT is(limit_column, 'per_buyer', 'the limit stays where it is not mentioned') FROM purchase_registration;
CREATE FUNCTION lapse() RETURNS void LANGUAGE sql AS $$ UPDATE shop_product_hold SET expires_at = 'epoch' $$;
CREATE FUNCTION sale(id text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s of %s %s', qty - released, product_id, state), ', ' ORDER BY line)
    FROM shop_product_sale WHERE sale_id = id
$$;

-- A sale
SELECT purchase(1, 3, sale_id => 'a', buyer => 'ann');
SELECT is((code, message, detail, hint, place)::text, ('SK004', 'limit per buyer of product 1 exceeded',
    'Buyer "ann" has 3 of product 1 and may have 4, 2 were requested.',
    'A quantity of up to 1 can be sold to this buyer.', 'shop_product.per_buyer')::text, 'more than he may have')
FROM error_of($$ SELECT purchase(1, 2, sale_id => 'b', buyer => 'ann') $$);
SELECT results_eq($$ SELECT outcome, remaining FROM purchase_try(1, 2, sale_id => 'b', buyer => 'ann') $$,
    $$ VALUES ('buyer_limit_exceeded', 92::bigint) $$, 'is an outcome');
SELECT lives_ok($$ SELECT purchase(1, 2, sale_id => 'b', buyer => 'bob') $$, 'another buyer has bought nothing yet');
SELECT lives_ok($$ SELECT purchase(2, 9, sale_id => 'two', buyer => 'ann') $$, 'no number is no limit');
SELECT lives_ok($$ SELECT purchase(2, 9) $$, 'and needs no buyer');
SELECT refuses($$ SELECT purchase(3, 1, sale_id => 'none', buyer => 'ann') $$, 'SK004', '0 is for nobody');
UPDATE shop_product SET per_buyer = -1 WHERE id = 3;
SELECT refuses($$ SELECT purchase(3, 1, sale_id => 'none', buyer => 'ann') $$, 'SK004', 'and so is less');
SELECT lives_ok($$ SELECT purchase(1, 1, sale_id => 'c', buyer => 'ann') $$, 'as many as he may');
SELECT is((code, hint)::text, ('SK004', '')::text, 'and no more')
FROM error_of($$ SELECT purchase(1, 1, sale_id => 'd', buyer => 'ann') $$);
SELECT is(purchase(1, 3, sale_id => 'a', buyer => 'ann'), 92::bigint, 'a repeat is answered as before');
SELECT is((code, message, hint)::text, ('22004', 'product 1 has a limit per buyer',
    'Name the buyer: sale_id => ''...'', buyer => ''...''')::text, call)
FROM unnest(ARRAY['purchase(1, 1)', 'purchase(1, 1, sale_id => ''n'')', 'purchase_try(1, 1)',
    'purchase_try(1, 1, sale_id => ''n'', hold_for => ''1 hour'')', 'purchase_cart(ARRAY[2, 1], ARRAY[1, 1])']) AS call,
    error_of('SELECT ' || call);
SELECT is(purchase_restock(1, 1) > 0, true, 'deliveries have none');

-- A cart
SELECT results_eq($$ SELECT product_id::int, outcome FROM purchase_try_cart(ARRAY[1, 2, 1], ARRAY[2, 1, 3],
    sale_id => 'e', buyer => 'eve') $$,
    $$ VALUES (1, 'buyer_limit_exceeded'), (2, 'available') $$, 'lines of one product count together');
SELECT is((code, detail)::text, ('SK002', E'Buyer "eve" has 0 of product 1 and may have 4, 5 were requested.
Product 4 has 0 in stock, 1 was requested.')::text, 'what is sold out comes first')
FROM error_of($$ UPDATE shop_product SET stock = 0 WHERE id = 4;
    SELECT purchase_cart(ARRAY[1, 4], ARRAY[5, 1], sale_id => 'e', buyer => 'eve') $$);
SELECT lives_ok($$ SELECT purchase_cart(ARRAY[1, 2], ARRAY[4, 1], sale_id => 'e', buyer => 'eve') $$, 'as many as he may');

-- What is held counts, and what was given back does not.
SELECT purchase(1, 4, sale_id => 'f', buyer => 'fay', hold_for => '1 hour');
SELECT refuses($$ SELECT purchase(1, 1, sale_id => 'g', buyer => 'fay') $$, 'SK004', 'a hold counts');
SELECT purchase_release('f', 1, 1);
SELECT lives_ok($$ SELECT purchase(1, 1, sale_id => 'g', buyer => 'fay') $$, 'what was released does not');
SELECT purchase_confirm('f');
SELECT refuses($$ SELECT purchase(1, 1, sale_id => 'h', buyer => 'fay') $$, 'SK004', 'it is the same when it is confirmed');
SELECT purchase_return('f', 1, 1, 'f-1', restock => false);
SELECT lives_ok($$ SELECT purchase(1, 1, sale_id => 'h', buyer => 'fay') $$, 'what was returned does not count, broken or not');
SELECT refuses($$ SELECT purchase(1, 1, sale_id => 'i', buyer => 'fay') $$, 'SK004', 'once');

-- His own lapsed holds he gives up first.
SELECT purchase(1, 3, sale_id => 'l', buyer => 'lea', hold_for => '1 hour'), purchase(1, 1, sale_id => 'l-2', buyer => 'lea', hold_for => '1 hour');
SELECT lapse();
SELECT is((detail, hint)::text, ('Buyer "lea" has 0 of product 1 and may have 4, 5 were requested.', 'A quantity of up to 4 can be sold to this buyer.')::text,
    'what he would give up is not said to be in the way')
FROM error_of($$ SELECT purchase(1, 5, sale_id => 'm', buyer => 'lea') $$);
SELECT stock_of(1) AS before \gset
SELECT is(purchase(1, 2, sale_id => 'm', buyer => 'lea'), :before + 1::bigint, 'he may buy anew');
SELECT is(concat_ws('; ', sale('l'), sale('l-2'), sale('m')), '3 of 1 expired; 1 of 1 held; 2 of 1 sold', 'and has given up what he needed to');
SELECT is((code, detail)::text, ('SK102', 'Buyer "lea" has 2 of product 1 and may have 4, 3 were requested.')::text,
    'a late confirm is judged again')
FROM error_of($$ SELECT purchase_confirm('l') $$);
SELECT is(purchase_confirm('l-2'), true, 'that of a hold that is there is not');
SELECT is(purchase_return('m'), 2::bigint, 'when he has returned the others');
SELECT is(purchase_confirm('l'), true, 'the late one is sold after all');
SELECT purchase(1, 4, sale_id => 'o', buyer => 'oda', hold_for => '1 hour');
SELECT lapse();
SELECT is(purchase_extend('o', '1 hour') > now(), true, 'to extend is not judged again either');
SELECT refuses($$ SELECT purchase(1, 1, sale_id => 'p', buyer => 'oda') $$, 'SK004', 'but counts');
UPDATE shop_product SET stock = 1 WHERE id = 1;
SELECT lapse();
SELECT is(purchase(1, 4, sale_id => 'p', buyer => 'oda'), 1::bigint, 'both at once: for the stock and for the limit');
SELECT is(sale('o'), '4 of 1 expired', 'his own is taken before those of others');

-- A trigger that sells in the middle of a sale is seen, too.
UPDATE shop_product SET stock = 50 WHERE id = 1;
CREATE TABLE gift (sale_id text, qty int);
CREATE FUNCTION give() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    gift record;
BEGIN
    DELETE FROM public.gift RETURNING * INTO gift;
    IF FOUND THEN
        PERFORM public.purchase(1, gift.qty, sale_id => gift.sale_id, buyer => 'gus');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER give AFTER UPDATE ON shop_product FOR EACH ROW EXECUTE FUNCTION give();
INSERT INTO gift VALUES ('gift', 2);
SELECT is((code, message, detail, place)::text, ('09000', 'limit per buyer of product 1 exceeded',
    'A trigger has sold to buyer "gus" in the middle of this sale.', 'shop_product.per_buyer')::text, 'more than he may have')
FROM error_of($$ SELECT purchase(1, 3, sale_id => 'r', buyer => 'gus') $$);
SELECT lives_ok($$ SELECT purchase(1, 2, sale_id => 'r', buyer => 'gus') $$, 'what he may have');
SELECT is(concat_ws('; ', sale('r'), sale('gift')), '2 of 1 sold; 2 of 1 sold', 'both');
SELECT purchase_return('r'), purchase_return('gift');
SELECT purchase(1, 3, sale_id => 's', buyer => 'gus', hold_for => '1 hour');
SELECT lapse();
SELECT purchase_expire();
INSERT INTO gift VALUES ('gift-2', 2);
SELECT refuses($$ SELECT purchase_confirm('s') $$, '09000', 'a late confirm');
DROP TRIGGER give ON shop_product;
CREATE TRIGGER give BEFORE INSERT ON shop_product_sale FOR EACH STATEMENT EXECUTE FUNCTION give();
UPDATE gift SET sale_id = 'gift-3';
SELECT refuses($$ SELECT purchase(1, 3, sale_id => 't', buyer => 'gus') $$, '09000', 'a trigger of the sale table');
DELETE FROM gift;
SELECT lives_ok($$ SELECT purchase(1, 3, sale_id => 't', buyer => 'gus') $$, 'which does nothing');
DROP TRIGGER give ON shop_product_sale;

-- Who buys
SELECT is((code, message, detail)::text, ('22023', 'buyer must not be longer than 255 bytes', 'It has 256 bytes.')::text, 'an index has to bear it')
FROM error_of($$ SELECT purchase(1, 1, sale_id => 'u', buyer => repeat('x', 256)) $$);
SELECT lives_ok($$ SELECT purchase(1, 1, sale_id => 'u', buyer => repeat('x', 255)) $$, 'a long name');

-- At any isolation level, by the sql engine, too, and with a lowered limit
SELECT is(current_setting('transaction_isolation'), 'read committed', 'so far');
UPDATE shop_product SET per_buyer = 1, stock = 50 WHERE id = 1;
SELECT is((code, detail, hint)::text, ('SK004', 'Buyer "oda" has 4 of product 1 and may have 1, 1 was requested.', '')::text,
    'who has more already gets no more')
FROM error_of($$ SELECT purchase(1, 1, sale_id => 'q', buyer => 'oda') $$);
UPDATE shop_product SET per_buyer = NULL WHERE id = 1;
SELECT lives_ok($$ SELECT purchase(1, 1, sale_id => 'q', buyer => 'oda') $$, 'until there is none');

-- What is counted is not forgotten, unless that is asked for.
UPDATE shop_product SET per_buyer = 4 WHERE id = 1;
SELECT purchase_return('e');
UPDATE shop_product_sale SET created_at = 'epoch', settled_at = 'epoch', returned_at = LEAST(returned_at, 'epoch');
SELECT purchase_forget('1 day');
SELECT refuses($$ SELECT purchase(1, 1, sale_id => 'new', buyer => 'ann') $$, 'SK004', 'what he has bought is remembered');
SELECT refuses($$ SELECT purchase_confirm('e') $$, 'SK101', 'what he has returned is not');
SELECT is(purchase_forget('1 day', forget_limits => true) > 0, true, 'it can be forgotten, too');
SELECT lives_ok($$ SELECT purchase(1, 4, sale_id => 'new', buyer => 'ann') $$, 'then he may buy again');

-- One probe of an index finds what a buyer has, however many sales there are.  It is two here, as
-- the product's row is this transaction's: it is looked at, and then locked.
INSERT INTO shop_product_sale (sale_id, line, product_id, qty, state, buyer, created_by, created_at, settled_at)
SELECT 's-' || g, 1, 1 + g % 2, 1, 'sold', 'buyer-' || g, 'me', now(), now() FROM generate_series(1, 20000) AS g;
ANALYZE shop_product_sale;
CREATE FUNCTION scans(OUT of_buyers bigint, OUT of_ids bigint, OUT of_all bigint) LANGUAGE sql AS $$
    SELECT (SELECT pg_stat_get_xact_numscans(indexrelid) FROM pg_index
            WHERE indrelid = 'shop_product_sale'::regclass AND NOT indisunique),
        pg_stat_get_xact_numscans('shop_product_sale_pkey'::regclass),
        pg_stat_get_xact_numscans('shop_product_sale'::regclass)
$$;
SELECT purchase(1, 1, sale_id => 'probe-1', buyer => 'buyer-2');
SELECT * FROM scans() \gset before_
SELECT purchase(1, 1, sale_id => 'probe-2', buyer => 'buyer-4');
SELECT is((of_buyers - :before_of_buyers, of_ids - :before_of_ids, of_all - :before_of_all)::text, '(2,1,0)',
    'probes for the buyer, one for the id, and no look at all sales')
FROM scans();

-- The column
SELECT is((code, message, hint)::text, (c, m, 'Name a smallint, integer or bigint column, or none: SELECT purchase_keep_sales(''public.shop_product'', limit_column => '''');')::text, m)
FROM (VALUES ('nothing', '42703', 'table "shop_product" has no column "nothing"'),
    ('name', '42804', 'limit column "name" is of type character varying'),
    ('stock', '22023', 'limit column "stock" is the stock column'),
    ('id', '22023', 'limit column "id" is the key column')) AS t (name, c, m),
    error_of(format('SELECT purchase_keep_sales(''shop_product'', limit_column => %L)', name));
SELECT current_setting('server_version_num')::int >= 180000 AS has_virtual \gset
\if :has_virtual
ALTER TABLE shop_product ADD computed int GENERATED ALWAYS AS (per_buyer * 2);
SELECT refuses($$ SELECT purchase_keep_sales('shop_product', limit_column => 'computed') $$, '42804', 'one that is virtual');
\endif
ALTER TABLE shop_product ADD stored int GENERATED ALWAYS AS (per_buyer * 2) STORED;
SELECT purchase_keep_sales('shop_product', limit_column => 'stored');
SELECT refuses($$ SELECT purchase(1, 5, sale_id => 'stored', buyer => 'ann') $$, 'SK004', 'a generated one that is stored');
SELECT purchase_keep_sales('shop_product', limit_column => 'per_buyer');
SELECT is(remedy, '-- if others shall: GRANT SELECT (id, stock, per_buyer), UPDATE (stock) ON public.shop_product TO your_role;', 'the doctor grants that, too')
FROM purchase_check('shop_product') WHERE finding = 'nobody but the owner can sell';
CREATE ROLE clerk;
SELECT purchase(1, 1, sale_id => 'clerks', buyer => 'cleo', hold_for => '1 hour');
GRANT SELECT (id, stock), UPDATE (stock) ON shop_product TO clerk;
SET LOCAL ROLE clerk;
SELECT lives_ok('SELECT purchase_' || call, 'who does not sell need not read it: ' || call)
FROM unnest(ARRAY['available(1)', 'restock(1, 1)', 'set_stock(1, 50)', 'extend(''clerks'', ''2 hours'')', 'expire()']) AS call;
SELECT is((code, hint)::text, ('42501', 'Its owner can grant what is missing: GRANT SELECT (id, stock, per_buyer), UPDATE (stock) ON public.shop_product TO clerk;')::text,
    'who sells must be allowed to read it')
FROM error_of($$ SELECT purchase(1, 1, sale_id => 'clerk', buyer => 'zoe') $$);
RESET ROLE;
GRANT SELECT (per_buyer) ON shop_product TO clerk;
SET LOCAL ROLE clerk;
SELECT lives_ok($$ SELECT purchase(1, 1, sale_id => 'clerk', buyer => 'zoe') $$, 'and then may sell');
RESET ROLE;
DROP INDEX shop_product_sale_buyer_product_id_idx;
SELECT is(remedy, 'CREATE INDEX ON public.shop_product_sale (buyer, product_id);', 'the doctor misses the index')
FROM purchase_check('shop_product') WHERE finding LIKE 'no index % finds what a buyer has%';
SELECT purchase(1, 1, sale_id => 'z-1', buyer => 'zoe', hold_for => '1 hour'), purchase(1, 1, sale_id => 'z-2', buyer => 'zoe', hold_for => '1 hour');
UPDATE shop_product_sale SET created_at = 'epoch', settled_at = 'epoch' WHERE sale_id = 'clerk';
ALTER TABLE shop_product RENAME per_buyer TO max_each;
SELECT lives_ok('SELECT purchase_' || call, 'what is not to sell goes on: ' || call)
FROM unnest(ARRAY['available(1)', 'restock(1, 1)', 'set_stock(1, 50)', 'confirm(''z-1'')', 'return(''z-1'')', 'extend(''z-2'', ''2 hours'')',
    'release(''z-2'')', 'expire()', 'forget(''1 day'')']) AS call;
SELECT is(sale('clerk'), '1 of 1 sold', 'and nothing is forgotten that may count again');
SELECT refuses($$ SELECT purchase(2, 1) $$, '55000', 'a limit column that is gone must not mean that there is no limit');
SELECT is(purchase(1, 4, sale_id => 'new', buyer => 'ann') >= 0, true, 'what was sold before is answered as before');
SELECT is((severity, remedy)::text, ('error', '-- if there shall be no limits: SELECT public.purchase_keep_sales(''public.shop_product'', limit_column => '''');')::text,
    'the doctor says so')
FROM purchase_check('shop_product') WHERE finding LIKE 'column per_buyer, which says how many%';
SELECT is(as_role('clerk', $$ SELECT purchase(2, 1) $$), '55000', 'the rights that are missing are not those on what is gone');
SELECT is(hint, 'Name another, or none: SELECT purchase_keep_sales(''shop_product'', limit_column => '''');', 'the hint says what to do')
FROM error_of($$ SELECT purchase(2, 1) $$);
SELECT lives_ok($$ SELECT purchase_keep_sales('shop_product', limit_column => 'max_each') $$, 'it can be named anew');
SELECT purchase_confirm(sale_id) FROM shop_product_hold;
SELECT purchase_keep_sales('shop_product', sale_table => 'other_sale', hold_table => 'other_hold');
SELECT is(count(*), 1::bigint, 'other tables get the index, too') FROM pg_indexes
WHERE tablename = 'other_sale' AND indexdef LIKE '%(buyer, product_id)';
SELECT purchase_keep_sales('shop_product', sale_table => 'shop_product_sale', hold_table => 'shop_product_hold');
SELECT refuses($$ SELECT purchase(1, 4, sale_id => 'more', buyer => 'zoe') $$, 'SK004', 'and counts again');
SELECT lives_ok($$ SELECT purchase_keep_sales('shop_product', limit_column => '') $$, 'or none');
SELECT lives_ok($$ SELECT purchase(1, 9) $$, 'then there are no limits');

SELECT * FROM finish();
ROLLBACK;
