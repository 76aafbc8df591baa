-- One of two shards of a shop, for PL/Proxy (doc/scale.md): its tables, and what runs on
-- it as one call. Run it on each, with its number:
--
--     psql -d 'host=shard0 dbname=shop' -v shard=0 -f doc/plproxy/shard.sql
--
\set ON_ERROR_STOP on

CREATE EXTENSION purchase;

-- A product that is on two shards could be sold on both, so no shard takes the other's.
-- 1 is the number of shards less one.
CREATE TABLE product (
    id bigint PRIMARY KEY CHECK (hashint8(id) & 1 = :shard),
    stock integer NOT NULL CHECK (stock >= 0)
);
SELECT purchase_attach('product');
SELECT purchase_keep_sales('product');

CREATE TABLE order_line (
    sale_id text,
    product_id bigint REFERENCES product,
    qty bigint NOT NULL,
    PRIMARY KEY (sale_id, product_id)
);

CREATE FUNCTION add_product(product_id bigint, stock integer) RETURNS void
BEGIN ATOMIC
    INSERT INTO product VALUES (product_id, stock);
END;

-- A sale and its order line: both or none, as they are one transaction here. Repeated,
-- it sells nothing, and finds its line.
CREATE FUNCTION purchase_order(product_id bigint, qty bigint, sale_id text,
    buyer text DEFAULT NULL)
    RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    remaining bigint := purchase(product_id, qty, sale_id => sale_id, buyer => buyer);
BEGIN
    INSERT INTO order_line VALUES (sale_id, product_id, qty) ON CONFLICT DO NOTHING;
    RETURN remaining;
END
$$;
