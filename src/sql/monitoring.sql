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
