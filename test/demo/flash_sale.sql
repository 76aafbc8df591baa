BEGIN;
SELECT outcome, outcome = 'sold' AS sold FROM purchase_try(:ticket, 1) \gset
\if :sold
INSERT INTO shop_orderline (product_id, quantity, price, created_at)
    VALUES (:ticket, 1, 75.00, now());
\endif
INSERT INTO attempt VALUES (:ticket, :outcome);
COMMIT;
