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
