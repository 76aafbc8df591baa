-- (h) The extension, raising; with either engine, and waiting or not.
\set id :step * random(:lo, :hi)
\if :order_line
BEGIN;
\endif
SELECT purchase(:id::bigint, 1);
\if :order_line
INSERT INTO order_line (product_id, quantity) VALUES (:id, 1);
COMMIT;
\endif
\set sold :sold + 1
