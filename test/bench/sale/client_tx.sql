-- (a) The transaction of the Django recipe, with prepared statements.
\set id :step * random(:lo, :hi)
BEGIN;
SELECT stock FROM product WHERE id = :id FOR UPDATE NOWAIT \gset
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
