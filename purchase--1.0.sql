/* purchase--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION purchase" to load this file. \quit

--
-- Registrations. Read by everyone; written by purchase_attach and
-- purchase_detach, and by the extension's owner, who restores a dump.
--
CREATE TABLE purchase_registration (
    stock_table regclass PRIMARY KEY,
    key_column name NOT NULL,
    stock_column name NOT NULL,
    is_default boolean NOT NULL,
    lock_wait integer CHECK (lock_wait >= -1)  -- ms; null: as purchase.lock_wait
);
CREATE UNIQUE INDEX purchase_registration_default
    ON purchase_registration (is_default) WHERE is_default;
COMMENT ON TABLE purchase_registration IS
    'tables attached with purchase_attach';

-- a dropped table has no name to dump
SELECT pg_catalog.pg_extension_config_dump('purchase_registration',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) stock_table)');

-- Who owned the default table last, by name; no row if there never was one.
CREATE TABLE purchase_default_owner (owner name NOT NULL);
COMMENT ON TABLE purchase_default_owner IS
    'the role that owned the default stock table last, and may choose another';
SELECT pg_catalog.pg_extension_config_dump('purchase_default_owner', '');

-- The owner of a database restores its dump, whoever created the extension.
GRANT SELECT ON purchase_registration, purchase_default_owner TO PUBLIC;
GRANT INSERT, UPDATE, DELETE ON purchase_registration, purchase_default_owner
    TO @extowner@, pg_database_owner;

CREATE FUNCTION purchase_registration_changed() RETURNS trigger
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION purchase_registration_changed() IS
    'tells all sessions that the registrations changed';

CREATE TRIGGER purchase_registration_changed
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON purchase_registration
    FOR EACH STATEMENT EXECUTE FUNCTION purchase_registration_changed();
ALTER TABLE purchase_registration
    ENABLE ALWAYS TRIGGER purchase_registration_changed;

CREATE FUNCTION purchase_attach(stock_table regclass,
    stock_column name DEFAULT 'stock', key_column name DEFAULT NULL,
    is_default boolean DEFAULT NULL, lock_wait text DEFAULT NULL)
    RETURNS void AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_attach(regclass, name, name, boolean, text) IS
    'attaches a table, so that its stock can be sold; the key is its primary key unless named, and lock_wait holds where purchase.lock_wait is not set';

CREATE FUNCTION purchase_detach(stock_table regclass)
    RETURNS void AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_detach(regclass) IS
    'forgets an attached table and takes its guard away; its stock stays as it is';

CREATE FUNCTION purchase_guard_stock() RETURNS trigger
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION purchase_guard_stock() IS
    'refuses a change of a guarded stock (SK005); a trigger of purchase_guard';

CREATE FUNCTION purchase_guard(stock_table regclass,
    enabled boolean DEFAULT true)
    RETURNS void AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_guard(regclass, boolean) IS
    'lets nothing but purchase change the stock of existing rows; other statements raise SK005 (stock guarded)';

CREATE FUNCTION purchase_stock_table_engine(stock_table regclass,
    OUT engine text, OUT reason text)
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_stock_table_engine(regclass) IS
    'the engine that serves the current user on an attached table, and why not the row engine';

CREATE VIEW purchase_stock_tables AS
    SELECT r.stock_table, r.key_column, r.stock_column, r.is_default,
           r.lock_wait, e.engine, e.reason
    FROM purchase_registration AS r,
         LATERAL purchase_stock_table_engine(r.stock_table) AS e;
COMMENT ON VIEW purchase_stock_tables IS
    'attached tables, with the engine that serves the current user and why';
GRANT SELECT ON purchase_stock_tables TO PUBLIC;

--
-- Sales. Not STRICT: a NULL quantity must not silently sell nothing.
--
CREATE FUNCTION purchase(product_id bigint, qty bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_bigint'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase(bigint, bigint, regclass) IS
    'sells a quantity of a product and returns what remains, or raises SK001 (product not found), SK002 (out of stock), SK003 (insufficient quantity) or 55P03 (busy)';

CREATE FUNCTION purchase(product_id uuid, qty bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_uuid'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase(uuid, bigint, regclass) IS
    'sells a quantity of a product and returns what remains, or raises SK001 (product not found), SK002 (out of stock), SK003 (insufficient quantity) or 55P03 (busy)';

CREATE FUNCTION purchase(product_id text, qty bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_text'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase(text, bigint, regclass) IS
    'sells a quantity of a product and returns what remains, or raises SK001 (product not found), SK002 (out of stock), SK003 (insufficient quantity) or 55P03 (busy)';

CREATE FUNCTION purchase_try(product_id bigint, qty bigint,
    stock_table regclass DEFAULT NULL,
    OUT outcome text, OUT remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_try_bigint'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_try(bigint, bigint, regclass) IS
    'sells a quantity of a product, or says why not without raising: sold, product_not_found, out_of_stock, insufficient_quantity or busy';

CREATE FUNCTION purchase_try(product_id uuid, qty bigint,
    stock_table regclass DEFAULT NULL,
    OUT outcome text, OUT remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_try_uuid'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_try(uuid, bigint, regclass) IS
    'sells a quantity of a product, or says why not without raising: sold, product_not_found, out_of_stock, insufficient_quantity or busy';

CREATE FUNCTION purchase_try(product_id text, qty bigint,
    stock_table regclass DEFAULT NULL,
    OUT outcome text, OUT remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_try_text'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_try(text, bigint, regclass) IS
    'sells a quantity of a product, or says why not without raising: sold, product_not_found, out_of_stock, insufficient_quantity or busy';

CREATE FUNCTION purchase_restock(product_id bigint, qty bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_restock_bigint'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_restock(bigint, bigint, regclass) IS
    'adds a quantity to a product and returns the new stock; waits for the row lock';

CREATE FUNCTION purchase_restock(product_id uuid, qty bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_restock_uuid'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_restock(uuid, bigint, regclass) IS
    'adds a quantity to a product and returns the new stock; waits for the row lock';

CREATE FUNCTION purchase_restock(product_id text, qty bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_restock_text'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_restock(text, bigint, regclass) IS
    'adds a quantity to a product and returns the new stock; waits for the row lock';

CREATE FUNCTION purchase_set_stock(product_id bigint, stock bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_set_stock_bigint'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_set_stock(bigint, bigint, regclass) IS
    'sets the stock of a product to what was counted and returns what it was before; waits for the row lock';

CREATE FUNCTION purchase_set_stock(product_id uuid, stock bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_set_stock_uuid'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_set_stock(uuid, bigint, regclass) IS
    'sets the stock of a product to what was counted and returns what it was before; waits for the row lock';

CREATE FUNCTION purchase_set_stock(product_id text, stock bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_set_stock_text'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_set_stock(text, bigint, regclass) IS
    'sets the stock of a product to what was counted and returns what it was before; waits for the row lock';

CREATE FUNCTION purchase_available(product_id bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_available_bigint'
    LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_available(bigint, regclass) IS
    'the stock of a product, read without a lock';

CREATE FUNCTION purchase_available(product_id uuid,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_available_uuid'
    LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_available(uuid, regclass) IS
    'the stock of a product, read without a lock';

CREATE FUNCTION purchase_available(product_id text,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_available_text'
    LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_available(text, regclass) IS
    'the stock of a product, read without a lock';

--
-- Carts. The text form takes an array as text: it is the one that an untyped
-- parameter resolves to.
--
CREATE FUNCTION purchase_cart(product_ids bigint[], qtys bigint[],
    stock_table regclass DEFAULT NULL)
    RETURNS TABLE (product_id bigint, qty bigint, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_cart_array'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_cart(bigint[], bigint[], regclass) IS
    'sells all lines of a cart, or raises one error that names every line that failed';

CREATE FUNCTION purchase_cart(product_ids uuid[], qtys bigint[],
    stock_table regclass DEFAULT NULL)
    RETURNS TABLE (product_id uuid, qty bigint, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_cart_array'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_cart(uuid[], bigint[], regclass) IS
    'sells all lines of a cart, or raises one error that names every line that failed';

CREATE FUNCTION purchase_cart(product_ids text[], qtys bigint[],
    stock_table regclass DEFAULT NULL)
    RETURNS TABLE (product_id text, qty bigint, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_cart_array'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_cart(text[], bigint[], regclass) IS
    'sells all lines of a cart, or raises one error that names every line that failed';

CREATE FUNCTION purchase_cart(product_ids text, qtys bigint[],
    stock_table regclass DEFAULT NULL)
    RETURNS TABLE (product_id text, qty bigint, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_cart_text'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_cart(text, bigint[], regclass) IS
    'sells all lines of a cart, or raises one error that names every line that failed';

CREATE FUNCTION purchase_try_cart(product_ids bigint[], qtys bigint[],
    stock_table regclass DEFAULT NULL)
    RETURNS TABLE (product_id bigint, qty bigint, outcome text, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_try_cart_array'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_try_cart(bigint[], bigint[], regclass) IS
    'sells all lines of a cart, or none and says of each line why not, without raising';

CREATE FUNCTION purchase_try_cart(product_ids uuid[], qtys bigint[],
    stock_table regclass DEFAULT NULL)
    RETURNS TABLE (product_id uuid, qty bigint, outcome text, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_try_cart_array'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_try_cart(uuid[], bigint[], regclass) IS
    'sells all lines of a cart, or none and says of each line why not, without raising';

CREATE FUNCTION purchase_try_cart(product_ids text[], qtys bigint[],
    stock_table regclass DEFAULT NULL)
    RETURNS TABLE (product_id text, qty bigint, outcome text, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_try_cart_array'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_try_cart(text[], bigint[], regclass) IS
    'sells all lines of a cart, or none and says of each line why not, without raising';

CREATE FUNCTION purchase_try_cart(product_ids text, qtys bigint[],
    stock_table regclass DEFAULT NULL)
    RETURNS TABLE (product_id text, qty bigint, outcome text, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_try_cart_text'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_try_cart(text, bigint[], regclass) IS
    'sells all lines of a cart, or none and says of each line why not, without raising';

--
-- The doctor. Its remedies are statements to be pasted; where only the owner
-- can judge what may go, the statement stands behind "-- if ...:".
--
CREATE FUNCTION purchase_check_table(relid regclass, key_column name,
    stock_column name, engine text, reason text)
    RETURNS TABLE (severity text, finding text, remedy text)
    LANGUAGE SQL STABLE PARALLEL UNSAFE ROWS 10
    SET search_path = pg_catalog, pg_temp
AS $$
WITH RECURSIVE
-- the table, if it fits its registration
t AS (
    SELECT c.oid, c.relkind, c.relam, c.relowner, c.relrowsecurity,
           c.oid::regclass::text AS name,
           k.attnum AS key_attno,
           s.attnum AS stock_attno, s.atttypid,
           s.attnotnull OR y.typnotnull AS stock_not_null,
           c.relkind IN ('r', 'p') AS is_table
    FROM pg_class AS c
    JOIN pg_attribute AS k ON k.attrelid = c.oid AND k.attname = key_column
    JOIN pg_attribute AS s ON s.attrelid = c.oid AND s.attname = stock_column
    JOIN pg_type AS y ON y.oid = s.atttypid
    WHERE c.oid = relid AND engine IS NOT NULL
),
-- it and the tables below it, partitions or heirs
tree AS (
    SELECT t.oid FROM t
    UNION
    SELECT i.inhrelid FROM tree JOIN pg_inherits AS i ON i.inhparent = tree.oid
),
member AS (
    SELECT c.*, c.oid::regclass::text AS name, s.attnum AS stock_attno
    FROM tree
    JOIN pg_class AS c ON c.oid = tree.oid AND c.relkind IN ('r', 'p')
    JOIN pg_attribute AS s ON s.attrelid = c.oid AND s.attname = stock_column
),
-- the names as regular expressions, and a number that is not negative
pattern AS (
    SELECT format('(%1$s|[(]%1$s[)]::(smallint|integer|bigint)|VALUE)',
                  regexp_replace(quote_ident(stock_column), '[^[:alnum:]_]',
                                 E'[\\&]', 'g')) AS stock,
           '([0-9]+|''[0-9]+''::[a-z]+|[(][0-9]+[)]::[a-z]+)' AS number,
           format('(^|[^[:alnum:]_])%s([^[:alnum:]_]|$)',
                  regexp_replace(stock_column, '[^[:alnum:]_]',
                                 E'[\\&]', 'g')) AS word
),
-- CHECKs, of the table or of the column's domain, that imply stock >= 0
floor AS (
    SELECT c.conname, c.convalidated, c.conrelid
    FROM t
    JOIN pg_constraint AS c ON t.oid = c.conrelid OR t.atttypid = c.contypid,
    pattern AS p,
    format('[(](%1$s >=? %2$s|%2$s <=? %1$s|%1$s > ''-1''::[a-z]+)[)]',
           p.stock, p.number) AS atom,
    pg_get_expr(c.conbin, c.conrelid) AS expr
    WHERE c.contype = 'c'
      AND expr ~ format('^(%1$s|[(](.* AND )?%1$s( AND .*)?[)])$', atom)
      AND expr !~ ' OR |NOT |CASE '
      AND pg_get_constraintdef(c.oid) !~ 'NOT ENFORCED$'
),
-- what ANALYZE knows of the values; the view hides what the caller can't read
sample AS MATERIALIZED (
    SELECT s.null_frac, s.most_common_vals::text AS common,
           s.histogram_bounds::text AS bounds
    FROM member AS m
    JOIN pg_namespace AS n ON n.oid = m.relnamespace
    JOIN pg_stats AS s ON s.schemaname = n.nspname
        AND s.tablename = m.relname AND s.attname = stock_column
),
known AS (
    SELECT max(s.null_frac) > 0 AS nulls, min(v) AS lowest, max(v) AS highest
    FROM sample AS s
    LEFT JOIN LATERAL unnest(s.common::bigint[] || s.bounds::bigint[]) AS v
        ON true
),
-- indexes that any change of the stock must write; since 16, a summarizing one
-- such as BRIN leaves the others alone
stock_index AS (
    SELECT i.indexrelid, i.indisunique, m.oid AS table_oid,
           m.name AS table_name, i.indexrelid::regclass::text AS name,
           con.conname, pg_get_constraintdef(con.oid) AS condef,
           format('CREATE %sINDEX', CASE WHEN i.indisunique THEN 'UNIQUE ' END) AS make,
           quote_ident(c.relname) AS simple_name,
           CASE WHEN c.relkind = 'i' THEN ' CONCURRENTLY' END AS online,
           NOT m.stock_attno = ANY ((i.indkey::smallint[])[:i.indnkeyatts - 1])
               AND i.indexprs IS NULL AND i.indpred IS NULL AS only_included,
           (SELECT format(' INCLUDE (%s)',
                          string_agg(quote_ident(a.attname), ', ' ORDER BY k.n))
            FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, n)
            JOIN pg_attribute AS a ON a.attrelid = m.oid AND a.attnum = k.attnum
            WHERE k.n > i.indnkeyatts AND k.attnum <> m.stock_attno
            HAVING count(*) > 0) AS other_included
    FROM member AS m
    JOIN pg_index AS i ON i.indrelid = m.oid AND i.indislive
    JOIN pg_class AS c ON c.oid = i.indexrelid AND NOT c.relispartition
    JOIN pg_am AS am ON am.oid = c.relam
    LEFT JOIN pg_constraint AS con ON con.conindid = i.indexrelid
        AND con.conrelid = m.oid AND con.contype IN ('p', 'u', 'x')
    WHERE (m.stock_attno = ANY (i.indkey::smallint[])
           OR EXISTS (SELECT FROM pg_depend AS d
                      WHERE d.classid = 'pg_class'::regclass
                        AND d.objid = i.indexrelid
                        AND d.refclassid = 'pg_class'::regclass
                        AND d.refobjid = m.oid
                        AND d.refobjsubid = m.stock_attno))
      AND NOT (am.amname = 'brin'
               AND current_setting('server_version_num')::integer >= 160000)
),
-- the definitions of those that only include it, without it
rebuilt_index AS (
    SELECT i.*, regexp_replace(condef, included, coalesce(other_included, '')) AS new_condef,
           format('%s%s ON %s', make, online,
                  regexp_replace(regexp_replace(
                      substr(pg_get_indexdef(indexrelid),
                             length(format('%s %s ON .', make, simple_name))),
                      '^ONLY ', ''), included, coalesce(other_included, ''))) AS new_def
    FROM stock_index AS i,
    (VALUES (' INCLUDE [(]([^"()]|"([^"]|"")*")*[)]')) AS x (included)
),
-- UPDATE triggers; fires: this UPDATE, in an ordinary session
sale_trigger AS (
    SELECT g.tgrelid, g.tgtype, quote_ident(g.tgname) AS name,
           m.name AS table_name,
           g.tgenabled IN ('O', 'A')
               AND (cardinality(g.tgattr::smallint[]) = 0
                    OR m.stock_attno = ANY (g.tgattr::smallint[])) AS fires,
           coalesce(g.tgoldtable, g.tgnewtable) IS NOT NULL AS has_transition_table,
           f.oid::regprocedure::text AS function, f.prosrc,
           replace(encode(g.tgargs, 'escape'), E'\\000', ' ') AS args
    FROM member AS m
    JOIN pg_trigger AS g ON g.tgrelid = m.oid AND g.tgparentid = 0
        AND NOT g.tgisinternal
    JOIN pg_proc AS f ON f.oid = g.tgfoid
    WHERE g.tgtype & 16 <> 0
),
extension AS (
    SELECT quote_ident(n.nspname) AS schema
    FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
    WHERE e.extname = 'purchase'
),
engine_finding (finding, remedy) AS (
    SELECT 'it is partitioned',
           '-- nothing needs to be done: only a table without partitions can have the row engine'
    FROM t WHERE relkind = 'p'
    UNION ALL
    SELECT CASE relkind WHEN 'v' THEN 'it is a view'
                        ELSE 'it is a foreign table' END,
           '-- nothing needs to be done; or attach the table behind it, which can be checked further'
    FROM t WHERE relkind IN ('v', 'f')
    UNION ALL
    SELECT 'its access method is not heap',
           format('-- if it can do without: ALTER TABLE %s SET ACCESS METHOD heap;', t.name)
    FROM t JOIN pg_am AS am ON am.oid = t.relam
    WHERE relkind = 'r' AND am.amname <> 'heap'
    UNION ALL
    SELECT format('table %s inherits from it', c.name),
           format('-- if it need not: ALTER TABLE %s NO INHERIT %s;', c.name, t.name)
    FROM t
    JOIN pg_inherits AS i ON i.inhparent = t.oid AND t.relkind = 'r',
    format('%s', i.inhrelid::regclass) AS c (name)
    UNION ALL
    SELECT format('it has the rule %I', r.rulename),
           format('-- if a trigger can do its work, or nobody needs it: DROP RULE %I ON %s;',
                  r.rulename, t.name)
    FROM t JOIN pg_rewrite AS r ON r.ev_class = t.oid
    WHERE t.relkind = 'r'
    UNION ALL
    SELECT format(CASE WHEN g.tgtype & 1 = 0 THEN 'it has the statement trigger %s on UPDATE'
                       ELSE 'it has transition tables for trigger %s on UPDATE' END, g.name),
           format('-- if a row trigger can do its work, or nobody needs it: DROP TRIGGER %s ON %s;',
                  g.name, g.table_name)
    FROM t JOIN sale_trigger AS g ON g.tgrelid = t.oid
    WHERE t.relkind = 'r' AND (g.tgtype & 1 = 0 OR g.has_transition_table)
    UNION ALL
    SELECT format('the stock column is of the domain %s', t.atttypid::regtype),
           format('-- if the table has the domain''s constraints: ALTER TABLE %s ALTER COLUMN %I TYPE %s;',
                  t.name, stock_column, y.typbasetype::regtype)
    FROM t JOIN pg_type AS y ON y.oid = t.atttypid
    WHERE t.relkind = 'r' AND y.typtype = 'd'
    UNION ALL
    SELECT format('the unique constraint %I of the key is deferrable', c.conname),
           format('ALTER TABLE %1$s DROP CONSTRAINT %2$I, ADD CONSTRAINT %2$I %3$s;',
                  t.name, c.conname,
                  regexp_replace(pg_get_constraintdef(c.oid),
                                 ' DEFERRABLE( INITIALLY DEFERRED)?$', ''))
    FROM t
    JOIN pg_constraint AS c ON c.conrelid = t.oid AND c.conkey = ARRAY[t.key_attno]
    WHERE t.relkind = 'r' AND c.contype IN ('p', 'u') AND c.condeferrable
      AND NOT EXISTS (SELECT FROM pg_index AS i
                      WHERE i.indrelid = t.oid AND i.indisunique
                        AND i.indimmediate AND i.indisvalid
                        AND i.indnkeyatts = 1 AND i.indkey[0] = t.key_attno
                        AND i.indpred IS NULL)
    UNION ALL
    SELECT 'old_snapshot_threshold is set',
           'ALTER SYSTEM RESET old_snapshot_threshold; -- needs a restart'
    FROM t
    WHERE relkind = 'r' AND current_setting('old_snapshot_threshold', true) <> '-1'
    UNION ALL
    SELECT 'row security applies to some users',
           '-- nothing needs to be done: users it does not apply to have the row engine'
    FROM t WHERE relkind = 'r' AND relrowsecurity
),
found (severity, finding, remedy) AS (
    -- attached?
    SELECT 'error', 'there is no default stock table',
           format('-- name a table that exists: SELECT %s.purchase_attach(''your_table'', is_default => true);', x.schema)
    FROM extension AS x WHERE relid IS NULL
    UNION ALL
    SELECT 'error',
           CASE WHEN key_column IS NULL THEN 'there is no such table'
                ELSE 'the table was dropped' END,
           CASE WHEN key_column IS NULL THEN '-- nothing can be done'
                ELSE format('SELECT %s.purchase_detach(%s);', x.schema, relid::oid) END
    FROM extension AS x
    WHERE relid IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = relid)
    UNION ALL
    SELECT 'error', 'the table is not attached',
           format('SELECT %s.purchase_attach(%L);', x.schema, relid::regclass)
    FROM extension AS x JOIN pg_class AS c ON c.oid = relid
    WHERE key_column IS NULL
    UNION ALL
    SELECT 'error', 'the table no longer fits its registration: ' || rtrim(reason, '.'),
           CASE WHEN c.relkind IN ('r', 'p') AND k.attnum IS NOT NULL
                     AND s.atttypid::regtype IN ('smallint', 'integer', 'bigint')
                     AND s.attgenerated = '' AND s.attidentity <> 'a'
                THEN format('CREATE UNIQUE INDEX ON %s (%I);', relid, key_column)
                ELSE format('-- if other columns are the right ones: SELECT %s.purchase_attach(%L, stock_column => %L, key_column => %L);',
                            x.schema, relid::regclass, stock_column, key_column) END
    FROM extension AS x JOIN pg_class AS c ON c.oid = relid
    LEFT JOIN pg_attribute AS k ON k.attrelid = c.oid AND k.attname = key_column
    LEFT JOIN pg_attribute AS s ON s.attrelid = c.oid AND s.attname = stock_column
    WHERE key_column IS NOT NULL AND engine IS NULL

    -- the stock column
    UNION ALL
    SELECT 'warning',
           'no CHECK keeps the stock from falling below zero by other statements',
           format('ALTER TABLE %1$s ADD CONSTRAINT %2$I CHECK (%3$I >= 0) NOT VALID; ALTER TABLE %1$s VALIDATE CONSTRAINT %2$I;',
                  t.name, left(stock_column, 50) || '_not_negative', stock_column)
    FROM t WHERE is_table AND NOT EXISTS (SELECT FROM floor)
    UNION ALL
    SELECT 'warning', format('constraint %I is not valid: the stock of old rows may be negative', f.conname),
           format('ALTER %s VALIDATE CONSTRAINT %I;',
                  CASE WHEN f.conrelid = 0 THEN format('DOMAIN %s', t.atttypid::regtype)
                       ELSE format('TABLE %s', t.name) END, f.conname)
    FROM t, floor AS f
    WHERE is_table AND NOT EXISTS (SELECT FROM floor WHERE convalidated)
    UNION ALL
    SELECT 'warning', 'the stock of some products is negative',
           format('-- if what was sold too often is settled: UPDATE %1$s SET %2$I = 0 WHERE %2$I < 0; ANALYZE %1$s;',
                  t.name, stock_column)
    FROM t, known
    WHERE is_table AND known.lowest < 0
      AND NOT EXISTS (SELECT FROM floor WHERE convalidated)
    UNION ALL
    SELECT 'error', 'the stock of some products is null: they cannot be sold',
           format('UPDATE %1$s SET %2$I = 0 WHERE %2$I IS NULL; ALTER TABLE %1$s ALTER COLUMN %2$I SET NOT NULL;',
                  t.name, stock_column)
    FROM t, known WHERE is_table AND NOT stock_not_null AND known.nulls
    UNION ALL
    SELECT 'warning', 'the stock can be null, and then the product cannot be sold',
           format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;', t.name, stock_column)
    FROM t, known WHERE is_table AND NOT stock_not_null AND known.nulls IS NOT TRUE
    UNION ALL
    SELECT 'warning', format('constraint %I is not valid: the stock of old rows may be null', c.conname),
           format('ALTER TABLE %s VALIDATE CONSTRAINT %I;', t.name, c.conname)
    FROM t JOIN pg_constraint AS c ON c.conrelid = t.oid AND c.conkey = ARRAY[t.stock_attno]
    WHERE is_table AND c.contype = 'n' AND NOT c.convalidated
    UNION ALL
    SELECT 'warning', format('the stock column will soon be too small: %s of %s', known.highest, y.largest),
           format('%sALTER TABLE %s ALTER COLUMN %I TYPE %s;',
                  CASE WHEN t.atttypid::regtype <> y.type THEN '-- if the table has the domain''s constraints: ' END,
                  t.name, stock_column, y.next)
    FROM t, known,
    (VALUES ('smallint'::regtype, 32767::bigint, 'integer'),
            ('integer', 2147483647, 'bigint')) AS y (type, largest, next)
    WHERE is_table AND known.highest > 0.9 * y.largest
      AND y.type IN (t.atttypid, (SELECT d.typbasetype FROM pg_type AS d WHERE d.oid = t.atttypid))

    -- the cost of a sale
    UNION ALL
    SELECT 'warning',
           format('index %s contains the stock column: no sale can be a HOT update, each writes all indexes', name),
           CASE WHEN only_included AND conname IS NOT NULL
                THEN format('ALTER TABLE %1$s DROP CONSTRAINT %2$I, ADD CONSTRAINT %2$I %3$s;',
                            table_name, conname, new_condef)
                WHEN conname IS NOT NULL
                THEN format('-- if it need not hold: ALTER TABLE %s DROP CONSTRAINT %I;',
                            table_name, conname)
                WHEN only_included
                THEN format('%s; DROP INDEX%s %s;', new_def, online, name)
                WHEN indisunique
                THEN format('-- if it need not hold: DROP INDEX%s %s;', online, name)
                ELSE format('DROP INDEX%s %s;', online, name) END
    FROM rebuilt_index
    UNION ALL
    SELECT 'warning',
           format('%s is busy, but only %s %% of its updates are HOT: fillfactor 100 leaves no room on a page',
                  m.name, round(100.0 * hot / updates)),
           format('ALTER TABLE %s SET (fillfactor = 90); -- for new pages; VACUUM FULL, which locks the table, makes all new', m.name)
    FROM member AS m,
    pg_stat_get_tuples_updated(m.oid) AS updates,
    pg_stat_get_tuples_hot_updated(m.oid) AS hot
    WHERE m.relkind = 'r' AND updates >= 10000 AND hot < 0.9 * updates
      AND NOT EXISTS (SELECT FROM pg_options_to_table(m.reloptions) AS o
                      WHERE o.option_name = 'fillfactor' AND o.option_value::integer < 100)
      AND NOT EXISTS (SELECT FROM stock_index AS i WHERE i.table_oid = m.oid)
    UNION ALL
    SELECT 'warning', format('autovacuum is switched off for %s', m.name),
           format('ALTER TABLE %s RESET (autovacuum_enabled);', m.name)
    FROM member AS m, pg_options_to_table(m.reloptions) AS o
    WHERE o.option_name = 'autovacuum_enabled' AND NOT o.option_value::boolean
    UNION ALL
    SELECT 'warning', format('autovacuum does not run: %s is off', s.name),
           format('ALTER SYSTEM SET %s = on; SELECT pg_reload_conf();', s.name)
    FROM t, pg_settings AS s
    WHERE is_table AND s.name IN ('autovacuum', 'track_counts') AND s.setting = 'off'

    -- the rest
    UNION ALL
    SELECT 'error', format('%s is published without a replica identity: its updates fail', m.name),
           format('ALTER TABLE %s REPLICA IDENTITY %s;', m.name,
                  coalesce((SELECT format('USING INDEX %I', c.relname)
                            FROM pg_index AS i
                            JOIN pg_class AS c ON c.oid = i.indexrelid
                            JOIN pg_attribute AS a ON a.attrelid = m.oid
                                AND a.attname = key_column AND a.attnotnull
                            WHERE i.indrelid = m.oid AND i.indisunique
                              AND i.indimmediate AND i.indisvalid
                              AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
                              AND i.indpred IS NULL
                            ORDER BY c.relname LIMIT 1), 'FULL'))
    FROM member AS m
    WHERE m.relkind = 'r' AND m.relpersistence = 'p' AND m.relreplident <> 'f'
      AND NOT EXISTS (SELECT FROM pg_index AS i
                      WHERE i.indrelid = m.oid AND i.indisvalid
                        AND i.indimmediate
                        AND (m.relreplident = 'i' AND i.indisreplident
                             OR m.relreplident = 'd' AND i.indisprimary))
      AND EXISTS (SELECT FROM pg_publication AS p
                  JOIN pg_class AS c ON c.oid = m.oid
                      OR c.oid IN (SELECT pg_partition_ancestors(m.oid))
                  LEFT JOIN pg_publication_rel AS r
                      ON r.prpubid = p.oid AND r.prrelid = c.oid
                  LEFT JOIN pg_publication_namespace AS n
                      ON n.pnpubid = p.oid AND n.pnnspid = c.relnamespace
                  WHERE p.pubupdate
                    AND (p.puballtables OR r.oid IS NOT NULL OR n.oid IS NOT NULL))
    UNION ALL
    SELECT 'warning', format('%s is unlogged: a crash empties it', m.name),
           format('ALTER TABLE %s SET LOGGED;', m.name)
    FROM member AS m WHERE m.relpersistence = 'u' AND m.relkind = 'r'
    UNION ALL
    SELECT 'info',
           format('row trigger %s of %s may change the stock, or suppress the sale, before it is written',
                  g.name, g.table_name),
           format('-- if %s should not: ALTER TABLE %s DISABLE TRIGGER %s;',
                  g.function, g.table_name, g.name)
    FROM sale_trigger AS g, pattern AS p
    WHERE g.tgtype & 3 = 3 AND g.fires
      AND (g.prosrc ~* p.word OR g.prosrc ~* 'RETURN[[:space:]]+NULL'
           OR g.args ~ p.word)
    UNION ALL
    SELECT 'info', 'nobody but the owner can sell',
           format('-- if others shall: GRANT SELECT (%1$I, %2$I), UPDATE (%2$I) ON %3$s TO your_role;',
                  key_column, stock_column, t.name)
    FROM t
    WHERE NOT EXISTS (
        SELECT FROM (SELECT 'public'::name AS rolname
                     UNION ALL
                     SELECT a.rolname FROM pg_roles AS a
                     WHERE NOT a.rolsuper AND a.oid <> t.relowner) AS a
        WHERE has_column_privilege(a.rolname, t.oid, t.key_attno, 'SELECT')
          AND has_column_privilege(a.rolname, t.oid, t.stock_attno, 'SELECT')
          AND has_column_privilege(a.rolname, t.oid, t.stock_attno, 'UPDATE'))
    UNION ALL
    SELECT 'info', 'the sql engine serves it: ' || e.finding, e.remedy
    FROM engine_finding AS e
    UNION ALL
    SELECT 'info', 'the sql engine serves it: ' || reason,
           CASE reason WHEN 'purchase.engine is sql' THEN 'SET purchase.engine = auto;'
                       ELSE '-- nothing needs to be done' END
    FROM t
    WHERE engine = 'sql'
      AND (reason = 'purchase.engine is sql'
           OR NOT EXISTS (SELECT FROM engine_finding))
)
SELECT severity, finding, remedy
FROM found
ORDER BY array_position('{error,warning,info}'::text[], severity), finding COLLATE "C"
$$;
COMMENT ON FUNCTION purchase_check_table(regclass, name, name, text, text) IS
    'the findings of purchase_check, for a table whose registration and engine are known';

-- Bound to the registrations when it is created, so that the extension can
-- move to another schema.
CREATE FUNCTION purchase_check(stock_table regclass DEFAULT NULL)
    RETURNS TABLE (severity text, finding text, remedy text)
    LANGUAGE SQL STABLE PARALLEL UNSAFE ROWS 10
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT c.severity, c.finding, c.remedy
    FROM (SELECT coalesce($1, (SELECT d.stock_table
                               FROM purchase_registration AS d
                               WHERE d.is_default))) AS t (oid)
    LEFT JOIN purchase_registration AS r
        ON r.stock_table OPERATOR(pg_catalog.=) t.oid,
    LATERAL purchase_stock_table_engine(t.oid) AS e,
    LATERAL purchase_check_table(t.oid, r.key_column, r.stock_column,
                                 e.engine, e.reason) AS c;
END;
COMMENT ON FUNCTION purchase_check(regclass) IS
    'what is wrong with an attached table, or could be better, each with the SQL that mends it';
