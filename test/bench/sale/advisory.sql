-- (f) An advisory lock for each product, which everybody has to remember.
\set id :step * random(:lo, :hi)
BEGIN;
SELECT pg_advisory_xact_lock(:id);
SELECT stock FROM product WHERE id = :id \gset
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
