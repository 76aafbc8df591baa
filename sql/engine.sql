-- Which engine serves, and why. The same results from both is what the other
-- scripts show: each runs with either one.
CREATE EXTENSION purchase;
SET purchase.engine = auto;
CREATE TABLE p (id integer PRIMARY KEY, stock integer NOT NULL, z integer);
INSERT INTO p VALUES (1, 100);
SELECT purchase_attach('p');
CREATE VIEW engine AS SELECT stock_table, engine, reason
    FROM purchase_stock_tables ORDER BY stock_table::text;
TABLE engine;

CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER row_trigger BEFORE UPDATE ON p FOR EACH ROW EXECUTE FUNCTION noop();
TABLE engine;
SELECT purchase(1, 1);
CREATE TRIGGER statement_trigger AFTER UPDATE ON p EXECUTE FUNCTION noop();
TABLE engine;
SELECT purchase(1, 1);
DROP TRIGGER statement_trigger ON p;
CREATE TRIGGER transition_trigger AFTER UPDATE ON p
    REFERENCING NEW TABLE AS n FOR EACH ROW EXECUTE FUNCTION noop();
TABLE engine;
DROP TRIGGER transition_trigger ON p;
CREATE RULE r AS ON UPDATE TO p WHERE new.z = 7 DO ALSO NOTHING;
TABLE engine;
DROP RULE r ON p;
CREATE TABLE child () INHERITS (p);
TABLE engine;
DROP TABLE child;
ALTER TABLE p ENABLE ROW LEVEL SECURITY;
TABLE engine;
ALTER TABLE p FORCE ROW LEVEL SECURITY;
TABLE engine;
CREATE ROLE regress_purchase_guest;
GRANT SELECT ON engine TO regress_purchase_guest;
ALTER VIEW engine OWNER TO regress_purchase_guest;
GRANT SELECT, UPDATE ON p TO regress_purchase_guest;
SET ROLE regress_purchase_guest;
TABLE engine;
SELECT purchase(1, 1);
RESET ROLE;
CREATE POLICY pol ON p USING (id = 1);
SET ROLE regress_purchase_guest;
SELECT purchase(1, 1);
SET purchase.engine = row;
RESET ROLE;
ALTER VIEW engine OWNER TO CURRENT_USER;
ALTER TABLE p DISABLE ROW LEVEL SECURITY;
DROP POLICY pol ON p;

ALTER TABLE p DROP CONSTRAINT p_pkey;
ALTER TABLE p ADD PRIMARY KEY (id) DEFERRABLE;
TABLE engine;
CREATE UNIQUE INDEX at_once ON p (id);
TABLE engine;
CREATE DOMAIN level AS integer CHECK (value >= 0);
ALTER TABLE p ALTER stock TYPE level;
TABLE engine;
SELECT purchase(1, 1);
ALTER TABLE p ALTER stock TYPE integer;

CREATE TABLE parts (id integer PRIMARY KEY, stock integer) PARTITION BY HASH (id);
CREATE TABLE parts0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts SELECT g, 10 FROM generate_series(1, 10) g;
SELECT purchase_attach('parts');
SELECT purchase_attach('parts0');
CREATE VIEW pv AS SELECT id AS sku, stock AS units FROM p WITH CHECK OPTION;
SELECT purchase_attach('pv', 'units', 'sku');
TABLE engine;
SELECT purchase(1, 3, 'pv'), purchase(2, 3, 'parts');
SELECT purchase_try(1, 100, 'pv'), purchase_try(11, 1, 'parts');
SELECT sum(stock) FROM parts;

-- a column or an index decides, too
CREATE TABLE weird (
    "Key ""of"" it" varchar(10) COLLATE "C" UNIQUE,
    "Stock; --" bigint NOT NULL
);
INSERT INTO weird VALUES ('a''b"c', 7);
SELECT purchase_attach('weird', 'Stock; --', 'Key "of" it');
SELECT purchase('a''b"c', 2, 'weird');
SELECT purchase('a''b"', 2, 'weird');
SELECT purchase('far longer than ten characters', 2, 'weird');

-- a domain over a type of an extension: what "equal" means can't be taken over
CREATE SCHEMA ext;
CREATE EXTENSION citext SCHEMA ext;
CREATE DOMAIN sku AS ext.citext CHECK (value ~ '^[a-z]'::ext.citext);
CREATE TABLE d (id sku PRIMARY KEY, stock integer);
INSERT INTO d VALUES ('x', 10), ('y', 10);
SELECT purchase_attach('d');
CREATE FUNCTION ext.eq2(sku, ext.citext) RETURNS boolean LANGUAGE plpgsql
    AS 'BEGIN RAISE EXCEPTION ''taken over''; END';
CREATE OPERATOR ext.= (LEFTARG = sku, RIGHTARG = ext.citext, FUNCTION = ext.eq2);
SELECT purchase('X', 1, 'd'), purchase_try('7', 1, 'd');
SET purchase.engine = sql;
SELECT purchase('X', 1, 'd'), purchase_try('7', 1, 'd');
SET purchase.engine = auto;
SELECT purchase_detach('d');
DROP TABLE d;
\set VERBOSITY terse
DROP SCHEMA ext CASCADE;
\set VERBOSITY default

-- forced
SET purchase.engine = row;
SELECT purchase(1, 1);
SELECT purchase(1, 1, 'parts');
SET purchase.engine = sql;
SELECT purchase(1, 1);
TABLE engine;
SET purchase.engine = nonsense;
RESET purchase.engine;
SET purchase.lock_wait = '2min';
SHOW purchase.lock_wait;
\set VERBOSITY sqlstate
SET purchase.lock_wait = -2;
\set VERBOSITY default
RESET purchase.lock_wait;
SET purchase.no_such_setting = 1;

DROP VIEW engine, pv;
DROP TABLE p, parts, weird;
DROP DOMAIN level;
DROP FUNCTION noop;
DROP ROLE regress_purchase_guest;
DROP EXTENSION purchase;
