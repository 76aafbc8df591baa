-- (d) The bare conditional UPDATE, in the statement that inserts the order line.
\set id :step * random(:lo, :hi)
\set sold_now 0
WITH sale AS (
    UPDATE product SET stock = stock - 1 WHERE id = :id AND stock >= 1 RETURNING id
)
INSERT INTO order_line (product_id, quantity) SELECT id, 1 FROM sale
    RETURNING 1 AS sold_now \aset
\set sold :sold + :sold_now
\set refused :refused + 1 - :sold_now
