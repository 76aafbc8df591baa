-- Put together by make from the parts in src/sql: change those.

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
    lock_wait integer CHECK (lock_wait >= -1),  -- ms; null: as purchase.lock_wait
    -- the most that is allowed; null: as purchase.early_release
    early_release text CHECK (early_release IN ('off', 'local', 'on')),
    sale_table regclass,                        -- null: it keeps no sales
    hold_table regclass,
    limit_column name,                          -- null: no limits per buyer
    CHECK ((sale_table IS NULL) = (hold_table IS NULL))
);
CREATE UNIQUE INDEX purchase_registration_default
    ON purchase_registration (is_default) WHERE is_default;
COMMENT ON TABLE purchase_registration IS
    'tables attached with purchase_attach';

-- a dropped table has no name to dump
SELECT pg_catalog.pg_extension_config_dump('purchase_registration',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) stock_table)');

-- Who owned the default table last, by name; no row if there never was one.
CREATE TABLE purchase_default_owner (owner name PRIMARY KEY);
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

-- for each row: who applies what another server has replicated fires no others
CREATE TRIGGER purchase_registration_changed
    AFTER INSERT OR UPDATE OR DELETE ON purchase_registration
    FOR EACH ROW EXECUTE FUNCTION purchase_registration_changed();
CREATE TRIGGER purchase_registration_truncated
    AFTER TRUNCATE ON purchase_registration
    FOR EACH STATEMENT EXECUTE FUNCTION purchase_registration_changed();
ALTER TABLE purchase_registration
    ENABLE ALWAYS TRIGGER purchase_registration_changed,
    ENABLE ALWAYS TRIGGER purchase_registration_truncated;

CREATE FUNCTION purchase_attach(stock_table regclass,
    stock_column name DEFAULT 'stock', key_column name DEFAULT NULL,
    is_default boolean DEFAULT NULL, lock_wait text DEFAULT NULL,
    early_release text DEFAULT NULL)
    RETURNS void AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_attach(regclass, name, name, boolean, text, text) IS
    'attaches a table, so that its stock can be sold; the key is its primary key unless named, lock_wait holds where purchase.lock_wait is not set, and early_release lowers purchase.early_release for its sales';

CREATE FUNCTION purchase_detach(stock_table regclass)
    RETURNS void AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_detach(regclass) IS
    'forgets an attached table and takes its guard away; its stock stays as it is';

CREATE FUNCTION purchase_distribute(stock_table regclass)
    RETURNS void AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_distribute(regclass) IS
    'on a Citus coordinator, attaches a distributed table on every node, and lets calls be sent to the node that has the product';

CREATE FUNCTION purchase_stock_table_citus(stock_table regclass)
    RETURNS jsonb AS 'MODULE_PATHNAME' LANGUAGE C STRICT STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_stock_table_citus(regclass) IS
    'for purchase_check: where Citus is installed, how an attached table is distributed, whether every node has it attached, and which calls are sent to its nodes';

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
    OUT engine text, OUT reason text, OUT reasons text[])
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_stock_table_engine(regclass) IS
    'the engine that serves the current user on an attached table, and why not the row engine: the first reason, and the codes of all';

CREATE VIEW purchase_stock_tables AS
    SELECT r.stock_table, r.key_column, r.stock_column, r.is_default,
           r.lock_wait, r.early_release, r.sale_table, r.hold_table,
           r.limit_column, e.engine, e.reason
    FROM purchase_registration AS r,
         LATERAL purchase_stock_table_engine(r.stock_table) AS e;
COMMENT ON VIEW purchase_stock_tables IS
    'attached tables, with the engine that serves the current user and why';
GRANT SELECT ON purchase_stock_tables TO PUBLIC;

--
-- The calls, each once for every type of a key: bigint, uuid and text. So \df
-- shows what they take, and a bigint or a uuid needs no conversion. A key
-- without a type, as a literal or a driver's parameter may be, goes to the text
-- form, as PostgreSQL prefers strings, and is read as what the column's type
-- makes of it. A polymorphic form would fail there: "could not determine
-- polymorphic type".
--
-- Not STRICT: a NULL quantity must not silently sell nothing.
--
CREATE FUNCTION purchase(product_id bigint, qty bigint,
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_bigint'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase(bigint, bigint, regclass, text, interval, text) IS
    'sells a quantity of a product, or holds it, and returns what remains, or raises SK001 (product not found), SK002 (out of stock), SK003 (insufficient quantity) or 55P03 (busy)';

CREATE FUNCTION purchase(product_id uuid, qty bigint,
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_uuid'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase(uuid, bigint, regclass, text, interval, text) IS
    'sells a quantity of a product, or holds it, and returns what remains, or raises SK001 (product not found), SK002 (out of stock), SK003 (insufficient quantity) or 55P03 (busy)';

CREATE FUNCTION purchase(product_id text, qty bigint,
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_text'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase(text, bigint, regclass, text, interval, text) IS
    'sells a quantity of a product, or holds it, and returns what remains, or raises SK001 (product not found), SK002 (out of stock), SK003 (insufficient quantity) or 55P03 (busy)';

--
-- A type with a name: for OUT parameters, PostgreSQL would put the row type
-- together anew in each call.
--
CREATE TYPE purchase_try_result AS (outcome text, remaining bigint);
COMMENT ON TYPE purchase_try_result IS
    'what became of a product that was to be sold, and how many are left of it';

CREATE FUNCTION purchase_try(product_id bigint, qty bigint,
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS purchase_try_result AS 'MODULE_PATHNAME', 'purchase_try_bigint'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_try(bigint, bigint, regclass, text, interval, text) IS
    'sells a quantity of a product, or holds it, or says why not without raising: sold, held, product_not_found, out_of_stock, insufficient_quantity or busy';

CREATE FUNCTION purchase_try(product_id uuid, qty bigint,
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS purchase_try_result AS 'MODULE_PATHNAME', 'purchase_try_uuid'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_try(uuid, bigint, regclass, text, interval, text) IS
    'sells a quantity of a product, or holds it, or says why not without raising: sold, held, product_not_found, out_of_stock, insufficient_quantity or busy';

CREATE FUNCTION purchase_try(product_id text, qty bigint,
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS purchase_try_result AS 'MODULE_PATHNAME', 'purchase_try_text'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_try(text, bigint, regclass, text, interval, text) IS
    'sells a quantity of a product, or holds it, or says why not without raising: sold, held, product_not_found, out_of_stock, insufficient_quantity or busy';

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
    'the stock of a product, lapsed holds included, read without a lock';

CREATE FUNCTION purchase_available(product_id uuid,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_available_uuid'
    LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_available(uuid, regclass) IS
    'the stock of a product, lapsed holds included, read without a lock';

CREATE FUNCTION purchase_available(product_id text,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_available_text'
    LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_available(text, regclass) IS
    'the stock of a product, lapsed holds included, read without a lock';

--
-- Carts. Of array types, none is preferred: an array without a type goes to the
-- form for text, too.
--
CREATE FUNCTION purchase_cart(product_ids bigint[], qtys bigint[],
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS TABLE (product_id bigint, qty bigint, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_cart_array'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_cart(bigint[], bigint[], regclass, text, interval, text) IS
    'sells all lines of a cart, or holds them, or raises one error that names every line that failed';

CREATE FUNCTION purchase_cart(product_ids uuid[], qtys bigint[],
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS TABLE (product_id uuid, qty bigint, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_cart_array'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_cart(uuid[], bigint[], regclass, text, interval, text) IS
    'sells all lines of a cart, or holds them, or raises one error that names every line that failed';

CREATE FUNCTION purchase_cart(product_ids text[], qtys bigint[],
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS TABLE (product_id text, qty bigint, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_cart_array'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_cart(text[], bigint[], regclass, text, interval, text) IS
    'sells all lines of a cart, or holds them, or raises one error that names every line that failed';

CREATE FUNCTION purchase_cart(product_ids text, qtys bigint[],
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS TABLE (product_id text, qty bigint, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_cart_text'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_cart(text, bigint[], regclass, text, interval, text) IS
    'sells all lines of a cart, or holds them, or raises one error that names every line that failed';

CREATE FUNCTION purchase_try_cart(product_ids bigint[], qtys bigint[],
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS TABLE (product_id bigint, qty bigint, outcome text, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_try_cart_array'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_try_cart(bigint[], bigint[], regclass, text, interval, text) IS
    'sells all lines of a cart, or holds them, or none and says of each line why not, without raising';

CREATE FUNCTION purchase_try_cart(product_ids uuid[], qtys bigint[],
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS TABLE (product_id uuid, qty bigint, outcome text, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_try_cart_array'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_try_cart(uuid[], bigint[], regclass, text, interval, text) IS
    'sells all lines of a cart, or holds them, or none and says of each line why not, without raising';

CREATE FUNCTION purchase_try_cart(product_ids text[], qtys bigint[],
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS TABLE (product_id text, qty bigint, outcome text, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_try_cart_array'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_try_cart(text[], bigint[], regclass, text, interval, text) IS
    'sells all lines of a cart, or holds them, or none and says of each line why not, without raising';

CREATE FUNCTION purchase_try_cart(product_ids text, qtys bigint[],
    stock_table regclass DEFAULT NULL,
    sale_id text DEFAULT '', hold_for interval DEFAULT NULL,
    buyer text DEFAULT NULL)
    RETURNS TABLE (product_id text, qty bigint, outcome text, remaining bigint)
    AS 'MODULE_PATHNAME', 'purchase_try_cart_text'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_try_cart(text, bigint[], regclass, text, interval, text) IS
    'sells all lines of a cart, or holds them, or none and says of each line why not, without raising';

--
-- Sales with an id.
--
CREATE FUNCTION purchase_keep_sales(stock_table regclass,
    limit_column name DEFAULT NULL, sale_table name DEFAULT NULL,
    hold_table name DEFAULT NULL)
    RETURNS void AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_keep_sales(regclass, name, name, name) IS
    'makes two tables beside an attached one, which keep its sales with an id and their holds';

CREATE FUNCTION purchase_stock_table_sales(stock_table regclass,
    OUT sale_problem text, OUT hold_problem text, OUT stray_holds bigint,
    OUT lost_lines bigint)
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_stock_table_sales(regclass) IS
    'for purchase_check: why the tables of an attached table''s sales cannot keep them, how many holds hold nothing, and how many lines no hold holds';

CREATE FUNCTION purchase_confirm(sale_id text, stock_table regclass DEFAULT NULL)
    RETURNS boolean AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_confirm(text, regclass) IS
    'sells what a sale holds, false if that was done before; raises SK101 (sale not found), SK102 (hold expired) or SK103 (released)';

CREATE FUNCTION purchase_release(sale_id text, stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_release(text, regclass) IS
    'gives back all that a sale holds and returns the units; raises SK101 (sale not found) or SK103 (sold already)';

CREATE FUNCTION purchase_release(sale_id text, product_id bigint, qty bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_release_bigint'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_release(text, bigint, bigint, regclass) IS
    'gives back a part of what a sale holds and returns the units; raises SK101 (sale not found) or SK103 (sold already)';

CREATE FUNCTION purchase_release(sale_id text, product_id uuid, qty bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_release_uuid'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_release(text, uuid, bigint, regclass) IS
    'gives back a part of what a sale holds and returns the units; raises SK101 (sale not found) or SK103 (sold already)';

CREATE FUNCTION purchase_release(sale_id text, product_id text, qty bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_release_text'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_release(text, text, bigint, regclass) IS
    'gives back a part of what a sale holds and returns the units; raises SK101 (sale not found) or SK103 (sold already)';

CREATE FUNCTION purchase_return(sale_id text, restock boolean DEFAULT true,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_return(text, boolean, regclass) IS
    'takes back all that was sold and returns the units, 0 if that was done before; raises SK101 (sale not found) or SK104 (not sold)';

CREATE FUNCTION purchase_return(sale_id text, product_id bigint, qty bigint,
    return_id text, restock boolean DEFAULT true, stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_return_bigint'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_return(text, bigint, bigint, text, boolean, regclass) IS
    'takes back a part of what was sold, once for each return_id, and returns the units; raises SK101 (sale not found), SK104 (more than was sold) or SK201 (another return_id''s)';

CREATE FUNCTION purchase_return(sale_id text, product_id uuid, qty bigint,
    return_id text, restock boolean DEFAULT true, stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_return_uuid'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_return(text, uuid, bigint, text, boolean, regclass) IS
    'takes back a part of what was sold, once for each return_id, and returns the units; raises SK101 (sale not found), SK104 (more than was sold) or SK201 (another return_id''s)';

CREATE FUNCTION purchase_return(sale_id text, product_id text, qty bigint,
    return_id text, restock boolean DEFAULT true, stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME', 'purchase_return_text'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_return(text, text, bigint, text, boolean, regclass) IS
    'takes back a part of what was sold, once for each return_id, and returns the units; raises SK101 (sale not found), SK104 (more than was sold) or SK201 (another return_id''s)';

CREATE FUNCTION purchase_extend(sale_id text, hold_for interval,
    stock_table regclass DEFAULT NULL)
    RETURNS timestamptz AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_extend(text, interval, regclass) IS
    'lets a hold last longer and returns its end; raises SK101 (sale not found), SK102 (hold expired) or SK103 (settled already)';

CREATE FUNCTION purchase_expire(max bigint DEFAULT NULL,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_expire(bigint, regclass) IS
    'gives the units of lapsed holds back to the stock, and returns how many holds; never needed, as who needs the units takes them';

CREATE FUNCTION purchase_forget(older_than interval, max bigint DEFAULT NULL,
    forget_limits boolean DEFAULT false, stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_forget(interval, bigint, boolean, regclass) IS
    'deletes sales and returns that were settled so long ago, and returns how many; their ids are free then, so a retry must not come later';

CREATE FUNCTION purchase_on_shard(product_id bigint, action text,
    sale_id text DEFAULT NULL, hold_for interval DEFAULT NULL,
    restock boolean DEFAULT NULL, max bigint DEFAULT NULL,
    before timestamptz DEFAULT NULL, forget_limits boolean DEFAULT NULL,
    stock_table regclass DEFAULT NULL)
    RETURNS bigint AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_on_shard(bigint, text, text, interval, boolean, bigint,
    timestamptz, boolean, regclass) IS
    'for purchase_confirm and its like, where Citus distributes the table: what they do, with the sales in the shard of one product';

--
-- The doctor. Its remedies are statements to be pasted; where only the owner
-- can judge what may go, the statement stands behind "-- if ...:". The words in
-- front of a statement or behind it are fixed: they contain no name.
--
CREATE FUNCTION purchase_check_table(relid regclass, key_column name,
    stock_column name, reason text, reasons text[], sale_table regclass,
    hold_table regclass, sale_problem text, hold_problem text, stray_holds bigint,
    lost_lines bigint, limit_column name, citus jsonb)
    RETURNS TABLE (severity text, finding text, remedy text)
    LANGUAGE SQL STABLE PARALLEL UNSAFE ROWS 10
    SET search_path = pg_catalog, pg_temp
AS $$
WITH RECURSIVE
-- the table, if it fits its registration
t AS (
    SELECT c.oid, c.relkind, c.relowner, c.relrowsecurity,
           c.oid::regclass::text AS name,
           k.attnum AS key_attno,
           s.attnum AS stock_attno, s.atttypid,
           s.attnotnull OR y.typnotnull AS stock_not_null,
           (SELECT n.conname FROM pg_constraint AS n
            WHERE n.conrelid = c.oid AND n.conkey = ARRAY[s.attnum]
              AND n.contype = 'n' AND NOT n.convalidated) AS unsure_not_null,
           c.relkind IN ('r', 'p') AS is_table
    FROM pg_class AS c
    JOIN pg_attribute AS k ON k.attrelid = c.oid AND k.attname = key_column
    JOIN pg_attribute AS s ON s.attrelid = c.oid AND s.attname = stock_column
    JOIN pg_type AS y ON y.oid = s.atttypid
    WHERE c.oid = relid AND reasons IS NOT NULL
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
                  regexp_replace(quote_ident(stock_column), m.special,
                                 E'\\\\\\&', 'g')) AS stock,
           '([0-9]+|''[0-9]+''::[a-z]+|[(][0-9]+[)]::[a-z]+)' AS number,
           format('(^|[^[:alnum:]_])%s([^[:alnum:]_]|$)',
                  regexp_replace(stock_column, m.special,
                                 E'\\\\\\&', 'g')) AS word
    FROM (VALUES (E'[][\\\\^$.|?*+(){}]')) AS m (special)
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
    SELECT i.indexrelid, i.indisunique, i.indisreplident, m.oid AS table_oid,
           m.name AS table_name, i.indexrelid::regclass::text AS name,
           con.conname, pg_get_constraintdef(con.oid) AS condef,
           format('CREATE %sINDEX', CASE WHEN i.indisunique THEN 'UNIQUE ' END) AS make,
           quote_ident(c.relname) AS simple_name,
           CASE WHEN c.relkind = 'i' THEN ' CONCURRENTLY' END AS online,
           NOT m.stock_attno = ANY ((i.indkey::smallint[])[:i.indnkeyatts - 1])
               AND i.indexprs IS NULL AND i.indpred IS NULL AS only_included,
           -- as heap_update() sees it: a foreign key could reference the stock
           i.indisunique AND i.indexprs IS NULL AND i.indpred IS NULL
               AND m.stock_attno = ANY ((i.indkey::smallint[])[:i.indnkeyatts - 1])
               AS has_key,
           EXISTS (SELECT FROM pg_constraint AS f
                   WHERE f.conindid = i.indexrelid AND f.contype = 'f') AS referenced,
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
-- the definitions of those that only include it, without it. Behind INCLUDE
-- come no more names, which tells it from an INCLUDE in a name
rebuilt_index AS (
    SELECT i.*, con[1] || coalesce(other_included, '') || con[2] AS new_condef,
           make || coalesce(online, '') || ' ON ' || ind[1]
               || coalesce(other_included, '') || ind[2] AS new_def
    FROM stock_index AS i,
    (VALUES ('^(.*) INCLUDE [(](?:[^"()]|"(?:[^"]|"")*")*[)]([^"]*)$')) AS x (included),
    regexp_match(condef, included) AS con,
    regexp_match(regexp_replace(substr(pg_get_indexdef(indexrelid),
                                       length(format('%s %s ON .', make, simple_name))),
                                '^ONLY ', ''), included) AS ind
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
-- the guard of a table, two triggers, and whose they are: its own, or those of a
-- table that it is a partition of
guard_trigger AS (
    SELECT g.tgrelid, g.tgparentid, g.tgenabled
    FROM pg_trigger AS g
    JOIN pg_proc AS f ON f.oid = g.tgfoid AND f.proname = 'purchase_guard_stock'
    JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = f.oid
        AND d.deptype = 'e'
),
guard AS (
    SELECT format('SELECT %s.purchase_guard(%L);', x.schema, o.oid) AS place,
           format('SELECT %s.purchase_guard(%L, false);', x.schema, o.oid) AS lift
    FROM t, extension AS x,
    LATERAL (SELECT coalesce((SELECT min(g.tgrelid)
                              FROM pg_partition_ancestors(t.oid) AS a
                              JOIN guard_trigger AS g
                                  ON g.tgrelid = a.relid AND g.tgparentid = 0),
                             t.oid)::regclass) AS o (oid)
    WHERE EXISTS (SELECT FROM guard_trigger AS g WHERE g.tgrelid = t.oid)
),
-- what to put before and after a statement that the guard would refuse
lifted AS (
    SELECT coalesce(lift || ' ', '') AS off, coalesce(' ' || place, '') AS back
    FROM (VALUES (1)) AS one LEFT JOIN guard ON true
),
-- a wider type for a column that is almost full
wider AS (
    SELECT known.highest, y.largest, y.next, t.atttypid <> y.type AS is_domain
    FROM t
    JOIN pg_type AS d ON d.oid = t.atttypid
    JOIN (VALUES ('smallint'::regtype, 32767::bigint, 'integer'),
                 ('integer', 2147483647, 'bigint')) AS y (type, largest, next)
        ON y.type IN (d.oid, d.typbasetype),
    known
    WHERE is_table AND known.highest > 0.9 * y.largest
),
-- tables whose updates are published, but not which row they are of, and what
-- makes them known; not an index that another remedy drops
unidentified AS (
    SELECT m.oid, m.name, m.relpersistence,
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
                              AND i.indexrelid NOT IN (SELECT s.indexrelid FROM stock_index AS s)
                            ORDER BY c.relname LIMIT 1), 'FULL')) AS statement
    FROM member AS m
    WHERE m.relkind = 'r' AND m.relreplident <> 'f'
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
),
-- the columns of a table that no longer fits its registration: what is
-- registered, if that can be the key or the stock
fitting AS (
    SELECT a.attname,
           a.attname = key_column AS is_key,
           a.attname = stock_column AND x.counts AS is_stock,
           EXISTS (SELECT FROM pg_index AS i
                   WHERE i.indrelid = relid AND i.indisunique AND i.indisvalid
                     AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
                     AND i.indpred IS NULL) AS may_be_key,
           x.counts
    FROM pg_attribute AS a
    JOIN pg_type AS y ON y.oid = a.atttypid,
    LATERAL (SELECT a.attgenerated = '' AND a.attidentity <> 'a'
                    AND CASE y.typtype WHEN 'd' THEN y.typbasetype ELSE y.oid END
                        IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)
            ) AS x (counts)
    WHERE a.attrelid = relid AND a.attnum > 0 AND NOT a.attisdropped
      AND key_column IS NOT NULL AND reasons IS NULL
),
-- it, or else the only one that could be it
key_guess AS (
    SELECT coalesce(max(attname) FILTER (WHERE is_key),
                    CASE WHEN count(*) FILTER (WHERE may_be_key) = 1
                         THEN max(attname) FILTER (WHERE may_be_key) END,
                    '...') AS attname
    FROM fitting
),
stock_guess AS (
    SELECT coalesce(max(f.attname) FILTER (WHERE is_stock),
                    CASE WHEN count(*) = 1 THEN max(f.attname) END,
                    '...') AS attname
    FROM fitting AS f, key_guess AS k
    WHERE counts AND (is_stock OR NOT may_be_key AND f.attname <> k.attname)
),
-- a table that Citus distributes by its key, and what makes all nodes alike
distributed AS (
    SELECT c.*, format('SELECT %s.purchase_distribute(%L);', x.schema, t.oid::regclass) AS again,
           CASE WHEN NOT c.coordinator THEN 'on the coordinator' END AS on_coordinator,
           c.delegated IS NULL AND c.sales IS NOT NULL AS on_coordinator_alone
    FROM t, extension AS x,
    jsonb_to_record(citus) AS c (coordinator boolean, distributed boolean, nodes jsonb,
                                 delegated boolean, elsewhere text, sales boolean)
    WHERE c.distributed
),
-- what to say of each reason for the sql engine, if it is one: the codes are those
-- of purchase_stock_table_engine. Here and below, remedies are ordered by rank so
-- that they can be pasted from the top: a trigger or rule goes before the type of
-- its column
engine_finding (code, rank, finding, condition, statement) AS (
    VALUES
        ('partitioned', 95, 'it is partitioned',
         'nothing needs to be done, as only a table without partitions can have the row engine', NULL),
        ('view', 95, 'it is a view',
         'nothing needs to be done; or attach the table behind it, which can be checked further', NULL),
        ('foreign_table', 95, 'it is a foreign table',
         'nothing needs to be done; or attach the table behind it, which can be checked further', NULL),
        ('citus', 95, 'the table is distributed by Citus', 'nothing needs to be done', NULL),
        ('old_snapshot_threshold', 94, 'old_snapshot_threshold is set', NULL,
         'ALTER SYSTEM RESET old_snapshot_threshold; -- needs a restart'),
        ('row_security', 95, 'row security applies to some users',
         'nothing needs to be done, as users it does not apply to have the row engine', NULL),
        ('setting', 95, 'purchase.engine is sql', NULL, 'SET purchase.engine = auto;')
    UNION ALL
    SELECT 'rules', 91, format('it has the rule %I', r.rulename),
           'if a trigger can do its work, or nobody needs it',
           format('DROP RULE %I ON %s;', r.rulename, t.name)
    FROM t JOIN pg_rewrite AS r ON r.ev_class = t.oid
    UNION ALL
    SELECT CASE WHEN g.tgtype & 1 = 0 THEN 'statement_triggers' ELSE 'transition_tables' END, 91,
           format(CASE WHEN g.tgtype & 1 = 0 THEN 'it has the statement trigger %s on UPDATE'
                       ELSE 'it has transition tables for trigger %s on UPDATE' END, g.name),
           'if a row trigger can do its work, or nobody needs it',
           format('DROP TRIGGER %s ON %s;', g.name, g.table_name)
    FROM t JOIN sale_trigger AS g ON g.tgrelid = t.oid
    WHERE g.tgtype & 1 = 0 OR g.has_transition_table
    UNION ALL
    SELECT 'inheritance', 92, format('table %s inherits from it', c.name), 'if it need not',
           format('ALTER TABLE %s NO INHERIT %s;', c.name, t.name)
    FROM t
    JOIN pg_inherits AS i ON i.inhparent = t.oid,
    format('%s', i.inhrelid::regclass) AS c (name)
    UNION ALL
    SELECT 'access_method', 93, 'its access method is not heap', 'if it can do without',
           format('ALTER TABLE %s SET ACCESS METHOD heap;', t.name)
    FROM t
    UNION ALL
    SELECT 'domain', 93, format('the stock column is of the domain %s', t.atttypid::regtype),
           'if the table has the domain''s constraints',
           off || format('ALTER TABLE %1$s ALTER COLUMN %2$I TYPE %3$s; ANALYZE %1$s;', t.name, stock_column,
                         coalesce((SELECT w.next FROM wider AS w), y.typbasetype::regtype::text)) || back
    FROM t JOIN pg_type AS y ON y.oid = t.atttypid, lifted
    UNION ALL
    SELECT 'deferrable_key', 94,
           format('the unique constraint %I of the key is deferrable', c.conname), NULL,
           format('ALTER TABLE %1$s DROP CONSTRAINT %2$I, ADD CONSTRAINT %2$I %3$s;',
                  t.name, c.conname,
                  regexp_replace(pg_get_constraintdef(c.oid),
                                 ' DEFERRABLE( INITIALLY DEFERRED)?$', ''))
    FROM t
    JOIN pg_constraint AS c ON c.conrelid = t.oid AND c.conkey = ARRAY[t.key_attno]
    WHERE c.contype IN ('p', 'u') AND c.condeferrable
),
found (rank, severity, finding, condition, statement) AS (
    -- attached?
    SELECT 10, 'error', 'there is no default stock table', 'name a table that exists',
           format('SELECT %s.purchase_attach(''your_table'', is_default => true);', x.schema)
    FROM extension AS x WHERE relid IS NULL
    UNION ALL
    SELECT 10, 'error',
           CASE WHEN key_column IS NULL THEN 'there is no such table'
                ELSE 'the table was dropped' END,
           CASE WHEN key_column IS NULL THEN 'nothing can be done' END,
           CASE WHEN key_column IS NOT NULL
                THEN format('SELECT %s.purchase_detach(%s);', x.schema, relid::oid) END
    FROM extension AS x
    WHERE relid IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = relid)
    UNION ALL
    SELECT 10, 'error', 'the table is not attached', NULL,
           format('SELECT %s.purchase_attach(%L);', x.schema, relid::regclass)
    FROM extension AS x JOIN pg_class AS c ON c.oid = relid
    WHERE key_column IS NULL
    UNION ALL
    SELECT 10, 'error', 'the table no longer fits its registration: ' || rtrim(reason, '.'), y.*
    FROM extension AS x JOIN pg_class AS c ON c.oid = relid,
    key_guess AS k, stock_guess AS s,
    LATERAL (
        SELECT 'if an UPDATE need not do something else instead',
               format('DROP RULE %I ON %s;', r.rulename, relid)
        FROM pg_rewrite AS r
        WHERE r.ev_class = relid AND r.is_instead AND r.ev_type = '2'
        UNION ALL
        SELECT CASE WHEN NOT fits THEN 'if these are the right columns'
                    WHEN c.relkind NOT IN ('r', 'p') THEN 'if nothing is sold from it any more' END,
               CASE WHEN NOT fits
                    THEN format('SELECT %s.purchase_attach(%L, stock_column => %L, key_column => %L);',
                                x.schema, relid, s.attname, k.attname)
                    WHEN c.relkind NOT IN ('r', 'p')
                    THEN format('SELECT %s.purchase_detach(%L);', x.schema, relid)
                    ELSE format('CREATE UNIQUE INDEX ON %s (%I);', relid, key_column) END
        FROM (SELECT k.attname = key_column AND s.attname = stock_column) AS z (fits)
        WHERE NOT EXISTS (SELECT FROM pg_rewrite AS r
                          WHERE r.ev_class = relid AND r.is_instead AND r.ev_type = '2')
    ) AS y
    WHERE key_column IS NOT NULL AND reasons IS NULL

    -- errors of a table that fits
    UNION ALL
    SELECT 20, 'error', format('%s is published without a replica identity: its updates fail', u.name),
           NULL, u.statement
    FROM unidentified AS u WHERE u.relpersistence = 'p'
    UNION ALL
    SELECT 21, 'error', 'the stock of some products is null: they cannot be sold',
           'if there is nothing left of them',
           off || format('UPDATE %1$s SET %2$I = 0 WHERE %2$I IS NULL; ALTER TABLE %1$s ALTER COLUMN %2$I SET NOT NULL;',
                         t.name, stock_column) || back
    FROM t, known, lifted
    WHERE is_table AND known.nulls
      AND (NOT stock_not_null OR unsure_not_null IS NOT NULL)

    -- the tables of its sales
    UNION ALL
    SELECT 22, 'error',
           format(CASE WHEN p.problem = 'was dropped' THEN 'the table of its %2$s was dropped: sales with an id fail'
                       ELSE 'table %s of its %s %s: sales with an id fail' END,
                  p.relid::regclass, p.what, p.problem),
           CASE WHEN p.problem LIKE 'has no column%' THEN 'if there are no more holds' END,
           CASE WHEN p.problem LIKE 'has no unique index%'
                THEN format('CREATE UNIQUE INDEX ON %s (sale_id, line);', p.relid::regclass)
                WHEN p.problem LIKE 'does not belong%'
                THEN format('ALTER TABLE %s OWNER TO %s;', p.relid::regclass, t.relowner::regrole)
                WHEN p.problem LIKE 'is unlogged%'
                THEN format('ALTER TABLE %s SET LOGGED;', p.relid::regclass)
                WHEN p.problem = 'was dropped'
                THEN format('SELECT %s.purchase_keep_sales(%L);', x.schema, t.oid::regclass)
                ELSE format('SELECT %s.purchase_keep_sales(%L, %s => ''...'');',
                            x.schema, t.oid::regclass, p.arg) END
    FROM t, extension AS x,
    (VALUES (sale_table, sale_problem, 'sales', 'sale_table'),
            (hold_table, hold_problem, 'holds', 'hold_table')) AS p (relid, problem, what, arg)
    WHERE p.problem IS NOT NULL
    UNION ALL
    SELECT 34, 'warning',
           format('rows of %s that hold nothing, as the lines that they name are settled or not there: %s', hold_table, stray_holds),
           'if the table was restored alone, or written by hand',
           format('DELETE FROM %s AS h WHERE NOT EXISTS (SELECT FROM %s AS s WHERE s.sale_id = h.sale_id AND s.line = h.line AND s.state = ''held'');',
                  hold_table, sale_table)
    FROM t WHERE stray_holds > 0
    UNION ALL
    SELECT 34, 'warning',
           format('lines of %s that are held by no row of %s, so that their units are neither sold nor in stock: %s',
                  sale_table, hold_table, lost_lines),
           'if the holds were deleted by hand, and their units not given back',
           format('WITH lost AS (UPDATE %1$s AS s SET state = ''expired'', settled_at = now() WHERE state = ''held'' AND NOT EXISTS (SELECT FROM %2$s AS h WHERE h.sale_id = s.sale_id AND h.line = s.line) RETURNING product_id, qty - released AS units) SELECT %3$s.purchase_restock(product_id::text, sum(units)::bigint, %4$L) FROM lost GROUP BY product_id;',
                  sale_table, hold_table, x.schema, t.oid::regclass)
    FROM t, extension AS x WHERE lost_lines > 0
    UNION ALL
    SELECT 35, 'warning',
           format('no index on %s finds the holds of a product: a refusal reads all holds', hold_table), NULL,
           format('CREATE INDEX ON %s (product_id, expires_at);', hold_table)
    FROM t JOIN pg_attribute AS a ON a.attrelid = hold_table AND a.attname = 'product_id'
    WHERE hold_problem IS NULL
      AND NOT EXISTS (SELECT FROM pg_index AS i
                      WHERE i.indrelid = hold_table AND i.indisvalid
                        AND i.indkey[0] = a.attnum AND i.indpred IS NULL)
    UNION ALL
    SELECT 11, 'error',
           format('column %I, which says how many one buyer may have, is gone or does not fit: nothing is sold', limit_column),
           'if there shall be no limits',
           format('SELECT %s.purchase_keep_sales(%L, limit_column => %L);', x.schema, relid::regclass, '')
    FROM extension AS x, t
    WHERE limit_column IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid
                      WHERE a.attrelid = relid AND a.attname = limit_column AND a.attgenerated <> 'v'
                        AND a.attnum NOT IN (t.key_attno, t.stock_attno)
                        AND CASE y.typtype WHEN 'd' THEN y.typbasetype ELSE y.oid END
                            IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype))
    UNION ALL
    SELECT 35, 'warning',
           format('no index on %s finds what a buyer has of a product: each sale of one that has a limit reads all sales', sale_table), NULL,
           format('CREATE INDEX ON %s (buyer, product_id);', sale_table)
    FROM t JOIN pg_attribute AS b ON b.attrelid = sale_table AND b.attname = 'buyer'
         JOIN pg_attribute AS p ON p.attrelid = sale_table AND p.attname = 'product_id'
    WHERE sale_problem IS NULL AND limit_column IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_index AS i
                      WHERE i.indrelid = sale_table AND i.indisvalid AND i.indnkeyatts >= 2
                        AND i.indkey[0] = b.attnum AND i.indkey[1] = p.attnum
                        AND i.indpred IS NULL)
    UNION ALL
    SELECT 36, 'warning',
           format('index %s contains a column that changes when a sale is settled: that can''t be a HOT update', i.indexrelid::regclass),
           'if no query needs it',
           format('DROP INDEX %s;', i.indexrelid::regclass)
    FROM t JOIN pg_index AS i ON i.indrelid = sale_table
    WHERE EXISTS (SELECT FROM pg_depend AS d
                  JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = sale_table
                    AND a.attname IN ('state', 'released', 'returned', 'discarded', 'settled_at',
                                      'returned_at'))

    -- where Citus distributes it
    UNION ALL
    SELECT 12, 'error',
           format('on node %s it is not attached as it is here: calls that come there fail, or differ', n.node),
           NULL, distributed.again
    FROM distributed, jsonb_each_text(nodes) AS n (node, answer)
    WHERE n.answer = 'f' AND NOT on_coordinator_alone
    UNION ALL
    SELECT 37, 'warning', format('node %s does not say how it is attached there: %s', n.node, n.answer),
           'see to it that it runs and lets you in, and check again', NULL
    FROM distributed, jsonb_each_text(nodes) AS n (node, answer)
    WHERE n.answer NOT IN ('t', 'f') AND NOT on_coordinator_alone
    UNION ALL
    SELECT 13, 'error', 'its sales are not distributed beside it: sales with an id fail',
           on_coordinator, again
    FROM distributed WHERE delegated AND NOT sales
    UNION ALL
    SELECT CASE WHEN sales THEN 13 ELSE 38 END, CASE WHEN sales THEN 'error' ELSE 'warning' END,
           'calls are not sent to the node that has the product: each takes several round trips'
               || CASE WHEN sales THEN ', and sales with an id fail' ELSE '' END,
           on_coordinator, again
    FROM distributed WHERE NOT delegated AND elsewhere IS NULL
    UNION ALL
    SELECT 13, 'error',
           format('calls that name a product by a number are sent to the nodes of %s, with which this table is not colocated: they fail', c.elsewhere),
           concat_ws(', ', d.on_coordinator,
                     CASE WHEN d.again IS NULL THEN 'if it shall be distributed beside that'
                          ELSE 'if that one is no longer attached, or this one was distributed anew with colocate_with' END),
           coalesce(d.again,
                    format('SELECT pg_catalog.create_distributed_table(%L, %L, colocate_with => %L); SELECT %s.purchase_distribute(%L);',
                           t.oid::regclass, key_column, c.elsewhere, x.schema, t.oid::regclass))
    FROM t, extension AS x, jsonb_to_record(citus) AS c (elsewhere text)
         LEFT JOIN distributed AS d ON true
    WHERE c.elsewhere IS NOT NULL
    UNION ALL
    SELECT 95, 'info', 'a call that names a product without a type is not sent to its node: one that is bigint is',
           'write purchase($1::bigint, ...) where a driver gives its parameters no type', NULL
    FROM distributed WHERE delegated
    UNION ALL
    SELECT 95, 'info', 'it keeps its sales, and calls for its type of key are not sent to other nodes: they work on the coordinator alone',
           'nothing needs to be done, if they are made there', NULL
    FROM distributed WHERE on_coordinator_alone

    -- the stock column
    UNION ALL
    SELECT 30, 'warning', 'the stock of some products is negative',
           'if what was sold too often is settled',
           off || format('UPDATE %1$s SET %2$I = 0 WHERE %2$I < 0; ANALYZE %1$s;',
                         t.name, stock_column) || back
    FROM t, known, lifted
    WHERE is_table AND known.lowest < 0
      AND NOT EXISTS (SELECT FROM floor WHERE convalidated)
    UNION ALL
    SELECT 31, 'warning',
           'no CHECK keeps the stock from falling below zero by other statements', NULL,
           format('ALTER TABLE %1$s ADD CONSTRAINT %2$I CHECK (%3$I >= 0) NOT VALID; ALTER TABLE %1$s VALIDATE CONSTRAINT %2$I;',
                  t.name, left(stock_column, 50) || '_not_negative', stock_column)
    FROM t WHERE is_table AND NOT EXISTS (SELECT FROM floor)
    UNION ALL
    SELECT 31, 'warning', format('constraint %I is not valid: the stock of old rows may be negative', f.conname), NULL,
           format('ALTER %s VALIDATE CONSTRAINT %I;',
                  CASE WHEN f.conrelid = 0 THEN format('DOMAIN %s', t.atttypid::regtype)
                       ELSE format('TABLE %s', t.name) END, f.conname)
    FROM t, floor AS f
    WHERE is_table AND NOT EXISTS (SELECT FROM floor WHERE convalidated)
    UNION ALL
    SELECT 32, 'warning', 'the stock can be null, and then the product cannot be sold', NULL,
           format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;', t.name, stock_column)
    FROM t, known WHERE is_table AND NOT stock_not_null AND known.nulls IS NOT TRUE
    UNION ALL
    SELECT 32, 'warning', format('constraint %I is not valid: the stock of old rows may be null', unsure_not_null), NULL,
           format('ALTER TABLE %s VALIDATE CONSTRAINT %I;', t.name, unsure_not_null)
    FROM t, known
    WHERE is_table AND unsure_not_null IS NOT NULL AND known.nulls IS NOT TRUE

    -- the guard
    UNION ALL
    SELECT 33, 'warning', 'the guard of the stock is disabled or incomplete', NULL, guard.place
    FROM guard
    WHERE EXISTS (SELECT FROM member AS m
                  WHERE 2 > (SELECT count(*) FROM guard_trigger AS g
                             WHERE g.tgrelid = m.oid AND g.tgenabled IN ('O', 'A')))

    -- the cost of a sale
    UNION ALL
    SELECT 40, 'warning',
           format(CASE WHEN has_key
                       THEN 'unique index %s contains the stock column: a sale locks its product FOR UPDATE, and waits for, or is busy behind, each uncommitted order line that references it; and no sale can be a HOT update'
                       ELSE 'index %s contains the stock column: no sale can be a HOT update, each writes all indexes' END,
                  name),
           concat_ws(', and ',
                     CASE WHEN only_included THEN 'if no query needs the stock in it'
                          WHEN indisunique OR conname IS NOT NULL THEN 'if it need not hold'
                          ELSE 'if no query needs it' END,
                     CASE WHEN referenced THEN 'no foreign key references it by then' END,
                     CASE WHEN indisreplident THEN 'the table has another replica identity by then' END),
           CASE WHEN only_included AND conname IS NOT NULL
                THEN format('ALTER TABLE %1$s DROP CONSTRAINT %2$I, ADD CONSTRAINT %2$I %3$s;',
                            table_name, conname, new_condef)
                WHEN conname IS NOT NULL
                THEN format('ALTER TABLE %s DROP CONSTRAINT %I;', table_name, conname)
                WHEN only_included
                THEN new_def || format('; DROP INDEX%s %s;', online, name)
                ELSE format('DROP INDEX%s %s;', online, name) END
    FROM rebuilt_index
    UNION ALL
    SELECT 41, 'warning',
           format('%s is busy, but only %s %% of its updates are HOT: fillfactor 100 leaves no room on a page',
                  m.name, round(100.0 * hot / updates)), NULL,
           format('ALTER TABLE %s SET (fillfactor = 90); -- for new pages; VACUUM FULL, which locks the table, makes all new', m.name)
    FROM member AS m,
    pg_stat_get_tuples_updated(m.oid) AS updates,
    pg_stat_get_tuples_hot_updated(m.oid) AS hot
    WHERE m.relkind = 'r' AND updates >= 10000 AND hot < 0.9 * updates
      AND NOT EXISTS (SELECT FROM pg_options_to_table(m.reloptions) AS o
                      WHERE o.option_name = 'fillfactor' AND o.option_value::integer < 100)
      AND NOT EXISTS (SELECT FROM stock_index AS i WHERE i.table_oid = m.oid)
    UNION ALL
    SELECT 42, 'warning', format('autovacuum is switched off for %s', m.name), NULL,
           format('ALTER TABLE %s RESET (autovacuum_enabled);', m.name)
    FROM member AS m, pg_options_to_table(m.reloptions) AS o
    WHERE o.option_name = 'autovacuum_enabled' AND NOT o.option_value::boolean
    UNION ALL
    SELECT 42, 'warning', format('autovacuum does not run: %s is off', s.name), NULL,
           format('ALTER SYSTEM SET %s = on; SELECT pg_reload_conf();', s.name)
    FROM t, pg_settings AS s
    WHERE is_table AND s.name IN ('autovacuum', 'track_counts') AND s.setting = 'off'

    -- what rewrites the table comes after the indexes
    UNION ALL
    SELECT 50, 'warning', format('the stock column will soon be too small: %s of %s', w.highest, w.largest),
           CASE WHEN w.is_domain THEN 'if the table has the domain''s constraints' END,
           off || format('ALTER TABLE %1$s ALTER COLUMN %2$I TYPE %3$s; ANALYZE %1$s;',
                         t.name, stock_column, w.next) || back
               || ' -- rewrites the table, and no sale meanwhile'
    FROM t, wider AS w, lifted
    UNION ALL
    SELECT 51, 'warning', format('%s is unlogged: a crash empties it', m.name), NULL,
           concat_ws(' ', u.statement,
                     format('ALTER TABLE %s SET LOGGED; -- rewrites the table, and no sale meanwhile', m.name))
    FROM member AS m LEFT JOIN unidentified AS u USING (oid)
    WHERE m.relpersistence = 'u' AND m.relkind = 'r'

    -- good to know
    UNION ALL
    SELECT 97, 'info', 'no guard keeps other statements from changing the stock',
           'if nothing but purchase shall', format('SELECT %s.purchase_guard(%L);', x.schema, t.oid::regclass)
    FROM t, extension AS x
    WHERE (relkind = 'p' OR relkind = 'r' AND NOT EXISTS (SELECT FROM tree WHERE tree.oid <> t.oid))
      AND NOT EXISTS (SELECT FROM guard)
      AND NOT 'citus' = ANY (reasons)     -- no triggers
    UNION ALL
    SELECT 90, 'info',
           format('row trigger %s of %s, by %s, may change the stock, or suppress the sale, before it is written',
                  g.name, g.table_name, g.function),
           'if it should not',
           format('ALTER TABLE %s DISABLE TRIGGER %s;', g.table_name, g.name)
    FROM sale_trigger AS g, pattern AS p
    WHERE g.tgtype & 3 = 3 AND g.fires
      AND (g.prosrc ~* p.word OR g.prosrc ~* 'RETURN[[:space:]]+NULL'
           OR g.args ~ p.word)
    UNION ALL
    -- of what is no ordinary table, its kind alone; the setting, if nothing else
    -- decides; row security, whomever it applies to
    SELECT e.rank, 'info', 'the sql engine serves it: ' || e.finding, e.condition, e.statement
    FROM t,
    LATERAL (SELECT unnest(reasons)
             UNION SELECT 'row_security' WHERE relrowsecurity) AS r (code)
    JOIN engine_finding AS e USING (code)
    WHERE code = reasons[1] OR relkind = 'r' AND code <> 'setting'
    UNION ALL
    SELECT 96, 'info', 'nobody but the owner can sell', 'if others shall',
           format('GRANT SELECT (%1$I, %2$I%4$s), UPDATE (%2$I) ON %3$s TO your_role;',
                  key_column, stock_column, t.name, ', ' || quote_ident(limit_column))
    FROM t
    WHERE NOT EXISTS (
        SELECT FROM (SELECT 'public'::name AS rolname
                     UNION ALL
                     SELECT a.rolname FROM pg_roles AS a
                     WHERE NOT a.rolsuper AND a.oid <> t.relowner) AS a
        WHERE has_column_privilege(a.rolname, t.oid, t.key_attno, 'SELECT')
          AND has_column_privilege(a.rolname, t.oid, t.stock_attno, 'SELECT')
          AND has_column_privilege(a.rolname, t.oid, t.stock_attno, 'UPDATE'))
)
-- a line each, whatever is in a name: behind a line break, a comment is at its
-- end. In a statement, such a name becomes U&"...", and such a literal E'...'
SELECT f.severity, translate(f.finding, E'\n\r', '  '),
       concat_ws(': ', '-- ' || f.condition, s.line)
FROM found AS f,
LATERAL (
    SELECT string_agg(
        CASE WHEN m.token[1] !~ E'[\n\r]' THEN m.token[1]
             WHEN m.token[1] ~ '^"'
             THEN 'U&' || replace(replace(replace(m.token[1], E'\\', E'\\\\'),
                                          E'\n', E'\\000a'), E'\r', E'\\000d')
             ELSE 'E' || ltrim(replace(replace(m.token[1], E'\n', E'\\n'),
                                       E'\r', E'\\r'), 'E') END,
        '' ORDER BY m.n)
    FROM regexp_matches(f.statement, '"(?:[^"]|"")*"|E?''(?:[^'']|'''')*''|.', 'g')
        WITH ORDINALITY AS m (token, n)
) AS s (line)
ORDER BY f.rank, f.finding COLLATE "C"
$$;
COMMENT ON FUNCTION purchase_check_table(regclass, name, name, text, text[], regclass,
    regclass, text, text, bigint, bigint, name, jsonb) IS
    'the findings of purchase_check, for a table whose registration and reasons for the sql engine are known';

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
    LATERAL purchase_stock_table_sales(t.oid) AS s,
    LATERAL purchase_stock_table_citus(t.oid) AS n (citus),
    LATERAL purchase_check_table(t.oid, r.key_column, r.stock_column,
                                 e.reason, e.reasons, r.sale_table, r.hold_table,
                                 s.sale_problem, s.hold_problem, s.stray_holds,
                                 s.lost_lines, r.limit_column, n.citus) AS c;
END;
COMMENT ON FUNCTION purchase_check(regclass) IS
    'what is wrong with an attached table, or could be better, each with the SQL that mends it';

--
-- What an operator sees.
--
CREATE FUNCTION purchase_stat_table(stock_table regclass,
    OUT sold_calls bigint, OUT sold_units bigint, OUT product_not_found bigint,
    OUT out_of_stock bigint, OUT insufficient_quantity bigint,
    OUT buyer_limit_exceeded bigint, OUT busy bigint, OUT hold_expired bigint,
    OUT waits bigint, OUT wait_time double precision, OUT replays bigint, OUT holds_made bigint,
    OUT holds_confirmed bigint, OUT holds_released bigint, OUT holds_lapsed bigint,
    OUT holds_taken bigint, OUT early_releases bigint,
    OUT durable_time double precision, OUT stats_reset timestamptz)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1;
COMMENT ON FUNCTION purchase_stat_table(regclass) IS
    'for pg_stat_purchase: what was counted for a table, or for null, for all tables that found no room';

CREATE VIEW pg_stat_purchase AS
    SELECT t.stock_table, s.*
    FROM (SELECT r.stock_table
          FROM purchase_registration AS r
          JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) r.stock_table
          UNION ALL SELECT NULL) AS t,
         LATERAL purchase_stat_table(t.stock_table) AS s;
COMMENT ON VIEW pg_stat_purchase IS
    'what has become of the calls, for each attached table; times are in milliseconds';
GRANT SELECT ON pg_stat_purchase TO PUBLIC;

CREATE FUNCTION pg_stat_purchase_reset(stock_table regclass DEFAULT NULL)
    RETURNS void AS 'MODULE_PATHNAME', 'purchase_stat_reset'
    LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pg_stat_purchase_reset(regclass) IS
    'begins to count anew, for a table or for all of the database';
REVOKE EXECUTE ON FUNCTION pg_stat_purchase_reset(regclass) FROM PUBLIC;

CREATE FUNCTION purchase_blockers(product_id bigint,
    stock_table regclass DEFAULT NULL)
    RETURNS TABLE (pid integer, role text, since timestamptz, usename name,
        application_name text, client_addr inet, state text, query text)
    AS 'MODULE_PATHNAME', 'purchase_blockers_bigint'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_blockers(bigint, regclass) IS
    'the backends that hold a product, have locked its table, or wait for it, since when, and their query';

CREATE FUNCTION purchase_blockers(product_id uuid,
    stock_table regclass DEFAULT NULL)
    RETURNS TABLE (pid integer, role text, since timestamptz, usename name,
        application_name text, client_addr inet, state text, query text)
    AS 'MODULE_PATHNAME', 'purchase_blockers_uuid'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_blockers(uuid, regclass) IS
    'the backends that hold a product, have locked its table, or wait for it, since when, and their query';

CREATE FUNCTION purchase_blockers(product_id text,
    stock_table regclass DEFAULT NULL)
    RETURNS TABLE (pid integer, role text, since timestamptz, usename name,
        application_name text, client_addr inet, state text, query text)
    AS 'MODULE_PATHNAME', 'purchase_blockers_text'
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION purchase_blockers(text, regclass) IS
    'the backends that hold a product, have locked its table, or wait for it, since when, and their query';
