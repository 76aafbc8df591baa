BEGIN;
SELECT outcome, outcome = 'sold' AS sold, outcome = 'busy' AS busy
    FROM purchase_try(5, 1) \gset
\if :sold
INSERT INTO shop_orderline (product_id, quantity, price, created_at)
    VALUES (5, 1, 75.00, now());
\endif
INSERT INTO attempt VALUES (:outcome);
COMMIT;
\set pause random(1, 100)
\if :busy
\sleep :pause ms
\endif
