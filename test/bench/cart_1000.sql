-- Microseconds a line inside the server: a cart of 1,000, and 1,000 calls in one
-- statement. Either is first in turn, on products of its own.
CREATE TEMP TABLE took (pair integer, what text, us numeric);
CREATE PROCEDURE pg_temp.sell_1000(pair integer, what text, first bigint)
LANGUAGE plpgsql AS $$
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
        (pair, what, extract(epoch FROM clock_timestamp() - t) * 1e6 / 1000);
    COMMIT;
END $$;
DO $$
BEGIN
    FOR i IN 0..39 LOOP
        IF i % 2 = 0 THEN
            CALL pg_temp.sell_1000(i, 'cart', 1 + 2000 * i);
            CALL pg_temp.sell_1000(i, 'calls', 1001 + 2000 * i);
        ELSE
            CALL pg_temp.sell_1000(i, 'calls', 1 + 2000 * i);
            CALL pg_temp.sell_1000(i, 'cart', 1001 + 2000 * i);
        END IF;
    END LOOP;
END $$;
COPY (
    SELECT a.us AS cart, b.us AS calls
        FROM took AS a JOIN took AS b USING (pair)
        WHERE a.what = 'cart' AND b.what = 'calls' AND pair > 3 ORDER BY pair
) TO STDOUT (HEADER, FORMAT csv, DELIMITER E'\t');
