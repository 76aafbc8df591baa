-- (i) The bare conditional UPDATE, in the statement that records the sale.
\set id :step * random(:lo, :hi)
\set sale random(1, 1000000000000000000)
\set sold_now 0
WITH sale AS (
    UPDATE seat SET stock = stock - 1 WHERE id = :id AND stock >= 1 RETURNING id, stock
)
INSERT INTO seat_by_hand (sale_id, line, product_id, qty, state, remaining, created_by,
        created_at, settled_at)
    SELECT :sale::bigint::text, 1, id, 1, 'sold', stock, current_user, now(), now() FROM sale
    RETURNING 1 AS sold_now \aset
\set sold :sold + :sold_now
\set refused :refused + 1 - :sold_now
