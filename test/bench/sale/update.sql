-- (d) The bare conditional UPDATE. No row comes back whether the product is
-- unknown, sold out or has too few.
\set id :step * random(:lo, :hi)
\set remaining -1
\if :order_line
BEGIN;
\endif
UPDATE product SET stock = stock - 1 WHERE id = :id AND stock >= 1
    RETURNING stock AS remaining \aset
\if :order_line
\if :remaining >= 0
INSERT INTO order_line (product_id, quantity) VALUES (:id, 1);
\endif
COMMIT;
\endif
\if :remaining >= 0
\set sold :sold + 1
\else
\set refused :refused + 1
\endif
