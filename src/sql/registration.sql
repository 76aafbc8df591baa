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
