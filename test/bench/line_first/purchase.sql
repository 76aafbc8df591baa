-- (h) The extension, after the order line.
\set id :step * random(:lo, :hi)
BEGIN;
INSERT INTO order_line (product_id, quantity) VALUES (:id, 1);
SELECT purchase(:id::bigint, 1);
COMMIT;
\set sold :sold + 1
