-- Sales with an id: repeated, held, confirmed, extended and released.
BEGIN;
\ir shop.psql
SELECT no_plan();
SELECT purchase_attach('shop_product');

-- Before there are tables for them
SELECT refuses($$ SELECT purchase(1, 1, sale_id => 'order-1') $$, '55000',
    'a table does not keep sales unless it is asked to');
SELECT is(hint, 'Let its owner make the tables for them: SELECT purchase_keep_sales(''shop_product'');',
    'the hint is the call to make')
FROM error_of($$ SELECT purchase(1, 1, sale_id => 'order-1') $$);
SELECT refuses($$ SELECT purchase_confirm('order-1') $$, '55000', 'nor confirms');
SELECT refuses($$ SELECT purchase_expire() $$, '55000', 'nor expires');
SELECT is(stock_of(1), 10::bigint, 'nothing was sold');
SELECT lives_ok($$ SELECT purchase_keep_sales('shop_product') $$, 'it is asked to');
SELECT lives_ok($$ SELECT purchase_keep_sales('shop_product') $$,
    'and may be asked again');

-- Nobody waits for time to pass: a hold's end is moved to the past.
CREATE FUNCTION lapse(sale text) RETURNS void LANGUAGE sql AS $$
    UPDATE shop_product_hold SET expires_at = 'epoch' WHERE sale_id = sale
$$;
-- What is recorded: "2 of 1 held, 1 of 3 sold", less what was released
CREATE FUNCTION sale(id text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s of %s %s', qty - released, product_id, state),
        ', ' ORDER BY line) FROM shop_product_sale WHERE sale_id = id
$$;
CREATE FUNCTION held(sale text) RETURNS numeric LANGUAGE sql AS $$
    SELECT sum(qty) FROM shop_product_hold WHERE sale_id = sale
$$;
CREATE FUNCTION restart() RETURNS void LANGUAGE sql AS $$
    DELETE FROM shop_product_hold;
    DELETE FROM shop_product_sale;
    UPDATE shop_product SET stock = (ARRAY[10, 3, 1, 0])[id];
$$;

-- Sold at once
SELECT is(purchase(1, 3, sale_id => 'order-1'), 7::bigint,
    'a sale with an id returns what remains, as any');
SELECT is(sale('order-1'), '3 of 1 sold', 'and is recorded');
SELECT is((line, remaining, hold_for, buyer, created_by, settled_at = created_at)::text,
    (1, 7, NULL, NULL, current_user, true)::text, 'with what remained, who sold and when')
FROM shop_product_sale WHERE sale_id = 'order-1';
SELECT is(held('order-1'), NULL, 'nothing is held of it');
SELECT is(purchase(1, 3, sale_id => 'order-2'), 4::bigint, 'another id is another sale');

-- The answer to COMMIT was lost: the same call again
SELECT is(purchase(1, 3, sale_id => 'order-1'), 7::bigint,
    'a repeat returns what the first call returned');
SELECT is(purchase(1, 3, sale_id => 'order-1'), 7::bigint, 'as often as it comes');
SELECT is(purchase_try(1, 3, sale_id => 'order-1')::text, '(sold,7)',
    'from purchase_try, too');
SELECT is((SELECT (c.product_id, c.qty, c.remaining)::text
    FROM purchase_cart(ARRAY[1], ARRAY[3], sale_id => 'order-1') AS c), '(1,3,7)',
    'a cart of that one line is the same request');
SELECT is(stock_of(1), 4::bigint, 'the stock went down once');
SELECT is((SELECT count(*) FROM shop_product_sale), 2::bigint, 'and no sale was added');
SELECT is(ARRAY[purchase(1, 1, sale_id => 'order-3'), purchase(1, 1, sale_id => 'order-3')],
    ARRAY[3, 3]::bigint[], 'twice in one statement is once, too');
SELECT is(stock_of(1), 3::bigint, 'by the stock');
UPDATE shop_product SET stock = 0 WHERE id = 1;
SELECT is(purchase(1, 3, sale_id => 'order-1'), 7::bigint,
    'a repeat is answered even when all is sold out');
DELETE FROM shop_product WHERE id = 3;
UPDATE shop_product SET id = 3 WHERE id = 1;
SELECT is(purchase(1, 3, sale_id => 'order-1'), 7::bigint,
    'and when the product is gone');
UPDATE shop_product SET id = 1 WHERE id = 3;
INSERT INTO shop_product (id, stock) VALUES (3, 1);

-- Other arguments with the same id are a mistake.
SELECT refuses($$ SELECT purchase(1, 2, sale_id => 'order-1') $$, 'SK201',
    'It was made with another quantity.', 'shop_product.', 'another quantity');
SELECT refuses($$ SELECT purchase(2, 3, sale_id => 'order-1') $$, 'SK201',
    'It was made with other products.', 'shop_product.', 'another product');
SELECT refuses($$ SELECT purchase(99, 3, sale_id => 'order-1') $$, 'SK201',
    'one that is not there');
SELECT refuses($$ SELECT purchase_cart(ARRAY[1, 2], ARRAY[3, 1], sale_id => 'order-1') $$,
    'SK201', 'It was made with other products.', 'shop_product.', 'one more product');
SELECT refuses($$ SELECT purchase(1, 3, sale_id => 'order-1', hold_for => '1 hour') $$,
    'SK201', 'It was made with another hold_for.', 'shop_product.', 'a hold of what is sold');
SELECT refuses($$ SELECT purchase(1, 3, sale_id => 'order-1', buyer => 'ann') $$,
    'SK201', 'It was made with another buyer.', 'shop_product.', 'a buyer');
SELECT refuses($$ SELECT purchase_try(1, 2, sale_id => 'order-1') $$, 'SK201',
    'purchase_try raises this, too');
SELECT refuses($$ SELECT * FROM purchase_try_cart(ARRAY[1], ARRAY[2], sale_id => 'order-1') $$,
    'SK201', 'and purchase_try_cart');
SELECT is((message, hint)::text, '("sale id ""order-1"" names another sale",'
    '"Repeat a call with the arguments of the first one, or take a new id.")',
    'message and hint say what to do')
FROM error_of($$ SELECT purchase(1, 2, sale_id => 'order-1') $$);
SELECT is(sale('order-1'), '3 of 1 sold', 'the first sale stands');
SELECT restart();

-- A failed call leaves its id free.
SELECT refuses($$ SELECT purchase(2, 5, sale_id => 'order-1') $$, 'SK003', 'too many');
SELECT is(purchase_try(2, 5, sale_id => 'order-1')::text, '(insufficient_quantity,3)',
    'tried');
SELECT is(purchase_try(4, 1, sale_id => 'order-1', hold_for => '1 hour')::text,
    '(out_of_stock,0)', 'held');
SELECT is(purchase_try(99, 1, sale_id => 'order-1')::text, '(product_not_found,)',
    'not there');
SELECT refuses($$ SELECT purchase_cart(ARRAY[1, 4], ARRAY[1, 1], sale_id => 'order-1') $$,
    'SK002', 'a cart with one line too many');
SELECT is_empty('SELECT FROM shop_product_sale', 'none of these was recorded');
SELECT is(purchase(2, 2, sale_id => 'order-1'), 1::bigint, 'so its id can be used');

SAVEPOINT before_sale;
SELECT is(purchase(1, 4, sale_id => 'order-2'), 6::bigint, 'sold after a savepoint');
ROLLBACK TO before_sale;
SELECT is(sale('order-2'), NULL, 'ROLLBACK TO forgets the sale');
SELECT is(purchase(2, 1, sale_id => 'order-2'), 0::bigint,
    'and its id names another one, at once');
SAVEPOINT before_sale;
SELECT is(purchase(1, 4, sale_id => 'order-3', hold_for => '1 hour'), 6::bigint,
    'held after a savepoint');
RELEASE before_sale;
SELECT is(held('order-3'), 4::numeric, 'RELEASE keeps it');
SELECT refuses($$ SELECT purchase(1, 1, sale_id => 'order-4'), 1 / 0 FROM shop_product $$,
    '22012', 'a statement that fails later');
SELECT is(purchase(1, 1, sale_id => 'order-4'), 5::bigint, 'sold nothing with this id');
SELECT restart();

-- A checkout, paid in time
SELECT is(purchase(1, 2, sale_id => 'cart-1', hold_for => '15 minutes', buyer => 'ann'),
    8::bigint, 'a hold takes its units out of the stock');
SELECT is(sale('cart-1'), '2 of 1 held', 'they are held');
SELECT is((line, product_id, qty, buyer, expires_at - created_at)::text,
    '(1,1,2,ann,00:15:00)', 'for the buyer, and as long as was asked')
FROM shop_product_hold JOIN shop_product_sale USING (sale_id, line, product_id, qty, buyer)
WHERE sale_id = 'cart-1';
SELECT is(purchase_available(1), 8::bigint, 'nobody else can have them');
SELECT refuses($$ SELECT purchase(1, 9) $$, 'SK003',
    'Product 1 has 8 in stock, 9 were requested.', 'shop_product.stock',
    'a live hold is not for sale');
SELECT is(purchase_confirm('cart-1'), true, 'paid in time: confirmed');
SELECT is(sale('cart-1'), '2 of 1 sold', 'now it is sold');
SELECT is(held('cart-1'), NULL, 'and no longer held');
SELECT ok(settled_at >= created_at, 'it is settled')
FROM shop_product_sale WHERE sale_id = 'cart-1';
SELECT is(stock_of(1), 8::bigint, 'which does not touch the stock');
SELECT is(purchase_confirm('cart-1'), false, 'the webhook comes twice: false');
SELECT is(purchase_confirm('cart-1'), false, 'or more often');
SELECT is(purchase(1, 2, sale_id => 'cart-1', hold_for => '15 minutes', buyer => 'ann'),
    8::bigint, 'the checkout repeated is still answered as it was');
SELECT is(purchase_try(1, 2, sale_id => 'cart-1', hold_for => '15 minutes', buyer => 'ann')::text,
    '(held,8)', 'held, not sold');
SELECT refuses($$ SELECT purchase(1, 2, sale_id => 'cart-1', hold_for => '20 minutes', buyer => 'ann') $$,
    'SK201', 'It was made with another hold_for.', 'shop_product.', 'but not for longer');
SELECT refuses($$ SELECT purchase(1, 2, sale_id => 'cart-1', buyer => 'ann') $$,
    'SK201', 'It was made with another hold_for.', 'shop_product.', 'or sold at once');
SELECT refuses($$ SELECT purchase(1, 2, sale_id => 'cart-1', hold_for => '15 minutes', buyer => 'Ann') $$,
    'SK201', 'It was made with another buyer.', 'shop_product.', 'or for another');
SELECT refuses($$ SELECT purchase(1, 2, sale_id => 'cart-1', hold_for => '15 minutes') $$,
    'SK201', 'It was made with another buyer.', 'shop_product.', 'or for nobody');
SELECT is(purchase(1, 2, sale_id => 'cart-1', hold_for => '900 seconds', buyer => 'ann'),
    8::bigint, 'an interval may be written in another way');
SELECT refuses($$ SELECT purchase_release('cart-1') $$, 'SK103',
    'What is sold is no longer held.', 'shop_product.', 'what is sold cannot be released');
SELECT refuses($$ SELECT purchase_release('cart-1', 1, 1) $$, 'SK103', 'nor in part');
SELECT refuses($$ SELECT purchase_extend('cart-1', '1 hour') $$, 'SK103', 'nor extended');
SELECT is(stock_of(1), 8::bigint, 'nothing came back');

-- A plain sale with an id needs no confirmation.
SELECT purchase(1, 1, sale_id => 'order-1');
SELECT is(purchase_confirm('order-1'), false, 'confirming what was sold at once: false');
SELECT refuses($$ SELECT purchase_release('order-1') $$, 'SK103', 'it cannot be released');
SELECT is(sale('order-1'), '1 of 1 sold', 'it stays as it is');

-- Too late, but nobody took the units
SELECT is(purchase(2, 3, sale_id => 'cart-2', hold_for => '15 minutes'), 0::bigint,
    'the last ones are held');
SELECT refuses('SELECT purchase(2, 1)', 'SK002', 'so there are none');
SELECT lapse('cart-2');
SELECT is(purchase_available(2), 3::bigint, 'lapsed: others could have them');
SELECT is(stock_of(2), 0::bigint, 'though the stock does not say so');
SELECT is(purchase_try(2, 4)::text, '(insufficient_quantity,3)', 'a refusal counts them, too');
SELECT is(purchase(2, 3, sale_id => 'cart-2', hold_for => '15 minutes'), 0::bigint,
    'the checkout repeated: the units are still there');
SELECT is(purchase_confirm('cart-2'), true, 'paid too late, but confirmed');
SELECT is(sale('cart-2'), '3 of 2 sold', 'sold');
SELECT is(purchase_available(2), 0::bigint, 'so there is nothing to be had any more');

-- Too late, and somebody took them
SELECT is(purchase(3, 1, sale_id => 'cart-3', hold_for => '15 minutes', buyer => 'ann'),
    0::bigint, 'the last one is held');
SELECT lapse('cart-3');
SELECT is(purchase(3, 1), 0::bigint, 'somebody else buys it');
SELECT is(sale('cart-3'), '1 of 3 expired', 'the hold has expired');
SELECT is(held('cart-3'), NULL, 'and is gone');
SELECT refuses($$ SELECT purchase_confirm('cart-3') $$, 'SK102',
    'Product 3 has 0 in stock, 1 was requested.', 'shop_product.stock',
    'paid too late: the money is to be paid back');
SELECT is((message, hint)::text, '("the hold of sale ""cart-3"" has expired",'
    '"Pay back what was paid for it, and release it, so that no later confirm sells it.")',
    'as the hint says')
FROM error_of($$ SELECT purchase_confirm('cart-3') $$);
SELECT refuses($$ SELECT purchase_extend('cart-3', '1 hour') $$, 'SK102',
    'it cannot be extended');
SELECT refuses($$ SELECT purchase(3, 1, sale_id => 'cart-3', hold_for => '15 minutes', buyer => 'ann') $$,
    'SK102', 'Its time was over, and its units of product 3 were taken.',
    'shop_product.stock', 'nor repeated');
SELECT refuses($$ SELECT purchase_try(3, 1, sale_id => 'cart-3', hold_for => '15 minutes', buyer => 'ann') $$,
    'SK102', 'purchase_try raises this, too');
SELECT is(sale('cart-3'), '1 of 3 expired', 'none of these changed it');
SELECT is(stock_of(3), 0::bigint, 'nor the stock');
SELECT purchase_restock(3, 2);
SELECT refuses($$ SELECT purchase(3, 1, sale_id => 'cart-3', hold_for => '15 minutes', buyer => 'ann') $$,
    'SK102', 'new stock makes no new hold of it');
SELECT is(purchase_confirm('cart-3'), true, 'but what is paid is taken anew');
SELECT is(sale('cart-3'), '1 of 3 sold', 'sold');
SELECT is(stock_of(3), 1::bigint, 'out of the stock');
SELECT is(purchase_confirm('cart-3'), false, 'once');
SELECT purchase(3, 1, sale_id => 'cart-3b', hold_for => '15 minutes');
UPDATE shop_product_hold SET expires_at = 'epoch' WHERE sale_id = 'cart-3b';
SELECT purchase(3, 1);
SELECT is(purchase_release('cart-3b'), 0::bigint, 'paid back: there is nothing to be released');
SELECT purchase_restock(3, 1);
SELECT refuses($$ SELECT purchase_confirm('cart-3b') $$, 'SK103',
    'but then the sale is over, whatever comes into stock');
SELECT is(stock_of(3), 1::bigint, 'only');
SELECT restart();

-- Who needs more than the stock takes lapsed holds whole, and puts back the rest.
SELECT purchase(1, 4, sale_id => 'cart-1', hold_for => '15 minutes'),
    purchase(1, 4, sale_id => 'cart-2', hold_for => '15 minutes'),
    purchase(1, 2, sale_id => 'cart-3', hold_for => '15 minutes');
SELECT lapse('cart-1'), lapse('cart-2');
SELECT is(purchase_available(1), 8::bigint, 'two of three holds have lapsed');
SELECT is(purchase_try(1, 9)::text, '(insufficient_quantity,8)', 'both are not enough');
SELECT is(sale('cart-1') || sale('cart-2'), '4 of 1 held4 of 1 held',
    'so they were not touched');
UPDATE shop_product_hold SET expires_at = 'epoch'::timestamptz + '1 day'
WHERE sale_id = 'cart-1';
SELECT is(purchase(1, 3), 1::bigint, 'what remains is the stock');
SELECT is(purchase_available(1), 5::bigint, 'what can be had is that and the other hold');
SELECT is(sale('cart-2'), '4 of 1 expired', 'the one that ended first was taken');
SELECT is(sale('cart-1'), '4 of 1 held', 'the other is still there');
SELECT is(stock_of(1), 1::bigint, 'what was not needed went into the stock');
SELECT is(purchase(1, 1, sale_id => 'cart-4', hold_for => '1 minute'), 0::bigint,
    'who asks for no more than the stock takes that');
SELECT is(sale('cart-1'), '4 of 1 held', 'and no hold');
SELECT is(purchase_confirm('cart-2'), true, 'who comes back late takes lapsed units himself');
SELECT is(sale('cart-1') || ', ' || sale('cart-2'), '4 of 1 expired, 4 of 1 sold',
    'of the next one');
SELECT is(stock_of(1), 0::bigint, 'none is left');
SELECT is(sale('cart-3'), '2 of 1 held', 'a live hold is nobody''s but its own');
SELECT restart();

-- Release
SELECT purchase(1, 4, sale_id => 'cart-1', hold_for => '15 minutes');
SELECT is(purchase_release('cart-1', 1, 1), 1::bigint, 'one of four is released');
SELECT is(sale('cart-1'), '3 of 1 held', 'three are still held');
SELECT is(held('cart-1'), 3::numeric, 'by the hold, too');
SELECT is(stock_of(1), 7::bigint, 'one is back in the stock');
SELECT is(purchase(1, 4, sale_id => 'cart-1', hold_for => '15 minutes'), 6::bigint,
    'the checkout repeated is answered as it was, and takes nothing again');
SELECT refuses($$ SELECT purchase_release('cart-1', 1, 4) $$, '22023',
    'It holds 3, 4 were to be released.', 'shop_product.stock', 'no more than is held');
SELECT refuses($$ SELECT purchase_release('cart-1', 2, 1) $$, '22023',
    'nor of another product');
SELECT refuses($$ SELECT purchase_release('cart-1', 99, 1) $$, '22023',
    'nor of one that is not there');
SELECT is(purchase_confirm('cart-1'), true, 'the rest is confirmed');
SELECT is(sale('cart-1'), '3 of 1 sold', 'three are sold');
SELECT is(stock_of(1), 7::bigint, 'the one that was released stays in the stock');

SELECT purchase(1, 4, sale_id => 'cart-2', hold_for => '15 minutes');
SELECT purchase_release('cart-2', 1, 3);
SELECT is(purchase_release('cart-2'), 1::bigint, 'all that is left is released');
SELECT is(purchase_release('cart-2'), 0::bigint, 'and nothing twice');
SELECT is(purchase_release('cart-2', 1, 1), 0::bigint, 'nor in part');
SELECT is(stock_of(1), 7::bigint, 'all are back');
SELECT is(sale('cart-2'), '0 of 1 released', 'it is released');
SELECT is(held('cart-2'), NULL, 'and not held');
SELECT refuses($$ SELECT purchase_confirm('cart-2') $$, 'SK103',
    'What was released can''t be held or sold any more.', 'shop_product.',
    'what was released cannot be sold');
SELECT refuses($$ SELECT purchase_extend('cart-2', '1 hour') $$, 'SK103',
    'or held for longer');
SELECT refuses($$ SELECT purchase(1, 4, sale_id => 'cart-2', hold_for => '15 minutes') $$,
    'SK103', 'or held again');
SELECT is(message, 'sale "cart-2" is released already', 'the message says so')
FROM error_of($$ SELECT purchase_confirm('cart-2') $$);
SELECT purchase(1, 2, sale_id => 'cart-3', hold_for => '15 minutes');
SELECT purchase_release('cart-3', 1, 2);
SELECT is(sale('cart-3'), '0 of 1 released', 'a part may be all of it');
SELECT purchase(1, 2, sale_id => 'cart-4', hold_for => '15 minutes');
SELECT lapse('cart-4');
SELECT is(purchase_release('cart-4'), 2::bigint, 'a lapsed hold can be released');
SELECT is(stock_of(1), 7::bigint, 'its units are back, once');

-- What was released in part, then taken, then comes back
SELECT purchase(1, 5, sale_id => 'cart-5', hold_for => '15 minutes');
SELECT purchase_release('cart-5', 1, 2);
SELECT lapse('cart-5');
SELECT is(purchase(1, 7), 0::bigint, 'its rest is taken');
SELECT is(sale('cart-5'), '3 of 1 expired', 'three were left of it');
SELECT purchase_restock(1, 4);
SELECT is(purchase_confirm('cart-5'), true, 'and three are taken anew');
SELECT is(stock_of(1), 1::bigint, 'not what was released');
SELECT is(sale('cart-5'), '3 of 1 sold', 'which is recorded');
SELECT restart();

-- Extend
SELECT purchase(1, 1, sale_id => 'cart-1', hold_for => '1 hour');
SELECT expires_at AS hour FROM shop_product_hold \gset
SELECT is(purchase_extend('cart-1', '1 minute'), :'hour'::timestamptz,
    'extend never shortens');
SELECT is(expires_at, :'hour'::timestamptz, 'the hold''s end') FROM shop_product_hold;
SELECT purchase_extend('cart-1', '2 hours') AS later \gset
SELECT ok(:'later'::timestamptz - clock_timestamp() BETWEEN '1:59' AND '2:00',
    'longer counts from now');
SELECT is(expires_at, :'later', 'and is what it returns') FROM shop_product_hold;
SELECT lapse('cart-1');
SELECT ok(purchase_extend('cart-1', '1 minute') > clock_timestamp(),
    'a lapsed hold that nobody took lives again');
SELECT is(purchase_available(1), 9::bigint, 'and is no longer for others');
SELECT is(purchase(1, 1, sale_id => 'cart-1', hold_for => '1 hour'), 9::bigint,
    'a repeat is one of the first call, however long it was extended');
SELECT purchase_cart(ARRAY[1, 2], ARRAY[1, 1], sale_id => 'cart-2', hold_for => '1 hour');
UPDATE shop_product_hold SET expires_at = '2100-01-01' WHERE sale_id = 'cart-2' AND line = 2;
SELECT ok(purchase_extend('cart-2', '2 hours') < clock_timestamp() + '2 hours',
    'of a cart it returns the first of the ends');
SELECT is(max(expires_at), '2100-01-01', 'and leaves a later one')
FROM shop_product_hold WHERE sale_id = 'cart-2';
SELECT restart();

-- There is no such sale.
SELECT refuses(format('SELECT %s', call), 'SK101',
    'Table "shop_product" has no sale with this id.', 'shop_product.', 'not there: ' || call)
FROM unnest(ARRAY['purchase_confirm(''cart-9'')', 'purchase_release(''cart-9'')',
    'purchase_release(''cart-9'', 1, 1)', 'purchase_extend(''cart-9'', ''1 hour'')']) AS call;
SELECT is(message, 'sale "cart-9" not found', 'the message names it')
FROM error_of($$ SELECT purchase_confirm('cart-9') $$);

-- Expire
SELECT purchase(p, 1, sale_id => format('cart-%s-%s', p, n), hold_for => '1 hour')
FROM generate_series(1, 3) AS p, generate_series(1, 2) AS n WHERE p < 3 OR n = 1;
SELECT is(purchase_expire(), 0::bigint, 'live holds don''t expire');
SELECT lapse(format('cart-%s-1', p)) FROM generate_series(1, 3) AS p;
SELECT is(purchase_expire(max => 2), 2::bigint, 'expires as many holds as it may');
SELECT is(purchase_expire(), 1::bigint, 'and then the rest');
SELECT is(purchase_expire(), 0::bigint, 'once');
SELECT results_eq('SELECT stock FROM shop_product ORDER BY id', ARRAY[9, 2, 1, 0],
    'their units are back in the stock');
SELECT is(sale('cart-1-1') || ', ' || sale('cart-1-2'), '1 of 1 expired, 1 of 1 held',
    'live ones are left alone');
SELECT purchase(1, 1, sale_id => 'cart-1-3', hold_for => '1 hour');
SELECT lapse('cart-1-2'), lapse('cart-1-3');
SELECT is(purchase_expire(max => 1), 1::bigint, 'of one product''s holds, too, as many as it may');
SELECT is(count(*), 1::bigint, 'and leaves the others') FROM shop_product_hold WHERE product_id = 1;
SELECT is(purchase_confirm('cart-3-1'), true, 'what has expired can be confirmed anew');
SELECT is(stock_of(3), 0::bigint, 'out of the stock');
SELECT restart();

-- Carts
SELECT results_eq(
    $$ SELECT * FROM purchase_cart(ARRAY[2, 1, 2], ARRAY[1, 3, 1], sale_id => 'cart-1') $$,
    $$ VALUES (1::bigint, 3::bigint, 7::bigint), (2, 2, 1) $$,
    'lines of one product are merged');
SELECT is(sale('cart-1'), '3 of 1 sold, 2 of 2 sold', 'recorded in the order of keys');
SELECT results_eq(
    $$ SELECT * FROM purchase_cart(ARRAY[1, 2, 1], ARRAY[1, 2, 2], sale_id => 'cart-1') $$,
    $$ VALUES (1::bigint, 3::bigint, 7::bigint), (2, 2, 1) $$,
    'a repeat may be written in another order');
SELECT is(stock_of(1), 7::bigint, 'it sells nothing again');
SELECT refuses($$ SELECT purchase_cart(ARRAY[1, 2], ARRAY[3, 1], sale_id => 'cart-1') $$,
    'SK201', 'another quantity of one line');
SELECT refuses($$ SELECT purchase(1, 3, sale_id => 'cart-1') $$, 'SK201',
    'one line of two');
SELECT results_eq(
    $$ SELECT * FROM purchase_try_cart(ARRAY[1, 2, 4], ARRAY[1, 1, 1],
        sale_id => 'cart-2', hold_for => '1 hour') $$,
    $$ VALUES (1::bigint, 1::bigint, 'available', 7::bigint), (2, 1, 'available', 1),
        (4, 1, 'out_of_stock', 0) $$,
    'purchase_try_cart: all or nothing');
SELECT is(sale('cart-2'), NULL, 'nothing');
SELECT results_eq(
    $$ SELECT * FROM purchase_try_cart(ARRAY[1, 2], ARRAY[4, 1],
        sale_id => 'cart-2', hold_for => '1 hour') $$,
    $$ VALUES (1::bigint, 4::bigint, 'held', 3::bigint), (2, 1, 'held', 0) $$,
    'all');
SELECT results_eq(
    $$ SELECT * FROM purchase_try_cart(ARRAY[1, 2], ARRAY[4, 1],
        sale_id => 'cart-2', hold_for => '1 hour') $$,
    $$ VALUES (1::bigint, 4::bigint, 'held', 3::bigint), (2, 1, 'held', 0) $$,
    'again');
SELECT is(purchase_release('cart-2', 2, 1), 1::bigint, 'one line is released');
SELECT is(sale('cart-2'), '4 of 1 held, 0 of 2 released', 'the other one is held');
SELECT is(purchase_release('cart-2', 1, 1), 1::bigint, 'a part of the other');
SELECT is(purchase_confirm('cart-2'), true, 'and the rest is confirmed');
SELECT is(sale('cart-2'), '3 of 1 sold, 0 of 2 released',
    'what was released is not sold by a confirm');
SELECT is(purchase_confirm('cart-2'), false, 'once');
SELECT refuses($$ SELECT purchase_release('cart-2') $$, 'SK103',
    'a sale that is sold in part cannot be released');
SELECT restart();
SELECT purchase_cart(ARRAY[1, 3], ARRAY[2, 1], sale_id => 'cart-3', hold_for => '1 hour');
SELECT lapse('cart-3');
SELECT is(purchase(3, 1), 0::bigint, 'one line of a lapsed cart is taken');
SELECT is(sale('cart-3'), '2 of 1 held, 1 of 3 expired', 'the other one is not');
SELECT refuses($$ SELECT purchase_confirm('cart-3') $$, 'SK102', 'a cart is sold whole or not');
SELECT refuses($$ SELECT purchase_extend('cart-3', '1 hour') $$, 'SK102', 'and held whole');
SELECT is(sale('cart-3'), '2 of 1 held, 1 of 3 expired', 'it stays as it is');
SELECT purchase_restock(3, 1);
SELECT is(purchase_confirm('cart-3'), true, 'what is missing is taken anew');
SELECT results_eq('SELECT stock FROM shop_product ORDER BY id', ARRAY[8, 3, 0, 0],
    'and nothing else');
SELECT restart();
SELECT purchase_cart(ARRAY[1, 3], ARRAY[2, 1], sale_id => 'cart-4', hold_for => '1 hour');
SELECT lapse('cart-4');
SELECT purchase(3, 1);
SELECT is(purchase_release('cart-4'), 2::bigint, 'a release gives back what is still held');
SELECT is(sale('cart-4'), '0 of 1 released, 0 of 3 released', 'and ends the rest');
SELECT is(stock_of(3), 0::bigint, 'what was taken stays sold');
SELECT purchase_restock(3, 1);
SELECT refuses($$ SELECT purchase_confirm('cart-4') $$, 'SK103', 'and is not taken anew');
SELECT restart();

-- One cart takes lapsed units of several products, or of none.
SELECT purchase_cart(ARRAY[2, 3], ARRAY[3, 1], sale_id => 'cart-1', hold_for => '1 hour');
SELECT lapse('cart-1');
SELECT is(purchase_try_cart(ARRAY[2, 3], ARRAY[3, 2])::text, '(2,3,available,3)',
    'one that is refused')
LIMIT 1;
SELECT is(sale('cart-1'), '3 of 2 held, 1 of 3 held', 'takes none');
SELECT results_eq($$ SELECT * FROM purchase_cart(ARRAY[2, 3], ARRAY[1, 1], sale_id => 'cart-2',
        hold_for => '1 hour') $$,
    $$ VALUES (2::bigint, 1::bigint, 2::bigint), (3, 1, 0) $$, 'one that is not');
SELECT is(sale('cart-1'), '3 of 2 expired, 1 of 3 expired', 'takes both');
SELECT restart();

-- Arguments
SELECT refuses($$ SELECT purchase(1, 1, sale_id => NULL) $$, '22004',
    'an id that is NULL is a mistake');
SELECT is(hint, 'A sale without an id can''t be repeated: if that is meant, leave sale_id out.',
    'the hint says how to sell without one')
FROM error_of($$ SELECT purchase(1, 1, sale_id => NULL) $$);
SELECT refuses($$ SELECT purchase_cart(ARRAY[1], ARRAY[1], sale_id => NULL) $$, '22004',
    'of a cart, too');
SELECT refuses($$ SELECT purchase(1, 1, sale_id => repeat('x', 256)) $$, '22023',
    'an id of more than 255 bytes');
SELECT refuses($$ SELECT purchase(1, 1, sale_id => repeat('é', 128)) $$, '22023',
    'not characters');
SELECT refuses($$ SELECT purchase_confirm(repeat('x', 256)) $$, '22023',
    'is none that could be confirmed');
SELECT refuses($$ SELECT purchase(1, 1, hold_for => '1 hour') $$, '22023',
    'a hold needs an id');
SELECT refuses($$ SELECT purchase(1, 1, sale_id => '', buyer => 'ann') $$, '22023',
    'a buyer needs one');
SELECT is((message, hint)::text,
    '("hold_for needs a sale_id","Give the sale an id of your own, for example that of the order.")',
    'as message and hint say')
FROM error_of($$ SELECT purchase(1, 1, hold_for => '1 hour') $$);
SELECT refuses(format($$ SELECT purchase(1, 1, sale_id => 'x', hold_for => %L) $$, hold_for),
    '22023', 'a hold for ' || hold_for)
FROM unnest('{0,-1 hour,1 month -31 days,-1 microsecond}'::text[]) AS hold_for;
SELECT refuses($$ SELECT purchase(1, 1, sale_id => 'x', hold_for => '400000 years') $$, '22008',
    'a hold for longer than there is time');
SELECT refuses($$ SELECT purchase_cart('{}'::bigint[], '{}', sale_id => 'x') $$, '22023',
    'an empty cart cannot have an id');
SELECT is_empty($$ SELECT purchase_cart('{}'::bigint[], '{}') $$, 'without one it is nothing');
SELECT refuses($$ SELECT purchase_confirm('') $$, '22023', 'no sale to confirm');
SELECT refuses($$ SELECT purchase_confirm(NULL) $$, '22004', 'a NULL one');
SELECT refuses($$ SELECT purchase_release('') $$, '22023', 'no sale to release');
SELECT refuses($$ SELECT purchase_release(NULL) $$, '22004', 'a NULL one');
SELECT refuses($$ SELECT purchase_extend('', '1 hour') $$, '22023', 'no sale to extend');
SELECT refuses($$ SELECT purchase_extend('x', NULL) $$, '22004', 'a NULL interval');
SELECT refuses($$ SELECT purchase_extend('x', '-1 hour') $$, '22023', 'a negative one');
SELECT refuses($$ SELECT purchase_release('x', NULL::bigint, 1) $$, '22004', 'a NULL product');
SELECT refuses($$ SELECT purchase_release('x', 1, NULL) $$, '22004', 'a NULL quantity');
SELECT refuses($$ SELECT purchase_release('x', 1, 0) $$, '22023', 'a quantity of zero');
SELECT refuses($$ SELECT purchase_expire(0) $$, '22023', 'none to expire');
SELECT refuses($$ SELECT purchase_confirm('x', 'shop_order_line') $$, '55000',
    'a table that is not attached');
SELECT refuses($$ SELECT purchase_keep_sales('shop_order_line') $$, '55000',
    'cannot keep sales');
SELECT refuses($$ SELECT purchase_keep_sales(NULL) $$, '22004', 'nor can none');
SELECT is(stock_of(1), 10::bigint, 'none of these sold anything');
SELECT is_empty('SELECT FROM shop_product_sale', 'or recorded anything');
SELECT is(purchase(1, 1, sale_id => ''), 9::bigint, 'an empty id is no id');
SELECT is(purchase(1, 1, sale_id => ''), 8::bigint, 'each such call sells');
SELECT is_empty('SELECT FROM shop_product_sale', 'and nothing is recorded');
SELECT is(purchase(1, 1, sale_id => repeat('x', 255)), 7::bigint, 'an id of 255 bytes');
SELECT is(purchase(1, 1, sale_id => 'buyer', buyer => ''), 6::bigint, 'a buyer without a name');
SELECT refuses($$ SELECT purchase(1, 1, sale_id => 'buyer') $$, 'SK201', 'is not none');
SELECT restart();

-- Ids are compared byte by byte.
SELECT is(array_agg(purchase(1, 1, sale_id => id) ORDER BY n),
    '{9,8,7,6,5,4,3,2,1}'::bigint[], 'each id is one of its own')
FROM unnest(ARRAY['a', 'A', 'a ', ' a', U&'\00E9', U&'e\0301', 'e', E'a\n',
    $$'; DROP TABLE shop_product; -- "%s$1$$]) WITH ORDINALITY AS t (id, n);
SELECT is(array_agg(purchase(1, 1, sale_id => id) ORDER BY n),
    '{9,8,7,6,5,4,3,2,1}'::bigint[], 'and found again')
FROM unnest(ARRAY['a', 'A', 'a ', ' a', U&'\00E9', U&'e\0301', 'e', E'a\n',
    $$'; DROP TABLE shop_product; -- "%s$1$$]) WITH ORDINALITY AS t (id, n);
SELECT is(message, 'sale "''; DROP TABLE shop_product; -- "%s$1" is sold already',
    'an id may be anything, in messages, too')
FROM error_of($$ SELECT purchase_release(E'\'; DROP TABLE shop_product; -- "%s$1') $$);
SELECT restart();

-- An id is one of a stock table.
CREATE TABLE ticket (code uuid PRIMARY KEY, seats smallint NOT NULL);
INSERT INTO ticket VALUES ('00000000-0000-0000-0000-00000000000a', 5);
SELECT purchase_attach('ticket', 'seats');
SELECT purchase_keep_sales('ticket');
SELECT is(purchase(1, 1, sale_id => 'order-1'), 9::bigint, 'an id here');
SELECT is(purchase('00000000-0000-0000-0000-00000000000a', 2, 'ticket', 'order-1', '1 hour'),
    3::bigint, 'is another one there');
SELECT is(purchase_release('order-1', 'ticket'), 2::bigint, 'each of its own');
SELECT refuses($$ SELECT purchase_release('order-1') $$, 'SK103', 'fate');
SELECT is(purchase_release('order-1', '00000000-0000-0000-0000-00000000000a'::uuid, 1, 'ticket'),
    0::bigint, 'by a key of type uuid');
SELECT restart();

-- The sale is part of the caller's statement, as any.
SELECT lives_ok(
    $$ INSERT INTO shop_order_line
       SELECT product_id, qty FROM purchase_cart(ARRAY[1, 2], ARRAY[2, 1], sale_id => 'order-1') $$,
    'order lines from what was sold, in the same statement');
SELECT is_empty('SELECT product_id, qty FROM shop_order_line EXCEPT
    SELECT product_id, qty FROM shop_product_sale', 'they agree with what is recorded');
SELECT results_eq(
    $$ SELECT p.id, t.outcome FROM shop_product AS p,
       LATERAL purchase_try(p.id, 1, sale_id => 'line-' || p.id, hold_for => '1 hour') AS t
       ORDER BY p.id $$,
    $$ VALUES (1::bigint, 'held'), (2, 'held'), (3, 'held'), (4, 'out_of_stock') $$,
    'one statement can hold many products, each with an id');
SELECT results_eq(
    'SELECT purchase_confirm(sale_id) FROM shop_product_hold', '{t,t,t}'::boolean[],
    'and confirm what it reads');
CREATE TYPE answers AS (held bigint, held_again bigint, confirmed bool, again bool);
SELECT is(ROW(purchase(1, 1, sale_id => 'cart-1', hold_for => '1 hour'),
        purchase(1, 1, sale_id => 'cart-1', hold_for => '1 hour'),
        purchase_confirm('cart-1'), purchase_confirm('cart-1'))::answers,
    ROW(6, 6, true, false)::answers, 'calls in one statement see each other');
SELECT refuses(format('SET LOCAL transaction_read_only = on; SELECT %s', call), '25006',
    'read only: ' || call)
FROM unnest(ARRAY['purchase_confirm(''cart-1'')', 'purchase_release(''cart-1'')',
    'purchase_extend(''cart-1'', ''1 hour'')', 'purchase_expire()',
    'purchase(1, 1, sale_id => ''cart-1'', hold_for => ''1 hour'')']) AS call;

SELECT * FROM finish();
ROLLBACK;
