-- The proxy of a shop on two shards, for PL/Proxy (doc/scale.md). Without the extension
-- purchase, as the shards have it:
--
--     psql -d 'host=proxy dbname=shop' -v shard0='host=shard0 dbname=shop' \
--         -v shard1='host=shard1 dbname=shop' -f doc/plproxy/proxy.sql
--
-- The number of shards is a power of 2. Who calls needs USAGE on the server shop, and is
-- the same role on the shards, unless a user mapping names another.
--
\set ON_ERROR_STOP on

CREATE EXTENSION plproxy;
CREATE SERVER shop FOREIGN DATA WRAPPER plproxy OPTIONS (p0 :'shard0', p1 :'shard1');
CREATE USER MAPPING FOR PUBLIC SERVER shop;

--
-- Calls for one product, which run on its shard. hashint8 is what PostgreSQL's own hash
-- indexes rest on, so it stays as it is; for a key of type text it is hashtext, for uuid
-- uuid_hash.
--
-- NULL is the stock table: the shard's default.
--
CREATE FUNCTION add_product(product_id bigint, stock integer) RETURNS void
    LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON hashint8(product_id);
$$;

CREATE FUNCTION purchase(product_id bigint, qty bigint, sale_id text DEFAULT '',
    hold_for interval DEFAULT NULL, buyer text DEFAULT NULL)
    RETURNS bigint LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON hashint8(product_id);
    SELECT purchase(product_id, qty, NULL, sale_id, hold_for, buyer);
$$;

CREATE FUNCTION purchase_try(product_id bigint, qty bigint, sale_id text DEFAULT '',
    hold_for interval DEFAULT NULL, buyer text DEFAULT NULL,
    OUT outcome text, OUT remaining bigint)
    LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON hashint8(product_id);
    SELECT outcome, remaining
    FROM purchase_try(product_id, qty, NULL, sale_id, hold_for, buyer);
$$;

-- Sale and order line, a function of the shard's own.
CREATE FUNCTION purchase_order(product_id bigint, qty bigint, sale_id text,
    buyer text DEFAULT NULL)
    RETURNS bigint LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON hashint8(product_id);
$$;

CREATE FUNCTION purchase_restock(product_id bigint, qty bigint)
    RETURNS bigint LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON hashint8(product_id);
    SELECT purchase_restock(product_id, qty);
$$;

CREATE FUNCTION purchase_available(product_id bigint)
    RETURNS bigint LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON hashint8(product_id);
    SELECT purchase_available(product_id);
$$;

-- The product says which shard has the sale.
CREATE FUNCTION purchase_confirm(sale_id text, product_id bigint)
    RETURNS boolean LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON hashint8(product_id);
    SELECT purchase_confirm(sale_id);
$$;

CREATE FUNCTION purchase_extend(sale_id text, product_id bigint, hold_for interval)
    RETURNS timestamptz LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON hashint8(product_id);
    SELECT purchase_extend(sale_id, hold_for);
$$;

CREATE FUNCTION purchase_release(sale_id text, product_id bigint)
    RETURNS bigint LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON hashint8(product_id);
    SELECT purchase_release(sale_id);
$$;

CREATE FUNCTION purchase_release(sale_id text, product_id bigint, qty bigint)
    RETURNS bigint LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON hashint8(product_id);
    SELECT purchase_release(sale_id, product_id, qty);
$$;

CREATE FUNCTION purchase_return(sale_id text, product_id bigint,
    restock boolean DEFAULT true)
    RETURNS bigint LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON hashint8(product_id);
    SELECT purchase_return(sale_id, restock);
$$;

CREATE FUNCTION purchase_return(sale_id text, product_id bigint, qty bigint,
    return_id text, restock boolean DEFAULT true)
    RETURNS bigint LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON hashint8(product_id);
    SELECT purchase_return(sale_id, product_id, qty, return_id, restock);
$$;

--
-- Carts that may cross shards: one sale on each shard, all of the same id, held on every
-- shard before any is confirmed. Each step is committed at once. So whatever stops a call
-- halfway, the same call repeated goes on from there; if none comes, holds lapse.
--
-- Of what a shard answers, SK001 to SK004, SK102 and SK103 are final: then all is given
-- back, and the error is raised. Anything else leaves what is held as it is: repeat.
--

-- The shard of a product. Where two partitions are in one database, it is the first. A
-- product that is NULL is for a shard to refuse.
CREATE FUNCTION purchase_shard(product_id bigint) RETURNS integer STABLE
BEGIN ATOMIC
    WITH part AS (
        SELECT substr(option_name, 2)::integer AS number, option_value AS place,
               count(*) OVER () AS parts
        FROM pg_foreign_server, pg_options_to_table(srvoptions)
        WHERE srvname = 'shop' AND option_name ~ '^p[0-9]+$'
    )
    SELECT min(p.number)
    FROM part AS its JOIN part AS p USING (place)
    WHERE its.number = COALESCE(hashint8(product_id), 0) & (its.parts - 1);
END;

CREATE FUNCTION purchase_shards(product_ids bigint[]) RETURNS integer[] STABLE
BEGIN ATOMIC
    SELECT array_agg(DISTINCT purchase_shard(id)) FROM unnest(product_ids) AS id;
END;

CREATE FUNCTION purchase_hold_on(shard integer, product_ids bigint[], qtys bigint[],
    sale_id text, hold_for interval, buyer text)
    RETURNS TABLE (product_id bigint, qty bigint, remaining bigint)
    LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON shard;
    SELECT product_id, qty, remaining
    FROM purchase_cart(product_ids, qtys, NULL, sale_id, hold_for, buyer);
$$;

CREATE FUNCTION purchase_confirm_on(shard integer, sale_id text)
    RETURNS boolean LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON shard;
    SELECT purchase_confirm(sale_id);
$$;

CREATE FUNCTION purchase_release_on(shard integer, sale_id text)
    RETURNS bigint LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON shard;
    SELECT purchase_release(sale_id);
$$;

CREATE FUNCTION purchase_return_on(shard integer, sale_id text)
    RETURNS bigint LANGUAGE plproxy AS $$
    CLUSTER 'shop';
    RUN ON shard;
    SELECT purchase_return(sale_id);
$$;

-- Gives back all of a cart, be it held or sold, and returns how many units. With
-- even_if_sold => false, a cart that is sold on every shard stays so: NULL.
CREATE FUNCTION purchase_cancel_cart(product_ids bigint[], sale_id text,
    even_if_sold boolean DEFAULT true)
    RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    shards integer[] := purchase_shards(product_ids);
    shard integer;
    sold integer[] := '{}';
    units bigint := 0;
    problem text;
BEGIN
    FOREACH shard IN ARRAY shards LOOP
        BEGIN
            units := units + purchase_release_on(shard, sale_id);
        EXCEPTION
            WHEN SQLSTATE 'SK101' THEN NULL;    -- nothing was held here
            WHEN SQLSTATE 'SK103' THEN sold := sold || shard;
            WHEN OTHERS THEN problem := SQLERRM;    -- the others nevertheless
        END;
    END LOOP;

    -- Nothing is returned before all else is released: a repeated confirm could sell
    -- that, and leave the cart half returned.
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'could not give back all of sale "%"', sale_id
            USING ERRCODE = 'connection_exception', DETAIL = problem,
                  HINT = 'Repeat the call.';
    END IF;
    IF sold = shards AND NOT even_if_sold THEN
        RETURN NULL;
    END IF;
    FOREACH shard IN ARRAY sold LOOP
        units := units + purchase_return_on(shard, sale_id);
    END LOOP;
    RETURN units;
END
$$;

-- Sells what is held of a cart; false if that was done before.
CREATE FUNCTION purchase_confirm_cart(product_ids bigint[], sale_id text)
    RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    shard integer;
    done boolean := false;
BEGIN
    FOREACH shard IN ARRAY purchase_shards(product_ids) LOOP
        done := purchase_confirm_on(shard, sale_id) OR done;
    END LOOP;
    RETURN done;
EXCEPTION WHEN SQLSTATE 'SK102' OR SQLSTATE 'SK103' THEN
    -- Another session may have found units, and sold all of it meanwhile.
    IF purchase_cancel_cart(product_ids, sale_id, even_if_sold => false) IS NULL THEN
        RETURN false;
    END IF;
    RAISE;
END
$$;

-- Holds a cart on every shard, for purchase_cart.
CREATE FUNCTION purchase_hold_cart(product_ids bigint[], qtys bigint[], sale_id text,
    hold_for interval, buyer text)
    RETURNS TABLE (product_id bigint, qty bigint, remaining bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    part record;
    shard integer;
    held integer[] := '{}';
BEGIN
    FOR part IN
        SELECT purchase_shard(id) AS shard, array_agg(id) AS ids, array_agg(n) AS qtys
        FROM unnest(product_ids, qtys) AS line (id, n)
        GROUP BY 1
        ORDER BY 1
    LOOP
        RETURN QUERY
            SELECT * FROM purchase_hold_on(part.shard, part.ids, part.qtys, sale_id,
                                           hold_for, buyer);
        held := held || part.shard;
    END LOOP;
EXCEPTION
    WHEN SQLSTATE 'SK001' OR SQLSTATE 'SK002' OR SQLSTATE 'SK003' OR SQLSTATE 'SK004'
    THEN
        FOREACH shard IN ARRAY held LOOP
            BEGIN
                PERFORM purchase_release_on(shard, sale_id);
            EXCEPTION WHEN OTHERS THEN NULL;    -- it lapses
            END;
        END LOOP;
        RAISE;
    WHEN SQLSTATE 'SK102' OR SQLSTATE 'SK103' THEN
        IF purchase_cancel_cart(product_ids, sale_id, even_if_sold => false) IS NULL
        THEN
            RAISE EXCEPTION 'sale "%" was confirmed meanwhile', sale_id
                USING ERRCODE = 'serialization_failure', HINT = 'Repeat the call.';
        END IF;
        RAISE;
END
$$;

-- As the extension's purchase_cart: sells a cart, or with hold_for holds it.
CREATE FUNCTION purchase_cart(product_ids bigint[], qtys bigint[], sale_id text,
    hold_for interval DEFAULT NULL, buyer text DEFAULT NULL)
    RETURNS TABLE (product_id bigint, qty bigint, remaining bigint)
    LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
        SELECT * FROM purchase_hold_cart(product_ids, qtys, sale_id,
                                         COALESCE(hold_for, '5 minutes'), buyer)
        ORDER BY 1;
    IF hold_for IS NULL THEN
        PERFORM purchase_confirm_cart(product_ids, sale_id);
    END IF;
END
$$;
