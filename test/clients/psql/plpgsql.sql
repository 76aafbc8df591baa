-- Selling in PL/pgSQL: both functions answer what the buyer reads.

-- Catches what purchase() raises. The block is a savepoint: what was done in it
-- is undone before the handler runs. 40001 and 40P01 pass through: only the
-- whole transaction can be retried, and that is up to who began it.
CREATE FUNCTION buy(product bigint, units integer) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM purchase(product, units);
    INSERT INTO shop_order_line (product_id, quantity) VALUES (product, units);
    RETURN 'It is yours.';
EXCEPTION
    WHEN SQLSTATE 'SK001' THEN
        RETURN 'There is no such product.';
    WHEN SQLSTATE 'SK002' THEN
        RETURN 'It is sold out.';
    WHEN SQLSTATE 'SK003' THEN
        RETURN 'There are not so many left.';
    WHEN lock_not_available THEN    -- 55P03
        RETURN 'Somebody else is buying it. Try again.';
END;
$$;

-- Asks without raising: no savepoint, and the figure is at hand.
CREATE FUNCTION try_to_buy(product bigint, units integer) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    answer record;
BEGIN
    SELECT * INTO answer FROM purchase_try(product, units);
    CASE answer.outcome
        WHEN 'sold' THEN
            INSERT INTO shop_order_line (product_id, quantity)
                VALUES (product, units);
            RETURN 'It is yours.';
        WHEN 'product_not_found' THEN
            RETURN 'There is no such product.';
        WHEN 'out_of_stock' THEN
            RETURN 'It is sold out.';
        WHEN 'insufficient_quantity' THEN
            RETURN format('You can have %s.', answer.remaining);
        WHEN 'busy' THEN
            RETURN 'Somebody else is buying it. Try again.';
    END CASE;
END;
$$;
