-- The client locks and reads all lines, checks, and writes each.
\set id random(1, 90000)
BEGIN;
SELECT min(stock) AS least FROM (
    SELECT stock FROM product
        WHERE id = ANY (
            ARRAY[:id, :id + 10, :id + 20, :id + 30, :id + 40,
                :id + 50, :id + 60, :id + 70, :id + 80, :id + 90]::bigint[])
        ORDER BY id FOR UPDATE NOWAIT) AS line \gset
\if :least >= 1
UPDATE product SET stock = stock - 1 WHERE id = :id;
UPDATE product SET stock = stock - 1 WHERE id = :id + 10;
UPDATE product SET stock = stock - 1 WHERE id = :id + 20;
UPDATE product SET stock = stock - 1 WHERE id = :id + 30;
UPDATE product SET stock = stock - 1 WHERE id = :id + 40;
UPDATE product SET stock = stock - 1 WHERE id = :id + 50;
UPDATE product SET stock = stock - 1 WHERE id = :id + 60;
UPDATE product SET stock = stock - 1 WHERE id = :id + 70;
UPDATE product SET stock = stock - 1 WHERE id = :id + 80;
UPDATE product SET stock = stock - 1 WHERE id = :id + 90;
COMMIT;
\set sold :sold + 1
\else
ROLLBACK;
\set refused :refused + 1
\endif
