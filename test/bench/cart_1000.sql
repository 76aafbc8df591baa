-- Microseconds a line inside the server: a cart of 1,000 against 1,000 calls in
-- one statement. Either is first in turn, on products of its own.
CREATE TEMP TABLE took (what text, us numeric);
CREATE PROCEDURE sell_1000(what text, first bigint) LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[] := array_agg(g) FROM generate_series(first, first + 999) AS g;
    one bigint[] := array_fill(1::bigint, '{1000}');
    t timestamptz := clock_timestamp();
BEGIN
    IF what = 'cart' THEN
        PERFORM count(*) FROM purchase_cart(ids, one);
    ELSE
        PERFORM count(purchase(id, 1)) FROM unnest(ids) AS id;
    END IF;
    INSERT INTO took VALUES
        (what, extract(epoch FROM clock_timestamp() - t) * 1e6 / 1000);
    COMMIT;
END $$;
DO $$
BEGIN
    FOR i IN 0..39 LOOP
        CALL sell_1000('cart', 1 + 2000 * i + 1000 * (i % 2));
        CALL sell_1000('calls', 1 + 2000 * i + 1000 * (1 - i % 2));
    END LOOP;
END $$;
\pset format unaligned
\pset tuples_only
SELECT format('A line of a cart of 1,000 takes %s us, a call in one statement %s us: ratio %s',
    round(cart::numeric, 2), round(calls::numeric, 2), round((cart / calls)::numeric, 2))
FROM (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY us) FILTER (WHERE what = 'cart') AS cart,
             percentile_cont(0.5) WITHIN GROUP (ORDER BY us) FILTER (WHERE what = 'calls') AS calls
      FROM took) AS t;
