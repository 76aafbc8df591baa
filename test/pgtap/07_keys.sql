-- Keys of every type, names of every kind.
BEGIN;
\ir shop.psql
\ir key_types.psql
SELECT no_plan();

-- Each type, with a key as it is written
CREATE FUNCTION sells_by_text(key_type text, key text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
    CREATE TABLE thing (id text PRIMARY KEY, stock smallint);
    EXECUTE format('ALTER TABLE thing ALTER id TYPE %s USING NULL', key_type);
    EXECUTE format('INSERT INTO thing VALUES (%L, 5)', key);
    PERFORM purchase_attach('thing', is_default => true);
    RETURN NEXT is(purchase(key, 2), 3::bigint, key_type || ': sells');
    RETURN NEXT is(purchase_try(key, 9)::text, '(insufficient_quantity,3)',
        key_type || ': refuses');
    RETURN NEXT is(purchase_restock(key, 1), 4::bigint, key_type || ': restocks');
    RETURN NEXT is(purchase_available(key), 4::bigint, key_type || ': reads');
    DROP TABLE thing;
END $$;
SELECT sells_by_text(key_type, key) FROM (VALUES
    ('smallint', '7'), ('integer', '7'), ('bigint', '7000000000'),
    ('uuid', '6f1e0d6a-8d0c-4c3e-9d0c-3a5e1f0b2c4d'),
    ('text', 'lamp'), ('varchar(10)', 'lamp'), ('citext', 'Lamp'),
    ('char(6)', 'lamp'), ('sku', 'lamp-1'), ('small_id', '7'),
    ('size', 'M'), ('numeric', '12.50'), ('date', '2024-02-29'),
    ('bytea', '\x00ff'), ('inet', '10.0.0.1')) AS t (key_type, key);

-- The forms for bigint and uuid
CREATE TABLE by_smallint (id smallint PRIMARY KEY, stock int);
CREATE TABLE by_numeric (id numeric PRIMARY KEY, stock int);
CREATE TABLE by_uuid (id uuid PRIMARY KEY, stock int);
CREATE TABLE by_text (id text PRIMARY KEY, stock int);
INSERT INTO by_smallint VALUES (7, 5);
INSERT INTO by_numeric VALUES (7, 5);
INSERT INTO by_uuid VALUES ('6f1e0d6a-8d0c-4c3e-9d0c-3a5e1f0b2c4d', 5);
INSERT INTO by_text VALUES ('7', 5), ('6f1e0d6a-8d0c-4c3e-9d0c-3a5e1f0b2c4d', 5);
SELECT purchase_attach(t) FROM
    unnest('{by_smallint,by_numeric,by_uuid,by_text}'::regclass[]) AS t;

SELECT is(purchase(7, 1, 'by_smallint'), 4::bigint, 'bigint for a smaller integer');
SELECT is(purchase(7::smallint, 1, 'by_smallint'), 3::bigint, 'a smallint, too');
SELECT is(purchase_try(70000, 1, 'by_smallint')::text, '(product_not_found,)',
    'a bigint that the key cannot hold is not found');
SELECT is(purchase_try('70000', 1, 'by_smallint')::text, '(product_not_found,)',
    'the same as text');
SELECT is(purchase(7, 1, 'by_numeric'), 4::bigint, 'bigint for numeric');
SELECT is(purchase('6f1e0d6a-8d0c-4c3e-9d0c-3a5e1f0b2c4d'::uuid, 1, 'by_uuid'),
    4::bigint, 'uuid for uuid');
SELECT is(purchase('{6F1E0D6A8D0C4C3E9D0C3A5E1F0B2C4D}', 1, 'by_uuid'),
    3::bigint, 'a uuid as text, in any spelling of it');
SELECT is(purchase(7, 1, 'by_text'), 4::bigint, 'bigint for text');
SELECT is(purchase('6f1e0d6a-8d0c-4c3e-9d0c-3a5e1f0b2c4d'::uuid, 1, 'by_text'),
    4::bigint, 'uuid for text');
SELECT refuses($$ SELECT purchase(7, 1, 'by_uuid') $$, '22P02',
    'what is no key at all is an error');
SELECT refuses($$ SELECT purchase('x', 1, 'by_smallint') $$, '22P02',
    'from the type''s own input function');

-- What equal means is the key's own affair.
\if :has_citext
CREATE TABLE by_citext (id citext PRIMARY KEY, stock int);
INSERT INTO by_citext VALUES ('Lamp', 5);
SELECT purchase_attach('by_citext');
SELECT is(purchase('LAMP', 1, 'by_citext'), 4::bigint, 'citext ignores case');
\endif
CREATE TABLE by_domain (id sku PRIMARY KEY, stock int);
SELECT purchase_attach('by_domain');
SELECT is(purchase_try('no such form', 1, 'by_domain')::text, '(product_not_found,)',
    'a key that a domain would not allow is not found');

-- Names
CREATE SCHEMA "Back Office";
CREATE TABLE "Back Office"."Order ""Items""" (
    "Product Id" integer PRIMARY KEY, "In Stock; --" bigint, "select" int UNIQUE);
INSERT INTO "Back Office"."Order ""Items""" VALUES (1, 5, 11);
SELECT lives_ok($$ SELECT purchase_attach('"Back Office"."Order ""Items"""',
    'In Stock; --') $$, 'names that need quotes, in another schema');
SELECT is(purchase(1, 2, '"Back Office"."Order ""Items"""'), 3::bigint, 'sell');
SELECT refuses($$ SELECT purchase(1, 9, '"Back Office"."Order ""Items"""') $$,
    'SK003', 'Product 1 has 3 in stock, 9 were requested.',
    'Order "Items".In Stock; --', 'and refuse');
SELECT lives_ok($$ SELECT purchase_attach('"Back Office"."Order ""Items"""',
    'In Stock; --', 'select') $$, 'attached again, by another unique column');
SELECT is(purchase(11, 1, '"Back Office"."Order ""Items"""'), 2::bigint,
    'that is the key now');

SET LOCAL search_path = '';
SELECT public.purchase(11, 1, '"Back Office"."Order ""Items"""') AS remaining \gset
RESET search_path;
SELECT is(:remaining, 1, 'whatever the search_path is');

-- Renaming
ALTER TABLE "Back Office"."Order ""Items""" RENAME TO items;
ALTER SCHEMA "Back Office" RENAME TO back_office;
SELECT is(purchase_restock(11, 8, 'back_office.items'), 9::bigint,
    'a table stays attached when it or its schema is renamed');
ALTER TABLE back_office.items RENAME "In Stock; --" TO stock;
SELECT refuses($$ SELECT purchase(11, 1, 'back_office.items') $$, '55000',
    'when its stock column is renamed, it has to be attached again');
SELECT matches(hint, 'purchase_attach\(''back_office\.items''', 'as the hint says')
FROM error_of($$ SELECT purchase(11, 1, 'back_office.items') $$);
SELECT purchase_attach('back_office.items', key_column => 'select');
SELECT is(purchase(11, 1, 'back_office.items'), 8::bigint, 'then it sells again');

SELECT * FROM finish();
ROLLBACK;
