-- Carts: all lines or none, in key order, each product once.
\set SHOW_CONTEXT never
\set show_state '\\echo :LAST_ERROR_SQLSTATE'
CREATE EXTENSION purchase;
CREATE TABLE p (id integer PRIMARY KEY, stock integer CHECK (stock <> 77));
INSERT INTO p SELECT g, g FROM generate_series(0, 100) g WHERE g <> 77;
INSERT INTO p VALUES (101, NULL);
SELECT purchase_attach('p');

SELECT * FROM purchase_cart(ARRAY[50, 30, 40], ARRAY[1, 2, 3]);
SELECT * FROM purchase_cart('{50, 30, 40}', '{1, 2, 3}');
SELECT * FROM purchase_cart('{50, 30, 40}', '{1, 2, 3}', 'p');
-- a product that comes twice is one line
SELECT * FROM purchase_cart(ARRAY[5, 3, 5, 5], ARRAY[1, 1, 2, 2]);
SELECT * FROM purchase_cart(ARRAY[6, 6], ARRAY[4, 4]);
:show_state
SELECT * FROM purchase_cart(ARRAY['07', '7'], ARRAY[4, 3]);
-- nothing
SELECT * FROM purchase_cart('{}', '{}');
SELECT * FROM purchase_try_cart('{}'::bigint[], '{}');

-- one error for all; what is definitive comes first
SELECT * FROM purchase_cart(ARRAY[10, 11, 0], ARRAY[1, 99, 1]);
:show_state
SELECT * FROM purchase_cart(ARRAY[10, 11, 0, 999], ARRAY[1, 99, 1, 1]);
:show_state
SELECT * FROM purchase_cart(ARRAY[10, 11, 12], ARRAY[99, 1, 99]);
:show_state
SELECT * FROM purchase_cart(ARRAY[10, 11], ARRAY[1, 99]);
:show_state
SELECT * FROM purchase_try_cart(ARRAY[12, 10, 11, 0, 999], ARRAY[1, 10, 99, 1, 1]);
SELECT * FROM purchase_try_cart(ARRAY[12, 10], ARRAY[1, 10]);
SELECT * FROM purchase_try_cart('{12, 99999999999}', '{1, 1}');
SELECT count(*) FROM p WHERE id BETWEEN 10 AND 12 AND stock = id;

-- the same at REPEATABLE READ
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM purchase_try_cart(ARRAY[12, 11, 0], ARRAY[1, 99, 1]);
SELECT * FROM purchase_try_cart(ARRAY[12, 13], ARRAY[1, 1]);
SELECT * FROM purchase_try_cart(ARRAY[12, 11, 0, 999], ARRAY[1, 99, 1, 1]);
SELECT * FROM purchase_cart(ARRAY[12, 11, 0, 999], ARRAY[1, 99, 1, 1]);
:show_state
ROLLBACK;

-- bad arguments
SELECT * FROM purchase_cart(NULL::bigint[], '{1}');
SELECT * FROM purchase_cart('{1}', NULL);
:show_state
SELECT * FROM purchase_cart('{1, NULL}', '{1, 1}');
:show_state
SELECT * FROM purchase_cart('{1}', '{NULL}');
SELECT * FROM purchase_cart('{1, 2}', '{1}');
:show_state
SELECT * FROM purchase_cart('{{1, 2}}', '{1, 2}');
SELECT * FROM purchase_cart('{1, 2}', '{{1, 2}}');
SELECT * FROM purchase_cart('{1, 2}', '{1, 0}');
SELECT * FROM purchase_cart('{1, 1}', '{9223372036854775807, 1}');
:show_state
SELECT * FROM purchase_cart('{1, x}', '{1, 1}');
SELECT * FROM purchase_cart('not an array', '{1, 1}');
SELECT * FROM purchase_cart('{20, 101}', '{1, 1}');
SELECT * FROM purchase_cart('{20, 21, 78}', '{1, 1, 1}');
SELECT count(*) FROM p WHERE id IN (20, 21, 78) AND stock = id;

-- other keys; equal in the sense of the key's type
CREATE TABLE u (id uuid PRIMARY KEY, stock bigint);
INSERT INTO u SELECT ('00000000-0000-0000-0000-00000000000' || g)::uuid, 5 FROM generate_series(1, 3) g;
SELECT purchase_attach('u');
SELECT * FROM purchase_cart(ARRAY['00000000-0000-0000-0000-000000000002',
    '00000000-0000-0000-0000-000000000001']::uuid[], ARRAY[1, 1], 'u');
CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE t (sku text COLLATE no_case PRIMARY KEY, stock smallint);
INSERT INTO t VALUES ('Apple', 5), ('pear', 5);
SELECT purchase_attach('t');
SELECT * FROM purchase_cart(ARRAY['pear', 'APPLE', 'apple'], ARRAY[1, 3, 2], 't');
SELECT * FROM purchase_cart(ARRAY['PEAR', 'pear'], ARRAY[3, 2], 't');
TABLE t;

-- a cascade of the first line changes the row of the second
CREATE TABLE heir (id integer PRIMARY KEY, stock integer UNIQUE,
    r integer REFERENCES heir (stock) ON UPDATE CASCADE);
INSERT INTO heir VALUES (1, 10, 10), (2, 20, 10), (3, 30, 20);
SELECT purchase_attach('heir');
SELECT * FROM purchase_cart('{1,2,3}', '{1,1,1}', 'heir');
SELECT * FROM purchase_try_cart('{1,2,3}', '{1,1,1}', 'heir');
SELECT * FROM heir ORDER BY id;
DROP TABLE heir;

-- a trigger sells what a later line of the same cart wants: nothing is sold
-- twice, whichever engine writes
CREATE FUNCTION bundle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id = 60 THEN PERFORM purchase(61, 61); END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER bundle AFTER UPDATE ON p FOR EACH ROW EXECUTE FUNCTION bundle();
SELECT * FROM purchase_cart(ARRAY[60, 61], ARRAY[1, 1]);
:show_state
SELECT * FROM purchase_cart(ARRAY[60, 59], ARRAY[1, 1]);
SELECT * FROM p WHERE id BETWEEN 59 AND 61 ORDER BY id;
UPDATE p SET stock = 100 WHERE id = 61;
SELECT * FROM purchase_cart(ARRAY[60, 61], ARRAY[1, 1]);
DROP TRIGGER bundle ON p;
CREATE TRIGGER bundle BEFORE UPDATE ON p FOR EACH ROW EXECUTE FUNCTION bundle();
UPDATE p SET stock = 100 WHERE id = 61;
SELECT * FROM purchase_cart(ARRAY[60, 61], ARRAY[1, 1]);
SELECT * FROM p WHERE id BETWEEN 59 AND 61 ORDER BY id;

DROP TABLE p, u, t;
DROP FUNCTION bundle;
DROP COLLATION no_case;
DROP EXTENSION purchase;
