-- Returns: as an application developer reads them.
BEGIN;
\ir shop.psql
SELECT no_plan();
SELECT purchase_attach('shop_product', is_default => true);
SELECT purchase_keep_sales('shop_product');
CREATE FUNCTION sale(id text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s of %s %s, %s returned, %s discarded', qty - released, product_id,
        state, returned, discarded), '; ' ORDER BY line) FROM shop_product_sale WHERE sale_id = id
$$;
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' / ', (SELECT string_agg(s::text, ' ' ORDER BY sale_id, line) FROM shop_product_sale AS s),
        (SELECT string_agg(h::text, ' ' ORDER BY sale_id, line) FROM shop_product_hold AS h),
        (SELECT string_agg(p::text, ' ' ORDER BY id) FROM shop_product AS p))
$$;

-- All of a sale: the button may be pressed twice.
SELECT purchase_cart(ARRAY[1, 2], ARRAY[3, 2], sale_id => 'a', buyer => 'ann');
SELECT is(purchase_return('a'), 5::bigint, 'all is returned');
SELECT is(stock_of(1) || ' ' || stock_of(2), '10 3', 'to the stock');
SELECT is(sale('a'), '3 of 1 sold, 3 returned, 0 discarded; 2 of 2 sold, 2 returned, 0 discarded', 'and noted');
SELECT is(bool_and(returned_at BETWEEN created_at AND clock_timestamp()), true, 'with the time')
FROM shop_product_sale WHERE sale_id = 'a';
SELECT is(purchase_return('a'), 0::bigint, 'once');
SELECT is(purchase_return('a', restock => false), 0::bigint, 'whatever is asked the second time');
SELECT is(stock_of(1) || ' ' || stock_of(2), '10 3', 'so nothing comes back twice');
SELECT is(purchase_confirm('a'), false, 'what was returned is not sold by a confirm');
SELECT results_eq($$ SELECT qty, remaining
    FROM purchase_cart(ARRAY[1, 2], ARRAY[3, 2], sale_id => 'a', buyer => 'ann') $$,
    $$ VALUES (3::bigint, 7::bigint), (2, 1) $$, 'nor by a repeat, which is only told');
SELECT refuses($$ SELECT purchase_release('a') $$, 'SK103', 'it is not released either');
SELECT is(stock_of(1) || ' ' || stock_of(2), '10 3', 'nothing has changed');

-- What can't be sold again
SELECT purchase(1, 4, sale_id => 'b');
SELECT is(purchase_return('b', restock => false), 4::bigint, 'broken items come back, too');
SELECT is(stock_of(1), 6::bigint, 'but not to the stock');
SELECT is(sale('b'), '4 of 1 sold, 4 returned, 4 discarded', 'which is noted');
SELECT purchase_restock(1, 4);

-- A part of it has an id of its own.
SELECT purchase_cart(ARRAY[1, 2], ARRAY[5, 2], sale_id => 'c', buyer => 'bob');
SELECT is(purchase_return('c', 1, 2, 'c-1'), 2::bigint, 'a part is returned');
SELECT is(stock_of(1), 7::bigint, 'to the stock');
SELECT is(purchase_return('c', 1, 2, 'c-1'), 2::bigint, 'its repeat is told the same');
SELECT is(purchase_return('c', '1', 2, 'c-1'), 2::bigint, 'also if the key is sent as text');
SELECT is(stock_of(1), 7::bigint, 'and changes nothing');
SELECT is(purchase_return('c', 1, 1, 'c-2', restock => false), 1::bigint, 'another part, broken');
SELECT is(sale('c'), '5 of 1 sold, 3 returned, 1 discarded; 2 of 2 sold, 0 returned, 0 discarded', 'both are noted');
SELECT results_eq($$ SELECT sale_id COLLATE "default", line, product_id, qty, state, remaining, discarded, buyer, return_of,
        created_at = settled_at, created_by = current_user
    FROM shop_product_sale WHERE return_of = 'c' ORDER BY 1 $$,
    $$ VALUES ('c-1', 1, 1::bigint, 2::bigint, 'returned', 7::bigint, 0::bigint, 'bob', 'c', true, true),
        ('c-2', 1, 1, 1, 'returned', NULL, 1, 'bob', 'c', true, true) $$, 'each is a row of its own');
SELECT is((code, message, detail)::text, ('SK104', 'return exceeds sale "c"',
    'Of product 1, 5 were sold and 3 returned, 3 were to be returned.')::text, 'more than is left')
FROM error_of($$ SELECT purchase_return('c', 1, 3, 'c-3') $$);
SELECT is(purchase_return('c', 1, 2, 'c-3'), 2::bigint, 'what failed leaves the id free');
SELECT refuses($$ SELECT purchase_return('c', 1, 1, 'c-4') $$, 'SK104', 'nothing is left of it');
SELECT is(purchase_return('c'), 2::bigint, 'all that is left are the other lines');
SELECT is(stock_of(1) || ' ' || stock_of(2), '9 3', 'but for the broken one all are there');
SELECT is(purchase_return('c', 1, 2, 'c-1'), 2::bigint, 'the first return is still told');

-- An id names one thing.
SELECT state() AS before \gset
SELECT is((code, message, detail)::text, (c, m, d)::text, call)
FROM (VALUES
    ('purchase_return(''c'', 1, 1, ''c-1'')', 'SK201', 'return id "c-1" names another return', 'It was made with another quantity.'),
    ('purchase_return(''c'', 2, 2, ''c-1'')', 'SK201', 'return id "c-1" names another return', 'It was made with another product.'),
    ('purchase_return(''a'', 1, 2, ''c-1'')', 'SK201', 'return id "c-1" names another return', 'It was made with another sale.'),
    ('purchase_return(''c'', 1, 2, ''c-1'', restock => false)', 'SK201', 'return id "c-1" names another return', 'It was made with another restock.'),
    ('purchase_return(''c'', 1, 1, ''a'')', 'SK201', 'id "a" names a sale, not a return', ''),
    ('purchase_return(''c'', 1, 1, ''c'')', 'SK201', 'id "c" names a sale, not a return', ''),
    ('purchase_return(''c-1'')', 'SK201', 'id "c-1" names a return, not a sale', ''),
    ('purchase_return(''c-1'', 1, 1, ''new'')', 'SK201', 'id "c-1" names a return, not a sale', ''),
    ('purchase_confirm(''c-1'')', 'SK201', 'id "c-1" names a return, not a sale', ''),
    ('purchase_release(''c-1'')', 'SK201', 'id "c-1" names a return, not a sale', ''),
    ('purchase_extend(''c-1'', ''1 hour'')', 'SK201', 'id "c-1" names a return, not a sale', ''),
    ('purchase(1, 2, sale_id => ''c-1'')', 'SK201', 'id "c-1" names a return, not a sale', ''),
    ('purchase_return(''none'')', 'SK101', 'sale "none" not found', 'Table "shop_product" has no sale with this id.'),
    ('purchase_return(''none'', 1, 1, ''new'')', 'SK101', 'sale "none" not found', 'Table "shop_product" has no sale with this id.'),
    ('purchase_return(''c'', 4, 1, ''new'')', 'SK104', 'product 4 is not part of sale "c"', ''),
    ('purchase_return(''c'', 9, 1, ''new'')', 'SK104', 'product 9 is not part of sale "c"', ''),
    ('purchase_return(''c'', ''x'', 1, ''new'')', '22P02', 'invalid input syntax for type bigint: "x"', ''),
    ('purchase_return(''c'', 1, 0, ''new'')', '22023', 'qty must be positive, not 0', ''),
    ('purchase_return(''c'', 1, -1, ''new'')', '22023', 'qty must be positive, not -1', ''),
    ('purchase_return(''c'', 1, 1, '''')', '22023', 'return_id must not be empty', ''),
    ('purchase_return(''c'', 1, 1, NULL)', '22004', 'return_id must not be null', ''),
    ('purchase_return(''c'', 1, NULL, ''new'')', '22004', 'qty must not be null', ''),
    ('purchase_return(''c'', NULL::bigint, 1, ''new'')', '22004', 'product_id must not be null', ''),
    ('purchase_return(''c'', 1, 1, ''new'', NULL)', '22004', 'restock must not be null', ''),
    ('purchase_return(''c'', NULL)', '22004', 'restock must not be null', ''),
    ('purchase_return(NULL)', '22004', 'sale_id must not be null', ''),
    ('purchase_return('''')', '22023', 'sale_id must not be empty', ''),
    ('purchase_return(''c'', 1, 1, repeat(''x'', 256))', '22023', 'return_id must not be longer than 255 bytes', 'It has 256 bytes.')
    ) AS t (call, c, m, d), error_of('SELECT ' || call);
SELECT is(state(), :'before', 'nothing has changed');

-- Only what is sold can be returned.
SELECT purchase_cart(ARRAY[1, 2], ARRAY[3, 1], sale_id => 'h', hold_for => '1 hour');
SELECT is((code, message, detail, hint)::text, ('SK104', 'sale "h" is not sold',
    'Its units of product 1 are held.', 'Give them back with purchase_release().')::text, 'what is held is not sold')
FROM error_of($$ SELECT purchase_return('h') $$);
SELECT refuses($$ SELECT purchase_return('h', 1, 1, 'h-1') $$, 'SK104', 'nor is a part of it');
SELECT is(purchase_release('h', 1, 1), 1::bigint, 'one is released');
SELECT purchase_confirm('h');
SELECT refuses($$ SELECT purchase_return('h', 1, 3, 'h-1') $$, 'SK104', 'what was released can''t be returned');
SELECT is(purchase_return('h'), 3::bigint, 'the rest can');
SELECT purchase(1, 2, sale_id => 'r', hold_for => '1 hour'), purchase_release('r');
SELECT is((code, detail)::text, ('SK104', 'Its units of product 1 are released.')::text, 'a sale that was released')
FROM error_of($$ SELECT purchase_return('r') $$);
SELECT purchase(2, 3, sale_id => 'e', hold_for => '1 hour');
UPDATE shop_product_hold SET expires_at = 'epoch';
SELECT purchase(2, 3);
SELECT is((code, detail)::text, ('SK104', 'Its units of product 2 are expired.')::text, 'one whose hold was taken')
FROM error_of($$ SELECT purchase_return('e', 2, 1, 'e-1') $$);
SELECT purchase_restock(2, 3);

-- A product that is gone is given up, and the rest comes back.
INSERT INTO shop_product (id, stock) VALUES (5, 5);
SELECT purchase_cart(ARRAY[1, 5], ARRAY[1, 4], sale_id => 'g');
DELETE FROM shop_product WHERE id = 5;
SELECT stock_of(1) AS before \gset
SELECT is(purchase_return('g', 5, 1, 'g-1'), 1::bigint, 'a part of what is gone');
SELECT is(purchase_return('g', 5, 1, 'g-1'), 1::bigint, 'and its repeat');
SELECT is(purchase_return('g'), 4::bigint, 'and all that is left');
SELECT is(stock_of(1), :before + 1::bigint, 'the other product has its unit');

-- With a guard, in a transaction of the caller's, and from a table that is named
SELECT purchase_guard('shop_product');
SELECT purchase(1, 2, sale_id => 'guarded');
SELECT is(purchase_return('guarded', stock_table => 'shop_product'), 2::bigint, 'the guard lets it pass');
SELECT purchase_guard('shop_product', false);
SAVEPOINT s;
SELECT purchase(1, 2, sale_id => 'undone'), purchase_return('undone', 1, 1, 'undone-1');
ROLLBACK TO s;
SELECT is(purchase(1, 1, sale_id => 'undone-1') IS NOT NULL, true, 'what is rolled back has no id');
UPDATE shop_product SET stock = 2147483647 WHERE id = 1;
SELECT refuses($$ SELECT purchase_return('undone-1') $$, '22003', 'a stock that is full');
SELECT is(purchase_return('undone-1', restock => false), 1::bigint, 'is no matter for what is broken');

-- Rights are those of a sale, row security included.
CREATE ROLE clerk;
CREATE ROLE visitor;
GRANT SELECT, UPDATE (stock) ON shop_product TO clerk;
GRANT SELECT ON shop_product TO visitor;
UPDATE shop_product SET stock = 10;
SELECT purchase_cart(ARRAY[1, 2], ARRAY[2, 2], sale_id => 'rights');
SELECT is(as_role('visitor', $$ SELECT purchase_return('rights') $$), '42501', 'who may not sell can''t take back');
SELECT is(as_role('visitor', $$ SELECT purchase_return('rights', restock => false) $$), '42501', 'nor without the stock');
SELECT is(as_role('clerk', $$ SELECT purchase_return('rights', 1, 1, 'rights-1') $$), '1', 'who may sell can');
ALTER TABLE shop_product ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON shop_product USING (id = 1);
SELECT state() AS before \gset
SELECT is(as_role('clerk', 'SELECT ' || call), '42501', 'hidden: ' || call)
FROM (VALUES ('purchase_return(''rights'')'), ('purchase_return(''rights'', false)'),
    ('purchase_return(''rights'', 2, 1, ''new'')'), ('purchase_return(''rights'', 2, 1, ''new'', false)'),
    ('purchase_return(''rights'', 2, 1, ''rights-1'')'), ('purchase_return(''g'', 2, 1, ''new'')')) AS t (call);
SELECT is(state(), :'before', 'nothing has changed');
SELECT is(as_role('clerk', $$ SELECT purchase_return('rights', 1, 1, 'rights-1') $$), '1', 'a repeat of his own');
SELECT is(as_role('clerk', $$ SELECT purchase_return('rights', 1, 1, 'rights-2') $$), '1', 'and another');

-- A trigger may return the same sale: nothing comes back twice.
RESET ROLE;
DROP POLICY mine ON shop_product;
ALTER TABLE shop_product DISABLE ROW LEVEL SECURITY;
CREATE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        EXECUTE 'SELECT public.' || TG_ARGV[0];
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION reentered(on_table text, call text, inner_call text) RETURNS text LANGUAGE plpgsql AS $f$
DECLARE
    before text;
    result text;
BEGIN
    BEGIN
        PERFORM purchase_cart(ARRAY[1, 2], ARRAY[2, 1], sale_id => 't'),
            purchase_cart(ARRAY[1, 2], ARRAY[2, 1], sale_id => 'x', hold_for => '1 hour');
        UPDATE shop_product_sale SET state = 'expired' WHERE sale_id = 'x';
        DELETE FROM shop_product_hold;
        EXECUTE format('CREATE TRIGGER meanwhile AFTER UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION meanwhile(%L)',
            on_table, inner_call);
        before := state();
        result := (error_of('SELECT ' || call)).code;
        result := concat_ws(' ', result, before = state());
        RAISE 'undo' USING ERRCODE = 'P0666';
    EXCEPTION WHEN SQLSTATE 'P0666' THEN
    END;
    RETURN is(result, '09000 t', format('%s: %s while %s', on_table, inner_call, call));
END $f$;
SELECT reentered(t, call, inner_call)
FROM (VALUES ('shop_product', 'purchase_return(''t'', 1, 1, ''t-1'')', 'purchase_return(''t'')'),
    ('shop_product', 'purchase_return(''t'')', 'purchase_return(''t'')'),
    ('shop_product_sale', 'purchase_return(''t'')', 'purchase_return(''t'')'),
    ('shop_product', 'purchase_confirm(''x'')', 'purchase_confirm(''x'')')) AS c (t, call, inner_call);

SELECT * FROM finish();
ROLLBACK;
