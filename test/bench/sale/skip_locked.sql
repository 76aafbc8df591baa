-- A control, not a competitor: it can't tell a busy row from a sold out one.
\set id :step * random(:lo, :hi)
BEGIN;
\set stock 0
SELECT stock FROM product WHERE id = :id AND stock >= 1
    FOR NO KEY UPDATE SKIP LOCKED \aset
\if :stock >= 1
UPDATE product SET stock = :stock - 1 WHERE id = :id;
\if :order_line
INSERT INTO order_line (product_id, quantity) VALUES (:id, 1);
\endif
COMMIT;
\set sold :sold + 1
\else
ROLLBACK;
\set refused :refused + 1
\endif
