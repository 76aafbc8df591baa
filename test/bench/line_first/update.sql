-- (d) The bare conditional UPDATE, after the order line.
\set id :step * random(:lo, :hi)
\set remaining -1
BEGIN;
INSERT INTO order_line (product_id, quantity) VALUES (:id, 1);
UPDATE product SET stock = stock - 1 WHERE id = :id AND stock >= 1
    RETURNING stock AS remaining \aset
\if :remaining >= 0
COMMIT;
\set sold :sold + 1
\else
ROLLBACK;
\set refused :refused + 1
\endif
