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
