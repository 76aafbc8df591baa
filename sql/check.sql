-- The doctor: each finding, and that its remedy, pasted, mends it. What stands
-- behind "-- if ...:" is pasted without that.
CREATE EXTENSION purchase;
SET purchase.engine = auto;
SET client_min_messages = warning;
CREATE ROLE regress_purchase_seller;
CREATE VIEW doctor AS
    SELECT *, regexp_replace(remedy, '^-- [^:]*: ', '') AS sql
    FROM purchase_check() WHERE finding !~ '^no guard';
CREATE TABLE goods (id integer PRIMARY KEY, stock integer NOT NULL CHECK (stock >= 0),
    price integer);
GRANT SELECT, UPDATE ON goods TO regress_purchase_seller;
INSERT INTO goods SELECT g, 10 FROM generate_series(1, 100) g;
\x

-- not attached
SELECT * FROM purchase_check();
SELECT * FROM purchase_check(4294967295::oid::regclass);
SELECT * FROM purchase_check('goods');
\gset
:remedy

-- clean
SELECT * FROM purchase_check('goods');
SELECT * FROM purchase_check();
SELECT * FROM purchase_check(NULL);

-- the guard: none, disabled, half, and its remedies' way past it
SELECT * FROM purchase_check();
SELECT sql FROM (SELECT regexp_replace(remedy, '^-- [^:]*: ', '') AS sql FROM purchase_check()) AS x \gset
:sql
SELECT * FROM purchase_check();
ALTER TABLE goods DISABLE TRIGGER ALL;
SELECT severity, finding, remedy FROM purchase_check() \gx
SELECT remedy FROM purchase_check() \gset
:remedy
SELECT count(*) FROM purchase_check();
DROP TRIGGER "~purchase_guard_after" ON goods;
SELECT remedy FROM purchase_check() \gset
:remedy
SELECT count(*) FROM purchase_check();
ALTER TABLE goods DROP CONSTRAINT goods_stock_check, ALTER stock DROP NOT NULL;
SELECT purchase_guard('goods', false);
ALTER TABLE goods ALTER stock TYPE smallint;
UPDATE goods SET stock = CASE id WHEN 1 THEN NULL WHEN 2 THEN -1 WHEN 3 THEN 32000 ELSE 5 END;
ANALYZE goods;
SELECT purchase_guard('goods');
SELECT regexp_replace(remedy, '^-- [^:]*: ', '') FROM purchase_check();
\set ECHO none
SELECT regexp_replace(remedy, '^-- [^:]*: ', '') FROM purchase_check() \gexec
\set ECHO all
SELECT * FROM purchase_check();
\set VERBOSITY terse
UPDATE goods SET stock = 10;
\set VERBOSITY default
-- of partitions, one of which is not watched; the remedy is for the whole
CREATE TABLE hall (id integer PRIMARY KEY, stock integer NOT NULL CHECK (stock >= 0)) PARTITION BY HASH (id);
CREATE TABLE hall_0 PARTITION OF hall FOR VALUES WITH (MODULUS 2, REMAINDER 0);
GRANT SELECT, UPDATE ON hall, hall_0 TO regress_purchase_seller;
SELECT purchase_attach('hall'), purchase_guard('hall'), purchase_attach('hall_0');
SELECT finding FROM purchase_check('hall') WHERE finding ~ 'guard';
ALTER TABLE hall_0 DISABLE TRIGGER "~purchase_guard_before";
SELECT remedy FROM purchase_check('hall') WHERE finding ~ 'guard';
SELECT remedy FROM purchase_check('hall_0') WHERE finding ~ 'guard' \gset
:remedy
SELECT finding FROM purchase_check('hall') WHERE finding ~ 'guard';
SELECT finding FROM purchase_check('hall_0') WHERE finding ~ 'guard';
DROP TABLE hall;
SELECT purchase_guard('goods', false);
DROP TABLE goods;
CREATE TABLE goods (id integer PRIMARY KEY, stock integer NOT NULL CHECK (stock >= 0), price integer);
GRANT SELECT, UPDATE ON goods TO regress_purchase_seller;
INSERT INTO goods SELECT g, 10 FROM generate_series(1, 100) g;
SELECT purchase_attach('goods', is_default => true);

-- no CHECK
ALTER TABLE goods DROP CONSTRAINT goods_stock_check;
SELECT severity, finding, remedy FROM doctor;
\gset
:remedy
SELECT * FROM doctor;
SELECT pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE conname = 'stock_not_negative';
\x
-- which CHECKs will do
CREATE FUNCTION will_do(expr text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    result boolean;
BEGIN
    ALTER TABLE goods DROP CONSTRAINT IF EXISTS stock_not_negative;
    EXECUTE format('ALTER TABLE goods ADD CONSTRAINT stock_not_negative CHECK (%s)', expr);
    SELECT NOT EXISTS (SELECT FROM purchase_check() WHERE finding ~ 'CHECK') INTO result;
    RETURN result;
END $$;
SELECT expr, will_do(expr) FROM unnest(ARRAY['stock > 0', 'stock > -1', '0 <= stock',
    'stock BETWEEN 0 AND 1000', 'stock >= 0::bigint', 'stock::bigint >= 0',
    'price > 0 AND stock >= 5 AND price < 1000', 'stock >= 0 AND (price > 0 OR price < -10)',
    'stock < 1000', 'stock <> -1', 'stock >= -5', 'price >= 0', 'stock >= 0 OR price = 7',
    'CASE WHEN id > 0 THEN stock >= 0 END', 'NOT (stock >= 0 AND price = 7)', 'stock >= price',
    'stock >= 0']) AS expr;
SELECT current_setting('server_version_num')::integer >= 180000 AS major_18 \gset
ALTER TABLE goods DROP CONSTRAINT stock_not_negative;
\if :major_18
ALTER TABLE goods ADD CONSTRAINT toothless CHECK (stock >= 0) NOT ENFORCED;
\endif
\x
SELECT finding FROM doctor;
ALTER TABLE goods DROP CONSTRAINT IF EXISTS toothless;
ALTER TABLE goods ADD CONSTRAINT "Not below 0" CHECK (stock >= 0) NOT VALID;
SELECT severity, finding, remedy FROM doctor;
\gset
:remedy
SELECT * FROM doctor;

-- negative stock, null stock
ALTER TABLE goods DROP CONSTRAINT "Not below 0";
UPDATE goods SET stock = -1 WHERE id > 90;
ANALYZE goods;
SELECT severity, finding, remedy, sql FROM doctor WHERE finding ~ 'is negative';
\gset
:sql
SELECT finding FROM doctor;
ALTER TABLE goods ADD CHECK (stock >= 0);
ALTER TABLE goods ALTER stock DROP NOT NULL;
SELECT severity, finding, remedy FROM doctor;
\gset
:remedy
SELECT * FROM doctor;
ALTER TABLE goods ALTER stock DROP NOT NULL;
UPDATE goods SET stock = NULL WHERE id > 90;
ANALYZE goods;
SELECT severity, finding, remedy, sql FROM doctor;
\gset
:sql
SELECT * FROM doctor;
\if :major_18
ALTER TABLE goods ALTER stock DROP NOT NULL;
ALTER TABLE goods ADD CONSTRAINT old_nulls NOT NULL stock NOT VALID;
\else
-- stands for it, as there is none before 18
ALTER TABLE goods ADD CONSTRAINT old_nulls CHECK (stock IS NOT NULL) NOT VALID;
\endif
ANALYZE goods;
SELECT (count(*) = 1) = :'major_18' AS right FROM doctor
    WHERE finding = 'constraint old_nulls is not valid: the stock of old rows may be null';
ALTER TABLE goods VALIDATE CONSTRAINT old_nulls;
SELECT * FROM doctor;
ALTER TABLE goods DROP CONSTRAINT old_nulls, ALTER stock SET NOT NULL;

-- the type will overflow soon; who can't read the stock isn't told
ALTER TABLE goods ALTER stock TYPE smallint;
UPDATE goods SET stock = 30000 WHERE id < 50;
ANALYZE goods;
REVOKE SELECT ON goods FROM regress_purchase_seller;
GRANT SELECT (id) ON goods TO regress_purchase_seller;
SET ROLE regress_purchase_seller;
SELECT * FROM purchase_check();
RESET ROLE;
GRANT SELECT ON goods TO regress_purchase_seller;
SET ROLE regress_purchase_seller;
SELECT * FROM purchase_check();
RESET ROLE;
SELECT severity, finding, remedy FROM doctor;
\gset
:remedy
SELECT * FROM doctor;
UPDATE goods SET stock = 2000000000 WHERE id < 50;
ANALYZE goods;
SELECT severity, finding, remedy FROM doctor;
\gset
:remedy
ANALYZE goods;
SELECT * FROM doctor;

-- indexes that contain the stock
CREATE INDEX "By stock" ON goods (stock);
SELECT severity, finding, remedy, sql FROM doctor;
\gset
:sql
SELECT * FROM doctor;
CREATE INDEX i ON goods ((stock + 1));
SELECT remedy, sql FROM doctor;
\gset
:sql
CREATE INDEX i ON goods (price) WHERE stock > 0;
SELECT remedy, sql FROM doctor;
\gset
:sql
CREATE UNIQUE INDEX i ON goods (id, stock);
SELECT finding, remedy, sql FROM doctor;
\gset
:sql
SELECT * FROM doctor;
ALTER TABLE goods ADD CONSTRAINT i UNIQUE (id, stock) DEFERRABLE;
SELECT remedy, sql FROM doctor;
\gset
:sql
SELECT * FROM doctor;
ALTER TABLE goods ADD "more, (of it)" integer;
CREATE INDEX "i ON i" ON goods (price DESC) INCLUDE (id, stock, "more, (of it)") WITH (fillfactor = 80);
SELECT remedy, sql FROM doctor;
\gset
:sql
SELECT * FROM doctor;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'goods'::regclass AND NOT indisprimary;
ALTER TABLE goods DROP "more, (of it)";
ALTER TABLE goods DROP CONSTRAINT goods_pkey, ADD PRIMARY KEY (id) INCLUDE (stock);
SELECT remedy, sql FROM doctor;
\gset
:sql
SELECT * FROM doctor;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'goods'::regclass ORDER BY 1;
-- not without what needs it
CREATE TABLE line (id integer REFERENCES goods);
CREATE UNIQUE INDEX i ON goods (id) INCLUDE (stock);
ALTER TABLE goods REPLICA IDENTITY USING INDEX i;
SELECT finding, remedy FROM doctor;
ALTER TABLE goods REPLICA IDENTITY DEFAULT;
DROP INDEX i;
ALTER TABLE line DROP CONSTRAINT line_id_fkey;
ALTER TABLE goods DROP CONSTRAINT goods_pkey, ADD PRIMARY KEY (id) INCLUDE (stock);
ALTER TABLE line ADD FOREIGN KEY (id) REFERENCES goods;
SELECT finding, remedy FROM doctor;
DROP TABLE line;
SELECT sql FROM doctor;
\gset
:sql
-- a unique index that no foreign key can reference, and names like a clause
CREATE UNIQUE INDEX i ON goods (id, stock) WHERE stock > 0;
SELECT finding FROM doctor;
DROP INDEX i;
ALTER TABLE goods ADD "a INCLUDE (b)" integer, ADD "c INCLUDE (" integer, ADD "\1&, d)" integer;
CREATE INDEX i ON goods ("a INCLUDE (b)", "c INCLUDE (") INCLUDE (stock, "\1&, d)");
SELECT sql FROM doctor;
\gset
:sql
SELECT * FROM doctor;
ALTER TABLE goods DROP "a INCLUDE (b)", DROP "c INCLUDE (", DROP "\1&, d)";
CREATE INDEX i ON goods USING brin (stock);
SELECT (count(*) = 1) = (current_setting('server_version_num')::integer < 160000) AS right
    FROM doctor;
DROP INDEX i;

-- fillfactor of a busy table
CREATE TABLE busy (id integer PRIMARY KEY, stock integer NOT NULL CHECK (stock >= 0));
GRANT SELECT, UPDATE ON busy TO regress_purchase_seller;
SELECT purchase_attach('busy', is_default => true);
INSERT INTO busy SELECT g, 100 FROM generate_series(1, 12000) g;
SELECT * FROM doctor;
UPDATE busy SET stock = stock - 1;
SELECT pg_stat_force_next_flush();
SELECT severity, regexp_replace(finding, '[0-9]+ %', 'N %') AS finding, remedy FROM doctor;
\gset
:remedy
SELECT * FROM doctor;
ALTER TABLE busy RESET (fillfactor);
CREATE INDEX busy_stock ON busy (stock);
SELECT finding FROM doctor;
DROP TABLE busy;
SELECT severity, finding, regexp_replace(remedy, '[0-9]+', 'OID') AS remedy
    FROM purchase_check();
SELECT remedy FROM purchase_check() \gset
:remedy
SELECT finding FROM doctor;
SELECT purchase_attach('goods', is_default => true);
SELECT * FROM doctor;

-- autovacuum
ALTER TABLE goods SET (autovacuum_enabled = off);
SELECT severity, finding, remedy FROM doctor;
\gset
:remedy
SELECT * FROM doctor;
SET track_counts = off;
SELECT severity, finding, remedy FROM doctor;
RESET track_counts;

-- crash and replication
CREATE TABLE seats (seat text NOT NULL UNIQUE,
    "Places left" smallint NOT NULL CHECK ("Places left" >= 0));
GRANT SELECT, UPDATE ON seats TO regress_purchase_seller;
INSERT INTO seats VALUES ('A1', 10);
SELECT purchase_attach('seats', 'Places left', 'seat', true);
SELECT * FROM doctor;
ALTER TABLE seats SET UNLOGGED;
SELECT severity, finding, remedy FROM doctor;
\gset
:remedy
SELECT * FROM doctor;
SET client_min_messages = error;
CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert');
SELECT * FROM doctor;
ALTER PUBLICATION p SET (publish = 'insert, update');
SET client_min_messages = warning;
SELECT purchase('A1', 1);
SELECT severity, finding, remedy FROM doctor;
\gset
:remedy
SELECT * FROM doctor;
SELECT purchase('A1', 1);
ALTER TABLE seats REPLICA IDENTITY NOTHING;
ALTER TABLE seats ALTER seat DROP NOT NULL;
SELECT remedy FROM doctor;
\gset
:remedy
SELECT * FROM doctor;
SELECT purchase('A1', 1);
DROP PUBLICATION p;
DROP TABLE seats;
SELECT purchase_attach('goods', is_default => true);

-- privileges
REVOKE UPDATE ON goods FROM regress_purchase_seller;
SELECT severity, finding, remedy,
       replace(sql, 'your_role', 'regress_purchase_seller') AS sql FROM doctor;
\gset
:sql
SELECT * FROM doctor;
REVOKE ALL ON goods FROM regress_purchase_seller;
GRANT SELECT, UPDATE ON goods TO PUBLIC;
SELECT * FROM doctor;

-- row triggers
CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION halve() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.stock := NEW.stock / 2; RETURN NEW; END';
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RETURN NULL; END';
CREATE TRIGGER a BEFORE UPDATE ON goods FOR EACH ROW EXECUTE FUNCTION noop();
CREATE TRIGGER b BEFORE UPDATE OF price ON goods FOR EACH ROW EXECUTE FUNCTION halve();
CREATE TRIGGER c BEFORE INSERT ON goods FOR EACH ROW EXECUTE FUNCTION halve();
CREATE TRIGGER d AFTER UPDATE ON goods FOR EACH ROW EXECUTE FUNCTION halve();
SELECT * FROM doctor;
CREATE TRIGGER "E 1" BEFORE UPDATE OF stock ON goods FOR EACH ROW EXECUTE FUNCTION halve();
SELECT * FROM doctor;
\gset
:sql
SELECT * FROM doctor;
CREATE TRIGGER f BEFORE UPDATE ON goods FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT finding, sql FROM doctor;
\gset
:sql
CREATE TRIGGER g BEFORE UPDATE ON goods FOR EACH ROW EXECUTE FUNCTION noop('stocks');
SELECT finding, sql FROM doctor;
CREATE TRIGGER h BEFORE UPDATE ON goods FOR EACH ROW EXECUTE FUNCTION noop('x', 'stock');
SELECT finding, sql FROM doctor;
\gset
:sql
SELECT * FROM doctor;
DROP FUNCTION halve, refuse CASCADE;

-- what forces the sql engine
SET purchase.engine = sql;
SELECT severity, finding, remedy FROM doctor;
\gset
:remedy
SELECT * FROM doctor;
CREATE TRIGGER "S" AFTER UPDATE OF price ON goods EXECUTE FUNCTION noop();
SELECT * FROM doctor;
\gset
:sql
SELECT * FROM doctor;
CREATE TRIGGER t AFTER UPDATE ON goods REFERENCING NEW TABLE AS n
    FOR EACH ROW EXECUTE FUNCTION noop();
SELECT finding, sql FROM doctor;
\gset
:sql
CREATE RULE "R" AS ON UPDATE TO goods WHERE new.price = 7 DO ALSO NOTHING;
SELECT finding, remedy, sql FROM doctor;
\gset
:sql
CREATE TABLE "Child" () INHERITS (goods);
SELECT finding, remedy, sql FROM doctor;
\gset
:sql
CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler;
ALTER TABLE goods SET ACCESS METHOD other;
SELECT finding, remedy, sql FROM doctor;
\gset
:sql
SELECT * FROM doctor;
ALTER TABLE goods DROP CONSTRAINT goods_pkey,
    ADD PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED;
SELECT finding, remedy FROM doctor;
\gset
:remedy
SELECT * FROM doctor;
CREATE DOMAIN level AS integer CHECK (value >= 0) NOT NULL;
ALTER TABLE goods DROP CONSTRAINT goods_stock_check, ALTER stock DROP NOT NULL;
ALTER TABLE goods ALTER stock TYPE level;
SELECT finding, remedy, sql FROM doctor;
\gset
:sql
SELECT finding FROM doctor;
ALTER TABLE goods ADD CHECK (stock >= 0), ALTER stock SET NOT NULL;
ALTER TABLE goods ENABLE ROW LEVEL SECURITY;
SELECT finding, remedy FROM doctor;
SET ROLE regress_purchase_seller;
SELECT finding FROM purchase_check();
RESET ROLE;
ALTER TABLE goods DISABLE ROW LEVEL SECURITY;
-- several at once: all are named
CREATE RULE r AS ON UPDATE TO goods WHERE new.price = 7 DO ALSO NOTHING;
CREATE TRIGGER s BEFORE UPDATE ON goods EXECUTE FUNCTION noop();
SELECT finding FROM doctor;
DROP RULE r ON goods;
DROP TRIGGER s ON goods;
SELECT * FROM doctor;

-- a registration that no longer fits
ALTER TABLE goods DROP CONSTRAINT goods_pkey;
SELECT severity, finding, remedy FROM doctor;
\gset
:remedy
SELECT * FROM doctor;
ALTER TABLE goods RENAME stock TO units;
SELECT severity, finding, remedy FROM doctor;
ALTER TABLE goods DROP price;
SELECT severity, finding, remedy, sql FROM doctor;
\gset
:sql
SELECT * FROM doctor;
ALTER TABLE goods RENAME units TO left_over;
ALTER TABLE goods RENAME id TO product;
SELECT finding, remedy, sql FROM doctor;
\gset
:sql
SELECT * FROM doctor;
DROP INDEX goods_id_idx;
ALTER TABLE goods RENAME product TO id;
SELECT finding, remedy FROM doctor;
CREATE UNIQUE INDEX ON goods (id);
SELECT purchase_attach('goods', 'left_over', 'id');
ALTER TABLE goods ALTER left_over TYPE numeric;
SELECT finding, remedy FROM doctor;
ALTER TABLE goods ALTER left_over TYPE integer;
CREATE RULE "R" AS ON UPDATE TO goods DO INSTEAD NOTHING;
SELECT finding, remedy, sql FROM doctor;
\gset
:sql
SELECT * FROM doctor;
DROP TABLE goods, "Child";

-- partitions, and names that need quotes
CREATE SCHEMA "The Shop";
CREATE TABLE "The Shop"."All goods" ("Key" integer, "Stock; --" integer,
    PRIMARY KEY ("Key")) PARTITION BY RANGE ("Key");
CREATE TABLE "The Shop"."Part 1" PARTITION OF "The Shop"."All goods"
    FOR VALUES FROM (1) TO (100) WITH (autovacuum_enabled = off);
CREATE UNLOGGED TABLE "The Shop".part2 ("Stock; --" integer, "Key" integer NOT NULL);
ALTER TABLE "The Shop"."All goods" ATTACH PARTITION "The Shop".part2
    FOR VALUES FROM (100) TO (200);
INSERT INTO "The Shop"."All goods"
    VALUES (1, 2), (2, 2), (150, NULL), (151, -3), (152, -3);
CREATE INDEX "One index" ON "The Shop"."All goods" ("Stock; --");
CREATE UNIQUE INDEX incl ON "The Shop"."All goods" ("Key") INCLUDE ("Stock; --");
CREATE INDEX "Index 1" ON "The Shop"."Part 1" ("Stock; --");
CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW."Stock; --" := 7; RETURN NEW; END';
CREATE TRIGGER "A trigger" BEFORE UPDATE ON "The Shop"."All goods"
    FOR EACH ROW EXECUTE FUNCTION guard();
ANALYZE "The Shop"."All goods";
SELECT purchase_attach('"The Shop"."All goods"', 'Stock; --', 'Key', true);
SELECT severity, finding, remedy FROM doctor;
\x
ALTER TABLE "The Shop"."All goods" DISABLE TRIGGER "A trigger";
UPDATE "The Shop"."All goods" SET "Stock; --" = 0 WHERE "Stock; --" < 0;
-- each statement of each remedy
SELECT statement
FROM purchase_check() AS c,
     regexp_split_to_table(replace(regexp_replace(remedy, '^-- [^:]*: ', ''),
         'your_role', 'regress_purchase_seller'), '; (?!--)') AS statement
WHERE remedy !~ '^-- nothing' AND finding !~ 'negative$' \gexec
SELECT finding FROM doctor;

-- a view; and all of it moves with the extension
DROP TABLE "The Shop"."All goods";
DROP VIEW doctor;
CREATE TABLE goods (id integer PRIMARY KEY, stock integer);
CREATE VIEW v AS SELECT * FROM goods;
SELECT purchase_attach('v', key_column => 'id', is_default => true);
CREATE SCHEMA ext;
ALTER EXTENSION purchase SET SCHEMA ext;
SELECT finding FROM ext.purchase_check();
SELECT remedy FROM ext.purchase_check('goods') \gset
\echo :remedy
:remedy
SELECT finding FROM ext.purchase_check('goods');

-- a function or operator of the caller's does not run in it
CREATE SCHEMA trap;
CREATE FUNCTION trap.eq(oid, oid) RETURNS boolean
    LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped''; END';
CREATE FUNCTION trap.format(text, text) RETURNS text
    LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped''; END';
CREATE OPERATOR trap.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = trap.eq);
SET search_path = trap, public, pg_catalog;
SELECT count(*) FROM ext.purchase_check('goods');
DROP EXTENSION purchase;
CREATE EXTENSION purchase SCHEMA public;
SELECT count(*) FROM purchase_check('goods');
RESET search_path;

SET client_min_messages = error;
DROP EXTENSION purchase;
DROP SCHEMA trap, ext, "The Shop" CASCADE;
DROP VIEW v;
DROP TABLE goods;
DROP DOMAIN level;
DROP ACCESS METHOD other;
DROP FUNCTION will_do, noop, guard;
DROP ROLE regress_purchase_seller;

-- All in one table: pasted from the top, without "-- if ...:", each remedy finds
-- what it needs.
CREATE EXTENSION purchase;
CREATE ROLE regress_purchase_seller;
\getenv dir PG_ABS_BUILDDIR
\set file :dir '/results/check.remedies'
CREATE DOMAIN few AS smallint;
CREATE UNLOGGED TABLE goods (id integer NOT NULL, stock few, UNIQUE (id) INCLUDE (stock))
    WITH (autovacuum_enabled = off);
CREATE INDEX ON goods (stock);
CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.stock := NEW.stock; RETURN NEW; END';
CREATE TRIGGER a BEFORE UPDATE ON goods FOR EACH ROW EXECUTE FUNCTION noop();
CREATE TRIGGER b AFTER UPDATE ON goods EXECUTE FUNCTION noop();
INSERT INTO goods VALUES (1, NULL), (2, -1), (3, -1), (4, 32000), (5, 32000);
ANALYZE goods;
SET client_min_messages = error;
CREATE PUBLICATION p FOR ALL TABLES;
SET client_min_messages = warning;
SELECT purchase_attach('goods', 'stock', 'id', true);
\pset format unaligned
\pset tuples_only on
SELECT replace(regexp_replace(remedy, '^-- [^:]*: ', ''), 'your_role', 'regress_purchase_seller')
FROM purchase_check() \g :file
\i :file
\pset tuples_only off
\pset format aligned
SELECT * FROM purchase_check();
SELECT purchase(4::bigint, 1);
SET client_min_messages = error;
DROP PUBLICATION p;
SET client_min_messages = warning;
DROP EXTENSION purchase;
DROP TABLE goods;
DROP DOMAIN few;
DROP FUNCTION noop;

-- Names that would end a comment or a literal, of everything that a remedy can
-- name: nothing in them runs, be the remedies executed by \gexec or pasted
-- without "-- if ...:", and these mend what they are for.
CREATE EXTENSION purchase;
CREATE TABLE ran (what text);
\set schema 's\'"\\\nINSERT INTO ran VALUES (\'schema\'); --'
\set table 't\'"\\\nINSERT INTO ran VALUES (\'table\'); --'
\set key 'k\'"\\\nINSERT INTO ran VALUES (\'key\'); --'
\set stock '^s\'"\\\nINSERT INTO ran VALUES (\'stock\'); --'
\set column 'c\'"\\\rINSERT INTO ran VALUES (\'column\'); --'
\set trigger 't\'"\\\nINSERT INTO ran VALUES (\'trigger\'); --'
\set function 'f\'"\\\nINSERT INTO ran VALUES (\'function\'); --'
\set words 'f: INSERT INTO ran VALUES (\'words\'); --'
\set constraint 'c\'"\\\r\nINSERT INTO ran VALUES (\'constraint\'); --'
\set index 'i\'"\\\nINSERT INTO ran VALUES (\'index\'); --'
\set rule 'r\'"\\\nINSERT INTO ran VALUES (\'rule\'); --'
\set domain 'd\'"\\\nINSERT INTO ran VALUES (\'domain\'); --'
\set child 'c\'"\\\nINSERT INTO ran VALUES (\'child\'); --'
\set partition 'p\'"\\\nINSERT INTO ran VALUES (\'partition\'); --'
CREATE SCHEMA :"schema";
SET search_path = :"schema", public;
CREATE FUNCTION :"function"() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF random() > 2 THEN RETURN NULL; END IF; RETURN NEW; END';
CREATE FUNCTION :"words"() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF random() > 2 THEN RETURN NULL; END IF; RETURN NEW; END';

CREATE DOMAIN :"domain" AS integer;
ALTER DOMAIN :"domain" ADD CONSTRAINT :"constraint" CHECK (value >= 0) NOT VALID;
CREATE TABLE of_domain (:"key" integer CONSTRAINT :"constraint" PRIMARY KEY DEFERRABLE,
    :"stock" :"domain");

CREATE TABLE :"table" (:"key" integer, :"stock" smallint, :"column" integer,
    CONSTRAINT :"index" UNIQUE (:"key") INCLUDE (:"stock", :"column"))
    WITH (autovacuum_enabled = off);
ALTER TABLE :"table" ADD CONSTRAINT :"constraint" CHECK (:"stock" >= 0) NOT VALID;
CREATE INDEX ON :"table" (:"column") INCLUDE (:"stock", :"key");
CREATE INDEX ON :"table" (:"stock");
CREATE TABLE :"child" () INHERITS (:"table");
CREATE UNIQUE INDEX ON :"child" (:"stock", :"key");
CREATE UNLOGGED TABLE unlogged () INHERITS (:"table");
CREATE TRIGGER :"trigger" BEFORE UPDATE ON :"table" EXECUTE FUNCTION :"function"();
CREATE TRIGGER :"trigger" BEFORE UPDATE ON :"child"
    FOR EACH ROW EXECUTE FUNCTION :"function"();
CREATE TRIGGER :"words" BEFORE UPDATE ON :"child"
    FOR EACH ROW EXECUTE FUNCTION :"words"();
CREATE RULE :"rule" AS ON UPDATE TO :"table" WHERE new.:"column" = 7 DO ALSO NOTHING;
INSERT INTO :"table" SELECT g, 32000 FROM generate_series(1, 100) AS g;
INSERT INTO :"table" VALUES (0, NULL);

CREATE TABLE parted (:"key" integer, :"stock" integer) PARTITION BY RANGE (:"key");
CREATE UNLOGGED TABLE :"partition" PARTITION OF parted
    FOR VALUES FROM (1) TO (100) WITH (autovacuum_enabled = off);
CREATE UNIQUE INDEX ON parted (:"key") INCLUDE (:"stock");
INSERT INTO parted VALUES (1, -1), (2, -1), (3, NULL);

CREATE TABLE :"column" (:"key" integer PRIMARY KEY, stock integer);
CREATE TABLE renamed (id integer PRIMARY KEY, stock integer);
CREATE TABLE unindexed (:"key" integer, :"stock" integer, CONSTRAINT u UNIQUE (:"key"));
CREATE TABLE ruled (id integer PRIMARY KEY, stock integer);
ANALYZE :"table", parted;
SELECT count(purchase_attach(name::regclass, :'stock', :'key')) AS attached
FROM unnest(ARRAY['of_domain', quote_ident(:'table'), 'parted', 'unindexed']) AS name;
SELECT count(purchase_attach(name)) AS attached FROM unnest('{renamed,ruled}'::regclass[]) AS name;
ALTER TABLE renamed RENAME id TO :"key";
ALTER TABLE renamed RENAME stock TO :"stock";
ALTER TABLE unindexed DROP CONSTRAINT u;
SET client_min_messages = error;
CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'update');
SET client_min_messages = warning;
CREATE RULE :"rule" AS ON UPDATE TO ruled DO INSTEAD NOTHING;
SELECT set_config('search_path', 'public', false);

CREATE VIEW hostile AS
    SELECT c.relname, d.*, replace(regexp_replace(remedy, '^-- [^:]*: ', ''),
                                   'your_role', 'regress_purchase_seller') AS sql
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace,
    purchase_check(c.oid) WITH ORDINALITY AS d (severity, finding, remedy, n)
    WHERE n.nspname = :'schema' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND c.relname NOT IN (:'child', 'unlogged');
SELECT remedy FROM hostile WHERE finding ~ 'not attached|no column|contains the stock'
ORDER BY relname, n;
SELECT count(*) AS remedies, count(*) FILTER (WHERE finding || remedy ~ '[\n\r]') AS lines
FROM hostile;
\set ECHO none
SELECT remedy FROM hostile ORDER BY relname, n \gexec
\set ECHO all
SELECT * FROM ran;
-- now with the comments taken off
\pset format unaligned
\pset tuples_only on
SELECT sql FROM hostile ORDER BY relname, n \g :file
\set ECHO none
\i :file
\set ECHO all
\pset format aligned
\pset tuples_only off
SELECT * FROM ran;
SELECT relname, finding FROM hostile ORDER BY relname, n;

SET client_min_messages = error;
DROP VIEW hostile;
DROP EXTENSION purchase;
DROP SCHEMA :"schema" CASCADE;
DROP TABLE ran;
DROP PUBLICATION p;
DROP ROLE regress_purchase_seller;
