-- The tables that keep sales: for keys of every type, under names of every kind, and
-- as their owner changes them.
BEGIN;
\ir shop.psql
\ir key_types.psql
SELECT no_plan();

SELECT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i') AS has_icu
\gset

-- Each type, with a key as it is written
CREATE FUNCTION keeps(key_type text, key text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
    CREATE TABLE thing (id text PRIMARY KEY, stock smallint);
    EXECUTE format('ALTER TABLE thing ALTER id TYPE %s USING NULL', key_type);
    EXECUTE format('INSERT INTO thing VALUES (%L, 5)', key);
    PERFORM purchase_attach('thing', is_default => true);
    PERFORM purchase_keep_sales('thing');
    RETURN NEXT is(array_agg(DISTINCT format_type(atttypid, atttypmod))::text,
        array_agg(DISTINCT format_type(atttypid, atttypmod))
            FILTER (WHERE attrelid = 'thing'::regclass)::text,
        key_type || ': of the same type')
    FROM pg_attribute
    WHERE (attrelid, attname) IN (('thing'::regclass, 'id'),
        ('thing_sale'::regclass, 'product_id'), ('thing_hold'::regclass, 'product_id'));
    RETURN NEXT is(purchase(key, 3, sale_id => '1', hold_for => '1 hour'), 2::bigint,
        key_type || ': held');
    RETURN NEXT is(purchase(key, 3, sale_id => '1', hold_for => '1 hour'), 2::bigint,
        key_type || ': repeated');
    RETURN NEXT is(purchase_release('1', key, 1), 1::bigint, key_type || ': released in part');
    UPDATE thing_hold SET expires_at = 'epoch';
    RETURN NEXT is(purchase_available(key), 5::bigint, key_type || ': lapsed');
    RETURN NEXT is(purchase(key, 4, sale_id => '2'), 1::bigint, key_type || ': taken');
    UPDATE thing SET stock = 2;
    RETURN NEXT is(purchase_confirm('1'), true, key_type || ': taken anew');
    UPDATE thing SET stock = 4;
    PERFORM purchase(key, 4, sale_id => '3', hold_for => '1 hour');
    UPDATE thing_hold SET expires_at = 'epoch';
    RETURN NEXT is(purchase_expire(), 1::bigint, key_type || ': expired');
    RETURN NEXT is(array_agg(format('%s %s of %s', state, qty - released, product_id) ORDER BY sale_id),
        array(SELECT format('%s of %s', what, id)
            FROM thing, unnest('{sold 2,sold 4,expired 4}'::text[]) AS what),
        key_type || ': recorded')
    FROM thing_sale;
    DROP TABLE thing, thing_sale, thing_hold;
END $$;
SELECT keeps(key_type, key) FROM (VALUES
    ('smallint', '7'), ('integer', '7'), ('bigint', '7000000000'),
    ('uuid', '6f1e0d6a-8d0c-4c3e-9d0c-3a5e1f0b2c4d'),
    ('text', 'lamp'), ('varchar(10)', 'lamp'), ('citext', 'Lamp'),
    ('char(6)', 'lamp'), ('sku', 'lamp-1'), ('small_id', '7'),
    ('size', 'M'), ('numeric', '12.50'), ('numeric(6,2)', '12.50'), ('date', '2024-02-29'),
    ('bytea', '\x00ff'), ('inet', '10.0.0.1')) AS t (key_type, key);

-- What equal means is the key's own affair.
CREATE TABLE priced (id numeric PRIMARY KEY, stock int);
INSERT INTO priced VALUES (1.5, 5);
SELECT purchase_attach('priced');
SELECT purchase_keep_sales('priced');
SELECT is(purchase('1.50', 2, 'priced', '1', '1 hour'), 3::bigint, 'numeric: 1.50');
SELECT is(purchase('1.5', 2, 'priced', '1', '1 hour'), 3::bigint, 'is 1.5');
SELECT is(purchase_release('1', '1.500', 1, 'priced'), 1::bigint, 'and 1.500');
UPDATE priced_hold SET expires_at = 'epoch';
SELECT is(purchase_available('1.5', 'priced'), 5::bigint, 'also for others');
SELECT is(purchase('1.5', 5, 'priced'), 0::bigint, 'who can take it');
\if :has_citext
CREATE TABLE by_citext (id citext PRIMARY KEY, stock int);
INSERT INTO by_citext VALUES ('Lamp', 5);
SELECT purchase_attach('by_citext');
SELECT purchase_keep_sales('by_citext');
SELECT is(purchase('LAMP', 2, 'by_citext', '1', '1 hour'), 3::bigint, 'citext: LAMP');
SELECT is(purchase('lamp', 2, 'by_citext', '1', '1 hour'), 3::bigint, 'is lamp');
SELECT purchase('lamp', 1, 'by_citext', '2', '1 hour');
UPDATE by_citext_hold SET expires_at = 'epoch';
SELECT is(purchase_available('Lamp', 'by_citext'), 5::bigint, 'and Lamp');
SELECT is(purchase_expire(stock_table => 'by_citext'), 2::bigint, 'one product, two holds');
SELECT is(stock, 5, 'of five units in all') FROM by_citext;
\endif
\if :has_icu
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE by_name (name text COLLATE any_case PRIMARY KEY, stock int);
INSERT INTO by_name VALUES ('Lamp', 5);
SELECT purchase_attach('by_name');
SELECT purchase_keep_sales('by_name');
SELECT is(purchase('LAMP', 2, 'by_name', 'a', '1 hour'), 3::bigint, 'a collation: LAMP');
SELECT is(purchase('lamp', 2, 'by_name', 'a', '1 hour'), 3::bigint, 'is lamp');
SELECT is(purchase('lamp', 2, 'by_name', 'A'), 1::bigint, 'but an id is bytes');
UPDATE by_name_hold SET expires_at = 'epoch';
SELECT is(purchase('lamP', 3, 'by_name'), 0::bigint, 'what lapsed is found in any case');
\endif

-- Names
CREATE SCHEMA "Back Office";
CREATE TABLE "Back Office"."Order ""Items""
--" ("Product Id" integer PRIMARY KEY, "In Stock; --" bigint);
INSERT INTO "Back Office"."Order ""Items""
--" VALUES (1, 5);
SELECT purchase_attach(oid, 'In Stock; --') FROM pg_class WHERE relname = E'Order "Items"\n--';
SELECT lives_ok($$ SELECT purchase_keep_sales('"Back Office"."Order ""Items""
--"') $$, 'names that need quotes, in another schema');
SELECT is(array_agg(relname::text ORDER BY length(relname), relname DESC),
    ARRAY[E'Order "Items"\n--', E'Order "Items"\n--_sale', E'Order "Items"\n--_hold'],
    'the tables are beside the stock table')
FROM pg_class WHERE relnamespace = '"Back Office"'::regnamespace AND relkind = 'r';
SELECT oid::regclass AS items FROM pg_class WHERE relname = E'Order "Items"\n--' \gset
SELECT is(purchase(1, 2, :'items', 'x', '1 hour'), 3::bigint, 'held');
SELECT is(purchase_confirm('x', :'items'), true, 'confirmed');
ALTER TABLE "Back Office"."Order ""Items""
--" RENAME TO items;
ALTER TABLE "Back Office"."Order ""Items""
--_sale" RENAME TO "Sold; --";
ALTER SCHEMA "Back Office" RENAME TO back_office;
ALTER TABLE back_office."Order ""Items""
--_hold" SET SCHEMA public;
SELECT is(purchase(1, 2, 'back_office.items', 'y', '1 hour'), 1::bigint,
    'they are found when they are renamed or moved');
SELECT is(purchase(1, 2, 'back_office.items', 'x', '1 hour'), 3::bigint,
    'with what was recorded before');
SELECT lives_ok($$ SELECT purchase_keep_sales('back_office.items') $$,
    'purchase_keep_sales takes them as they are');
SELECT is(purchase_release('y', 'back_office.items'), 2::bigint, 'nothing is lost');
SELECT purchase_keep_sales('back_office.items');
SELECT is(purchase(1, 2, 'back_office.items', 'x', '1 hour'), 3::bigint,
    'and what was sold is not sold again');

SELECT repeat('long', 15) || 'é' AS long \gset
CREATE TABLE :long (id int PRIMARY KEY, stock int);
INSERT INTO :long VALUES (1, 5);
SELECT purchase_attach(:'long');
SELECT lives_ok(format('SELECT purchase_keep_sales(%L)', :'long'), 'a name of 62 bytes');
SELECT is(purchase(1, 2, :'long', 'x', '1 hour'), 3::bigint, 'keeps sales');
SELECT is(count(*), 2::bigint, 'in tables of shorter ones')
FROM pg_class WHERE relname ~ '^(long)+lo_(sale|hold)$';

-- Names that are taken

-- What becomes of statements after another one, all of which is undone
CREATE FUNCTION after(ddl text, VARIADIC statements text[]) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    statement text;
    codes text[];
BEGIN
    EXECUTE ddl;
    FOREACH statement IN ARRAY statements LOOP
        codes := codes || coalesce((error_of(statement)).code, 'fine');
    END LOOP;
    RAISE 'undo' USING ERRCODE = 'P0999';
EXCEPTION WHEN SQLSTATE 'P0999' THEN
    RETURN codes;
END $$;
SELECT purchase_attach('shop_product', is_default => true);
SELECT is(after(ddl, 'SELECT purchase_keep_sales(''shop_product'')',
    'SELECT purchase_keep_sales(''shop_product'', sale_table => ''Sold'', hold_table => ''Kept'')',
    'SELECT purchase(1, 1, sale_id => ''x'', hold_for => ''1 hour'')',
    'SELECT purchase_confirm(''x''), * FROM "Sold", "Kept"'),
    '{42P07,fine,fine,fine}', story || ' has the name: another can be given')
FROM (VALUES
    ('CREATE TABLE shop_product_sale (id int)', 'a table'),
    ('CREATE TABLE shop_product_hold (id int)', 'a table, of the holds'),
    ('CREATE VIEW shop_product_sale AS SELECT 1', 'a view'),
    ('CREATE SEQUENCE shop_product_hold', 'a sequence'),
    ('CREATE INDEX shop_product_sale ON shop_product (stock)', 'an index'),
    ('CREATE TYPE shop_product_sale AS (a int)', 'a composite type'))
    AS t (ddl, story);
SELECT is(after('SELECT', format('SELECT purchase_keep_sales(''shop_product'', %s)', names)),
    '{42P07}', names)
FROM unnest('{sale_table => ''shop_product'',hold_table => ''shop_product'',
    "sale_table => ''x'', hold_table => ''x''"}'::text[]) AS names;
CREATE TABLE shop_product_sale (id int);
SELECT is((code, message, detail, hint)::text,
    ('42P07', 'relation "shop_product_sale" already exists',
     'It cannot keep the sales of table "shop_product", as it has no column "sale_id" of type text with collation "C".',
     'Give the table another name: SELECT purchase_keep_sales(''public.shop_product'', sale_table => ''...'');')::text,
    'the error says how')
FROM error_of($$ SELECT purchase_keep_sales('shop_product') $$);
DROP TABLE shop_product_sale;
SELECT is(after('CREATE DOMAIN shop_product_sale AS int',
    'SELECT purchase_keep_sales(''shop_product'')'), '{42710}', 'a type has the name');

-- Which tables can keep sales
CREATE UNLOGGED TABLE fast (id int PRIMARY KEY, stock int);
SELECT purchase_attach('fast');
SELECT purchase_keep_sales('fast');
SELECT results_eq($$ SELECT relpersistence FROM pg_class WHERE relname ~ '^fast_(sale|hold)' $$,
    $$ VALUES ('u'::"char"), ('u'), ('u'), ('u'), ('u') $$, 'an unlogged table''s are unlogged');
SELECT results_eq($$ SELECT DISTINCT relpersistence FROM pg_class WHERE relname ~ '^priced_(sale|hold)' $$,
    $$ VALUES ('p'::"char") $$, 'others are not');
CREATE TABLE parts (id int PRIMARY KEY, stock int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
INSERT INTO parts VALUES (1, 5), (11, 5);
SELECT purchase_attach(t) FROM unnest('{parts,parts_1}'::regclass[]) AS t;
SELECT lives_ok($$ SELECT purchase_keep_sales('parts') $$, 'a partitioned table');
SELECT results_eq($$ SELECT * FROM purchase_cart(ARRAY[1, 11], ARRAY[1, 2], 'parts', 'x', '1 hour') $$,
    $$ VALUES (1::bigint, 1::bigint, 4::bigint), (11, 2, 3) $$, 'holds in all of its partitions');
UPDATE parts_hold SET expires_at = 'epoch';
SELECT is(purchase(11, 4, 'parts', 'y'), 1::bigint, 'what lapsed is taken there');
SELECT is(purchase_expire(stock_table => 'parts'), 1::bigint, 'and expires');
SELECT refuses($$ SELECT purchase_confirm('x', 'parts') $$, 'SK102', 'confirm wants all or nothing');
SELECT results_eq('SELECT stock FROM parts ORDER BY id', ARRAY[5, 1], 'so nothing was taken');
SELECT refuses($$ SELECT purchase_keep_sales('parts_1') $$, '42809',
    'It is a partition: let the partitioned table keep them.', 'parts_1.', 'a partition');
CREATE VIEW lamps AS SELECT id, stock FROM shop_product;
SELECT purchase_attach('lamps', key_column => 'id');
SELECT refuses($$ SELECT purchase_keep_sales('lamps') $$, '42809',
    'It is a view: attach the table below it, and let that keep them.', 'lamps.', 'a view');
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'postgres_fdw') AS has_fdw \gset
\if :has_fdw
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;
CREATE FOREIGN TABLE remote (id integer, stock integer) SERVER elsewhere;
SELECT purchase_attach('remote', key_column => 'id');
SELECT refuses($$ SELECT purchase_keep_sales('remote') $$, '42809',
    'It is a foreign table: let the server that has its rows keep them.', 'remote.', 'a foreign table');
\endif

-- The owner may add what he likes.
SELECT purchase_keep_sales('shop_product');
SELECT purchase(1, 1, sale_id => 'before', hold_for => '1 hour');
CREATE TABLE event (n serial, what text, who name, path text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.event (what, who, path)
    VALUES (TG_OP || ' ' || TG_TABLE_NAME, current_user, current_setting('search_path'));
    RETURN coalesce(NEW, OLD);
END $$;
ALTER TABLE shop_product_sale
    ADD note text DEFAULT 'none',
    ADD product_name text,
    ADD FOREIGN KEY (product_id) REFERENCES shop_product,
    ADD CHECK (qty < 5);
ALTER TABLE shop_product_hold
    ADD warned boolean NOT NULL DEFAULT false,
    ADD FOREIGN KEY (sale_id, line) REFERENCES shop_product_sale;
CREATE INDEX ON shop_product_sale (buyer);
CREATE INDEX ON shop_product_sale (created_at) INCLUDE (state);
CREATE UNIQUE INDEX ON shop_product_hold (line, sale_id);
CREATE FUNCTION name_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.product_name := (SELECT name FROM public.shop_product WHERE id = NEW.product_id);
    RETURN NEW;
END $$;
CREATE TRIGGER name_it BEFORE INSERT ON shop_product_sale
    FOR EACH ROW EXECUTE FUNCTION name_it();
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON shop_product_sale
    FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER note BEFORE INSERT OR UPDATE OR DELETE ON shop_product_hold
    FOR EACH ROW EXECUTE FUNCTION note();
CREATE TABLE orders (id int PRIMARY KEY, sale_id text NOT NULL, line int NOT NULL DEFAULT 1,
    FOREIGN KEY (sale_id, line) REFERENCES shop_product_sale);
SELECT is(purchase_confirm('before'), true, 'a hold from before is confirmed');
SELECT is(purchase(1, 2, sale_id => 'cart-1', hold_for => '1 hour'), 7::bigint, 'a new one');
INSERT INTO orders VALUES (1, 'cart-1');
SELECT is(purchase(1, 2, sale_id => 'cart-1', hold_for => '1 hour'), 7::bigint, 'is repeated');
SELECT ok(purchase_extend('cart-1', '2 hours') > now(), 'extended');
SELECT is(purchase_release('cart-1', 1, 1), 1::bigint, 'released in part');
UPDATE shop_product_hold SET expires_at = 'epoch';
SELECT is(purchase_expire(), 1::bigint, 'expires');
SELECT is(purchase_confirm('cart-1'), true, 'and is confirmed anew');
SELECT is((state, qty, released, note, product_name)::text, '(sold,2,1,none,lamp)',
    'columns that were added are the owner''s own')
FROM shop_product_sale WHERE sale_id = 'cart-1';
SELECT is(array_agg(DISTINCT what COLLATE "C")::text,
    '{"DELETE shop_product_hold","INSERT shop_product_hold","INSERT shop_product_sale",'
    '"UPDATE shop_product_hold","UPDATE shop_product_sale"}', 'triggers see what is written')
FROM event;
SELECT refuses($$ SELECT purchase(1, 5, sale_id => 'cart-2') $$, '23514',
    'a CHECK of his may refuse');
SELECT refuses($$ DELETE FROM shop_product WHERE id = 1 $$, '23503',
    'a foreign key keeps the product');

-- Columns in another order, made anew, wider
ALTER TABLE shop_product_sale DROP remaining CASCADE;
ALTER TABLE shop_product_sale ADD remaining bigint;
ALTER TABLE shop_product_hold DROP buyer;
ALTER TABLE shop_product_hold ADD buyer text;
SELECT purchase(2, 1, sale_id => 'cart-3', hold_for => '1 hour', buyer => 'ann');
SELECT is((SELECT remaining FROM shop_product_sale WHERE sale_id = 'cart-3')::text
    || (SELECT buyer FROM shop_product_hold), '2ann', 'columns may stand anywhere');
SELECT is(purchase_release('cart-3'), 1::bigint, 'as they have the right name and type');

-- What must be there
SELECT purchase(2, 1, sale_id => 'held', hold_for => '1 hour');
CREATE ROLE somebody;
SELECT is(after(ddl,
        'SELECT purchase(1, 1)',
        'SELECT purchase_restock(1, 1)',
        'SELECT purchase(1, 1, sale_id => ''new'')',
        'SELECT purchase_try(1, 1, sale_id => ''new'')',
        'SELECT purchase(2, 1, sale_id => ''held'', hold_for => ''1 hour'')',
        'SELECT purchase_confirm(''held'')',
        'SELECT purchase_release(''held'')',
        'SELECT purchase_release(''held'', 2, 1)',
        'SELECT purchase_extend(''held'', ''1 hour'')',
        'SELECT purchase_expire()'),
    '{fine,fine,55000,55000,55000,55000,55000,55000,55000,55000}',
    story || ': only plain sales go on')
FROM (VALUES
    ('ALTER TABLE shop_product_sale DROP remaining', 'no column'),
    ('ALTER TABLE shop_product_hold DROP expires_at', 'no column of the holds'),
    ('ALTER TABLE shop_product_sale RENAME state TO status', 'a column has another name'),
    ('ALTER TABLE shop_product_sale ALTER qty TYPE numeric', 'a column of another type'),
    ('ALTER TABLE shop_product_hold ALTER product_id TYPE text', 'a key of another type'),
    ('ALTER TABLE shop_product_sale DROP product_name, ALTER sale_id TYPE text COLLATE "POSIX"',
     'ids of another collation'),
    ('ALTER TABLE shop_product_sale DROP CONSTRAINT shop_product_sale_pkey CASCADE', 'no unique index'),
    ('ALTER TABLE shop_product_hold DROP CONSTRAINT shop_product_hold_pkey', 'none of the holds'),
    ('ALTER TABLE shop_product_sale DROP CONSTRAINT shop_product_sale_pkey CASCADE;
      ALTER TABLE shop_product_sale ADD PRIMARY KEY (sale_id, line) DEFERRABLE',
     'a unique index that is checked late'),
    ('ALTER TABLE shop_product_sale DROP CONSTRAINT shop_product_sale_pkey CASCADE;
      CREATE UNIQUE INDEX ON shop_product_sale (sale_id, line) WHERE state <> ''held''',
     'a unique index of some rows'),
    ('ALTER TABLE shop_product_sale DROP product_id CASCADE,
      ADD product_id bigint GENERATED ALWAYS AS (5) STORED', 'a product that is generated'),
    ('CREATE TABLE more () INHERITS (shop_product_sale)', 'a table that inherits'),
    ('DROP TABLE shop_product_sale CASCADE', 'no table'),
    ('DROP TABLE shop_product_hold', 'no table of holds'),
    ('ALTER TABLE shop_product_sale OWNER TO somebody', 'another owner'),
    ('ALTER TABLE shop_product_hold OWNER TO somebody', 'another owner of the holds'),
    ('ALTER TABLE shop_product OWNER TO somebody', 'another owner of the stock')) AS t (ddl, story);
SELECT is(after('SELECT', 'SELECT purchase(1, 1, sale_id => ''new'')', 'SELECT purchase_confirm(''held'')'),
    '{fine,fine}', 'what was undone does no harm');
SELECT is(after('DROP TABLE shop_product_hold', 'SELECT purchase(4, 1)'), '{55000}',
    'a plain sale that needs lapsed holds has to know them');
SELECT is(after('ALTER TABLE shop_product_sale DROP CONSTRAINT shop_product_sale_pkey CASCADE;
        ALTER TABLE shop_product_sale ADD UNIQUE (sale_id, line) INCLUDE (qty)',
    'SELECT purchase(1, 1, sale_id => ''new'')', 'SELECT purchase_confirm(''held'')'),
    '{fine,fine}', 'another unique index will do');
SAVEPOINT whole;
ALTER TABLE shop_product_hold DROP expires_at;
SELECT is((code, message, detail, hint)::text,
    ('55000', 'table "shop_product" cannot keep its holds',
     'Table "shop_product_hold" has no column "expires_at" of type timestamp with time zone.',
     'Mend it, or choose other tables: SELECT purchase_keep_sales(''shop_product'', sale_table => ..., hold_table => ...);')::text,
    'the error says what is missing')
FROM error_of($$ SELECT purchase_confirm('held') $$);
ROLLBACK TO whole;
DROP TABLE shop_product_hold;
SELECT lives_ok($$ SELECT purchase_keep_sales('shop_product') $$, 'a table that was dropped is made anew');
SELECT is(purchase_confirm('before'), false, 'the other one still has its sales');
SELECT is(purchase_confirm('held'), true, 'a hold that is gone is taken anew');
ROLLBACK TO whole;

-- To detach leaves the tables, but no units in them.
SELECT refuses($$ SELECT purchase_detach('shop_product') $$, '55000',
    'Lines of sales that hold units of its stock: 1.',
    'shop_product.', 'a table that has holds is not detached');
SELECT is(hint, 'Confirm or release them first.', 'the hint says what to do first')
FROM error_of($$ SELECT purchase_detach('shop_product') $$);
UPDATE shop_product_hold SET expires_at = 'epoch';
SELECT refuses($$ SELECT purchase_detach('shop_product') $$, '55000', 'not even if they have lapsed');
SELECT refuses($$ SELECT purchase_keep_sales('shop_product', hold_table => 'other_hold') $$, '55000',
    'nor are other tables chosen');
SELECT lives_ok($$ SELECT purchase_attach('shop_product', lock_wait => '1s') $$,
    'it may be attached again');
SELECT is(purchase_available(2), 3::bigint, 'which leaves the holds');
SELECT is(purchase_expire(), 1::bigint, 'when they have expired');
SELECT lives_ok($$ SELECT purchase_detach('shop_product') $$, 'it can be detached');
SELECT is(count(*) > 0, true, 'the sales are still there') FROM shop_product_sale;
SELECT purchase_attach('shop_product', is_default => true);
SELECT refuses($$ SELECT purchase_confirm('before') $$, '55000', 'a table that is attached anew');
SELECT purchase_keep_sales('shop_product');
SELECT is(purchase_confirm('before'), false, 'keeps the sales that it had');
SELECT is(purchase_confirm('held'), true, 'expired ones, too');
SELECT purchase(2, 1, sale_id => 'last', hold_for => '1 hour');
DROP EXTENSION purchase;
CREATE EXTENSION purchase;
SELECT purchase_attach('shop_product');
SELECT purchase_keep_sales('shop_product');
SELECT is(purchase_confirm('before'), false, 'they survive DROP EXTENSION');
SELECT is(purchase_release('last'), 1::bigint, 'and so do holds');

SELECT * FROM finish();
ROLLBACK;
