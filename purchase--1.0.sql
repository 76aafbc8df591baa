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
    is_default boolean NOT NULL
);
CREATE UNIQUE INDEX purchase_registration_default
    ON purchase_registration (is_default) WHERE is_default;
COMMENT ON TABLE purchase_registration IS
    'tables attached with purchase_attach';

-- a dropped table has no name to dump
SELECT pg_catalog.pg_extension_config_dump('purchase_registration',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) stock_table)');

GRANT SELECT ON purchase_registration TO PUBLIC;
GRANT INSERT, UPDATE, DELETE ON purchase_registration TO @extowner@;

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
    is_default boolean DEFAULT NULL)
    RETURNS void AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_attach(regclass, name, name, boolean) IS
    'attaches a table, so that its stock can be sold; the key is its primary key unless named';

CREATE FUNCTION purchase_detach(stock_table regclass)
    RETURNS void AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_detach(regclass) IS
    'forgets an attached table; its stock stays as it is';

CREATE FUNCTION purchase_stock_table_engine(stock_table regclass,
    OUT engine text, OUT reason text)
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION purchase_stock_table_engine(regclass) IS
    'the engine that serves the current user on an attached table, and why not the row engine';

CREATE VIEW purchase_stock_tables AS
    SELECT r.stock_table, r.key_column, r.stock_column, r.is_default,
           e.engine, e.reason
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
