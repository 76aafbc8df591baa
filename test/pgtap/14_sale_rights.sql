-- Sales with an id: rights are the caller's, and nobody forges what is kept.
BEGIN;
\ir shop.psql
SELECT no_plan();
CREATE ROLE owner_of_shop;
CREATE ROLE clerk;
CREATE ROLE visitor;
CREATE SCHEMA store AUTHORIZATION owner_of_shop;
GRANT USAGE ON SCHEMA store TO clerk, visitor;
SET LOCAL search_path = public, store;
SELECT purchase_attach('shop_product');
ALTER TABLE shop_product OWNER TO owner_of_shop;

-- The same with a search_path of the role's own
CREATE FUNCTION as_role(who name, query text, path text) RETURNS text
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM set_config('search_path', path, true);
    RETURN public.as_role(who, query);
END $$;

-- To make the tables is for the stock table's owner.
SELECT is(as_role('clerk', $$ SELECT purchase_keep_sales('shop_product') $$), '42501',
    'others cannot make the tables');
SELECT is(as_role('owner_of_shop', $$ SELECT purchase_keep_sales('shop_product') $$), '42501',
    'nor can the owner where he may not create any');
SELECT is(as_role(current_user, $$ SELECT purchase_keep_sales('shop_product') $$), '42501',
    'not even by means of a superuser');
ALTER TABLE shop_product SET SCHEMA store;
CREATE TABLE store.shop_product_sale (id int);
ALTER TABLE store.shop_product_sale OWNER TO clerk;
SELECT is(as_role('owner_of_shop', $$ SELECT purchase_keep_sales('shop_product') $$), '42P07',
    'a table of somebody else''s is not taken');
DROP TABLE store.shop_product_sale;

-- A hostile schema before all others: whatever is looked up there bites.
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.bite() RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'bitten' USING ERRCODE = 'P0666'; END $$;
DO $do$
DECLARE
    op text;
    type text;
BEGIN
    FOREACH type IN ARRAY '{text,bigint,int,timestamptz}'::text[] LOOP
        EXECUTE format($$ CREATE FUNCTION evil.bite(%1$s, %1$s) RETURNS boolean
            LANGUAGE sql AS 'SELECT evil.bite()' $$, type);
        FOREACH op IN ARRAY '{=,<>,<,<=,>,>=,-,+}'::text[] LOOP
            EXECUTE format('CREATE OPERATOR evil.%1$s (FUNCTION = evil.bite,
                LEFTARG = %2$s, RIGHTARG = %2$s)', op, type);
        END LOOP;
    END LOOP;
END $do$;
CREATE AGGREGATE evil.sum(bigint) (SFUNC = int8pl, STYPE = bigint, INITCOND = '666');
CREATE DOMAIN evil.text AS pg_catalog.text CHECK (evil.bite());
CREATE DOMAIN evil.int8 AS pg_catalog.int8 CHECK (evil.bite());
CREATE DOMAIN evil.timestamptz AS pg_catalog.timestamptz CHECK (evil.bite());
CREATE VIEW evil.shop_product AS SELECT 1::bigint AS id, 1 AS stock WHERE evil.bite();
CREATE VIEW evil.shop_product_sale AS SELECT 1 AS id WHERE evil.bite();
CREATE VIEW evil.shop_product_hold AS SELECT 1 AS id WHERE evil.bite();
GRANT ALL ON ALL TABLES IN SCHEMA evil TO PUBLIC;
SELECT 'evil, pg_catalog, public' AS evil \gset

SELECT is(as_role('owner_of_shop', $$ SELECT public.purchase_keep_sales('store.shop_product') $$, :'evil'),
    '', 'the owner makes the tables, whatever the search_path is');
SELECT is(array_agg(DISTINCT relowner::regrole::text || ' in ' || relnamespace::regnamespace::text)::text,
    '{"owner_of_shop in store"}', 'they are his')
FROM pg_class WHERE relname LIKE 'shop\_product\_%' AND relkind = 'r';

CREATE FUNCTION lapse() RETURNS void LANGUAGE sql AS $$
    UPDATE store.shop_product_hold SET expires_at = 'epoch'
$$;
-- All that is in the tables; remembered, to see that nothing has changed
CREATE FUNCTION state() RETURNS text STABLE LANGUAGE sql AS $$
    SELECT concat_ws(E'\n',
        (SELECT string_agg(p::text, E'\n' ORDER BY id) FROM store.shop_product AS p),
        (SELECT string_agg(s::text, E'\n' ORDER BY sale_id, line) FROM store.shop_product_sale AS s),
        (SELECT string_agg(h::text, E'\n' ORDER BY sale_id, line) FROM store.shop_product_hold AS h))
$$;
CREATE FUNCTION sale(id text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s of %s %s', qty - released, product_id, state),
        ', ' ORDER BY line) FROM store.shop_product_sale WHERE sale_id = id
$$;
CREATE OR REPLACE FUNCTION stock_of(product bigint) RETURNS bigint LANGUAGE sql AS $$
    SELECT stock FROM store.shop_product WHERE id = product
$$;
CREATE FUNCTION restart() RETURNS void LANGUAGE sql AS $$
    DELETE FROM store.shop_product_hold;
    DELETE FROM store.shop_product_sale;
    UPDATE store.shop_product SET stock = (ARRAY[10, 3, 1, 0])[id];
$$;

-- No right on the stock table: nothing is done, and nothing learned.
SELECT purchase(1, 2, sale_id => 'held', hold_for => '1 hour');
SELECT purchase(2, 1, sale_id => 'sold');
CREATE TABLE calls (call text);
INSERT INTO calls VALUES ('purchase(1, 1, sale_id => ''new'')'),
    ('purchase(1, 1, sale_id => ''new'', hold_for => ''1 hour'', buyer => ''ann'')'),
    ('purchase(1, 2, sale_id => ''held'', hold_for => ''1 hour'')'),
    ('purchase(2, 1, sale_id => ''sold'')'),
    ('purchase_try(1, 1, sale_id => ''new'')'),
    ('purchase_cart(ARRAY[1], ARRAY[1], sale_id => ''new'')'),
    ('purchase_try_cart(ARRAY[1], ARRAY[1], sale_id => ''new'')'),
    ('purchase_confirm(''held'')'), ('purchase_confirm(''sold'')'), ('purchase_confirm(''none'')'),
    ('purchase_release(''held'')'), ('purchase_release(''sold'')'), ('purchase_release(''none'')'),
    ('purchase_release(''held'', 1, 1)'), ('purchase_extend(''held'', ''1 hour'')'),
    ('purchase_expire()');
SELECT state() AS before \gset
SELECT is(as_role('visitor', 'SELECT ' || call), '42501', 'no rights: ' || call) FROM calls;
GRANT SELECT ON shop_product TO visitor;
SELECT is(as_role('visitor', 'SELECT ' || call), '42501', 'to read is not enough: ' || call) FROM calls;
REVOKE SELECT ON shop_product FROM visitor;
GRANT UPDATE ON shop_product TO visitor;
GRANT ALL ON shop_product_sale, shop_product_hold TO visitor;
SELECT is(as_role('visitor', 'SELECT ' || call), '42501', 'rights on the sales don''t help: ' || call)
FROM calls;
REVOKE ALL ON shop_product, shop_product_sale, shop_product_hold FROM visitor;
SELECT is(state(), :'before', 'and nothing has changed');
SELECT restart();

-- Who may sell may do all of it, and only by these calls.
GRANT SELECT (id, stock), UPDATE (stock) ON shop_product TO clerk;
SELECT is(as_role('clerk', 'SELECT ' || call), answer, 'the clerk: ' || call)
FROM (VALUES ('purchase(1, 1, sale_id => ''a'')', '9'),
    ('purchase(1, 1, sale_id => ''a'')', '9'),
    ('purchase(1, 4, sale_id => ''b'', hold_for => ''1 hour'', buyer => ''ann'')', '5'),
    ('purchase_try(1, 1, sale_id => ''c'', hold_for => ''1 hour'')', '(held,4)'),
    ('purchase_cart(ARRAY[2, 3], ARRAY[1, 1], sale_id => ''d'', hold_for => ''1 hour'')', '(2,1,2)'),
    ('purchase_release(''b'', 1, 1)', '1'),
    ('purchase_confirm(''b'')', 'true'),
    ('purchase_confirm(''b'')', 'false'),
    ('purchase_release(''c'')', '1'),
    ('purchase_extend(''d'', ''2 hours'') > now()', 'true'),
    ('lapse()', '42501')) AS t (call, answer);
SELECT lapse();
SELECT is(as_role('clerk', 'SELECT ' || call), answer, 'the clerk: ' || call)
FROM (VALUES ('purchase_available(3)', '1'),
    ('purchase(3, 1, sale_id => ''e'')', '0'),
    ('purchase_expire()', '1'),
    ('purchase_confirm(''d'')', 'SK102')) AS t (call, answer);
SELECT is((SELECT string_agg(DISTINCT created_by, ' ') FROM shop_product_sale), 'clerk',
    'it is recorded who sold');
SELECT state() AS before \gset
SELECT is(as_role('clerk', statement), '42501', 'the clerk cannot ' || statement)
FROM unnest(ARRAY['SELECT FROM shop_product_sale', 'SELECT FROM shop_product_hold',
    'SELECT sale_id FROM shop_product_hold FOR UPDATE',
    'INSERT INTO shop_product_sale (sale_id) VALUES (''x'')',
    'INSERT INTO shop_product_hold (sale_id) VALUES (''x'')',
    'UPDATE shop_product_sale SET state = ''held''', 'UPDATE shop_product_hold SET qty = 100',
    'DELETE FROM shop_product_sale', 'DELETE FROM shop_product_hold',
    'TRUNCATE shop_product_sale', 'LOCK TABLE shop_product_hold',
    'DROP TABLE shop_product_hold', 'ALTER TABLE shop_product_sale ADD x int',
    'CREATE TRIGGER t BEFORE INSERT ON shop_product_sale EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    'SELECT purchase_keep_sales(''shop_product'')', 'SELECT purchase_detach(''shop_product'')'])
    AS statement;
SELECT is(state(), :'before', 'nor has it');
REVOKE UPDATE (stock) ON shop_product FROM clerk;
SELECT is(as_role('clerk', $$ SELECT purchase_confirm('a') $$), '42501',
    'a right that was taken away is gone');
GRANT UPDATE (stock) ON shop_product TO clerk;
REVOKE USAGE ON SCHEMA store FROM clerk;
SELECT is(as_role('clerk', $$ SELECT purchase_confirm('a') $$), '42501', 'so is the schema''s');
GRANT USAGE ON SCHEMA store TO clerk;
SELECT restart();

-- A function may lend its owner's rights.
CREATE FUNCTION checkout(product bigint, id text) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = store, public
    AS 'SELECT purchase(product, 1, sale_id => id, hold_for => ''1 hour'')';
CREATE FUNCTION pay(id text) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER SET search_path = store, public
    AS 'SELECT purchase_confirm(id)';
ALTER FUNCTION checkout OWNER TO clerk;
ALTER FUNCTION pay OWNER TO clerk;
SELECT is(as_role('visitor', $$ SELECT checkout(1, 'a') $$), '9', 'a visitor holds as the clerk');
SELECT is(as_role('visitor', $$ SELECT purchase_confirm('a') $$), '42501', 'not for himself');
SELECT is(as_role('visitor', $$ SELECT pay('a') $$), 'true', 'but pays as the clerk');
SELECT is(created_by, 'clerk', 'who has sold it') FROM shop_product_sale;
SELECT is(as_role('clerk', $$ SELECT pay('a') $$), 'false', 'once');
SELECT restart();

-- The hostile schema again
SELECT is(as_role('clerk', 'SELECT public.' || call, :'evil'), answer, 'bites nobody: ' || call)
FROM (VALUES ('purchase(1, 1, sale_id => ''a'')', '9'),
    ('purchase(1, 1, sale_id => ''a'')', '9'),
    ('purchase(1, 4, sale_id => ''b'', hold_for => ''1 hour'', buyer => ''ann'')', '5'),
    ('purchase(1, 4, sale_id => ''b'', hold_for => ''1 hour'', buyer => ''ann'')', '5'),
    ('purchase(1, 3, sale_id => ''b'')', 'SK201'),
    ('purchase_cart(ARRAY[2, 3], ARRAY[1, 1], sale_id => ''d'', hold_for => ''1 hour'')', '(2,1,2)'),
    ('purchase_release(''b'', 1, 1)', '1'),
    ('purchase_extend(''b'', ''1 minute'') IS NULL', 'false'),
    ('purchase_confirm(''b'')', 'true')) AS t (call, answer);
SELECT lapse();
SELECT is(as_role('clerk', 'SELECT public.' || call, :'evil'), answer, 'bites nobody: ' || call)
FROM (VALUES ('purchase_available(3)', '1'),
    ('purchase(3, 1, sale_id => ''e'')', '0'),
    ('purchase_try(2, 9)', '(insufficient_quantity,3)'),
    ('purchase_expire()', '1'),
    ('purchase_confirm(''d'')', 'SK102'),
    ('purchase_release(''d'')', '0')) AS t (call, answer);
SELECT restart();

-- Operators for the key's own domain, beside the right ones
CREATE DOMAIN sku AS text;
CREATE FUNCTION bite(a sku, b sku) RETURNS boolean LANGUAGE sql AS 'SELECT evil.bite()';
CREATE FUNCTION bite(a sku, b text) RETURNS boolean LANGUAGE sql AS 'SELECT evil.bite()';
CREATE FUNCTION bite(a text, b sku) RETURNS boolean LANGUAGE sql AS 'SELECT evil.bite()';
CREATE OPERATOR = (FUNCTION = bite, LEFTARG = sku, RIGHTARG = sku);
CREATE OPERATOR = (FUNCTION = bite, LEFTARG = sku, RIGHTARG = text);
CREATE OPERATOR = (FUNCTION = bite, LEFTARG = text, RIGHTARG = sku);
CREATE OPERATOR < (FUNCTION = bite, LEFTARG = sku, RIGHTARG = sku);
CREATE FUNCTION bite_text(a sku) RETURNS text LANGUAGE sql AS 'SELECT evil.bite()::text';
CREATE TABLE gadget (id sku PRIMARY KEY, stock int);
INSERT INTO gadget VALUES ('lamp', 5);
SELECT purchase_attach('gadget');
SELECT purchase_keep_sales('gadget');
SELECT is(purchase('lamp', 3, 'gadget', 'a', '1 hour'), 2::bigint, 'a domain: held');
SELECT is(purchase('lamp', 3, 'gadget', 'a', '1 hour'), 2::bigint, 'repeated');
SELECT is(purchase_release('a', 'lamp', 1, 'gadget'), 1::bigint, 'released');
UPDATE gadget_hold SET expires_at = 'epoch';
SELECT is(purchase('lamp', 4, 'gadget'), 1::bigint, 'taken');
SELECT is(purchase_expire(stock_table => 'gadget'), 0::bigint, 'expired');

-- The right ones may be in a schema where others create some, as citext's are.
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citext') AS has_citext \gset
\if :has_citext
CREATE EXTENSION IF NOT EXISTS citext;
CREATE DOMAIN any_sku AS citext;
CREATE FUNCTION bite(a any_sku, b any_sku) RETURNS boolean LANGUAGE sql AS 'SELECT evil.bite()';
CREATE FUNCTION bite(a any_sku, b citext) RETURNS boolean LANGUAGE sql AS 'SELECT evil.bite()';
CREATE OPERATOR = (FUNCTION = bite, LEFTARG = any_sku, RIGHTARG = any_sku);
CREATE OPERATOR = (FUNCTION = bite, LEFTARG = any_sku, RIGHTARG = citext);
CREATE TABLE widget (id any_sku PRIMARY KEY, stock int);
INSERT INTO widget VALUES ('Lamp', 5);
SELECT purchase_attach('widget');
SELECT purchase_keep_sales('widget');
SELECT is(purchase('lamp', 3, 'widget', 'a', '1 hour'), 2::bigint, 'a domain over citext: held');
SELECT is(purchase('LAMP', 3, 'widget', 'a', '1 hour'), 2::bigint, 'repeated');
UPDATE widget_hold SET expires_at = 'epoch';
SELECT is(purchase_available('lAmp', 'widget'), 5::bigint, 'lapsed');
SELECT is(purchase('lAMP', 4, 'widget'), 1::bigint, 'taken');
\endif

-- An operator class with an order of its own
CREATE FUNCTION backwards(a int, b int) RETURNS int IMMUTABLE RETURN btint4cmp(b, a);
CREATE OPERATOR CLASS backwards FOR TYPE int USING btree AS
    OPERATOR 1 pg_catalog.>, OPERATOR 2 pg_catalog.>=, OPERATOR 3 pg_catalog.=,
    OPERATOR 4 pg_catalog.<=, OPERATOR 5 pg_catalog.<, FUNCTION 1 backwards(int, int);
CREATE TABLE upside_down (id int NOT NULL, stock int);
CREATE UNIQUE INDEX ON upside_down (id backwards);
INSERT INTO upside_down VALUES (1, 5), (2, 5);
SELECT purchase_attach('upside_down', key_column => 'id');
SELECT purchase_keep_sales('upside_down');
SELECT results_eq(
    $$ SELECT product_id FROM purchase_cart(ARRAY[1, 2, 1], ARRAY[1, 1, 1], 'upside_down', 'a', '1 hour') $$,
    ARRAY[2, 1]::bigint[], 'an order of the key''s own');
SELECT is(purchase_release('a', 2, 1, 'upside_down'), 1::bigint, 'is that of the lines');
UPDATE upside_down_hold SET expires_at = 'epoch';
SELECT is(purchase(1, 4, 'upside_down'), 1::bigint, 'lapsed ones are found by equality');

-- Triggers of the stock table run as the caller, with the caller's search_path; those
-- of the sales as their owner, with a safe one.
CREATE TABLE event (n serial, what text, who name, path text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.event (what, who, path)
    VALUES (TG_WHEN || ' ' || TG_TABLE_NAME, current_user, current_setting('search_path'));
    RETURN coalesce(NEW, OLD);
END $$;
GRANT INSERT, SELECT ON event TO clerk, owner_of_shop;
GRANT USAGE ON event_n_seq TO clerk, owner_of_shop;
DO $do$
DECLARE
    stock_table regclass;
    time text;
BEGIN
    FOREACH stock_table IN ARRAY '{shop_product,shop_product_sale,shop_product_hold}'::regclass[] LOOP
        FOREACH time IN ARRAY '{BEFORE,AFTER}'::text[] LOOP
            EXECUTE format('CREATE TRIGGER %s %s INSERT OR UPDATE OR DELETE ON %s
                FOR EACH ROW EXECUTE FUNCTION note()', 'note_' || time, time, stock_table);
        END LOOP;
    END LOOP;
END $do$;
CREATE FUNCTION seen(who name, call text, path text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM event;
    IF as_role(who, call, path) IS NULL THEN
        RAISE 'no answer';
    END IF;
    RETURN (SELECT string_agg(DISTINCT format('%s by %s in %s', what, event.who, event.path), E'\n')
        FROM event);
END $$;
CREATE FUNCTION expected(who name, path text, VARIADIC tables text[]) RETURNS text
LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s by %s', t, "table", CASE "table"
            WHEN 'shop_product' THEN who || ' in ' || path
            ELSE 'owner_of_shop in pg_catalog, pg_temp' END), E'\n'
        ORDER BY format('%s %s by', t, "table"))
    FROM unnest('{AFTER,BEFORE}'::text[]) AS t, unnest(tables) AS "table"
$$;
SELECT 'public, store, evil' AS path \gset
SELECT is(seen('clerk', call, :'path'), expected('clerk', :'path', VARIADIC tables), call)
FROM (VALUES (1, 'SELECT purchase(1, 2, sale_id => ''a'')', '{shop_product,shop_product_sale}'::text[]),
    (2, 'SELECT purchase(1, 2, sale_id => ''b'', hold_for => ''1 hour'')',
        '{shop_product,shop_product_hold,shop_product_sale}'),
    (3, 'SELECT purchase_release(''b'', 1, 1)', '{shop_product,shop_product_hold,shop_product_sale}'),
    (4, 'SELECT purchase_extend(''b'', ''2 hours'')', '{shop_product_hold}'),
    (5, 'SELECT purchase_confirm(''b'')', '{shop_product_hold,shop_product_sale}'),
    (6, 'SELECT purchase(3, 1, sale_id => ''c'', hold_for => ''1 hour'')',
        '{shop_product,shop_product_hold,shop_product_sale}'))
    AS t (n, call, tables);
SELECT lapse();
SELECT is(seen('clerk', call, :'path'), expected('clerk', :'path', VARIADIC tables), call)
FROM (VALUES (1, 'SELECT purchase(3, 1)', '{shop_product,shop_product_hold,shop_product_sale}'::text[]),
    (2, 'SELECT purchase_restock(3, 1)', '{shop_product}'),
    (3, 'SELECT purchase_confirm(''c'')', '{shop_product,shop_product_sale}'),
    (4, 'SELECT purchase(1, 1, sale_id => ''d'', hold_for => ''1 hour'')',
        '{shop_product,shop_product_hold,shop_product_sale}'))
    AS t (n, call, tables);
SELECT lapse();
SELECT is(seen('clerk', 'SELECT purchase_expire()', :'path'),
    expected('clerk', :'path', 'shop_product', 'shop_product_hold', 'shop_product_sale'), 'expire');
SELECT is(as_role('visitor', $$ SELECT checkout(1, 'f') $$), '6', 'by a SECURITY DEFINER function');
SELECT is(array_agg(DISTINCT who)::text, '{clerk}', 'it is its owner')
FROM event WHERE what LIKE '% shop_product' AND n > (SELECT max(n) - 6 FROM event);
DO $do$
DECLARE
    stock_table regclass;
BEGIN
    FOREACH stock_table IN ARRAY '{shop_product,shop_product_sale,shop_product_hold}'::regclass[] LOOP
        EXECUTE format('DROP TRIGGER note_before ON %s; DROP TRIGGER note_after ON %1$s', stock_table);
    END LOOP;
END $do$;
SELECT restart();

-- Who we are is as before after each call, refused or not: the user, what he may
-- become, the search_path, and whose policies apply.
CREATE TABLE secret (id int);
INSERT INTO secret VALUES (1);
ALTER TABLE secret OWNER TO clerk;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE secret FORCE ROW LEVEL SECURITY;
CREATE FUNCTION changes_nothing(call text) RETURNS text LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
    code text := 'fine';
    path text;
BEGIN
    PERFORM set_config('search_path', 'public, store, evil', true);
    SET LOCAL ROLE clerk;
    BEGIN
        EXECUTE call;
    EXCEPTION WHEN OTHERS THEN
        code := SQLSTATE;
    END;
    code := format('%s: %s %s, %s', code, current_user, current_setting('search_path'),
        (SELECT count(*) FROM secret));
    SET LOCAL ROLE visitor;
    code := format('%s, %s', code, current_user);
    RESET ROLE;
    RETURN code;
END $$;
SELECT purchase(1, 1, sale_id => 'a', hold_for => '1 hour'),
    purchase(2, 1, sale_id => 'b', hold_for => '1 hour'),
    purchase(3, 1, sale_id => 'c', hold_for => '1 hour'),
    purchase(1, 1, sale_id => 'd');
UPDATE shop_product_hold SET expires_at = 'epoch' WHERE sale_id = 'c';
SELECT is(changes_nothing('SELECT ' || call), answer || ': clerk public, store, evil, 0, visitor',
    'as before after ' || call)
FROM (VALUES ('purchase(1, 1, sale_id => ''d'')', 'fine'),
    ('purchase(1, 9, sale_id => ''d'')', 'SK201'),
    ('purchase(1, 99, sale_id => ''e'')', 'SK003'),
    ('purchase(3, 2, sale_id => ''e'')', 'SK003'),
    ('purchase_available(3)', 'fine'),
    ('purchase_confirm(''e'')', 'SK101'),
    ('purchase_release(''d'')', 'SK103'),
    ('purchase_extend(''a'', ''2 hours'')', 'fine'),
    ('purchase_release(''a'', 1, 9)', '22023'),
    ('purchase_release(''a'', 9, 1)', '22023'),
    ('purchase_release(''a'')', 'fine'),
    ('purchase_confirm(''a'')', 'SK103'),
    ('purchase_confirm(''b'')', 'fine'),
    ('purchase(3, 1, sale_id => ''e'', hold_for => ''1 hour'')', 'fine'),
    ('purchase_confirm(''c'')', 'SK102'),
    ('purchase_expire()', 'fine'),
    ('purchase_try_cart(ARRAY[1, 4], ARRAY[1, 1], sale_id => ''f'')', 'fine'),
    ('purchase_keep_sales(''shop_product'')', '42501')) AS t (call, answer);
ALTER TABLE shop_product_sale ADD CONSTRAINT few CHECK (qty < 7);
SELECT is(changes_nothing('SELECT purchase(1, 7, sale_id => ''g'')'),
    '23514: clerk public, store, evil, 0, visitor', 'as before after an error of the sales'' own');
SELECT restart();

-- A CHECK of the sales that refuses
SELECT state() AS before \gset
SELECT is(as_role('clerk', $$ SELECT purchase(1, 7, sale_id => 'a') $$), '23514', 'a CHECK');
SELECT is(as_role('clerk', $$ SELECT purchase_try(1, 7, sale_id => 'a') $$), '23514',
    'is no outcome');
SELECT is(state(), :'before', 'and nothing is sold');
ALTER TABLE shop_product_sale DROP CONSTRAINT few;
ALTER TABLE shop_product_hold ADD CONSTRAINT few CHECK (qty < 3);
SELECT is(as_role('clerk', $$ SELECT purchase(1, 3, sale_id => 'a', hold_for => '1 hour') $$), '23514',
    'a CHECK of the holds');
SELECT is(state(), :'before', 'nothing is held');
ALTER TABLE shop_product_hold DROP CONSTRAINT few;
ALTER TABLE shop_product_sale ADD CONSTRAINT open CHECK (state <> 'expired');
SELECT purchase(3, 1, sale_id => 'a', hold_for => '1 hour');
SELECT lapse();
SELECT state() AS before \gset
SELECT is(as_role('clerk', 'SELECT purchase(3, 1)'), '23514', 'one that lets nothing expire');
SET LOCAL client_min_messages = error;
SELECT is(as_role('clerk', 'SELECT purchase_expire()'), '0', 'is a warning to expire');
SET LOCAL client_min_messages = warning;
SELECT is(state(), :'before', 'so it stays held');
ALTER TABLE shop_product_sale DROP CONSTRAINT open;
SELECT restart();

-- Triggers and rules of the sales' owner that suppress what is to be written: an error,
-- and nothing is sold, held or given back.
CREATE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'closed today'; END $$;
SELECT purchase(3, 1, sale_id => 'held', hold_for => '1 hour'),
    purchase(2, 3, sale_id => 'lapsed', hold_for => '1 hour');
UPDATE shop_product_hold SET expires_at = 'epoch' WHERE sale_id = 'lapsed';
CREATE TABLE taken (qty bigint NOT NULL);
CREATE TABLE writes (stock_table text, event text, call text);
INSERT INTO writes VALUES
    ('shop_product_sale', 'INSERT', 'purchase(1, 1, sale_id => ''new'')'),
    ('shop_product_sale', 'INSERT', 'purchase_try(1, 1, sale_id => ''new'')'),
    ('shop_product_sale', 'INSERT', 'purchase(1, 1, sale_id => ''new'', hold_for => ''1 hour'')'),
    ('shop_product_hold', 'INSERT', 'purchase(1, 1, sale_id => ''new'', hold_for => ''1 hour'')'),
    ('shop_product_hold', 'INSERT',
     'purchase_try_cart(ARRAY[1, 2], ARRAY[1, 1], sale_id => ''new'', hold_for => ''1 hour'')'),
    ('shop_product_sale', 'UPDATE', 'purchase_confirm(''held'')'),
    ('shop_product_hold', 'DELETE', 'purchase_confirm(''held'')'),
    ('shop_product_sale', 'UPDATE', 'purchase_release(''held'')'),
    ('shop_product_hold', 'DELETE', 'purchase_release(''held'')'),
    ('shop_product_sale', 'UPDATE', 'purchase_release(''lapsed'', 2, 1)'),
    ('shop_product_hold', 'UPDATE', 'purchase_release(''lapsed'', 2, 1)'),
    ('shop_product_hold', 'UPDATE', 'purchase_extend(''held'', ''2 hours'')'),
    ('shop_product_sale', 'UPDATE', 'purchase(2, 1)'),
    ('shop_product_hold', 'DELETE', 'purchase(2, 1)'),
    ('shop_product_hold', 'DELETE', 'purchase_try(2, 1, sale_id => ''new'')');

-- What becomes of a call while there is such a trigger, and of what is kept
CREATE FUNCTION with_trigger(ddl text, call text, OUT code text, OUT changed boolean,
    OUT units numeric, OUT took numeric) LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    before text := state();
BEGIN
    EXECUTE ddl;
    code := as_role('clerk', 'SELECT ' || call);
    changed := state() <> before;
    units := (SELECT sum(stock) FROM shop_product)
        + (SELECT coalesce(sum(qty - released), 0) FROM shop_product_sale WHERE state IN ('sold', 'held'));
    took := (SELECT coalesce(sum(qty), 0) FROM taken);
    RAISE 'undo' USING ERRCODE = 'P0999';
EXCEPTION WHEN SQLSTATE 'P0999' THEN
END $$;
SELECT is(with_trigger(format('CREATE TRIGGER t BEFORE %s ON %I FOR EACH ROW EXECUTE FUNCTION suppress()',
        event, stock_table), call)::text,
    '(09000,f,14,0)', format('a trigger suppresses the %s of %s: %s', event, stock_table, call))
FROM writes;
SELECT is(with_trigger(format('CREATE RULE r AS ON %s TO %I DO INSTEAD NOTHING',
        event, stock_table), call)::text,
    CASE WHEN call LIKE 'purchase_extend%' THEN '(0A000,f,14,0)' ELSE '(09000,f,14,0)' END,
    format('a rule suppresses the %s of %s: %s', event, stock_table, call))
FROM writes;
SELECT is(with_trigger(format('CREATE TRIGGER t BEFORE %s ON %I FOR EACH ROW EXECUTE FUNCTION refuse()',
        event, stock_table), call)::text,
    '(P0001,f,14,0)', format('a trigger refuses the %s of %s: %s', event, stock_table, call))
FROM writes;

-- One that sells meanwhile, with a plain UPDATE: what it takes is nobody else's.
CREATE FUNCTION take_one() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH sold AS (UPDATE store.shop_product SET stock = stock - 1 WHERE stock > 0 RETURNING 1)
    INSERT INTO public.taken SELECT count(*) FROM sold;
    RETURN coalesce(NEW, OLD);
END $$;
GRANT INSERT ON taken TO owner_of_shop;
UPDATE shop_product SET stock = 5;
SELECT purchase(1, 5, sale_id => 'mine', hold_for => '1 hour');
UPDATE shop_product SET stock = 3;
UPDATE shop_product_hold SET expires_at = 'epoch' WHERE sale_id = 'mine';
SELECT is(units + took, 21::numeric,
    format('an UPDATE of the stock %s %s of %s: %s', lower(time), event, stock_table, call))
FROM (TABLE writes
    UNION VALUES ('shop_product_sale', 'UPDATE', 'purchase(1, 5, sale_id => ''new'')'),
        ('shop_product_hold', 'DELETE', 'purchase(1, 5, sale_id => ''new'')'),
        ('shop_product_sale', 'UPDATE', 'purchase(1, 8, sale_id => ''new'')'),
        ('shop_product_hold', 'DELETE', 'purchase_try(1, 8, sale_id => ''new'')'),
        ('shop_product_hold', 'DELETE', 'purchase_expire()'),
        ('shop_product_sale', 'UPDATE', 'purchase_expire()')) AS w (stock_table, event, call),
    unnest('{BEFORE,AFTER}'::text[]) AS time,
    with_trigger(format('CREATE TRIGGER t %s %s ON %I FOR EACH ROW EXECUTE FUNCTION take_one()',
        time, event, stock_table), call)
WHERE call !~ '^purchase(_try)?\(2, 1';
SELECT is(with_trigger('CREATE TRIGGER t BEFORE DELETE ON shop_product_hold
        FOR EACH ROW EXECUTE FUNCTION take_one()', 'purchase(1, 8, sale_id => ''new'')')::text,
    '(09000,f,21,0)', 'if it takes what was to be sold, that is an error');

-- One that sells or releases meanwhile by calls of the same sale
CREATE FUNCTION call() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 THEN
        EXECUTE 'SELECT public.' || TG_ARGV[0];
    END IF;
    RETURN coalesce(NEW, OLD);
END $$;
SELECT is(format('%s %s', code, units), expected,
    format('%s %s of %s calls %s: %s', lower(time), event, stock_table, inner_call, call))
FROM (VALUES
    ('shop_product', 'BEFORE', 'UPDATE', 'purchase(1, 1, sale_id => ''new'')',
     'purchase(1, 1, sale_id => ''new'')', '27000 21'),
    ('shop_product', 'AFTER', 'UPDATE', 'purchase(1, 1, sale_id => ''new'')',
     'purchase(1, 1, sale_id => ''new'')', '23505 21'),
    ('shop_product_sale', 'BEFORE', 'INSERT', 'purchase(1, 1, sale_id => ''new'')',
     'purchase(1, 1, sale_id => ''new'')', '23505 21'),
    ('shop_product_sale', 'BEFORE', 'UPDATE', 'purchase_confirm(''held'')',
     'purchase_release(''held'')', '27000 21'),
    ('shop_product_sale', 'AFTER', 'UPDATE', 'purchase_confirm(''held'')',
     'purchase_release(''held'')', 'SK103 21'),
    ('shop_product_hold', 'BEFORE', 'DELETE', 'purchase_confirm(''held'')',
     'purchase_release(''held'')', 'SK103 21'),
    ('shop_product_sale', 'BEFORE', 'UPDATE', 'purchase_release(''held'')',
     'purchase_release(''held'')', '27000 21'),
    ('shop_product_sale', 'BEFORE', 'UPDATE', 'purchase_release(''held'')',
     'purchase_confirm(''held'')', '27000 21'),
    ('shop_product', 'BEFORE', 'UPDATE', 'purchase_release(''held'')',
     'purchase_release(''held'')', '27000 21'),
    ('shop_product', 'BEFORE', 'UPDATE', 'purchase_release(''held'')',
     'purchase_confirm(''held'')', '09000 21'),
    ('shop_product_sale', 'BEFORE', 'UPDATE', 'purchase(1, 5)', 'purchase_confirm(''mine'')', '27000 21'),
    ('shop_product_sale', 'BEFORE', 'UPDATE', 'purchase(1, 5)', 'purchase_release(''mine'')', '27000 21'),
    ('shop_product_hold', 'BEFORE', 'DELETE', 'purchase(1, 5)', 'purchase_release(''mine'')', '3 16'))
    AS t (stock_table, time, event, call, inner_call, expected),
    with_trigger(format('CREATE TRIGGER t %s %s ON %I FOR EACH ROW EXECUTE FUNCTION call(%L)',
        time, event, stock_table, inner_call), call);

DELETE FROM taken;
SELECT restart();

-- Row security of the sales is for those who read them; the extension writes what it
-- has to, for everybody.
ALTER TABLE shop_product_sale ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop_product_sale FORCE ROW LEVEL SECURITY;
ALTER TABLE shop_product_hold ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop_product_hold FORCE ROW LEVEL SECURITY;
CREATE POLICY nothing ON shop_product_hold USING (false) WITH CHECK (false);
SELECT is(as_role(who, format('SELECT ' || call, who)), answer,
    format('sales under policies, %s: %s', who, call))
FROM unnest('{clerk,owner_of_shop}'::name[]) AS who, (VALUES
    ('purchase(1, 2, sale_id => ''%s'') >= 0', 'true'),
    ('purchase(2, 1, sale_id => ''%s 2'', hold_for => ''1 hour'') >= 0', 'true'),
    ('purchase(2, 1, sale_id => ''%s 2'', hold_for => ''1 hour'') >= 0', 'true'),
    ('purchase_extend(''%s 2'', ''2 hours'') > now()', 'true'),
    ('purchase_confirm(''%s 2'')', 'true'),
    ('purchase_release(''%s 2'')', 'SK103')) AS t (call, answer);
SELECT is(as_role('owner_of_shop', 'SELECT count(*) FROM shop_product_sale'), '0',
    'though the owner himself sees nothing');
SELECT is(count(*), 4::bigint, 'of what there is') FROM shop_product_sale;
SELECT purchase(3, 1, sale_id => 'a', hold_for => '1 hour');
SELECT lapse();
SELECT is(as_role('clerk', 'SELECT purchase(3, 1)'), '0', 'lapsed holds are found, too');
SELECT is(sale('a'), '1 of 3 expired', 'and taken');
ALTER TABLE shop_product_sale DISABLE ROW LEVEL SECURITY;
ALTER TABLE shop_product_hold DISABLE ROW LEVEL SECURITY;
SELECT restart();

-- Row security of the stock table is the caller's: another tenant's sale is none of his.
ALTER TABLE shop_product ADD shop name NOT NULL DEFAULT 'clerk';
UPDATE shop_product SET shop = 'other' WHERE id = 2;
CREATE POLICY own ON shop_product USING (shop = current_user);
ALTER TABLE shop_product ENABLE ROW LEVEL SECURITY;
GRANT SELECT (shop) ON shop_product TO clerk;
SELECT purchase(1, 2, sale_id => 'own', hold_for => '1 hour', buyer => 'ann'),
    purchase(2, 1, sale_id => 'other', hold_for => '1 hour'),
    purchase_cart(ARRAY[1, 2], ARRAY[1, 1], sale_id => 'both', hold_for => '1 hour');
CREATE TABLE others_calls (call text);
INSERT INTO others_calls VALUES ('purchase_confirm(''other'')'), ('purchase_confirm(''both'')'),
    ('purchase_release(''other'')'), ('purchase_release(''other'', 2, 1)'),
    ('purchase_release(''both'')'), ('purchase_release(''both'', 2, 1)'),
    ('purchase_release(''own'', 2, 1)'), -- which is not part of it
    ('purchase_extend(''other'', ''2 hours'')'), ('purchase_extend(''both'', ''2 hours'')');
SELECT state() AS before \gset
SELECT is(as_role('clerk', 'SELECT ' || call), '42501', 'another tenant''s: ' || call) FROM others_calls;
SELECT is((message, detail)::text, ('permission denied for product 2',
    'Row security of table "shop_product" does not let clerk update it.')::text, 'the error says why')
FROM error_of('SET LOCAL ROLE clerk; SELECT purchase_confirm(''other'')');
SELECT is(as_role('clerk', $$ SELECT purchase(2, 1, sale_id => 'new') $$), 'SK001',
    'nor can he buy there');
SELECT is(as_role('clerk', $$ SELECT purchase_cart(ARRAY[1, 2], ARRAY[1, 1], sale_id => 'new') $$), 'SK001',
    'in a cart');
SELECT is(as_role('clerk', $$ SELECT purchase(2, 2, sale_id => 'other') $$), 'SK001',
    'not with its id');
SELECT is(as_role('clerk', $$ SELECT purchase(2, 1, sale_id => 'other', hold_for => '1 hour') $$), 'SK001',
    'nor learn what that names');
SELECT is(as_role('clerk', $$ SELECT purchase_cart(ARRAY[1, 2], ARRAY[1, 1], sale_id => 'both',
    hold_for => '1 hour') $$), 'SK001', 'in a cart, too');
SELECT is(as_role('clerk', $$ SELECT purchase_release('both', 9, 1) $$), '22023',
    'a product that is not there');
SELECT is(as_role('clerk', $$ SELECT purchase_release('both', 9223372036854775807, 1) $$), '22023',
    'or could not be');
SELECT is(state(), :'before', 'nothing has changed');
SELECT is(as_role('clerk', 'SELECT ' || call), answer, 'his own: ' || call)
FROM (VALUES (1, 'purchase_extend(''own'', ''2 hours'') > now()', 'true'),
    (2, 'purchase_release(''both'', 1, 1)', '1'),
    (3, 'purchase_release(''own'', 1, 1)', '1'),
    (4, 'purchase_confirm(''own'')', 'true')) AS t (n, call, answer);
SELECT is(sale('own') || ', ' || sale('both'), '1 of 1 sold, 0 of 1 released, 1 of 2 held',
    'is done');
SELECT purchase(1, 2, sale_id => 'own-2', hold_for => '1 hour');
SELECT lapse();
SELECT is(as_role('clerk', 'SELECT purchase_expire()'), '1', 'expire skips what he may not see');
SELECT is(sale('other') || ', ' || sale('own-2'), '1 of 2 held, 2 of 1 expired', 'only his own has expired');
SELECT is(as_role('clerk', 'SELECT purchase_confirm(''other'')'), '42501', 'a lapsed one of another''s');
SELECT is(purchase(2, 3), 0::bigint, 'when it is taken');
SELECT is(sale('other'), '1 of 2 expired', 'and has expired');
SELECT purchase_restock(2, 3);
SELECT state() AS before \gset
SELECT is(as_role('clerk', 'SELECT purchase_confirm(''other'')'), '42501', 'it is not his either');
SELECT is(as_role('clerk', 'SELECT purchase_confirm(''both'')'), '42501', 'nor in part');
SELECT is(state(), :'before', 'nothing has changed');
SELECT is(as_role('owner_of_shop', 'SELECT purchase_confirm(''other'')'), 'true', 'the owner is above policies');
ALTER TABLE shop_product FORCE ROW LEVEL SECURITY;
SELECT purchase(2, 1, sale_id => 'other-2', hold_for => '1 hour');
SELECT is(as_role('owner_of_shop', 'SELECT purchase_confirm(''other-2'')'), '42501',
    'FORCE puts him under them, too');
SELECT is(as_role('owner_of_shop', 'SELECT purchase_release(''other-2'')'), '42501',
    'he does not take it for a product that is gone');
ALTER TABLE shop_product NO FORCE ROW LEVEL SECURITY;

-- To see is not to update.
CREATE POLICY see ON shop_product FOR SELECT USING (true);
SELECT is(as_role('clerk', 'SELECT purchase_available(2)') <> 'SK001', true, 'what he may see');
SELECT is(as_role('clerk', 'SELECT purchase_confirm(''other-2'')'), '42501', 'he may not confirm');
SELECT is(as_role('clerk', 'SELECT purchase_release(''other-2'')'), '42501', 'nor release');
SELECT lapse();
SELECT is(as_role('clerk', 'SELECT purchase_expire()'), '0', 'nor let it expire');
DROP POLICY see ON shop_product;
CREATE POLICY few ON shop_product AS RESTRICTIVE FOR UPDATE USING (true) WITH CHECK (stock >= 5);
UPDATE shop_product SET stock = 6 WHERE id = 1;
SELECT is(as_role('clerk', $$ SELECT purchase(1, 1, sale_id => 'few') $$), '5', 'what a policy allows');
SELECT is(as_role('clerk', $$ SELECT purchase(1, 1, sale_id => 'fewer') $$), '42501', 'and what it does not');
SELECT is(sale('fewer'), NULL, 'which is not recorded');
DROP POLICY few ON shop_product;

-- A product that is gone: its units can't come back, the others do.
SELECT purchase_cart(ARRAY[1, 2], ARRAY[1, 1], sale_id => 'gone', hold_for => '1 hour'),
    purchase(2, 1, sale_id => 'gone-2', hold_for => '1 hour');
DELETE FROM shop_product WHERE id = 2;
SELECT is(as_role('clerk', 'SELECT purchase_release(''gone'')'), '1', 'a product that was deleted is given up');
SELECT is(sale('gone'), '0 of 1 released, 0 of 2 released', 'all is released');
UPDATE shop_product_hold SET expires_at = 'epoch' WHERE sale_id = 'gone-2';
DELETE FROM shop_product_hold WHERE sale_id = 'other-2';
SELECT is(as_role('clerk', 'SELECT purchase_expire()'), '1', 'and expires');
SELECT is(as_role('clerk', 'SELECT purchase_confirm(''gone-2'')'), 'SK102', 'then it cannot be had any more');
DROP POLICY own ON shop_product;
ALTER TABLE shop_product DISABLE ROW LEVEL SECURITY;
INSERT INTO shop_product (id, stock) VALUES (2, 3);
SELECT restart();

-- Deferrable foreign keys, checked at the end
ALTER TABLE shop_product_sale ADD FOREIGN KEY (product_id) REFERENCES shop_product
    DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE orders (sale_id text, line int, FOREIGN KEY (sale_id, line)
    REFERENCES shop_product_sale DEFERRABLE INITIALLY DEFERRED);
INSERT INTO orders VALUES ('a', 1), ('a', 2);
SELECT is(as_role('clerk', $$ SELECT count(*) FROM purchase_cart(ARRAY[1, 2], ARRAY[1, 1],
    sale_id => 'a', hold_for => '1 hour') $$), '2', 'an order may come before its sale');
SELECT lives_ok('SET CONSTRAINTS ALL IMMEDIATE', 'if there is one at the end');
SET CONSTRAINTS ALL DEFERRED;
SELECT is(as_role('clerk', 'SELECT purchase_confirm(''a'')'), 'true', 'which is confirmed');
SELECT lives_ok('SET CONSTRAINTS ALL IMMEDIATE', 'and still there');
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO orders VALUES ('b', 1);
SELECT is(as_role('clerk', 'SELECT purchase(1, 1, sale_id => ''c'')'), '8', 'another sale');
SELECT throws_ok('SET CONSTRAINTS ALL IMMEDIATE', '23503', NULL, 'is not that of the order');
DELETE FROM orders;
SELECT lives_ok('SET CONSTRAINTS ALL IMMEDIATE', 'all is well again');
SELECT restart();

-- The holds were restored alone, as they were yesterday: what has been settled since
-- gives back nothing twice.
SELECT purchase(1, 1, sale_id => 'sold', hold_for => '1 hour'),
    purchase(1, 1, sale_id => 'released', hold_for => '1 hour'),
    purchase(1, 1, sale_id => 'expired', hold_for => '1 hour'),
    purchase(1, 3, sale_id => 'part', hold_for => '1 hour');
CREATE TABLE yesterday AS SELECT * FROM shop_product_hold;
UPDATE shop_product_hold SET expires_at = 'epoch' WHERE sale_id = 'expired';
SELECT purchase_expire(), purchase_confirm('sold'), purchase_release('released'),
    purchase_release('part', 1, 2);
DELETE FROM shop_product_hold;
INSERT INTO shop_product_hold SELECT * FROM yesterday;
SELECT lapse();
SELECT is(concat_ws(', ', sale('sold'), sale('released'), sale('expired'), sale('part')),
    '1 of 1 sold, 0 of 1 released, 1 of 1 expired, 1 of 1 held', 'four sales');
SELECT is((stock_of(1), sum(qty))::text, '(8,6)', 'and more holds than there should be')
FROM shop_product_hold;
SELECT is(format('%s %s', code, units), expected, 'old holds: ' || call)
FROM (VALUES ('purchase_available(1)', '9 14'),
    ('purchase_try(1, 10)', '(insufficient_quantity,9) 14'),
    ('purchase(1, 9, sale_id => ''new'')', '0 14'),
    ('purchase_expire()', '1 14'),
    ('purchase_confirm(''sold'')', 'false 14'), ('purchase_release(''sold'')', 'SK103 14'),
    ('purchase_confirm(''released'')', 'SK103 14'), ('purchase_release(''released'')', '0 14'),
    ('purchase_release(''released'', 1, 1)', '0 14'),
    ('purchase_extend(''released'', ''1 hour'')', 'SK103 14'),
    ('purchase_confirm(''expired'')', 'true 14'), ('purchase_release(''expired'')', '0 14'),
    ('purchase_release(''expired'', 1, 1)', '0 14'),
    ('purchase_extend(''expired'', ''1 hour'')', 'SK102 14'),
    ('purchase_confirm(''part'')', 'true 14'), ('purchase_release(''part'')', '1 14'),
    ('purchase_release(''part'', 1, 1)', '1 14'), ('purchase_release(''part'', 1, 2)', '22023 14'))
    AS t (call, expected), with_trigger('SELECT', call);
SELECT purchase(1, 9, sale_id => 'all');
SELECT is(purchase_confirm('sold'), false, 'when all is sold');
SELECT is(purchase_expire(), 0::bigint, 'no old hold');
SELECT is(purchase_available(1), 0::bigint, 'has anything left');
SELECT restart();

-- The sales were restored alone: a hold is missing, so it counts as expired.
SELECT purchase(1, 2, sale_id => 'lost', hold_for => '1 hour');
DELETE FROM shop_product_hold;
SELECT is(format('%s %s', code, units), expected, 'a lost hold: ' || call)
FROM (VALUES ('purchase_available(1)', '8 14'),
    ('purchase(1, 2, sale_id => ''lost'', hold_for => ''1 hour'')', 'SK102 14'),
    ('purchase_extend(''lost'', ''1 hour'')', 'SK102 14'),
    ('purchase_release(''lost'')', '0 12'),
    ('purchase_release(''lost'', 1, 1)', '0 14'),
    ('purchase_expire()', '0 14'))
    AS t (call, expected), with_trigger('SELECT', call);
SELECT is(purchase_confirm('lost'), true, 'it takes its units anew');
SELECT is(stock_of(1), 6::bigint, 'out of the stock');

-- Holds without a sale that is held are never taken, whoever wrote them.
SELECT purchase(1, 1, sale_id => 'own', hold_for => '1 hour');
SELECT purchase(1, 1, sale_id => 'plain');
INSERT INTO shop_product_hold (sale_id, line, product_id, qty, expires_at) VALUES
    ('ghost', 1, 1, 100, 'epoch'), ('own', 2, 1, 100, 'epoch'), ('plain', 1, 1, 100, 'epoch');
SELECT is(purchase_available(1), 4::bigint, 'forged: not for sale');
SELECT is(purchase_try(1, 5)::text, '(insufficient_quantity,4)', 'nor taken');
SELECT is(purchase_expire(), 0::bigint, 'nor expired');
SELECT refuses($$ SELECT purchase_confirm('ghost') $$, 'SK101', 'nor confirmed');
SELECT refuses($$ SELECT purchase_release('ghost') $$, 'SK101', 'nor released');
SELECT refuses($$ SELECT purchase_release('plain') $$, 'SK103', 'what is sold stays sold');
SELECT refuses($$ SELECT purchase(1, 1, sale_id => 'ghost', hold_for => '1 hour') $$, '23505',
    'one that is in the way is an error');
SELECT is(stock_of(1), 4::bigint, 'and nothing is sold');
SELECT is(purchase_release('own'), 1::bigint, 'a sale has the lines that were recorded');
SELECT is(stock_of(1), 5::bigint, 'and their units');
DELETE FROM shop_product_hold;
SELECT purchase(1, 1, sale_id => 'own-2', hold_for => '1 hour');
UPDATE shop_product_hold SET product_id = 3, expires_at = 'epoch';
SELECT is(purchase_available(3), 1::bigint, 'a hold of another product than its sale''s');
SELECT is(purchase_try(3, 2)::text, '(insufficient_quantity,1)', 'is not taken for that');
SELECT is(purchase_expire(), 0::bigint, 'nor expired');
SELECT is(stock_of(3), 1::bigint, 'which keeps its stock');
UPDATE shop_product_hold SET product_id = 1, qty = 1000;
SELECT is(purchase_available(1), 5::bigint, 'a hold of more than its sale''s');
SELECT is(purchase_expire(), 1::bigint, 'gives back');
SELECT is(stock_of(1), 5::bigint, 'what was sold');

SELECT * FROM finish();
ROLLBACK;
