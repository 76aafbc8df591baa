-- Ten UPDATEs in one transaction, in key order lest they deadlock. All rows have
-- enough; whether each does is not looked at.
\set id random(1, 90000)
BEGIN;
UPDATE product SET stock = stock - 1 WHERE id = :id AND stock >= 1
    RETURNING stock;
UPDATE product SET stock = stock - 1 WHERE id = :id + 10 AND stock >= 1
    RETURNING stock;
UPDATE product SET stock = stock - 1 WHERE id = :id + 20 AND stock >= 1
    RETURNING stock;
UPDATE product SET stock = stock - 1 WHERE id = :id + 30 AND stock >= 1
    RETURNING stock;
UPDATE product SET stock = stock - 1 WHERE id = :id + 40 AND stock >= 1
    RETURNING stock;
UPDATE product SET stock = stock - 1 WHERE id = :id + 50 AND stock >= 1
    RETURNING stock;
UPDATE product SET stock = stock - 1 WHERE id = :id + 60 AND stock >= 1
    RETURNING stock;
UPDATE product SET stock = stock - 1 WHERE id = :id + 70 AND stock >= 1
    RETURNING stock;
UPDATE product SET stock = stock - 1 WHERE id = :id + 80 AND stock >= 1
    RETURNING stock;
UPDATE product SET stock = stock - 1 WHERE id = :id + 90 AND stock >= 1
    RETURNING stock;
COMMIT;
\set sold :sold + 1
