-- (h) The extension, saying why not.
\set id :step * random(:lo, :hi)
\if :order_line
BEGIN;
\endif
SELECT outcome = 'sold' AS is_sold, outcome = 'busy' AS is_busy
    FROM purchase_try(:id::bigint, 1) \gset
\if :order_line
\if :is_sold
INSERT INTO order_line (product_id, quantity) VALUES (:id, 1);
\endif
COMMIT;
\endif
\if :is_sold
\set sold :sold + 1
\elif :is_busy
\set busy :busy + 1
\else
\set refused :refused + 1
\endif
